// Opens what a load of the destinations finds sealed, and counts it. Used by RoutingStore alone.

internal import Outbox

/// How the secrets of one load stood in the database.
public struct SecretCensus: Sendable, Equatable {
    /// Secrets and credentials in headers that stand readable.
    public internal(set) var plain = 0
    /// How many opened, by the name of their key.
    public internal(set) var opened: [String: Int] = [:]
    /// How many did not open although the ring has their key, by its name.
    public internal(set) var unopened: [String: Int] = [:]
    /// How many are sealed with a key that the ring lacks, by its name.
    public internal(set) var missing: [String: Int] = [:]

    /// Keys that open none of what was sealed under their names: other keys of the same name.
    public var wrongKeys: [String] { unopened.keys.filter { opened[$0] == nil }.sorted() }

    /// Nothing.
    public init() {}
}

/// Opens sealed secrets with a ring, and lets plain ones through.
struct SecretOpener {
    let keys: KeyRing?
    private(set) var census = SecretCensus()

    init(keys: KeyRing?) { self.keys = keys }

    /// The text of a secret as it stands in the database, opened when it is sealed.
    mutating func open(_ text: String, at place: SecretPlace) throws(SealingError) -> String {
        guard SealedSecret.isSealed(text) else {
            census.plain += 1
            return text
        }
        let sealed = try SealedSecret(text)
        do {
            let plain = try sealed.open(at: place, with: keys)
            census.opened[sealed.keyName, default: 0] += 1
            return plain
        } catch {
            if case .missingKey(let name) = error { census.missing[name, default: 0] += 1 }
            if case .doesNotOpen(let name) = error { census.unopened[name, default: 0] += 1 }
            throw error
        }
    }

    /// The value of a header: opened when it is sealed, counted when its name tells of a credential.
    mutating func open(header name: String, _ value: String, destination: Int32) throws(SealingError) -> String {
        guard SealedSecret.isSealed(value) || HeaderField.holdsCredential(name) && !value.isEmpty else { return value }
        return try open(value, at: .header(name, destination: destination))
    }
}
