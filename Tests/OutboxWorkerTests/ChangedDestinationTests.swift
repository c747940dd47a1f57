// Destinations that become others while deliveries to them wait: given to another organization, or with another filter or
// transform.

import Outbox
import Testing

@testable import OutboxStore
@testable import OutboxWorker

@Suite struct ChangedDestinationTests: DispatchFixture {
    private func change(_ state: inout DispatchState, to destinations: [Destination]) {
        state.setRouting(
            RoutingTable(Routing(version: 2, destinations: destinations, keptResponseBytes: [:], faults: [])))
    }

    private func options(_ text: String) throws -> DeliveryOptions { try DeliveryOptions(parsing: Array(text.utf8)) }

    @Test(arguments: [2, 1] as [Int16], [true, false])
    func nothingOfOneOrganizationIsSentToTheEndpointOfAnother(attempt: Int16, isEnabled: Bool) throws {
        var state = state([try destination(1, isEnabled: isEnabled, organization: "beta")])
        let target = Claim.Target(destination: 1, attempt: attempt, isReplay: attempt == 2)
        add(&state, claim: 1, [work(1, target: target, organization: "acme"), work(2, target: target)])
        #expect(state.depart(at: 0).isEmpty)
        let settlement = state.takeSettlement()
        #expect(settlement.count == 2)
        #expect(settlement.hasAttempts, "which say why")
        #expect(settlement.finishedClaims == [1])
        #expect(state.takeRetryHints().isEmpty)
        add(&state, claim: 2, [work(3, target: target, organization: "beta")])
        #expect(state.depart(at: 1).count == (isEnabled ? 1 : 0))
    }

    /// The two ways of writing an é are two organizations.
    @Test func whoseItIsCountsByteByByte() throws {
        let one = try destination(1, organization: "caf\u{E9}", user: "u")
        #expect(one.serves(work(1, organization: "caf\u{E9}", user: "u").event))
        #expect(!one.serves(work(1, organization: "cafe\u{301}", user: "u").event))
        #expect(!one.serves(work(1, organization: "caf\u{E9}", user: "v").event))
        #expect(!one.serves(work(1, organization: "caf\u{E9}").event))
        #expect(try destination(1).serves(work(1, organization: "acme", user: "u").event))
    }

    @Test(arguments: [#"{"filter": {"x": [1]}}"#, #"{"transform": {"omit": ["x"]}}"#, #"{"transform_function": "s.f"}"#])
    func whatWaitsIsClaimedAgainWhenFilterOrTransformChange(text: String) throws {
        var state = state([try destination(1, concurrency: 1)])
        add(&state, claim: 1, (0..<3).map { work($0) })
        let flight = try #require(state.depart(at: 0).first)
        change(&state, to: [try destination(1, concurrency: 1, options: try options(text))])
        #expect(state.waiting == 0)
        #expect(state.takeRetryHints().map(\.milliseconds) == [0, 0])
        answer(&state, flight.token, status: 200)
        #expect(state.takeSettlement().finishedClaims == [1])
        #expect(state.payloadBytes == 0)
    }

    @Test func whatWaitsIsClaimedAgainWhenTheOrganizationChanges() throws {
        var state = state([try destination(1, concurrency: 1), try destination(2, concurrency: 1)])
        add(&state, claim: 1, (0..<3).map { work($0, organization: "acme") })
        let departed = state.depart(at: 0)
        #expect(departed.count == 2)
        change(&state, to: [try destination(1, concurrency: 1, organization: "beta"), try destination(2, concurrency: 2)])
        #expect(state.waiting == 2, "another concurrency takes nothing away")
        for departure in departed { answer(&state, departure.token, status: 200) }
        #expect(state.depart(at: 1).map(\.destination.id) == [2, 2])
        #expect(state.takeRetryHints().map(\.destination) == [1, 1])
    }

    @Test(arguments: [true, false]) func payloadOfAnOldTransformIsNotSent(changes: Bool) throws {
        let before = try destination(1, options: try options(#"{"transform_function": "s.old"}"#))
        var state = state([before])
        add(&state, claim: 1, [work(1)])
        let delivery = try #require(state.takeUntransformed().first)
        let name = changes ? "s.new" : "s.old"
        change(&state, to: [try destination(1, concurrency: 3, options: try options(#"{"transform_function": "\#(name)"}"#))])
        state.transformed(delivery, .data(Array("{}".utf8)), random: 0, now: 1)
        #expect(state.depart(at: 1).count == (changes ? 0 : 1))
        #expect(state.takeRetryHints().map(\.milliseconds) == (changes ? [0] : []))
        #expect(state.takeSettlement().finishedClaims == (changes ? [1] : []))
    }
}
