// What a session wants done once its lock is free. Returned by Session, carried out by Connection.

/// The outward consequences of a change in a session.
struct Effects {
    /// Callers to answer.
    var answers: [(continuation: CheckedContinuation<Job.Outcome, Never>, outcome: Job.Outcome)] = []
    /// Callers of ``Connection/cancel()`` to let go.
    var watchers: [CheckedContinuation<Void, Never>] = []
    /// Notifications for the streams.
    var notifications: [Notification] = []
    /// Jobs the server shall be asked to stop.
    var cancellations: [Cancellation] = []
    /// A point in time at which the session wants to be looked at, nil when the one asked for before will do.
    var checkAt: MonotonicTime?
    /// True when the connection has ended with this change.
    var hasEnded = false

    /// Answers a job's caller.
    mutating func finish(_ job: Job, _ outcome: Job.Outcome) {
        job.stage = .done
        if let continuation = job.continuation {
            job.continuation = nil
            answers.append((continuation, outcome))
        }
        watchers.append(contentsOf: job.watchers)
        job.watchers = []
    }
}
