// Seals secrets in the database: those that come in plain, and those of older keys. Called by the worker's upkeep and by
// `postrider keys`; what a command writes is sealed before it is sent.

public import Outbox
public import Postgres

/// Reads and seals the secrets of destinations and the credentials in their headers.
public enum SecretStore {
    /// Most secrets of one transaction; 1,000 are sealed in a few milliseconds.
    public static let batch: Int64 = 1_000

    /// What is sealed.
    public enum Scope: Sendable {
        /// What stands readable.
        case plain
        /// That, and what is sealed with another key than the first.
        case all
    }

    /// What one pass did.
    public struct Progress: Sendable, Equatable {
        /// Secrets, headers and settings sealed with the first key.
        public internal(set) var sealed = 0
        /// Those that could not be opened, by the reason.
        public internal(set) var unopened: [String: Int] = [:]
    }

    /// Everything there is, by key; nil for what stands readable.
    public struct KeyUse: Sendable, Equatable {
        /// The key's name; nil for what stands readable.
        public let key: String?
        /// Secrets that sign.
        public let secrets: Int
        /// Secrets that have expired, which need no key.
        public let expired: Int
        /// Credentials in headers.
        public let headers: Int
        /// Settings.
        public let settings: Int
    }

    /// Counts all secrets by key (`SecretCensus`), those that stand readable first.
    ///
    /// - Throws: `PostgresError`.
    public static func census(on connection: Connection) async throws -> [KeyUse] {
        let rows = try await connection.query(Queries.secretCensus.plannedAnew)
        return try rows.map { row in
            KeyUse(
                key: try row.stringOrNil(0), secrets: try row.int(1), expired: try row.int(2), headers: try row.int(3),
                settings: try row.int(4))
        }
    }

    /// Seals everything of a scope with the first key of a ring, a batch in each transaction.
    ///
    /// Any number may run at once, beside workers that deliver: each takes what the others do not hold, and what it
    /// takes cannot change until its batch is committed. Stopped half-way, it goes on where it stopped when it is called
    /// again. Workers need not load anything: the secrets are the same.
    ///
    /// - Parameter progress: called after each batch.
    /// - Throws: `PostgresError`; batches that were committed stay. `SealingError.wrongKey` before anything is sealed.
    @discardableResult
    public static func seal(
        _ scope: Scope, with keys: KeyRing, on connection: Connection, progress: (Progress) -> Void = { _ in }
    ) async throws -> Progress {
        try await KeyStore.check(keys, on: connection)
        let leaves = scope == .plain ? SealedSecret.mark : SealedSecret.prefix(ofKey: keys.first)
        var done = Progress()
        var place: (destination: Int32, version: Int32)? = (0, 0)
        while let start = place {
            place = try await Transaction.run(on: connection) {
                try await sealSecrets(behind: start, leaves, keys, connection, &done)
            }
            progress(done)
        }
        var destination: Int32? = 0
        while let start = destination {
            destination = try await Transaction.run(on: connection) {
                try await sealHeaders(behind: start, leaves, keys, connection, &done)
            }
            progress(done)
        }
        try await sealSettings(leaves, keys, connection, &done, progress)
        return done
    }

    /// Seals a batch of secrets; gives the last that it saw, nil when there are no more.
    private static func sealSecrets(
        behind start: (destination: Int32, version: Int32), _ leaves: String, _ keys: KeyRing,
        _ connection: Connection, _ done: inout Progress
    ) async throws -> (destination: Int32, version: Int32)? {
        let rows = try await connection.pipeline([
            Step(Queries.sealsBegin.plannedAnew),
            Step(
                Queries.secretTake.plannedAnew,
                [.int4(start.destination), .int4(start.version), .text(leaves), .int8(batch)]),
        ])[1]
        var sealed = SealedRows()
        var last: (destination: Int32, version: Int32)?
        for row in rows {
            let (destination, version) = (Int32(try row.int(0)), Int32(try row.int(1)))
            last = (destination, version)
            if let text = reseal(try row.string(2), at: .version(version, destination: destination), keys, &done) {
                sealed.append(destination, version: version, text)
            }
        }
        try await connection.query(Queries.secretReplace.plannedAnew, sealed.secretParameters)
        return rows.count < batch ? nil : last
    }

    /// Seals the headers of a batch of destinations; gives the last that it saw, nil when there are no more.
    private static func sealHeaders(
        behind start: Int32, _ leaves: String, _ keys: KeyRing, _ connection: Connection, _ done: inout Progress
    ) async throws -> Int32? {
        let rows = try await connection.pipeline([
            Step(Queries.sealsBegin.plannedAnew),
            Step(Queries.headerTake.plannedAnew, [.int4(start), .text(leaves), .int8(batch)]),
        ])[1]
        var sealed = SealedRows()
        var last: Int32?
        for row in rows {
            let destination = Int32(try row.int(0))
            last = destination
            for (name, value) in zip(try row.strings(1), try row.strings(2)) {
                if let text = reseal(value, at: .header(name, destination: destination), keys, &done) {
                    sealed.append(destination, header: name, text)
                }
            }
        }
        try await connection.query(Queries.headerReplace.plannedAnew, sealed.headerParameters)
        return rows.count < batch ? nil : last
    }

    /// The same secret, sealed with the first key; nil when it does not open.
    static func reseal(
        _ text: String, at place: SecretPlace, _ keys: KeyRing, _ done: inout Progress
    ) -> String? {
        do {
            let plain = SealedSecret.isSealed(text) ? try SealedSecret(text).open(at: place, with: keys) : text
            let sealed = try SealedSecret(sealing: plain, for: place, with: keys).text
            done.sealed += 1
            return sealed
        } catch {
            done.unopened["\(error)", default: 0] += 1
            return nil
        }
    }
}

extension SecretStore {
    /// Puts the first secret and the credentials of a destination in place, sealed before they are sent. Within the
    /// transaction that made the destination.
    ///
    /// - Parameters:
    ///   - secret: the secret of version 1; nil when there is none.
    ///   - headers: credentials by the names of their headers.
    /// - Throws: `PostgresError`; `SealingError` for an empty secret, and when the key is another one of its name.
    public static func place(
        destination: Int32, secret: String?, headers: [String: String], with keys: KeyRing, on connection: Connection
    ) async throws {
        var steps: [Step] = []
        if secret != nil || !headers.isEmpty { try await KeyStore.check(keys, on: connection) }
        if let secret {
            var sealed = SealedRows()
            let text = try SealedSecret(sealing: secret, for: .version(1, destination: destination), with: keys).text
            sealed.append(destination, version: 1, text)
            steps.append(Step(Queries.secretReplace.plannedAnew, sealed.secretParameters))
        }
        if !headers.isEmpty {
            var sealed = SealedRows()
            for (name, text) in try sealedHeaders(headers, of: destination, with: keys) {
                sealed.append(destination, header: name, text)
            }
            steps.append(Step(Queries.headerReplace.plannedAnew, sealed.headerParameters))
        }
        try await connection.pipeline(steps)
    }

    /// Headers with the values of credentials sealed; the others as they are. Where there are none nothing is asked.
    ///
    /// - Throws: `PostgresError`; `SealingError` when the key is another one of its name.
    public static func seal(
        headers: [String: String], of destination: Int32, with keys: KeyRing, on connection: Connection
    ) async throws -> [String: String] {
        let sealed = try sealedHeaders(headers, of: destination, with: keys)
        if sealed != headers { try await KeyStore.check(keys, on: connection) }
        return sealed
    }

    private static func sealedHeaders(
        _ headers: [String: String], of destination: Int32, with keys: KeyRing
    ) throws -> [String: String] {
        var sealed = headers
        for (name, value) in headers where HeaderField.holdsCredential(name) && !value.isEmpty {
            let place = SecretPlace.header(name, destination: destination)
            sealed[name] = try SealedSecret(sealing: value, for: place, with: keys).text
        }
        return sealed
    }

    /// Seals the secret that a destination will get next. Within the transaction that then writes it; until its end
    /// nobody else gives the destination a secret.
    ///
    /// - Parameter id: the public id.
    /// - Returns: the sealed text; nil when there is no such destination.
    /// - Throws: `PostgresError`; `SealingError` for an empty secret, and when the key is another one of its name.
    public static func sealNext(
        secret: String, of id: String, with keys: KeyRing, on connection: Connection
    ) async throws -> String? {
        guard let destination = try await lock(destination: id, on: connection) else { return nil }
        try await KeyStore.check(keys, on: connection)
        let next = try await connection.query(Queries.secretNextVersion.plannedAnew, [.int4(destination)])
        let place = SecretPlace.version(Int32(try next[0].int(0)), destination: destination)
        return try SealedSecret(sealing: secret, for: place, with: keys).text
    }

    /// Keeps others from changing a destination until the caller's transaction ends (`DestinationLock`).
    ///
    /// - Parameter id: the public id.
    /// - Returns: `webhook_destinations.id`; nil when there is no such destination.
    /// - Throws: `PostgresError`.
    @discardableResult
    public static func lock(destination id: String, on connection: Connection) async throws -> Int32? {
        try await connection.query(Queries.destinationLock.plannedAnew, [.text(id)]).first.map { Int32(try $0.int(0)) }
    }
}

/// Sealed texts on their way into their rows.
private struct SealedRows {
    private var destinations: [Int32] = []
    private var versions: [Int32] = []
    private var names: [String] = []
    private var texts: [String] = []

    mutating func append(_ destination: Int32, version: Int32, _ text: String) {
        destinations.append(destination)
        versions.append(version)
        texts.append(text)
    }

    mutating func append(_ destination: Int32, header name: String, _ text: String) {
        destinations.append(destination)
        names.append(name)
        texts.append(text)
    }

    var secretParameters: [Value] { [.int4s(destinations), .int4s(versions), .texts(texts)] }
    var headerParameters: [Value] { [.int4s(destinations), .texts(names), .texts(texts)] }
}
