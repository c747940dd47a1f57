// Numbers after a round trip through Python: integers exact, everything else as repr() of a double.
// Called by the canonical form.

/// Numbers of JSON as Python prints them after reading them.
enum PythonNumber {
    /// Appends a number. `-0` becomes `0` (an int has no sign there), `1000.00` becomes `1000.0`, `1e400` becomes
    /// `Infinity`; an integer of any length stays as it is.
    static func append(_ text: ArraySlice<UInt8>, to output: inout [UInt8]) {
        let isInteger = !text.contains { $0 == UInt8(ascii: ".") || $0 | 0x20 == UInt8(ascii: "e") }
        if isInteger {
            output.append(contentsOf: text.elementsEqual("-0".utf8) ? text.dropFirst() : text)
            return
        }
        // The parser has checked the text, so the conversion cannot fail; what is too large becomes infinite.
        let value = Double(String(decoding: text, as: UTF8.self)) ?? .nan
        append(value, to: &output)
    }

    /// Appends `repr(value)` for a double: shortest digits that read back equal, exponent outside -4 ..< 16.
    static func append(_ value: Double, to output: inout [UInt8]) {
        guard value.isFinite else {
            output.append(contentsOf: (value.isNaN ? "NaN" : value < 0 ? "-Infinity" : "Infinity").utf8)
            return
        }
        if value.sign == .minus { output.append(UInt8(ascii: "-")) }
        guard value != 0 else {
            output.append(contentsOf: "0.0".utf8)
            return
        }
        let (digits, exponent) = shortest(value.magnitude)
        if exponent < -4 || exponent >= 16 {
            appendScientific(digits, exponent, to: &output)
        } else {
            appendFixed(digits, exponent, to: &output)
        }
    }

    /// The shortest digits, without zeros at either end, and the power of ten of the first one.
    ///
    /// Swift's description and Python's repr agree on the digits and differ only in how they set them.
    private static func shortest(_ value: Double) -> (digits: [UInt8], exponent: Int) {
        var digits: [UInt8] = []
        var point: Int?
        let text = value.description
        let mark = text.utf8.firstIndex(of: UInt8(ascii: "e")) ?? text.endIndex
        for byte in text[..<mark].utf8 {
            if byte == UInt8(ascii: ".") {
                point = digits.count
            } else {
                digits.append(byte)
            }
        }
        let written = Int(text[mark...].dropFirst()) ?? 0
        let leading = digits.prefix { $0 == UInt8(ascii: "0") }.count
        let exponent = written + (point ?? digits.count) - 1 - leading
        digits.removeFirst(leading)
        while digits.last == UInt8(ascii: "0") { digits.removeLast() }
        return (digits, exponent)
    }

    private static func appendScientific(_ digits: [UInt8], _ exponent: Int, to output: inout [UInt8]) {
        output.append(contentsOf: digits.prefix(1))
        if digits.count > 1 {
            output.append(UInt8(ascii: "."))
            output.append(contentsOf: digits.dropFirst())
        }
        output.append(contentsOf: exponent < 0 ? "e-".utf8 : "e+".utf8)
        if exponent.magnitude < 10 { output.append(UInt8(ascii: "0")) }
        Timestamp.appendDecimal(Int64(exponent.magnitude), to: &output)
    }

    private static func appendFixed(_ digits: [UInt8], _ exponent: Int, to output: inout [UInt8]) {
        let zero = UInt8(ascii: "0")
        guard exponent >= 0 else {
            output.append(contentsOf: "0.".utf8)
            output.append(contentsOf: repeatElement(zero, count: -exponent - 1))
            output.append(contentsOf: digits)
            return
        }
        output.append(contentsOf: digits.prefix(exponent + 1))
        output.append(contentsOf: repeatElement(zero, count: max(0, exponent + 1 - digits.count)))
        output.append(UInt8(ascii: "."))
        let fraction = digits.dropFirst(exponent + 1)
        output.append(contentsOf: fraction.isEmpty ? [zero] : fraction)
    }
}
