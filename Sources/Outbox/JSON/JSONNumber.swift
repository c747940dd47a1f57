// Numbers of JSON compared for what they are worth, exactly. Used by payload filters.

/// A number as it stands in a JSON text: `1`, `1.0` and `10e-1` are equal, and ids of 19 digits are told apart, which a
/// double could not.
struct JSONNumber: Hashable, Comparable, Sendable {
    /// -1, 0 or 1.
    let sign: Int
    /// The power of ten of the first digit; 0 for zero.
    let exponent: Int
    /// The digits without zeros at either end; empty for zero.
    let digits: [UInt8]

    /// Beyond this, powers of ten are all the same.
    private static let mostPower = 1_000_000_000

    /// Reads a number whose text a parser has checked.
    init(_ text: some Sequence<UInt8>) {
        var digits: [UInt8] = []
        var point: Int?
        var power: Int?
        var isNegative = false
        var isPowerNegative = false
        for byte in text {
            switch byte {
            case UInt8(ascii: "-"): if power == nil { isNegative = true } else { isPowerNegative = true }
            case UInt8(ascii: "+"): break
            case UInt8(ascii: "."): point = digits.count
            case UInt8(ascii: "e"), UInt8(ascii: "E"): power = 0
            default:
                let digit = byte &- UInt8(ascii: "0")
                if let known = power {
                    power = min(known * 10 + Int(digit), Self.mostPower)
                } else {
                    digits.append(digit)
                }
            }
        }
        let whole = point ?? digits.count
        let leading = digits.prefix { $0 == 0 }.count
        digits.removeFirst(leading)
        while digits.last == 0 { digits.removeLast() }
        self.digits = digits
        sign = digits.isEmpty ? 0 : isNegative ? -1 : 1
        exponent = digits.isEmpty ? 0 : whole - leading + (isPowerNegative ? -1 : 1) * (power ?? 0)
    }

    static func < (left: JSONNumber, right: JSONNumber) -> Bool {
        guard left.sign == right.sign else { return left.sign < right.sign }
        guard left.sign != 0 else { return false }
        let (small, large) = left.sign > 0 ? (left, right) : (right, left)
        if small.exponent != large.exponent { return small.exponent < large.exponent }
        return small.digits.lexicographicallyPrecedes(large.digits)
    }
}
