// Strings of JSON: where they end, whether they are sound, and what they say. Called by the parser.

/// Finds the end of a string and decodes its escapes.
struct JSONStringReader {
    /// The byte looked at; after `scan` the closing quote.
    private(set) var position: Int
    private let end: Int

    /// Starts after the opening quote; `end` is the length of the text.
    init(position: Int, end: Int) {
        self.position = position
        self.end = end
    }

    /// Checks the string up to its closing quote: escapes, control characters and UTF-8.
    ///
    /// - Returns: Whether it contains an escape.
    /// - Throws: `JSONError` where it is not sound or does not end.
    mutating func scan(_ bytes: [UInt8]) throws(JSONError) -> Bool {
        var isEscaped = false
        while position < end {
            let byte = bytes[position]
            switch byte {
            case 0x22: return isEscaped
            case 0x5C:
                isEscaped = true
                try skipEscape(bytes)
            case 0x20..<0x80: position += 1
            case 0x80...: try skipSequence(bytes)
            default: throw JSONError(offset: position, reason: "control characters must be escaped")
            }
        }
        throw JSONError(offset: position, reason: "the string does not end")
    }

    private mutating func skipEscape(_ bytes: [UInt8]) throws(JSONError) {
        guard position + 1 < end else { throw JSONError(offset: end, reason: "the string does not end") }
        switch bytes[position + 1] {
        case 0x22, 0x5C, 0x2F, 0x62, 0x66, 0x6E, 0x72, 0x74: position += 2
        case 0x75:
            guard position + 6 <= end, Self.unit(at: position + 2, in: bytes) != nil else {
                throw JSONError(offset: position, reason: "expected four hexadecimal digits")
            }
            position += 6
        default: throw JSONError(offset: position, reason: "unknown escape")
        }
    }

    /// Skips one multi-byte sequence, by the table of well-formed UTF-8 (Unicode standard, table 3-7).
    private mutating func skipSequence(_ bytes: [UInt8]) throws(JSONError) {
        let lead = bytes[position]
        let second: ClosedRange<UInt8>
        let length: Int
        switch lead {
        case 0xC2...0xDF: (length, second) = (2, 0x80...0xBF)
        case 0xE0: (length, second) = (3, 0xA0...0xBF)
        case 0xED: (length, second) = (3, 0x80...0x9F)
        case 0xE1...0xEF: (length, second) = (3, 0x80...0xBF)
        case 0xF0: (length, second) = (4, 0x90...0xBF)
        case 0xF1...0xF3: (length, second) = (4, 0x80...0xBF)
        case 0xF4: (length, second) = (4, 0x80...0x8F)
        default: throw JSONError(offset: position, reason: "invalid UTF-8")
        }
        guard position + length <= end, second.contains(bytes[position + 1]) else {
            throw JSONError(offset: position, reason: "invalid UTF-8")
        }
        for offset in 2..<max(length, 3) where offset < length && bytes[position + offset] & 0xC0 != 0x80 {
            throw JSONError(offset: position, reason: "invalid UTF-8")
        }
        position += length
    }

    /// Appends the decoded content of a checked string to the same buffer.
    static func decode(from start: Int, to stop: Int, in bytes: inout [UInt8]) {
        var index = start
        while index < stop {
            let byte = bytes[index]
            guard byte == 0x5C else {
                bytes.append(byte)
                index += 1
                continue
            }
            let escape = bytes[index + 1]
            if escape == 0x75 {
                index = decodeUnit(at: index, before: stop, in: &bytes)
            } else {
                bytes.append(decoded(escape))
                index += 2
            }
        }
    }

    private static func decoded(_ escape: UInt8) -> UInt8 {
        switch escape {
        case 0x62: 0x08
        case 0x66: 0x0C
        case 0x6E: 0x0A
        case 0x72: 0x0D
        case 0x74: 0x09
        default: escape
        }
    }

    /// Appends the code point of `\uXXXX`, or of two such escapes that are a surrogate pair, and gives the next index.
    private static func decodeUnit(at index: Int, before stop: Int, in bytes: inout [UInt8]) -> Int {
        let first = unit(at: index + 2, in: bytes) ?? 0
        if (0xD800..<0xDC00).contains(first), index + 12 <= stop, bytes[index + 6] == 0x5C, bytes[index + 7] == 0x75,
            let second = unit(at: index + 8, in: bytes), (0xDC00..<0xE000).contains(second)
        {
            appendScalar(0x10000 + (first - 0xD800) << 10 + (second - 0xDC00), to: &bytes)
            return index + 12
        }
        appendScalar(first, to: &bytes)
        return index + 6
    }

    private static func appendScalar(_ value: UInt32, to bytes: inout [UInt8]) {
        func tail(_ shift: UInt32) -> UInt8 { UInt8(0x80 | (value >> shift) & 0x3F) }
        switch value {
        case ..<0x80: bytes.append(UInt8(value))
        case ..<0x800: bytes.append(contentsOf: [UInt8(0xC0 | value >> 6), tail(0)])
        case ..<0x10000: bytes.append(contentsOf: [UInt8(0xE0 | value >> 12), tail(6), tail(0)])
        default: bytes.append(contentsOf: [UInt8(0xF0 | value >> 18), tail(12), tail(6), tail(0)])
        }
    }

    private static func unit(at index: Int, in bytes: [UInt8]) -> UInt32? {
        var value: UInt32 = 0
        for offset in 0..<4 {
            guard let digit = Hex.value(of: bytes[index + offset]) else { return nil }
            value = value << 4 | UInt32(digit)
        }
        return value
    }
}
