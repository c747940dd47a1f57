// What is here: the door of the module. Any thread hands requests in; one thread of its own drives libcurl.
// Called by: the dispatcher of a worker, `endpoints test`, and whoever needs one HTTP request.

import Glibc
import Synchronization

/// Runs HTTP requests over libcurl on one thread of its own, with connections kept and used again.
///
/// It follows no redirect, keeps no cookie, reads no credentials from files, unpacks nothing, and asks no proxy but that of a
/// request's route; TLS is verified. The order of completions is not the order of submission.
public final class Exchanger: Sendable {
    private let mailbox: Mailbox
    private let running = RunningCounters()
    private let completed: @Sendable ([Exchange]) -> Void
    private let nextReply = Atomic<UInt64>(1)
    // The thread's handle, taken out by whoever joins or detaches it.
    private let thread: Mutex<pthread_t?>

    /// Starts the thread.
    ///
    /// `completed` gets the submitted requests that finished, at least one, once per turn of the loop. It runs on that
    /// thread and holds everything up while it does, so it must neither block nor call `shutdown`.
    /// - Throws: `ExchangerError` when the kernel or libcurl refuses a resource.
    public init(
        settings: ExchangerSettings = ExchangerSettings(), completed: @escaping @Sendable ([Exchange]) -> Void
    ) throws(ExchangerError) {
        let mailbox = try Mailbox()
        let loop = try Loop(settings: settings, mailbox: mailbox, counters: running, completed: completed)
        self.mailbox = mailbox
        self.completed = completed
        thread = Mutex(try Thread.start(loop.run))
    }

    deinit {
        // The loop does not hold the exchanger; left behind without shutdown, it cancels what is in flight and ends.
        _ = mailbox.post { $0.stops = true }
        if let thread = takeThread() { pthread_detach(thread) }
    }

    /// Hands requests in; any thread, never blocks. Each comes back exactly once through `completed`.
    ///
    /// After `shutdown` they come back `.cancelled`, before this returns and on the calling thread.
    public func submit(_ requests: [Request]) {
        guard !requests.isEmpty, !mailbox.post({ $0.batches.append(requests) }) else { return }
        completed(requests.map { .cancelled(token: $0.token) })
    }

    /// Runs one request and waits for its outcome, which does not go through `completed`.
    ///
    /// When the task is cancelled the exchange is, too, and returns as a failure `.cancelled`.
    public func perform(_ request: Request) async -> Exchange {
        let id = nextReply.wrappingAdd(1, ordering: .relaxed).oldValue
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let job = Job(request: request, reply: Reply(id: id, continuation: continuation))
                let accepted = mailbox.post { mail in
                    mail.performed.append(job)
                    // A task cancelled before this line has posted its cancellation before the request.
                    if Task.isCancelled { mail.cancelledReplies.append(id) }
                }
                if !accepted { continuation.resume(returning: .cancelled(token: request.token)) }
            }
        } onCancel: {
            _ = mailbox.post { $0.cancelledReplies.append(id) }
        }
    }

    /// Ends everything that was handed in before, performed requests included, as `.cancelled`; any thread.
    public func cancelAll() {
        _ = mailbox.post { $0.cancelAll() }
    }

    /// Cancels what is left, hands it back, closes all connections and ends the thread. May be called again.
    public func shutdown() async {
        _ = mailbox.post { $0.stops = true }
        await mailbox.end()
        // The thread closed the mailbox as its last act, so this waits for its return only.
        if let thread = takeThread() { pthread_join(thread, nil) }
    }

    /// What happened since the start; any thread.
    public var counters: ExchangeCounters { running.reading }

    private func takeThread() -> pthread_t? {
        thread.withLock { thread in
            defer { thread = nil }
            return thread
        }
    }
}

extension Exchange {
    /// The outcome of a request that was taken back before it did anything.
    static func cancelled(token: UInt64) -> Exchange {
        failed(token: token, Failure(kind: .cancelled, message: "the request was cancelled"))
    }

    /// The outcome of a request that failed without a connection.
    static func failed(token: UInt64, _ failure: Failure, timings: Timings = Timings()) -> Exchange {
        Exchange(
            token: token, result: .failure(failure), partial: nil, timings: timings, reusedConnection: false,
            remoteAddress: nil, httpVersion: nil)
    }
}
