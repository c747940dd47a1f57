// Which keys of this worker are known to be the right ones of their names. Told by their proofs; asked about payloads that do not
// open.

internal import OutboxStore
internal import Synchronization

/// Names of keys whose proof opens, so that a payload that does not open with them is damaged: a worker with another key of the
/// same name must not give up what others can send.
///
/// Payloads that open prove nothing: this worker may have sealed them itself. Any task may call it.
final class ProvenKeys: Sendable {
    private let names = Mutex<Set<String>>([])

    /// The proofs have been looked at.
    func set(_ proofs: KeyStore.Proofs) { names.withLock { $0 = proofs.opened } }

    /// Whether the key of that name is the one that others seal with.
    func contains(_ name: String) -> Bool { names.withLock { $0.contains(name) } }
}
