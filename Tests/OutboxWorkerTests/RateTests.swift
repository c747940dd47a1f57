// What a lane does with permits of its rate: decisions without a clock.

import Outbox
import Testing

@testable import OutboxStore
@testable import OutboxWorker

@Suite struct RateTests: DispatchFixture {
    private func ratedState() throws -> DispatchState {
        state([try destination(1, options: DeliveryOptions(parsing: Array(#"{"rate": {"per_second": 10, "burst": 5}}"#.utf8)))])
    }

    private func grant(_ state: inout DispatchState, _ permits: Int32, at now: Int64) {
        state.grant([RateGrant(destination: 1, permits: permits, nextIn: 0)], at: now)
    }

    @Test func nothingGoesWithoutAPermit() throws {
        var state = try ratedState()
        add(&state, claim: 1, (0..<8).map { work($0) })
        #expect(state.depart(at: 0).isEmpty)
        #expect(state.ratesWanted(at: 0).map(\.wanted) == [8])
        grant(&state, 3, at: 0)
        #expect(state.depart(at: 0).count == 3)
        #expect(state.ratesWanted(at: 0).map(\.wanted) == [5])
    }

    /// Turns of a worker that is behind are further apart than the permits for its free places last.
    @Test(arguments: [
        (#"{"rate": {"per_second": 20000}}"#, 200), (#"{"rate": {"per_second": 20000, "burst": 50}}"#, 50),
        (#"{"rate": {"per_second": 300}}"#, 4), (#"{"rate": {"per_second": 3}}"#, 3),
    ])
    func fastRateIsAskedForAheadOfItsPlaces(_ options: String, _ wanted: Int32) throws {
        let rated = try destination(1, concurrency: 4, options: DeliveryOptions(parsing: Array(options.utf8)))
        var state = state([rated])
        add(&state, claim: 1, (0..<300).map { work($0) })
        #expect(state.ratesWanted(at: 0).map(\.wanted) == [wanted])
        grant(&state, wanted, at: 0)
        #expect(state.depart(at: 0).count == min(4, Int(wanted)))
        // All places are taken: what is left of the permits is for those that follow.
        #expect(wanted < 4 || state.ratesWanted(at: 0).isEmpty)
    }

    /// They would go out after the pause beside those that the bucket has gathered meanwhile.
    @Test func permitsOfBeforeAPauseAreForfeited() throws {
        var state = try ratedState()
        add(&state, claim: 1, (0..<8).map { work($0) })
        grant(&state, 2, at: 0)
        let departures = state.depart(at: 0)
        #expect(departures.count == 2)
        for departure in departures { answer(&state, departure.token, status: 200, now: 1) }
        grant(&state, 4, at: 1)
        let place = try #require(state.lanes.place(of: 1))
        state.lanes.all[place].pause(until: 1_000_000)
        // Asked for before the pause, given after its begin.
        grant(&state, 1, at: 2)
        #expect(state.depart(at: 3).isEmpty)
        #expect(state.ratesWanted(at: 3).isEmpty)
        #expect(state.depart(at: 1_000_001).isEmpty)
        #expect(state.ratesWanted(at: 1_000_001).map(\.wanted) == [6])
        grant(&state, 6, at: 1_000_001)
        #expect(state.depart(at: 1_000_001).count == 6)
    }

    private func setRate(_ state: inout DispatchState, _ options: String, version: Int64) throws {
        let destination = try destination(1, options: DeliveryOptions(parsing: Array(options.utf8)))
        state.setRouting(
            RoutingTable(Routing(version: version, destinations: [destination], keptResponseBytes: [:], faults: [])))
    }

    /// What waits when the rate is set needs permits too, also when nothing comes after it.
    @Test func rateThatIsSetWhileDeliveriesWaitLetsThemOut() throws {
        var state = state([try destination(1, concurrency: 1)])
        add(&state, claim: 1, (0..<3).map { work($0) })
        let first = state.depart(at: 0)
        #expect(first.count == 1)
        try setRate(&state, #"{"rate": {"per_second": 0.5}}"#, version: 2)
        answer(&state, first[0].token, status: 200)
        #expect(state.depart(at: 20).isEmpty)
        #expect(state.ratesWanted(at: 20).map(\.wanted) == [1])
        grant(&state, 1, at: 21)
        #expect(state.depart(at: 21).count == 1)
    }

    @Test func fasterRateIsAskedForAtOnce() throws {
        var state = try ratedState()
        add(&state, claim: 1, (0..<8).map { work($0) })
        state.grant([RateGrant(destination: 1, permits: 0, nextIn: 1_000_000)], at: 0)
        #expect(state.ratesWanted(at: 10).isEmpty)
        try setRate(&state, #"{"rate": {"per_second": 100}}"#, version: 2)
        #expect(state.ratesWanted(at: 10).map(\.wanted) == [8])
    }

    @Test func permitsOfBeforeTheBreakerOpenedAreForfeited() throws {
        var state = try ratedState()
        add(&state, claim: 1, (0..<8).map { work($0) })
        grant(&state, 4, at: 0)
        _ = state.learn([BreakerRow(destination: 1, pause: .zero, isOpen: true, mayProbe: false)], askedAt: 1)
        grant(&state, 4, at: 2)
        _ = state.learn([BreakerRow(destination: 1, pause: .zero, isOpen: true, mayProbe: true)], askedAt: 3)
        #expect(state.depart(at: 4).isEmpty)
        #expect(state.ratesWanted(at: 4).map(\.wanted) == [1])
        grant(&state, 1, at: 5)
        #expect(state.depart(at: 5).count == 1)
    }
}
