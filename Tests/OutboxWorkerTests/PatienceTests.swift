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
    }

    @Test func oneSlowRoundOfAFastDestinationTellsNothing() throws {
        var state = try crowded()
        let quick = try answer(&state, count: 300, each: 5_000)
        let now = try answer(&state, count: 64, each: 120_000, from: quick)
        let waiting = state.waiting
        state.relieve(at: now)
        #expect(state.waiting == waiting && waiting > 1_400)
    }

    @Test func shortStopTellsNothingAndALongOneGivesWorkBack() throws {
        var state = try crowded()
        #expect(!state.depart(at: 0).isEmpty)
        let waiting = state.waiting
        state.relieve(at: Lane.pauseLimit - 1)
        #expect(state.waiting == waiting)
        state.relieve(at: Lane.stallLimit + 1)
        #expect(state.waiting <= 2 * 64)
    }
}
