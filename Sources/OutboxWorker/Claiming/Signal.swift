// A wake-up that does not get lost. Raised by the exchanger's thread and by notifications, awaited by one task.

internal import Postgres
internal import Synchronization

/// A signal with a deadline: whoever waits goes on when it is raised, when the time is up, or at once when it was raised
/// before.
final class Signal: Sendable {
    private struct State {
        var isRaised = false
        var waiter: CheckedContinuation<Void, Never>?
        /// When the waiter goes on anyway, in microseconds.
        var deadline: Int64 = .max
        /// When the earliest of the timers that were set and have not rung rings. One timer serves many short waits.
        var timer: Int64 = .max

        mutating func takeWaiter() -> CheckedContinuation<Void, Never>? {
            defer { waiter = nil }
            return waiter
        }

        /// Whether a timer must be set for the waiter; notes that it is.
        mutating func isTimerNeeded() -> Bool {
            guard deadline < timer else { return false }
            timer = deadline
            return true
        }
    }

    private let state = Mutex(State())

    /// Wakes the waiter, or the next one.
    func raise() {
        let waiter = state.withLock { state in
            state.isRaised = true
            return state.takeWaiter()
        }
        waiter?.resume()
    }

    /// Wakes the waiter unless it goes on by a time of its own accord, or the next one.
    func raise(by time: Int64) {
        let waiter = state.withLock { state -> CheckedContinuation<Void, Never>? in
            if state.waiter != nil, state.deadline <= time { return nil }
            state.isRaised = true
            return state.takeWaiter()
        }
        waiter?.resume()
    }

    /// Waits for the signal, at most for a time. One task at a time may wait.
    func wait(atMost limit: Duration) async {
        guard limit > .zero else { return state.withLock { $0.isRaised = false } }
        let deadline = WorkerClock.now() + limit.microseconds
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let mustSet = state.withLock { state -> Bool? in
                    if state.isRaised || Task.isCancelled { return nil }
                    state.waiter = continuation
                    state.deadline = deadline
                    return state.isTimerNeeded()
                }
                guard let mustSet else { return continuation.resume() }
                if mustSet { setTimer(deadline) }
            }
        } onCancel: {
            raise()
        }
        state.withLock { $0.isRaised = false }
    }

    private func setTimer(_ time: Int64) {
        ConnectionThread.call(after: .microseconds(max(0, time - WorkerClock.now()))) { [weak self] in
            self?.ring(time)
        }
    }

    /// A timer rang. The waiter may be another than the one for which it was set, with a later time.
    private func ring(_ time: Int64) {
        let now = WorkerClock.now()
        let (waiter, next) = state.withLock { state -> (CheckedContinuation<Void, Never>?, Int64?) in
            if state.timer <= time { state.timer = .max }
            guard state.waiter != nil else { return (nil, nil) }
            if state.deadline <= now { return (state.takeWaiter(), nil) }
            return (nil, state.isTimerNeeded() ? state.deadline : nil)
        }
        waiter?.resume()
        if let next { setTimer(next) }
    }
}
