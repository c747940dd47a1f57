// Ctrl-C and kill. The first one is noticed by whatever waits, which throws, so that every `defer` on the way out ends
// its child and drops its database. The second one ends the program at once; the kernel then kills the children.

import Glibc
import Synchronization

/// The state of having been asked to stop.
enum Interruption {
    private static let signals = Atomic<Int>(0)

    /// Handles SIGINT, SIGTERM and SIGHUP from now on. Called once, before any child is started.
    static func handle() {
        // Read here, so that the handler never runs the once-only initialisation of the property.
        _ = signals.load(ordering: .relaxed)
        for number in [SIGINT, SIGTERM, SIGHUP] {
            signal(number) { _ in
                if Interruption.signals.add(1, ordering: .relaxed).newValue > 1 { _exit(130) }
            }
        }
        signal(SIGPIPE, SIG_IGN)
    }

    /// - Throws: ``BenchError`` with status 130 once the program was asked to stop.
    static func check() throws {
        if signals.load(ordering: .relaxed) > 0 { throw BenchError("Interrupted.", status: 130) }
    }

    /// Sleeps that long, or until the program is asked to stop.
    ///
    /// - Parameter seconds: how long; fractions count.
    /// - Throws: ``BenchError`` when interrupted.
    static func sleep(seconds: Double) throws {
        let end = Clock.seconds + seconds
        while Clock.seconds < end {
            try check()
            usleep(UInt32(max(0, min(0.05, end - Clock.seconds)) * 1_000_000))
        }
        try check()
    }
}
