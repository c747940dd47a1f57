// A parsed JSON text as a flat list of nodes, so that depth costs no stack.
// Used only where a payload must be understood: the canonical form of profile `crm`, filters and templates, and settings
// given as JSON.

/// A JSON text, parsed. Nodes stand in document order; a container's children follow it up to its `end`.
struct JSONDocument: Sendable {
    /// What a node is.
    enum Kind: UInt8, Sendable {
        case object, array, string, number, yes, no, null
    }

    /// One value, or one key of an object.
    struct Node: Sendable {
        let kind: Kind
        /// First byte in `bytes`: of a number its text, of a string its decoded content.
        let start: Int
        /// One past the last byte.
        var stop: Int
        /// Index one past the last node of this value; for scalars the next index.
        var end: Int
    }

    /// The source, followed by the decoded content of the strings that had escapes. Strings are generalized UTF-8:
    /// a lone surrogate, which Python accepts, is three bytes.
    let bytes: [UInt8]
    /// How many of `bytes` are the source.
    let sourceCount: Int
    /// The nodes, the root first. Children of an object alternate key (a string) and value.
    let nodes: [Node]

    /// Parses a text strictly after RFC 8259; any value may be the root.
    ///
    /// - Throws: `JSONError` with the offset of the offending byte.
    init(parsing text: [UInt8]) throws(JSONError) {
        var parser = JSONParser(text: text)
        try parser.run()
        bytes = parser.bytes
        sourceCount = text.count
        nodes = parser.nodes
    }

    /// The bytes of a scalar node.
    func content(of node: Node) -> ArraySlice<UInt8> { bytes[node.start..<node.stop] }

    /// The members of an object node as (key node, value node) indices, in document order; empty for other kinds.
    func members(of object: Int) -> [(key: Int, value: Int)] {
        guard nodes[object].kind == .object else { return [] }
        var result: [(key: Int, value: Int)] = []
        var index = object + 1
        while index < nodes[object].end {
            result.append((index, index + 1))
            index = nodes[index + 1].end
        }
        return result
    }
}

/// Why a text is not JSON.
struct JSONError: Error, Equatable, CustomStringConvertible {
    /// Offset in bytes of the first byte that does not fit, or the length when the text ends early.
    let offset: Int
    /// What was expected there.
    let reason: String

    var description: String { "not JSON at byte \(offset): \(reason)" }
}
