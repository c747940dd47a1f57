// Generated JSON documents with everything that a producer may write: odd numbers, escapes, every plane of Unicode,
// repeated keys, white space.

import TestSupport

/// A generator of JSON texts.
struct RandomJSON {
    private var generator: SeededGenerator
    private var text = ""

    init(seed: UInt64) { generator = SeededGenerator(seed: seed) }

    mutating func document() -> String {
        text = ""
        append(depth: Int.random(in: 0...6, using: &generator))
        return text
    }

    private mutating func pick(_ count: Int) -> Int { Int.random(in: 0..<count, using: &generator) }

    private mutating func append(depth: Int) {
        space()
        switch pick(depth > 0 ? 9 : 5) {
        case 0: text += ["true", "false", "null"][pick(3)]
        case 1, 2: text += number()
        case 3, 4: string()
        case 5, 6: list("[", "]", depth) { $0.append(depth: depth - 1) }
        default:
            list("{", "}", depth) { writer in
                writer.space()
                writer.string()
                writer.space()
                writer.text += ":"
                writer.append(depth: depth - 1)
            }
        }
        space()
    }

    private mutating func list(_ open: String, _ close: String, _ depth: Int, _ item: (inout RandomJSON) -> Void) {
        text += open
        let count = pick(5)
        for index in 0..<count {
            if index > 0 { text += "," }
            item(&self)
        }
        if count == 0 { space() }
        text += close
    }

    private mutating func space() {
        if pick(4) == 0 { text += [" ", "\n", "\t", "\r", "  "][pick(5)] }
    }

    private mutating func digits(_ count: Int) -> String {
        (0..<count).map { _ in String(pick(10)) }.joined()
    }

    private mutating func number() -> String {
        let sign = pick(3) == 0 ? "-" : ""
        let whole = pick(3) == 0 ? "0" : "\(1 + pick(9))" + digits([0, 1, 3, 15, 17, 22, 40][pick(7)])
        switch pick(6) {
        case 0, 1: return sign + whole
        case 2: return sign + whole + "." + digits(1 + pick(20))
        case 3: return sign + whole + exponent(20)
        case 4: return sign + whole + "." + digits(1 + pick(17)) + exponent(330)
        default:
            // Every bit pattern of a double that is a number, as Swift writes it.
            let value = Double(bitPattern: generator.next())
            return value.isFinite ? "\(value)" : "1E400"
        }
    }

    private mutating func exponent(_ limit: Int) -> String {
        ["e", "E"][pick(2)] + ["", "+", "-"][pick(3)] + "\(pick(limit))"
    }

    private mutating func string() {
        text += "\""
        // A few short keys, so that they repeat.
        if pick(3) == 0 {
            text += ["a", "b", "B", "é", "\\u0061"][pick(5)]
        } else {
            for _ in 0..<pick(9) { character() }
        }
        text += "\""
    }

    private mutating func character() {
        switch pick(8) {
        case 0, 1: scalar(0x20, 0x7F)
        case 2: text += ["\\\"", "\\\\", "\\/", "\\b", "\\f", "\\n", "\\r", "\\t"][pick(8)]
        case 3: text += "\\u" + hex(UInt32(pick(0x10000)))
        case 4: scalar(0x80, 0xD7FF)
        case 5: scalar(0xE000, 0xFFFF)
        case 6: scalar(0x10000, 0x10FFFF)
        default:
            let value = UInt32(pick(0x100000))
            text += "\\u" + hex(0xD800 + value >> 10) + "\\u" + hex(0xDC00 + value & 0x3FF)
        }
    }

    private mutating func scalar(_ first: Int, _ last: Int) {
        let value = UInt32(first + pick(last - first + 1))
        guard value != 0x22, value != 0x5C, let scalar = Unicode.Scalar(value) else { return }
        text.unicodeScalars.append(scalar)
    }

    private func hex(_ value: UInt32) -> String {
        let digits = String(value, radix: 16, uppercase: value % 2 == 0)
        return String(repeating: "0", count: 4 - digits.utf8.count) + digits
    }
}
