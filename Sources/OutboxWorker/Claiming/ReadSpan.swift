// Of which weeks claims read the events along. Pure: times in microseconds.

internal import Outbox

/// The ids among which claimed events are expected, so that a claim opens few weeks of the event log.
///
/// A claim joins the log, and Postgres opens every partition that its parameters do not rule out, 1.7 µs each (measured):
/// years of history would make every claim slow. So a claim names the span in which its events are expected, which is where
/// those of the last minutes were, with a day on either side. What lies elsewhere is claimed too, and read by a statement
/// of its own.
struct ReadSpan: Sendable {
    /// So far beyond what was claimed the span reaches; a day.
    static let margin: Int64 = 86_400_000
    /// After so long without them, ids do not count any more; between one and two minutes.
    static let memory: Int64 = 60_000_000

    /// Nothing is ruled out.
    static let everything = EventID(high: 0, low: 0)...EventID(high: .max, low: .max)

    /// Between which times, in milliseconds, events were created that were claimed since `turnedAt`, and before that.
    private var current: ClosedRange<Int64>?
    private var previous: ClosedRange<Int64>?
    private var turnedAt: Int64 = .min / 2

    /// Of which ids the next claim should read the events; all when nothing was claimed for minutes.
    mutating func ids(at now: Int64) -> ClosedRange<EventID> {
        turn(at: now)
        guard let times = Self.union(current, previous) else { return Self.everything }
        let first = max(0, times.lowerBound - Self.margin)
        let last = min(EventID.lastMillisecond, times.upperBound + Self.margin)
        return EventID(high: UInt64(first) << 16, low: 0)...EventID(high: UInt64(last) << 16 | 0xFFFF, low: .max)
    }

    /// These were claimed; in any order.
    mutating func claimed(_ ids: some Sequence<EventID>, at now: Int64) {
        turn(at: now)
        for id in ids {
            current = Self.union(current, id.createdAtMilliseconds...id.createdAtMilliseconds)
        }
    }

    private mutating func turn(at now: Int64) {
        let age = now - turnedAt
        guard age >= Self.memory else { return }
        previous = age < 2 * Self.memory ? current : nil
        current = nil
        turnedAt = now
    }

    private static func union(_ one: ClosedRange<Int64>?, _ other: ClosedRange<Int64>?) -> ClosedRange<Int64>? {
        guard let one, let other else { return one ?? other }
        return min(one.lowerBound, other.lowerBound)...max(one.upperBound, other.upperBound)
    }
}

extension EventID {
    /// The largest time that an id of version 7 can hold.
    fileprivate static let lastMillisecond: Int64 = (1 << 48) - 1
}
