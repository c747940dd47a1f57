// Who gets which connection. Guarded by Pool's lock; does no I/O and knows no clock.

/// The decisions of a pool.
struct PoolState {
    /// What a user is given: a connection, or the right to open one.
    enum Grant: Sendable {
        case connection(Connection)
        case permit
    }

    /// What to do with a request.
    enum Reply {
        case answer(Swift.Result<Grant, PostgresError>)
        case wait
    }

    /// A user who waits.
    typealias Continuation = CheckedContinuation<Swift.Result<Grant, PostgresError>, Never>

    /// Connections nobody uses, the most recently used last.
    private(set) var idle: [Connection] = []
    /// Connections open, being opened, or lent.
    private(set) var total = 0
    /// Users who wait, in order.
    private(set) var waiters: [(ticket: Int, continuation: Continuation)] = []
    private let maximumSize: Int
    private var isClosed = false
    private var lastTicket = 0
    /// Tickets cancelled before their request arrived.
    private var cancelledEarly: Set<Int> = []
    /// Tickets whose request has not arrived yet.
    private var outstanding: Set<Int> = []

    /// What a cancelled wait throws.
    static let cancelled = PostgresError(code: .cancelled, message: "cancelled while waiting for a connection")

    init(maximumSize: Int) { self.maximumSize = maximumSize }

    /// A number for the next request.
    mutating func nextTicket() -> Int {
        lastTicket += 1
        outstanding.insert(lastTicket)
        return lastTicket
    }

    /// Decides on a request: the connection used last (its caches are warm), else a new one, else wait.
    mutating func request(_ ticket: Int, _ continuation: Continuation) -> Reply {
        outstanding.remove(ticket)
        if cancelledEarly.remove(ticket) != nil { return .answer(.failure(Self.cancelled)) }
        if isClosed { return .answer(.failure(PostgresError(code: .closed, message: "the pool was closed"))) }
        while let connection = idle.popLast() {
            if connection.isOpen { return .answer(.success(.connection(connection))) }
            total -= 1
        }
        if total < maximumSize {
            total += 1
            return .answer(.success(.permit))
        }
        waiters.append((ticket, continuation))
        return .wait
    }

    /// Takes a connection back: to the first waiter, else to the idle ones. In place of one that cannot be used again,
    /// the first waiter gets the right to open another.
    mutating func release(
        _ connection: Connection, isReusable: Bool
    ) -> (waiter: Continuation?, grant: Grant?, mustClose: Bool) {
        guard isReusable, !isClosed else {
            return (giveUpPermit(), .permit, true)
        }
        guard let waiter = popWaiter() else {
            idle.append(connection)
            return (nil, nil, false)
        }
        return (waiter, .connection(connection), false)
    }

    /// Frees a place; returns the waiter it now belongs to, nil when nobody waits.
    mutating func giveUpPermit() -> Continuation? {
        guard let waiter = popWaiter() else {
            total -= 1
            return nil
        }
        return waiter
    }

    /// Takes out a cancelled waiter; nil when it has been answered, or has not asked yet and will be refused.
    mutating func cancel(_ ticket: Int) -> Continuation? {
        if outstanding.contains(ticket) { cancelledEarly.insert(ticket) }
        return expire(ticket)
    }

    /// Takes out a waiter whose time is up; nil when it has been answered.
    mutating func expire(_ ticket: Int) -> Continuation? {
        guard let index = waiters.firstIndex(where: { $0.ticket == ticket }) else { return nil }
        return waiters.remove(at: index).continuation
    }

    /// Refuses everyone from now on; returns the free connections and the waiters.
    mutating func close() -> ([Connection], [Continuation]) {
        isClosed = true
        defer {
            total -= idle.count
            idle = []
            waiters = []
        }
        return (idle, waiters.map(\.continuation))
    }

    /// The first waiter, nil when there is none.
    private mutating func popWaiter() -> Continuation? {
        waiters.isEmpty ? nil : waiters.removeFirst().continuation
    }
}
