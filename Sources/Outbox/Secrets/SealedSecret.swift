// A secret as the database keeps it: encrypted, and of use in one place only. Made and opened by the store.

import Crypto

/// Where a secret stands. It is part of what is authenticated, so that a sealed value copied to another row does not open.
public enum SecretPlace: Sendable, Hashable {
    /// A row of `webhook_secrets`.
    case version(Int32, destination: Int32)
    /// A header of a destination, by its name in any case.
    case header(String, destination: Int32)
    /// A setting, by its name and whose it is; nil for the operator's own.
    case setting(String, organization: String?)
    /// The payload of an event.
    case payload(EventID)
    /// The proof of the key of that name.
    case proof(String)

    /// The additional authenticated data: never written anywhere, so that its form may only change with the prefix.
    var authenticatedData: [UInt8] {
        switch self {
        case .version(let version, let destination): Array("postrider secret \(destination) \(version)".utf8)
        case .header(let name, let destination): Array("postrider header \(destination) \(name.lowercased())".utf8)
        case .setting(let name, nil): Array("postrider setting \(name)".utf8)
        case .setting(let name, let organization?): Array("postrider setting \(name) of \(organization)".utf8)
        case .payload(let event): Array("postrider payload \(event)".utf8)
        case .proof(let key): Array("postrider key \(key)".utf8)
        }
    }
}

/// A secret sealed with AES-256-GCM under a key of a ring. Its text form is
/// `sealed:v1:<key name>:<base64 of 12 bytes nonce, ciphertext, 16 bytes tag>`.
public struct SealedSecret: Sendable {
    /// What every sealed text begins with, of this version and of later ones.
    public static let mark = "sealed:"
    private static let prefix = mark + "v1:"
    /// Nonce and tag.
    private static let overhead = 28

    /// The key that it was sealed with.
    public let keyName: String
    private let box: [UInt8]

    /// Whether a stored text is sealed, or wants to be taken for it.
    public static func isSealed(_ text: some StringProtocol) -> Bool { text.utf8.starts(with: mark.utf8) }

    /// What the texts begin with that were sealed with that key.
    public static func prefix(ofKey name: String) -> String { "\(prefix)\(name):" }

    /// Reads the text form.
    ///
    /// - Throws: ``SealingError/malformed``.
    public init(_ text: String) throws(SealingError) {
        guard text.utf8.starts(with: Self.prefix.utf8) else { throw .malformed }
        let parts = text.utf8.dropFirst(Self.prefix.utf8.count).split(
            separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
        guard parts.count == 2, let box = Base64.decode(parts[1]), box.count > Self.overhead else { throw .malformed }
        let name = String(decoding: parts[0], as: UTF8.self)
        guard KeyRing.isName(name) else { throw .malformed }
        keyName = name
        self.box = box
    }

    /// Seals a text for one place with the first key of a ring, under a random nonce.
    ///
    /// - Throws: ``SealingError/unsealable`` for an empty text.
    public init(sealing plain: String, for place: SecretPlace, with ring: KeyRing) throws(SealingError) {
        guard !plain.isEmpty, let key = ring.sealingKey else { throw .unsealable }
        let sealed: AES.GCM.SealedBox
        do {
            sealed = try AES.GCM.seal(Array(plain.utf8), using: key, authenticating: place.authenticatedData)
        } catch {
            throw .unsealable
        }
        // A nonce of the standard length, which seal() makes, always gives a combined form.
        guard let combined = sealed.combined else { throw .unsealable }
        keyName = ring.first
        box = Array(combined)
    }

    /// Opens it.
    ///
    /// - Throws: ``SealingError/missingKey(_:)`` when the ring lacks the key; ``SealingError/doesNotOpen(key:)`` when
    ///   the key is another one, or the value was altered or belongs to another place.
    public func open(at place: SecretPlace, with ring: KeyRing?) throws(SealingError) -> String {
        guard let key = ring?.key(named: keyName) else { throw .missingKey(keyName) }
        do {
            let plain = try AES.GCM.open(
                AES.GCM.SealedBox(combined: box), using: key, authenticating: place.authenticatedData)
            return String(decoding: plain, as: UTF8.self)
        } catch {
            throw .doesNotOpen(key: keyName)
        }
    }

    /// The text form.
    public var text: String { Self.prefix(ofKey: keyName) + Base64.text(box) }
}

/// Why a secret could not be sealed or opened. Never contains any part of it, nor of a key.
public enum SealingError: Error, Equatable, CustomStringConvertible {
    /// Begins like a sealed secret and is none.
    case malformed
    /// The ring has no key of that name.
    case missingKey(String)
    /// Altered, copied from another row, or sealed with another key of the same name.
    case doesNotOpen(key: String)
    /// The proof of that name was made with another key: what this one sealed would open nowhere else.
    case wrongKey(String)
    /// There is nothing to seal.
    case unsealable

    /// The reason in one line.
    public var description: String {
        switch self {
        case .malformed: "a secret begins with 'sealed:' and is not a sealed one"
        case .missingKey(let name): "its secret is sealed with key '\(name)', which is not in POSTRIDER_SECRET_KEYS"
        case .doesNotOpen(let name):
            "its secret does not open with key '\(name)': it was altered or copied, or the key is another one"
        case .wrongKey(let name):
            "nothing is sealed with key '\(name)': it is another key than the one that seals under its name (keys status)"
        case .unsealable: "there is no secret to seal"
        }
    }
}
