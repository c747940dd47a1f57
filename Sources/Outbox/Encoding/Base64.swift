// Base64 (RFC 4648 section 4) without Foundation, whose decoder is not loaded by the worker.
// Called by signatures and by secrets in Standard Webhooks form.

/// Standard Base64: `+` and `/`, padded when written, padding optional when read.
enum Base64 {
    private static let alphabet: StaticString = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

    /// Appends the padded text of `bytes`.
    static func append(_ bytes: UnsafeRawBufferPointer, to output: inout [UInt8]) {
        let count = (bytes.count + 2) / 3 * 4
        // Written aside and appended as a whole: every append looks whether the array has room and is not shared.
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: count) { text in
            write(bytes, to: text)
            output.append(contentsOf: text)
        }
    }

    private static func write(_ bytes: UnsafeRawBufferPointer, to text: UnsafeMutableBufferPointer<UInt8>) {
        let table = alphabet.utf8Start
        let pad = UInt8(ascii: "=")
        var (index, end) = (0, 0)
        while index < bytes.count {
            let left = bytes.count - index
            let first = UInt32(bytes[index]) << 16
            let second = left > 1 ? UInt32(bytes[index + 1]) << 8 : 0
            let third = left > 2 ? UInt32(bytes[index + 2]) : 0
            let group = first | second | third
            text[end] = table[Int(group >> 18)]
            text[end + 1] = table[Int((group >> 12) & 63)]
            text[end + 2] = left > 1 ? table[Int((group >> 6) & 63)] : pad
            text[end + 3] = left > 2 ? table[Int(group & 63)] : pad
            index += 3
            end += 4
        }
    }

    /// Gives the padded text of `bytes`.
    static func text(_ bytes: [UInt8]) -> String {
        var output: [UInt8] = []
        bytes.withUnsafeBytes { append($0, to: &output) }
        return String(decoding: output, as: UTF8.self)
    }

    /// Decodes text with or without its padding, which older secrets lack.
    ///
    /// - Returns: The bytes, or nil when a character is foreign, the length is impossible or padding is misplaced.
    static func decode(_ text: some Collection<UInt8>) -> [UInt8]? {
        var characters = Array(text)
        let padded = characters.count
        while characters.last == UInt8(ascii: "="), padded - characters.count < 2 { characters.removeLast() }
        if characters.count != padded, padded % 4 != 0 { return nil }
        if characters.count % 4 == 1 { return nil }
        var output: [UInt8] = []
        output.reserveCapacity(characters.count * 3 / 4)
        var group: UInt32 = 0
        var bits = 0
        for character in characters {
            guard let value = value(of: character) else { return nil }
            group = (group << 6 | UInt32(value)) & 0xFFFF
            bits += 6
            if bits >= 8 {
                bits -= 8
                output.append(UInt8(truncatingIfNeeded: group >> UInt32(bits)))
            }
        }
        return output
    }

    private static func value(of character: UInt8) -> UInt8? {
        switch character {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): character - UInt8(ascii: "A")
        case UInt8(ascii: "a")...UInt8(ascii: "z"): character - UInt8(ascii: "a") + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): character - UInt8(ascii: "0") + 52
        case UInt8(ascii: "+"): 62
        case UInt8(ascii: "/"): 63
        default: nil
        }
    }
}
