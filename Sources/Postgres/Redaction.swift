// Takes values out of text that is about to become part of an error. Used for server messages and settings.

/// Removal of bound values and passwords from messages written by Postgres or libpq.
enum Redaction {
    /// What stands where a value stood.
    static let mark = "…"

    /// A server message without the caller's data.
    ///
    /// Data exceptions (SQLSTATE class 22) quote the offending input, as in `invalid input syntax for type uuid: "x"`;
    /// everything from the first to the last quote goes, since the input may itself hold quotes. In all other classes
    /// quotes surround names, so only literal repetitions of a bound text are taken out (a RAISE may repeat one).
    static func serverText(_ text: String, state: String?, values: [Value]) -> String {
        let isDataException = state?.hasPrefix("22") ?? false
        var safe = isDataException ? withoutQuoted(text) : text
        for value in values {
            value.forEachText(upTo: text.utf8.count) { safe = hiding($0, in: safe) }
        }
        return safe
    }

    /// The text with everything between its first and last double quote replaced.
    ///
    /// By bytes: a mark that combines with the character before it, at the beginning of a value, would hide the quote.
    static func withoutQuoted(_ text: String) -> String {
        let quote = UInt8(ascii: "\"")
        let bytes = Array(text.utf8)
        guard let first = bytes.firstIndex(of: quote), let last = bytes.lastIndex(of: quote), first < last else {
            return text
        }
        return String(decoding: bytes[...first] + Array(mark.utf8) + bytes[last...], as: UTF8.self)
    }

    /// The text with every occurrence of a secret replaced; secrets under four bytes would only garble it.
    static func hiding(_ secret: String, in text: String) -> String {
        let length = secret.utf8.count
        guard length >= 4, length <= text.utf8.count else { return text }
        return replacing(secret, in: text)
    }

    /// The text with every occurrence of another one replaced, byte for byte: as characters, one that begins or ends with what
    /// combines with its neighbour would not be found.
    static func replacing(_ secret: String, in text: String) -> String {
        String(decoding: Array(text.utf8).replacing(Array(secret.utf8), with: Array(mark.utf8)), as: UTF8.self)
    }
}
