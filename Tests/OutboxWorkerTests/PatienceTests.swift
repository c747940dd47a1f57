// When work goes back to Postgres because it would wait too long here: what the first answers tell, and what stops tell.

import Outbox
import Testing

@testable import OutboxStore
@testable import OutboxWorker

@Suite struct PatienceTests: DispatchFixture {
    private let crowd = 2_000

    /// As much as a worker holds, for one destination.
    private func crowded() throws -> DispatchState {
        var state = state([try destination(1)], maxInFlight: 512)
        add(&state, claim: 1, (0..<UInt64(crowd)).map { work($0) })
        return state
    }

    /// Rounds of answers that each take a time, one after the other, until so many have come; the time at the end.
    private func answer(
        _ state: inout DispatchState, count: Int, each duration: Int64, from start: Int64 = 0
    ) throws -> Int64 {
        var (now, ended) = (start, 0)
        while ended < count {
            let departures = state.depart(at: now)
            try #require(!departures.isEmpty)
            now += duration
            for departure in departures {
                let exchange = EndedExchange(duration: duration, status: 200, body: [], message: "")
                state.settle(
                    token: departure.token, .answered(Answer(status: 200)), exchange, random: 0, now: now)
            }
            ended += departures.count
        }
        return now
    }

    @Test func slowFirstAnswersOfWorkersThatStartTogetherGiveNothingBack() throws {
        var state = try crowded()
        let now = try answer(&state, count: 40, each: 400_000)
        let waiting = state.waiting
        state.relieve(at: now)
        #expect(state.waiting == waiting && waiting > 1_800)
    }

    @Test func destinationThatStaysSlowGetsItsWorkBackInPostgres() throws {
        var state = try crowded()
        let now = try answer(&state, count: 300, each: 400_000)
        state.relieve(at: now)
        #expect(state.waiting == 2 * 64)
        let due = state.takeRetryHints().map(\.milliseconds)
        #expect(due.count > 1_400 && Set(due) == [0])
    }

    @Test func oneSlowRoundOfAFastDestinationTellsNothing() throws {
        var state = try crowded()
        let quick = try answer(&state, count: 300, each: 5_000)
        let now = try answer(&state, count: 64, each: 120_000, from: quick)
        let waiting = state.waiting
        state.relieve(at: now)
        #expect(state.waiting == waiting && waiting > 1_400)
    }

    /// Left alone instead, it would get its twenty once in a second, and refuse nearly as many.
    @Test(arguments: [429, 503]) func receiverThatTakesTwentyAtOnceRefusesFewAndIsNotLeftAlone(status: Int) throws {
        var state = try crowded()
        var (now, refused) = (Int64(0), 0)
        while state.waiting > 0, now < 10_000_000 {
            let departures = state.depart(at: now)
            try #require(!departures.isEmpty)
            now += 5_000
            // Refusing is quick: these answers come first.
            for (place, departure) in departures.enumerated().reversed() {
                let given = place < 20 ? 200 : status
                let exchange = EndedExchange(duration: 5_000, status: given, body: [], message: "")
                state.settle(
                    token: departure.token, .answered(Answer(status: given)), exchange, random: 0, now: now)
            }
            refused += max(0, departures.count - 20)
        }
        #expect((1..<crowd / 16).contains(refused))
        let news = state.breakers.take()
        #expect(news.failing.allSatisfy { !$0.opens })
    }

    /// A worker with much to do looks at answers later than they came: as if they had been asked for later.
    @Test func answersThatAreLookedAtLateCountAsOneAllTheSame() throws {
        var state = try crowded()
        let now = try answer(&state, count: 300, each: 5_000)
        let departures = state.depart(at: now)
        try #require(departures.count == 64)
        for (place, departure) in departures.enumerated() {
            let exchange = EndedExchange(duration: 1_000, status: 429, body: [], message: "")
            state.settle(
                token: departure.token, .answered(Answer(status: 429)), exchange, random: 0,
                now: now + 1_000 + Int64(place) * 2_000)
        }
        #expect(state.depart(at: now + 200_000).count == 32)
    }

    /// Had one answer in fifty halved what it gets, the rest would have waited for too long, and gone back to Postgres.
    @Test(arguments: [429, 503]) func receiverThatRefusesOneInFiftyGetsNoLess(status: Int) throws {
        var state = try crowded()
        var now = try answer(&state, count: 300, each: 50_000)
        var ended = 0
        while state.waiting > 64 {
            let departures = state.depart(at: now)
            #expect(departures.count == 64)
            now += 50_000
            for departure in departures {
                ended += 1
                let given = ended % 50 == 0 ? status : 200
                let exchange = EndedExchange(duration: 50_000, status: given, body: [], message: "")
                state.settle(
                    token: departure.token, .answered(Answer(status: given)), exchange, random: 0, now: now)
            }
            let waiting = state.waiting
            state.relieve(at: now)
            try #require(state.waiting == waiting)
        }
        #expect(ended > 1_000)
    }

    /// Eighteen seconds of work at its pace: others have a use for the memory.
    @Test func whatWaitsBehindAReceiverThatAskedForLessCountsAtItsPace() throws {
        var state = try crowded()
        var now = try answer(&state, count: 640, each: 120_000)
        for _ in 0..<3 {
            let departures = state.depart(at: now)
            now += 120_000
            for departure in departures {
                let exchange = EndedExchange(duration: 120_000, status: 429, body: [], message: "")
                state.settle(token: departure.token, .answered(Answer(status: 429)), exchange, random: 0, now: now)
            }
        }
        state.relieve(at: now)
        #expect(state.waiting == 2 * Breaker.firstLimit)
    }

    @Test func shortStopTellsNothingAndALongOneGivesWorkBack() throws {
        var state = try crowded()
        #expect(!state.depart(at: 0).isEmpty)
        let waiting = state.waiting
        state.relieve(at: Lane.pauseLimit - 1)
        #expect(state.waiting == waiting)
        state.relieve(at: Lane.pauseLimit + 10_000)
        #expect(state.waiting == 2 * Breaker.firstLimit)
    }

    /// Nobody knows when it goes on; others have a use for the memory, and nothing is fetched that would go back at once.
    @Test func whatStandsBehindAStopIsDueWhenTheDestinationGoesOn() throws {
        var state = try crowded()
        let now = try answer(&state, count: 1_152, each: 60_000)
        let departures = state.depart(at: now)
        #expect(departures.count == 64)
        let (stop, waiting) = (now + 1_500_000, state.waiting)
        state.relieve(at: stop)
        #expect(state.waiting == 2 * Lane.stalledConcurrency)
        add(&state, claim: 2, (5_000..<5_100).map { work($0) }, now: stop)
        let due = state.takeRetryHints().map(\.milliseconds)
        #expect(due.count == waiting - state.waiting + 100 && Set(due) == [0])
        #expect(state.retryRoom(of: 1, at: stop) == 0)
        answer(&state, departures[0].token, status: 200, now: stop + 1)
        #expect(state.depart(at: stop + 1).count == 1)
        #expect(state.retryRoom(of: 1, at: stop + 1) > 0)
    }

    /// What went back as a first attempt comes as one: it does not count for the share of retries.
    @Test func noMoreIsFetchedForASlowDestinationThanItsLaneKeeps() throws {
        var state = try crowded()
        var now = try answer(&state, count: 400, each: 200_000)
        state.relieve(at: now)
        #expect(state.waiting == 2 * 64)
        for turn in 0..<200 {
            let room = state.retryRoom(of: 1, at: now)
            let target = Claim.Target(destination: 1, attempt: 1, isReplay: false)
            let first = UInt64(10_000 + turn * 100)
            add(&state, claim: Int64(10 + turn), (first..<first + UInt64(room)).map { work($0, target: target) }, now: now)
            now += 1_000
        }
        let waiting = state.waiting
        #expect((2 * 64...8 * 64).contains(waiting))
        state.relieve(at: now)
        #expect(state.waiting == waiting)
    }

    /// All that was in flight took as long as the stop.
    @Test func whatEndsWithAStopIsNotThePaceOfTheDestination() throws {
        var state = try crowded()
        let now = try answer(&state, count: 1_152, each: 60_000)
        let end = try answer(&state, count: 64, each: 900_000, from: now)
        let waiting = state.waiting
        add(&state, claim: 2, (5_000..<UInt64(5_000 + crowd - waiting)).map { work($0) }, now: end)
        #expect(state.waiting == crowd)
    }
}
