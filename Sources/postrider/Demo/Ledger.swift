// Everything that arrived at the demo's receivers, in order, counted as it comes. Filled by the receivers' threads.

internal import Outbox
internal import Synchronization

/// One request at one of the demo's receivers.
struct Arrival: Sendable {
    /// The name of the endpoint or workflow it was meant for.
    let destination: String
    let eventType: String
    let eventID: String
    let signature: SignatureVerdict
    /// What was answered.
    let status: Int
    let at: ContinuousClock.Instant
}

/// An event on its way to a destination.
struct Pair: Hashable, Sendable {
    let eventID: String
    let destination: String
}

/// The receivers' own books, which the demo compares with those of the database.
final class Ledger: Sendable {
    private struct State {
        var arrivals: [Arrival] = []
        /// How often each pair was answered with 2xx.
        var accepted: [Pair: Int] = [:]
        var badSignatures = 0
        /// Counted from here in the lines for people; nil when arrivals are not shown.
        var shownSince: ContinuousClock.Instant?
    }

    private let state = Mutex(State())
    private let log: DemoLog

    init(log: DemoLog) { self.log = log }

    /// Writes an arrival down, and shows it if that is wanted.
    func note(_ arrival: Arrival) {
        let start = state.withLock { state in
            state.arrivals.append(arrival)
            if (200...299).contains(arrival.status) {
                state.accepted[Pair(eventID: arrival.eventID, destination: arrival.destination), default: 0] += 1
            }
            if arrival.signature.reason != nil { state.badSignatures += 1 }
            return state.shownSince
        }
        if let start { log.arrival(arrival, since: start) }
    }

    /// Shows arrivals from now on, with times counted from now; nil to stop.
    func show(since start: ContinuousClock.Instant?) { state.withLock { $0.shownSince = start } }

    /// How many requests came.
    var requests: Int { state.withLock { $0.arrivals.count } }

    /// How many pairs of event and destination have been accepted, each counted once.
    var delivered: Int { state.withLock { $0.accepted.count } }

    /// Requests whose signature was wrong.
    var badSignatures: Int { state.withLock { $0.badSignatures } }

    /// How often each pair was accepted.
    var accepted: [Pair: Int] { state.withLock { $0.accepted } }

    /// The arrivals after the first `count`, in order.
    func arrivals(after count: Int) -> [Arrival] { state.withLock { Array($0.arrivals.dropFirst(count)) } }
}
