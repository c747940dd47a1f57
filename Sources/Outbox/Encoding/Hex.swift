// Bytes as lower-case hexadecimal digits, and digits as values.
// Called by event ids, signatures and generated secrets.

/// Hexadecimal text.
enum Hex {
    /// The sixteen digits, lower case: receivers compare signatures byte by byte.
    private static let digits: StaticString = "0123456789abcdef"

    /// Appends two digits for every byte.
    static func append(_ bytes: UnsafeRawBufferPointer, to output: inout [UInt8]) {
        let table = digits.utf8Start
        for byte in bytes {
            output.append(table[Int(byte >> 4)])
            output.append(table[Int(byte & 15)])
        }
    }

    /// Appends a number of `count` digits, its most significant digit first.
    static func append(_ value: UInt64, digits count: Int, to output: inout [UInt8]) {
        let table = digits.utf8Start
        var shift = (count - 1) * 4
        while shift >= 0 {
            output.append(table[Int((value >> UInt64(shift)) & 15)])
            shift -= 4
        }
    }

    /// Gives the value of a digit of either case, nil for any other byte.
    static func value(of byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
