// What a destination that fails costs the others, and in which order its work comes back: decisions without a clock.

import Outbox
import Testing

@testable import OutboxStore
@testable import OutboxWorker

@Suite struct IsolationTests: DispatchFixture {
    private func row(
        _ id: Int32, pause: Duration = .zero, isOpen: Bool = true, mayProbe: Bool = false, holdsProbe: Bool = false
    ) -> BreakerRow {
        BreakerRow(destination: id, pause: pause, isOpen: isOpen, mayProbe: mayProbe, holdsProbe: holdsProbe)
    }

    @Test func tenFailuresOpenTheBreakerAndSendTheRestBack() throws {
        var state = state([try destination(1)])
        add(&state, claim: 1, (0..<30).map { work($0) })
        for _ in 0..<2 { for departure in state.depart(at: 0) { answer(&state, departure.token, status: 503) } }
        #expect(state.depart(at: 20).isEmpty)
        let (failing, recovered) = state.breakers.take()
        #expect(failing.map(\.destination) == [1])
        #expect(failing[0].opens)
        #expect(failing[0].failure == "unavailable")
        #expect(recovered.isEmpty)
        state.relieve(at: 30)
        #expect(state.waiting == 0)
        #expect(state.retryRoom(of: 1, at: 30) == 0)
        // What arrives now is put by at once, and finishes its claim.
        add(&state, claim: 2, [work(99)], now: 40)
        #expect(state.waiting == 0)
        #expect(state.settlement.finishedClaims.contains(2))
    }

    @Test func probeIsOneRetryAndItsSuccessLetsMoreThrough() throws {
        var state = state([try destination(1)])
        var mayProbe = state.learn([row(1)], askedAt: 0)
        #expect(!mayProbe)
        #expect(state.retryRoom(of: 1, at: 0) == 0)
        mayProbe = state.learn([row(1, mayProbe: true)], askedAt: 1)
        #expect(mayProbe)
        #expect(state.retryRoom(of: 1, at: 1) == 1)
        add(&state, claim: 3, [work(1, target: Claim.Target(destination: 1, attempt: 2)), work(2)])
        let departures = state.depart(at: 2)
        #expect(departures.map(\.delivery.attempt) == [2])
        #expect(state.retryRoom(of: 1, at: 2) == 0)
        answer(&state, departures[0].token, status: 200)
        #expect(state.breakers.take().recovered == [1])
        #expect(state.retryRoom(of: 1, at: 20) == 2)
    }

    /// Its right ends before company comes, and with a new one it would begin to wait anew.
    @Test func probeWaitsForNoBatch() throws {
        let options = try DeliveryOptions(parsing: Array(#"{"batch": {"events": 100, "wait_ms": 60000}}"#.utf8))
        var state = state([try destination(1, options: options)])
        _ = state.learn([row(1, mayProbe: true)], askedAt: 0)
        add(&state, claim: 3, [work(1, target: Claim.Target(destination: 1, attempt: 2))])
        #expect(state.depart(at: 1).count == 1)
    }

    /// Such a worker takes no more of it as fast as it fails; the others are told of nothing.
    @Test func whatTheWorkerLacksRestsForASecondHere() throws {
        var state = state([try destination(1)])
        add(&state, claim: 1, [work(1)])
        let token = state.depart(at: 1)[0].token
        let ended = EndedExchange(duration: 10, status: nil, body: [], message: "no socket")
        state.settle(token: token, .failed(.worker), ended, random: 0, now: 2)
        #expect(state.retryRoom(of: 1, at: 3) == 0 && state.retryRoom(of: 1, at: 1_000_002) > 0)
        let news = state.breakers.take()
        #expect(news.failing.isEmpty && news.recovered.isEmpty)
    }

    /// A success beside it takes the row away, and leaves no pause that no receiver asked for.
    @Test func restOfAWorkerIsNoPauseOfTheReceiver() throws {
        var state = state([try destination(1)])
        _ = state.learn([row(1, isOpen: false)], askedAt: 0)
        add(&state, claim: 1, (0..<2).map { work($0) })
        let departures = state.depart(at: 1)
        let ended = EndedExchange(duration: 10, status: nil, body: [], message: "no socket")
        state.settle(token: departures[0].token, .failed(.worker), ended, random: 0, now: 2)
        answer(&state, departures[1].token, status: 200, now: 10)
        let news = state.takeBreakerReports(at: 11)
        #expect(news.failing.isEmpty && news.recovered == [1])
        #expect(state.retryRoom(of: 1, at: 12) == 0, "here it rests all the same")
    }

    /// A row of failures that opened no breaker, or of a pause that has passed, is no reason to leave retries where they are: a
    /// worker that has just been started knows nothing else of the destination.
    @Test func rowThatShutsNothingLetsRetriesThrough() throws {
        var state = state([try destination(1), try destination(2), try destination(3)])
        _ = state.learn([row(1, isOpen: false), row(2, pause: .seconds(5), isOpen: false), row(3)], askedAt: 0)
        #expect([1, 2, 3].map { state.retryRoom(of: $0, at: 1) } == [Breaker.firstLimit, 0, 0])
        _ = state.learn([row(1, isOpen: false), row(2, isOpen: false), row(3)], askedAt: 10)
        #expect([1, 2, 3].map { state.retryRoom(of: $0, at: 11) } == [Breaker.firstLimit, Breaker.firstLimit, 0])
    }

    /// Both are told, the success first: the destination has not failed for as long as its row says.
    @Test func successIsToldBesideAFailureThatFollows() throws {
        var state = state([try destination(1)])
        _ = state.learn([row(1, isOpen: false)], askedAt: 0)
        add(&state, claim: 1, (0..<2).map { work($0) })
        let departures = state.depart(at: 1)
        answer(&state, departures[0].token, status: 200)
        let ended = EndedExchange(duration: 5, status: 429, body: [], message: "")
        let throttled = Answer(status: 429, retryAfter: .seconds(60))
        state.settle(token: departures[1].token, .answered(throttled), ended, random: 0, now: 20)
        let (failing, recovered) = state.breakers.take()
        #expect(recovered == [1])
        #expect(failing.map(\.destination) == [1] && failing[0].pause > .seconds(50))
    }

    /// It tells nothing of it, and the row that goes with it told those who start later.
    @Test func successOfWhatWasInFlightEndsNoPause() throws {
        var state = state([try destination(1)])
        add(&state, claim: 1, (0..<2).map { work($0) })
        let departures = state.depart(at: 1)
        let ended = EndedExchange(duration: 5, status: 429, body: [], message: "")
        let throttled = Answer(status: 429, retryAfter: .seconds(60))
        state.settle(token: departures[0].token, .answered(throttled), ended, random: 0, now: 20)
        #expect(state.breakers.take().failing.map(\.destination) == [1])
        _ = state.learn([row(1, pause: .seconds(60), isOpen: false)], askedAt: 30)
        answer(&state, departures[1].token, status: 200, now: 40)
        let (failing, recovered) = state.breakers.take()
        #expect(recovered == [1])
        #expect(failing.map(\.destination) == [1] && failing.allSatisfy { $0.pause > .seconds(50) && !$0.opens })
    }

    /// Told by nobody, it would be sent to by nobody: an open lane does not fail again.
    @Test func whatCouldNotBeToldIsToldAgain() throws {
        var state = state([try destination(1), try destination(2)])
        add(&state, claim: 1, (0..<30).map { work($0) })
        for _ in 0..<4 { for departure in state.depart(at: 0) { answer(&state, departure.token, status: 503) } }
        let (failing, recovered) = state.breakers.take()
        #expect(Set(failing.map(\.destination)) == [1, 2] && failing.allSatisfy(\.opens) && recovered.isEmpty)
        state.breakers.giveBack(failing, [2])
        let again = state.breakers.take()
        #expect(Set(again.failing.map(\.destination)) == [1, 2] && again.recovered == [2])
        // A success since then is newer than the failure.
        _ = state.learn([row(1, mayProbe: true)], askedAt: 20)
        add(&state, claim: 3, [work(1, target: Claim.Target(destination: 1, attempt: 2))])
        let probe = try #require(state.depart(at: 30).first)
        answer(&state, probe.token, status: 200)
        state.breakers.giveBack(failing, [])
        let last = state.breakers.take()
        #expect(last.failing.map(\.destination) == [2] && last.recovered == [1])
    }

    /// Somebody holds its row: until it is told, what Postgres says of the destination is old.
    @Test func whatCouldNotBeToldIsNotForgottenMeanwhile() throws {
        var state = state([try destination(1)])
        add(&state, claim: 1, (0..<30).map { work($0) })
        for _ in 0..<2 { for departure in state.depart(at: 0) { answer(&state, departure.token, status: 503) } }
        let failing = state.takeBreakerReports(at: 20).failing
        #expect(failing.map(\.opens) == [true])
        state.breakers.giveBack(failing, [])
        _ = state.learn([], askedAt: 30)
        #expect(state.depart(at: 31).isEmpty)
        #expect(state.takeBreakerReports(at: 40).failing == failing)
        // Told, and its end by another worker.
        _ = state.learn([], askedAt: 50)
        #expect(state.depart(at: 51).count == 2)
    }

    @Test func recoveryThatCouldNotBeToldStands() throws {
        var state = state([try destination(1)])
        _ = state.learn([row(1, mayProbe: true)], askedAt: 1)
        add(&state, claim: 3, [work(1, target: Claim.Target(destination: 1, attempt: 2))])
        let probe = try #require(state.depart(at: 2).first)
        answer(&state, probe.token, status: 200)
        let recovered = state.takeBreakerReports(at: 20).recovered
        #expect(recovered == [1])
        state.breakers.giveBack([], recovered)
        _ = state.learn([row(1)], askedAt: 30)
        #expect(state.retryRoom(of: 1, at: 31) == 2)
        #expect(state.takeBreakerReports(at: 40).recovered == [1])
    }

    @Test func pauseIsToldForWhatIsLeftOfIt() throws {
        var state = state([try destination(1)])
        add(&state, claim: 1, [work(1)])
        let ended = EndedExchange(duration: 5, status: 429, body: [], message: "")
        state.settle(
            token: state.depart(at: 0)[0].token, .answered(Answer(status: 429, retryAfter: .seconds(7))), ended, random: 0,
            now: 1)
        let failing = state.takeBreakerReports(at: 1).failing
        #expect(failing.map(\.pause) == [.seconds(7)])
        state.breakers.giveBack(failing, [])
        #expect(state.takeBreakerReports(at: 2_000_001).failing.map(\.pause) == [.seconds(5)])
    }

    /// What another worker may probe by now, this one leaves alone.
    @Test func probeThatIsNotThisWorkersAnyLongerIsNotSent() throws {
        var state = state([try destination(1)])
        _ = state.learn([row(1, mayProbe: true)], askedAt: 1)
        _ = state.learn([row(1, holdsProbe: true)], askedAt: 2)
        #expect(state.retryRoom(of: 1, at: 2) == 1)
        _ = state.learn([row(1)], askedAt: 3)
        #expect(state.retryRoom(of: 1, at: 3) == 0)
        add(&state, claim: 1, [work(1)], now: 4)
        #expect(state.depart(at: 5).isEmpty)
    }

    /// Whoever makes a destination active again, or mends its URL, ends what its receiver asked for before.
    @Test func pauseEndsWhenTheDestinationIsMadeActive() throws {
        var state = state([try destination(1)])
        add(&state, claim: 1, [work(1)])
        let flight = try #require(state.depart(at: 0).first)
        let ended = EndedExchange(duration: 5, status: 503, body: [], message: "")
        state.settle(token: flight.token, .answered(Answer(status: 503, retryAfter: .seconds(86_400))), ended, random: 0, now: 10)
        #expect(state.retryRoom(of: 1, at: 20) == 0)
        for (version, isEnabled) in [(2, false), (3, true)] {
            state.setRouting(
                RoutingTable(
                    Routing(
                        version: Int64(version), destinations: [try destination(1, isEnabled: isEnabled)], keptResponseBytes: [:],
                        faults: [])))
        }
        #expect(state.retryRoom(of: 1, at: 30) == Breaker.firstLimit)
    }

    /// Told after somebody has made it active, failures of five days would make it inactive at once.
    @Test(arguments: [true, false]) func failuresOfBeforeAreNotToldOfWhatWasMadeActive(isTaken: Bool) throws {
        var state = state([try destination(1), try destination(2)])
        add(&state, claim: 1, (0..<30).map { work($0) })
        for _ in 0..<2 { for departure in state.depart(at: 0) { answer(&state, departure.token, status: 503) } }
        let taken = isTaken ? state.takeBreakerReports(at: 20) : (failing: [], recovered: [])
        for (version, isEnabled) in [(2, false), (3, true)] {
            let destinations = [try destination(1, isEnabled: isEnabled), try destination(2)]
            state.setRouting(
                RoutingTable(Routing(version: Int64(version), destinations: destinations, keptResponseBytes: [:], faults: [])))
        }
        // They could not be told.
        state.breakers.giveBack(taken.failing, taken.recovered)
        #expect(state.takeBreakerReports(at: 30).failing.map(\.destination) == [2])
        // What it does from now on is told.
        state.breakers.giveBack(taken.failing.filter { $0.destination == 1 }, [])
        #expect(state.takeBreakerReports(at: 40).failing.map(\.destination) == (isTaken ? [1] : []))
    }

    /// What the address of before asked for, and that it failed, is nothing to the one that replaced it meanwhile.
    @Test func answerOfTheURLOfBeforeSaysNothingOfTheNewOne() throws {
        var state = state([try destination(1)])
        add(&state, claim: 1, (0..<30).map { work($0) })
        let flights = state.depart(at: 0)
        let mended = try destination(1, url: "https://mended.example.com/")
        state.setRouting(
            RoutingTable(Routing(version: 2, destinations: [mended], keptResponseBytes: [:], faults: [])))
        let ended = EndedExchange(duration: 5, status: 503, body: [], message: "")
        for flight in flights {
            let refusal = Answer(status: 503, retryAfter: .seconds(86_400))
            state.settle(token: flight.token, .answered(refusal), ended, random: 0, now: 10)
        }
        let news = state.breakers.take()
        #expect(news.failing.isEmpty && news.recovered.isEmpty)
        #expect(!state.depart(at: 20).isEmpty)
    }

    /// A receiver that refuses this payload lives, though nothing is held against it.
    @Test(arguments: [413, 415]) func probeThatIsRefusedWithoutBlameLetsMoreThrough(_ status: Int) throws {
        var state = state([try destination(1)])
        _ = state.learn([row(1, mayProbe: true)], askedAt: 1)
        add(&state, claim: 3, [work(1, target: Claim.Target(destination: 1, attempt: 2))])
        let departures = state.depart(at: 2)
        answer(&state, departures[0].token, status: status)
        #expect(state.breakers.take().recovered == [1])
        #expect(state.retryRoom(of: 1, at: 20) == 2)
    }

    @Test func oldNewsDoesNotCloseWhatOpenedSince() throws {
        var state = state([try destination(1)])
        add(&state, claim: 1, (0..<30).map { work($0) })
        for _ in 0..<2 { for departure in state.depart(at: 0) { answer(&state, departure.token, status: 500, now: 50) } }
        _ = state.learn([], askedAt: 40)
        #expect(state.depart(at: 61).isEmpty)
        _ = state.breakers.take()
        _ = state.learn([], askedAt: 55)
        #expect(state.depart(at: 71).count == 2)
    }

    @Test func pauseOfAReceiverIsToldToTheOthers() throws {
        var state = state([try destination(1)])
        add(&state, claim: 1, [work(1)])
        let ended = EndedExchange(duration: 5, status: 429, body: [], message: "")
        state.settle(
            token: state.depart(at: 0)[0].token, .answered(Answer(status: 429, retryAfter: .seconds(7))), ended, random: 0,
            now: 1)
        let reports = state.breakers.take().failing
        #expect(reports.map(\.pause) == [.seconds(7)])
        #expect(reports.map(\.opens) == [false])
        // Another worker learns it.
        var other = self.state([try destination(1)])
        _ = other.learn([row(1, pause: .seconds(7), isOpen: false)], askedAt: 0)
        add(&other, claim: 1, [work(2)], now: 1_000_000)
        #expect(other.takeRetryHints().map(\.milliseconds) == [6000])
        add(&other, claim: 2, [work(3)], now: 7_000_001)
        #expect(other.waiting == 1)
    }

    /// Several answers come between two rounds, and not all of them ask for as much.
    @Test func longestPauseIsToldToTheOthers() throws {
        var state = state([try destination(1)])
        add(&state, claim: 1, (0..<3).map { work($0) })
        let pauses: [Duration?] = [.seconds(7), .seconds(200), .seconds(3)]
        for (departure, pause) in zip(state.depart(at: 0), pauses) {
            let ended = EndedExchange(duration: 5, status: 429, body: [], message: "")
            state.settle(
                token: departure.token, .answered(Answer(status: 429, retryAfter: pause)), ended, random: 0, now: 1)
        }
        #expect(state.breakers.take().failing.map(\.pause) == [.seconds(200)])
    }

    @Test func retriesGoBehindFirstAttemptsButNotForEver() throws {
        var state = state([try destination(1, concurrency: 1)])
        add(&state, claim: 1, (0..<4).map { work($0, target: Claim.Target(destination: 1, attempt: 2)) })
        add(&state, claim: 2, (10..<18).map { work($0) })
        var attempts: [Int16] = []
        for _ in 0..<12 {
            let departure = state.depart(at: 0)[0]
            attempts.append(departure.delivery.attempt)
            answer(&state, departure.token, status: 200)
        }
        #expect(attempts == [1, 1, 1, 2, 1, 1, 1, 2, 1, 1, 2, 2])
    }

    @Test func replaysGoBehindFirstAttemptsAlsoWhenTheyAreFirstAttempts() throws {
        var state = state([try destination(1, concurrency: 1)])
        let replay = Claim.Target(destination: 1, attempt: 1, isReplay: true)
        add(&state, claim: 1, (0..<4).map { work($0, target: replay) })
        add(&state, claim: 2, (10..<18).map { work($0) })
        var replays = ""
        for _ in 0..<12 {
            let departure = state.depart(at: 0)[0]
            replays += departure.delivery.isReplay ? "r" : "."
            answer(&state, departure.token, status: 200)
        }
        #expect(replays == "...r...r..rr")
    }

    @Test func requestsThatHangLeaveRoomForTheOthers() throws {
        var state = state([try destination(1, concurrency: 8), try destination(2)], maxInFlight: 16)
        add(&state, claim: 1, (0..<8).map { work($0) })
        let first = state.depart(at: 0)
        #expect(first.count == 16)
        for departure in first where departure.destination.id == 2 { answer(&state, departure.token, status: 200) }
        add(&state, claim: 2, (100..<140).map { work($0) })
        #expect(state.depart(at: 20).map(\.destination.id) == Array(repeating: 2, count: 8))
        for token in first.filter({ $0.destination.id == 2 }).map(\.token) { answer(&state, token, status: 200, now: 30) }
        state.relieve(at: 2_000_000)
        #expect(state.depart(at: 2_000_000).count >= 8)
        #expect(state.inFlight > 16)
    }

    /// Whoever hangs next finds no room beside what the first ones hold: sockets and memory have an end.
    @Test func requestsThatHangAreBoundedToo() throws {
        let types = ["a", "b", "c", "d", "e"]
        let destinations = try types.indices.map { index in
            try destination(Int32(index + 1), concurrency: 8, patterns: [types[index]])
        }
        var state = state(destinations, maxInFlight: 16)
        var counts: [Int] = []
        for (round, arriving) in [["a", "b"], ["c", "d"], ["e"]].enumerated() {
            let now = Int64(round) * 2_000_000
            state.relieve(at: now)
            for (place, type) in arriving.enumerated() {
                let first = UInt64(100 * round + 10 * place)
                add(&state, claim: Int64(first) + 1, (first..<first + 8).map { work($0, type: type) }, now: now)
            }
            counts.append(state.depart(at: now).count)
        }
        #expect(counts == [16, 16, 0])
    }

    @Test func claimOfWhichLittleIsLeftIsCutDown() throws {
        var state = state([try destination(1)])
        add(&state, claim: 7, (0..<8).map { work($0) })
        let departures = state.depart(at: 0)
        for departure in departures.dropLast(2) { answer(&state, departure.token, status: 200) }
        state.relieve(at: 500_000)
        var settlement = state.takeSettlement()
        #expect(settlement.keptDeliveries.isEmpty)
        state.relieve(at: 1_500_000)
        settlement = state.takeSettlement()
        #expect(settlement.keptDeliveries.map(\.claim) == [7, 7])
        #expect(Set(settlement.keptDeliveries.map(\.event)) == Set(departures.suffix(2).map(\.delivery.parcel.event.id)))
        // Once is enough.
        state.relieve(at: 3_000_000)
        #expect(state.takeSettlement().isEmpty)
        for departure in departures.suffix(2) { answer(&state, departure.token, status: 200) }
        #expect(state.settlement.finishedClaims == [7])
    }

    @Test func buriedEventIsADeadLetterForEachDestination() throws {
        var state = state([try destination(1), try destination(2)])
        state.open(claim: 9, now: 0)
        state.bury(work(1), in: 9, settled: [DeliveryKey(event: work(1).event.id, destination: 2)], now: 0)
        state.close(claim: 9)
        #expect(state.depart(at: 0).isEmpty)
        #expect(state.settlement.count == 1)
        #expect(state.settlement.finishedClaims == [9])
    }
}
