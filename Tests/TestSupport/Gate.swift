// Lets a few tests work at once. All tests of a run begin together, and each needs several connections.

import Synchronization

/// A gate with numbered places, first come, first served.
final class Gate: Sendable {
    /// Four databases at once keep two cores and the server busy.
    static let shared = Gate(places: 4)

    private struct State {
        var free: [Int]
        var waiting: [CheckedContinuation<Int, Never>] = []
    }
    private let state: Mutex<State>

    init(places: Int) { state = Mutex(State(free: Array(0..<places))) }

    /// Waits for a place and gives its number.
    func enter() async -> Int {
        await withCheckedContinuation { continuation in
            let place = state.withLock { state -> Int? in
                if let place = state.free.popLast() { return place }
                state.waiting.append(continuation)
                return nil
            }
            if let place { continuation.resume(returning: place) }
        }
    }

    /// Gives the place to whoever waits longest.
    func leave(_ place: Int) {
        let next = state.withLock { state -> CheckedContinuation<Int, Never>? in
            guard state.waiting.isEmpty else { return state.waiting.removeFirst() }
            state.free.append(place)
            return nil
        }
        next?.resume(returning: place)
    }
}
