// Connects to a server that may be away: again and again, and not one attempt at a time.

internal import Logging
internal import Postgres

/// Makes attempts to connect until one succeeds.
///
/// A refused attempt is followed by the next after 20 ms, doubled up to 250 ms, half of it at random, so that work goes
/// on soon after the server does and not everybody comes at once. An attempt that hangs holds up nobody: the next begins
/// beside it after 700 ms. Packets of an attempt that were lost with the link are sent again by TCP after one, two, four
/// seconds only, so that an attempt of before the repair may take seconds longer than a new one.
struct Redialer: Sendable {
    /// The first and the longest wait after a refusal, in milliseconds.
    static let waits = (first: 20.0, longest: 250.0)
    /// The wait for an attempt before another one begins beside it.
    static let patience = 700.0
    /// Most attempts at once: as many as begin before the oldest is given up.
    static let mostAtOnce = 5

    /// What the connection is for, for the log.
    let use: String
    let logger: Logger

    private enum Event: Sendable {
        case opened(Connection)
        case refused(PostgresError)
        /// A wait is over; only the newest counts.
        case waited(Int)
    }

    /// Connects.
    ///
    /// - Parameter open: one attempt.
    /// - Throws: `CancellationError`; what `open` throws if it is no `PostgresError`.
    func dial(_ open: @escaping @Sendable () async throws -> Connection) async throws -> Connection {
        var trouble = Trouble()
        return try await withThrowingTaskGroup(of: Event.self) { group in
            defer { group.cancelAll() }
            var wait = Self.waits.first
            var attempts = 0
            var waits = 0
            func begin() {
                attempts += 1
                group.addTask {
                    do { return .opened(try await open()) } catch let error as PostgresError { return .refused(error) }
                }
            }
            func rest(_ milliseconds: Double) {
                waits += 1
                group.addTask { [waits] in
                    try await Task.sleep(for: .milliseconds(milliseconds))
                    return .waited(waits)
                }
            }
            begin()
            rest(Self.patience)
            while let event = try await group.next() {
                try Task.checkCancellation()
                switch event {
                case .opened(let connection): return connection
                case .refused(let error):
                    attempts -= 1
                    tell(error, &trouble)
                    guard attempts == 0 else { continue }
                    rest(wait * Double.random(in: 0.5...1))
                    wait = min(wait * 2, Self.waits.longest)
                case .waited(waits):
                    if attempts < Self.mostAtOnce { begin() }
                    rest(Self.patience)
                case .waited: break
                }
            }
            throw CancellationError()
        }
    }

    /// One line for each kind of failure, not for each attempt.
    private func tell(_ error: PostgresError, _ trouble: inout Trouble) {
        guard trouble.isNews(error) else { return }
        logger.warning("no connection to Postgres", metadata: ["use": "\(use)", "error": "\(error)"])
    }
}
