// What is here: the monotonic clock as nanoseconds, for deadlines inside the loop.

import Glibc

/// Reads `CLOCK_MONOTONIC`.
enum Ticks {
    /// Nanoseconds since an arbitrary start; never goes back.
    static var now: Int64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}

extension Duration {
    /// The duration in nanoseconds, limited to about 146 years so that sums with `Ticks.now` cannot overflow.
    var nanoseconds: Int64 {
        let limit: Int64 = 4_600_000_000
        let (seconds, attoseconds) = components
        return min(max(seconds, -limit), limit) * 1_000_000_000 + attoseconds / 1_000_000_000
    }
}
