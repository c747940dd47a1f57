// Generated JSON documents with everything that a producer may write: odd numbers, escapes, every plane of Unicode,
// repeated keys, white space. For the tests of the canonical form, with and without Postgres in between.

/// A generator of JSON texts.
public struct RandomJSON {
    private var generator: SeededGenerator
    private let isForPostgres: Bool
    private var text = ""

    /// Makes a generator.
    ///
    /// - Parameter isForPostgres: whether to leave out what `jsonb` refuses: U+0000 and surrogates without their other half.
    public init(seed: UInt64, isForPostgres: Bool = false) {
        generator = SeededGenerator(seed: seed)
        self.isForPostgres = isForPostgres
    }

    /// Texts of numbers that conversions between decimal and binary are known to get wrong: ends of the range, halves
    /// between two doubles, digits far behind.
    public static let hardNumbers = [
        "0.0", "-0", "-0.0", "0e0", "0E+5", "-0e-7", "1e400", "-1e400", "1e-400", "-1e-400", "5e-324", "4.9406564584124654e-324",
        "2.4703282292062327e-324", "2.4703282292062328e-324", "2.2250738585072011e-308", "2.2250738585072014e-308",
        "1.7976931348623157e308", "1.7976931348623158e308", "1.7976931348623159e308", "9007199254740991", "9007199254740992",
        "9007199254740993", "9007199254740993.0", "9007199254740993e0", "18446744073709551615", "18446744073709551616.0",
        "0.500000000000000166533453693773481063544750213623046875", "3.518437208883201171875e13", "62.5364939768271845828",
        "8.10109172351e-10", "1.50000000000000011102230246251565404236316680908203125",
        "1.00000000000000011102230246251565404236316680908203125", "1.00000000000000033306690738754696212708950042724609375",
        "1e15", "1e16", "1e17", "9999999999999998.0", "99999999999999990.0", "123456789012345680.0", "1e21", "1e22", "1e23",
        "0.0001", "0.00001", "0.00012345", "1000.00", "1E5", "1E+05", "1e-05", "100000000000000000000000000000000000000001",
        "0.1", "0.2", "0.30000000000000004", "123456.789e3", "6.02214076e23", "1.10", "-12.50e2", "7.450580596923828125e-9",
    ]

    /// The next document, any JSON value.
    public mutating func document() -> String {
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
        switch pick(7) {
        case 6:
            return Self.hardNumbers[pick(Self.hardNumbers.count)]
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
        switch pick(6) {
        case 0, 1:
            // A few short keys, so that they repeat.
            text += ["a", "b", "B", "é", "\\u0061"][pick(5)]
        case 2:
            // Keys that stand in another order by UTF-16 than by code point, and such that begin alike.
            for _ in 0...pick(3) {
                text += ["\u{FFFF}", "\u{E000}", "\u{10000}", "\u{1F600}", "\\ud83d\\ude00", "\u{D7FF}", "z", "\u{7F}"][pick(8)]
            }
        default:
            for _ in 0..<pick(9) { character() }
        }
        text += "\""
    }

    private mutating func character() {
        switch pick(8) {
        case 0, 1: scalar(0x20, 0x7F)
        case 2: text += ["\\\"", "\\\\", "\\/", "\\b", "\\f", "\\n", "\\r", "\\t"][pick(8)]
        case 3:
            let unit = UInt32(pick(0x10000))
            let isRefused = unit == 0 || 0xD800...0xDFFF ~= unit
            text += "\\u" + hex(isForPostgres && isRefused ? 0x20AC : unit)
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
