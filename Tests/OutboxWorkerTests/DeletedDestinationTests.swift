// Destinations that are deleted while a worker holds work for them.

import Outbox
import Testing

@testable import OutboxStore
@testable import OutboxWorker

@Suite struct DeletedDestinationTests: DispatchFixture {
    private func forget(_ state: inout DispatchState, keeping destinations: [Destination]) {
        state.setRouting(
            RoutingTable(Routing(version: 2, destinations: destinations, keptResponseBytes: [:], faults: [])))
    }

    @Test func nothingMoreIsSentAndNothingIsPutBack() throws {
        var state = state([try destination(1, concurrency: 2), try destination(2)])
        add(&state, claim: 1, [work(1, type: "a.b"), work(2), work(3)])
        let departed = state.depart(at: 0)
        #expect(departed.count == 5, "two of the first, three of the second")
        forget(&state, keeping: [try destination(2)])
        state.relieve(at: 10)
        #expect(state.depart(at: 20).isEmpty)
        #expect(state.waiting == 0)
        // The two that were in flight fail: no retry that nobody would ever claim.
        for departure in departed { answer(&state, departure.token, status: 500) }
        let settlement = state.takeSettlement()
        #expect(settlement.finishedClaims == [1])
        #expect(state.takeRetryHints().map(\.destination) == [2, 2, 2])
    }

    @Test func idleLaneIsForgottenWithItsDestination() throws {
        var state = state([try destination(1), try destination(2)])
        add(&state, claim: 1, [work(1)])
        for departure in state.depart(at: 0) { answer(&state, departure.token, status: 500) }
        #expect(state.depart(at: 20).isEmpty, "nobody waits for a turn")
        #expect(state.lanes.all.count == 2)
        forget(&state, keeping: [try destination(2)])
        #expect(state.lanes.all.map(\.destination.id) == [2], "one that failed is worth keeping, while it exists")
    }
}
