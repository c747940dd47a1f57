// Which keys of this worker are known to be the right ones of their names. Told by what opens; asked about payloads that do not.

internal import OutboxStore
internal import Synchronization

/// Names of keys that have opened what the database holds, so that what does not open with them is damaged: a worker with
/// another key of the same name must not give up what others can send.
///
/// Any task may call it.
final class ProvenKeys: Sendable {
    private let names = Mutex<Set<String>>([])

    /// A payload opened with the key of that name.
    func add(_ name: String) { names.withLock { _ = $0.insert(name) } }

    /// All secrets there are have been looked at: a key is proven that opened some sealed under its name, and failed at none.
    func add(_ census: SecretCensus) {
        for name in census.opened.keys where census.unopened[name] == nil { add(name) }
    }

    /// Whether the key of that name is the one that others seal with.
    func contains(_ name: String) -> Bool { names.withLock { $0.contains(name) } }
}
