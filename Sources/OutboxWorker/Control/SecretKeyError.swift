// Why a worker does not begin: it could not sign for destinations that it would claim events of.

internal import Outbox
internal import OutboxStore

/// Keys that secrets in the database need and this worker does not have.
public struct SecretKeyError: Error, Sendable, CustomStringConvertible {
    /// One line with the names of the keys, never a key.
    public let description: String

    /// Nil when every key is there. A secret that does not open with a key whose proof opens, or that opens others, is a matter
    /// of that secret, not of the worker.
    init?(_ census: SecretCensus, _ proofs: KeyStore.Proofs) {
        let missing = census.missing.sorted { $0.key < $1.key }.map { name, count in
            Plural.text(count, "secret is", "secrets are")
                + " sealed with key '\(name)', which is not in POSTRIDER_SECRET_KEYS"
        }
        let disproved = proofs.unopened.sorted().map {
            "key '\($0)' is another key than the one that seals under its name"
        }
        // Only where no proof decides: one that this worker wrote would make its key the right one.
        let unproven = census.wrongKeys.filter { !proofs.opened.contains($0) && !proofs.unopened.contains($0) }
        let wrong = unproven.map { name in
            "key '\(name)' opens nothing of what is sealed under its name "
                + "(\(Plural.text(census.unopened[name] ?? 0, "secret"))): it is another key"
        }
        let faults = missing + disproved + wrong
        guard !faults.isEmpty else { return nil }
        description = faults.joined(separator: "; ")
    }
}
