// Timers ordered by deadline. Owned by the reactor.

/// A binary heap of actions, earliest first. Timers are never taken out before they are due: those who set one check
/// whether it still matters.
struct TimerHeap {
    /// An action and when to run it.
    struct Timer {
        let deadline: MonotonicTime
        let action: @Sendable () -> Void
    }

    private var timers: [Timer] = []

    /// The earliest deadline; ``MonotonicTime/never`` when there is no timer.
    var earliest: MonotonicTime { timers.first?.deadline ?? .never }

    /// Adds a timer.
    mutating func insert(_ timer: Timer) {
        timers.append(timer)
        var child = timers.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            if timers[parent].deadline <= timers[child].deadline { break }
            timers.swapAt(parent, child)
            child = parent
        }
    }

    /// Takes out the earliest timer if it is due, nil otherwise.
    mutating func popDue(at now: MonotonicTime) -> Timer? {
        guard let first = timers.first, first.deadline <= now else { return nil }
        timers.swapAt(0, timers.count - 1)
        timers.removeLast()
        sink()
        return first
    }

    /// Moves the first timer down to its place.
    private mutating func sink() {
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < timers.count {
                if timers[child].deadline < timers[least].deadline { least = child }
            }
            if least == parent { return }
            timers.swapAt(parent, least)
            parent = least
        }
    }
}
