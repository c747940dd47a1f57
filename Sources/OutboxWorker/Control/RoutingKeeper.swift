// Keeps the destinations in memory as new as the claims. Asked by the work cycle before it routes, and told by
// notifications and heartbeats.

internal import Logging
internal import Outbox
internal import OutboxStore
internal import Postgres

/// Loads the routing when its version moves. Whoever asks while it is being loaded waits for that load.
actor RoutingKeeper {
    /// What one look at the database found.
    private struct Load: Sendable {
        let routing: Routing
        let table: RoutingTable
        /// What was loaded; nil for everything.
        let changes: [Int32]?
        var proofs: KeyStore.Proofs
    }

    /// Why a row cannot be used.
    private struct Unusable: Equatable {
        let reason: String
        /// The version of the load that found it.
        let version: Int64
    }

    private let links: Links
    private let keys: KeyRing?
    private let provenKeys: ProvenKeys
    private let secretWarning: Duration
    private let grants: ProcessGrants
    private let fileAge: Duration
    private let logger: Logger
    private var table: RoutingTable?
    private var loadedAt = ContinuousClock.now
    /// Destinations that name files, which are replaced without any change of a row.
    private var fileReaders: Set<Int32> = []
    /// When all of these files were last read.
    private var filesReadAt = ContinuousClock.now
    /// When the next date of a secret passes; nil when there is none.
    private var secretEndsAt: ContinuousClock.Instant?
    private var dispatcher: Dispatcher?
    private var isSealing = false
    private var mustSeal = false
    /// What is being loaded.
    private var loading: Task<Void, any Error>?
    /// What was told of destinations that wait for something this worker lacks, so that it is told once and not with every
    /// load; again only when it was well in between, or the reason is another one.
    private var toldFaults: [Int32: String] = [:]
    /// Of how many older secrets that do not sign was told, by destination.
    private var toldUnfit: [Int32: Int] = [:]
    /// Destinations whose rows cannot be used and which are still active.
    private var unusable: [Int32: Unusable] = [:]
    private var isDisabling = false
    /// When it was last tried.
    private var disabledAt = ContinuousClock.now
    /// While they cannot be disabled.
    private var disabling = Trouble()
    /// While loads that nobody waits for fail.
    private var trouble = Trouble()
    /// When the newest secrets expire that have a date.
    private var expiries: [Int32: ContinuousClock.Instant] = [:]
    /// Destinations of whose secret's date was told, before it and after it.
    private var toldExpiries: Set<String> = []
    /// Keys of which was told that they are others of their names.
    private var toldKeys: Set<String> = []

    /// Dates of secrets come near without any change of a row; 60 s.
    static let longestAge = Duration.seconds(60)
    /// A destination that could not be disabled is tried again after this long; 2 s.
    static let disablePause = Duration.seconds(2)

    init(
        links: Links, keys: KeyRing?, provenKeys: ProvenKeys, grants: ProcessGrants, fileAge: Duration,
        secretWarning: Duration, logger: Logger
    ) {
        self.links = links
        self.keys = keys
        self.provenKeys = provenKeys
        self.grants = grants
        self.fileAge = fileAge
        self.secretWarning = secretWarning
        self.logger = logger
    }

    /// Loads the destinations and gives them to the dispatcher from now on.
    ///
    /// - Parameter needsKeys: whether to refuse when a key is missing or is another one of the same name.
    /// - Throws: `PostgresError`; ``SecretKeyError``.
    func first(needsKeys: Bool) async throws -> RoutingTable {
        var load = try await fetch()
        if needsKeys, let keys {
            if let error = SecretKeyError(load.routing.census, load.proofs) { throw error }
            // Before anything is sealed, so that another worker with another key of this name is refused at its start.
            load.proofs = try await links.aside { try await KeyStore.claim(keys, on: $0) }
        }
        if needsKeys, let error = SecretKeyError(load.routing.census, load.proofs) { throw error }
        use(load)
        return load.table
    }

    /// The dispatcher to keep up to date.
    func keep(_ dispatcher: Dispatcher) { self.dispatcher = dispatcher }

    /// Makes sure that the dispatcher's routing is as new as the version that a server has just told.
    ///
    /// A version below that of the destinations in memory was told just before they were loaded, or by a server that lacks
    /// the last changes of the one before it: a load finds out.
    ///
    /// - Parameter told: the version; nil for a new one of which the number was not told.
    /// - Throws: `PostgresError`.
    func ensure(version told: Int64?) async throws {
        guard mustLoad(told) else { return }
        // A load that runs already may have begun before that version; one that begins now has not.
        if let loading {
            try await loading.value
            guard mustLoad(told) else { return }
        }
        try await (loading ?? load()).value
    }

    /// The same for those who can do nothing about a failure, heartbeats five times a second among them: it is logged when
    /// it is of another kind than the one before.
    func refresh(version told: Int64?) async {
        do {
            try await ensure(version: told)
            _ = trouble.end()
        } catch {
            if trouble.isNews(error) {
                logger.warning("destinations not loaded", metadata: ["error": "\(error)"])
            }
        }
        // Behind the load, which may tell that they were mended.
        if ContinuousClock.now - disabledAt > Self.disablePause { disableUnusable() }
    }

    private func mustLoad(_ told: Int64?) -> Bool {
        guard let told, told == table?.version else { return true }
        let now = ContinuousClock.now
        return now - loadedAt > Self.longestAge || secretEndsAt.map { $0 <= now } ?? false || hasOldFiles
    }

    private var hasOldFiles: Bool { !fileReaders.isEmpty && ContinuousClock.now - filesReadAt > fileAge }

    /// One load for all who ask: with a hundred thousand destinations it takes seconds, and heartbeats ask five times a
    /// second. Not part of whoever asks first, whose end must not end it for the others.
    private func load() -> Task<Void, any Error> {
        let load = Task {
            defer { loading = nil }
            use(try await fetch())
        }
        loading = load
        return load
    }

    /// Loads what has changed since the last time, or everything.
    ///
    /// Reading a hundred thousand destinations takes long: not on the thread on which heartbeats are answered.
    private func fetch() async throws -> Load {
        let files: Set<Int32> = hasOldFiles ? fileReaders : []
        return try await withTaskExecutorPreference(globalConcurrentExecutor) { [keys, grants, links, table] in
            try await links.aside { connection in
                var proofs = KeyStore.Proofs()
                if let keys { proofs = try await KeyStore.load(keys, on: connection) }
                // Else a secret and a profile that were changed together would be met one new, one old.
                return try await Transaction.snapshot(on: connection) {
                    try await Self.load(following: table, keys: keys, grants, rereading: files, proofs, on: connection)
                }
            }
        }
    }

    private static func load(
        following table: RoutingTable?, keys: KeyRing?, _ grants: ProcessGrants, rereading files: Set<Int32>,
        _ proofs: KeyStore.Proofs, on connection: Connection
    ) async throws -> Load {
        if let table,
            let (ids, routing) = try await RoutingStore.loadChanges(
                since: table.version, loadedAt: table.loadedAt, on: connection, keys: keys, grants: grants,
                rereading: files)
        {
            return Load(routing: routing, table: table.changed(routing, ids), changes: ids, proofs: proofs)
        }
        let routing = try await RoutingStore.load(
            on: connection, keys: keys, grants: grants, keeping: { table?[$0] })
        return Load(routing: routing, table: RoutingTable(routing, following: table), changes: nil, proofs: proofs)
    }

    private func use(_ load: Load) {
        let (routing, table, changes) = (load.routing, load.table, load.changes)
        if self.table.map({ !table.isOlder(than: $0) }) ?? true { self.table = table }
        // Before anything is waited for: whoever asks meanwhile is told that this version is there, and routes.
        dispatcher?.setRouting(table)
        loadedAt = .now
        let unread: Set<Int32> = changes.map { fileReaders.subtracting($0) } ?? []
        if unread.isEmpty { filesReadAt = loadedAt }
        fileReaders = routing.fileReaders.union(unread)
        // After many rotations many overlaps end one behind the other: not each is worth a load of its own.
        secretEndsAt = routing.secondsToExpiry.map { loadedAt + .seconds(max(1, $0)) }
        for id in changes ?? Array(expiries.keys) { expiries[id] = nil }
        for (id, seconds) in routing.secretExpiries { expiries[id] = loadedAt + .seconds(seconds) }
        tellExpiries()
        let lacking = routing.faults.filter { $0.isLocal && $0.wasActive }
        let loaded = changes ?? Array(toldFaults.keys)
        for id in Set(loaded).subtracting(lacking.map(\.destination)) { toldFaults[id] = nil }
        tell(lacking)
        tellUnfit(routing.unfitSecrets, of: changes)
        provenKeys.set(load.proofs)
        tellWrong(load.proofs.unopened)
        if routing.census.plain > 0 { sealPlain() }
        for id in changes ?? Array(unusable.keys) { unusable[id] = nil }
        for fault in routing.faults where fault.wasActive && !fault.isLocal {
            logger.error(
                "destination disabled: its row cannot be used",
                metadata: ["destination.id": "\(fault.destination)", "reason": "\(fault.reason)"])
            unusable[fault.destination] = Unusable(reason: fault.reason, version: routing.version)
        }
        disableUnusable()
    }

    /// Makes inactive what cannot be used, of this load and of earlier ones. Beside the road of events, which has the new
    /// routing already: somebody may hold the row. A server that is full or read-only refuses it, and no change of the row would
    /// bring it up again, so heartbeats do.
    private func disableUnusable() {
        guard !unusable.isEmpty, !isDisabling else { return }
        isDisabling = true
        Task {
            for (id, fault) in unusable { await disable(id, fault) }
            isDisabling = false
            disabledAt = .now
        }
    }

    private func disable(_ id: Int32, _ fault: Unusable) async {
        // Its row may have been mended while others were disabled.
        guard unusable[id] == fault else { return }
        do {
            _ = try await links.aside { connection in
                try await RoutingStore.disable(
                    destination: id, reason: fault.reason, foundAt: fault.version, on: connection)
            }
            // Of one that was changed meanwhile the load of that change tells.
            if unusable[id] == fault { unusable[id] = nil }
            _ = disabling.end()
        } catch {
            guard disabling.isNews(error) else { return }
            logger.error("destination not disabled", metadata: ["destination.id": "\(id)", "error": "\(error)"])
        }
    }

    // MARK: Secrets

    /// Logs keys that are others than those that seal under their names: the proof came after this worker's start. It seals nothing
    /// with them.
    private func tellWrong(_ names: Set<String>) {
        for name in names.subtracting(toldKeys).sorted() {
            logger.error("key is another one than that which seals under its name", metadata: ["key": "\(name)"])
        }
        toldKeys = names
    }

    /// Logs what is left to other workers, each destination once; most ten of a load, since a missing key may be that of
    /// a hundred thousand.
    private func tell(_ faults: [Routing.Fault]) {
        let new = faults.filter { toldFaults[$0.destination] != $0.reason }
        for fault in new.prefix(10) {
            logger.error(
                "deliveries wait: this worker lacks what the destination needs",
                metadata: ["destination.id": "\(fault.destination)", "reason": "\(fault.reason)"])
        }
        if new.count > 10 {
            logger.error(
                "deliveries of more destinations wait", metadata: ["destinations": "\(new.count - 10)"])
        }
        for fault in faults { toldFaults[fault.destination] = fault.reason }
    }

    /// Logs older secrets that do not fit the profile and so do not sign, each destination once until their number changes; most
    /// ten of a load.
    ///
    /// - Parameter changes: what was loaded; nil for everything.
    private func tellUnfit(_ unfit: [Int32: Int], of changes: [Int32]?) {
        let new = unfit.filter { toldUnfit[$0.key] != $0.value }.sorted { $0.key < $1.key }
        for (id, count) in new.prefix(10) {
            logger.warning(
                "older secrets do not sign: they do not fit the destination's profile",
                metadata: ["destination.id": "\(id)", "secrets": "\(count)"])
        }
        if new.count > 10 {
            logger.warning(
                "older secrets of more destinations do not sign", metadata: ["destinations": "\(new.count - 10)"])
        }
        for id in changes ?? Array(toldUnfit.keys) { toldUnfit[id] = nil }
        toldUnfit.merge(unfit) { $1 }
    }

    /// Logs secrets whose date is near or past, each once; most ten of a load. They sign on.
    private func tellExpiries() {
        let now = ContinuousClock.now
        let near = expiries.filter { $0.value - now < secretWarning }.sorted { $0.key < $1.key }.map { id, date in
            let item = (destination: id, seconds: (date - now) / .seconds(1))
            return (item, key: "\(id) \(item.seconds > 0)")
        }
        let new = near.filter { !toldExpiries.contains($0.key) }
        for (item, _) in new.prefix(10) {
            let metadata: Logger.Metadata = [
                "destination.id": "\(item.destination)",
                "days.left": "\((item.seconds / 86_400 * 10).rounded() / 10)",
            ]
            if item.seconds > 0 {
                logger.warning("secret expires soon: it should be rotated", metadata: metadata)
            } else {
                logger.error("secret has expired and signs on: it should be rotated", metadata: metadata)
            }
        }
        if new.count > 10 {
            logger.warning("more secrets expire soon", metadata: ["destinations": "\(new.count - 10)"])
        }
        toldExpiries = Set(near.map(\.key))
    }

    /// Seals what stands readable: it came through plain SQL, or from before there were keys. Beside the road of events,
    /// since what was loaded signs as it is; what fails is tried again with the next load.
    private func sealPlain() {
        guard let keys else { return }
        mustSeal = true
        guard !isSealing else { return }
        isSealing = true
        Task {
            // Once more for what was loaded meanwhile.
            while mustSeal {
                mustSeal = false
                await sealPlain(with: keys)
            }
            isSealing = false
        }
    }

    private func sealPlain(with keys: KeyRing) async {
        do {
            let done = try await links.aside { try await SecretStore.seal(.plain, with: keys, on: $0) }
            guard done.sealed > 0 else { return }
            logger.info(
                "sealed secrets that stood readable", metadata: ["secrets": "\(done.sealed)", "key": "\(keys.first)"])
        } catch {
            logger.warning("secrets not sealed", metadata: ["error": "\(error)"])
        }
    }
}
