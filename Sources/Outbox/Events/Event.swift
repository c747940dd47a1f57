// One event as the outbox holds it. Made by the store from a claimed row, read by routing and by the request builder.

/// One immutable row of the outbox: what happened, to whom it belongs, and its payload as bytes.
public struct Event: Sendable, Identifiable {
    /// The id, which is also the receiver's idempotency key.
    public var id: EventID
    /// The dotted type, for example `user.created`. See `EventType` for what is allowed.
    public var type: String
    /// When the event was written, in unix microseconds.
    public var createdAtMicroseconds: Int64
    /// The organization it belongs to; nil when it belongs to none.
    public var organization: String?
    /// The user it belongs to; nil when it belongs to none.
    public var user: String?
    /// The id of the row it tells about; nil when there is none.
    public var recordID: String?
    /// Events of the same key are delivered in order to destinations that ask for it; nil asks for no order.
    public var orderingKey: String?
    /// 0 high, 1 normal, 2 low; default 1.
    public var priority: Int16
    /// The payload: the JSON text that Postgres gave, forwarded without being parsed.
    public var data: [UInt8]

    /// What stands in place of a payload that was removed, as Postgres prints `postrider.removed_payload()`.
    public static let removedPayload = Array(#"{"postrider": "payload removed"}"#.utf8)

    /// Whether the payload was removed, by retention or because its person was forgotten; then it must not be sent.
    public var isErased: Bool { data == Self.removedPayload }

    /// When the event was written, in whole unix seconds, rounded down.
    var createdAtSeconds: Int64 { Timestamp.floorDivide(createdAtMicroseconds, 1_000_000) }

    /// When the event was written, in whole unix milliseconds, rounded down.
    var createdAtMilliseconds: Int64 { Timestamp.floorDivide(createdAtMicroseconds, 1000) }

    /// Makes an event. Nothing is checked here: Postgres holds the constraints and the request builder refuses what
    /// cannot be sent.
    public init(
        id: EventID,
        type: String,
        createdAtMicroseconds: Int64,
        organization: String? = nil,
        user: String? = nil,
        recordID: String? = nil,
        orderingKey: String? = nil,
        priority: Int16 = 1,
        data: [UInt8]
    ) {
        self.id = id
        self.type = type
        self.createdAtMicroseconds = createdAtMicroseconds
        self.organization = organization
        self.user = user
        self.recordID = recordID
        self.orderingKey = orderingKey
        self.priority = priority
        self.data = data
    }
}
