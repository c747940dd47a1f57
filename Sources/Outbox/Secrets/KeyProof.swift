// The proof of a key: a known text that it sealed, bound to its name. Kept in webhook_secret_keys by KeyStore.

extension SealedSecret {
    private static let provingText = "postrider"

    /// A proof of the first key of a ring.
    ///
    /// - Throws: ``SealingError/unsealable``, never for a ring.
    public static func proof(ofFirst keys: KeyRing) throws(SealingError) -> String {
        try SealedSecret(sealing: provingText, for: .proof(keys.first), with: keys).text
    }
}

extension KeyRing {
    /// Whether the key of a name is the one that made a proof. False also for what is no proof of that name.
    public func isProven(by proof: String, name: String) -> Bool {
        guard let sealed = try? SealedSecret(proof), sealed.keyName == name else { return false }
        return (try? sealed.open(at: .proof(name), with: self)) != nil
    }
}
