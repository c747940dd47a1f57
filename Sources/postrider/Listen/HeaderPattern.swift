// A profile's templates read backwards: from a header or a body to the values that stand in it.
// Used by the verifier; the sender's direction is in Outbox.

internal import Foundation

/// A template as a list of literals and names of variables.
struct TextPattern: Sendable {
    /// A piece of it.
    enum Piece: Sendable, Equatable {
        case literal(String)
        case variable(String)
    }

    let pieces: [Piece]

    /// Splits a template; braces around letters, dots and underscores make a variable, as they do when sending.
    init(_ template: String) {
        var pieces: [Piece] = []
        var rest = Substring(template)
        while let found = rest.firstMatch(of: /\{([a-z_.]+)\}/) {
            if found.range.lowerBound > rest.startIndex {
                pieces.append(.literal(String(rest[..<found.range.lowerBound])))
            }
            pieces.append(.variable(String(found.1)))
            rest = rest[found.range.upperBound...]
        }
        if !rest.isEmpty { pieces.append(.literal(String(rest))) }
        self.pieces = pieces
    }

    /// The variables' values in a text; nil when the text does not have this form.
    ///
    /// A variable reaches to the first occurrence of the literal that follows it, the last one to the end.
    func values(in text: String) -> [String: String]? {
        var values: [String: String] = [:]
        var rest = Substring(text)
        for (index, piece) in pieces.enumerated() {
            switch piece {
            case .literal(let literal):
                guard rest.hasPrefix(literal) else { return nil }
                rest = rest.dropFirst(literal.count)
            case .variable(let name):
                var end = rest.endIndex
                if index + 1 < pieces.count, case .literal(let next) = pieces[index + 1] {
                    guard let found = rest.range(of: next) else { return nil }
                    end = found.lowerBound
                }
                values[name] = String(rest[..<end])
                rest = rest[end...]
            }
        }
        return rest.isEmpty ? values : nil
    }
}

/// One header line of a profile, `Name: template`.
struct HeaderPattern: Sendable {
    let name: String
    let value: TextPattern

    /// Splits a line of `Profile.headers`.
    init(_ line: String) {
        let parts = line.split(separator: ":", maxSplits: 1)
        name = String(parts.first ?? "")
        value = TextPattern((parts.dropFirst().first ?? "").trimmingCharacters(in: .whitespaces))
    }
}

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
