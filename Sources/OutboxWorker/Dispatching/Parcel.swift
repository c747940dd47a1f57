// What the dispatcher holds in memory for each event and each delivery.

internal import Outbox

/// An event of a claim. A class, so that a fan-out to many destinations shares one; a destination with a transform has one of
/// its own.
final class Parcel: Sendable {
    /// Why a payload cannot be sent as it is here.
    enum Unready: Sendable {
        /// A function of this destination makes what is sent.
        case function(of: Destination)
        /// It is not sent at all: the filter kept it out, and what stands behind it in its ordering key goes on.
        case filteredOut
        /// It was erased after somebody asked for it to be sent.
        case erased
        /// The destination was given to another organization or user since it was routed there.
        case foreign
        /// It is sealed with a key that this worker lacks, or may lack.
        case sealed
        /// It never can; what is wrong.
        case fault(String)
    }

    let event: Event
    let claim: Int64
    /// Nil for nearly all: what stands in `event` is sent.
    let unready: Unready?

    init(event: Event, claim: Int64, unready: Unready? = nil) {
        self.event = event
        self.claim = claim
        self.unready = unready
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
