// When a signal counts as the second one. Used by the commands that the first signal stops in order.

internal import Glibc
internal import UnixSignals

/// The signals that stop a command. One press of Ctrl-C may come twice: from the terminal to the whole group of processes,
/// and once more from a wrapper that hands it on, as `timeout` does.
struct StopSignals {
    /// What comes within this time after the first signal is its echo; half a second.
    static let echo = Duration.milliseconds(500)

    /// What a signal means.
    enum Meaning: Sendable {
        /// The first: stop in order.
        case first
        /// The first once more: nothing.
        case echo
        /// Somebody does not want to wait any longer.
        case second
    }

    private var firstAt: ContinuousClock.Instant?

    /// What a signal means that comes now.
    ///
    /// - Parameter now: by the monotonic clock.
    mutating func meaning(at now: ContinuousClock.Instant = .now) -> Meaning {
        guard let firstAt else {
            firstAt = now
            return .first
        }
        return now - firstAt < Self.echo ? .echo : .second
    }

    /// Ends the process at once, with the status that shells expect.
    static func end(after signal: UnixSignal) -> Never { exit(signal == .sigint ? 130 : 143) }
}
