// The connections of a worker: one for work, one direct one for control, a few for what must not delay those.

internal import Logging
internal import OutboxStore
internal import Postgres
internal import Synchronization

/// Opens connections with the settings that each use needs, and opens them again when they are lost.
final class Links: Sendable {
    /// Whether a pooler stands before the work connection: its session is shared, so nothing may be prepared or set in it.
    let isPooled: Bool
    /// Whether there is no direct connection: no notifications, no locks, only polling and leases.
    let isDeaf: Bool

    /// What each transaction on the work connection begins with: behind a pooler it may run in any session.
    var workSettings: [Step] { isPooled ? Self.settingsOfOne : [] }

    /// What one transaction begins with in any session, shared or not.
    static var settingsOfOne: [Step] { [SessionSettings.readCommitted, WorkerStore.workSettings(isLocal: true)] }

    /// Whether a pooler stood before the control connection when this life began; nil where nobody asked.
    private let isControlPooled: Bool?
    private let settings: WorkerSettings
    private let logger: Logger
    private let current: Mutex<Connection?>
    private let side: Pool
    private let transforms: Pool
    private let worker = Atomic<Int64>(0)

    /// Connects, and finds out what stands between.
    ///
    /// - Throws: `PostgresError` when Postgres cannot be reached.
    static func open(settings: WorkerSettings, logger: Logger) async throws -> Links {
        let work = try await Connection.open(unprepared(settings.database))
        let isPooled = try await WorkerStore.isPooled(work)
        let control = settings.isDeaf ? nil : try await lookAtControl(work, isPooled: isPooled, settings)
        let isDeaf = control?.hears != true
        await work.close()
        let found: Logger.Metadata = [
            "work": isPooled ? "pooled" : "direct", "control": isDeaf ? "deaf" : "direct",
            "server.version": "\(work.serverVersion)",
        ]
        if isDeaf, !settings.isDeaf {
            logger.warning("no notifications from Postgres: polling and leases only", metadata: found)
        } else {
            logger.info("connected to Postgres", metadata: found)
        }
        return Links(
            settings: settings, logger: logger, isPooled: isPooled, isDeaf: isDeaf, isControlPooled: control?.isPooled)
    }

    /// Whether a pooler stands before control, and whether it hears: whether it has a session of its own, in which
    /// notifications of the work connection arrive. They do not behind a pooler, nor in another database than work's, which
    /// no other sign would tell.
    private static func lookAtControl(
        _ work: Connection, isPooled: Bool, _ settings: WorkerSettings
    ) async throws -> (isPooled: Bool, hears: Bool) {
        if isPooled, settings.directDatabase == nil { return (true, false) }
        let control = try await Connection.open(unprepared(settings.directDatabase ?? settings.database))
        let isShared = try await WorkerStore.isPooled(control)
        let hears = try await isShared ? false : WorkerStore.isHeard(from: work, on: control, within: hearing)
        await control.close()
        return (isShared, hears)
    }

    private init(
        settings: WorkerSettings, logger: Logger, isPooled: Bool, isDeaf: Bool, isControlPooled: Bool?
    ) {
        self.settings = settings
        self.logger = logger
        self.isPooled = isPooled
        self.isDeaf = isDeaf
        self.isControlPooled = isControlPooled
        current = Mutex(nil)
        var database = Self.bounded(settings.database, queryTimeout: Self.sideDeadline)
        database.prepares = database.prepares && !isPooled
        side = Pool(database, maximumSize: 2)
        transforms = Pool(database, maximumSize: Transformer.width)
    }

    /// Names the worker whose life the work connection tells of from now on, by a lock of its session.
    func register(worker id: Int64) { worker.store(id, ordering: .releasing) }

    /// How long a statement beside the road of events may take; 5 s.
    private static let sideDeadline = Duration.seconds(5)
    /// How long an attempt to connect may take, and each question that belongs to it; 3 s.
    private static let connectDeadline = Duration.seconds(3)
    /// How long a notification may take at the start; 500 ms.
    private static let hearing = Duration.milliseconds(500)

    /// What workers ask of every connection: settings of their own, bounded waits, and of several hosts the one that takes
    /// writes, unless the URL says otherwise (libpq, `target_session_attrs`).
    private static func bounded(
        _ database: ConnectionSettings, queryTimeout: Duration? = nil
    ) -> ConnectionSettings {
        var database = database.writable
        database.sessionSettings = SessionSettings.own
        database.connectTimeout = min(database.connectTimeout, connectDeadline)
        if let queryTimeout { database.queryTimeout = queryTimeout }
        return database
    }

    /// For questions to a server of which it is not known yet whether its sessions are shared.
    private static func unprepared(_ database: ConnectionSettings) -> ConnectionSettings {
        var database = bounded(database, queryTimeout: sideDeadline)
        database.prepares = false
        return database
    }

    /// The work connection, unless it has to be opened.
    var openWork: Connection? { current.withLock { $0 }.flatMap { $0.isOpen ? $0 : nil } }

    /// The work connection, opened again when it is lost, by attempts as ``Redialer`` makes them.
    ///
    /// - Throws: ``LifeEnd/otherWay`` as ``control()`` does: settings of a session that others use would be theirs too.
    ///   `CancellationError`.
    func work() async throws -> Connection {
        if let openWork { return openWork }
        let connection = try await Redialer(use: "work", logger: logger).dial { [self] in
            var database = Self.bounded(settings.database, queryTimeout: Self.connectDeadline)
            database.prepares = database.prepares && !isPooled
            let connection = try await Self.open(database, isPooled: isPooled)
            if !isPooled { try await prepare(connection) }
            return connection
        }
        current.withLock { $0 = connection }
        return connection
    }

    /// The work connection for what is left to say when a life has ended; of one that is opened for it nothing is known, so
    /// each transaction begins with ``settingsOfOne``, and nothing is prepared.
    ///
    /// - Throws: `CancellationError`.
    func lastWork() async throws -> Connection {
        if let openWork { return openWork }
        let connection = try await Redialer(use: "work", logger: logger).dial { [settings] in
            try await Connection.open(Self.unprepared(settings.database))
        }
        current.withLock { $0 = connection }
        return connection
    }

    /// Does something by ``lastWork()`` that is worth so much time and no more.
    ///
    /// - Throws: what `body` throws; `PostgresError` when the time is over; `CancellationError`.
    func lastWork(
        within limit: Duration, _ body: @escaping @Sendable (Connection) async throws -> Void
    ) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            defer { group.cancelAll() }
            group.addTask { try await body(self.lastWork()) }
            group.addTask {
                try await Task.sleep(for: limit)
                throw PostgresError(code: .timedOut, message: "the lease has run out meanwhile")
            }
            try await group.next()
        }
    }

    /// A connection by the way that was found when this life began; nil for any.
    private static func open(_ database: ConnectionSettings, isPooled: Bool?) async throws -> Connection {
        let connection = try await Connection.open(database)
        if let isPooled, try await WorkerStore.isPooled(connection) != isPooled {
            await connection.close()
            throw LifeEnd.otherWay
        }
        return connection
    }

    /// Settings and the lock of a session of one's own.
    private func prepare(_ connection: Connection) async throws {
        _ = try await connection.pipeline([WorkerStore.workSettings(isLocal: false)])
        let id = worker.load(ordering: .acquiring)
        if !isDeaf, id > 0 { _ = try await WorkerStore.lock(worker: id, on: connection) }
    }

    /// A new control connection; the caller owns it.
    ///
    /// - Throws: ``LifeEnd/otherWay`` when the way to Postgres leads through a pooler now, or does no more; then nothing of
    ///   a session of one's own may be asked for, or all of it. `CancellationError`.
    func control() async throws -> Connection {
        try await Redialer(use: "control", logger: logger).dial { [settings, isDeaf, isControlPooled] in
            var database = Self.bounded(
                settings.directDatabase ?? settings.database, queryTimeout: Self.connectDeadline)
            if isDeaf { database.prepares = false }
            return try await Self.open(database, isPooled: isControlPooled)
        }
    }

    /// Runs upkeep on a connection of its own, which may take long.
    ///
    /// - Throws: what `body` throws; `PostgresError` when no connection can be had.
    func upkeep<Result: Sendable>(_ body: (Connection) async throws -> Result) async throws -> Result {
        var database = Self.bounded(settings.database, queryTimeout: .seconds(300))
        database.prepares = database.prepares && !isPooled
        let connection = try await Connection.open(database)
        do {
            let result = try await body(connection)
            await connection.close()
            return result
        } catch {
            await connection.close()
            throw error
        }
    }

    /// Runs something on a connection beside the road of events: loading destinations and payloads, rescues, upkeep.
    ///
    /// - Throws: what `body` throws; `PostgresError` when no connection can be had.
    func aside<Result: Sendable>(
        _ body: @Sendable (Connection) async throws -> Result
    ) async throws -> Result {
        try await side.withConnection { connection in
            do {
                return try await body(connection)
            } catch let error as PostgresError where error.isReadOnly {
                await connection.close()
                throw error
            }
        }
    }

    /// Runs a call of a transform function, on a connection apart from everything else: nobody knows how long it takes.
    ///
    /// - Throws: what `body` throws; `PostgresError` when no connection can be had.
    func transform<Result: Sendable>(
        _ body: @Sendable (Connection) async throws -> Result
    ) async throws -> Result {
        try await transforms.withConnection { try await body($0) }
    }

    /// Gives up the work connection, so that the next may find another server.
    func abandonWork() async {
        let connection = current.withLock { connection in
            defer { connection = nil }
            return connection
        }
        await connection?.close()
    }

    /// Closes everything.
    func close() async {
        await abandonWork()
        await side.close()
        await transforms.close()
    }
}
