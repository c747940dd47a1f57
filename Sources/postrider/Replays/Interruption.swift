// Signals that end a long command in order. Used by commands that must leave something tidy behind.

internal import Synchronization
internal import UnixSignals

/// The first signal is noted and ends a rest; a second one ends the process.
final class Interruption: Sendable {
    private let state = Mutex<(signal: UnixSignal?, rest: Task<Void, Never>?)>((nil, nil))

    /// The signal that came; nil while none has.
    var signal: UnixSignal? { state.withLock { $0.signal } }

    /// Listens until cancelled.
    func obey(_ signals: UnixSignalsSequence) async {
        var stops = StopSignals()
        for await signal in signals {
            switch stops.meaning() {
            case .first: raise(signal)
            case .echo: break
            case .second: StopSignals.end(after: signal)
            }
        }
    }

    /// Notes a signal.
    func raise(_ signal: UnixSignal) {
        let rest = state.withLock { state in
            state.signal = signal
            return state.rest
        }
        rest?.cancel()
    }

    /// Rests for a time, or until a signal comes.
    func sleep(for time: Duration) async {
        guard time > .zero else { return }
        // A task of its own, so that a signal ends the rest and not the whole command.
        let rest = Task { () -> Void in try? await Task.sleep(for: time) }
        let isOver = state.withLock { state in
            state.rest = rest
            return state.signal != nil
        }
        if isOver { rest.cancel() }
        await rest.value
    }
}
