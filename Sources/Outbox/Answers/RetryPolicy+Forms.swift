// Retry policies as JSON: ours and those of the systems that Postrider replaces. Called when destinations are created.

extension RetryPolicy {
    /// Reads a policy in one of these forms, all delays in seconds unless said otherwise:
    ///
    /// - ours: `{"max_attempts":6,"base_delay":30,"factor":2,"max_delay":3600,"jitter":0.1}`, each as in ``standard`` when
    ///   it is left out, or `{"delays":[5,300,1800],"jitter":0.1}`;
    /// - bird: `{"max_attempts":3,"backoff_type":"exponential","initial_delay":1000,"max_delay":30000}`, delays in
    ///   milliseconds, types `exponential`, `linear` and `fixed`, no jitter;
    /// - crm: `{"retry_count":3}`, retries after 2, 4, 8 … s, no jitter;
    /// - fenix: `{"retry_attempts":3}`, so many retries on our default schedule.
    ///
    /// - Throws: `RetryPolicyError`; also for unknown keys, which are likely misspelt.
    public init(json text: String) throws(RetryPolicyError) {
        let fields = try PolicyFields(text)
        if fields.has("backoff_type") || fields.has("initial_delay") {
            try self.init(bird: fields)
        } else if fields.has("retry_count") {
            try fields.allow(["retry_count"])
            try self.init(retryCount: fields.count("retry_count") ?? 3)
        } else if fields.has("retry_attempts") {
            try fields.allow(["retry_attempts"])
            try self.init(maxAttempts: (fields.count("retry_attempts") ?? 3) + 1)
        } else if fields.has("delays") {
            try fields.allow(["delays", "jitter"])
            try self.init(
                delays: fields.durations("delays"), jitter: fields.number("jitter") ?? Self.standard.jitter)
        } else {
            try fields.allow(["max_attempts", "base_delay", "factor", "max_delay", "jitter"])
            let factor = try fields.number("factor")
            try self.init(
                maxAttempts: fields.count("max_attempts") ?? Self.standard.maxAttempts,
                growth: factor.map { Growth.exponential(factor: $0) } ?? Self.standard.growth,
                baseDelay: fields.duration("base_delay", unit: 1) ?? Self.standard.baseDelay,
                maxDelay: fields.duration("max_delay", unit: 1) ?? Self.standard.maxDelay,
                jitter: fields.number("jitter") ?? Self.standard.jitter
            )
        }
    }

    /// The policy of crm: so many retries, 2^n seconds after attempt n, as long as a wait may be, no jitter.
    ///
    /// - Throws: `RetryPolicyError` when the count is out of range.
    public init(retryCount: Int) throws(RetryPolicyError) {
        guard (0..<1000).contains(retryCount) else { throw .attempts(retryCount) }
        try self.init(
            maxAttempts: retryCount + 1, growth: .exponential(factor: 2), baseDelay: .seconds(2),
            maxDelay: Self.longestDelay, jitter: 0)
    }

    private init(bird fields: PolicyFields) throws(RetryPolicyError) {
        try fields.allow(["max_attempts", "backoff_type", "initial_delay", "max_delay"])
        let growth: Growth
        switch try fields.string("backoff_type") ?? "exponential" {
        case "exponential": growth = .exponential(factor: 2)
        case "linear": growth = .linear
        case "fixed", "constant": growth = .constant
        case let type: throw .form("unknown backoff_type \(type.debugDescription)")
        }
        try self.init(
            maxAttempts: fields.count("max_attempts") ?? 3,
            growth: growth,
            baseDelay: fields.duration("initial_delay", unit: 1000) ?? .seconds(1),
            maxDelay: fields.duration("max_delay", unit: 1000) ?? .seconds(30),
            jitter: 0
        )
    }
}

/// The members of a policy's JSON object, read with the checks that all forms share.
private struct PolicyFields {
    private let members: [String: JSONValue]

    init(_ text: String) throws(RetryPolicyError) {
        let value: JSONValue
        do { value = try JSONValue(parsing: Array(text.utf8)) } catch { throw .form(error.reason) }
        guard case .object(let members) = value else { throw .form("expected a JSON object") }
        self.members = members
    }

    func has(_ key: String) -> Bool { members[key] != nil }

    func allow(_ keys: Set<String>) throws(RetryPolicyError) {
        do { _ = try JSONValue.object(members).members(keys) } catch { throw .form(error.reason) }
    }

    func string(_ key: String) throws(RetryPolicyError) -> String? {
        try read(key) { value throws(OptionError) in try value.string() }
    }

    func number(_ key: String) throws(RetryPolicyError) -> Double? {
        try read(key) { value throws(OptionError) in try value.number() }
    }

    func count(_ key: String) throws(RetryPolicyError) -> Int? {
        try read(key) { value throws(OptionError) in try value.int(in: 0...999_999) }
    }

    /// A time given in `1/unit` seconds.
    func duration(_ key: String, unit: Double) throws(RetryPolicyError) -> Duration? {
        guard let value = try number(key) else { return nil }
        return try Self.duration(value / unit)
    }

    func durations(_ key: String) throws(RetryPolicyError) -> [Duration] {
        guard case .array(let elements) = members[key] else { throw .form("\(key): expected an array of seconds") }
        var result: [Duration] = []
        for element in elements {
            guard case .number(let seconds, _) = element else { throw .form("\(key): expected an array of seconds") }
            result.append(try Self.duration(seconds))
        }
        return result
    }

    private static func duration(_ seconds: Double) throws(RetryPolicyError) -> Duration {
        // Checked before the conversion, which traps on what does not fit.
        guard (0...1e9).contains(seconds) else { throw .delay }
        return .milliseconds(Int64((seconds * 1000).rounded()))
    }

    private func read<Value>(
        _ key: String, _ reading: (JSONValue) throws(OptionError) -> Value
    ) throws(RetryPolicyError) -> Value? {
        guard let value = members[key] else { return nil }
        do { return try reading(value) } catch { throw .form("\(key): \(error.reason)") }
    }
}
