// The clocks of the worker, in microseconds. Only effects read them: decisions get
// times as arguments.

internal import Glibc

/// Clock readings.
enum WorkerClock {
    /// Microseconds since boot, including time in which the machine slept: a lease runs on while a machine is suspended.
    static func now() -> Int64 { read(CLOCK_BOOTTIME) }

    /// Seconds since 1970, for timestamps that receivers check.
    static func unixSeconds() -> Int64 { read(CLOCK_REALTIME) / 1_000_000 }

    private static func read(_ clock: clockid_t) -> Int64 {
        var time = timespec()
        clock_gettime(clock, &time)
        return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000
    }
}

extension Duration {
    /// Whole microseconds, rounded down.
    var microseconds: Int64 { components.seconds * 1_000_000 + components.attoseconds / 1_000_000_000_000 }

    /// Whole milliseconds, rounded up, so that nothing is due too early.
    var millisecondsRoundedUp: Int64 { (microseconds + 999) / 1000 }
}
