// A small JSON document as a tree: settings, not payloads. Made by the readers of a destination's options, and by commands of
// what the database answers.

/// A JSON value.
public indirect enum JSONValue: Sendable, Equatable {
    /// An object; of a repeated key the last value counts.
    case object([String: JSONValue])
    /// An array.
    case array([JSONValue])
    /// A string.
    case string(String)
    /// A number, with the text that it was written as.
    case number(Double, text: String)
    /// True or false.
    case bool(Bool)
    /// Null.
    case null

    /// So deep may settings be nested; 32.
    public static let mostDepth = 32

    /// Parses a text strictly after RFC 8259.
    ///
    /// - Parameters:
    ///   - text: any value.
    ///   - mostDepth: how deep it may be nested; 32, which settings never need.
    /// - Throws: `OptionError` with what is wrong.
    public init(parsing text: [UInt8], mostDepth: Int = mostDepth) throws(OptionError) {
        let document: JSONDocument
        do { document = try JSONDocument(parsing: text) } catch { throw OptionError(error.description) }
        self = try Self(document, at: 0, left: mostDepth, of: mostDepth)
    }

    private init(_ document: JSONDocument, at index: Int, left: Int, of mostDepth: Int) throws(OptionError) {
        guard left >= 0 else { throw OptionError("nested more than \(mostDepth) deep") }
        let node = document.nodes[index]
        switch node.kind {
        case .object:
            var members: [String: JSONValue] = [:]
            for (key, value) in document.members(of: index) {
                members[document.text(of: key)] = try Self(document, at: value, left: left - 1, of: mostDepth)
            }
            self = .object(members)
        case .array:
            var elements: [JSONValue] = []
            var child = index + 1
            while child < node.end {
                elements.append(try Self(document, at: child, left: left - 1, of: mostDepth))
                child = document.nodes[child].end
            }
            self = .array(elements)
        case .string: self = .string(document.text(of: index))
        case .number:
            let text = document.text(of: index)
            guard let number = Double(text) else { throw OptionError("not a number: \(text)") }
            self = .number(number, text: text)
        case .yes: self = .bool(true)
        case .no: self = .bool(false)
        case .null: self = .null
        }
    }
}

extension JSONDocument {
    /// The content of a scalar node as text.
    fileprivate func text(of index: Int) -> String { String(decoding: content(of: nodes[index]), as: UTF8.self) }
}
