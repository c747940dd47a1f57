// What is here: requests that cannot start yet, and the order in which they will. Called by: Loop.

/// A request that waits for its host's addresses, or for a place.
struct Waiting {
    let job: Job
    let target: Target
    /// When the request came in, in `Ticks`.
    let startedAt: Int64
    /// When the time to wait here is over, in `Ticks`.
    var deadline: Int64
    /// Microseconds spent on the name lookup.
    var dns = 0
}

/// First in, first out, without moving the rest at each removal.
struct WaitingLine {
    private var entries: [Waiting] = []
    private var head = 0

    /// Whether nobody waits.
    var isEmpty: Bool { head == entries.count }

    /// Who is next; nil when nobody waits.
    var first: Waiting? { isEmpty ? nil : entries[head] }

    /// The earliest deadline, or `Int64.max`.
    var nextDeadline: Int64 { entries[head...].reduce(.max) { min($0, $1.deadline) } }

    /// Adds at the end.
    mutating func append(_ entry: Waiting) { entries.append(entry) }

    /// Takes the first out.
    mutating func popFirst() -> Waiting? {
        guard head < entries.count else { return nil }
        defer {
            head += 1
            if head == entries.count || head >= 1_024 {
                entries.removeFirst(head)
                head = 0
            }
        }
        return entries[head]
    }

    /// Takes all out that are meant, in order; the others keep theirs.
    mutating func remove(where isMeant: (Waiting) -> Bool) -> [Waiting] {
        let removed = entries[head...].filter(isMeant)
        guard !removed.isEmpty else { return [] }
        entries = entries[head...].filter { !isMeant($0) }
        head = 0
        return removed
    }
}
