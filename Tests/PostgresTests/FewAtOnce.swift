// All tests of a run begin together. So many connections at once take seconds to open and to interrupt, which have deadlines.

import TestSupport
import Testing

/// Lets eight tests of the suites that have it work at once.
struct FewAtOnce: SuiteTrait, TestTrait, TestScoping {
    private static let gate = Gate(places: 8)
    let isRecursive = true

    func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
    ) async throws {
        let place = await Self.gate.enter()
        defer { Self.gate.leave(place) }
        try await function()
    }
}

extension Trait where Self == FewAtOnce {
    /// For suites whose tests open connections.
    static var fewAtOnce: FewAtOnce { FewAtOnce() }
}
