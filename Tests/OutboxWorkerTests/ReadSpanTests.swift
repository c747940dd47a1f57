// Of which events claims read the rows along: of those near what was claimed lately.

import Outbox
import Testing

@testable import OutboxWorker

@Suite struct ReadSpanTests {
    private let day = ReadSpan.margin
    private let memory = ReadSpan.memory

    private func id(_ milliseconds: Int64) -> EventID { EventID(high: UInt64(milliseconds) << 16 | 0x7123, low: 42) }

    private func ids(_ first: Int64, _ last: Int64) -> ClosedRange<EventID> {
        EventID(high: UInt64(first) << 16, low: 0)...EventID(high: UInt64(last) << 16 | 0xFFFF, low: .max)
    }

    @Test func nothingIsRuledOutAtFirst() {
        var span = ReadSpan()
        #expect(span.ids(at: 0) == ReadSpan.everything)
        span.claimed([], at: 1)
        #expect(span.ids(at: 2) == ReadSpan.everything)
    }

    @Test func spanReachesADayBeyondWhatWasClaimed() {
        var span = ReadSpan()
        span.claimed([id(10 * day), id(9 * day), id(12 * day + 5)], at: 0)
        #expect(span.ids(at: 1) == ids(8 * day, 13 * day + 5))
        span.claimed([id(7 * day)], at: 2)
        #expect(span.ids(at: 3) == ids(6 * day, 13 * day + 5))
    }

    @Test func whatWasClaimedIsForgottenAfterOneToTwoMinutes() {
        var span = ReadSpan()
        span.claimed([id(10 * day)], at: 0)
        span.claimed([id(40 * day)], at: memory - 1)
        #expect(span.ids(at: memory - 1) == ids(9 * day, 41 * day))
        span.claimed([id(40 * day)], at: memory)
        #expect(span.ids(at: 2 * memory - 1) == ids(9 * day, 41 * day))
        span.claimed([id(40 * day)], at: 2 * memory)
        #expect(span.ids(at: 2 * memory) == ids(39 * day, 41 * day))
        #expect(span.ids(at: 3 * memory) == ids(39 * day, 41 * day))
        #expect(span.ids(at: 4 * memory) == ReadSpan.everything)
    }

    @Test func longRestForgetsEverything() {
        var span = ReadSpan()
        span.claimed([id(10 * day)], at: 0)
        #expect(span.ids(at: 2 * memory) == ReadSpan.everything)
    }

    /// Ids that are no times, as of version 4.
    @Test func endsOfTimeAreNotPassed() {
        var span = ReadSpan()
        span.claimed([id(5), EventID(high: .max, low: .max)], at: 0)
        #expect(span.ids(at: 0) == ReadSpan.everything)
    }
}
