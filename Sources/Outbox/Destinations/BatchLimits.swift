// The option `batch`: when waiting events become one request.

/// How many events go into one request. It is sent when any of the three is reached.
public struct BatchLimits: Sendable, Equatable {
    /// Events of one request at most, 2 to 1,000.
    public let events: Int
    /// How long the first of them waits for others, 0 to 60 s; default 100 ms.
    public let wait: Duration
    /// Bytes of payload of one request at most, 1 KiB to 4 MiB; default 256 KiB. A single event may be larger.
    public let bytes: Int

    /// Makes limits.
    ///
    /// - Throws: `OptionError` when one is out of range.
    public init(events: Int, wait: Duration = .milliseconds(100), bytes: Int = 262_144) throws(OptionError) {
        guard (2...1000).contains(events) else { throw OptionError("events must be from 2 to 1000") }
        guard wait >= .zero, wait <= .seconds(60) else { throw OptionError("wait_ms must be from 0 to 60000") }
        guard (1024...4_194_304).contains(bytes) else { throw OptionError("bytes must be from 1024 to 4194304") }
        self.events = events
        self.wait = wait
        self.bytes = bytes
    }

    /// Reads `{"events": 100, "wait_ms": 50, "bytes": 65536}`; the last two may be left out.
    init(_ value: JSONValue) throws(OptionError) {
        let members = try value.members(["events", "wait_ms", "bytes"])
        guard let events = members["events"] else { throw OptionError("events is missing") }
        try self.init(
            events: events.int(in: 2...1000),
            wait: .milliseconds(members["wait_ms"]?.int(in: 0...60_000) ?? 100),
            bytes: members["bytes"]?.int(in: 1024...4_194_304) ?? 262_144)
    }

    /// Events of one request for attempts of a number: a quarter as many with each further attempt, so that an event that
    /// its receiver cannot digest is alone by its fifth attempt at the latest.
    public func events(attempt: Int16) -> Int {
        max(1, events >> (2 * min(8, max(0, Int(attempt) - 1))))
    }
}
