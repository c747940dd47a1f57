// The canonical form that receivers of profile `crm` sign: what Python's json.dumps(json.loads(body), sort_keys=True)
// prints. Called by the request builder for profiles that sign `{body.canonical}`.

/// Python's JSON text with sorted keys, `", "` and `": "` between things, and everything but printable ASCII escaped.
enum PythonJSON {
    /// A container being written: for objects its keys in order, for arrays the next child.
    private struct Frame {
        var keys: ArraySlice<Int>
        var child: Int
        let end: Int
        let isObject: Bool
        var isFirst = true
    }

    /// Gives the canonical form of a JSON text.
    ///
    /// - Throws: `JSONError` when the text is not JSON.
    static func canonical(_ text: [UInt8]) throws(JSONError) -> [UInt8] {
        let document = try JSONDocument(parsing: text)
        var output: [UInt8] = []
        output.reserveCapacity(text.count + text.count / 4)
        var frames: [Frame] = []
        write(0, of: document, to: &output, &frames)
        while let last = frames.indices.last {
            guard let value = advance(&frames[last], of: document, to: &output) else {
                output.append(frames[last].isObject ? UInt8(ascii: "}") : UInt8(ascii: "]"))
                frames.removeLast()
                continue
            }
            write(value, of: document, to: &output, &frames)
        }
        return output
    }

    /// Writes what stands before the next child and gives that child's node, or nil after the last one.
    private static func advance(_ frame: inout Frame, of document: JSONDocument, to output: inout [UInt8]) -> Int? {
        let value: Int
        if frame.isObject {
            guard let key = frame.keys.popFirst() else { return nil }
            if !frame.isFirst { output.append(contentsOf: ", ".utf8) }
            appendString(document.content(of: document.nodes[key]), to: &output)
            output.append(contentsOf: ": ".utf8)
            value = key + 1
        } else {
            guard frame.child < frame.end else { return nil }
            if !frame.isFirst { output.append(contentsOf: ", ".utf8) }
            value = frame.child
            frame.child = document.nodes[value].end
        }
        frame.isFirst = false
        return value
    }

    private static func write(
        _ index: Int,
        of document: JSONDocument,
        to output: inout [UInt8],
        _ frames: inout [Frame]
    ) {
        let node = document.nodes[index]
        switch node.kind {
        case .null: output.append(contentsOf: "null".utf8)
        case .yes: output.append(contentsOf: "true".utf8)
        case .no: output.append(contentsOf: "false".utf8)
        case .number: PythonNumber.append(document.content(of: node), to: &output)
        case .string: appendString(document.content(of: node), to: &output)
        case .array:
            output.append(UInt8(ascii: "["))
            frames.append(Frame(keys: [], child: index + 1, end: node.end, isObject: false))
        case .object:
            output.append(UInt8(ascii: "{"))
            frames.append(Frame(keys: sortedKeys(of: index, in: document), child: 0, end: 0, isObject: true))
        }
    }

    /// The key nodes by code point, which for UTF-8 is the order of bytes; of equal keys only the last, as in a dict.
    private static func sortedKeys(of object: Int, in document: JSONDocument) -> ArraySlice<Int> {
        let keys = document.members(of: object).map(\.key).sorted { left, right in
            let leftKey = document.content(of: document.nodes[left])
            let rightKey = document.content(of: document.nodes[right])
            return leftKey.elementsEqual(rightKey) ? left < right : leftKey.lexicographicallyPrecedes(rightKey)
        }
        var unique: [Int] = []
        unique.reserveCapacity(keys.count)
        for key in keys {
            if let last = unique.last,
                document.content(of: document.nodes[last]).elementsEqual(document.content(of: document.nodes[key]))
            {
                unique.removeLast()
            }
            unique.append(key)
        }
        return unique[...]
    }

    /// Appends a quoted string as `ensure_ascii` does: DEL and everything above are escaped, beyond the first plane
    /// as a surrogate pair.
    private static func appendString(_ content: ArraySlice<UInt8>, to output: inout [UInt8]) {
        output.append(UInt8(ascii: "\""))
        var index = content.startIndex
        while index < content.endIndex {
            let byte = content[index]
            if byte < 0x80 {
                if byte < 0x20 || byte == 0x22 || byte == 0x5C {
                    JSONText.appendEscape(byte, to: &output)
                } else if byte == 0x7F {
                    appendUnit(0x7F, to: &output)
                } else {
                    output.append(byte)
                }
                index += 1
                continue
            }
            let length = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : 2
            var value = UInt32(byte) & (length == 4 ? 0x07 : length == 3 ? 0x0F : 0x1F)
            for offset in 1..<length { value = value << 6 | UInt32(content[index + offset] & 0x3F) }
            appendEscaped(value, to: &output)
            index += length
        }
        output.append(UInt8(ascii: "\""))
    }

    private static func appendEscaped(_ value: UInt32, to output: inout [UInt8]) {
        if value < 0x10000 {
            appendUnit(value, to: &output)
        } else {
            appendUnit(0xD800 + (value - 0x10000) >> 10, to: &output)
            appendUnit(0xDC00 + (value - 0x10000) & 0x3FF, to: &output)
        }
    }

    private static func appendUnit(_ unit: UInt32, to output: inout [UInt8]) {
        output.append(contentsOf: "\\u".utf8)
        Hex.append(UInt64(unit), digits: 4, to: &output)
    }
}
