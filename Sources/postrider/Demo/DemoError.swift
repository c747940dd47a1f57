// Why a demo ends early, and waiting that never goes on for ever.

/// What stopped the demo, in one line for people.
struct DemoError: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

/// Waits until a condition holds, looking every few milliseconds.
///
/// - Parameters:
///   - what: what is waited for, told when it does not come.
///   - limit: the longest wait; default 60 s.
///   - condition: looks.
/// - Throws: ``DemoError`` after the limit; `CancellationError`; what `condition` throws.
func demoWait(for what: String, within limit: Duration = .seconds(60), until condition: () async throws -> Bool)
    async throws
{
    let end = ContinuousClock.now + limit
    while try await !condition() {
        guard ContinuousClock.now < end else { throw DemoError("waited \(limit.components.seconds) s for \(what)") }
        try await Task.sleep(for: .milliseconds(3))
    }
}
