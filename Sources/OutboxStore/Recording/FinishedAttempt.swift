// One attempt as the dispatcher hands it to a settlement.

public import Outbox

/// What is known of an attempt when its exchange has ended.
public struct FinishedAttempt: Sendable {
    /// The event.
    public var event: EventID
    /// The destination, `webhook_destinations.id`.
    public var destination: Int32
    /// 1 for the first attempt of a delivery.
    public var number: Int16
    /// From the start of the exchange to its end, in microseconds.
    public var duration: Int32
    /// When it ended, in the worker's monotonic microseconds.
    public var endedAt: Int64
    /// The kept beginning of the answer as UTF-8 without U+0000; nil when empty or not kept.
    public var body: [UInt8]?

    /// Makes a finished attempt.
    public init(
        event: EventID, destination: Int32, number: Int16, duration: Int32, endedAt: Int64, body: [UInt8]?
    ) {
        self.event = event
        self.destination = destination
        self.number = number
        self.duration = duration
        self.endedAt = endedAt
        self.body = body
    }
}
