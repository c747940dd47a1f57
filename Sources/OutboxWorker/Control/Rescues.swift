// Which dead workers are being taken over from. Asked by Control at each heartbeat.

internal import Synchronization

/// Keeps one takeover of a suspect at a time: heartbeats name it five times a second for as long as it is not taken over, and
/// what rescues wait for, a connection aside, is what destinations and payloads are loaded by.
///
/// May be called from any task.
final class Rescues: Sendable {
    private let state = Mutex((running: Set<Int64>(), trouble: Trouble()))

    /// Begins one; false while another of this suspect runs. ``end(_:)`` or ``fail(_:_:)`` follows.
    func begin(_ suspect: Int64) -> Bool { state.withLock { $0.running.insert(suspect).inserted } }

    /// One has ended well.
    func end(_ suspect: Int64) {
        state.withLock { state in
            state.running.remove(suspect)
            _ = state.trouble.end()
        }
    }

    /// One has failed; true when the failure is of another kind than the one before, so that it is worth a line in the log.
    func fail(_ suspect: Int64, _ error: any Error) -> Bool {
        state.withLock { state in
            state.running.remove(suspect)
            return state.trouble.isNews(error)
        }
    }
}
