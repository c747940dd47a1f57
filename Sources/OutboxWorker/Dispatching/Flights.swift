// Requests in flight by the token that the exchanger gives back. Used by DispatchState alone.

internal import HTTPExchange
internal import Outbox

/// A request in flight: one delivery, or the deliveries of a batch.
struct Flight: Sendable {
    let delivery: Delivery
    /// The others of a batch; empty without batches.
    let more: [Delivery]
    /// Whether it was sent as a batch, be it of one: the destination's options may be others when the answer comes.
    let isBatch: Bool
    /// Where it goes; the destination may be mended while it is under way.
    let url: String
    /// When it began.
    let startedAt: Int64

    /// All deliveries of the request.
    var deliveries: [Delivery] { [delivery] + more }
}

/// A request that may start now.
struct Departure: Sendable {
    let token: UInt64
    let delivery: Delivery
    /// The others of a batch; empty without batches.
    let more: [Delivery]
    let destination: Destination
    /// The delivery's id; empty when the profile does not send it.
    let deliveryID: String
    /// The way to it; nil for the straight one.
    let route: Route?
}

/// The requests in flight. Tokens are small numbers that are used again.
struct Flights: Sendable {
    private var flights: [Flight?] = []
    private var freeTokens: [UInt64] = []

    /// The deliveries in flight.
    var deliveries: [Delivery] { flights.flatMap { $0?.deliveries ?? [] } }

    /// Adds a flight and gives its token.
    mutating func board(_ flight: Flight) -> UInt64 {
        if let free = freeTokens.popLast() {
            flights[Int(free)] = flight
            return free
        }
        flights.append(flight)
        return UInt64(flights.count - 1)
    }

    /// Takes a flight out; nil when there is none under the token.
    mutating func land(_ token: UInt64) -> Flight? {
        guard token < flights.count, let flight = flights[Int(token)] else { return nil }
        flights[Int(token)] = nil
        freeTokens.append(token)
        return flight
    }
}
