// Loads all destinations with their secrets. Called by the worker when the routing's version moves.

public import Outbox
public import Postgres

/// All destinations as they were at one version.
public struct Routing: Sendable {
    /// `webhook_routing.version` of the moment as of which all was read.
    public let version: Int64
    /// When they were loaded, by the database's clock, in microseconds since 2000.
    public var loadedAt: Int64 = 0
    /// Every destination that is not deleted, ascending by id; inactive ones too, because their deliveries are parked. Of a
    /// load of changes, only those that changed and are not deleted. What was there before and is the same is the same object.
    public let destinations: [Destination]
    /// How many bytes of an answer each keeps with the attempt, by destination id.
    public let keptResponseBytes: [Int32: Int]
    /// Rows that no request can be made of, for example written by hand. Each stands among ``destinations`` as an
    /// inactive one, so that its deliveries are parked and not lost.
    public let faults: [Fault]
    /// How the secrets stood in the database.
    public var census = SecretCensus()
    /// Active destinations whose secrets this process cannot open, or that name what it does not have. Each stands among
    /// ``destinations`` as an inactive one and in ``faults``; workers that have the key send to it.
    public var locked: Set<Int32> = []
    /// Active destinations that name files of this process. A file is replaced without any change of a row, so they are to
    /// be loaded again now and then.
    public var fileReaders: Set<Int32> = []
    /// Destinations whose newest secret has a date, in seconds from this load, negative when it is past. It signs on
    /// after it; somebody should be told in time.
    public var secretExpiries: [(destination: Int32, seconds: Double)] = []
    /// How many older secrets of active destinations do not sign, although their time is not over, because they do not fit the
    /// profile; by destination id.
    public var unfitSecrets: [Int32: Int] = [:]
    /// After how many seconds the next date of a secret passes, so that this is no longer how things stand; nil when there
    /// is none.
    public var secondsToExpiry: Double?

    /// A row that cannot be used.
    public struct Fault: Sendable {
        /// `webhook_destinations.id`.
        public let destination: Int32
        /// What is wrong, for people; never holds a secret.
        public let reason: String
        /// Whether it was active, so that somebody should be told.
        public let wasActive: Bool
        /// Whether the fault may lie with this process alone, which lacks a key or a setting; the row is left as it is
        /// then.
        public var isLocal = false
    }

    /// No destinations, version 0.
    public static let empty = Routing(version: 0, destinations: [], keptResponseBytes: [:], faults: [])
}

/// Reads and switches destinations for workers.
public enum RoutingStore {
    /// The step that asks for the routing's version; put behind a claim, its answer is at least as new as the claim.
    public static func version() -> Step { Step(Queries.routingVersion) }

    /// The routing's version now: at least as new as the claims that were found before.
    ///
    /// - Parameter timeout: the longest time for the answer; nil for the connection's.
    /// - Throws: `PostgresError`.
    public static func version(on connection: Connection, timeout: Duration? = nil) async throws -> Int64 {
        try await connection.query(Queries.routingVersion, timeout: timeout)[0].int64(0)
    }

    /// More changes than this are not worth telling apart; 1,000.
    public static let mostChanges = 1000
    /// At least so many versions are remembered with what they changed; 10,000.
    static let keptVersions: Int64 = 10_000

    /// So many destinations are read at a time: answers of libpq take more memory than what is kept of them; 1,000.
    static let portion = 1000

    /// Loads what has changed since a load, secrets that have expired meanwhile included. To be called within
    /// ``Transaction/snapshot(on:_:)``, like ``load(on:keys:grants:keeping:)``: what was changed together belongs together.
    ///
    /// - Parameter files: destinations to load whether they changed or not, because the files that they name may have.
    /// - Returns: the ids of what changed (`RoutingChanges`) or was to be read again, and these destinations as they are
    ///   now; nil when everything is to be loaded: too much changed, or it is not known what, or the server has never had
    ///   that version, because it took the place of one whose last changes were lost.
    /// - Throws: `PostgresError`.
    public static func loadChanges(
        since version: Int64, loadedAt: Int64, on connection: Connection, keys: KeyRing? = nil,
        grants: ProcessGrants = .none, rereading files: Set<Int32> = []
    ) async throws -> (ids: [Int32], routing: Routing)? {
        let results = try await connection.pipeline([
            Self.version(),
            Step(Queries.routingChanges, [.int8(version), .timestamptz(microsecondsSince2000: loadedAt)]),
        ])
        guard try results[0][0].int64(0) >= version, results[1].count <= mostChanges else { return nil }
        let changed = try (0..<results[1].count).map { Int32(try results[1][$0].int(0)) }
        if changed.contains(0) { return nil }
        let ids = files.union(changed).sorted()
        return (ids, try await load(ids, keys, grants, keeping: { _ in nil }, version: results[0], on: connection))
    }

    /// Loads every destination. To be called within ``Transaction/snapshot(on:_:)``.
    ///
    /// - Parameters:
    ///   - keys: open sealed secrets; nil when there are none.
    ///   - grants: what destinations may use of this process.
    ///   - old: the destination of an id as it was loaded before, nil when there was none; it is kept when it is the same.
    /// - Throws: `PostgresError`.
    public static func load(
        on connection: Connection, keys: KeyRing? = nil, grants: ProcessGrants = .none,
        keeping old: (Int32) -> Destination? = { _ in nil }
    ) async throws -> Routing {
        try await load(nil, keys, grants, keeping: old, version: connection.pipeline([version()])[0], on: connection)
    }

    private static func load(
        _ ids: [Int32]?, _ keys: KeyRing?, _ grants: ProcessGrants, keeping old: (Int32) -> Destination?, version: Rows,
        on connection: Connection
    ) async throws -> Routing {
        let results = try await connection.pipeline([
            ProfileStore.step, Step(Queries.secretNextExpiry), Step(Queries.settingLoad),
            // By their key, for this transaction alone: before the first ANALYZE each portion would read the whole table.
            WorkerStore.workSettings(isLocal: true),
        ])
        var load = RoutingLoad(keys: keys, profiles: try ProfileStore.catalog(results[0]), grants: grants)
        for row in results[2] {
            load.add(
                setting: try row.string(1), organization: try row.stringOrNil(0), isShared: try row.bool(2),
                try row.string(3))
        }
        var next: Int32? = .min
        while let first = next { next = try await add(ids, from: first, to: &load, keeping: old, on: connection) }
        var routing = load.routing(version: try version[0].int64(0), loadedAt: try version[0].timestamp(1))
        routing.secondsToExpiry = try results[1][0].doubleOrNil(0)
        return routing
    }

    /// Loads one portion.
    ///
    /// - Returns: the first id of the next portion; nil when there is none.
    private static func add(
        _ ids: [Int32]?, from first: Int32, to load: inout RoutingLoad, keeping old: (Int32) -> Destination?,
        on connection: Connection
    ) async throws -> Int32? {
        let rows = try await connection.query(
            Queries.destinationLoad.plannedAnew,
            [ids.map { .int4s($0) } ?? .null, .int4(first), .int4(Int32(portion))]
        ).map { try DestinationRow($0) }
        guard let last = rows.last else { return nil }
        var secrets: [Int32: [StoredSecret]] = [:]
        for row in try await connection.query(Queries.secretLoad.plannedAnew, [.int4s(rows.map(\.id))]) {
            secrets[Int32(try row.int(0)), default: []].append(try StoredSecret(row))
        }
        for row in rows { load.add(row, secrets: secrets[row.id] ?? [], keeping: old(row.id)) }
        return rows.count < portion || last.id == .max ? nil : last.id + 1
    }

    /// Makes a destination inactive, if it is active (`DestinationHold`, `DestinationDisable`).
    ///
    /// - Parameters:
    ///   - url: the URL that its receiver answered at, so that one that was mended meanwhile stays active; nil when the
    ///     reason is none of the URL's.
    ///   - version: the routing's version at which the fault was found, so that one that was mended meanwhile stays active;
    ///     nil when the reason is none of the row's.
    /// - Returns: whether it was active, at that URL and unchanged.
    /// - Throws: `PostgresError`.
    @discardableResult
    public static func disable(
        destination: Int32, reason: String, url: String? = nil, foundAt version: Int64? = nil, on connection: Connection
    ) async throws -> Bool {
        let values: [Value] = [
            .int4(destination), .text(reason), url.map { .text($0) } ?? .null, version.map { .int8($0) } ?? .null,
        ]
        let steps = [Step(Queries.destinationHold, [.int4(destination)]), Step(Queries.destinationDisable, values)]
        return try await connection.pipeline(steps)[1].affected > 0
    }
}

/// A row of `webhook_secrets`.
struct StoredSecret {
    let version: Int32
    let text: String
    /// Until it expires; negative when it has, nil when it never does.
    let secondsLeft: Double?

    init(_ row: Row) throws {
        version = Int32(try row.int(1))
        text = try row.string(2)
        secondsLeft = try row.doubleOrNil(3)
    }
}

/// What a load has found so far.
private struct RoutingLoad {
    private let profiles: ProfileCatalog
    private var opener: SecretOpener
    private var destinations: [Destination] = []
    private var kept: [Int32: Int] = [:]
    private var faults: [Routing.Fault] = []
    private var locked: Set<Int32> = []
    private var fileReaders: Set<Int32> = []
    private var expiries: [(destination: Int32, seconds: Double)] = []
    private var unfit: [Int32: Int] = [:]

    private var book: SettingBook

    init(keys: KeyRing?, profiles: ProfileCatalog, grants: ProcessGrants) {
        opener = SecretOpener(keys: keys)
        self.profiles = profiles
        book = SettingBook(grants: grants)
    }

    /// Adds a setting; one that does not open is a fault of those that name it.
    mutating func add(setting name: String, organization: String?, isShared: Bool, _ text: String) {
        let value: Result<String, SettingFault>
        do throws(SealingError) {
            value = .success(try opener.open(text, at: .setting(name, organization: organization)))
        } catch {
            value = .failure(SettingFault("${\(name)} cannot be read: \(error)"))
        }
        book.add(name, organization: organization, isShared: isShared, value)
    }

    mutating func add(_ row: DestinationRow, secrets: [StoredSecret], keeping old: Destination?) {
        kept[row.id] = row.keptResponseBytes
        note(secrets, of: row)
        if row.isActive, row.namesFiles { fileReaders.insert(row.id) }
        do {
            let destination = try row.destination(secrets: secrets, profiles: profiles, opener: &opener, book: book)
            append(destination, keeping: old)
            let leftOut = secrets.count - destination.secrets.count
            if row.isActive, leftOut > 0 { unfit[row.id] = leftOut }
        } catch {
            let isLocal = Self.isLocal(error)
            faults.append(
                Routing.Fault(destination: row.id, reason: "\(error)", wasActive: row.isActive, isLocal: isLocal))
            if isLocal, row.isActive { locked.insert(row.id) }
            if let parked = row.parkedDestination() { append(parked, keeping: old) }
        }
    }

    private mutating func append(_ destination: Destination, keeping old: Destination?) {
        if let old, old.isSame(as: destination) { return destinations.append(old) }
        destinations.append(destination)
    }

    /// Of the newest secret its date is news for people; of the others it is when they stop signing.
    private mutating func note(_ secrets: [StoredSecret], of row: DestinationRow) {
        if row.isActive, let seconds = secrets.first?.secondsLeft { expiries.append((row.id, seconds)) }
    }

    /// A worker without the key, or with another one under its name, must not stop those that have it.
    private static func isLocal(_ error: any Error) -> Bool {
        if error is SettingFault { return true }
        return switch error as? SealingError {
        case .missingKey, .doesNotOpen: true
        case .malformed, .unsealable, .wrongKey, nil: false
        }
    }

    func routing(version: Int64, loadedAt: Int64) -> Routing {
        Routing(
            version: version, loadedAt: loadedAt, destinations: destinations, keptResponseBytes: kept, faults: faults,
            census: opener.census, locked: locked, fileReaders: fileReaders, secretExpiries: expiries,
            unfitSecrets: unfit)
    }
}
