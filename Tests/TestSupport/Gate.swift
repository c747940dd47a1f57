// Lets a few tests work at once. All tests of a run begin together, and each needs several connections.

internal import Synchronization

/// A gate with numbered places, first come, first served.
public final class Gate: Sendable {
    /// Four databases at once keep two cores and the server busy.
    public static let shared = Gate(places: 4)

    private struct State {
        var free: [Int]
        var waiting: [CheckedContinuation<Int, Never>] = []
    }
    private let state: Mutex<State>

    /// Makes a gate with so many places.
    public init(places: Int) { state = Mutex(State(free: Array(0..<places))) }

    /// Waits for a place and gives its number.
    public func enter() async -> Int {
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
    public func leave(_ place: Int) {
        let next = state.withLock { state -> CheckedContinuation<Int, Never>? in
            guard state.waiting.isEmpty else { return state.waiting.removeFirst() }
            state.free.append(place)
            return nil
        }
        next?.resume(returning: place)
    }
}
