// Texts in PEM, judged before OpenSSL reads them. Used for the option `tls` and for the file of authorities.

/// Judges texts in PEM (RFC 7468).
public enum PEMText {
    /// What a text should hold, as its labels end.
    public enum Kind: String, Sendable {
        /// A certificate, or several.
        case certificate = "CERTIFICATE"
        /// A private key.
        case privateKey = "PRIVATE KEY"
    }

    /// Why a text is of no use, in a few words that never quote it; nil when nothing is known against it.
    public static func fault(of text: String, as kind: Kind) -> String? {
        // As bytes: a file of authorities has hundreds of thousands of them.
        let bytes = text.utf8
        let (begin, end) = ("-----BEGIN ".utf8, " \(kind.rawValue)-----".utf8)
        guard bytes.firstRange(of: begin) != nil, bytes.firstRange(of: end) != nil else {
            return "what should be a \(kind.rawValue.lowercased()) is not one in PEM"
        }
        // OpenSSL would ask for the password on the terminal, and all exchanges would wait for it. A certificate can be
        // encrypted too (RFC 1421 § 4.6.1.1).
        return bytes.firstRange(of: "ENCRYPTED".utf8) == nil
            ? nil : "a private key or certificate is encrypted: give it without a password"
    }
}
