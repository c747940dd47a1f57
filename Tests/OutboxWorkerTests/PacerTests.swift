// When a worker looks at the queue, and when it holds the doorbell.

import Testing

@testable import OutboxWorker

@Suite struct PacerTests {
    private let floor: Int64 = 25_000

    @Test func firstLookIsAtOnceAndQuietOnesWaitForTheFloor() {
        var pacer = Pacer(floorPoll: floor)
        #expect(pacer.nextClaim(at: 1_000_000) <= 1_000_000)
        pacer.claimed(0, wanted: 500, at: 1_000_000)
        #expect(pacer.nextClaim(at: 1_000_001) == 1_000_000 + floor)
        pacer.ring(at: 1_000_001)
        #expect(pacer.nextClaim(at: 1_000_002) <= 1_000_002)
    }

    @Test func fullClaimIsFollowedByAnotherAtOnce() {
        var pacer = Pacer(floorPoll: floor)
        pacer.claimed(500, wanted: 500, at: 1_000_000)
        #expect(pacer.nextClaim(at: 1_000_000) <= 1_000_000)
        pacer.claimed(499, wanted: 500, at: 1_000_100)
        #expect(pacer.nextClaim(at: 1_000_100) > 1_000_100)
    }

    @Test func bellIsHeldAtHighRatesAndLetGoAtLowOnes() {
        var pacer = Pacer(floorPoll: floor)
        var now: Int64 = 1_000_000
        for _ in 0..<60 {
            pacer.claimed(5, wanted: 500, at: now)
            now += 5_000
        }
        #expect(pacer.holdsBell)
        #expect(pacer.nextClaim(at: now) <= now + Pacer.busyPoll)
        for _ in 0..<60 {
            pacer.claimed(0, wanted: 500, at: now)
            now += 5_000
        }
        #expect(!pacer.holdsBell)
    }

    @Test func looksFollowTheReleaseOfTheBell() {
        var pacer = Pacer(floorPoll: 1_000_000)
        var now: Int64 = 1_000_000
        while !pacer.holdsBell, now < 10_000_000 {
            pacer.claimed(20, wanted: 500, at: now)
            now += 10_000
        }
        #expect(pacer.holdsBell)
        while pacer.holdsBell, now < 20_000_000 {
            pacer.claimed(0, wanted: 500, at: now)
            now += 10_000
        }
        #expect(!pacer.holdsBell)
        // A producer may have found the bell held just before: the event is found without waiting for the floor.
        let released = now - 10_000
        #expect(pacer.nextClaim(at: released) <= released + 2_000)
    }

    @Test func rowsOfManyEventsAreLookedAtInSmallNumbers() {
        var pacer = Pacer(floorPoll: floor)
        #expect(pacer.rows(forEvents: 500) == 500)
        pacer.claimed(512, wanted: 500, at: 1)
        let few = pacer.rows(forEvents: 500)
        #expect(few < 100)
        // As few events as rows: there may be more behind them.
        pacer.claimed(few, wanted: 500, at: 2)
        #expect(pacer.nextClaim(at: 2) <= 2)
        #expect(pacer.rows(forEvents: 500) > few)
        pacer.claimed(1, wanted: 500, at: 3)
        #expect(pacer.rows(forEvents: 500) == 500)
    }

    /// A worker that is woken by many commits, of which it gets few events: the others are faster.
    private func ringing(_ pacer: inout Pacer, rings: Int64, every pause: Int64) {
        for now in stride(from: 1_000_000, to: 1_000_000 + rings * pause, by: Int(pause)) {
            pacer.ring(at: now)
            pacer.claimed(0, wanted: 500, at: now + 100)
        }
    }

    @Test func bellIsHeldWhenItRingsOftenWhoeverTakesTheEvents() {
        var pacer = Pacer(floorPoll: floor)
        ringing(&pacer, rings: 250, every: 1_000)
        #expect(pacer.holdsBell)
        var quiet = Pacer(floorPoll: floor)
        ringing(&quiet, rings: 100, every: 4_000)
        #expect(!quiet.holdsBell)
        // Somebody else has held it since it rang last.
        var late = Pacer(floorPoll: floor, windowShare: 1.2)
        late.claimed(0, wanted: 500, at: 1_000_000)
        for offset in 0..<100 { late.ring(at: 1_000_000 + Int64(offset) * 1_000) }
        late.claimed(0, wanted: 500, at: 1_130_000)
        #expect(!late.holdsBell)
    }

    @Test func bellIsHandedOnAfterAWindow() {
        var pacer = Pacer(floorPoll: floor)
        pacer.takeBell(at: 1_000_000)
        #expect(pacer.holdsBell)
        #expect(pacer.nextClaim(at: 1_000_000) <= 1_000_000)
        var now: Int64 = 1_000_000
        while !pacer.wantsRelay(at: now), now < 2_000_000 {
            now += 2_000
            pacer.claimed(2, wanted: 500, at: now)
        }
        #expect((1_100_000...1_110_000).contains(now))
        pacer.relayed(isRelieved: true, at: now)
        #expect(!pacer.holdsBell && !pacer.wantsRelay(at: now))
        // The lock stays until the other one has it; then a look, because the other may not have come.
        pacer.claimed(2, wanted: 500, at: now)
        #expect(pacer.wantsBell(at: now) && pacer.nextClaim(at: now) == now + BellDuty.linger)
        now += BellDuty.linger
        #expect(!pacer.wantsBell(at: now))
        pacer.claimed(2, wanted: 500, at: now)
        #expect(pacer.nextClaim(at: now) == now + floor, "another one looks")
        // What it finds when it looks now and then does not make it hold the bell again beside the other.
        for _ in 0..<20 {
            now += 10_000
            pacer.claimed(40, wanted: 500, at: now)
        }
        #expect(!pacer.holdsBell)
        for _ in 0..<200 {
            now += 1_000
            pacer.ring(at: now)
            pacer.claimed(0, wanted: 500, at: now)
        }
        #expect(pacer.holdsBell, "unless nobody holds it")
    }

    @Test func holderLooksLessOftenTheMoreALookFinds() {
        for (rate, poll) in [(1_000, Pacer.busyPoll), (3_000, Pacer.rushPoll), (10_000, Pacer.rushPoll)] {
            var pacer = Pacer(floorPoll: floor)
            pacer.takeBell(at: 0)
            for now in stride(from: Int64(2_000), through: 200_000, by: 2_000) {
                pacer.claimed(rate / 500, wanted: 500, at: now)
            }
            #expect(pacer.nextClaim(at: 200_000) == 200_000 + poll, "\(rate)")
        }
    }

    @Test func holderRestsWhenTurnsTakeLongerThanTheRestBetweenThem() {
        var pacer = Pacer(floorPoll: floor)
        pacer.takeBell(at: 0)
        for now in stride(from: Int64(4_000), through: 400_000, by: 4_000) {
            pacer.claimed(12, wanted: 500, at: now, took: 2_400)
        }
        #expect(pacer.nextClaim(at: 400_000) == 400_000 + Pacer.stormPoll)
        for now in stride(from: Int64(404_000), through: 800_000, by: 4_000) {
            pacer.claimed(12, wanted: 500, at: now, took: 600)
        }
        #expect(pacer.nextClaim(at: 800_000) == 800_000 + Pacer.rushPoll, "and no longer than that")
    }

    @Test func looksAreFewerOnceItIsCalmUntilSomethingComes() {
        var pacer = Pacer(floorPoll: floor, calmPoll: 10 * floor)
        var now: Int64 = 1_000_000
        pacer.claimed(1, wanted: 500, at: now)
        let calm = now + Pacer.calm
        while now <= calm {
            #expect(pacer.nextClaim(at: now) == now + floor)
            now += floor
            pacer.claimed(0, wanted: 500, at: now)
        }
        #expect(pacer.nextClaim(at: now) == now + 10 * floor)
        pacer.ring(at: now)
        #expect(pacer.nextClaim(at: now) <= now)
        pacer.claimed(0, wanted: 500, at: now)
        #expect(pacer.nextClaim(at: now) == now + floor)
    }

    @Test func bellStaysWithTheOnlyWorkerWhichSeldomAsks() {
        var pacer = Pacer(floorPoll: floor)
        pacer.takeBell(at: 0)
        var asked = 0
        for now in stride(from: Int64(2_000), to: 3_000_000, by: 2_000) {
            pacer.claimed(2, wanted: 500, at: now)
            guard pacer.wantsRelay(at: now) else { continue }
            asked += 1
            pacer.relayed(isRelieved: false, at: now)
            #expect(pacer.holdsBell)
        }
        #expect((2...3).contains(asked))
    }

    @Test func bellIsNotHandedOnWhileThereIsMoreThanOneCanTake() {
        var pacer = Pacer(floorPoll: floor)
        pacer.takeBell(at: 0)
        for now in stride(from: Int64(10_000), to: 300_000, by: 10_000) {
            pacer.claimed(500, wanted: 500, at: now)
            #expect(!pacer.wantsRelay(at: now))
        }
    }

    @Test func bellThatNobodyWouldRingIsLetGo() {
        var pacer = Pacer(floorPoll: floor)
        pacer.takeBell(at: 0)
        for now in stride(from: Int64(1_000), to: 150_000, by: 1_000) { pacer.claimed(0, wanted: 500, at: now) }
        #expect(!pacer.holdsBell && !pacer.wantsRelay(at: 150_000))
    }
}

@Suite struct RetryAgendaTests {
    @Test func ownRetriesAreKnownWithoutALook() {
        var agenda = RetryAgenda()
        agenda.replace(with: [], at: 0)
        agenda.add(destination: 7, milliseconds: 100, at: 0)
        #expect(agenda.dueDestinations(at: 100_000).isEmpty)
        #expect(agenda.dueDestinations(at: 101_000) == [7])
        #expect(agenda.nextTime() == 101_000)
    }

    @Test func whatIsReleasedIsDueAndWhatIsPostponedWaits() {
        var agenda = RetryAgenda()
        agenda.replace(with: [(3, 50)], at: 0)
        agenda.release(destination: 3, at: 1_000)
        #expect(agenda.dueDestinations(at: 1_000) == [3])
        agenda.postpone(destination: 3, until: 20_000)
        #expect(agenda.dueDestinations(at: 19_999).isEmpty)
        #expect(agenda.dueDestinations(at: 20_000) == [3])
        #expect(agenda.nextTime() == 20_000)
    }

    @Test func claimsTellWhetherThereIsMoreAndLooksKeepTheirDistance() {
        var agenda = RetryAgenda()
        agenda.replace(with: [(3, 0), (9, 0)], at: 0)
        agenda.claimed(8, of: 8, destination: 3, at: 1_000)
        agenda.claimed(1, of: 8, destination: 9, at: 1_000)
        #expect(agenda.dueDestinations(at: 1_000) == [3])
        #expect(!agenda.wantsLook(at: RetryAgenda.lookPause - 1))
        #expect(agenda.wantsLook(at: RetryAgenda.lookPause))
    }

    @Test func lookReplacesWhatWasKnown() {
        var agenda = RetryAgenda()
        #expect(agenda.wantsLook(at: 0))
        agenda.add(destination: 7, milliseconds: 0, at: 0)
        agenda.replace(with: [(3, 50), (9, 0)], at: 1_000)
        #expect(agenda.dueDestinations(at: 1_000) == [9])
        #expect(agenda.dueDestinations(at: 51_000) == [3, 9])
        #expect(!agenda.wantsLook(at: 2_000))
        #expect(agenda.wantsLook(at: 1_000 + RetryAgenda.lookInterval))
        agenda.lookSoon(at: 3_000)
        #expect(agenda.wantsLook(at: 3_000))
    }
}
