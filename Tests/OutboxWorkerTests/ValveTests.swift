// When a batch is sent: whatever is reached first of its number, its bytes and its time.

import Outbox
import Testing

@testable import OutboxWorker

@Suite struct ValveTests {
    private func limits() throws -> BatchLimits {
        try BatchLimits(events: 3, wait: .milliseconds(100), bytes: 2048)
    }

    @Test func batchGoesWithItsNumberItsBytesOrItsTime() throws {
        let limits = try limits()
        var valve = Valve()
        #expect(!valve.isReady(limits, waiting: 0, at: 1_000_000), "nothing waits")
        valve.join(bytes: 1000, at: 500)
        valve.join(bytes: 1047, at: 90_000)
        #expect(!valve.isReady(limits, waiting: 2, at: 100_499))
        #expect(valve.isReady(limits, waiting: 2, at: 100_500), "its first has waited for as long as it may")
        #expect(valve.isReady(limits, waiting: 3, at: 90_000), "it is full")
        valve.join(bytes: 1, at: 90_000)
        #expect(valve.isReady(limits, waiting: 2, at: 90_000), "it is large enough")
    }

    /// The time of those that left is not the time of those that stay, nor are their bytes.
    @Test func batchThatLeftTakesItsTimeAndBytesAlong() throws {
        let limits = try limits()
        var valve = Valve()
        valve.join(bytes: 2000, at: 0)
        valve.join(bytes: 48, at: 70_000)
        valve.leave(bytes: 2000)
        #expect(valve.batchDue(limits) == 170_000)
        #expect(!valve.isReady(limits, waiting: 1, at: 169_999))
        valve.leave(bytes: 48)
        #expect(valve.batchDue(limits) == .max)
    }
}
