// Where looks begin: at the front while they are quick, behind what is claimed once they are slow.

import Outbox
import Testing

@testable import OutboxWorker

@Suite struct LowWaterTests {
    private let front = [EventID](repeating: EventID(high: 0, low: 0), count: 3)

    private func id(_ milliseconds: UInt64) -> EventID { EventID(high: milliseconds << 16 | 0x7123, low: 42) }

    @Test func quickLooksBeginAtTheFront() {
        var water = LowWater()
        #expect(water.bounds(at: 0) == front)
        water.looked([(1, id(10_000))], from: 0, to: LowWater.slowLook)
        #expect(water.bounds(at: LowWater.slowLook) == front)
    }

    @Test func slowLooksBeginShortlyBeforeTheLastClaim() {
        var water = LowWater()
        water.looked([(1, id(10_000)), (1, id(10_007)), (2, id(9_000))], from: 0, to: LowWater.slowLook + 1)
        let bounds = water.bounds(at: LowWater.slowLook + 1)
        #expect(bounds[0] == front[0], "nothing of this priority was claimed")
        #expect(bounds[1] == EventID(high: 9_900 << 16, low: 0))
        #expect(bounds[2] == EventID(high: 8_900 << 16, low: 0))
        // What was claimed later moves the mark, and a look that found nothing leaves it.
        water.looked([(1, id(11_000))], from: 6_000, to: 6_100)
        water.looked([], from: 6_200, to: 6_300)
        #expect(water.bounds(at: 6_400)[1] == EventID(high: 10_900 << 16, low: 0))
    }

    @Test func fullLooksComeNowAndThenTheRarerTheSlower() {
        var water = LowWater()
        water.looked([(1, id(10_000))], from: 0, to: 6_000)
        #expect(water.bounds(at: 6_000 + LowWater.fullLookInterval - 1) != front)
        #expect(water.bounds(at: 6_000 + LowWater.fullLookInterval) == front)
        let start: Int64 = 1_000_000
        water.looked([], from: start, to: start + 300_000)
        #expect(water.bounds(at: start + 300_000 + 5_999_999) != front)
        #expect(water.bounds(at: start + 300_000 + 6_000_000) == front)
    }

    @Test func fullLookThatIsQuickAgainEndsIt() {
        var water = LowWater()
        water.looked([(1, id(10_000))], from: 0, to: 6_000)
        water.looked([], from: 1_000_000, to: 1_000_500)
        #expect(water.bounds(at: 1_000_600) == front)
    }

    @Test func firstMillisecondsOfTimeHaveNoIdBeforeThem() {
        var water = LowWater()
        water.looked([(0, id(20))], from: 0, to: 6_000)
        #expect(water.bounds(at: 6_000)[0] == front[0])
    }
}
