// What `postrider doctor` says of secrets at rest. Pure.

internal import Outbox
internal import OutboxStore

/// Judges how secrets stand in the database.
enum SecretFindings {
    /// A finding for each key that is another one than that which seals under its name.
    static func wrongKeys(_ proofs: KeyStore.Proofs) -> [Finding] {
        proofs.unopened.sorted().map { name in
            Finding(
                .fail, "secrets", "key '\(name)' is another key than the one that seals under its name",
                "the right key of that name, or a new name for this one")
        }
    }

    /// The findings, at least one: what stands readable, what the ring lacks, and otherwise which keys seal what.
    static func all(_ uses: [SecretStore.KeyUse], ring: KeyRing?) -> [Finding] {
        let signing = uses.map { (key: $0.key, count: $0.secrets + $0.headers + $0.settings) }.filter { $0.count > 0 }
        let plain = signing.first { $0.key == nil }?.count ?? 0
        let sealed = signing.compactMap { use in use.key.map { (key: $0, count: use.count) } }
        let missing = sealed.filter { ring?.contains($0.key) != true }
        var findings: [Finding] = []
        if plain > 0 {
            findings.append(
                Finding(
                    .warn, "secrets", Plural.text(plain, "stands", "stand") + " readable in the database",
                    ring == nil ? "postrider keys generate, POSTRIDER_SECRET_KEYS" : "postrider keys rotate"))
        }
        for (key, count) in missing {
            findings.append(
                Finding(
                    .warn, "secrets",
                    Plural.text(count, "is", "are") + " sealed with key '\(key)', which is not among the keys here",
                    "POSTRIDER_SECRET_KEYS with that key, here and for every worker"))
        }
        guard findings.isEmpty else { return findings }
        let parts = sealed.map { key, count in
            "\(count) sealed with key '\(key)'" + (key == ring?.first ? "" : " (keys rotate moves them to the first)")
        }
        return [Finding(.ok, "secrets", parts.isEmpty ? "none" : parts.joined(separator: ", "))]
    }
}
