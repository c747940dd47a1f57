// What to do after an attempt. Pure: called by the worker for every outcome, recorded by the store.
// The rules are those of docs/wire.md, "How an answer is judged".

/// The consequences of one attempt.
public struct Verdict: Sendable, Equatable {
    /// What becomes of the delivery.
    public enum Action: Sendable, Equatable {
        /// It is done.
        case delivered
        /// It is tried again after this time.
        case retry(after: Duration)
        /// It is a dead letter.
        case dead(DeathCause)
        /// It is a dead letter, as ``DeathCause/exhausted``, unless attempts before did not count; then it is tried again
        /// after this time.
        case exhausted(grace: Duration)
        /// It waits until its destination, which is disabled with it, is enabled again.
        case park
    }

    /// Why a delivery is not tried again by itself.
    public enum DeathCause: String, Sendable {
        /// The answer was final.
        case final
        /// There are no attempts left.
        case exhausted
    }

    /// What becomes of the delivery.
    public var action: Action
    /// Why the attempt failed; nil when it did not.
    public var failure: FailureClass?
    /// For how long nothing at all should be sent to the destination; nil for no pause.
    public var pausesDestination: Duration?
    /// Whether the destination must be disabled, because it said so.
    public var disablesDestination = false
    /// Whether this failure counts towards disabling the destination and towards its breaker.
    public var blamesDestination = false
    /// Whether the attempt counts towards `RetryPolicy.maxAttempts`; one that does not is repeated even after the last one.
    /// Its number goes on all the same: how many did not count is asked of Postgres when the last one has failed.
    public var spendsAttempt = true

    /// Makes a verdict; defaults are those of a delivered event.
    public init(
        action: Action,
        failure: FailureClass? = nil,
        pausesDestination: Duration? = nil,
        disablesDestination: Bool = false,
        blamesDestination: Bool = false,
        spendsAttempt: Bool = true
    ) {
        self.action = action
        self.failure = failure
        self.pausesDestination = pausesDestination
        self.disablesDestination = disablesDestination
        self.blamesDestination = blamesDestination
        self.spendsAttempt = spendsAttempt
    }

    /// The longest wait that `Retry-After` can bring about.
    public static let longestRetryAfter = Duration.seconds(86_400)

    /// A first attempt that found no way to the receiver in less than this is repeated at once.
    public static let instantRetryLimit = Duration.seconds(1)

    /// Judges an outcome.
    ///
    /// - Parameters:
    ///   - outcome: What came of the attempt.
    ///   - destination: The destination, whose retry policy and final statuses decide.
    ///   - attempt: The number of the attempt, from 1; those that did not count are in it.
    ///   - random: 0 ..< 1, for the jitter.
    ///   - duration: How long the attempt took; nil counts as long.
    public static func judge(
        _ outcome: Outcome, destination: Destination, attempt: Int, random: Double, duration: Duration? = nil
    ) -> Verdict {
        let bench = Bench(destination: destination, attempt: attempt, random: random)
        var verdict =
            switch outcome {
            case .answered(let answer): bench.judge(answer)
            case .refusedItem: bench.retry(.refusedItem, isBlamed: false)
            case .failed(let failure):
                bench.judge(failure, wasQuick: duration.map { $0 < instantRetryLimit } ?? false)
            case .untransformed: bench.judgeUntransformed()
            }
        guard attempt >= mostAttempts else { return verdict }
        switch verdict.action {
        case .retry, .exhausted: verdict.action = .dead(.exhausted)
        case .delivered, .dead, .park: break
        }
        return verdict
    }

    /// After so many attempts a delivery is given up, whether they count or not: 30,000. Their number is a `smallint`.
    public static let mostAttempts = 30_000
    /// An attempt that does not count is not repeated sooner; 1 s. A proxy that is down would otherwise be asked as fast as
    /// it can refuse, and a worker without descriptors try as fast as it can fail, where the destination's own waits are zero.
    static let shortestUncountedDelay = Duration.seconds(1)
    /// What this worker could not send is not left for longer, since another one can; 30 s.
    static let longestOwnDelay = Duration.seconds(30)
}

/// Where one outcome is judged.
private struct Bench {
    let destination: Destination
    let attempt: Int
    let random: Double

    func judge(_ failure: ExchangeFailure, wasQuick: Bool) -> Verdict {
        switch failure {
        case .cancelled:
            // Nothing is known about the receiver: the next worker may try at once.
            return Verdict(action: .retry(after: .zero), failure: .cancelled, spendsAttempt: false)
        case .proxy:
            return retryUncounted(.proxy)
        case .worker:
            return retryUncounted(.worker, atMost: Verdict.longestOwnDelay)
        case .invalidRequest:
            return Verdict(action: .dead(.final), failure: .invalidRequest)
        case .dns, .connect, .tls:
            // Nothing was sent, and a name server or a receiver that restarts is often back at once. Only the first
            // attempt, so that a receiver that is down costs one more connection for each event and not a storm.
            guard wasQuick, attempt == 1, destination.retry.maxAttempts > 1 else { fallthrough }
            return Verdict(action: .retry(after: .zero), failure: FailureClass(failure), blamesDestination: true)
        default:
            return retry(FailureClass(failure))
        }
    }

    /// Somebody may mend the function meanwhile; the receiver has nothing to do with it.
    func judgeUntransformed() -> Verdict { retry(.transform, isBlamed: false) }

    func judge(_ answer: Answer) -> Verdict {
        let isDelivered = (200...299).contains(answer.status)
        switch answer.control {
        case .disable:
            let action: Verdict.Action = isDelivered ? .delivered : .park
            let failure: FailureClass? = isDelivered ? nil : .refusedByReceiver
            return Verdict(action: action, failure: failure, disablesDestination: true)
        case .abortMessage where !isDelivered:
            return Verdict(action: .dead(.final), failure: .refusedByReceiver)
        case .abortMessage, nil:
            return isDelivered ? Verdict(action: .delivered) : judgeFailed(answer)
        }
    }

    private func judgeFailed(_ answer: Answer) -> Verdict {
        switch answer.status {
        case 410:
            return Verdict(action: .park, failure: .gone, disablesDestination: true, blamesDestination: true)
        case 404 where N8nAnswer.isNotRegistered(answer.bodyPrefix):
            // A person has switched the workflow off and will switch it on again; the address is right.
            return retry(.workflowInactive, isBlamed: false)
        case 407 where destination.url.isPlainHTTP:
            // Over TLS it is the receiver's own word: one that says it to everything would be asked 30,000 times for each event.
            return retryUncounted(.proxy)
        default:
            break
        }
        let failure = Self.failureClass(of: answer.status)
        let listens = [408, 425, 429, 503].contains(answer.status)
        let pause = listens ? answer.retryAfter.map { min($0, Verdict.longestRetryAfter) } : nil
        if destination.finalStatuses.contains(answer.status) {
            // A receiver that answers for one payload is alive: 413 and 415 say nothing against it. One that asks for time
            // gets it: the events behind this one would only become dead letters too.
            return Verdict(
                action: .dead(.final), failure: failure, pausesDestination: pause,
                blamesDestination: failure != .payloadRefused
            )
        }
        return retry(failure, pause: pause)
    }

    /// Another attempt after the schedule's delay, or later when the receiver asks for it; never earlier.
    func retry(_ failure: FailureClass, pause: Duration? = nil, isBlamed: Bool = true) -> Verdict {
        var verdict = Verdict(action: .dead(.exhausted), failure: failure, blamesDestination: isBlamed)
        verdict.pausesDestination = pause
        if let delay = destination.retry.delay(afterAttempt: attempt, random: random) {
            verdict.action = .retry(after: max(delay, pause ?? .zero))
        } else if attempt > 1 {
            verdict.action = .exhausted(grace: max(lastDelay, pause ?? .zero))
        }
        return verdict
    }

    /// Another attempt on the schedule that does not use one up, so that there always is one.
    private func retryUncounted(_ failure: FailureClass, atMost longest: Duration? = nil) -> Verdict {
        let wait = max(min(lastDelay, longest ?? lastDelay), Verdict.shortestUncountedDelay)
        return Verdict(action: .retry(after: wait), failure: failure, spendsAttempt: false)
    }

    /// The wait after this attempt, or the longest of the schedule when there is none.
    private var lastDelay: Duration {
        let policy = destination.retry
        return policy.delay(afterAttempt: min(attempt, policy.maxAttempts - 1), random: random) ?? policy.baseDelay
    }

    private static func failureClass(of status: Int) -> FailureClass {
        switch status {
        case 300...399: .redirectRefused
        case 408, 425, 429: .throttled
        case 413, 415: .payloadRefused
        case 400...499: .clientError
        case 502, 503, 504: .unavailable
        case 500...599: .serverError
        default: .protocolError
        }
    }
}
