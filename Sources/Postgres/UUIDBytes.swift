// A UUID as two integers. Used in parameters and rows, where Foundation's UUID would cost a conversion each.

/// Sixteen bytes of a UUID, ordered as Postgres orders them (byte by byte).
public struct UUIDBytes: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// Bytes 0 to 7, big-endian.
    public let high: UInt64
    /// Bytes 8 to 15, big-endian.
    public let low: UInt64

    /// Makes a UUID of its two halves.
    ///
    /// - Parameters:
    ///   - high: bytes 0 to 7, big-endian.
    ///   - low: bytes 8 to 15, big-endian.
    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// Reads the canonical form, 32 hex digits in either case with hyphens after 8, 12, 16 and 20 digits; nil for
    /// anything else.
    ///
    /// - Parameter text: for example `0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b`.
    public init?(_ text: String) {
        guard text.utf8.count == 36 else { return nil }
        var halves: (UInt64, UInt64) = (0, 0)
        var digits = 0
        for (index, byte) in text.utf8.enumerated() {
            if index == 8 || index == 13 || index == 18 || index == 23 {
                guard byte == UInt8(ascii: "-") else { return nil }
                continue
            }
            guard let digit = Self.digit(byte) else { return nil }
            if digits < 16 { halves.0 = halves.0 << 4 | digit } else { halves.1 = halves.1 << 4 | digit }
            digits += 1
        }
        (high, low) = halves
    }

    /// The canonical form in lower case, 36 characters.
    public var description: String {
        String(unsafeUninitializedCapacity: 36) { buffer in
            var digits = 0
            for index in 0..<36 {
                if index == 8 || index == 13 || index == 18 || index == 23 {
                    buffer[index] = UInt8(ascii: "-")
                    continue
                }
                let half = digits < 16 ? high : low
                let digit = UInt8(truncatingIfNeeded: half >> UInt64(60 - 4 * (digits & 15))) & 15
                buffer[index] = digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10
                digits += 1
            }
            return 36
        }
    }

    /// Byte order, the same as Postgres' for the type uuid.
    public static func < (left: UUIDBytes, right: UUIDBytes) -> Bool {
        (left.high, left.low) < (right.high, right.low)
    }

    /// The value of a hex digit, nil for any other byte.
    private static func digit(_ byte: UInt8) -> UInt64? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt64(byte - UInt8(ascii: "0"))
        case UInt8(ascii: "a")...UInt8(ascii: "f"): UInt64(byte - UInt8(ascii: "a") + 10)
        case UInt8(ascii: "A")...UInt8(ascii: "F"): UInt64(byte - UInt8(ascii: "A") + 10)
        default: nil
        }
    }
}
