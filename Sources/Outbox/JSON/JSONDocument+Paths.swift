// Ways into a parsed document. Used by payload filters, and by templates for what they leave as it is.

extension JSONDocument {
    /// The value of a member of an object; of a repeated key the last one, as in Postgres. Nil when there is none.
    func member(_ name: [UInt8], of object: Int) -> Int? {
        var found: Int?
        var key = object + 1
        while key < nodes[object].end {
            if isEqual(nodes[key], name) { found = key + 1 }
            key = nodes[key + 1].end
        }
        return found
    }

    /// Visits the values that a path leads to, until the visitor has seen enough.
    ///
    /// An array stands for its elements, those of arrays within it too. Recurses once for each name of the path, however
    /// deep the document is.
    ///
    /// - Parameter visit: gets a node; true for enough.
    /// - Returns: whether the visitor had enough.
    func follow(_ path: ArraySlice<[UInt8]>, from index: Int, _ visit: (Int) -> Bool) -> Bool {
        guard let name = path.first else { return visit(index) }
        switch nodes[index].kind {
        case .object:
            guard let value = member(name, of: index) else { return false }
            return follow(path.dropFirst(), from: value, visit)
        case .array: return visitElements(of: index) { nodes[$0].kind == .object && follow(path, from: $0, visit) }
        default: return false
        }
    }

    /// Visits what a value stands for: the elements of an array, those of arrays within it too, else the value itself.
    ///
    /// - Returns: whether the visitor had enough.
    func visitScalars(of index: Int, _ visit: (Int) -> Bool) -> Bool {
        nodes[index].kind == .array ? visitElements(of: index, visit) : visit(index)
    }

    private func visitElements(of array: Int, _ visit: (Int) -> Bool) -> Bool {
        var child = array + 1
        while child < nodes[array].end {
            if nodes[child].kind == .array {
                // Its elements are the next nodes.
                child += 1
            } else {
                if visit(child) { return true }
                child = nodes[child].end
            }
        }
        return false
    }

    private func isEqual(_ node: Node, _ text: [UInt8]) -> Bool {
        guard node.stop - node.start == text.count else { return false }
        for offset in text.indices where bytes[node.start + offset] != text[offset] { return false }
        return true
    }

    /// Appends a value as JSON text: as it stood in the source, but for strings with escapes, which are written anew.
    func appendText(of index: Int, to output: inout [UInt8]) {
        let node = nodes[index]
        switch node.kind {
        case .string where node.start < sourceCount: output.append(contentsOf: bytes[(node.start - 1)...node.stop])
        case .string: JSONText.appendQuoted(content(of: node), to: &output)
        default: output.append(contentsOf: content(of: node))
        }
    }
}

extension JSONText {
    /// Appends decoded content as a quoted string. A lone surrogate, which UTF-8 cannot hold, stays an escape.
    static func appendQuoted(_ content: ArraySlice<UInt8>, to output: inout [UInt8]) {
        output.append(UInt8(ascii: "\""))
        var index = content.startIndex
        while index < content.endIndex {
            let byte = content[index]
            if byte < 0x20 || byte == 0x22 || byte == 0x5C {
                appendEscape(byte, to: &output)
            } else if byte == 0xED, index + 2 < content.endIndex, content[index + 1] >= 0xA0 {
                let unit = 0xD000 | UInt64(content[index + 1] & 0x3F) << 6 | UInt64(content[index + 2] & 0x3F)
                output.append(contentsOf: "\\u".utf8)
                Hex.append(unit, digits: 4, to: &output)
                index += 2
            } else {
                output.append(byte)
            }
            index += 1
        }
        output.append(UInt8(ascii: "\""))
    }
}
