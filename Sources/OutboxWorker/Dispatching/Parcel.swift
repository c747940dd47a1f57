// What the dispatcher holds in memory for each event and each delivery.

internal import Outbox

/// An event of a claim. A class, so that a fan-out to many destinations shares one.
final class Parcel: Sendable {
    let event: Event
    let claim: Int64

    init(event: Event, claim: Int64) {
        self.event = event
        self.claim = claim
    }
}

/// One event on its way to one destination.
struct Delivery: Sendable {
    let parcel: Parcel
    let destination: Int32
    /// The number of the attempt that is due, from 1.
    let attempt: Int16
    /// Whether an operator asked for it: behind first attempts, whatever its number.
    var isReplay = false
}
