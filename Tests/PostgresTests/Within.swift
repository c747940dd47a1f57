// A deadline for anything a test awaits. A hang then fails one test instead of the whole run.

import TestSupport

/// Runs a closure, and leaves it to itself when the time is up.
///
/// - Parameters:
///   - limit: the longest time.
///   - body: what to wait for; cancelled when it is late.
/// - Returns: what `body` returns.
/// - Throws: `Timeout`, or whatever `body` throws.
func within<Result: Sendable>(
    _ limit: Duration, _ body: @escaping @Sendable () async throws -> Result
) async throws -> Result {
    try await withDeadline(limit, "something to happen within \(limit)", body)
}
