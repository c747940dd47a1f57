// The state of one connection and its rules: whose turn it is, what is late, how it ends. Guarded by Connection's
// lock; sending is in Session+Sending, taking in results in Session+Receiving.

internal import CLibPQ

/// A libpq connection with the jobs on it, one running and the others waiting in order.
///
/// Everything here runs under the lock of the owning connection and never waits: either in the task that hands in a
/// job or on the reactor's thread when the socket is ready.
struct Session {
    /// The connection, nil once it has ended.
    var handle: OpaquePointer?
    /// The socket; constant while the connection is open.
    let descriptor: Int32
    /// The reactor's token, nil before registration.
    var token: UInt64?
    /// Whether statements are prepared.
    let prepares: Bool
    /// What the server said about its end, kept by the notice box.
    let notices: NoticeBox
    var running: Job?
    var waiting = JobQueue()
    var statements = PreparedStatements()
    /// True while output waits for the socket.
    var hasPendingOutput = false
    /// When the next look at deadlines is due.
    var nextCheck = MonotonicTime.never
    /// Why the connection has ended.
    var ending: PostgresError?

    /// How long the server may take to react to a request to stop.
    static let grace = Duration.seconds(1)

    init(handle: OpaquePointer, prepares: Bool, notices: NoticeBox) {
        self.handle = handle
        self.prepares = prepares
        self.notices = notices
        descriptor = PQsocket(handle)
    }

    /// Takes a job in and starts it if the connection is free.
    mutating func submit(_ job: Job, _ effects: inout Effects) {
        if let ending { return effects.finish(job, .failure(Self.refusal(ending, job.name))) }
        if let interruption = job.interruption {
            return effects.finish(job, .failure(Self.interrupted(interruption, job)))
        }
        job.stage = .waiting
        waiting.append(job)
        startNext(&effects)
        requestCheck(at: job.deadline, &effects)
    }

    /// Starts the next waiting job if none is running.
    mutating func startNext(_ effects: inout Effects) {
        while running == nil, let job = waiting.popFirst() {
            job.stage = .running
            running = job
            guard let handle, send(job, on: handle) else {
                end(lossOfConnection(), &effects)
                return
            }
            flush()
        }
    }

    /// Ends a job whose caller has cancelled or run out of time: at once while it waits, by asking the server while it
    /// runs.
    mutating func interrupt(_ job: Job, _ reason: PostgresError.Code, _ effects: inout Effects) {
        switch job.stage {
        case .fresh: job.interruption = reason
        case .waiting:
            waiting.remove(job)
            effects.finish(job, .failure(Self.interrupted(reason, job)))
        case .running:
            guard job.interruption == nil, let handle else { return }
            job.interruption = reason
            job.graceEnd = .after(Self.grace)
            requestCheck(at: job.graceEnd, &effects)
            if let cancellation = Cancellation(handle, job: job) {
                job.isCancelInFlight = true
                effects.cancellations.append(cancellation)
            }
        case .done: break
        }
    }

    /// Notes that the server has dealt with a request to stop; only then may the next job start, or the signal could
    /// hit that one.
    mutating func cancellationReturned(_ job: Job, _ effects: inout Effects) {
        job.isCancelInFlight = false
        if running === job, job.isDrained { complete(job, &effects) }
    }

    /// Answers the running job and starts the next.
    mutating func complete(_ job: Job, _ effects: inout Effects) {
        guard !job.isCancelInFlight else { return }
        running = nil
        effects.finish(job, job.outcome())
        startNext(&effects)
    }

    /// Looks at deadlines; called by the timer set for `nextCheck`.
    mutating func check(_ scheduled: MonotonicTime, _ effects: inout Effects) {
        // A timer cannot be taken back. One that an earlier one has overtaken finds another time noted here.
        guard scheduled == nextCheck else { return }
        nextCheck = .never
        let now = MonotonicTime.now()
        for job in waiting.all where job.deadline <= now { interrupt(job, .timedOut, &effects) }
        if let job = running {
            if let reason = job.interruption, job.graceEnd <= now {
                end(Self.interrupted(reason, job), &effects)
            } else if job.interruption == nil, job.deadline <= now {
                interrupt(job, .timedOut, &effects)
            }
        }
        let late = running.map { $0.interruption == nil ? $0.deadline : $0.graceEnd } ?? .never
        requestCheck(at: waiting.all.reduce(late) { min($0, $1.deadline) }, &effects)
    }

    /// Asks for a look at deadlines no later than a point in time.
    mutating func requestCheck(at time: MonotonicTime, _ effects: inout Effects) {
        guard handle != nil, time < nextCheck else { return }
        nextCheck = time
        effects.checkAt = time
    }

    /// Ends the connection (`PQfinish`) and answers everyone with the reason.
    mutating func end(_ reason: PostgresError, _ effects: inout Effects) {
        guard let handle else { return }
        ending = reason
        if let token { Reactor.shared.remove(token, descriptor: descriptor) }
        // A query that goes on after its client has gone would be noticed by the server only when it writes.
        if let job = running, !job.isDrained, job.interruption == nil, PQstatus(handle) == CONNECTION_OK,
            let cancellation = Cancellation(handle, job: nil)
        {
            effects.cancellations.append(cancellation)
        }
        self.handle = nil
        PQfinish(handle)
        effects.hasEnded = true
        if let job = running {
            running = nil
            let cause = job.interruption.map { Self.interrupted($0, job) } ?? reason.named(job.name)
            effects.finish(job, .failure(cause))
        }
        while let job = waiting.popFirst() { effects.finish(job, .failure(Self.refusal(reason, job.name))) }
    }

    /// The error for a job that a connection's end kept from being sent: code `closed` only after `close()`.
    private static func refusal(_ ending: PostgresError, _ name: String) -> PostgresError {
        var error = ending.named(name)
        if error.code != .closed { error.code = .connectionLost }
        return error
    }

    /// The error of a job that was cancelled or came too late.
    static func interrupted(_ reason: PostgresError.Code, _ job: Job) -> PostgresError {
        PostgresError(code: reason, message: Job.message(of: reason), queryName: job.name)
    }

    /// The error for a connection that the server or the network has ended.
    func lossOfConnection() -> PostgresError {
        if let fatal = notices.lastFatal { return fatal }
        if var error = running?.error, error.code == .connectionLost || error.sqlState?.hasPrefix("57P") == true {
            error.code = .connectionLost
            return error
        }
        let text = handle.map { PostgresError.firstLine(PQerrorMessage($0)) } ?? "connection is closed"
        return PostgresError(code: .connectionLost, message: text)
    }
}
