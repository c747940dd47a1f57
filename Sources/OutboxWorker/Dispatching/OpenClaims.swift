// Which claims of this worker are not finished, and how much of each is left. Used by DispatchState alone.

/// The claims in memory. Times are monotonic microseconds.
struct OpenClaims: Sendable {
    private struct Entry {
        /// Deliveries that wait or are in flight.
        var open = 0
        /// Holds: more deliveries may come.
        var holds = 0
        /// The most deliveries it has had since it was last cut down.
        var size = 0
        var since: Int64
    }

    /// A claim that is older than this and less than half of which is left is cut down to what is left; 1 s.
    static let patience: Int64 = 1_000_000

    private var entries: [Int64: Entry] = [:]

    /// The claims that are not finished.
    var ids: [Int64] { Array(entries.keys) }

    /// How many there are.
    var count: Int { entries.count }

    /// Holds a claim open, for deliveries to join.
    mutating func hold(_ claim: Int64, at now: Int64) {
        entries[claim, default: Entry(since: now)].holds += 1
    }

    /// A delivery joins a claim that is held.
    mutating func join(_ claim: Int64) {
        entries[claim]?.open += 1
        entries[claim]?.size += 1
    }

    /// A hold ends.
    ///
    /// - Returns: whether the claim is finished.
    mutating func unhold(_ claim: Int64) -> Bool {
        entries[claim]?.holds -= 1
        return removeIfDone(claim)
    }

    /// A delivery is settled or given back.
    ///
    /// - Returns: whether the claim is finished.
    mutating func leave(_ claim: Int64) -> Bool {
        entries[claim]?.open -= 1
        return removeIfDone(claim)
    }

    private mutating func removeIfDone(_ claim: Int64) -> Bool {
        guard let entry = entries[claim], entry.open == 0, entry.holds == 0 else { return false }
        entries[claim] = nil
        return true
    }

    /// Takes the claims that should be cut down to what is left of them; each again only after it has halved again.
    mutating func takeStragglers(at now: Int64) -> Set<Int64> {
        var taken: Set<Int64> = []
        for (claim, entry) in entries
        where entry.holds == 0 && entry.open > 0 && now - entry.since > Self.patience && entry.open * 2 <= entry.size {
            entries[claim]?.size = entry.open
            entries[claim]?.since = now
            taken.insert(claim)
        }
        return taken
    }
}
