// Deadlines as nanoseconds of the monotonic clock. Used by everything that waits.

internal import Glibc

/// A point on `CLOCK_MONOTONIC`, in nanoseconds. `never` lies beyond all others.
struct MonotonicTime: Comparable, Sendable {
    /// Nanoseconds since an arbitrary start.
    let nanoseconds: UInt64

    /// A deadline that is never reached.
    static let never = MonotonicTime(nanoseconds: .max)

    /// A point that lies before all others.
    static let past = MonotonicTime(nanoseconds: 0)

    /// The present.
    static func now() -> MonotonicTime {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return MonotonicTime(nanoseconds: UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec))
    }

    /// The present plus a duration; nil and durations beyond a century give ``never``, negative ones the present.
    static func after(_ duration: Duration?) -> MonotonicTime {
        guard let duration else { return never }
        let (seconds, attoseconds) = duration.components
        if seconds > 3_155_760_000 { return never }
        let wait = max(0, seconds * 1_000_000_000 + attoseconds / 1_000_000_000)
        return MonotonicTime(nanoseconds: now().nanoseconds + UInt64(wait))
    }

    /// From now until this point; zero when it has passed.
    var timeLeft: timespec {
        let now = MonotonicTime.now()
        let left = self <= now ? 0 : nanoseconds - now.nanoseconds
        return timespec(tv_sec: Int(left / 1_000_000_000), tv_nsec: Int(left % 1_000_000_000))
    }

    /// Milliseconds from now until this point, rounded up, for `poll` and `epoll_wait`; -1 for ``never``.
    var pollTimeout: Int32 {
        if self == .never { return -1 }
        let now = MonotonicTime.now()
        if self <= now { return 0 }
        return Int32(clamping: (nanoseconds - now.nanoseconds + 999_999) / 1_000_000)
    }

    /// Order in time.
    static func < (left: MonotonicTime, right: MonotonicTime) -> Bool { left.nanoseconds < right.nanoseconds }
}
