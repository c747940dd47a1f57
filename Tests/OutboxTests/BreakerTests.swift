// When a breaker opens, what it lets through, and how the traffic comes back.

import Testing

@testable import Outbox

@Suite struct BreakerTests {
    private func failing(_ count: Int, strains: Bool = true, _ breaker: Breaker = Breaker()) -> (Breaker, [Breaker.Report]) {
        var breaker = breaker
        let reports = (0..<count).compactMap { breaker.fail(strains: strains, at: Int64($0)) }
        return (breaker, reports)
    }

    /// Checks what a change of a breaker reports; macros take no mutating calls.
    private func expect(
        _ breaker: inout Breaker, _ report: Breaker.Report?, at place: SourceLocation = #_sourceLocation,
        _ change: (inout Breaker) -> Breaker.Report?
    ) {
        let found = change(&breaker)
        #expect(found == report, sourceLocation: place)
    }

    @Test func unknownDestinationBeginsSlowlyAndDoubles() {
        var breaker = Breaker()
        #expect(breaker.limit(of: 64) == 8)
        #expect(breaker.limit(of: 3) == 3)
        var limits: [Int] = []
        for _ in 0..<60 {
            expect(&breaker, nil) { $0.succeed(limit: 64) }
            if breaker.limit(of: 64) != limits.last { limits.append(breaker.limit(of: 64)) }
        }
        #expect(limits == [8, 16, 32, 64])
        #expect(breaker.state == .closed)
        #expect(!breaker.isWorthKeeping)
    }

    @Test func tenStrainsInARowOpenIt() {
        var (breaker, reports) = failing(9)
        #expect(reports.isEmpty)
        #expect(breaker.limit(of: 64) == 8)
        expect(&breaker, .opened) { $0.fail(strains: true, at: 77) }
        #expect(breaker.limit(of: 64) == 0)
        #expect(breaker.openedAt == 77)
        #expect(breaker.failingSince == 77)
        // What was in flight and fails afterwards opens nothing again.
        #expect(failing(30, breaker).1.isEmpty)
    }

    @Test func successInBetweenBeginsTheCountAnew() {
        var (breaker, _) = failing(9)
        expect(&breaker, nil) { $0.succeed(limit: 64) }
        (breaker, _) = failing(9, breaker)
        #expect(breaker.limit(of: 64) > 0)
        #expect(breaker.failures == 9)
    }

    @Test func refusalsAreCountedAndOpenNothing() {
        let (breaker, reports) = failing(25, strains: false)
        #expect(reports == [.failing, .failing])
        #expect(breaker.limit(of: 64) == 8)
        var mixed = breaker
        expect(&mixed, .recovered) { $0.succeed(limit: 64) }
        expect(&mixed, nil) { $0.succeed(limit: 64) }
    }

    @Test func oneProbeDecides() {
        var (breaker, _) = failing(10)
        breaker.learn(isOpen: true, mayProbe: false)
        #expect(breaker.limit(of: 64) == 0)
        breaker.learn(isOpen: true, mayProbe: true)
        #expect(breaker.limit(of: 64) == 1)
        // Half a second later Postgres tells of the probe as this worker's yet.
        breaker.learn(isOpen: true, mayProbe: false, holdsProbe: true)
        #expect(breaker.limit(of: 64) == 1)
        var failed = breaker
        expect(&failed, .opened) { $0.fail(strains: true, at: 5) }
        #expect(failed.limit(of: 64) == 0)
        expect(&breaker, .recovered) { $0.succeed(limit: 64) }
        #expect(breaker.limit(of: 64) == 2)
    }

    /// Another worker's may be under way, or have failed.
    @Test func probeThatWasNotSentInItsTimeIsNotSentLater() {
        var (breaker, _) = failing(10)
        breaker.learn(isOpen: true, mayProbe: true)
        breaker.learn(isOpen: true, mayProbe: false)
        #expect(breaker.limit(of: 64) == 0)
        // One that was on its way then is news all the same.
        expect(&breaker, .recovered) { $0.succeed(limit: 64) }
    }

    /// There is nothing left to probe for.
    @Test(arguments: [false, true]) func probeEndsWithTheBreaker(isKnownToFail: Bool) {
        var (breaker, _) = failing(10)
        breaker.learn(isOpen: true, mayProbe: true)
        if isKnownToFail { breaker.learn(isOpen: false, mayProbe: false) } else { breaker.learnRecovery() }
        #expect(breaker.limit(of: 64) == 2)
        // One failure does not open it again.
        expect(&breaker, nil) { $0.fail(strains: true, at: 50) }
        #expect(breaker.limit(of: 64) == 2)
    }

    @Test func probeThatIsRefusedShowsThatTheReceiverLives() {
        var (breaker, _) = failing(10)
        breaker.learn(isOpen: true, mayProbe: true)
        expect(&breaker, .recovered) { $0.fail(strains: false, at: 5) }
        #expect(breaker.limit(of: 64) == 2)
    }

    @Test func answerThatBlamesNobodyEndsAProbeAndNothingElse() {
        var (breaker, _) = failing(10)
        expect(&breaker, nil) { $0.answer() }
        #expect(breaker.limit(of: 64) == 0)
        breaker.learn(isOpen: true, mayProbe: true)
        expect(&breaker, .recovered) { $0.answer() }
        #expect(breaker.limit(of: 64) == 2)
    }

    /// The row tells of failures and not of an open breaker: nobody would ever be given a probe.
    @Test func breakerThatNobodyKnowsToBeOpenCloses() {
        var (breaker, _) = failing(10)
        #expect(breaker.limit(of: 64) == 0)
        breaker.learn(isOpen: false, mayProbe: false)
        #expect(breaker.limit(of: 64) == 2)
    }

    /// What was counted before an end that others saw does not count any more.
    @Test func recoveryThatOthersToldOfEndsTheTimeOfFailure() {
        var (breaker, reports) = failing(10, strains: false)
        #expect(reports == [.failing] && breaker.failingSince != nil)
        breaker.learnRecovery()
        #expect(breaker.failingSince == nil && breaker.failures == 0)
    }

    /// One that nobody was told of may have been followed by successes elsewhere.
    @Test func singleFailureBeginsNoTimeOfFailure() {
        var breaker = Breaker()
        expect(&breaker, nil) { $0.fail(strains: false, at: 5) }
        #expect(breaker.failingSince == nil)
        for now in 6..<14 { _ = breaker.fail(strains: false, at: Int64(now)) }
        expect(&breaker, .failing) { $0.fail(strains: false, at: 900) }
        #expect(breaker.failingSince == 900)
    }

    /// A receiver that answers probes, and with no yes, goes on failing all the same.
    @Test func probeThatIsRefusedDoesNotEndTheTimeOfFailure() {
        var (breaker, _) = failing(10)
        let since = breaker.failingSince
        breaker.learn(isOpen: true, mayProbe: true)
        expect(&breaker, .recovered) { $0.fail(strains: false, at: 5_000) }
        breaker.learnRecovery()
        #expect(since != nil && breaker.failingSince == since)
    }

    @Test func relapseOpensSooner() {
        var (breaker, _) = failing(10)
        breaker.learn(isOpen: true, mayProbe: true)
        _ = breaker.succeed(limit: 64)
        #expect(failing(2, breaker).1.isEmpty)
        #expect(failing(3, breaker).1 == [.opened])
    }

    /// Else one bad second in a year would close a destination that tripped once.
    @Test func destinationThatHasItsTrafficBackIsLikeAnyOther() {
        var (breaker, _) = failing(10)
        breaker.learn(isOpen: true, mayProbe: true)
        for _ in 0..<200 { _ = breaker.succeed(limit: 64) }
        #expect(breaker.state == .closed && !breaker.isWorthKeeping)
        #expect(failing(9, breaker).1.isEmpty)
        #expect(failing(10, breaker).1 == [.opened])
    }

    /// Forgotten with its lane, it would begin with eight requests at once, and its recovery would be news for nobody.
    @Test func breakerThatKnowsOfTroubleIsWorthKeeping() {
        #expect(!Breaker().isWorthKeeping)
        #expect(failing(1, strains: false).0.isWorthKeeping)
        var (breaker, _) = failing(10)
        #expect(breaker.isWorthKeeping)
        breaker.learn(isOpen: true, mayProbe: true)
        _ = breaker.succeed(limit: 64)
        #expect(breaker.failures == 0 && breaker.isWorthKeeping, "its traffic is coming back")
        var told = Breaker()
        told.learn(isOpen: false, mayProbe: false)
        #expect(told.isWorthKeeping, "its success is news for the others")
    }

    /// A receiver that answers some requests with a refusal is alive; only strains in a row count.
    @Test func refusalInBetweenBeginsTheCountOfStrainsAnew() {
        var (breaker, reports) = failing(9)
        #expect(reports.isEmpty)
        expect(&breaker, .failing) { $0.fail(strains: false, at: 9) }
        (breaker, reports) = failing(9, breaker)
        #expect(!reports.contains(.opened) && breaker.limit(of: 64) == 8)
        expect(&breaker, .opened) { $0.fail(strains: true, at: 99) }
    }

    /// What was under way together is refused together, and tells nothing more.
    @Test func receiverThatAsksForLessGetsHalfAndThenEighthsMore() {
        var breaker = Breaker()
        for _ in 0..<60 { _ = breaker.succeed(limit: 64) }
        let eased = (0..<64).map { breaker.ease(limit: 64, startedAt: 90, at: 100 + Int64($0)) }
        #expect(eased.allSatisfy { $0 } && breaker.isEased)
        var limits: [Int] = []
        while breaker.state != .closed, limits.count < 20 {
            let limit = breaker.limit(of: 64)
            limits.append(limit)
            for _ in 0..<limit { expect(&breaker, nil) { $0.succeed(limit: 64) } }
        }
        #expect(limits == [32, 36, 40, 45, 50, 56, 63])
        #expect(!breaker.isEased)
    }

    /// Then its refusals are strains like others.
    @Test func nobodyGetsLessThanAnUnknownDestination() {
        var breaker = Breaker()
        for _ in 0..<60 { _ = breaker.succeed(limit: 64) }
        // An eighth of 64 and of 32, and then the fewest.
        let eased = (0..<16).map { breaker.ease(limit: 64, startedAt: Int64($0), at: Int64($0)) }
        #expect(eased == Array(repeating: true, count: 8 + 4 + 3) + [false])
        #expect(breaker.limit(of: 64) == Breaker.firstLimit)
        var small = Breaker()
        for _ in 0..<60 { _ = small.succeed(limit: 5) }
        let isEased = small.ease(limit: 5, startedAt: 1, at: 2)
        #expect(!isEased && small.limit(of: 5) == 5)
    }

    /// A balancer may drop one request in fifty, or in twenty, however few it gets.
    @Test(arguments: [64, 1_000]) func receiverThatRefusesFewGetsAllTheSame(limit: Int) {
        for share in [20, 50, 200] {
            var breaker = Breaker()
            for answer in 1...20_000 {
                if answer % share == 0 {
                    let isEased = breaker.ease(limit: limit, startedAt: Int64(answer), at: Int64(answer))
                    // An unknown destination gets no less: its refusals are strains.
                    #expect(isEased == (breaker.limit(of: limit) > Breaker.firstLimit))
                } else {
                    expect(&breaker, nil) { $0.succeed(limit: limit) }
                }
            }
            #expect(breaker.state == .closed && !breaker.isEased, "one in \(share)")
        }
    }

    /// An eighth of what it gets each time, and then ten.
    @Test func receiverThatRefusesEverythingIsLeftAlone() {
        var breaker = Breaker()
        for _ in 0..<2_000 { _ = breaker.succeed(limit: 1_000) }
        var (refusals, report) = (0, Breaker.Report?.none)
        while report != .opened, refusals < 1_000 {
            refusals += 1
            let now = Int64(refusals)
            let isEased = breaker.ease(limit: 1_000, startedAt: now, at: now)
            report = breaker.fail(strains: true, eased: isEased, at: now)
        }
        #expect(report == .opened && refusals < 300)
    }

    /// A balancer says now and then that the receivers behind it are overloaded, and most requests run out of time.
    @Test func refusalThatIsEasedEndsNoStrainsInARow() {
        var breaker = Breaker()
        for _ in 0..<60 { _ = breaker.succeed(limit: 64) }
        for now in 1...9 { expect(&breaker, nil) { $0.fail(strains: true, at: Int64(now)) } }
        let isEased = breaker.ease(limit: 64, startedAt: 9, at: 10)
        #expect(isEased)
        // The tenth failure is told, but opens nothing.
        expect(&breaker, .failing) { $0.fail(strains: true, eased: true, at: 10) }
        expect(&breaker, .opened) { $0.fail(strains: true, at: 11) }
    }

    @Test func breakerThatIsShutEasesNothing() {
        var (breaker, _) = failing(10)
        var isEased = breaker.ease(limit: 64, startedAt: 20, at: 21)
        #expect(!isEased && breaker.limit(of: 64) == 0)
        breaker.learn(isOpen: true, mayProbe: true)
        isEased = breaker.ease(limit: 64, startedAt: 22, at: 23)
        #expect(!isEased)
        expect(&breaker, .recovered) { $0.succeed(limit: 64) }
        #expect(breaker.limit(of: 64) == 2 && !breaker.isEased)
    }

    /// Only what was sent before it got less tells nothing more.
    @Test func attemptThatBeganWhenItGotLessCounts() {
        var breaker = Breaker()
        for _ in 0..<60 { _ = breaker.succeed(limit: 64) }
        for _ in 0..<8 { _ = breaker.ease(limit: 64, startedAt: 0, at: 100) }
        #expect(breaker.limit(of: 64) == 32)
        for _ in 0..<4 { _ = breaker.ease(limit: 64, startedAt: 100, at: 200) }
        #expect(breaker.limit(of: 64) == 16)
    }

    @Test func otherWorkersNewsOpensAndClosesIt() {
        var breaker = Breaker()
        for _ in 0..<60 { _ = breaker.succeed(limit: 64) }
        breaker.learn(isOpen: false, mayProbe: false)
        #expect(breaker.limit(of: 64) == 64)
        breaker.learn(isOpen: true, mayProbe: false)
        #expect(breaker.limit(of: 64) == 0)
        breaker.learnRecovery()
        #expect(breaker.limit(of: 64) == 2)
        // A success that comes while it counts as open is news for the others.
        breaker.learn(isOpen: true, mayProbe: false)
        expect(&breaker, .recovered) { $0.succeed(limit: 64) }
    }
}
