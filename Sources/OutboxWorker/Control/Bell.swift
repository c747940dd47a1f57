// Whether this worker wishes to hold the doorbell. The work cycle wishes, the control task acts.

internal import Synchronization

/// The wish to hold the doorbell lock, and streams that tell of changes.
final class Bell: Sendable {
    private struct State {
        var isWanted = false
        var listener: AsyncStream<Bool>.Continuation?
    }

    private let state = Mutex(State())

    /// States the wish; told on only when it changes.
    func want(held: Bool) {
        state.withLock { state in
            guard state.isWanted != held else { return }
            state.isWanted = held
            state.listener?.yield(held)
        }
    }

    /// The wish as it is now and every change of it, of which only the newest is kept.
    ///
    /// A new stream for each control connection, which ends the one before: a stream whose reader was cancelled never
    /// gives anything again.
    func wishes() -> AsyncStream<Bool> {
        let (stream, entrance) = AsyncStream<Bool>.makeStream(bufferingPolicy: .bufferingNewest(1))
        state.withLock { state in
            state.listener?.finish()
            state.listener = entrance
            entrance.yield(state.isWanted)
        }
        return stream
    }
}
