// The identity of an event: the uuid that Postgres gave it, kept as two words.
// Made by the store from 16 binary bytes, written into envelopes and headers by the request builder.

/// The id of an event: 16 bytes, normally a UUID version 7, so that order follows creation.
///
/// It is the receiver's idempotency key: the same on every attempt and for every destination.
public struct EventID: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The first eight bytes, most significant first.
    public let high: UInt64
    /// The last eight bytes, most significant first.
    public let low: UInt64

    /// Makes an id of its two halves.
    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// Makes an id of the 16 bytes that Postgres sends for a `uuid` in binary form.
    ///
    /// - Returns: nil unless there are exactly 16 bytes.
    public init?(bytes: UnsafeRawBufferPointer) {
        guard bytes.count == 16 else { return nil }
        high = UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 0, as: UInt64.self))
        low = UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
    }

    /// Reads the canonical text form, 36 characters of either case.
    ///
    /// - Returns: nil for anything else; braces, `urn:uuid:` and missing hyphens are refused.
    public init?(_ text: String) {
        guard text.utf8.count == 36 else { return nil }
        var halves: [UInt64] = [0, 0]
        var digit = 0
        for (position, byte) in text.utf8.enumerated() {
            if position == 8 || position == 13 || position == 18 || position == 23 {
                guard byte == UInt8(ascii: "-") else { return nil }
                continue
            }
            guard let value = Hex.value(of: byte) else { return nil }
            halves[digit / 16] = halves[digit / 16] << 4 | UInt64(value)
            digit += 1
        }
        self.init(high: halves[0], low: halves[1])
    }

    /// The moment of creation in unix milliseconds, from the first 48 bits (RFC 9562 section 5.7).
    ///
    /// Meaningless unless the id is of version 7.
    public var createdAtMilliseconds: Int64 { Int64(high >> 16) }

    /// The canonical text form, 36 characters, lower case.
    public var description: String {
        String(unsafeUninitializedCapacity: 36) { buffer in
            var bytes: [UInt8] = []
            bytes.reserveCapacity(36)
            append(to: &bytes)
            return buffer.initialize(fromContentsOf: bytes)
        }
    }

    /// Orders ids as Postgres does: by their bytes.
    public static func < (left: EventID, right: EventID) -> Bool {
        (left.high, left.low) < (right.high, right.low)
    }

    /// Appends the canonical text form, 36 bytes.
    func append(to output: inout [UInt8]) {
        let hyphen = UInt8(ascii: "-")
        Hex.append(high >> 32, digits: 8, to: &output)
        output.append(hyphen)
        Hex.append(high >> 16, digits: 4, to: &output)
        output.append(hyphen)
        Hex.append(high, digits: 4, to: &output)
        output.append(hyphen)
        Hex.append(low >> 48, digits: 4, to: &output)
        output.append(hyphen)
        Hex.append(low, digits: 12, to: &output)
    }
}
