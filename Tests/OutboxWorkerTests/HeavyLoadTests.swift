// Events whose payload is still in Postgres: what they count, when they are loaded, what becomes of those that are not.

import Outbox
import Postgres
import Testing

@testable import OutboxStore
@testable import OutboxWorker

@Suite struct HeavyLoadTests: DispatchFixture {
    private func heavy(_ number: UInt64, target: Claim.Target? = nil) -> Claim.Work {
        Claim.Work(event: work(number).event, isHeavy: true, target: target)
    }

    private func loaded(_ load: HeavyLoad) -> Claim.Work {
        Claim.Work(event: load.work.event, isHeavy: false, target: load.work.target)
    }

    /// A claim of large events, as the dispatcher takes it.
    private func take(_ state: inout DispatchState, claim: Int64, _ works: [Claim.Work], settled: Set<DeliveryKey> = []) {
        state.open(claim: claim, now: 0)
        for work in works { state.add(HeavyLoad(claim: claim, work: work, settled: settled), now: 0) }
        state.close(claim: claim)
    }

    private func next(_ state: inout DispatchState, maxOutstanding: Int = 100, maxPayloadBytes: Int = 100) throws -> HeavyLoad {
        let load = state.takeLoad(maxOutstanding: maxOutstanding, maxPayloadBytes: maxPayloadBytes)
        return try #require(load)
    }

    private func hasNext(_ state: DispatchState, maxOutstanding: Int = 100, maxPayloadBytes: Int = 100) -> Bool {
        var state = state
        return state.takeLoad(maxOutstanding: maxOutstanding, maxPayloadBytes: maxPayloadBytes) != nil
    }

    @Test func eventCountsFromItsClaimToItsLastDelivery() throws {
        var state = state([try destination(1), try destination(2)])
        take(&state, claim: 5, [heavy(1), heavy(2)])
        #expect(state.outstanding == 2)
        let load = try next(&state)
        #expect(load.work.event.id == work(1).event.id)
        #expect(state.outstanding == 2)
        add(&state, claim: 5, [loaded(load)])
        state.endLoad(load)
        #expect(state.waiting == 2)
        #expect(state.outstanding == 3)
        #expect(state.settlement.finishedClaims.isEmpty)
        for departure in state.depart(at: 0) { answer(&state, departure.token, status: 200) }
        #expect(state.outstanding == 1)
        #expect(state.knownClaims == [5])
        // The other one is gone from the database.
        let other = try next(&state)
        state.endLoad(other)
        #expect(state.outstanding == 0)
        #expect(state.settlement.finishedClaims == [5])
    }

    @Test func loadsDoNotWaitForThemselvesButForTheRest() throws {
        var state = state([try destination(1, concurrency: 1)])
        take(&state, claim: 1, (0..<10).map { heavy($0) })
        // Ten are outstanding, none of them loaded.
        let load = try next(&state, maxOutstanding: 1)
        add(&state, claim: 1, [loaded(load)])
        state.endLoad(load)
        #expect(!hasNext(state, maxOutstanding: 1))
        #expect(!hasNext(state, maxPayloadBytes: 2), "the payload in memory has two bytes")
        #expect(hasNext(state))
    }

    @Test func drainGivesBackWhatIsNotLoaded() throws {
        let settled: Set<DeliveryKey> = [DeliveryKey(event: work(3).event.id, destination: 2)]
        var state = state([try destination(1), try destination(2), try destination(3, isEnabled: false)])
        take(&state, claim: 5, [heavy(1), heavy(2, target: Claim.Target(destination: 2, attempt: 4))])
        take(&state, claim: 6, [heavy(3)], settled: settled)
        let load = try next(&state)
        state.isDraining = true
        state.relieve(at: 1)
        #expect(!hasNext(state))
        #expect(state.outstanding == 1, "the one that is being loaded")
        // The retry goes to one destination, the other event to those that are not settled; one of these is parked.
        #expect(state.settlement.count == 3)
        #expect(state.takeRetryHints().map(\.destination).sorted() == [1, 2])
        #expect(state.settlement.finishedClaims == [6])
        state.giveBack(load, afterMilliseconds: 0)
        #expect(state.settlement.count == 6)
        #expect(state.settlement.finishedClaims == [6, 5])
        #expect(state.outstanding == 0)
        #expect(state.openClaimCount == 0)
    }

    @Test func whatArrivesWhileDrainingGoesBackAtOnce() throws {
        var state = state([try destination(1)])
        state.isDraining = true
        take(&state, claim: 5, [heavy(1)])
        #expect(state.outstanding == 0)
        #expect(state.takeRetryHints().map(\.milliseconds) == [0])
        #expect(state.settlement.finishedClaims == [5])
    }

    @Test func payloadThatCannotBeLoadedComesBackLater() throws {
        var state = state([try destination(1)])
        take(&state, claim: 5, [heavy(1), heavy(2)])
        let load = try next(&state)
        state.giveBack(load, afterMilliseconds: DispatchState.unloadedDelay)
        #expect(state.takeRetryHints().map(\.milliseconds) == [60_000])
        #expect(state.settlement.finishedClaims.isEmpty)
        // The others go on.
        let other = try next(&state)
        #expect(other.work.event.id == work(2).event.id)
    }

    @Test func claimOfLargeEventsAloneStaysOpen() throws {
        var state = state([try destination(1)])
        take(&state, claim: 5, [heavy(1)])
        state.relieve(at: 10_000_000)
        #expect(state.settlement.isEmpty)
        #expect(state.knownClaims == [5])
    }

    // MARK: The dispatcher

    /// The right to send, for as long as a test may take: a worker's own is over in a second.
    private func openFence() -> Fence { Fence(registeredAt: WorkerClock.now() + 3_600_000_000) }

    private func dispatcher(_ fence: Fence) throws -> Dispatcher {
        var settings = WorkerSettings(database: ConnectionSettings(url: "postgres://localhost/none"))
        settings.maxOutstanding = 10
        let routing = Routing(version: 1, destinations: [try destination(1)], keptResponseBytes: [:], faults: [])
        return Dispatcher(
            settings: settings, routing: RoutingTable(routing), fence: fence, send: { _ in }, transform: { $0 },
            settled: { _ in })
    }

    @Test func claimWithLargeEventsTakesRoom() throws {
        let dispatcher = try dispatcher(openFence())
        dispatcher.accept(Claim(id: 1, work: [work(0)] + (1..<10).map { heavy($0) }))
        #expect(dispatcher.gauge().room == 0)
        #expect(dispatcher.gauge().inFlight == 1)
        let load = try #require(dispatcher.takeLoad())
        dispatcher.accept(Claim(id: 1, work: [loaded(load)]), settled: load.settled)
        dispatcher.endLoad(load)
        #expect(dispatcher.gauge().outstanding == 10)
        #expect(dispatcher.gauge().inFlight == 2)
        dispatcher.drain()
        #expect(dispatcher.gauge().outstanding == 2)
        #expect(dispatcher.takeLoad() == nil)
        #expect(dispatcher.gauge().unrecorded == 8)
    }

    @Test func nothingIsLoadedWithoutALease() throws {
        let fence = openFence()
        let dispatcher = try dispatcher(fence)
        dispatcher.accept(Claim(id: 1, work: [heavy(1)]))
        fence.close()
        #expect(dispatcher.takeLoad() == nil)
        #expect(dispatcher.hasLoads)
        fence.confirm(heartbeatStartedAt: WorkerClock.now() + 3_600_000_000)
        #expect(dispatcher.takeLoad() != nil)
    }

    @Test func eventThatWorkersDiedOfIsNotLoaded() throws {
        let dispatcher = try dispatcher(openFence())
        dispatcher.accept(Claim(id: 1, work: [heavy(1)], rescues: RescueStore.mostRescues))
        #expect(!dispatcher.hasLoads)
        #expect(dispatcher.gauge().unrecorded == 1)
    }
}
