// What commands send to the database: JSON objects out of Swift's own values.

internal import Outbox

/// A JSON object by its members; nil is null.
typealias Document = [String: (any DocumentValue)?]

/// What may stand in a document. The compiler refuses everything else.
protocol DocumentValue: Sendable {
    /// The value as JSON.
    var json: JSONValue { get }
}

extension JSONValue: DocumentValue {
    var json: JSONValue { self }

    /// So deep may be nested what may hold payloads of events, or what others wrote; 512.
    static let payloadDepth = 512

    /// Parses what may hold payloads of events, or what others wrote, to be shown.
    ///
    /// - Throws: `OptionError` when it is no JSON, or nested deeper than ``payloadDepth``.
    init(payload text: [UInt8]) throws(OptionError) {
        try self.init(parsing: text, mostDepth: Self.payloadDepth, refusesTwins: false)
    }

    /// An object of a command's own.
    init(_ document: Document) { self = .object(document.mapValues { $0?.json ?? .null }) }

    /// The value as text for machines, members by name.
    var line: String { String(decoding: text(), as: UTF8.self) }

    /// The members of an object; nil of everything else.
    var members: [String: JSONValue]? { if case .object(let members) = self { members } else { nil } }
    /// The elements of an array; nil of everything else.
    var elements: [JSONValue]? { if case .array(let elements) = self { elements } else { nil } }
    /// The content of a string; nil of everything else.
    var string: String? { if case .string(let text) = self { text } else { nil } }
    /// The elements of an array of strings and nothing else; nil of everything else.
    var strings: [String]? {
        guard let elements, elements.allSatisfy({ $0.string != nil }) else { return nil }
        return elements.compactMap(\.string)
    }
    /// What a number is worth; nil of everything else.
    var number: Double? { if case .number(let number, _) = self { number } else { nil } }
}

extension String: DocumentValue {
    var json: JSONValue { .string(self) }
}

extension Bool: DocumentValue {
    var json: JSONValue { .bool(self) }
}

extension Double: DocumentValue {
    var json: JSONValue { .number(self, text: plain) }

    /// The number, without a point when it is whole.
    var plain: String { Int64(exactly: self).map { "\($0)" } ?? "\(self)" }
}

extension Int: DocumentValue {
    var json: JSONValue { .number(Double(self), text: "\(self)") }
}

extension Int64: DocumentValue {
    var json: JSONValue { .number(Double(self), text: "\(self)") }
}

extension Array: DocumentValue where Element: DocumentValue {
    var json: JSONValue { .array(map(\.json)) }
}

extension Dictionary: DocumentValue where Key == String, Value: DocumentValue {
    var json: JSONValue { .object(mapValues(\.json)) }
}
