// The public face of one connection: queries in, rows and notifications out. Its rules are in Session.

internal import CLibPQ
internal import Synchronization

/// One connection to Postgres.
///
/// Any task may call it at any time; requests run one after the other in the order they come. No thread is held while
/// waiting: results arrive on the reactor's thread. A connection that is dropped without ``close()`` closes itself.
///
/// Cancelling the calling task, and the query timeout, ask the server to stop (`PQcancel`). When it obeys, the query
/// throws and the connection goes on; when it does not within one second, the connection is closed.
public final class Connection: Sendable {
    /// The version of the server, for example 150020 for 15.20 (`PQserverVersion`).
    public let serverVersion: Int
    /// The id of the server process behind this connection (`PQbackendPID`); behind a pooler it means nothing.
    public let processID: Int32

    private let session: Mutex<Session>
    private let hub = NotificationHub()
    private let notices: NoticeBox
    private let openFlag = Atomic<Bool>(true)
    private let queryTimeout: Duration?

    /// Connects.
    ///
    /// - Parameter settings: where and how; `connectTimeout` bounds the whole attempt.
    /// - Returns: an open connection, watched by the reactor.
    /// - Throws: ``PostgresError`` of code `invalidSettings`, `connectionFailed`, `timedOut` or `cancelled`; with
    ///   `sessionSettings` also as ``query(_:_:timeout:)``.
    public static func open(_ settings: ConnectionSettings) async throws -> Connection {
        let notices = NoticeBox()
        let start = ContinuousClock.now
        let handle = try await Dialer.dial(settings, notices: notices)
        let connection = try Connection(handle, settings, notices)
        if !settings.sessionSettings.isEmpty {
            // The attempt as a whole has its bound; what is left of it may be little.
            let left = settings.connectTimeout - (ContinuousClock.now - start)
            do {
                try await connection.begin(with: settings.sessionSettings, within: max(left, .milliseconds(100)))
            } catch let error as PostgresError where error.code == .timedOut {
                // Part of connecting, not a query that somebody asked.
                throw Dialer.tooLate
            }
        }
        return connection
    }

    /// Sets what the session begins with. As an option of the start poolers refuse it, so it is a question of its own.
    private func begin(with values: [String: String], within limit: Duration) async throws {
        let (names, texts): ([String], [String]) = (Array(values.keys), Array(values.values))
        // A pooler tells its clients a process id of its own: in a session that it lends nothing must stay behind.
        let set = Statement(
            name: "SessionSettings",
            sql: """
                SELECT pg_catalog.set_config(s.name, s.value, false)
                FROM ROWS FROM (pg_catalog.unnest($1::text[]), pg_catalog.unnest($2::text[])) AS s (name, value)
                WHERE pg_catalog.pg_backend_pid() = $3::int4
                """, prepare: false)
        _ = try await query(set, [.texts(names), .texts(texts), .int4(processID)], timeout: limit)
    }

    private init(_ handle: Dialer.Handle, _ settings: ConnectionSettings, _ notices: NoticeBox) throws {
        _ = PQsetnonblocking(handle.pointer, 1)
        serverVersion = Int(PQserverVersion(handle.pointer))
        processID = PQbackendPID(handle.pointer)
        queryTimeout = settings.queryTimeout
        self.notices = notices
        let descriptor = PQsocket(handle.pointer)
        session = Mutex(Session(handle: handle.pointer, prepares: settings.prepares, notices: notices))
        // Under the lock, so that the socket's first event finds the token in place.
        let isWatched = session.withLock { session in
            session.token = Reactor.shared.add(self, descriptor: descriptor)
            return session.token != nil
        }
        guard isWatched else {
            throw PostgresError(code: .connectionFailed, message: "no descriptor or thread left to watch the socket")
        }
    }

    deinit {
        var effects = Effects()
        session.withLock { $0.end(PostgresError(code: .closed, message: "connection was dropped"), &effects) }
        hub.finish()
    }

    /// False once the connection has ended, however it ended. Costs one atomic read.
    public var isOpen: Bool { openFlag.load(ordering: .acquiring) }

    /// Runs one statement.
    ///
    /// - Parameters:
    ///   - statement: what to run; prepared at first use unless it or the settings say otherwise.
    ///   - parameters: the values of `$1`, `$2` …; empty by default.
    ///   - timeout: the longest time, waiting for its turn included; nil (the default) for the settings' value.
    /// - Returns: the rows, in binary.
    /// - Throws: ``PostgresError`` of code `server`, `connectionLost`, `timedOut`, `cancelled`, `closed` or
    ///   `invalidParameter`.
    @discardableResult
    public func query(_ statement: Statement, _ parameters: [Value] = [], timeout: Duration? = nil) async throws -> Rows
    {
        let results = try await pipeline([Step(statement, parameters)], timeout: timeout)
        guard let rows = results.first else {
            throw PostgresError(code: .decoding, message: "no result", queryName: statement.name)
        }
        return rows
    }

    /// Runs several statements in one round trip and one implicit transaction: all take effect or none
    /// (libpq, "Pipeline Mode").
    ///
    /// - Parameters:
    ///   - steps: what to run, in order; nothing happens when empty.
    ///   - timeout: the longest time for all of it, waiting for its turn included; nil (the default) for the settings'
    ///     value.
    /// - Returns: one result per step, in order.
    /// - Throws: ``PostgresError``: the first error with the name of its statement; later steps were not run and
    ///   earlier ones are undone, and the connection remains usable unless `isConnectionFailure`.
    @discardableResult
    public func pipeline(_ steps: [Step], timeout: Duration? = nil) async throws -> [Rows] {
        guard let last = steps.last else { return [] }
        let parameters = try steps.map { try ParameterBuffer($0.parameters, name: $0.statement.name) }
        let name = steps.count == 1 ? last.statement.name : "\(steps[0].statement.name)+\(steps.count - 1)"
        return try await run(.pipeline(steps, parameters), name, timeout)
    }

    /// Runs SQL text with any number of statements in the simple protocol, for migrations and tools.
    ///
    /// The statements form one transaction unless they hold transaction commands of their own. COPY from or to the
    /// client closes the connection.
    ///
    /// - Parameters:
    ///   - sql: the text; must not hold secrets, since servers log it.
    ///   - name: the name for errors.
    ///   - timeout: the longest time for all of it; nil (the default) for the settings' value.
    /// - Returns: one result per statement, in text; read them with ``Row/text(_:)``.
    /// - Throws: ``PostgresError`` as ``query(_:_:timeout:)`` does.
    @discardableResult
    public func script(_ sql: String, name: String, timeout: Duration? = nil) async throws -> [Rows] {
        guard !sql.utf8.contains(0) else {
            throw PostgresError(code: .invalidParameter, message: "the script holds a NUL byte", queryName: name)
        }
        return try await run(.script(sql), name, timeout)
    }

    /// True when the connection is idle outside of a transaction block, so that another user may have it.
    public var isIdle: Bool {
        session.withLock { session in
            guard let handle = session.handle, session.running == nil else { return false }
            return PQtransactionStatus(handle) == PQTRANS_IDLE
        }
    }

    /// Takes the notices of the server that came since the last call, oldest first; of more than a hundred the newest.
    public func takeNotices() -> [Notice] { notices.takeKept() }

    /// A stream of all notifications that arrive from now on; call it before ``listen(_:timeout:)`` to miss none.
    ///
    /// Each call gives a stream of its own. It arrives without any query being run, ends when the connection ends, and
    /// drops the oldest of more than 4,096 unread notifications.
    public func notifications() -> AsyncStream<Notification> { hub.stream() }

    /// Starts listening to a channel.
    ///
    /// - Parameters:
    ///   - channel: any name of 1 to 63 bytes, taken literally (`PQescapeIdentifier`): case and quotes count.
    ///   - timeout: the longest time; nil (the default) for the settings' value.
    /// - Throws: ``PostgresError`` of code `invalidParameter` for an impossible name, otherwise as
    ///   ``query(_:_:timeout:)``.
    public func listen(_ channel: String, timeout: Duration? = nil) async throws {
        let quoted = try escape(identifier: channel)
        _ = try await query(Statement(name: "listen", sql: "LISTEN \(quoted)", prepare: false), timeout: timeout)
    }

    /// Quotes a name for use in SQL (`PQescapeIdentifier`).
    ///
    /// - Parameter identifier: 1 to 63 bytes without NUL; Postgres would silently cut a longer one.
    /// - Returns: the name in double quotes.
    /// - Throws: ``PostgresError`` of code `invalidParameter` or `closed`.
    public func escape(identifier: String) throws -> String {
        guard (1...63).contains(identifier.utf8.count), !identifier.utf8.contains(0) else {
            throw PostgresError(code: .invalidParameter, message: "a name must have 1 to 63 bytes and no NUL byte")
        }
        return try session.withLock { session in
            guard let handle = session.handle else {
                throw session.ending ?? PostgresError(code: .closed, message: "connection is closed")
            }
            guard let quoted = PQescapeIdentifier(handle, identifier, identifier.utf8.count) else {
                throw PostgresError(code: .invalidParameter, message: "the name cannot be quoted")
            }
            defer { PQfreemem(quoted) }
            return String(cString: quoted)
        }
    }

    /// Asks the server to stop the running query and waits until that query has ended, at most about a second; its
    /// caller gets ``PostgresError`` of code `cancelled`. Does nothing when no query runs.
    public func cancel() async {
        await withCheckedContinuation { continuation in
            change { session, effects in
                guard let job = session.running else { return effects.watchers.append(continuation) }
                job.watchers.append(continuation)
                session.interrupt(job, .cancelled, &effects)
            }
        }
    }

    /// Closes the connection at once: running and waiting queries throw code `closed`, streams end. Calling it again
    /// does nothing.
    public func close() async {
        change { $0.end(PostgresError(code: .closed, message: "the connection was closed"), &$1) }
    }

    /// Hands a job in and waits for its outcome.
    private func run(_ work: Job.Work, _ name: String, _ timeout: Duration?) async throws -> [Rows] {
        let job = Job(work, name: name, deadline: .after(timeout ?? queryTimeout))
        let outcome = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                change { session, effects in
                    job.continuation = continuation
                    session.submit(job, &effects)
                }
            }
        } onCancel: {
            change { $0.interrupt(job, .cancelled, &$1) }
        }
        return try outcome.get()
    }
}

extension Connection: SocketHandler {
    /// Writes and reads what the socket allows.
    func socketIsReady() {
        change { session, effects in
            if session.hasPendingOutput { session.flush() }
            session.receive(&effects)
        }
    }

    /// Changes the session under the lock, then carries out the consequences without it.
    private func change(_ body: (inout Session, inout Effects) -> Void) {
        let effects = session.withLock { session in
            var effects = Effects()
            body(&session, &effects)
            return effects
        }
        carryOut(effects)
    }

    /// Answers callers, spreads notifications, sets timers, sends cancel requests.
    private func carryOut(_ effects: Effects) {
        if effects.hasEnded { openFlag.store(false, ordering: .releasing) }
        // Before the answers: whoever awaits a query finds its notifications delivered.
        if !effects.notifications.isEmpty { hub.send(effects.notifications) }
        for answer in effects.answers { answer.continuation.resume(returning: answer.outcome) }
        for watcher in effects.watchers { watcher.resume() }
        if let time = effects.checkAt {
            Reactor.shared.schedule(at: time) { [weak self] in self?.change { $0.check(time, &$1) } }
        }
        for cancellation in effects.cancellations {
            cancellation.send { [weak self] in
                guard let job = cancellation.job else { return }
                self?.change { $0.cancellationReturned(job, &$1) }
            }
        }
        if effects.hasEnded { hub.finish() }
    }
}
