// Makes connections. Called by Connection.open.

internal import CLibPQ
internal import Glibc
internal import Synchronization

/// One attempt to connect, on a thread that lives as long as the attempt.
///
/// `PQconnectStart` and `PQconnectPoll` never wait for the server, but they look up host names, read password and
/// certificate files and may talk to Kerberos, all blocking (libpq, "Database Connection Control Functions"). Neither
/// the cooperative pool nor the reactor may stand still for that, so an attempt has a thread. The caller is let go at
/// the deadline or when cancelled, whatever the thread is stuck in; the thread then throws its connection away.
final class Dialer: Sendable {
    /// An open `PGconn` on its way from the dialing thread to its Connection.
    struct Handle: @unchecked Sendable {
        // @unchecked: there is one owner at a time; the dialing thread never touches it after handing it over.
        let pointer: OpaquePointer
    }

    private enum State {
        case fresh
        case waiting(CheckedContinuation<Result<Handle, PostgresError>, Never>)
        case over(Result<Handle, PostgresError>)
        case answered
    }

    private let state = Mutex(State.fresh)
    private let options: [(keyword: String, value: String)]
    private let secrets: [String]
    private let deadline: MonotonicTime
    private let notices: NoticeBox

    /// Why an attempt failed whose deadline has passed.
    static let tooLate = PostgresError(code: .timedOut, message: "no connection within the connect timeout")

    /// How often a dialing thread looks whether its caller has given up.
    private static let slice: Int32 = 50

    private init(_ settings: ConnectionSettings, notices: NoticeBox) throws {
        options = try settings.options().sorted { $0.key < $1.key }.map { (keyword: $0.key, value: $0.value) }
        secrets = settings.secrets
        deadline = .after(settings.connectTimeout)
        self.notices = notices
    }

    /// Connects.
    ///
    /// - Parameters:
    ///   - settings: where and how.
    ///   - notices: receives the notices of the connection; must outlive it.
    /// - Throws: ``PostgresError`` of code `invalidSettings`, `connectionFailed`, `timedOut` or `cancelled`.
    static func dial(_ settings: ConnectionSettings, notices: NoticeBox) async throws -> Handle {
        let dialer = try Dialer(settings, notices: notices)
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { dialer.begin($0) }
        } onCancel: {
            dialer.finish(.failure(PostgresError(code: .cancelled, message: "cancelled while connecting")))
        }
        return try result.get()
    }

    /// Starts the thread and the clock.
    private func begin(_ continuation: CheckedContinuation<Result<Handle, PostgresError>, Never>) {
        let early = state.withLock { state -> Result<Handle, PostgresError>? in
            if case .over(let result) = state { return result }
            state = .waiting(continuation)
            return nil
        }
        if let early { return continuation.resume(returning: early) }
        Reactor.shared.schedule(at: deadline) { [weak self] in self?.giveUp() }
        let started = DetachedThread.start {
            let result = self.connect()
            if !self.finish(result), case .success(let handle) = result { PQfinish(handle.pointer) }
        }
        if !started {
            finish(.failure(PostgresError(code: .connectionFailed, message: "no thread left to connect with")))
        }
    }

    /// Lets the caller go at the deadline, also while the thread hangs in a name lookup.
    private func giveUp() { finish(.failure(Self.tooLate)) }

    /// Gives the caller its answer if it has none yet.
    ///
    /// - Returns: false when the caller has been answered before, so that a connection must be thrown away.
    @discardableResult
    private func finish(_ result: Result<Handle, PostgresError>) -> Bool {
        let (first, continuation) = state.withLock {
            state -> (Bool, CheckedContinuation<Result<Handle, PostgresError>, Never>?) in
            switch state {
            case .fresh:
                state = .over(result)
                return (true, nil)
            case .waiting(let continuation):
                state = .answered
                return (true, continuation)
            case .over, .answered:
                return (false, nil)
            }
        }
        continuation?.resume(returning: result)
        return first
    }

    /// True once nobody waits for this attempt any more.
    private var isAbandoned: Bool {
        state.withLock { state in
            if case .waiting = state { return false }
            return true
        }
    }

    /// The attempt itself, on its own thread (`PQconnectStartParams`, `PQconnectPoll`).
    private func connect() -> Result<Handle, PostgresError> {
        guard let handle = start() else {
            return .failure(PostgresError(code: .connectionFailed, message: "out of memory"))
        }
        notices.attach(to: handle)
        var wanted = PGRES_POLLING_WRITING
        while PQstatus(handle) != CONNECTION_BAD {
            guard wait(for: wanted, on: handle) else { return abandon(handle) }
            wanted = PQconnectPoll(handle)
            if wanted == PGRES_POLLING_OK { return .success(Handle(pointer: handle)) }
            if wanted == PGRES_POLLING_FAILED { break }
        }
        let message = describe(handle)
        PQfinish(handle)
        return .failure(PostgresError(code: .connectionFailed, message: message))
    }

    /// Throws a connection away whose caller has gone or whose time is up.
    private func abandon(_ handle: OpaquePointer) -> Result<Handle, PostgresError> {
        PQfinish(handle)
        return .failure(Self.tooLate)
    }

    /// Hands the options to libpq as arrays of C strings ended by nil.
    private func start() -> OpaquePointer? {
        func copies(_ texts: [String]) -> [UnsafePointer<CChar>?] {
            texts.map { UnsafePointer(strdup($0)) } + [nil]
        }
        let keywords = copies(options.map(\.keyword))
        let values = copies(options.map(\.value))
        defer { (keywords + values).forEach { free(UnsafeMutablePointer(mutating: $0)) } }
        return PQconnectStartParams(keywords, values, 0)
    }

    /// Waits for the socket in short slices.
    ///
    /// - Returns: false when the deadline has passed or the caller has gone.
    private func wait(for wanted: PostgresPollingStatusType, on handle: OpaquePointer) -> Bool {
        let events = Int16(wanted == PGRES_POLLING_READING ? POLLIN : POLLOUT)
        while !isAbandoned {
            let left = deadline.pollTimeout
            if left == 0 { return false }
            // The descriptor is asked for each time: libpq opens another one for the next host or address.
            var watched = pollfd(fd: PQsocket(handle), events: events, revents: 0)
            if poll(&watched, 1, left < 0 ? Self.slice : min(left, Self.slice)) > 0 { return true }
        }
        return false
    }

    /// libpq's reason, on one line and without secrets. With several hosts there is a line for each.
    private func describe(_ handle: OpaquePointer) -> String {
        let text = PQerrorMessage(handle).map { String(cString: $0) } ?? ""
        let line = text.split(whereSeparator: \.isNewline).map { $0.drop(while: \.isWhitespace) }
            .joined(separator: "; ")
        return secrets.reduce(line.isEmpty ? "unknown error" : line) { Redaction.replacing($1, in: $0) }
    }
}
