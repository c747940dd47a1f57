// The clocks of the driver: the same as those of the C programs, so that their times can be compared.

import Support

/// Reads clocks.
enum Clock {
    /// Seconds since some start; for durations.
    static var seconds: Double { Double(bench_monotonic_us()) / 1_000_000 }

    /// Microseconds since 1970; comparable with what the receiver and the producer note.
    static var microsecondsSince1970: Int64 { bench_realtime_us() }
}
