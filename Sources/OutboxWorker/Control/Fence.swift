// Whether this worker may still send. Set by its heartbeats, asked before every batch of requests.

internal import Synchronization

/// The self-fence of a worker: no request starts when its lease may have run out, as after a pause of the process or
/// with a dead link to Postgres. Another worker may have taken its claims over by then.
final class Fence: Sendable {
    /// How long after the start of the last confirmed heartbeat requests may start: the lease of 1.5 s less a margin.
    static let validity: Int64 = 1_200_000

    private let confirmedAt: Atomic<Int64>

    /// Makes an open fence.
    ///
    /// - Parameter registeredAt: monotonic microseconds from before the registration was sent.
    init(registeredAt: Int64) { confirmedAt = Atomic(registeredAt) }

    /// Extends the right to send.
    ///
    /// - Parameter start: monotonic microseconds from before the heartbeat was sent, not from when its answer came.
    func confirm(heartbeatStartedAt start: Int64) { confirmedAt.store(start, ordering: .relaxed) }

    /// Ends the right to send at once.
    func close() { confirmedAt.store(.min / 2, ordering: .relaxed) }

    /// Whether a request may start now.
    var isOpen: Bool { WorkerClock.now() - confirmedAt.load(ordering: .relaxed) < Self.validity }
}
