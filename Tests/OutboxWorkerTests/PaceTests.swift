// What exchanges of a second tell of a destination.

import Testing

@testable import OutboxWorker

@Suite struct PaceTests {
    @Test func nothingIsKnownBeforeASecondIsOver() {
        var pace = Pace()
        for end in 0..<10 { pace.add(30_000, at: Int64(end) * 100_000) }
        #expect(pace.mean == nil)
        pace.add(30_000, at: 1_000_000)
        #expect(pace.mean == 30_000)
    }

    @Test func eachSecondReplacesTheOneBefore() {
        var pace = Pace()
        for end in 0...10 { pace.add(10_000, at: Int64(end) * 100_000) }
        for end in 11...20 { pace.add(end < 16 ? 20_000 : 40_000, at: Int64(end) * 100_000) }
        // One of 10 ms, five of 20 and four of 40.
        #expect(pace.mean == 27_000)
    }

    @Test func exchangeThatEndsASecondBelongsToTheNext() {
        var pace = Pace()
        pace.add(10_000, at: 0)
        pace.add(5_000_000, at: 5_000_000)
        #expect(pace.mean == 10_000)
        pace.add(10_000, at: 6_000_000)
        #expect(pace.mean == 5_000_000)
    }
}
