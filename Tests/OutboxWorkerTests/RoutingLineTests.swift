// Destinations that change under a worker: after versions were lost with a primary, and while a request is under way.

import Outbox
import Testing

@testable import OutboxStore
@testable import OutboxWorker

@Suite struct RoutingLineTests: DispatchFixture {
    private func routing(_ version: Int64, _ destinations: [Destination] = []) -> Routing {
        Routing(version: version, destinations: destinations, keptResponseBytes: [:], faults: [])
    }

    @Test func lowerVersionThatFollowsIsTaken() throws {
        var state = state([])
        let before = RoutingTable(routing(100, [try destination(1)]))
        state.setRouting(before)
        let after = RoutingTable(routing(95, [try destination(2)]), following: before)
        state.setRouting(after)
        #expect(state.routing.version == 95)
        #expect(state.routing[1] == nil && state.routing[2] != nil)
    }

    @Test func loadsThatEndInTheWrongOrderChangeNothing() throws {
        let before = RoutingTable(routing(100))
        let after = RoutingTable(routing(95), following: before)
        for (newer, older) in [
            (RoutingTable(routing(101), following: before), before), (before, RoutingTable(routing(99))),
            (after, before), (after, before.changed(routing(101), [])), (after.changed(routing(96), []), after),
        ] {
            #expect(older.isOlder(than: newer) && !newer.isOlder(than: older))
            var state = state([])
            state.setRouting(newer)
            state.setRouting(older)
            #expect(state.routing.version == newer.version)
        }
    }

    @Test func whatFollowsWithoutALossIsOfTheSameLine() throws {
        let table = RoutingTable(routing(100))
        #expect(RoutingTable(routing(100), following: table).line == 0)
        let lost = RoutingTable(routing(95), following: table)
        #expect([lost.line, RoutingTable(routing(300), following: lost).line] == [1, 1])
        // Also when so many changed that everything is built anew.
        let many = Int32(RoutingTable.mostOverlaid) + 1
        #expect(lost.changed(routing(97), Array(1...many)).line == 1)
    }

    /// A load of everything tells what nobody asks for any more; one of changes does not.
    @Test func orderThatNoDestinationKeepsAnyMoreIsForgotten() throws {
        let ordered = try destination(1, options: DeliveryOptions(["order": .bool(true)]))
        let before = RoutingTable(routing(100, [ordered, try destination(2)]))
        #expect(before.keepsOrder)
        let plain = try destination(1)
        #expect(before.changed(routing(101, [plain]), [1]).keepsOrder)
        #expect(!RoutingTable(routing(101, [plain, try #require(before[2])]), following: before).keepsOrder)
        #expect(RoutingTable(routing(101, [plain, try destination(3, options: ordered.options)]), following: before).keepsOrder)
    }

    /// `crm` sends the delivery's id in a header, `standard` does not.
    @Test func profileThatChangesWhileWorkWaitsDecidesWhetherTheDeliveryIDIsSent() throws {
        var state = state([try destination(1, concurrency: 1)])
        add(&state, claim: 1, [work(1), work(2), work(3)])
        let first = try #require(state.depart(at: 0).first)
        #expect(first.deliveryID == "")
        state.setRouting(RoutingTable(routing(2, [try destination(1, concurrency: 1, profile: "crm")]), following: state.routing))
        answer(&state, first.token, status: 200)
        let second = try #require(state.depart(at: 20).first)
        #expect(second.deliveryID == DeliveryID.text(event: second.delivery.parcel.event.id, destination: 1))
        state.setRouting(RoutingTable(routing(3, [try destination(1, concurrency: 1)]), following: state.routing))
        answer(&state, second.token, status: 200, now: 30)
        #expect(try #require(state.depart(at: 40).first).deliveryID == "")
    }

    /// Of a load of everything the same objects are the same destinations.
    @Test(arguments: [3, RoutingTable.mostOverlaid + 1]) func loadOfEverythingIsAsNewAsOneOfAFirstStart(changes: Int) throws {
        let count = Int32(3 * changes)
        let urls = { (id: Int32, path: String) in "https://d\(id).example.com/\(path)" }
        let old = try (1...count).map { try destination($0, patterns: ["a.b"], url: urls($0, "old")) }
        var before = RoutingTable(routing(100, old))
        // One that was laid over already goes too.
        before = before.changed(routing(101, [try destination(count, patterns: ["a.b"], url: urls(count, "mended"))]), [count])
        let removed = Set((1...count).filter { $0 % 3 == 0 })
        let new = try (1...(count + 2)).filter { !removed.contains($0) }.map { id in
            id % 3 == 1 || id > count ? try destination(id, patterns: ["a.*"], url: urls(id, "new")) : old[Int(id) - 1]
        }
        let kept = Dictionary(uniqueKeysWithValues: new.map { ($0.id, Int($0.id)) })
        let load = Routing(version: 102, destinations: new, keptResponseBytes: kept, faults: [])
        let after = RoutingTable(load, following: before)
        #expect(after.version == 102 && after.line == 0)
        for type in ["a.b", "a.c"] {
            let event = Event(
                id: EventID(high: 0x7000, low: 1), type: type, createdAtMicroseconds: 0, organization: nil, user: nil, recordID: nil,
                orderingKey: nil, priority: 1, data: Array("{}".utf8))
            let wanted = after.destinations(for: event).sorted { $0.id < $1.id }
            let expected = new.filter { type == "a.b" || $0.url.text.hasSuffix("new") }
            #expect(wanted.map(\.id) == expected.map(\.id))
            #expect(zip(wanted, expected).allSatisfy { $0 === $1 })
        }
        #expect(removed.allSatisfy { after[$0] == nil && after.keptBytes(of: $0) == 0 })
        #expect(new.allSatisfy { after[$0.id] === $0 && after.keptBytes(of: $0.id) == Int($0.id) })
    }

    /// A URL may be mended while a request is under way: what the receiver behind the old one says is its own affair.
    @Test func destinationIsDisabledAtTheURLThatAnswered() throws {
        var state = state([try destination(1)])
        add(&state, claim: 1, [work(1)])
        let departure = try #require(state.depart(at: 0).first)
        state.setRouting(RoutingTable(routing(2, [try destination(1, url: "https://mended.example.com/")])))
        answer(&state, departure.token, status: 410)
        let disabled = state.takeDisabled()
        #expect(disabled.map(\.destination) == [1] && disabled.map(\.reason) == ["gone"])
        #expect(disabled.map(\.url) == ["https://d1.example.com/"])
    }

    /// Told of the new URL, what the old one did would have it left alone by all workers.
    @Test func whatTheOldURLDidIsNotToldOfTheNewOne() throws {
        var state = state([try destination(1)])
        add(&state, claim: 1, (0..<30).map { work($0) })
        for _ in 0..<2 { for departure in state.depart(at: 0) { answer(&state, departure.token, status: 503) } }
        // Nobody has been told yet.
        state.setRouting(RoutingTable(routing(2, [try destination(1, url: "https://mended.example.com/")])))
        let departure = try #require(state.depart(at: 20).first)
        let ended = EndedExchange(duration: 5, status: 429, body: [], message: "")
        let throttled = Answer(status: 429, retryAfter: .seconds(7))
        state.settle(token: departure.token, .answered(throttled), ended, random: 0, now: 30)
        let failing = state.breakers.take().failing
        #expect(failing.map(\.url) == ["https://mended.example.com/"])
        #expect(failing.map(\.opens) == [false] && failing.map(\.pause) == [.seconds(7)])
        // Nor when it could not be told and comes back.
        state.breakers.giveBack(failing, [])
        let old = BreakerReport(
            destination: 1, url: "https://d1.example.com/", opens: true, pause: .seconds(500), failingFor: .zero,
            failure: "unavailable")
        state.breakers.giveBack([old], [])
        #expect(state.breakers.take().failing == failing)
    }
}
