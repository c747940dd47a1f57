// When retries of each destination are due, as far as this worker knows. Pure: times in microseconds.

/// The next due time of each destination that has retries. Filled by looks at the table and by retries that this worker
/// made; a look replaces all of it.
struct RetryAgenda: Sendable {
    /// How often the table is looked at, for retries of other workers and replays; 500 ms.
    static let lookInterval: Int64 = 500_000

    /// At least so long lies between two looks that claims of retries bring about: a look costs the more the more
    /// destinations have retries; 50 ms.
    static let lookPause: Int64 = 50_000

    private var due: [Int32: Int64] = [:]
    private var nextLookAt: Int64 = 0
    private var lookedAt: Int64 = .min / 2

    /// Asks for a look at the table soon.
    mutating func lookSoon(at now: Int64) { nextLookAt = min(nextLookAt, now) }

    /// Whether the table should be looked at now.
    func wantsLook(at now: Int64) -> Bool { now >= nextLookAt }

    /// Replaces what is known by what the table has.
    mutating func replace(with rows: [(destination: Int32, milliseconds: Int64)], at now: Int64) {
        due = Dictionary(uniqueKeysWithValues: rows.map { ($0.destination, now + $0.milliseconds * 1000) })
        nextLookAt = now + Self.lookInterval
        lookedAt = now
    }

    /// Learns how many retries of a destination were claimed of how many that could have been: as many mean that there may
    /// be more, and fewer that none is due, until the next look tells when.
    mutating func claimed(_ count: Int, of most: Int, destination: Int32, at now: Int64) {
        due[destination] = count >= most ? now : nil
        nextLookAt = min(nextLookAt, lookedAt + Self.lookPause)
    }

    /// Learns of a retry that was made just now.
    mutating func add(destination: Int32, milliseconds: Int64, at now: Int64) {
        // A millisecond more: a claim that comes too early would find nothing and wait for the next look.
        let time = now + (milliseconds + 1) * 1000
        due[destination] = min(due[destination] ?? .max, time)
    }

    /// Something of a destination is due now, and is in the database.
    mutating func release(destination: Int32, at now: Int64) { due[destination] = now }

    /// A destination has no room now: its retries wait, until a look at the table at the latest.
    mutating func postpone(destination: Int32, until time: Int64) { due[destination] = time }

    /// The destinations with retries that are due.
    func dueDestinations(at now: Int64) -> [Int32] {
        due.isEmpty ? [] : due.lazy.filter { $0.value <= now }.map(\.key).sorted()
    }

    /// When something happens next: a retry becomes due, or the table is to be looked at.
    func nextTime() -> Int64 { min(nextLookAt, due.values.min() ?? .max) }
}
