// The option `rate`: a token bucket. The bucket itself stands in Postgres, where all workers draw from it.

/// How often requests may be sent to a destination.
public struct RateLimit: Sendable, Equatable {
    /// Requests a second in the long run, 0.001 to 100,000.
    public let perSecond: Double
    /// Requests that may be sent at once after a rest, at least 1; by default a tenth of a second's.
    public let burst: Double

    /// Makes a limit.
    ///
    /// - Throws: `OptionError` when a number is out of range.
    public init(perSecond: Double, burst: Double? = nil) throws(OptionError) {
        guard (0.001...100_000).contains(perSecond) else {
            throw OptionError("per_second must be from 0.001 to 100000")
        }
        let burst = burst ?? max(1, perSecond / 10)
        guard (1...100_000).contains(burst) else { throw OptionError("burst must be from 1 to 100000") }
        self.perSecond = perSecond
        self.burst = burst
    }

    /// Reads `{"per_second": 10, "burst": 20}`; the burst may be left out.
    init(_ value: JSONValue) throws(OptionError) {
        let members = try value.members(["per_second", "burst"])
        guard let perSecond = members["per_second"] else { throw OptionError("per_second is missing") }
        try self.init(
            perSecond: perSecond.number(in: 0.001...100_000), burst: members["burst"]?.number(in: 1...100_000))
    }

    /// How many requests are worth keeping at hand: those of one second, at least one.
    public var perSecondRoundedUp: Int { Int(perSecond.rounded(.up)) }
}
