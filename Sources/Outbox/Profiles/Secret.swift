// The key that signs a destination's requests. Read from the store once it is decrypted, never printed.

import Crypto

/// How secrets of a profile are written, which decides their key bytes.
public enum SecretForm: String, Sendable, Hashable, CaseIterable {
    /// The key is the text itself, in UTF-8. Generated as 64 hexadecimal digits.
    case text
    /// The same, generated with `whsec_` before it: Stripe keys with the whole text.
    case prefixedText = "prefixed_text"
    /// Standard Webhooks: `whsec_` and base64, whose decoded bytes are the key (the prefix and the padding may be
    /// missing); or `whsk_` and base64 of an Ed25519 private key, 32 bytes of seed with or without 32 of public key.
    case standard
}

/// A signing secret. Every textual view of it is redacted; `reveal()` is the only way to its text.
///
/// Two are equal when their texts and forms are; how long the comparison takes tells nothing of where they differ.
public struct Secret: Sendable, Equatable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// What signs.
    enum Key: Sendable {
        case hmac(SymmetricKey)
        case ed25519(Curve25519.Signing.PrivateKey)
    }

    private let text: SymmetricKey
    private let form: SecretForm
    /// Whether this secret signs with Ed25519.
    public let isAsymmetric: Bool

    /// Reads a secret.
    ///
    /// - Throws: `SecretError`, which never contains the text.
    public init(_ text: String, form: SecretForm) throws(SecretError) {
        let key = try Self.key(text, form: form)
        self.text = SymmetricKey(data: Array(text.utf8))
        self.form = form
        isAsymmetric = if case .ed25519 = key { true } else { false }
    }

    /// The key, decoded anew: kept only where it is used, because most destinations are idle.
    ///
    /// - Throws: `SecretError`, never for a secret that exists.
    func makeKey() throws(SecretError) -> Key { try Self.key(reveal(), form: form) }

    /// Makes a new secret of 32 random bytes in the form of a profile.
    public static func generate(form: SecretForm, using generator: inout some RandomNumberGenerator) -> Secret {
        let random = randomBytes(32, using: &generator)
        let text =
            switch form {
            case .text: hex(random)
            case .prefixedText: "whsec_" + hex(random)
            case .standard: "whsec_" + Base64.text(random)
            }
        return Secret(generated: text, form: form, isAsymmetric: false)
    }

    /// Makes a new Ed25519 secret, `whsk_…`, for profiles that know asymmetric signatures.
    ///
    /// - Throws: `SecretError.undecodable` when the key cannot be made, which needs a broken generator.
    public static func generateEd25519(using generator: inout some RandomNumberGenerator) throws(SecretError) -> Secret
    {
        let seed = randomBytes(32, using: &generator)
        let key = try privateKey(seed)
        let text = "whsk_" + Base64.text(seed + Array(key.publicKey.rawRepresentation))
        return Secret(generated: text, form: .standard, isAsymmetric: true)
    }

    private init(generated text: String, form: SecretForm, isAsymmetric: Bool) {
        self.text = SymmetricKey(data: Array(text.utf8))
        self.form = form
        self.isAsymmetric = isAsymmetric
    }

    /// The text of the secret: to be shown once after it was generated, or to be encrypted and stored.
    public func reveal() -> String {
        text.withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
    }

    /// `whpk_` and the base64 of the public key, for receivers; nil for HMAC secrets.
    public var publicKeyText: String? {
        guard isAsymmetric, case .ed25519(let key)? = try? makeKey() else { return nil }
        return "whpk_" + Base64.text(Array(key.publicKey.rawRepresentation))
    }

    /// Always `Secret(redacted)`.
    public var description: String { "Secret(redacted)" }
    /// Always `Secret(redacted)`.
    public var debugDescription: String { description }
    /// A mirror without children, so that `dump` finds nothing.
    public var customMirror: Mirror { Mirror(self, children: EmptyCollection<Mirror.Child>()) }

    private static func key(_ text: String, form: SecretForm) throws(SecretError) -> Key {
        if text.isEmpty { throw .empty }
        guard form == .standard else { return .hmac(SymmetricKey(data: Array(text.utf8))) }
        if text.hasPrefix("whpk_") { throw .publicKey }
        if text.hasPrefix("whsk_") { return .ed25519(try privateKey(Base64.decode(text.utf8.dropFirst(5)) ?? [])) }
        let encoded = text.utf8.dropFirst(text.hasPrefix("whsec_") ? 6 : 0)
        if encoded.isEmpty { throw .empty }
        guard let bytes = Base64.decode(encoded), !bytes.isEmpty else { throw .undecodable }
        return .hmac(SymmetricKey(data: bytes))
    }

    /// Makes a key of its seed, which its public key may follow.
    private static func privateKey(_ bytes: [UInt8]) throws(SecretError) -> Curve25519.Signing.PrivateKey {
        let key: Curve25519.Signing.PrivateKey
        do {
            key = try Curve25519.Signing.PrivateKey(rawRepresentation: bytes.prefix(32))
        } catch {
            throw .undecodable
        }
        if bytes.count == 32 { return key }
        guard bytes.count == 64 else { throw .undecodable }
        guard Array(key.publicKey.rawRepresentation) == Array(bytes.suffix(32)) else { throw .mismatchedPublicKey }
        return key
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
