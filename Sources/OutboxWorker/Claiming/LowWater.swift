// Where looks at the queue begin. Pure: times in microseconds.

internal import Outbox

/// Spares looks the dead rows at the front of the queue.
///
/// A queue row is deleted when it is claimed, and stays in the table and its index until a vacuum may remove it. While a
/// transaction is held open anywhere in the database none may, and every look walks over everything that was claimed
/// since: the queue is read from its front. Once looks have become slow, they begin at the ids that were claimed last,
/// but for one now and then that finds what was committed late with an old id.
struct LowWater: Sendable {
    /// A look that takes longer reads too much; 5 ms.
    static let slowLook: Int64 = 5_000
    /// So much older than the first event of the last claim an event may be and is still found by every look; 100 ms.
    static let slack: Int64 = 100
    /// Looks from the front of the queue come at least so far apart when they are slow; 500 ms.
    static let fullLookInterval: Int64 = 500_000
    /// And so many times as far as they last; 20. With a million dead rows one takes 70 ms (measured), and every worker makes
    /// them, idle ones too.
    static let fullLookShare: Int64 = 20

    /// For each priority the id from which on looks read; the smallest id until something was claimed.
    private var marks = [EventID](repeating: .smallest, count: 3)
    private var isActive = false
    private var nextFullLookAt: Int64 = .min

    /// From which id on a look should read, for each priority from 0 on.
    func bounds(at now: Int64) -> [EventID] {
        isFull(at: now) ? [EventID](repeating: .smallest, count: marks.count) : marks
    }

    /// A look was answered.
    ///
    /// - Parameters:
    ///   - events: what it claimed, in the order of the queue.
    ///   - start: when it was asked for.
    ///   - end: when it was answered.
    mutating func looked(
        _ events: some Sequence<(priority: Int, id: EventID)>, from start: Int64, to end: Int64
    ) {
        if isFull(at: start) {
            isActive = end - start > Self.slowLook
            nextFullLookAt = end + max(Self.fullLookInterval, Self.fullLookShare * (end - start))
        }
        for priority in marks.indices {
            guard let first = events.first(where: { $0.priority == priority }) else { continue }
            marks[priority] = first.id.earlier(byMilliseconds: Self.slack)
        }
    }

    private func isFull(at now: Int64) -> Bool { !isActive || now >= nextFullLookAt }
}

extension EventID {
    /// No id comes before it.
    fileprivate static let smallest = EventID(high: 0, low: 0)

    /// The smallest id of an earlier time.
    fileprivate func earlier(byMilliseconds milliseconds: Int64) -> EventID {
        let time = max(0, createdAtMilliseconds - milliseconds)
        return EventID(high: UInt64(time) << 16, low: 0)
    }
}
