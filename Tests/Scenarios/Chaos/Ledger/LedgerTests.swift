// The ledger must see what is wrong: every test feeds it a history and names what it has to say.

import Testing

@Suite struct LedgerTests {
    private func ledger(
        _ entries: [(Int64, Ledger.Fate)], _ arrivals: [(mark: Int64?, path: String, isAccepted: Bool)],
        ids: [String]? = nil
    ) -> Ledger {
        var ledger = Ledger()
        ledger.write(entries.map { Ledger.Entry(mark: $0.0, fate: $0.1, at: 10) })
        ledger.write(
            arrivals.enumerated().map { place, arrival in
                let id = ids?[place] ?? arrival.mark.map { "id-\($0)" } ?? "id"
                return Ledger.Arrival(
                    mark: arrival.mark, id: id, path: arrival.path, at: UInt64(20 + place), isAccepted: arrival.isAccepted)
            })
        return ledger
    }

    private func verdict(_ ledger: Ledger, stored: Set<Int64> = [], dead: Set<Int64> = [], recovered: Set<Int64> = []) -> Ledger.Verdict {
        var verdict = ledger.verdict(standing: Ledger.Standing(stored: stored, dead: dead, recovered: recovered))
        verdict.examples = []
        return verdict
    }

    @Test func goodHistoryHasNoFaults() {
        let ledger = ledger(
            [(1, .acknowledged), (2, .acknowledged), (3, .rolledBack), (4, .unknown)],
            [(2, "/hook", true), (1, "/hook", true)])
        #expect(verdict(ledger, stored: [1, 2]) == Ledger.Verdict())
        #expect(ledger.description == "events: 2 acknowledged, 1 unknown, 1 rolled back")
    }

    @Test func acknowledgedEventThatNeverArrivesIsLost() {
        let ledger = ledger([(1, .acknowledged), (2, .acknowledged)], [(1, "/hook", true)])
        #expect(verdict(ledger, stored: [1, 2]) == Ledger.Verdict(lost: 1))
        #expect(verdict(ledger, stored: [1]) == Ledger.Verdict(lost: 1), "Postgres forgetting it is no excuse")
        #expect(verdict(ledger, stored: [1, 2], dead: [2]) == Ledger.Verdict(), "a dead letter is not lost")
    }

    @Test func eventThatWasOnlyRefusedIsLost() {
        let ledger = ledger([(1, .acknowledged)], [(1, "/hook", false)])
        #expect(verdict(ledger, stored: [1]) == Ledger.Verdict(lost: 1))
    }

    @Test func everyPathMustBeReached() {
        let ledger = ledger([(1, .acknowledged)], [(1, "/a", true)])
        let standing = Ledger.Standing(stored: [1], recovered: [1])
        let verdict = ledger.verdict(paths: ["/a", "/b"], standing: standing)
        #expect(verdict.lost == 1)
        #expect(verdict.recovered == 0, "what is lost is not recovered")
        #expect(verdict.examples == ["1 (acknowledged) was not delivered to /b"])
    }

    @Test func rolledBackEventThatArrivesIsUnexpectedOnce() {
        let ledger = ledger([(1, .rolledBack)], [(1, "/hook", true), (1, "/hook", true)])
        #expect(verdict(ledger) == Ledger.Verdict(unexpected: 1))
    }

    @Test func eventThatNobodyMadeIsUnexpected() {
        let ledger = ledger([], [(7, "/hook", true), (nil, "/hook", true)])
        #expect(verdict(ledger, stored: [7]) == Ledger.Verdict(unexpected: 2))
    }

    @Test func postgresDecidesAboutWhatTheProducerDoesNotKnow() {
        let arrived = ledger([(1, .unknown)], [(1, "/hook", true)])
        #expect(verdict(arrived, stored: [1]) == Ledger.Verdict())
        #expect(verdict(arrived, stored: []) == Ledger.Verdict(unexpected: 1))
        let absent = ledger([(1, .unknown)], [])
        #expect(verdict(absent, stored: [1]) == Ledger.Verdict(lost: 1))
        #expect(verdict(absent, stored: []) == Ledger.Verdict())
    }

    @Test func secondIDOfAnEventIsUnexpected() {
        let ledger = ledger([(1, .acknowledged)], [(1, "/hook", false), (1, "/hook", true)], ids: ["a", "b"])
        #expect(verdict(ledger, stored: [1]) == Ledger.Verdict(unexpected: 1))
    }

    @Test func onlyArrivalsAfterSuccessAreDuplicates() {
        let retried = ledger([(1, .acknowledged)], [(1, "/hook", false), (1, "/hook", false), (1, "/hook", true)])
        #expect(verdict(retried, stored: [1]) == Ledger.Verdict())
        let repeated = ledger([(1, .acknowledged)], [(1, "/hook", true), (1, "/hook", true), (1, "/hook", false)])
        #expect(verdict(repeated, stored: [1]) == Ledger.Verdict(duplicated: 2))
        let spread = ledger([(1, .acknowledged)], [(1, "/hook", true), (1, "/other", true)])
        #expect(verdict(spread, stored: [1]) == Ledger.Verdict(), "another path is another delivery")
    }

    @Test func orderOfArrivalIsByTime() {
        var ledger = Ledger()
        ledger.write([Ledger.Entry(mark: 1, fate: .acknowledged, at: 0)])
        ledger.write([
            Ledger.Arrival(mark: 1, id: "a", path: "/hook", at: 9, isAccepted: true),
            Ledger.Arrival(mark: 1, id: "a", path: "/hook", at: 5, isAccepted: false),
        ])
        #expect(verdict(ledger, stored: [1]) == Ledger.Verdict())
    }

    @Test func recoveredCountsWhatWasDelivered() {
        let ledger = ledger([(1, .acknowledged), (2, .acknowledged)], [(1, "/hook", true)])
        #expect(verdict(ledger, stored: [1, 2], dead: [2], recovered: [1, 2]) == Ledger.Verdict(recovered: 1))
    }

    @Test func longestGapIncludesTheEdges() {
        var ledger = Ledger()
        ledger.write([15, 12, 40, 70].map { Ledger.Arrival(mark: 1, id: "", path: "/", at: $0, isAccepted: true) })
        #expect(ledger.longestGap(from: 10, to: 42) == 25)
        #expect(ledger.longestGap(from: 0, to: 13) == 12)
        #expect(ledger.longestGap(from: 45, to: 69) == 24)
    }

    @Test func underWayIsWhatWasMadeAndHasNotArrived() {
        var ledger = Ledger()
        ledger.write([(1, 5), (2, 5), (3, 9)].map { Ledger.Entry(mark: $0, fate: .acknowledged, at: $1) })
        ledger.write([Ledger.Entry(mark: 4, fate: .unknown, at: 5)])
        ledger.write([(1, 6), (2, 8)].map { Ledger.Arrival(mark: $0, id: "", path: "/", at: $1, isAccepted: true) })
        #expect(ledger.underWay(at: 7) == [2])
    }
}
