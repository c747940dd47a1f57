// One piece of work for the server: a pipeline of steps or a script. Made by Connection, moved along by Session.

/// A request on its way through a connection, and the caller waiting for it.
final class Job: @unchecked Sendable {
    // @unchecked: the variables are touched only under the lock of the one connection the job was made for.

    /// What is sent.
    enum Work: Sendable {
        /// Steps of the extended protocol, sent together and ended by one synchronisation point.
        case pipeline([Step], [ParameterBuffer])
        /// SQL text of the simple protocol, which may hold several statements.
        case script(String)
    }

    /// Where the job stands.
    enum Stage {
        case fresh
        case waiting
        case running
        case done
    }

    /// What the server will answer, in order.
    enum Command {
        case prepare(step: Int, name: String)
        case execute(step: Int)
    }

    /// What the caller waits for.
    typealias Outcome = Result<[Rows], PostgresError>

    let work: Work
    /// The name for errors that belong to no single step.
    let name: String
    /// When the caller's patience ends, waiting for its turn included.
    let deadline: MonotonicTime

    var stage = Stage.fresh
    var continuation: CheckedContinuation<Outcome, Never>?
    var commands: [Command] = []
    /// How many commands have been answered.
    var answered = 0
    var results: [Rows] = []
    /// The first error; later ones are its consequences.
    var error: PostgresError?
    /// Why the server was asked to stop, nil while it was not.
    var interruption: PostgresError.Code?
    /// When to give the connection up because the server does not react to the request to stop.
    var graceEnd = MonotonicTime.never
    /// True while a thread is in `PQcancel` for this job.
    var isCancelInFlight = false
    /// True when the server has answered everything.
    var isDrained = false
    /// Callers of ``Connection/cancel()`` who wait for the end of this job.
    var watchers: [CheckedContinuation<Void, Never>] = []

    init(_ work: Work, name: String, deadline: MonotonicTime) {
        self.work = work
        self.name = name
        self.deadline = deadline
    }

    /// The step the next answer belongs to; errors at the synchronisation point (deferred constraints) belong to the
    /// last step. Nil for a script.
    var currentStep: Step? {
        guard case .pipeline(let steps, _) = work else { return nil }
        guard answered < commands.count else { return steps.last }
        switch commands[answered] {
        case .prepare(let step, _), .execute(let step): return steps[step]
        }
    }

    /// The outcome once everything is answered. A query that finished although it was asked to stop has succeeded.
    func outcome() -> Outcome {
        guard var error else { return .success(results) }
        if error.sqlState == "57014", let interruption {
            error.code = interruption
            error.message = Job.message(of: interruption)
        }
        return .failure(error)
    }

    /// What to say about an interrupted query.
    static func message(of interruption: PostgresError.Code) -> String {
        interruption == .timedOut ? "the query's deadline passed" : "the query was cancelled"
    }
}
