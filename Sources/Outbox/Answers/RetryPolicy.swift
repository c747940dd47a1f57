// When failed attempts are repeated. A setting of the destination; the store computes due dates from its delays.

import Glibc

/// How often and after which delays an attempt is repeated.
///
/// Delays grow by `growth` from `baseDelay` and stop at `maxDelay`, or are listed one by one. Jitter only lengthens
/// them, by up to its fraction, except at the cap, where it shortens: no delay exceeds `maxDelay`, and storms spread
/// there too.
public struct RetryPolicy: Sendable, Equatable {
    /// How delays follow each other.
    public enum Growth: Sendable, Equatable {
        /// `baseDelay × factor^(n-1)` after attempt n.
        case exponential(factor: Double)
        /// `baseDelay × n` after attempt n.
        case linear
        /// Always `baseDelay`.
        case constant
        /// These delays, one after each attempt but the last. The last one is repeated if attempts are left.
        case explicit([Duration])
    }

    /// Attempts in all, the first included.
    public let maxAttempts: Int
    /// How delays follow each other.
    public let growth: Growth
    /// The delay after the first attempt.
    public let baseDelay: Duration
    /// The longest delay.
    public let maxDelay: Duration
    /// The random part, as a fraction of the delay from 0 to 1.
    public let jitter: Double

    /// Five retries after 30, 60, 120, 240 and 480 s, each up to a tenth longer. The columns of `webhook_destinations` have the
    /// same defaults, which count for destinations that are rows.
    public static let standard = RetryPolicy(
        uncheckedAttempts: 6, .exponential(factor: 2), .seconds(30), .seconds(3600), 0.1
    )

    /// Makes a policy; what is left out is as in ``standard``.
    ///
    /// - Throws: `RetryPolicyError` for values out of range.
    public init(
        maxAttempts: Int = RetryPolicy.standard.maxAttempts,
        growth: Growth = RetryPolicy.standard.growth,
        baseDelay: Duration = RetryPolicy.standard.baseDelay,
        maxDelay: Duration = RetryPolicy.standard.maxDelay,
        jitter: Double = RetryPolicy.standard.jitter
    ) throws(RetryPolicyError) {
        guard (1...1000).contains(maxAttempts) else { throw .attempts(maxAttempts) }
        guard (0.0...1.0).contains(jitter) else { throw .jitter }
        guard Self.isAllowed(baseDelay), Self.isAllowed(maxDelay) else { throw .delay }
        guard baseDelay <= maxDelay else { throw .baseAboveMaximum }
        switch growth {
        case .exponential(let factor): guard (1.0...100.0).contains(factor) else { throw .factor }
        case .explicit(let delays):
            guard delays.allSatisfy(Self.isAllowed) else { throw .delay }
            guard !delays.isEmpty || maxAttempts == 1 else { throw .noDelays }
        case .linear, .constant: break
        }
        self.init(uncheckedAttempts: maxAttempts, growth, baseDelay, maxDelay, jitter)
    }

    /// Makes a policy of listed delays: one attempt more than there are delays, and no cap but the longest of them.
    ///
    /// - Throws: `RetryPolicyError` for a negative delay or one of more than a year.
    public init(delays: [Duration], jitter: Double = RetryPolicy.standard.jitter) throws(RetryPolicyError) {
        guard delays.allSatisfy(Self.isAllowed) else { throw .delay }
        // The cap leaves room for the jitter of the longest delay, which listed delays are meant to have.
        let longest = delays.max() ?? .zero
        let cap = min(longest + longest, Self.longestDelay)
        try self.init(
            maxAttempts: delays.count + 1, growth: .explicit(delays), baseDelay: .zero, maxDelay: cap, jitter: jitter
        )
    }

    private init(
        uncheckedAttempts maxAttempts: Int,
        _ growth: Growth,
        _ baseDelay: Duration,
        _ maxDelay: Duration,
        _ jitter: Double
    ) {
        self.maxAttempts = maxAttempts
        self.growth = growth
        self.baseDelay = baseDelay
        self.maxDelay = maxDelay
        self.jitter = jitter
    }

    /// The delay after a failed attempt.
    ///
    /// - Parameters:
    ///   - attempt: The number of the attempt that failed, from 1.
    ///   - random: 0 ..< 1; values outside count as the nearer bound.
    /// - Returns: The delay, in whole milliseconds; nil when no attempt is left.
    public func delay(afterAttempt attempt: Int, random: Double) -> Duration? {
        guard attempt < maxAttempts else { return nil }
        let cap = Self.seconds(maxDelay)
        let planned = planned(after: max(1, attempt))
        let least = min(planned, jitter > 0 && planned * (1 + jitter) > cap ? cap * (1 - jitter) : planned)
        let most = min(planned * (1 + jitter), cap)
        let share = min(max(random.isNaN ? 0 : random, 0), 1)
        let chosen = max(least, 0) + (max(most, least) - least) * share
        return .milliseconds(Int64((chosen * 1000).rounded()))
    }

    /// Seconds without jitter, capped.
    private func planned(after attempt: Int) -> Double {
        let base = Self.seconds(baseDelay)
        let cap = Self.seconds(maxDelay)
        switch growth {
        case .exponential(let factor): return min(base * pow(factor, Double(attempt - 1)), cap)
        case .linear: return min(base * Double(attempt), cap)
        case .constant: return min(base, cap)
        case .explicit(let delays):
            guard let last = delays.last else { return 0 }
            return min(Self.seconds(attempt <= delays.count ? delays[attempt - 1] : last), cap)
        }
    }

    /// No wait is longer; 366 days.
    static let longestDelay = Duration.seconds(366 * 86_400)

    private static func isAllowed(_ delay: Duration) -> Bool { delay >= .zero && delay <= longestDelay }

    static func seconds(_ duration: Duration) -> Double {
        Double(duration.components.seconds) + Double(duration.components.attoseconds) / 1e18
    }
}

/// Why a retry policy was refused.
public enum RetryPolicyError: Error, Equatable, CustomStringConvertible {
    /// Attempts outside of 1 to 1000.
    case attempts(Int)
    /// A factor outside of 1 to 100.
    case factor
    /// Jitter outside of 0 to 1.
    case jitter
    /// A delay that is negative or longer than a year.
    case delay
    /// A base delay above the maximum.
    case baseAboveMaximum
    /// More than one attempt, and an empty list of delays.
    case noDelays
    /// The written form is not a JSON object of known keys; says which part is not.
    case form(String)

    /// The reason in one line.
    public var description: String {
        switch self {
        case .attempts(let count): "max_attempts must be 1 to 1000, not \(count)"
        case .factor: "factor must be 1 to 100"
        case .jitter: "jitter must be 0 to 1"
        case .delay: "delays must be 0 s to 366 days"
        case .baseAboveMaximum: "base_delay must not exceed max_delay"
        case .noDelays: "more than one attempt needs a delay"
        case .form(let reason): "retry policy: \(reason)"
        }
    }
}
