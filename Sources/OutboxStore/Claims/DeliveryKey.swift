// Which delivery is meant. Used where claims are read and where deliveries are settled.

public import Outbox

/// One event and one destination.
public struct DeliveryKey: Sendable, Hashable {
    /// The event.
    public let event: EventID
    /// The destination, `webhook_destinations.id`.
    public let destination: Int32

    /// Makes a key.
    public init(event: EventID, destination: Int32) {
        self.event = event
        self.destination = destination
    }
}
