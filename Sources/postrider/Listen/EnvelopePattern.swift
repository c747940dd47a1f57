// An envelope read backwards: from a body to the values that stand in it. Used by the verifier; the sender's direction is in
// Outbox.

internal import Outbox

/// Where an envelope keeps a value: under which key, behind which prefix.
struct EnvelopePattern: Sendable {
    private let key: String
    private let prefix: String

    /// Finds a variable that stands in a string at the top of an envelope, `"key":"prefix{variable}"`; nil otherwise.
    init?(_ variable: String, in envelope: String) {
        guard let place = envelope.firstRange(of: "{\(variable)}\"") else { return nil }
        let parts = envelope[..<place.lowerBound].split(separator: "\"", omittingEmptySubsequences: false)
        guard parts.count >= 4, parts[parts.count - 2] == ":" else { return nil }
        key = String(parts[parts.count - 3])
        prefix = String(parts[parts.count - 1])
    }

    /// The value in a parsed body; nil when it is not there.
    func value(in body: [String: JSONValue]) -> String? {
        guard let text = body[key]?.string, text.hasPrefix(prefix) else { return nil }
        return String(text.dropFirst(prefix.count))
    }
}
