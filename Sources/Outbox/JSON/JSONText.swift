// Strings as JSON text. Called while envelopes are written.

/// Writing of JSON without a tree: callers append punctuation and raw values themselves.
enum JSONText {
    /// Appends the content of a JSON string without its quotes, escaping what RFC 8259 section 7 asks for.
    static func appendContent(_ text: String, to output: inout [UInt8]) {
        var text = text
        text.withUTF8 { bytes in
            var plain = 0
            for (index, byte) in bytes.enumerated() where byte < 0x20 || byte == 0x22 || byte == 0x5C {
                output.append(contentsOf: bytes[plain..<index])
                appendEscape(byte, to: &output)
                plain = index + 1
            }
            output.append(contentsOf: bytes[plain...])
        }
    }

    /// Appends a quoted JSON string, or `null`.
    static func appendValue(_ text: String?, to output: inout [UInt8]) {
        guard let text else {
            output.append(contentsOf: "null".utf8)
            return
        }
        output.append(UInt8(ascii: "\""))
        appendContent(text, to: &output)
        output.append(UInt8(ascii: "\""))
    }

    /// Appends the shortest escape of a byte that JSON does not allow bare.
    static func appendEscape(_ byte: UInt8, to output: inout [UInt8]) {
        output.append(UInt8(ascii: "\\"))
        switch byte {
        case 0x22, 0x5C: output.append(byte)
        case 0x08: output.append(UInt8(ascii: "b"))
        case 0x09: output.append(UInt8(ascii: "t"))
        case 0x0A: output.append(UInt8(ascii: "n"))
        case 0x0C: output.append(UInt8(ascii: "f"))
        case 0x0D: output.append(UInt8(ascii: "r"))
        default:
            output.append(UInt8(ascii: "u"))
            Hex.append(UInt64(byte), digits: 4, to: &output)
        }
    }
}
