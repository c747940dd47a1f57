// An envelope read backwards: from a body to the values that stand in it. Used by the verifier; the sender's direction is in
// Outbox.

internal import Foundation

/// Where an envelope keeps a value: under which key, behind which prefix.
struct EnvelopePattern: Sendable {
    private let key: String
    private let prefix: String

    /// Finds a variable that stands in a string at the top of an envelope, `"key":"prefix{variable}"`; nil otherwise.
    init?(_ variable: String, in envelope: String) {
        guard let place = envelope.range(of: "{\(variable)}\"") else { return nil }
        let parts = envelope[..<place.lowerBound].components(separatedBy: "\"")
        guard parts.count >= 4, parts[parts.count - 2] == ":" else { return nil }
        key = parts[parts.count - 3]
        prefix = parts[parts.count - 1]
    }

    /// The value in a parsed body; nil when it is not there.
    func value(in body: [String: Any]) -> String? {
        guard let text = body[key] as? String, text.hasPrefix(prefix) else { return nil }
        return String(text.dropFirst(prefix.count))
    }
}
