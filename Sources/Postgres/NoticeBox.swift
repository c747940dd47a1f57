// Keeps what a connection's server says beside its answers. Owned by Connection.

internal import CLibPQ
internal import Synchronization

/// The notices of one connection. libpq reports them while the connection's lock is held, so nobody is called from here.
final class NoticeBox: Sendable {
    private struct State {
        var kept: [Notice] = []
        var lastFatal: PostgresError?
    }

    private let state = Mutex(State())

    /// The number of notices kept for ``takeKept()``; older ones are dropped.
    static let capacity = 100

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
            state.kept.append(notice)
            state.kept.removeFirst(max(0, state.kept.count - Self.capacity))
        }
    }
}
