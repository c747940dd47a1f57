// How requests of a profile are signed, as data. Part of Profile; carried out by Signer and PreparedDestination.

/// How a signature is made: which bytes, with which algorithm's text around it.
public struct SignatureRecipe: Sendable, Hashable {
    /// How the bytes of a signature become text.
    public enum Encoding: String, Sendable, Hashable, CaseIterable {
        /// Lower-case hexadecimal digits.
        case hex
        /// Standard padded base64.
        case base64
    }

    /// The signed bytes as a template, for example `{timestamp}.{body}`.
    public var signs: String
    /// How signatures are written.
    public var encoding: Encoding
    /// What stands before each HMAC-SHA256 signature, for example `sha256=`.
    public var prefix: String
    /// What stands before each Ed25519 signature; nil when the format knows none, so that such secrets are refused.
    public var ed25519Prefix: String?
    /// What stands between the signatures of several secrets; nil when the format has room for one signature only, so
    /// that the newest secret alone signs.
    public var separator: String?

    /// Makes a recipe.
    public init(
        signs: String,
        encoding: Encoding = .hex,
        prefix: String = "",
        ed25519Prefix: String? = nil,
        separator: String? = nil
    ) {
        self.signs = signs
        self.encoding = encoding
        self.prefix = prefix
        self.ed25519Prefix = ed25519Prefix
        self.separator = separator
    }
}
