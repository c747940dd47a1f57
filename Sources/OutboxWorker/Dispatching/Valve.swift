// What the options `rate` and `batch` hold back in a lane. Pure: times come in as arguments, in microseconds.

internal import DequeModule
internal import Outbox

/// Permits of a rate, and the company that a batch waits for.
struct Valve: Sendable {
    /// Requests that may start, granted by Postgres and not used yet.
    private(set) var permits = 0
    /// Before this time there is no further permit.
    private(set) var askAt: Int64 = 0
    /// When each delivery that waits for a batch came; the count is exact, the order that of arrival.
    private var arrivals = Deque<Int64>()
    private var bytes = 0

    mutating func spend() { permits -= 1 }

    /// Permits that cannot be used now would go out later beside those of that time.
    mutating func forfeit() { permits = 0 }

    /// Permits, and when there is another one, were those of another rate.
    mutating func renewRate() {
        permits = 0
        askAt = 0
    }

    mutating func grant(_ count: Int, askAt time: Int64) {
        permits += count
        askAt = time
    }

    mutating func join(bytes count: Int, at now: Int64) {
        arrivals.append(now)
        bytes += count
    }

    mutating func leave(bytes count: Int) {
        _ = arrivals.popFirst()
        bytes -= count
    }

    /// Begins anew with what waits already, which need not wait any longer.
    mutating func restart(_ sizes: [Int]) {
        arrivals = Deque(repeating: 0, count: sizes.count)
        bytes = sizes.reduce(0, +)
    }

    /// Whether a batch should go now.
    func isReady(_ batch: BatchLimits, waiting: Int, at now: Int64) -> Bool {
        waiting >= batch.events || bytes >= batch.bytes || now >= batchDue(batch)
    }

    /// When a batch goes, however small it is; never without one.
    func batchDue(_ batch: BatchLimits) -> Int64 {
        arrivals.first.map { $0 + batch.wait.microseconds } ?? .max
    }
}
