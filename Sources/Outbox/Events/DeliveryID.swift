// The id of a delivery, which is worked out and never stored. Used by the dispatcher for profiles that send it.

internal import Crypto

/// The identifier of an event on its way to one destination, the same on every attempt.
public enum DeliveryID {
    /// The id as text: the first 8 bytes of the event's id, then 8 bytes of SHA-256 over event id and destination.
    ///
    /// The same as `postrider.delivery_id(uuid, integer)` in the database, which a test compares.
    ///
    /// - Parameters:
    ///   - event: the event.
    ///   - destination: `webhook_destinations.id`.
    public static func text(event: EventID, destination: Int32) -> String {
        var hash = SHA256()
        var input: [UInt8] = []
        input.reserveCapacity(20)
        for part in [event.high, event.low] { withUnsafeBytes(of: part.bigEndian) { input.append(contentsOf: $0) } }
        withUnsafeBytes(of: destination.bigEndian) { input.append(contentsOf: $0) }
        hash.update(data: input)
        var low: UInt64 = 0
        for byte in hash.finalize().prefix(8) { low = low << 8 | UInt64(byte) }
        // The variant of RFC 9562.
        low = low & 0x3FFF_FFFF_FFFF_FFFF | 0x8000_0000_0000_0000
        return EventID(high: event.high, low: low).description
    }
}
