// Filters and transforms on the road of an event: who gets what, and what becomes of payloads that a function makes.

import Outbox
import Testing

@testable import OutboxStore
@testable import OutboxWorker

@Suite struct PayloadRoutingTests {
    private func destination(_ id: Int32, _ options: String, isEnabled: Bool = true) throws -> Destination {
        try Destination(
            id: id, uuid: "00000000-0000-0000-0000-00000000000\(id)", name: "d\(id)",
            url: DestinationURL("https://d\(id).example.com/"), patterns: [EventPattern("*")],
            profile: try #require(Profile.builtIn["standard"]), retry: RetryPolicy(delays: [.seconds(1)], jitter: 0),
            maxConcurrency: 8, isEnabled: isEnabled, options: DeliveryOptions(parsing: Array(options.utf8)))
    }

    private func table(_ destinations: [Destination]) -> RoutingTable {
        RoutingTable(Routing(version: 1, destinations: destinations, keptResponseBytes: [:], faults: []))
    }

    private func work(_ data: String, target: Claim.Target? = nil) -> Claim.Work {
        let event = Event(
            id: EventID(high: 0x7000, low: 1), type: "a.b", createdAtMicroseconds: 0, data: Array(data.utf8))
        return Claim.Work(event: event, isHeavy: false, target: target)
    }

    private func deliveries(
        _ table: RoutingTable, _ work: Claim.Work, readsPayload: Bool = true
    ) -> [Delivery] {
        table.deliveries(of: work, claim: 5, settled: [], readsPayload: readsPayload)
    }

    private func text(_ delivery: Delivery) -> String { String(decoding: delivery.parcel.event.data, as: UTF8.self) }

    private let picky = #"{"filter": {"x": [1]}}"#

    @Test func filteredDestinationsGetWhatPasses() throws {
        let table = table([try destination(1, "{}"), try destination(2, picky)])
        #expect(deliveries(table, work(#"{"x": 1}"#)).map(\.destination) == [1, 2])
        #expect(deliveries(table, work(#"{"x": 2}"#)).map(\.destination) == [1])
        // What is parked is filtered too: it was not wanted.
        let parked = self.table([try destination(2, picky, isEnabled: false)])
        #expect(deliveries(parked, work(#"{"x": 2}"#)).isEmpty)
    }

    @Test func retriesAndPoisonAreNotFiltered() throws {
        let table = table([try destination(2, picky)])
        let retry = work(#"{"x": 2}"#, target: Claim.Target(destination: 2, attempt: 3))
        #expect(deliveries(table, retry).map(\.attempt) == [3])
        #expect(deliveries(table, work(""), readsPayload: false).count == 1)
    }

    /// It is no wait for a key: the attempt fails, and in the end it is a dead letter.
    @Test func payloadThatNoKeyOpensHasAFault() throws {
        let table = table([try destination(1, "{}"), try destination(2, picky)])
        let sealed = work(#"{"postrider": "sealed:v1:k1:AAAA"}"#)
        let made = Claim.Work(event: sealed.event, isHeavy: false, target: nil, fault: "made up")
        for (work, isFault) in [(sealed, false), (made, true)] {
            let found = deliveries(table, work).map { delivery -> Bool? in
                switch delivery.parcel.unready {
                case .sealed?: return false
                case .fault("made up")?: return true
                default: return nil
                }
            }
            #expect(found == [isFault, isFault])
        }
    }

    /// Whoever has put it back may not have asked: it was large and unread, or sealed, or a key was missing.
    @Test func untriedDeliveryIsFilteredBeforeItsFirstAttempt() throws {
        let table = table([try destination(2, picky)])
        func isKeptOut(_ data: String, _ target: Claim.Target) throws -> Bool {
            let delivery = try #require(deliveries(table, work(data, target: target)).first)
            guard case .filteredOut = delivery.parcel.unready else { return false }
            return true
        }
        let first = Claim.Target(destination: 2, attempt: 1)
        #expect(try isKeptOut(#"{"x": 2}"#, first))
        #expect(try !isKeptOut(#"{"x": 1}"#, first))
        #expect(try !isKeptOut(#"{"x": 2}"#, Claim.Target(destination: 2, attempt: 2)))
        #expect(try !isKeptOut(#"{"x": 2}"#, Claim.Target(destination: 2, attempt: 1, isReplay: true)))
    }

    @Test func nothingIsReadForDestinationsWithoutFilters() throws {
        #expect(!table([try destination(1, "{}"), try destination(2, #"{"order": true}"#)]).readsPayloads)
        for option in [picky, #"{"transform": {"omit": ["x"]}}"#, #"{"transform_function": "s.f"}"#] {
            #expect(table([try destination(1, "{}"), try destination(2, option)]).readsPayloads)
        }
    }

    /// It cannot come out of a database; if it does, one delivery too many can be seen.
    @Test func payloadThatIsNoJSONPassesFiltersAndFailsTemplates() throws {
        let table = table([try destination(1, picky), try destination(2, #"{"transform": {"omit": ["x"]}}"#)])
        let found = deliveries(table, work("{"))
        #expect(found.map(\.destination) == [1, 2])
        #expect(found[0].parcel.unready == nil)
        guard case .fault(let reason) = found[1].parcel.unready else { throw Missing() }
        #expect(reason.hasPrefix("not JSON at byte 1"))
    }

    @Test func templatesMakeAPayloadForTheirDestinationAlone() throws {
        let table = table([
            try destination(1, "{}"), try destination(2, #"{"transform": {"omit": ["x"]}}"#), try destination(3, "{}"),
        ])
        let found = deliveries(table, work(#"{"x": 1, "y": 2.50}"#))
        #expect(found.map(text) == [#"{"x": 1, "y": 2.50}"#, #"{"y": 2.50}"#, #"{"x": 1, "y": 2.50}"#])
        #expect(found[0].parcel === found[2].parcel)
        let retry = work(#"{"x": 1}"#, target: Claim.Target(destination: 2, attempt: 2))
        #expect(deliveries(table, retry).map(text) == ["{}"])
    }

    /// Somebody may switch it on between routing and sending.
    @Test func payloadIsMadeForAnInactiveDestinationToo() throws {
        let table = table([try destination(1, #"{"transform": {"omit": ["x"]}}"#, isEnabled: false)])
        #expect(deliveries(table, work(#"{"x": 1}"#)).map(text) == ["{}"])
        var state = DispatchState(maxInFlight: 1, routing: table)
        state.setRouting(self.table([try destination(1, "{}")]))
        #expect(state.routingChanges == 1)
    }

    // MARK: What is set aside

    private struct Missing: Error {}

    private func state(_ destinations: [Destination], _ data: String = #"{"x": 1}"#) -> DispatchState {
        var state = DispatchState(maxInFlight: 10, routing: table(destinations))
        state.open(claim: 5, now: 0)
        state.add(work(data), to: 5, settled: [], now: 0)
        state.close(claim: 5)
        return state
    }

    private let function = #"{"transform": {"set": {"y": 2}}, "transform_function": "s.f"}"#

    @Test func payloadIsSentWhenItsFunctionHasMadeIt() throws {
        var state = state([try destination(1, function), try destination(2, "{}")])
        #expect(state.depart(at: 0).map(\.destination.id) == [2])
        #expect(state.outstanding == 2)
        let aside = state.takeUntransformed()
        // The function gets what the template made.
        #expect(aside.map(text) == [#"{"x": 1, "y": 2}"#])
        #expect(state.takeUntransformed().isEmpty)
        state.transformed(aside[0], .data(Array("{}".utf8)), random: 0, now: 1)
        let departure = try #require(state.depart(at: 1).first)
        #expect(text(departure.delivery) == "{}")
        #expect(state.settlement.finishedClaims.isEmpty)
    }

    @Test func nothingOfADroppedEventRemainsInMemory() throws {
        var state = state([try destination(1, function)])
        state.transformed(state.takeUntransformed()[0], .dropped, random: 0, now: 1)
        #expect(state.settlement.finishedClaims == [5])
        #expect(state.settlement.count == 1)
        #expect(state.outstanding == 0)
        #expect(state.payloadBytes == 0)
        #expect(state.takeRetryHints().isEmpty)
    }

    @Test func failedTransformIsTriedAgainOnTheDestinationsSchedule() throws {
        var state = state([try destination(1, function)])
        state.transformed(state.takeUntransformed()[0], .failed("division by zero"), random: 0, now: 1)
        #expect(state.settlement.finishedClaims == [5])
        #expect(state.takeRetryHints().map(\.milliseconds) == [1000])
        #expect(state.breakers.take().failing.isEmpty)
    }

    @Test func payloadThatATemplateCannotChangeIsAFailedAttempt() throws {
        var state = state([try destination(1, #"{"transform": {"omit": ["x"]}}"#)], "5")
        #expect(state.takeUntransformed().isEmpty)
        #expect(state.settlement.finishedClaims == [5])
        #expect(state.takeRetryHints().map(\.milliseconds) == [1000])
    }

    @Test func whatIsNotCalledWhileDrainingGoesBack() throws {
        var state = state([try destination(1, function)])
        let aside = state.takeUntransformed()
        state.isDraining = true
        state.transformed(aside[0], .data(Array("{}".utf8)), random: 0, now: 1)
        #expect(state.takeRetryHints().map(\.milliseconds) == [0])
        #expect(state.settlement.finishedClaims == [5])
        #expect(state.depart(at: 1).isEmpty)
    }
}
