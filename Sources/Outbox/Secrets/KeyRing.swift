// The keys that seal secrets in the database. Read from the environment or a file at start, never printed.

import Crypto

/// Named keys of AES-256-GCM: the first seals, all open. Every textual view shows the names alone.
///
/// A rotation adds a new key at the front, re-seals all secrets with it (`postrider keys rotate`) and drops the
/// old when no payload needs it any more.
public struct KeyRing: Sendable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// The longest name; shorter than any form of a key, so that a key in the place of a name is never printed.
    public static let longestName = 32
    private static let keyLength = 32

    /// The names, the one that seals first.
    public let names: [String]
    private let keys: [String: SymmetricKey]

    /// Reads keys in the form `name:base64 of 32 bytes`, several separated by commas.
    ///
    /// - Throws: ``KeyRingError``, which never contains a key.
    public init(list: String) throws(KeyRingError) {
        try self.init(entries: list.split(separator: ",", omittingEmptySubsequences: false).map(String.init))
    }

    /// Reads keys of a file: one a line in the same form; empty lines and what follows `#` do not count.
    ///
    /// - Throws: ``KeyRingError``, which never contains a key.
    public init(file text: String) throws(KeyRingError) {
        let lines = text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
        let entries = lines.map { String($0.prefix { $0 != "#" }) }
        try self.init(entries: entries.filter { !$0.allSatisfy(\.isWhitespace) })
    }

    private init(entries: [String]) throws(KeyRingError) {
        var names: [String] = []
        var keys: [String: SymmetricKey] = [:]
        for (index, entry) in entries.enumerated() {
            let (name, key) = try Self.parse(entry, place: index + 1)
            guard keys.updateValue(key, forKey: name) == nil else { throw .repeatedName(name) }
            names.append(name)
        }
        guard !names.isEmpty else { throw .empty }
        self.names = names
        self.keys = keys
    }

    private static func parse(_ entry: String, place: Int) throws(KeyRingError) -> (String, SymmetricKey) {
        let trimmed = entry.drop(while: \.isWhitespace)
        guard let colon = trimmed.firstIndex(of: ":") else { throw .form(place: place) }
        let name = String(trimmed[..<colon])
        guard isName(name) else { throw .name(place: place) }
        var text = trimmed[trimmed.index(after: colon)...]
        while text.last?.isWhitespace == true { text.removeLast() }
        guard let bytes = Base64.decode(text.utf8), bytes.count == keyLength else { throw .key(name) }
        return (name, SymmetricKey(data: bytes))
    }

    /// Whether a text can name a key: 1 to 32 letters, digits, dots, hyphens and underscores, all ASCII.
    public static func isName(_ text: some StringProtocol) -> Bool {
        (1...longestName).contains(text.utf8.count)
            && text.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_"):
                    true
                default: false
                }
            }
    }

    /// Makes a line for a ring: the name and 32 random bytes.
    ///
    /// - Throws: ``KeyRingError/name(place:)`` for a name that no ring accepts.
    public static func newLine(
        name: String, using generator: inout some RandomNumberGenerator
    ) throws(KeyRingError) -> String {
        guard isName(name) else { throw .name(place: 1) }
        let bytes = (0..<keyLength).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
        return "\(name):\(Base64.text(bytes))"
    }

    /// The name of the key that seals.
    public var first: String { names[0] }

    /// Whether there is a key of that name.
    public func contains(_ name: String) -> Bool { keys[name] != nil }

    /// The key of that name; nil when there is none.
    func key(named name: String) -> SymmetricKey? { keys[name] }

    /// The key that seals.
    var sealingKey: SymmetricKey? { keys[first] }

    /// The names alone.
    public var description: String { "KeyRing(\(names.joined(separator: ", ")))" }
    /// The names alone.
    public var debugDescription: String { description }
    /// A mirror of the names alone, so that `dump` finds no key.
    public var customMirror: Mirror { Mirror(self, children: ["names": names]) }
}

/// Why keys were refused. Never contains a key, nor what stands in its place.
public enum KeyRingError: Error, Equatable, CustomStringConvertible {
    /// There is no key.
    case empty
    /// An entry without a colon; entries count from 1.
    case form(place: Int)
    /// An entry whose name is no name.
    case name(place: Int)
    /// The key of that name is not base64 of 32 bytes.
    case key(String)
    /// Two keys have that name.
    case repeatedName(String)

    /// The reason in one line.
    public var description: String {
        switch self {
        case .empty: "there is no key"
        case .form(let place): "key \(place) is not written name:base64; 'postrider keys generate' makes one"
        case .name(let place):
            "the name of key \(place) is not 1 to \(KeyRing.longestName) letters, digits, dots, hyphens and underscores"
        case .key(let name): "key '\(name)' is not base64 of 32 bytes; 'postrider keys generate' makes one"
        case .repeatedName(let name): "key '\(name)' is there twice"
        }
    }
}
