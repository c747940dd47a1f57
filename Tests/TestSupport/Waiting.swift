// Waiting with a deadline. No test sleeps for a fixed time and hopes.

internal import Foundation

/// Everything takes three times as long under a sanitizer, at least.
private let slowness = ProcessInfo.processInfo.environment["POSTRIDER_SANITIZER"] == nil ? 1 : 3

/// Something did not happen in time.
public struct Timeout: Error, CustomStringConvertible {
    /// What was waited for.
    public let what: String

    /// Makes the error; for tests with waits of their own.
    public init(what: String) { self.what = what }

    /// One line.
    public var description: String { "waited in vain for \(what)" }
}

/// Runs something that waits, at most for a time.
///
/// - Throws: ``Timeout``, or what `body` throws.
public func withDeadline(
    _ limit: Duration, _ what: @autoclosure @escaping @Sendable () -> String,
    _ body: @escaping @Sendable () async throws -> Void
) async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { try await body() }
        group.addTask {
            try await Task.sleep(for: limit * slowness)
            throw Timeout(what: what())
        }
        defer { group.cancelAll() }
        try await group.next()
    }
}

/// Asks again and again until the answer is yes: for state that only SQL can see.
///
/// - Throws: ``Timeout``, or what `condition` throws.
public func eventually(
    _ what: String, within limit: Duration = .seconds(20), _ condition: () async throws -> Bool
) async throws {
    let end = ContinuousClock.now + limit * slowness
    while ContinuousClock.now < end {
        if try await condition() { return }
        try await Task.sleep(for: .milliseconds(10))
    }
    throw Timeout(what: what)
}
