// The id of a batch: the same for the same events, another for any others. Called by the request builder.

import Crypto

/// Ids of batches.
enum BatchID {
    /// The first 8 bytes of the first event's id, then 8 bytes of a hash of all of them, so that a batch that is sent again
    /// carries the same id, and one of other events never does. Zero for no events.
    static func make(of events: [EventID]) -> EventID {
        guard let first = events.first else { return EventID(high: 0, low: 0) }
        var hash = SHA256()
        for event in events {
            withUnsafeBytes(of: (event.high.bigEndian, event.low.bigEndian)) { hash.update(bufferPointer: $0) }
        }
        let low = hash.finalize().prefix(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        // The variant of RFC 9562, section 4.1.
        return EventID(high: first.high, low: low & 0x3FFF_FFFF_FFFF_FFFF | 0x8000_0000_0000_0000)
    }
}
