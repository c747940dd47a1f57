// `postrider replay` and its subcommands.

internal import ArgumentParser
internal import OutboxStore

/// Replays: what is sent again, and what was never sent.
struct Replay: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Send deliveries again, or events that an endpoint never got; list, pause, resume, cancel replays.",
        discussion: """
            Receivers see the same webhook-id as before. Dead letters that are replayed are none any more.

              postrider replay --delivery 01a1fc61-5643-7ab4-9f11-2f3c0a9d1e77
              postrider replay --endpoint billing --since 2026-11-20 --status failed --dry-run
              postrider replay --backfill --endpoint billing --since 30d --rate 200/s
              postrider replay list
            """,
        subcommands: [Run.self, List.self, Show.self, Pause.self, Resume.self, Cancel.self],
        defaultSubcommand: Run.self, aliases: ["replays"])

    /// `postrider replay run`, and `postrider replay` with options.
    struct Run: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Send deliveries again: one, those of an event or endpoint, or dead letters.",
            discussion: """
                Counts first and asks. While it runs it shows how far it is. Ctrl-C pauses it; a command that was killed \
                leaves it where it was. 'postrider replay resume ID' goes on there, and nothing is sent twice. Criteria may \
                match nothing; a --delivery or --event that cannot be sent is an error, but not a --backfill of what the \
                endpoint has got.
                """)
        @OptionGroup var options: ReplayOptions
        @Flag(help: "Only dead letters, those that are not archived.") var deadLetters = false
        @Flag(help: "Events that --endpoint never got although it would take them now.") var backfill = false
        @OptionGroup var output: OutputOptions

        func validate() throws {
            if deadLetters, backfill { throw ValidationError("either --dead-letters or --backfill") }
            if options.critical, !deadLetters { throw ValidationError("--critical is of dead letters: --dead-letters") }
            if backfill, options.endpoint == nil { throw ValidationError("--backfill needs --endpoint") }
            if backfill, options.delivery != nil || options.status != nil || options.failure != nil {
                throw ValidationError("--backfill is of what was never sent: no --delivery, --status or --failure")
            }
            if !deadLetters, !backfill, !options.namesSomething {
                throw ValidationError(
                    "say what: --delivery, --event, --endpoint, --type, --organization, --user, --status, --failure, "
                        + "--dead-letters or --backfill")
            }
        }

        func run() async throws {
            let what = deadLetters ? "dead_letters" : backfill ? "backfill" : "deliveries"
            try await ReplayOrder(options: options, criteria: try options.criteria(of: what)).carryOut(output)
        }
    }

    /// `postrider replay list`.
    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List replays, newest first.")
        @Option(help: "At most so many.") var limit = 50
        @OptionGroup var output: OutputOptions

        func validate() throws { try ListOptions.check(limit: limit) }

        func run() async throws {
            try await Session.with { session in
                Replay.show(try await session.run(.replayList, ["limit": limit]), json: output.json)
            }
        }
    }

    /// `postrider replay show`.
    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Show one replay as JSON, with --json or without.")
        @Argument(help: "The replay's id.") var id: Int64
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await Session.with { session in print(try await Replay.find(id, session).text) }
        }
    }

    /// `postrider replay pause`.
    struct Pause: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Pause a replay, whoever drives it; what it has scheduled is still sent.",
            discussion: Replay.whatIsScheduled)
        @Argument(help: "The replay's id.") var id: Int64
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await Session.with { try await Replay.turn(id, to: "paused", $0, json: output.json) }
        }
    }

    /// `postrider replay cancel`.
    struct Cancel: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "End a replay for good; what it has scheduled is still sent.",
            discussion: Replay.whatIsScheduled)
        @Argument(help: "The replay's id.") var id: Int64
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await Session.with { try await Replay.turn(id, to: "cancelled", $0, json: output.json) }
        }
    }

    /// `postrider replay resume`.
    struct Resume: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Go on with a replay that was paused or failed, or whose command ended before its time.",
            discussion: "One that failed fails again, and tells why, unless what it failed of was mended.")
        @Argument(help: "The replay's id.") var id: Int64
        @Option(help: ArgumentHelp("At another rate: 100/s, 600/m (as before).", valueName: "rate"))
        var rate: RateArgument?
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await Session.with { session in
                if try await Replay.find(id, session).isTrue("is_driven") {
                    Session.remark("replay \(id) was driven a moment ago; if somebody still does, you take turns")
                }
                _ = try await Replay.turn(id, to: "running", rate: rate, session)
                try await ReplayDriver(session: session, id: id).drive(json: output.json)
            }
        }
    }

    /// What pausing and cancelling leave as it is.
    static let whatIsScheduled = """
        A replay schedules at most a second in advance. Where its rate is above what an endpoint takes, or an endpoint is \
        inactive, more of what it has scheduled waits for the endpoint, and is sent all the same.
        """

    /// Prints replays, and why those failed that did.
    static func show(_ records: [Record], json: Bool) {
        if json { return Session.show(records, [], json: true) }
        var table = Table(headings: [
            "id", "state", "what", "endpoint", "scheduled", "planned", "left out", "rate", "done to", "created at",
            "by",
        ])
        table.rows = records.map { record in
            let leftOut = Int((record.number("without_payload") ?? 0) + (record.number("filtered") ?? 0))
            let isLeft = record["state"] == "running" && !record.isTrue("is_driven")
            return [
                record["id"], isLeft ? "running, driven by nobody" : record["state"], record["what"],
                record["endpoint"], record["scheduled"], record["planned"], "\(leftOut)",
                RateArgument.text(record.number("rate") ?? 0), record["done_to"], record["created_at"],
                record["created_by"],
            ]
        }
        for line in table.lines() { print(line) }
        for record in records where record["state"] == "failed" {
            Session.remark("replay \(record["id"]) failed: \(record["error"])")
        }
    }

    /// One replay.
    static func find(_ id: Int64, _ session: Session) async throws -> Record {
        guard let record = try await session.run(.replayList, ["id": id, "limit": 1]).first else {
            throw CommandFailure.notFound("there is no replay \(id)")
        }
        return record
    }

    /// Changes the state of a replay, and its rate when one is given; tells the new state.
    ///
    /// - Throws: ``CommandFailure`` when there is none, or it has ended: then it stays as it is, its rate too. One that failed
    ///   may run again.
    static func turn(
        _ id: Int64, to state: String, rate: RateArgument? = nil, _ session: Session
    ) async throws -> Record {
        guard
            let record = try await session.run(
                .replaySwitch, ["id": id, "state": state, "rate": rate?.perSecond]
            ).first
        else { throw CommandFailure.notFound("there is no replay \(id)") }
        guard record["state"] == state else {
            throw CommandFailure.failed("replay \(id) is \(record["state"]) already")
        }
        return record
    }

    private static func turn(_ id: Int64, to state: String, _ session: Session, json: Bool) async throws {
        let record = try await turn(id, to: state, session)
        print(
            json
                ? record.text
                : "replay \(id) is \(state): \(record["scheduled"]) of "
                    + "\(ReplayOrder.deliveries(Int(record.number("planned") ?? 0))) scheduled")
    }
}
