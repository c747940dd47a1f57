// A batch of work as a worker takes it from the database. Made by ClaimStore, consumed by the dispatcher.

public import Outbox

/// A batch of events or retries that one worker holds: one row of `webhook_claims`.
public struct Claim: Sendable {
    /// The claim's id, `webhook_claims.id`.
    public let id: Int64
    /// Its work, at least one item, in the order in which it should be sent.
    public var work: [Work]
    /// How many workers died holding it; 0 for a claim of one's own.
    public let rescues: Int

    /// One event of a claim.
    public struct Work: Sendable {
        /// The event. Its `data` is empty when ``isHeavy``.
        public let event: Event
        /// True when the payload was left in the database because it is large; load it with
        /// ``ClaimStore/payload(of:atMost:on:)``.
        public let isHeavy: Bool
        /// For a retry its destination and the number of the attempt that is due; nil for a first fan-out.
        public let target: Target?
        /// Why the payload can never be sent, in one line for people; nil nearly always.
        public let fault: String?

        /// Makes one item of work.
        public init(event: Event, isHeavy: Bool, target: Target?, fault: String? = nil) {
            self.event = event
            self.isHeavy = isHeavy
            self.target = target
            self.fault = fault
        }
    }

    /// Where a retry goes.
    public struct Target: Sendable, Hashable {
        /// The destination, `webhook_destinations.id`.
        public let destination: Int32
        /// The number of the attempt that is due, from 1.
        public let attempt: Int16
        /// Whether an operator asked for it.
        public let isReplay: Bool

        /// Makes a target.
        public init(destination: Int32, attempt: Int16, isReplay: Bool = false) {
            self.destination = destination
            self.attempt = attempt
            self.isReplay = isReplay
        }
    }

    /// Makes a claim.
    public init(id: Int64, work: [Work], rescues: Int = 0) {
        self.id = id
        self.work = work
        self.rescues = rescues
    }
}
