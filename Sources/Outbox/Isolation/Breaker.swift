// When a destination that fails is left alone, and how it gets its traffic back. Pure: times come in as arguments, in
// monotonic microseconds. Held by the worker's lane of a destination; what all workers must know goes through Postgres.

/// The circuit breaker of one destination, as one worker sees it.
///
/// A destination begins slowly and doubles what it gets with its successes, so one that never answers ties up little.
/// Ten failures in a row that tell of an overloaded or dead receiver open the breaker: nothing is sent. The row in
/// `webhook_breakers` decides for how long, and which worker then sends one delivery as a probe. Its success closes the
/// breaker, and the destination begins slowly again.
///
/// A receiver that asks for less with more than an eighth of its answers gets half, down to what an unknown destination gets, and
/// by eighths more as it takes it: one that takes so many at once refuses few of them, and need not be left alone. Fewer such
/// answers change nothing: a balancer that drops one request in fifty does not take more of them when it gets fewer.
public struct Breaker: Sendable, Equatable {
    /// How much may be sent.
    public enum State: Sendable, Equatable {
        /// As much as the destination's own limit allows.
        case closed
        /// At most so many at once, and more after as many successes: twice as many, or an eighth more after it asked for less.
        case ramping(limit: Int)
        /// Nothing.
        case open
        /// One at a time.
        case probing
    }

    /// What the other workers should learn.
    public enum Report: Sendable, Equatable {
        /// The breaker opened.
        case opened
        /// It has failed for a while, but not in a way that opens the breaker.
        case failing
        /// It works again.
        case recovered
    }

    /// So many failures in a row open the breaker; 10.
    public static let tripCount = 10
    /// While it gets its traffic back, so many do; 3.
    public static let relapseCount = 3
    /// How many requests may be in flight to a destination of which nothing is known yet; 8.
    public static let firstLimit = 8
    /// How many after a probe succeeded; 2.
    public static let recoveryLimit = 2
    /// One answer in so many may ask for less without getting it; 8.
    public static let refusalShare = 8
    /// So many must have asked for less before it gets it, however few may be in flight; 3.
    public static let fewestRefusals = 3

    /// How much may be sent now.
    public private(set) var state = State.ramping(limit: firstLimit)
    /// Failures in a row that count against the destination.
    public private(set) var failures = 0
    /// When the others were first told of them; nil when they were not, or when an attempt succeeded since. Failures that
    /// nobody is told of say little: an attempt at another worker may have succeeded between two of them.
    public private(set) var failingSince: Int64?
    /// When it was opened here; what was asked of Postgres before is out of date.
    public private(set) var openedAt: Int64 = .min
    /// True after it asked for less, until it takes everything again.
    public private(set) var isEased = false
    /// When it last got less; nothing that was sent before tells more.
    private var easedAt: Int64 = .min
    /// By how much the answers that ask for less outweigh the others lately: each of those counts ``refusalShare``, each of these
    /// takes back one; never below 0.
    private var pressure = 0
    private var strains = 0
    private var successes = 0
    /// True while it gets its traffic back after it was open.
    private var isRecovering = false
    /// True when Postgres has a row about it, as far as is known.
    private var isRecorded = false

    /// The breaker of a destination of which nothing is known.
    public init() {}

    /// Whether it differs from that of a destination of which nothing is known, so that it must be remembered.
    public var isWorthKeeping: Bool {
        failures > 0 || isRecorded || isShut || isRecovering
    }

    /// How many requests may be in flight at once, given the destination's own limit.
    public func limit(of most: Int) -> Int {
        switch state {
        case .closed: most
        case .ramping(let limit): min(limit, most)
        case .open: 0
        case .probing: 1
        }
    }

    /// An attempt succeeded.
    public mutating func succeed(limit most: Int) -> Report? {
        let wasRecorded = isRecorded
        failures = 0
        strains = 0
        pressure = max(0, pressure - 1)
        failingSince = nil
        isRecorded = false
        switch state {
        case .open, .probing:
            recover()
            return .recovered
        case .ramping(let limit):
            successes += 1
            if successes >= limit {
                successes = 0
                let next = isEased ? limit + max(1, limit / 8) : limit * 2
                state = next >= most ? .closed : .ramping(limit: next)
                if state == .closed {
                    isRecovering = false
                    isEased = false
                }
            }
        case .closed: break
        }
        return wasRecorded ? .recovered : nil
    }

    /// An attempt failed in a way that counts against the destination.
    ///
    /// - Parameters:
    ///   - isStrain: whether the failure tells of an overloaded or dead receiver; ``FailureClass/isStrain``.
    ///   - wasEased: whether getting less answers it, ``ease(limit:startedAt:at:)``. Then it adds nothing to the strains in a row, and
    ///     does not end them: it is no sign of health.
    ///   - now: when it ended.
    public mutating func fail(strains isStrain: Bool, eased wasEased: Bool = false, at now: Int64) -> Report? {
        failures += 1
        if !wasEased { strains = isStrain ? strains + 1 : 0 }
        if isStrain, !wasEased, opens() {
            state = .open
            openedAt = now
            failingSince = failingSince ?? now
            strains = 0
            isRecorded = true
            return .opened
        }
        if state == .probing {
            // The receiver answers, if not as one would wish: the breaker is not for that. It goes on failing all the same.
            recover()
            isRecorded = false
            return .recovered
        }
        guard failures % Self.tripCount == 0, state != .open else { return nil }
        failingSince = failingSince ?? now
        isRecorded = true
        return .failing
    }

    /// The receiver asked for less: it gets half when such answers outweigh the others by an eighth of what may be in flight, once
    /// for all that was under way together.
    ///
    /// - Parameters:
    ///   - most: the destination's own limit.
    ///   - start: when the attempt began.
    ///   - now: when it ended.
    /// - Returns: whether getting less answers the failure, now or when more of them follow, so that it is no strain; false when
    ///   there is nothing to take away.
    public mutating func ease(limit most: Int, startedAt start: Int64, at now: Int64) -> Bool {
        guard !isShut else { return false }
        if start < easedAt { return true }
        let current = limit(of: most)
        guard current > Self.firstLimit else { return false }
        pressure += Self.refusalShare
        guard pressure >= max(Self.fewestRefusals * Self.refusalShare, current) else { return true }
        state = .ramping(limit: max(Self.firstLimit, current / 2))
        pressure = 0
        successes = 0
        isEased = true
        easedAt = now
        return true
    }

    /// The receiver refused an attempt in a way that counts against nobody: as a probe this shows that it lives.
    public mutating func answer() -> Report? {
        guard state == .probing else { return nil }
        recover()
        isRecorded = false
        return .recovered
    }

    private func opens() -> Bool {
        switch state {
        case .open: false
        case .probing: true
        case .closed, .ramping: strains >= (isRecovering ? Self.relapseCount : Self.tripCount)
        }
    }

    /// What Postgres says of it.
    ///
    /// - Parameters:
    ///   - isOpen: whether its breaker has opened and no probe has succeeded since.
    ///   - mayProbe: whether this worker may send one delivery from now on.
    ///   - holdsProbe: whether it was told so before, and no other worker may. One that sent nothing in its time must not send
    ///     it later, when another probes or has just failed.
    public mutating func learn(isOpen: Bool, mayProbe: Bool, holdsProbe: Bool = false) {
        isRecorded = true
        if mayProbe {
            state = .probing
        } else if isOpen {
            if state != .probing || !holdsProbe { state = .open }
        } else if isShut {
            // Nobody would be given a probe.
            recover()
        }
    }

    /// Postgres has nothing about it. If it had, then another worker's attempt succeeded, or somebody made it active again:
    /// what was counted before has ended.
    public mutating func learnRecovery() {
        if isRecorded {
            failures = 0
            failingSince = nil
        }
        isRecorded = false
        if isShut { recover() }
    }

    /// Whether it waits for a probe, this worker's or another's.
    private var isShut: Bool { state == .open || state == .probing }

    private mutating func recover() {
        state = .ramping(limit: Self.recoveryLimit)
        successes = 0
        strains = 0
        pressure = 0
        isRecovering = true
        isEased = false
    }
}

extension FailureClass {
    /// Whether the failure tells of an overloaded or dead receiver, which is better left alone for a while. One that
    /// answers, only not with yes, is not helped by waiting.
    public var isStrain: Bool {
        switch self {
        case .dns, .connect, .tls, .certificate, .timeout, .reset, .protocolError, .serverError, .throttled,
            .unavailable, .tooLarge:
            true
        case .refusedAddress, .invalidRequest, .cancelled, .redirectRefused, .clientError, .gone,
            .payloadRefused, .workflowInactive, .proxy, .worker, .poison, .refusedByReceiver, .refusedItem,
            .skipped, .transform, .dropped, .erased, .scope:
            false
        }
    }

    /// Whether the receiver asks for less: it takes some requests and not so many.
    public var asksForLess: Bool { self == .throttled || self == .unavailable }

    /// Whether the receiver itself answered, though the failure counts against nobody.
    public var isBlamelessAnswer: Bool {
        switch self {
        case .payloadRefused, .workflowInactive, .refusedByReceiver: true
        default: false
        }
    }
}
