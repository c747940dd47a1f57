// One clock for producers, receivers and faults, so that their times can be compared.

import Glibc

enum MonotonicClock {
    /// Nanoseconds of CLOCK_MONOTONIC.
    static func now() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }

    /// Holds the calling thread until an instant.
    static func sleep(until instant: UInt64) {
        let now = now()
        guard instant > now else { return }
        usleep(UInt32(clamping: (instant - now) / 1000))
    }

    /// Paces the faults of a scenario: goes on at an instant.
    static func pause(until instant: UInt64) async throws {
        let now = now()
        guard instant > now else { return }
        try await Task.sleep(for: .nanoseconds(Int64(instant - now)), tolerance: .milliseconds(1))
    }
}

/// Whole milliseconds of nanoseconds.
func milliseconds(_ nanoseconds: UInt64) -> Int { Int(nanoseconds / 1_000_000) }
