// `postrider listen`.

internal import ArgumentParser
internal import FoundationEssentials
internal import Outbox
internal import UnixSignals

/// A receiver for trying things out.
struct ListenCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "listen",
        abstract: "Receive webhooks, check their signatures, print them, and answer as told.",
        discussion: """
            One line for each request goes to standard output; where it listens and the totals go to standard error. \
            Without a secret signatures are not checked. \
            Ends after Ctrl-C, SIGTERM or --count requests, or when nobody reads its lines any more.

              WEBHOOK_SECRET=whsec_… postrider listen --port 9000 --secret-env WEBHOOK_SECRET
              postrider listen --port 9000 --answer 503:2 --retry-after 5     fail twice, then answer 200
              postrider listen --port 9000 --n8n-inactive                     an n8n workflow that is switched off
            """)

    @Option(help: "Port to listen on, 1 to 65535; 0 for any that is free.") var port: UInt16
    @Option(help: "Address to listen on.") var host = "127.0.0.1"
    @Option(
        help: ArgumentHelp(
            "Wire format to expect: \(Profile.builtIn.keys.sorted().joined(separator: ", ")), a row of webhook_profiles "
                + "(with DATABASE_URL), or a path of a profile's JSON; default the built-in one that fits.",
            valueName: "name")) var profile: String?
    @Option(help: ArgumentHelp("Environment variable with a secret; can be repeated.", valueName: "variable"))
    var secretEnv: [String] = []
    @Option(help: ArgumentHelp("File with a secret in its first line; can be repeated.", valueName: "file"))
    var secretFile: [String] = []
    @Option(help: "Status to answer, 200 to 599; 404 with --n8n-inactive, else 200.") var status: Int?
    @Option(
        help: ArgumentHelp(
            "What to answer first, for example 500:2,429:1; afterwards --status.", valueName: "status:count,…"))
    var answer: String?
    @Option(help: ArgumentHelp("Hold each answer back, at most 5m: 200ms, 1.5s, 2m (0s).", valueName: "time"))
    var delay: String?
    @Option(help: "Body of each answer (none; with --n8n-inactive n8n's own).") var body: String?
    @Option(help: ArgumentHelp("Retry-After of answers other than 2xx: seconds or a date.", valueName: "value"))
    var retryAfter: String?
    @Flag(help: "Answer 404 as n8n does for a workflow that is not active.") var n8nInactive = false
    @Flag(help: "One JSON object for each request.") var json = false
    @Flag(help: "With --json, also all headers, credentials included.") var headers = false
    @Option(help: "End after so many requests (never).") var count: Int?
    @Flag(help: "Print totals only.") var quiet = false

    func validate() throws {
        _ = try plan()
        if let count, count < 1 { throw ValidationError("--count must be at least 1") }
        if headers, !json { throw ValidationError("--headers needs --json") }
    }

    func run() async throws {
        // Without a database there is nobody to ask about other names.
        if let profile, Profile.builtIn[profile] == nil, !ProfileLookup.isPath(profile), !Self.hasDatabase {
            throw CommandFailure.notFound(
                "there is no profile \(profile.debugDescription); one that was added needs DATABASE_URL")
        }
        let verifier: Verifier
        var expected: Profile?
        if let profile { expected = try await ProfileLookup.profile(profile) }
        do {
            verifier = try Verifier(profile: expected, secrets: secrets())
        } catch let error as SecretError {
            throw CommandFailure.failed(error.description)
        }
        let listener = Listener(verifier: verifier, plan: try plan(), limit: count, format: format())
        do {
            let server = try ReceiverServer(host: host, port: port) { listener.answer($0) }
            try await serve(server, listener)
        } catch let error as ReceiverError {
            throw CommandFailure.failed(error.description)
        }
        Session.remark(json ? listener.totals.json : listener.totals.line)
    }

    private static var hasDatabase: Bool {
        ProcessInfo.processInfo.environment["DATABASE_URL"].map { !$0.isEmpty } ?? false
    }

    /// How requests are printed; nil for not at all.
    private func format() -> (@Sendable (RequestReport) -> String)? {
        if quiet { return nil }
        let withHeaders = headers
        return json ? { @Sendable in $0.json(withHeaders: withHeaders) } : { @Sendable in $0.line }
    }

    /// Serves until a signal, the last request, the end of whoever reads the lines, or a fault of the server.
    private func serve(_ server: ReceiverServer, _ listener: Listener) async throws {
        let signals = await UnixSignalsSequence(trapping: [.sigint, .sigterm])
        // Each child tells whether its end is the end of listening.
        try await withThrowingTaskGroup(of: Bool.self) { group in
            group.addTask {
                try await server.run()
                return true
            }
            group.addTask {
                for await _ in signals { break }
                return true
            }
            group.addTask {
                Session.remark("listening on \(try await server.url())")
                return false
            }
            group.addTask {
                await listener.waitUntilFull()
                return true
            }
            while try await group.next() == false {}
            // The answer to the last request is on its way; a connection that is idle ends at once.
            await server.stop()
            group.cancelAll()
        }
    }

    private func plan() throws -> AnswerPlan {
        var plan = AnswerPlan()
        if let answer {
            guard let steps = AnswerPlan.steps(answer) else {
                throw ValidationError("--answer must look like 500:2,429:1, not \(answer.debugDescription)")
            }
            plan.steps = steps
        }
        plan.status = status ?? (n8nInactive ? 404 : 200)
        guard (200...599).contains(plan.status) else { throw ValidationError("--status must be 200 to 599") }
        plan.body = body
        plan.retryAfter = retryAfter
        plan.answersLikeInactiveWorkflow = n8nInactive
        if let delay {
            guard let duration = Self.duration(delay) else {
                throw ValidationError(
                    "--delay must look like 200ms, 1.5s or 2m, at most 5m, not \(delay.debugDescription)")
            }
            plan.delay = duration
        }
        return plan
    }

    /// Reads a number with its unit, ms, s or m; at most five minutes.
    static func duration(_ text: String) -> Duration? {
        guard let match = text.wholeMatch(of: /([0-9]+(?:\.[0-9]+)?)(ms|s|m)/), let number = Double(match.1) else {
            return nil
        }
        let seconds = number * (match.2 == "ms" ? 0.001 : match.2 == "m" ? 60 : 1)
        return seconds <= 300 ? .microseconds(Int64(seconds * 1_000_000)) : nil
    }

    private func secrets() throws -> [String] {
        let environment = ProcessInfo.processInfo.environment
        var secrets: [String] = []
        for name in secretEnv {
            guard let text = environment[name], !text.isEmpty else {
                throw CommandFailure.failed("there is no environment variable \(name)")
            }
            secrets.append(text)
        }
        for path in secretFile {
            guard let text = FileContents.text(path),
                let line = text.split(whereSeparator: \.isNewline).first
            else { throw CommandFailure.failed("cannot read a secret from \(path)") }
            secrets.append(String(line))
        }
        return secrets
    }
}
