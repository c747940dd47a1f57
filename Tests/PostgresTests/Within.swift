// A deadline for anything a test awaits. A hang then fails one test instead of the whole run.

/// Thrown when a test waited too long.
struct TooLate: Error, CustomStringConvertible {
    /// How long the test waited.
    let limit: Duration

    /// Makes the error; for tests with waits of their own.
    init(limit: Duration) { self.limit = limit }

    /// One line.
    var description: String { "nothing happened within \(limit)" }
}

/// Runs a closure and cancels it when the time is up.
///
/// - Parameters:
///   - limit: the longest time.
///   - body: what to wait for; must react to cancellation.
/// - Returns: what `body` returns.
/// - Throws: ``TooLate``, or whatever `body` throws.
func within<Result: Sendable>(
    _ limit: Duration, _ body: @escaping @Sendable () async throws -> Result
) async throws -> Result {
    try await withThrowingTaskGroup(of: Result.self) { group in
        group.addTask(operation: body)
        group.addTask {
            try await Task.sleep(for: limit)
            throw TooLate(limit: limit)
        }
        defer { group.cancelAll() }
        guard let first = try await group.next() else { throw TooLate(limit: limit) }
        return first
    }
}
