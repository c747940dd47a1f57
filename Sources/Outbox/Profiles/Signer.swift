// A secret made ready to sign many requests: the key schedule is done once and its state copied for every message.
// Held by prepared destinations, called by the request builder.

import Crypto

/// Signs messages that come in pieces.
struct Signer: Sendable, CustomStringConvertible, CustomReflectable {
    private enum Algorithm: Sendable {
        case hmac(HMAC<SHA256>)
        case ed25519(Curve25519.Signing.PrivateKey)
    }

    private let algorithm: Algorithm
    private let prefix: [UInt8]
    private let encoding: SignatureRecipe.Encoding

    /// Prepares a secret; nil when the recipe has no room for signatures of its kind.
    ///
    /// - Throws: `SecretError`, never for a secret that exists.
    init?(_ secret: Secret, recipe: SignatureRecipe) throws(SecretError) {
        encoding = recipe.encoding
        switch try secret.makeKey() {
        case .hmac(let key):
            algorithm = .hmac(HMAC<SHA256>(key: key))
            prefix = Array(recipe.prefix.utf8)
        case .ed25519(let key):
            guard let recipePrefix = recipe.ed25519Prefix else { return nil }
            algorithm = .ed25519(key)
            prefix = Array(recipePrefix.utf8)
        }
    }

    /// Always `Signer(redacted)`: the state of an HMAC is as good as its key.
    var description: String { "Signer(redacted)" }
    var customMirror: Mirror { Mirror(self, children: EmptyCollection<Mirror.Child>()) }

    /// Appends prefix and signature of `head + body + tail`, as text.
    ///
    /// - Throws: Only what Ed25519 throws, which has no cause in the message.
    func appendSignature(head: [UInt8], body: [UInt8], tail: [UInt8], to output: inout [UInt8]) throws {
        output.append(contentsOf: prefix)
        switch algorithm {
        case .hmac(var state):
            if !head.isEmpty { state.update(data: head) }
            if !body.isEmpty { state.update(data: body) }
            if !tail.isEmpty { state.update(data: tail) }
            state.finalize().withUnsafeBytes { append($0, to: &output) }
        case .ed25519(let key):
            let signature = Array(try key.signature(for: head + body + tail))
            signature.withUnsafeBytes { append($0, to: &output) }
        }
    }

    private func append(_ signature: UnsafeRawBufferPointer, to output: inout [UInt8]) {
        switch encoding {
        case .hex: Hex.append(signature, to: &output)
        case .base64: Base64.append(signature, to: &output)
        }
    }
}
