// Which headers of a destination hold secrets. The same rule stands in SQL, postrider.holds_credential.

extension HeaderField {
    /// Whether a header of that name holds a credential, as far as a name can tell: it has `auth`, `cookie`, `token`,
    /// `secret`, `passw` or `credential` in it, or ends in `key`. A name too many costs nothing but its readability.
    public static func holdsCredential(_ name: String) -> Bool {
        let lower = name.lowercased()
        return lower.hasSuffix("key") || credentialWords.contains { lower.contains($0) }
    }

    private static let credentialWords = ["auth", "cookie", "token", "secret", "passw", "credential"]
}
