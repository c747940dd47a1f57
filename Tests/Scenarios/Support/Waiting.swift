// Waiting with a deadline. Nothing in the scenarios sleeps for a fixed time and hopes.

import Foundation

/// Something did not happen in time.
struct Timeout: Error, CustomStringConvertible {
    let what: String
    var description: String { "waited in vain for \(what)" }
}

/// Runs something that waits, at most for a time.
func withDeadline(
    _ limit: Duration, _ what: @autoclosure @escaping @Sendable () -> String,
    _ body: @escaping @Sendable () async throws -> Void
) async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { try await body() }
        group.addTask {
            try await Task.sleep(for: limit)
            throw Timeout(what: what())
        }
        defer { group.cancelAll() }
        try await group.next()
    }
}

/// Asks again and again until the answer is yes: for state that only SQL can see.
func eventually(
    _ what: String, within limit: Duration = .seconds(20), _ condition: () async throws -> Bool
) async throws {
    let end = ContinuousClock.now + limit
    while ContinuousClock.now < end {
        if try await condition() { return }
        try await Task.sleep(for: .milliseconds(10))
    }
    throw Timeout(what: what)
}
