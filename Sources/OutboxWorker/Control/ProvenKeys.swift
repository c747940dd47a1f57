// Which keys of this worker are known to be the right ones of their names. Told by secrets; asked about payloads that do not open.

internal import OutboxStore
internal import Synchronization

/// Names of keys that have opened a destination's secret and failed at none, so that a payload that does not open with them is
/// damaged: a worker with another key of the same name must not give up what others can send.
///
/// Payloads that open prove nothing: this worker may have sealed them itself. Any task may call it.
final class ProvenKeys: Sendable {
    private struct State {
        /// Names of keys that have opened a secret.
        var opening: Set<String> = []
        /// Names of keys that a secret does not open with.
        var doubtful: Set<String> = []
    }

    private let state = Mutex(State())

    /// Secrets have been looked at.
    ///
    /// - Parameter isWhole: whether these are all that there are, which ends the doubts of before.
    func add(_ census: SecretCensus, isWhole: Bool) {
        state.withLock { state in
            state.opening.formUnion(census.opened.keys)
            if isWhole { state.doubtful = [] }
            state.doubtful.formUnion(census.unopened.keys)
        }
    }

    /// Whether the key of that name is, for all that is known, the one that others seal with.
    func contains(_ name: String) -> Bool {
        state.withLock { $0.opening.contains(name) && !$0.doubtful.contains(name) }
    }
}
