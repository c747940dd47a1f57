// A bounded set of connections lent to one user at a time. Its decisions are in PoolState.

internal import Synchronization

/// Connections to one database, opened when needed and kept for the next user.
///
/// Users that find none free wait in the order they came. A connection that ended, or that comes back inside a
/// transaction, is discarded and a new one opened in its place.
public final class Pool: Sendable {
    /// Where the connections go.
    public let settings: ConnectionSettings
    /// The most connections open at a time.
    public let maximumSize: Int
    /// The longest wait for a free connection.
    public let waitTimeout: Duration

    private let state: Mutex<PoolState>

    /// Makes an empty pool; nothing is opened yet.
    ///
    /// - Parameters:
    ///   - settings: where and how to connect.
    ///   - maximumSize: the most connections at a time, at least 1. Default 4.
    ///   - waitTimeout: the longest wait for a free connection. Default 10 s.
    public init(_ settings: ConnectionSettings, maximumSize: Int = 4, waitTimeout: Duration = .seconds(10)) {
        self.settings = settings
        self.maximumSize = max(1, maximumSize)
        self.waitTimeout = waitTimeout
        state = Mutex(PoolState(maximumSize: max(1, maximumSize)))
    }

    /// Lends a connection for the length of a closure; it is the caller's alone meanwhile.
    ///
    /// - Parameters:
    ///   - isolation: the caller's actor; leave it out.
    ///   - body: uses the connection; must not keep it.
    /// - Returns: what `body` returns.
    /// - Throws: ``PostgresError`` of code `timedOut` when no connection became free in time, `cancelled`, `closed`, or
    ///   that of ``Connection/open(_:)``; whatever `body` throws.
    public func withConnection<Result>(
        isolation: isolated (any Actor)? = #isolation, _ body: (Connection) async throws -> Result
    ) async throws -> Result {
        let connection = try await acquire()
        do {
            let result = try await body(connection)
            await release(connection)
            return result
        } catch {
            await release(connection)
            throw error
        }
    }

    /// Runs one statement on any connection; see ``Connection/query(_:_:timeout:)``.
    ///
    /// - Parameters:
    ///   - statement: what to run.
    ///   - parameters: the values of `$1`, `$2` …; empty by default.
    /// - Returns: the rows.
    /// - Throws: ``PostgresError`` as ``withConnection(isolation:_:)`` and the query do.
    @discardableResult
    public func query(_ statement: Statement, _ parameters: [Value] = []) async throws -> Rows {
        try await withConnection { try await $0.query(statement, parameters) }
    }

    /// Runs a pipeline on any connection; see ``Connection/pipeline(_:timeout:)``.
    ///
    /// - Parameter steps: what to run, in one transaction.
    /// - Returns: one result per step.
    /// - Throws: ``PostgresError`` as ``withConnection(isolation:_:)`` and the pipeline do.
    @discardableResult
    public func pipeline(_ steps: [Step]) async throws -> [Rows] {
        try await withConnection { try await $0.pipeline(steps) }
    }

    /// The number of connections open, being opened, or lent.
    public var size: Int { state.withLock { $0.total } }

    /// The number of connections nobody uses.
    public var idle: Int { state.withLock { $0.idle.count } }

    /// The number of callers waiting for a connection.
    public var waiting: Int { state.withLock { $0.waiters.count } }

    /// Closes free connections now and lent ones when they come back; waiting and later users throw code `closed`.
    public func close() async {
        let (connections, waiters) = state.withLock { $0.close() }
        let error = PostgresError(code: .closed, message: "the pool was closed")
        waiters.forEach { $0.resume(returning: .failure(error)) }
        for connection in connections { await connection.close() }
    }

    /// A connection for the caller alone.
    private func acquire() async throws -> Connection {
        switch try await grant() {
        case .connection(let connection): return connection
        case .permit:
            do {
                return try await Connection.open(settings)
            } catch {
                // The right to open one passes to the next in line, who may be luckier.
                passOn(state.withLock { $0.giveUpPermit() }, .permit)
                throw error
            }
        }
    }

    /// Takes a connection back.
    private func release(_ connection: Connection) async {
        let isReusable = connection.isIdle
        let (waiter, grant, mustClose) = state.withLock { $0.release(connection, isReusable: isReusable) }
        if let grant { passOn(waiter, grant) }
        if mustClose { await connection.close() }
    }

    /// Answers a waiter, if there is one.
    private func passOn(_ waiter: PoolState.Continuation?, _ grant: PoolState.Grant) {
        waiter?.resume(returning: .success(grant))
    }

    /// Waits for a free connection or the right to open one.
    private func grant() async throws -> PoolState.Grant {
        let ticket = state.withLock { $0.nextTicket() }
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                switch state.withLock({ $0.request(ticket, continuation) }) {
                case .answer(let result): continuation.resume(returning: result)
                case .wait: setTimer(ticket)
                }
            }
        } onCancel: {
            let waiter = state.withLock { $0.cancel(ticket) }
            waiter?.resume(returning: .failure(PoolState.cancelled))
        }
        return try result.get()
    }

    /// Ends a wait when its time is up.
    private func setTimer(_ ticket: Int) {
        Reactor.shared.schedule(at: .after(waitTimeout)) { [weak self] in
            let waiter = self?.state.withLock { $0.expire(ticket) }
            let error = PostgresError(code: .timedOut, message: "no connection became free in time")
            waiter?.resume(returning: .failure(error))
        }
    }
}
