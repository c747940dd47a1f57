// The options that endpoints and n8n workflows share, and their checks.

internal import ArgumentParser
internal import FoundationEssentials
internal import Outbox

/// Settings of a destination. What is not given keeps its value, or gets the default.
struct DestinationOptions: ParsableArguments {
    @Option(help: "Only events of this organization (those of all).") var organization: String?
    @Option(help: "Only events of this user (those of all).") var user: String?
    @Option(
        help: ArgumentHelp(
            "Request header that the profile does not send itself; can be repeated. All of them replace what is there.",
            valueName: "name=value"))
    var header: [String] = []
    @Option(help: "Attempts in all, the first included, 1 to 1000 (6).") var maxAttempts: Int?
    @Option(help: "Wait before the second attempt: 500ms, 30s (30s).") var baseDelay: TimeArgument?
    @Option(help: "Each wait is the one before times this, 1 to 100 (2).") var factor: Double?
    @Option(help: "No wait is longer, the first one included: 10m, 1d (1h).") var maxDelay: TimeArgument?
    @Option(help: "Random part of each wait, 0 to 1 (0.1).") var jitter: Double?
    @Option(
        help: ArgumentHelp(
            "The waits themselves instead, one attempt more than these: 5s,1m,10m. --retry-policy takes them away.",
            valueName: "list"))
    var delays: String?
    @Option(help: "Longest time of one exchange, 1ms to 10m: 500ms, 10s (30s).") var timeout: TimeArgument?
    @Option(
        help: ArgumentHelp(
            "Attempts and waits in one JSON object, in our form or one of docs/wire.md, instead of those options.",
            valueName: "json"))
    var retryPolicy: String?
    @Option(help: ArgumentHelp("Statuses that are not retried: 4xx, or 400-407,410.", valueName: "list"))
    var finalStatuses: String?
    @Option(help: "Requests in flight at once from one worker, 1 to 10000 (64).") var concurrency: Int?
    @Option(help: "Disable it after so long of nothing but failure: 12h, 5d; 0s for never (120h).") var disableAfter:
        TimeArgument?

    @Option(
        help: ArgumentHelp(
            "An option of docs/options.md, such as 'order=true'; null takes it away; can be repeated.",
            valueName: "name=json"))
    var option: [String] = []

    /// The columns that were given, checked as far as it can be done here.
    ///
    /// - Throws: ``CommandFailure`` with what is wrong.
    func columns() throws -> Document {
        var columns: Document = [:]
        for (option, column, value) in [("organization", "organization_id", organization), ("user", "user_id", user)] {
            guard let value else { continue }
            guard !value.isEmpty else {
                throw CommandFailure.failed(
                    "--\(option) must not be empty; 'update' takes it away with --all-\(option)s")
            }
            columns[column] = value
        }
        if !header.isEmpty { columns["headers"] = try headers() }
        if let maxAttempts { columns["max_attempts"] = maxAttempts }
        if let baseDelay { columns["base_delay_ms"] = baseDelay.milliseconds }
        if let factor { columns["delay_factor"] = factor }
        if let maxDelay { columns["max_delay_ms"] = maxDelay.milliseconds }
        if let jitter { columns["jitter"] = jitter }
        if let delays { columns["delays_ms"] = try waits(delays) }
        try checkRanges()
        if let timeout { columns["timeout_ms"] = timeout.milliseconds }
        if let finalStatuses {
            try check("--final-statuses") { _ = try FinalStatuses(finalStatuses) }
            columns["final_statuses"] = finalStatuses
        }
        if let concurrency { columns["max_concurrency"] = concurrency }
        if let disableAfter { columns["disable_after_s"] = (disableAfter.milliseconds + 999) / 1000 }
        if !option.isEmpty { columns["options"] = try options() }
        if let retryPolicy { try columns.merge(policy(retryPolicy)) { $1 } }
        try checkPolicy()
        return columns
    }

    /// The waits are compared only when both are given: what the other one is in the row is not known here.
    private func checkPolicy() throws {
        try check("retry policy") {
            let standard = RetryPolicy.standard
            _ = try RetryPolicy(
                maxAttempts: maxAttempts ?? standard.maxAttempts,
                growth: factor.map { .exponential(factor: $0) } ?? standard.growth,
                baseDelay: baseDelay?.duration ?? .zero, maxDelay: maxDelay?.duration ?? baseDelay?.duration ?? .zero,
                jitter: jitter ?? standard.jitter)
        }
    }

    private func headers() throws -> [String: String] {
        var headers: [String: String] = [:]
        for line in header {
            guard let equals = line.firstIndex(of: "=") else {
                throw CommandFailure.failed("--header needs NAME=VALUE, not \(line.debugDescription)")
            }
            let name = String(line[..<equals])
            let value = String(line[line.index(after: equals)...])
            try check("--header") {
                _ = try HeaderField(name: name, value: value)
                _ = try ReferenceText(value)
            }
            headers[name] = value
        }
        return headers
    }

    /// The options by name; a null stands for itself, because it takes one away.
    private func options() throws -> [String: JSONValue] {
        var options: [String: JSONValue] = [:]
        for text in option {
            guard let equals = text.firstIndex(of: "=") else {
                throw CommandFailure.failed("--option needs NAME=JSON, not \(text.debugDescription)")
            }
            let name = String(text[..<equals])
            let value = Array(text[text.index(after: equals)...].utf8)
            try check("--option \(name)") {
                let value = try JSONValue(parsing: value)
                if value != .null { _ = try DeliveryOptions(name: name, value: value) }
                options[name] = value
            }
        }
        return options
    }

    /// The columns of a policy; what it does not use is null, which takes it away.
    private func policy(_ text: String) throws -> Document {
        let others: [Any?] = [maxAttempts, baseDelay, factor, maxDelay, jitter, delays]
        guard others.allSatisfy({ $0 == nil }) else {
            throw CommandFailure.failed(
                "--retry-policy stands for the other options of attempts and waits: give it alone")
        }
        do {
            return try RetryPolicy(json: text).columns
        } catch {
            throw CommandFailure.failed("--retry-policy: \(error)")
        }
    }

    /// What the database would refuse in its own words.
    private func checkRanges() throws {
        if let timeout, !(1...600_000).contains(timeout.milliseconds) {
            throw CommandFailure.failed("--timeout is 1ms to 10m")
        }
        if let concurrency, !(1...10_000).contains(concurrency) {
            throw CommandFailure.failed("--concurrency is 1 to 10000")
        }
    }

    private func waits(_ list: String) throws -> [Int64] {
        let others: [Any?] = [maxAttempts, baseDelay, factor, maxDelay]
        guard others.allSatisfy({ $0 == nil }) else {
            throw CommandFailure.failed(
                "--delays gives the waits themselves, and one attempt more than there are: leave out --max-attempts, "
                    + "--base-delay, --factor and --max-delay")
        }
        let parts = CommaList.entries(list)
        guard !parts.isEmpty else {
            throw CommandFailure.failed("--delays needs at least one time; --retry-policy takes the waits away")
        }
        let times = try parts.map { part in
            guard let time = TimeArgument(argument: part) else {
                throw CommandFailure.failed("--delays: \(part.debugDescription) is no time such as 30s")
            }
            return time
        }
        try check("--delays") { _ = try RetryPolicy(delays: times.map(\.duration)) }
        return times.map(\.milliseconds)
    }

    private func check(_ what: String, _ body: () throws -> Void) throws {
        do { try body() } catch { throw CommandFailure.failed("\(what): \(error)") }
    }
}

/// Where a secret comes from: never from the command line itself, which every user of the machine can read.
struct SecretOptions: ParsableArguments {
    @Option(help: ArgumentHelp("File whose first line is the secret; of a setting all of it.", valueName: "file"))
    var secretFile: String?
    @Option(help: ArgumentHelp("Environment variable that holds the secret.", valueName: "variable")) var secretEnv:
        String?
    @Flag(help: "Read the secret from standard input: its first line; of a setting all of it.") var secretStdin = false

    func validate() throws {
        let given = [secretFile != nil, secretEnv != nil, secretStdin].filter { $0 }.count
        if given > 1 { throw ValidationError("give one of --secret-file, --secret-env and --secret-stdin") }
    }

    /// The secret; nil when none was given.
    ///
    /// - Throws: ``CommandFailure`` when it cannot be read, is empty, or does not fit the profile.
    func secret(for profile: Profile) throws -> String? {
        guard let text = try read() else { return nil }
        if SealedSecret.isSealed(text) {
            throw CommandFailure.failed("a secret must not begin with '\(SealedSecret.mark)', as sealed ones do")
        }
        do {
            _ = try Secret(text, form: profile.secretForm)
        } catch {
            throw CommandFailure.failed("the secret does not fit profile \(profile.name): \(error)")
        }
        return text
    }

    /// The whole text, as keys in PEM have it, without line ends at its end; nil when none was given.
    ///
    /// - Throws: ``CommandFailure`` when it cannot be read.
    func wholeText() throws -> String? {
        if let secretFile, let text = FileContents.text(secretFile) {
            return Self.trimmed(text)
        }
        guard secretStdin else { return try read().map(Self.trimmed) }
        guard let text = String(validating: try FileContents.given("-"), as: UTF8.self) else {
            throw CommandFailure.failed("what came from standard input is not UTF-8")
        }
        return Self.trimmed(text)
    }

    private static func trimmed(_ text: String) -> String {
        var text = text[...]
        while text.last?.isNewline == true { text.removeLast() }
        return String(text)
    }

    private func read() throws -> String? {
        if let secretEnv {
            guard let text = ProcessInfo.processInfo.environment[secretEnv] else {
                throw CommandFailure.failed("there is no environment variable \(secretEnv)")
            }
            return text
        }
        if let secretFile {
            guard let text = FileContents.text(secretFile) else {
                throw CommandFailure.failed("cannot read \(secretFile)")
            }
            let line = text.prefix { !$0.isNewline }
            guard !line.isEmpty else { throw CommandFailure.failed("\(secretFile): its first line is empty") }
            return String(line)
        }
        guard secretStdin else { return nil }
        if Session.readsTerminal {
            Session.remark("reading the secret from the terminal, which shows it; Enter ends it")
        }
        return readLine() ?? ""
    }
}
