// How long a destination takes for an exchange. Pure: times in microseconds.

/// The mean of what ended within a second, learnt when the second is over.
///
/// Shorter spans tell what this process does rather than the destination: it takes a batch from Postgres, or waits for a core.
struct Pace: Sendable {
    /// 1 s.
    static let span: Int64 = 1_000_000

    /// Of the last whole second in which exchanges ended; nil before there was one. The first exchanges make connections, all at
    /// once, and are few among those of a second.
    private(set) var mean: Int64?
    private var sum: Int64 = 0
    private var count: Int64 = 0
    private var since: Int64 = 0

    /// Counts an exchange that ended.
    mutating func add(_ duration: Int64, at now: Int64) {
        if count > 0, now - since >= Self.span {
            // Without this one: when a destination goes on after a stop, all that were in flight took as long as the stop.
            mean = sum / count
            (sum, count) = (0, 0)
        }
        if count == 0 { since = now }
        sum += duration
        count += 1
    }
}
