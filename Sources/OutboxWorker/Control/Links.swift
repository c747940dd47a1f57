// The connections of a worker: one for work, one direct one for control, a few for what must not delay those.

internal import Logging
internal import Postgres
internal import Synchronization

/// Opens connections with the settings that each use needs, and opens them again when they are lost.
final class Links: Sendable {
    private let settings: WorkerSettings
    private let logger: Logger
    private let current = Mutex<Connection?>(nil)
    private let side: Pool

    init(settings: WorkerSettings, logger: Logger) {
        self.settings = settings
        self.logger = logger
        side = Pool(settings.database, maximumSize: 2)
    }

    /// What the work connection sets for its session.
    ///
    /// A commit of the worker need not reach the disk: after a crash of Postgres the lost claims are in the queue again
    /// and the lost outcomes are delivered again, and nothing else happens. Plans must follow the indexes whatever the
    /// statistics of a queue that was empty a moment ago say.
    private static let preparation = """
        SET synchronous_commit = off;
        SET enable_seqscan = off;
        SET enable_bitmapscan = off;
        SET jit = off;
        """

    /// The work connection, opened again when it is lost; waits between attempts, longer each time up to a second.
    ///
    /// - Throws: `CancellationError`.
    func work() async throws -> Connection {
        if let connection = current.withLock({ $0 }), connection.isOpen { return connection }
        let connection = try await retrying("work") { [settings] in
            let connection = try await Connection.open(settings.database)
            _ = try await connection.script(Self.preparation, name: "WorkPrepare")
            return connection
        }
        current.withLock { $0 = connection }
        return connection
    }

    /// A new control connection; the caller owns it.
    ///
    /// - Throws: `CancellationError`.
    func control() async throws -> Connection {
        try await retrying("control") { [settings] in
            try await Connection.open(settings.directDatabase ?? settings.database)
        }
    }

    /// Runs something on a connection beside the road of events: loading destinations and payloads, rescues, upkeep.
    ///
    /// - Throws: what `body` throws; `PostgresError` when no connection can be had.
    func aside<Result: Sendable>(
        _ body: @Sendable (Connection) async throws -> Result
    ) async throws -> Result {
        try await side.withConnection(body)
    }

    /// Closes everything.
    func close() async {
        let connection = current.withLock { connection in
            defer { connection = nil }
            return connection
        }
        await connection?.close()
        await side.close()
    }

    private func retrying(
        _ use: String, _ open: @Sendable () async throws -> Connection
    ) async throws -> Connection {
        var wait = 50.0
        while true {
            try Task.checkCancellation()
            do {
                return try await open()
            } catch let error as PostgresError {
                logger.warning("no connection to Postgres", metadata: ["use": "\(use)", "error": "\(error)"])
            }
            try await Task.sleep(for: .milliseconds(wait * Double.random(in: 0.5...1)))
            wait = min(wait * 2, 1000)
        }
    }
}
