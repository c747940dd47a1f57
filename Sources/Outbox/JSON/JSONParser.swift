// The parser behind JSONDocument: a loop with a stack of its own, so that 10,000 levels of nesting are no danger.

/// One pass over a JSON text. Used once, by `JSONDocument.init(parsing:)`.
struct JSONParser {
    private enum Expectation {
        case value, valueOrEnd, key, keyOrEnd, commaOrEnd, nothing
    }

    private(set) var bytes: [UInt8]
    private(set) var nodes: [JSONDocument.Node] = []
    private let count: Int
    private var position = 0
    private var open: [Int] = []
    private var expectation = Expectation.value

    init(text: [UInt8]) {
        bytes = text
        count = text.count
    }

    /// Parses the whole text.
    ///
    /// - Throws: `JSONError` at the first byte that does not fit.
    mutating func run() throws(JSONError) {
        while true {
            skipSpace()
            guard position < count else {
                guard expectation == .nothing else { throw failure("the text ends early") }
                return
            }
            switch expectation {
            case .value: try parseValue()
            case .valueOrEnd: try closes(UInt8(ascii: "]")) ? close() : parseValue()
            case .key: try parseKey()
            case .keyOrEnd: try closes(UInt8(ascii: "}")) ? close() : parseKey()
            case .commaOrEnd: try parseSeparator()
            case .nothing: throw failure("nothing may follow the value")
            }
        }
    }

    private func failure(_ reason: String) -> JSONError { JSONError(offset: position, reason: reason) }

    private mutating func skipSpace() {
        while position < count {
            switch bytes[position] {
            case 0x20, 0x09, 0x0A, 0x0D: position += 1
            default: return
            }
        }
    }

    private func closes(_ bracket: UInt8) -> Bool { bytes[position] == bracket }

    private mutating func close() {
        position += 1
        let container = open.removeLast()
        nodes[container].end = nodes.count
        nodes[container].stop = position
        expectation = open.isEmpty ? .nothing : .commaOrEnd
    }

    private mutating func parseSeparator() throws(JSONError) {
        guard let container = open.last else { throw failure("nothing may follow the value") }
        let isObject = nodes[container].kind == .object
        switch bytes[position] {
        case UInt8(ascii: ","):
            position += 1
            expectation = isObject ? .key : .value
        case isObject ? UInt8(ascii: "}") : UInt8(ascii: "]"):
            close()
        default:
            throw failure("expected ',' or the end of the \(isObject ? "object" : "array")")
        }
    }

    private mutating func parseKey() throws(JSONError) {
        guard bytes[position] == 0x22 else { throw failure("expected a key in quotes") }
        try parseString()
        skipSpace()
        guard position < count, bytes[position] == UInt8(ascii: ":") else { throw failure("expected ':'") }
        position += 1
        expectation = .value
    }

    private mutating func parseValue() throws(JSONError) {
        switch bytes[position] {
        case UInt8(ascii: "{"): begin(.object)
        case UInt8(ascii: "["): begin(.array)
        case UInt8(ascii: "t"): try parseWord("true", .yes)
        case UInt8(ascii: "f"): try parseWord("false", .no)
        case UInt8(ascii: "n"): try parseWord("null", .null)
        case 0x22:
            try parseString()
            expectation = open.isEmpty ? .nothing : .commaOrEnd
        default: try parseNumber()
        }
    }

    private mutating func begin(_ kind: JSONDocument.Kind) {
        open.append(nodes.count)
        nodes.append(JSONDocument.Node(kind: kind, start: position, stop: position, end: 0))
        position += 1
        expectation = kind == .object ? .keyOrEnd : .valueOrEnd
    }

    private mutating func append(_ kind: JSONDocument.Kind, from start: Int, to stop: Int) {
        nodes.append(JSONDocument.Node(kind: kind, start: start, stop: stop, end: nodes.count + 1))
    }

    private mutating func parseWord(_ word: StaticString, _ kind: JSONDocument.Kind) throws(JSONError) {
        let length = word.utf8CodeUnitCount
        guard position + length <= count else { throw failure("expected a value") }
        for offset in 0..<length where bytes[position + offset] != word.utf8Start[offset] {
            throw failure("expected a value")
        }
        append(kind, from: position, to: position + length)
        position += length
        expectation = open.isEmpty ? .nothing : .commaOrEnd
    }

    private mutating func parseNumber() throws(JSONError) {
        let start = position
        if bytes[position] == UInt8(ascii: "-") { position += 1 }
        if position < count, bytes[position] == UInt8(ascii: "0") {
            position += 1
        } else {
            try skipDigits()
        }
        if position < count, bytes[position] == UInt8(ascii: ".") {
            position += 1
            try skipDigits()
        }
        if position < count, bytes[position] | 0x20 == UInt8(ascii: "e") {
            position += 1
            if position < count, bytes[position] == UInt8(ascii: "+") || bytes[position] == UInt8(ascii: "-") {
                position += 1
            }
            try skipDigits()
        }
        append(.number, from: start, to: position)
        expectation = open.isEmpty ? .nothing : .commaOrEnd
    }

    private mutating func skipDigits() throws(JSONError) {
        let start = position
        while position < count, (0x30...0x39).contains(bytes[position]) { position += 1 }
        if position == start { throw failure("expected a value") }
    }

    private mutating func parseString() throws(JSONError) {
        position += 1
        let start = position
        var reader = JSONStringReader(position: position, end: count)
        let isEscaped = try reader.scan(bytes)
        position = reader.position + 1
        guard isEscaped else {
            append(.string, from: start, to: position - 1)
            return
        }
        let decodedStart = bytes.count
        JSONStringReader.decode(from: start, to: position - 1, in: &bytes)
        append(.string, from: decodedStart, to: bytes.count)
    }
}
