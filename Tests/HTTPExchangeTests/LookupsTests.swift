// What is here: which name lookups run and which wait, with instants given by the test. Nothing is looked up.

import Testing

@testable import HTTPExchange

@Suite struct LookupsTests {
    private final class Started {
        var names: [String] = []
    }

    private let started = Started()
    private let second: Int64 = 1_000_000_000

    private func lookups() -> Lookups {
        Lookups { [started] key, name in
            #expect(key == name + ":443")
            started.names.append(name)
        }
    }

    private func begin(_ range: Range<Int>, _ lookups: inout Lookups, now: Int64) {
        for index in range { lookups.begin(key: "n\(index):443", name: "n\(index)", now: now) }
    }

    @Test func namesThatDoNotAnswerHoldUpOthersForASecond() {
        var lookups = lookups()
        begin(0..<32, &lookups, now: 7)
        #expect(started.names.count == 32 && lookups.nextStart == .max)
        begin(32..<40, &lookups, now: 8)
        #expect(started.names.count == 32 && lookups.nextStart == 7 + second)
        #expect(lookups.isQueued("n32:443") && !lookups.isQueued("n31:443"))
        lookups.advance(now: 6 + second)
        #expect(started.names.count == 32)
        lookups.advance(now: 7 + second)
        #expect(started.names == (0..<40).map { "n\($0)" })
        #expect(lookups.nextStart == .max)
    }

    @Test func placeOfALookupThatEndedIsTheNexts() {
        var lookups = lookups()
        begin(0..<34, &lookups, now: 0)
        lookups.ended(key: "n5:443", now: 1)
        #expect(started.names.count == 33 && started.names.last == "n32")
        // Nobody knows of it: it had no place.
        lookups.ended(key: "n5:443", now: 1)
        #expect(started.names.count == 33)
    }

    @Test func endOfALookupThatHungFreesNoFurtherPlace() {
        var lookups = lookups()
        begin(0..<32, &lookups, now: 0)
        begin(32..<65, &lookups, now: second)
        #expect(started.names.count == 64)
        lookups.ended(key: "n0:443", now: second + 1)
        #expect(started.names.count == 64)
    }

    @Test func lookupsThatHangAreBoundedToo() {
        var lookups = lookups()
        begin(0..<300, &lookups, now: 0)
        for turn in 0..<20 { lookups.advance(now: Int64(turn) * second) }
        #expect(started.names.count == 256 && lookups.nextStart == .max)
        lookups.ended(key: "n17:443", now: 20 * second)
        #expect(started.names.count == 257 && started.names.last == "n256")
    }
}
