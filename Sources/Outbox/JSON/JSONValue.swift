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
    ///   - refusesTwins: whether to refuse an object with two keys that differ in bytes alone, such as é in one code point and in
    ///     two. A `String` takes them for the same, so one condition of a filter would be lost without a word. False for what
    ///     is only shown: then the last counts.
    /// - Throws: `OptionError` with what is wrong.
    public init(parsing text: [UInt8], mostDepth: Int = mostDepth, refusesTwins: Bool = true) throws(OptionError) {
        let document: JSONDocument
        do { document = try JSONDocument(parsing: text) } catch { throw OptionError(error.description) }
        let reading = Reading(document: document, mostDepth: mostDepth, refusesTwins: refusesTwins)
        self = try Self(reading, at: 0, left: mostDepth)
    }

    /// What is read, and how.
    private struct Reading {
        let document: JSONDocument
        let mostDepth: Int
        let refusesTwins: Bool

        func members(of object: Int, left: Int) throws(OptionError) -> [String: JSONValue] {
            var members: [String: JSONValue] = [:]
            for (key, value) in document.members(of: object) {
                let name = document.text(of: key)
                if refusesTwins, let known = members.index(forKey: name),
                    !members[known].key.utf8.elementsEqual(name.utf8)
                {
                    throw OptionError("two members have names that look alike: \(name.debugDescription)")
                }
                members[name] = try JSONValue(self, at: value, left: left)
            }
            return members
        }
    }

    private init(_ reading: Reading, at index: Int, left: Int) throws(OptionError) {
        guard left >= 0 else { throw OptionError("nested more than \(reading.mostDepth) deep") }
        let document = reading.document
        let node = document.nodes[index]
        switch node.kind {
        case .object: self = .object(try reading.members(of: index, left: left - 1))
        case .array:
            var elements: [JSONValue] = []
            var child = index + 1
            while child < node.end {
                elements.append(try Self(reading, at: child, left: left - 1))
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
