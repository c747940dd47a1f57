// Why a worker does not begin: it could not sign for destinations that it would claim events of.

internal import Outbox
internal import OutboxStore

/// Keys that secrets in the database need and this worker does not have.
public struct SecretKeyError: Error, Sendable, CustomStringConvertible {
    /// One line with the names of the keys, never a key.
    public let description: String

    /// Nil when every key is there. A secret alone that does not open with a key that opens others is a matter of that
    /// secret, not of the worker.
    init?(_ census: SecretCensus) {
        let missing = census.missing.sorted { $0.key < $1.key }.map { name, count in
            Plural.text(count, "secret is", "secrets are")
                + " sealed with key '\(name)', which is not in POSTRIDER_SECRET_KEYS"
        }
        let wrong = census.wrongKeys.map { name in
            "key '\(name)' opens nothing of what is sealed under its name "
                + "(\(Plural.text(census.unopened[name] ?? 0, "secret"))): it is another key"
        }
        guard !missing.isEmpty || !wrong.isEmpty else { return nil }
        description = (missing + wrong).joined(separator: "; ")
    }
}
