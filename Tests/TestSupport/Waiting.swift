// Waiting with a deadline. No test sleeps for a fixed time and hopes.

public import Foundation

/// Everything takes three times as long under a sanitizer, at least.
let slowness = ProcessInfo.processInfo.environment["POSTRIDER_SANITIZER"] == nil ? 1 : 3

/// Something did not happen in time.
public struct Timeout: Error, CustomStringConvertible {
    /// What was waited for.
    public let what: String

    /// Makes the error; for tests with waits of their own.
    public init(what: String) { self.what = what }

    /// One line.
    public var description: String { "waited in vain for \(what)" }
}

/// Runs something that waits, at most for a time. Then it is cancelled, and left behind if it does not heed that: a hang fails
/// one test instead of the whole run.
///
/// - Throws: ``Timeout``, or what `body` throws.
public func withDeadline<Value: Sendable>(
    _ limit: Duration, _ what: @autoclosure @escaping @Sendable () -> String,
    _ body: @escaping @Sendable () async throws -> Value
) async throws -> Value {
    let (outcome, entrance) = AsyncThrowingStream<Value, any Error>.makeStream()
    let waiting = Task {
        do {
            entrance.yield(try await body())
        } catch {
            entrance.finish(throwing: error)
        }
    }
    let clock = Task {
        try await Task.sleep(for: limit * slowness)
        entrance.finish(throwing: Timeout(what: what()))
    }
    defer {
        waiting.cancel()
        clock.cancel()
    }
    guard let value = try await outcome.first(where: { _ in true }) else { throw CancellationError() }
    return value
}

/// Asks again and again until the answer is yes: for state that only SQL can see. Twenty times at least, however late: where
/// many tests share two threads, each turn of this one may take seconds.
///
/// - Throws: ``Timeout``, or what `condition` throws.
public func eventually(
    _ what: String, within limit: Duration = .seconds(20), _ condition: () async throws -> Bool
) async throws {
    let end = ContinuousClock.now + limit * slowness
    var looks = 0
    while ContinuousClock.now < end || looks < 20 {
        if try await condition() { return }
        looks += 1
        try await Task.sleep(for: .milliseconds(10))
    }
    throw Timeout(what: what)
}

extension Process {
    /// Runs something that waits for the program's end or reads what it says, at most for a time: then the program is killed,
    /// which ends both.
    public func limited<Value>(to limit: Duration = .seconds(60), _ body: () throws -> Value) rethrows -> Value {
        let id = processIdentifier
        let late = DispatchWorkItem { _ = kill(id, SIGKILL) }
        // A queue of its own has a thread, whoever else waits.
        DispatchQueue(label: "limit").asyncAfter(
            deadline: .now() + .seconds(Int((limit * slowness).components.seconds)), execute: late)
        defer { late.cancel() }
        return try body()
    }
}
