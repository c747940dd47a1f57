// Destinations, events and answers for tests of the dispatcher's decisions.

import Outbox
import Testing

@testable import OutboxStore
@testable import OutboxWorker

/// Suites that drive a `DispatchState` by hand.
protocol DispatchFixture {}

extension DispatchFixture {
    func destination(
        _ id: Int32, concurrency: Int = 64, patterns: [String] = ["*"], isEnabled: Bool = true,
        options: DeliveryOptions = .none, url: String? = nil, profile: String = "standard", organization: String? = nil,
        user: String? = nil
    ) throws -> Destination {
        try Destination(
            id: id, uuid: "00000000-0000-0000-0000-00000000000\(id)", name: "d\(id)",
            url: DestinationURL(url ?? "https://d\(id).example.com/"), patterns: patterns.map { try EventPattern($0) },
            organization: organization, user: user, profile: try #require(Profile.builtIn[profile]),
            retry: RetryPolicy(delays: [.seconds(1)], jitter: 0),
            maxConcurrency: concurrency, isEnabled: isEnabled, options: options)
    }

    func state(_ destinations: [Destination], maxInFlight: Int = 100) -> DispatchState {
        DispatchState(
            maxInFlight: maxInFlight,
            routing: RoutingTable(Routing(version: 1, destinations: destinations, keptResponseBytes: [:], faults: [])))
    }

    func work(
        _ number: UInt64, type: String = "a.b", target: Claim.Target? = nil, organization: String? = nil, user: String? = nil
    ) -> Claim.Work {
        let event = Event(
            id: EventID(high: 0x7000, low: number), type: type, createdAtMicroseconds: 0, organization: organization, user: user,
            recordID: nil, orderingKey: nil, priority: 1, data: Array("{}".utf8))
        return Claim.Work(event: event, isHeavy: false, target: target)
    }

    func add(_ state: inout DispatchState, claim: Int64, _ works: [Claim.Work], now: Int64 = 0) {
        state.open(claim: claim, now: now)
        for work in works { state.add(work, to: claim, settled: [], now: now) }
        state.close(claim: claim)
    }

    func answer(_ state: inout DispatchState, _ token: UInt64, status: Int, now: Int64 = 10) {
        let ended = EndedExchange(duration: 5, status: status, body: [], message: "")
        state.settle(token: token, .answered(Answer(status: status)), ended, random: 0, now: now)
    }
}
