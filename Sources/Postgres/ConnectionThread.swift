// The thread that waits for all connections, as a place where tasks run and timers ring.

internal import Synchronization

/// The thread on which answers of Postgres arrive.
///
/// A task that mostly waits for Postgres is best run here: its answer is then taken up by the thread that read it, and the
/// next question sent, without waking another thread, which costs more than the rest of a small query.
public enum ConnectionThread {
    /// Sleeps by a timer of the thread: a task that runs here wakes no other thread for it.
    ///
    /// - Throws: `CancellationError`, at once when the task is cancelled.
    public static func sleep(for duration: Duration) async throws {
        let sleeper = Sleeper()
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                guard sleeper.lieDown(continuation) else { return continuation.resume() }
                call(after: duration) { sleeper.wake() }
            }
        } onCancel: {
            sleeper.wake()
        }
        try Task.checkCancellation()
    }

    /// Runs tasks on the thread: `withTaskExecutorPreference(ConnectionThread.executor) { … }`.
    ///
    /// What runs here must not block and should be short: all connections of the process wait for it meanwhile.
    public static var executor: any TaskExecutor { Reactor.shared }

    /// Calls a closure on the thread after a time, to the microsecond where the kernel can. It cannot be taken back; it
    /// must not block.
    public static func call(after delay: Duration, _ action: @escaping @Sendable () -> Void) {
        Reactor.shared.schedule(at: .after(delay), action)
    }
}

/// Someone who sleeps until a timer or a cancellation, whichever comes first.
private final class Sleeper: Sendable {
    private let state = Mutex((isAwake: false, continuation: CheckedContinuation<Void, Never>?.none))

    /// False when it was woken before.
    func lieDown(_ continuation: CheckedContinuation<Void, Never>) -> Bool {
        state.withLock { state in
            guard !state.isAwake else { return false }
            state.continuation = continuation
            return true
        }
    }

    func wake() {
        let continuation = state.withLock { state in
            state.isAwake = true
            defer { state.continuation = nil }
            return state.continuation
        }
        continuation?.resume()
    }
}
