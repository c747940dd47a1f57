// A wake-up that does not get lost. Raised by the exchanger's thread and by notifications, awaited by one task.

internal import Synchronization

/// A signal with a deadline: whoever waits goes on when it is raised, when the time is up, or at once when it was raised
/// before.
final class Signal: Sendable {
    private struct State {
        var isRaised = false
        var waiter: CheckedContinuation<Void, Never>?
        /// Tells a late timer of an earlier wait that it has nothing to do with this one.
        var turn: UInt64 = 0
        /// The last wait whose time was up: a short timer may end before its waiter stands in line, and would find nobody.
        var expired: UInt64 = 0
    }

    private let state = Mutex(State())

    /// Wakes the waiter, or the next one.
    func raise() { wake(turn: nil) }

    /// Waits for the signal, at most for a time. One task at a time may wait.
    func wait(atMost limit: Duration) async {
        guard limit > .zero else { return state.withLock { $0.isRaised = false } }
        let turn = state.withLock { state in
            state.turn += 1
            return state.turn
        }
        // A timer of its own, because a waiter must not hold a thread; its result is of no interest.
        let timer = Task { [self] in
            try await Task.sleep(for: limit, tolerance: .microseconds(200))
            wake(turn: turn)
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isReady = state.withLock { state in
                    if state.isRaised || state.expired == turn || Task.isCancelled { return true }
                    state.waiter = continuation
                    return false
                }
                if isReady { continuation.resume() }
            }
        } onCancel: {
            raise()
        }
        timer.cancel()
        state.withLock { $0.isRaised = false }
    }

    private func wake(turn: UInt64?) {
        let waiter = state.withLock { state -> CheckedContinuation<Void, Never>? in
            if let turn, turn != state.turn { return nil }
            if let turn { state.expired = turn } else { state.isRaised = true }
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume()
    }
}
