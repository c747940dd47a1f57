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

        mutating func join() {
            open += 1
            size += 1
        }

        /// Returns whether nothing is left.
        mutating func leave() -> Bool {
            open -= 1
            return open == 0 && holds == 0
        }

        /// Returns whether nothing is left.
        mutating func unhold() -> Bool {
            holds -= 1
            return open == 0 && holds == 0
        }
    }

    /// A claim that is older than this and less than half of which is left is cut down to what is left; 1 s.
    static let patience: Int64 = 1_000_000

    private var entries: [Int64: Entry] = [:]

    /// The claims that are not finished.
    var ids: [Int64] { Array(entries.keys) }

    /// Whether a claim is among them.
    func contains(_ claim: Int64) -> Bool { entries[claim] != nil }

    /// How many there are.
    var count: Int { entries.count }

    /// Holds a claim open, for deliveries to join.
    mutating func hold(_ claim: Int64, at now: Int64) {
        entries[claim, default: Entry(since: now)].holds += 1
    }

    /// A delivery joins a claim that is held.
    mutating func join(_ claim: Int64) {
        entries[claim]?.join()
    }

    /// A hold ends.
    ///
    /// - Returns: whether the claim is finished.
    mutating func unhold(_ claim: Int64) -> Bool {
        guard entries[claim]?.unhold() == true else { return false }
        entries[claim] = nil
        return true
    }

    /// A delivery is settled or given back.
    ///
    /// - Returns: whether the claim is finished.
    mutating func leave(_ claim: Int64) -> Bool {
        guard entries[claim]?.leave() == true else { return false }
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
