// What a replay is of, as options of `postrider replay` and `postrider dead-letters replay`.

internal import ArgumentParser
internal import Outbox

/// Options that choose deliveries, and how they are sent.
struct ReplayOptions: ParsableArguments {
    @Option(help: "One delivery.") var delivery: String?
    @Option(help: "All deliveries of an event.") var event: String?
    @Option(help: "Of an endpoint or workflow: id or name.") var endpoint: String?
    @Option(help: "A type, or a pattern such as lead.*.") var type: String?
    @Option(help: "Of events of one organization.") var organization: String?
    @Option(help: "Of events of one user.") var user: String?
    @Option(help: "success or failed: how the last attempt ended.") var status: String?
    @Option(help: ArgumentHelp("A failure class of the last attempt, such as timeout.", valueName: "class"))
    var failure: String?
    @Option(
        help: ArgumentHelp(
            "Of events made since: 2d, which is so long ago, or 2026-11-20T10:00Z (24h; of dead letters: always).",
            valueName: "time"))
    var since: MomentArgument?
    @Option(help: ArgumentHelp("Of events made until: as --since (now).", valueName: "time"))
    var until: MomentArgument?
    @Flag(help: "Only critical dead letters.") var critical = false
    @Option(help: ArgumentHelp("How many become due, 1/m to 100000/s: 100/s, 600/m.", valueName: "rate"))
    var rate = RateArgument.usual
    @Flag(help: "Count, and send nothing.") var dryRun = false
    @Flag(help: "Do not ask before sending many.") var yes = false

    func validate() throws {
        if let status, !["success", "failed"].contains(status) {
            throw ValidationError("--status is success or failed: what is pending is sent anyway")
        }
        if delivery != nil, event != nil || endpoint != nil {
            throw ValidationError("--delivery is of one event and one endpoint: no --event or --endpoint")
        }
        if delivery != nil || event != nil, since != nil || until != nil {
            throw ValidationError("--delivery and --event have a time of their own: no --since or --until")
        }
        try FailureClass.check(failure)
    }

    /// Whether anything is chosen beside a time.
    var namesSomething: Bool {
        [delivery, event, endpoint, type, organization, user, status, failure].contains { $0 != nil }
    }

    /// Whether a delivery or event is named, at most with its endpoint: other criteria may leave it out.
    var namesOne: Bool {
        let filters = [type, organization, user, status, failure]
        return (delivery != nil || event != nil) && !critical && filters.allSatisfy { $0 == nil }
    }

    /// The criteria of `postrider.replay_plan`.
    ///
    /// - Throws: ``CommandFailure`` for ids that are none.
    func criteria(of what: String) throws -> Document {
        let isAlways = what == "dead_letters" || delivery != nil || event != nil
        let since = since ?? (isAlways ? nil : .day)
        return [
            "what": what, "delivery": try delivery.map(Identifier.check), "event": try event.map(Identifier.check),
            "endpoint": endpoint, "type": type, "organization_id": organization, "user_id": user, "status": status,
            "failure": failure, "critical": critical ? true : nil, "rate": rate.perSecond,
            "since_s": since?.secondsAgo, "since": since?.time, "until_s": until?.secondsAgo, "until": until?.time,
        ]
    }
}

extension FailureClass {
    /// Refuses what is no failure class.
    ///
    /// - Throws: `ValidationError` with those that are.
    static func check(_ option: String?) throws {
        guard let option, FailureClass(rawValue: option) == nil else { return }
        let known = allCases.map(\.rawValue).sorted().joined(separator: ", ")
        throw ValidationError("--failure is one of \(known)")
    }
}

/// So many in a time: 100/s, 600/m, 30/h, or 100, which is a second's.
struct RateArgument: ExpressibleByArgument, Sendable, Equatable {
    /// Deliveries a second, at least one a minute and at most 100,000 a second.
    let perSecond: Double

    /// 100 a second.
    static let usual = RateArgument(perSecond: 100)

    init(perSecond: Double) { self.perSecond = perSecond }

    init?(argument: String) {
        let parts = argument.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        let units = ["s": 1.0, "m": 60, "h": 3600]
        guard parts[0].allSatisfy({ $0.isASCII && ($0.isNumber || $0 == ".") }), let number = Double(parts[0]),
            let unit = units[parts.count > 1 ? String(parts[1]) : "s"], (0.016...100_000).contains(number / unit)
        else { return nil }
        perSecond = number / unit
    }

    var defaultValueDescription: String { Self.text(perSecond) }

    /// As people write it: `100/s`, `30/m`.
    static func text(_ perSecond: Double) -> String {
        let (number, unit) = perSecond >= 1 ? (perSecond, "s") : (perSecond * 60, "m")
        let rounded = (number * 100).rounded() / 100
        return (rounded == rounded.rounded() ? "\(Int(rounded))" : "\(rounded)") + "/\(unit)"
    }
}

/// A point in time: so long ago (2d), or a date with or without a time of day (UTC unless it says otherwise).
struct MomentArgument: ExpressibleByArgument, Sendable, Equatable {
    /// Seconds before now; nil when it is a time.
    let secondsAgo: Double?
    /// A time as Postgres reads it; nil when it is so long ago.
    let time: String?

    /// 24 hours ago.
    static let day = MomentArgument(secondsAgo: 86_400)

    private init(secondsAgo: Double?, time: String? = nil) {
        self.secondsAgo = secondsAgo
        self.time = time
    }

    init?(argument: String) {
        if let ago = TimeArgument(argument: argument) {
            self.init(secondsAgo: ago.seconds)
            return
        }
        let form =
            /(\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01]))(?:[T ]((?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d{1,6})?)?)(Z|[+-]\d\d:?\d\d)?)?/
        guard let match = argument.wholeMatch(of: form) else { return nil }
        self.init(secondsAgo: nil, time: "\(match.1) \(match.2 ?? "00:00")\(match.3 ?? "Z")")
    }

}
