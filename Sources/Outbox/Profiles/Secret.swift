// The key that signs a destination's requests. Read from the store once it is decrypted, never printed.

import Crypto

/// How secrets of a profile are written, which decides their key bytes.
public enum SecretForm: String, Sendable, Hashable {
    /// The key is the text itself, in UTF-8. Generated as 64 hexadecimal digits.
    case text
    /// The same, generated with `whsec_` before it: Stripe keys with the whole text.
    case prefixedText
    /// Standard Webhooks: `whsec_` and base64, whose decoded bytes are the key (the prefix and the padding may be
    /// missing); or `whsk_` and base64 of an Ed25519 private key, 32 bytes of seed with or without 32 of public key.
    case standard
}

/// A signing secret. Every textual view of it is redacted; `reveal()` is the only way to its text.
public struct Secret: Sendable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// What signs.
    enum Key: Sendable {
        case hmac(SymmetricKey)
        case ed25519(Curve25519.Signing.PrivateKey)
    }

    let key: Key
    private let text: SymmetricKey

    /// Reads a secret.
    ///
    /// - Throws: `SecretError`, which never contains the text.
    public init(_ text: String, form: SecretForm) throws(SecretError) {
        guard !text.isEmpty else { throw .empty }
        self.text = SymmetricKey(data: Array(text.utf8))
        switch form {
        case .text, .prefixedText: key = .hmac(self.text)
        case .standard: key = try Self.standardKey(text)
        }
    }

    /// Makes a new secret of 32 random bytes in the form of a profile.
    public static func generate(form: SecretForm, using generator: inout some RandomNumberGenerator) -> Secret {
        let random = randomBytes(32, using: &generator)
        let text: String
        switch form {
        case .text: text = hex(random)
        case .prefixedText: text = "whsec_" + hex(random)
        case .standard: text = "whsec_" + Base64.text(random)
        }
        return Secret(text: text, key: form == .standard ? .hmac(SymmetricKey(data: random)) : nil)
    }

    /// Makes a new Ed25519 secret, `whsk_…`, for profiles that know asymmetric signatures.
    ///
    /// - Throws: `SecretError.undecodable` when the key cannot be made, which needs a broken generator.
    public static func generateEd25519(using generator: inout some RandomNumberGenerator) throws(SecretError) -> Secret
    {
        let seed = randomBytes(32, using: &generator)
        guard let key = try? Curve25519.Signing.PrivateKey(rawRepresentation: seed) else { throw .undecodable }
        return Secret(text: "whsk_" + Base64.text(seed + Array(key.publicKey.rawRepresentation)), key: .ed25519(key))
    }

    private init(text: String, key: Key?) {
        self.text = SymmetricKey(data: Array(text.utf8))
        self.key = key ?? .hmac(self.text)
    }

    /// The text of the secret: to be shown once after it was generated, or to be encrypted and stored.
    public func reveal() -> String {
        text.withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
    }

    /// `whpk_` and the base64 of the public key, for receivers; nil for HMAC secrets.
    public var publicKeyText: String? {
        guard case .ed25519(let key) = key else { return nil }
        return "whpk_" + Base64.text(Array(key.publicKey.rawRepresentation))
    }

    /// Tells whether this secret signs with Ed25519.
    public var isAsymmetric: Bool {
        if case .ed25519 = key { true } else { false }
    }

    /// Always `Secret(redacted)`.
    public var description: String { "Secret(redacted)" }
    /// Always `Secret(redacted)`.
    public var debugDescription: String { description }
    /// A mirror without children, so that `dump` finds nothing.
    public var customMirror: Mirror { Mirror(self, children: EmptyCollection<Mirror.Child>()) }

    private static func standardKey(_ text: String) throws(SecretError) -> Key {
        if text.hasPrefix("whpk_") { throw .publicKey }
        if text.hasPrefix("whsk_") {
            guard let bytes = Base64.decode(text.utf8.dropFirst(5)), bytes.count == 32 || bytes.count == 64,
                let key = try? Curve25519.Signing.PrivateKey(rawRepresentation: bytes.prefix(32))
            else { throw .undecodable }
            if bytes.count == 64, Array(key.publicKey.rawRepresentation) != Array(bytes.suffix(32)) {
                throw .mismatchedPublicKey
            }
            return .ed25519(key)
        }
        let encoded = text.utf8.dropFirst(text.hasPrefix("whsec_") ? 6 : 0)
        if encoded.isEmpty { throw .empty }
        guard let bytes = Base64.decode(encoded), !bytes.isEmpty else { throw .undecodable }
        return .hmac(SymmetricKey(data: bytes))
    }

    private static func randomBytes(_ count: Int, using generator: inout some RandomNumberGenerator) -> [UInt8] {
        (0..<count).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
    }

    private static func hex(_ bytes: [UInt8]) -> String {
        var output: [UInt8] = []
        bytes.withUnsafeBytes { Hex.append($0, to: &output) }
        return String(decoding: output, as: UTF8.self)
    }
}

/// Why a secret was refused. Never contains any part of it.
public enum SecretError: Error, Equatable, CustomStringConvertible {
    /// There is nothing, or nothing behind the prefix.
    case empty
    /// Not base64, or not of the right length.
    case undecodable
    /// A public key, `whpk_…`, which cannot sign.
    case publicKey
    /// The two halves of a `whsk_` key do not belong together.
    case mismatchedPublicKey

    /// The reason in one line.
    public var description: String {
        switch self {
        case .empty: "the secret is empty"
        case .undecodable: "the secret is not 'whsec_' or 'whsk_' followed by base64 of a key"
        case .publicKey: "this is a public key (whpk_); signing needs the private one (whsk_)"
        case .mismatchedPublicKey: "the private and the public half of the whsk_ secret do not belong together"
        }
    }
}
