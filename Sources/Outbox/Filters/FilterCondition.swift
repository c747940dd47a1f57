// What a filter asks of the values of one path. Made by the reader of filters.

/// Conditions on one path: some value there passes all tests, and none is among the excluded ones.
struct FilterCondition: Sendable, Equatable {
    /// Where it stands in the filter, for people.
    let place: String
    let path: PayloadPath
    /// What one and the same value has to pass.
    var tests: [Test] = []
    /// What no value may be.
    var excluded: ScalarSet?
    /// False when the path must lead nowhere; true asks for nothing but a value, null included.
    var exists = true

    /// What is asked of a value. A value of another kind passes no test.
    enum Test: Sendable, Equatable {
        /// It is one of these.
        case among(ScalarSet)
        /// It is a number on this side of a limit.
        case number(Order, JSONNumber)
        /// It is a string on this side of a limit, by code points.
        case text(Order, [UInt8])
        /// It is a string that begins so.
        case prefix([UInt8])
    }

    /// How a value stands to a limit.
    enum Order: String, Sendable {
        case above = "gt"
        case atLeast = "gte"
        case below = "lt"
        case atMost = "lte"

        func holds(isLess: Bool, isGreater: Bool) -> Bool {
            switch self {
            case .above: isGreater
            case .atLeast: !isLess
            case .below: isLess
            case .atMost: !isGreater
            }
        }
    }

    func holds(in document: JSONDocument) -> Bool {
        var isThere = false
        var passes = tests.isEmpty
        var isExcluded = false
        _ = document.follow(path.names[...], from: 0) { end in
            isThere = true
            guard exists, excluded != nil || !passes else { return true }
            return document.visitScalars(of: end) { value in
                if !passes { passes = tests.allSatisfy { $0.passes(value, document) } }
                if let excluded { isExcluded = isExcluded || excluded.contains(value, document) }
                return isExcluded || passes && excluded == nil
            }
        }
        return exists ? isThere && passes && !isExcluded : !isThere
    }
}

extension FilterCondition.Test {
    func passes(_ index: Int, _ document: JSONDocument) -> Bool {
        let node = document.nodes[index]
        switch self {
        case .among(let values): return values.contains(index, document)
        case .number(let order, let limit):
            guard node.kind == .number else { return false }
            let value = JSONNumber(document.content(of: node))
            return order.holds(isLess: value < limit, isGreater: limit < value)
        case .text(let order, let limit):
            guard node.kind == .string else { return false }
            let value = document.content(of: node)
            return order.holds(
                isLess: value.lexicographicallyPrecedes(limit), isGreater: limit.lexicographicallyPrecedes(value))
        case .prefix(let prefix): return node.kind == .string && document.content(of: node).starts(with: prefix)
        }
    }
}

/// Strings, numbers, booleans and null, to look a value up in.
struct ScalarSet: Sendable, Equatable {
    private var strings: Set<ArraySlice<UInt8>> = []
    private var numbers: Set<JSONNumber> = []
    private var words: Set<JSONDocument.Kind> = []

    /// - Throws: `OptionError` for a list or an object among the values.
    init(_ values: [JSONValue]) throws(OptionError) {
        for value in values {
            switch value {
            case .string(let text): strings.insert(Array(text.utf8)[...])
            case .number(_, let text): numbers.insert(JSONNumber(text.utf8))
            case .bool(let isTrue): words.insert(isTrue ? .yes : .no)
            case .null: words.insert(.null)
            case .object, .array: throw OptionError("expected a string, a number, true, false or null")
            }
        }
    }

    func contains(_ index: Int, _ document: JSONDocument) -> Bool {
        let node = document.nodes[index]
        switch node.kind {
        case .string: return !strings.isEmpty && strings.contains(document.content(of: node))
        case .number: return !numbers.isEmpty && numbers.contains(JSONNumber(document.content(of: node)))
        case .yes, .no, .null: return words.contains(node.kind)
        case .object, .array: return false
        }
    }
}
