// The part of an answer's body that is kept with the attempt. Called by the dispatcher for every answer.

/// Makes received bytes storable as text.
enum AnswerBody {
    /// The first `limit` bytes as UTF-8 that Postgres can store; nil when nothing is left.
    ///
    /// Bytes that are not UTF-8, and U+0000, which Postgres cannot store, become U+FFFD.
    static func kept(_ body: [UInt8], limit: Int) -> [UInt8]? {
        guard limit > 0, !body.isEmpty else { return nil }
        let prefix = body.prefix(limit)
        if prefix.allSatisfy({ $0 < 0x80 && $0 != 0 }) { return Array(prefix) }
        let text = String(decoding: prefix, as: UTF8.self)
        guard text.utf8.contains(0) else { return Array(text.utf8) }
        return Array(String(text.unicodeScalars.map { $0 == "\0" ? "\u{FFFD}" : Character($0) }).utf8)
    }
}
