// Collects a connection's notices while libpq runs and hands them on afterwards. Owned by Connection.

internal import CLibPQ
internal import Synchronization

/// The notices of one connection.
///
/// libpq reports a notice in the middle of a call that is made under the connection's lock. The callback must not run
/// there (it may well ask the connection something), so notices wait here until the lock is free.
final class NoticeBox: Sendable {
    private struct State {
        var kept: [Notice] = []
        var undelivered: [Notice] = []
        var handler: (@Sendable (Notice) -> Void)?
        var lastFatal: PostgresError?
    }

    private let state = Mutex(State())

    /// The number of notices kept for ``takeKept()``; older ones are dropped.
    static let capacity = 100

    /// The callback, nil to keep notices instead.
    var handler: (@Sendable (Notice) -> Void)? {
        get { state.withLock { $0.handler } }
        set { state.withLock { $0.handler = newValue } }
    }

    /// The server's last words before it ended the connection, nil when it said nothing.
    var lastFatal: PostgresError? { state.withLock { $0.lastFatal } }

    /// Takes all kept notices, oldest first.
    func takeKept() -> [Notice] {
        state.withLock { state in
            defer { state.kept = [] }
            return state.kept
        }
    }

    /// Makes libpq report to this box (`PQsetNoticeReceiver`). The box must outlive the connection.
    func attach(to handle: OpaquePointer) {
        _ = PQsetNoticeReceiver(handle, Self.receive, Unmanaged.passUnretained(self).toOpaque())
    }

    /// Gives what has arrived to the callback, or keeps it. Call it without holding the connection's lock.
    func deliver() {
        let (handler, notices) = state.withLock { state in
            let notices = state.undelivered
            if notices.isEmpty { return (state.handler, notices) }
            state.undelivered = []
            if state.handler == nil {
                state.kept.append(contentsOf: notices)
                state.kept.removeFirst(max(0, state.kept.count - Self.capacity))
            }
            return (state.handler, notices)
        }
        guard let handler else { return }
        notices.forEach(handler)
    }

    /// Called by libpq with a notice, or with a fatal error that arrives while no query runs.
    private static let receive: PQnoticeReceiver = { context, result in
        guard let context, let result else { return }
        Unmanaged<NoticeBox>.fromOpaque(context).takeUnretainedValue().add(result)
    }

    /// Notes down one notice.
    private func add(_ result: OpaquePointer) {
        func field(_ code: Unicode.Scalar) -> String? {
            PQresultErrorField(result, Int32(code.value)).map { String(cString: $0) }
        }
        let severity = field("V") ?? field("S") ?? "NOTICE"
        let message = field("M") ?? PostgresError.firstLine(PQresultErrorMessage(result))
        let notice = Notice(severity: severity, sqlState: field("C"), message: message)
        state.withLock { state in
            if severity == "FATAL" || severity == "PANIC" {
                state.lastFatal = PostgresError(code: .connectionLost, message: message, sqlState: notice.sqlState)
            }
            state.undelivered.append(notice)
            state.undelivered.removeFirst(max(0, state.undelivered.count - Self.capacity))
        }
    }
}
