// That a claim which several find at the same time comes into memory once.

import Testing

@testable import OutboxStore
@testable import OutboxWorker

@Suite struct AdoptingTests: DispatchFixture {
    /// Whether a claim is adopted as it should be.
    private func expect(_ isAdopted: Bool, _ state: inout DispatchState, claim: Int64, now: Int64) {
        let found = state.adopt(claim: claim, now: now)
        #expect(found == isAdopted, "claim \(claim) at \(now)")
    }

    @Test func claimIsAdoptedByOneOnly() throws {
        var state = state([try destination(1)])
        expect(true, &state, claim: 4, now: 0)
        expect(false, &state, claim: 4, now: 1)
        expect(true, &state, claim: 5, now: 1)
        #expect(state.knownClaims.sorted() == [4, 5])
        #expect(state.settlement.finishedClaims.isEmpty)
    }

    @Test func abandonedClaimIsNotFinishedAndMayBeAdoptedAgain() throws {
        var state = state([try destination(1)])
        expect(true, &state, claim: 4, now: 0)
        state.abandon(claim: 4)
        #expect(state.knownClaims.isEmpty)
        #expect(state.settlement.isEmpty)
        expect(true, &state, claim: 4, now: 1)
    }

    @Test func adoptedClaimIsFinishedOnceItIsAcceptedAndNothingIsLeft() throws {
        var state = state([try destination(1)])
        expect(true, &state, claim: 4, now: 0)
        add(&state, claim: 4, [work(1)])
        let departures = state.depart(at: 0)
        answer(&state, departures[0].token, status: 200)
        // Answered before whoever adopted it has accepted all of it.
        #expect(state.settlement.finishedClaims.isEmpty)
        state.close(claim: 4)
        #expect(state.settlement.finishedClaims == [4])
    }

    @Test func openClaimIsNotAdopted() throws {
        var state = state([try destination(1)])
        add(&state, claim: 4, [work(1)])
        expect(false, &state, claim: 4, now: 1)
    }

    @Test func finishedClaimIsNotAdoptedBeforeItsFinishIsRecorded() throws {
        var state = state([try destination(1)])
        add(&state, claim: 4, [work(1)])
        answer(&state, state.depart(at: 0)[0].token, status: 200)
        expect(false, &state, claim: 4, now: 1)
        _ = state.takeSettlement()
        expect(false, &state, claim: 4, now: 2)
        state.recorded()
        expect(true, &state, claim: 4, now: 3)
    }
}
