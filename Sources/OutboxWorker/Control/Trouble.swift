// What the tasks of a worker make of errors of Postgres: wait, or give up. Pure but for the clock of its log line.

internal import Postgres

/// A time in which what a task asks of Postgres fails.
///
/// Lost connections, deadlines and a server that is read-only, full, out of ids or starting pass by themselves, and nothing is
/// forgotten meanwhile: they are waited out, however long it takes. Only a statement that a working server refuses
/// again and again cannot be waited out.
struct Trouble: Sendable {
    private var since: ContinuousClock.Instant?
    private var lastKind: String?
    private var refusals = 0
    private(set) var pause = Duration.zero

    /// The wait after a second failure: 20 ms, doubled up to 250 ms, so that work goes on soon after Postgres does. The
    /// first is followed by no wait at all: most often one session has ended and the server is well.
    static let firstPause = Duration.milliseconds(20)
    static let longestPause = Duration.milliseconds(250)

    /// Notes a failure; true when it is of another kind than the one before, so that it is worth a line in the log.
    mutating func isNews(_ error: any Error) -> Bool {
        pause = since == nil ? .zero : min(max(pause * 2, Self.firstPause), Self.longestPause)
        since = since ?? .now
        let kind = (error as? PostgresError).map { $0.sqlState ?? $0.code.rawValue } ?? "\(type(of: error))"
        defer { lastKind = kind }
        return kind != lastKind
    }

    /// Whether waiting does not help.
    mutating func isHopeless(_ error: PostgresError, patience: Int) -> Bool {
        guard !error.isWaitedOut else {
            refusals = 0
            return false
        }
        refusals += 1
        return refusals >= patience
    }

    /// The trouble is over; for how long it lasted, nil when there was none.
    mutating func end() -> Duration? {
        guard let since else { return nil }
        self = Trouble()
        return ContinuousClock.now - since
    }
}

extension PostgresError {
    /// True for conditions of the server, not of the statement: they end without a change of what is sent.
    var isPassing: Bool {
        if isRetryable || isConnectionFailure { return true }
        guard let sqlState else { return false }
        // Read-only transaction; insufficient resources, disk full among them; operator intervention; I/O errors.
        return sqlState == "25006" || ["53", "57", "58"].contains { sqlState.hasPrefix($0) }
    }

    /// True for what a worker waits out: what passes, and a server that has no transaction ids left or no room for
    /// notifications (54000). Only of statements that store rows of bounded size: larger ones lead to the same SQLSTATE.
    var isWaitedOut: Bool { isPassing || sqlState == "54000" }

    /// True when another connection may find a server that takes what this one does not: after a failover the old
    /// primary is read-only.
    var isReadOnly: Bool { sqlState == "25006" }
}
