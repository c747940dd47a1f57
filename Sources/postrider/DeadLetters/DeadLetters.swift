// `postrider dead-letters` and its subcommands.

internal import ArgumentParser
internal import Outbox
internal import OutboxStore

/// Dead letters: list, explain, send again, archive.
struct DeadLetters: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dead-letters",
        abstract: "Deliveries that are not tried again by themselves: list, explain, send again, archive.",
        subcommands: [List.self, Explain.self, Replay.self, Archive.self], defaultSubcommand: List.self)

    /// `postrider dead-letters list`.
    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List dead letters, newest first.")
        @Option(help: "Of one endpoint or workflow: id or name.") var endpoint: String?
        @Option(help: "A type, or a pattern.") var type: String?
        @Option(help: ArgumentHelp("Of one failure class, such as timeout.", valueName: "class")) var failure: String?
        @Flag(help: "Only critical ones.") var critical = false
        @Flag(help: "Those that were archived.") var archived = false
        @OptionGroup var list: ListOptions
        @OptionGroup var output: OutputOptions

        func validate() throws { try FailureClass.check(failure) }

        func run() async throws {
            try await Session.list(
                .deadLetterList,
                [
                    "since_s": list.since.seconds, "limit": list.limit, "endpoint": endpoint, "type": type,
                    "failure": failure, "critical": critical, "archived": archived,
                ], of: endpoint,
                showing: [
                    ("delivery", "id"), ("critical", "is_critical"), ("type", "event_type"),
                    ("endpoint", "endpoint"), ("attempts", "attempts"), ("replays", "replays"),
                    ("failure", "failure"), ("dead at", "dead_at"),
                ] + (archived ? [("archived at", "archived_at")] : []) + [("message", "error_message")], output)
        }
    }

    /// `postrider dead-letters explain`.
    struct Explain: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Tell why a delivery was given up, what to do, and whether its endpoint works now.",
            aliases: ["show"])
        @Argument(help: "The delivery's id, as the list shows it.") var id: String
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await Session.with { session in
                let letter = try await session.record(.deadLetterShow, id: id, "dead letter")
                let explanation = Explanation(letter: letter)
                if output.json { return print(explanation.json) }
                for line in explanation.lines() { print(line) }
                print("")
                Attempts.show(letter.records("history"))
            }
        }
    }

    /// `postrider dead-letters replay`.
    struct Replay: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Send dead letters again: the same as postrider replay --dead-letters.",
            discussion: """
                A dead letter has used up its attempts, so it gets one more. What died again after five replays is archived, \
                unless it is critical.

                  postrider dead-letters replay --endpoint billing --failure timeout --since 7d --dry-run
                """)
        @OptionGroup var options: ReplayOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await ReplayOrder(options: options, criteria: try options.criteria(of: "dead_letters")).carryOut(output)
        }
    }

    /// `postrider dead-letters archive`.
    struct Archive: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Put dead letters away about which nothing is to be done any more.",
            discussion: """
                They are counted no more, and retention may remove their events. 'dead-letters list --archived' still shows \
                them, and 'replay --delivery ID' still sends one. Critical ones are left alone unless named by --id or \
                --critical.

                  postrider dead-letters archive --endpoint old-crm --older-than 30d --dry-run
                """)
        @Option(help: "One delivery.") var id: String?
        @Option(help: "Of one endpoint or workflow: id or name.") var endpoint: String?
        @Option(help: "A type, or a pattern.") var type: String?
        @Option(help: ArgumentHelp("Of one failure class, such as timeout.", valueName: "class")) var failure: String?
        @Option(help: "Dead for longer than this: 30d.") var olderThan: TimeArgument?
        @Flag(help: "Critical ones too.") var critical = false
        @Flag(help: "Count, and archive nothing.") var dryRun = false
        @Flag(help: "Do not ask before archiving many.") var yes = false
        @OptionGroup var output: OutputOptions

        func validate() throws {
            if id == nil, endpoint == nil, type == nil, failure == nil, olderThan == nil {
                throw ValidationError("say which: --id, --endpoint, --type, --failure or --older-than")
            }
            try FailureClass.check(failure)
        }

        func run() async throws {
            let wanted: Document = [
                "id": try id.map(Identifier.check), "endpoint": endpoint, "type": type, "failure": failure,
                "older_s": olderThan?.seconds, "critical": critical,
            ]
            try await Session.with { session in
                try await session.check(endpoint: endpoint)
                let plan = try await archive(wanted, dryRun: true, session)
                let planned = Int(plan.number("count") ?? 0)
                let left = Int(plan.number("critical_left") ?? 0)
                if left > 0 {
                    let text = Plural.text(left, "critical one is", "critical ones are")
                    Session.remark("\(text) left alone: add --critical")
                }
                if let id, planned == 0 { throw CommandFailure.notFound("there is no dead letter \(id) to archive") }
                if dryRun || planned == 0 { return tell(plan, planned, "would be archived") }
                guard planned == 1 || yes || Session.confirms("Archive \(planned) dead letters?") else {
                    throw CommandFailure.failed("\(planned) dead letters not archived: add --yes")
                }
                let done = try await archive(wanted, dryRun: false, session)
                tell(done, Int(done.number("count") ?? 0), "archived")
            }
        }

        private func archive(_ wanted: Document, dryRun: Bool, _ session: Session) async throws -> Record {
            let document = wanted.merging(["dry_run": dryRun]) { $1 }
            guard let record = try await session.run(.deadLetterArchive, document).first else {
                throw CommandFailure.failed("the database gave no answer")
            }
            return record
        }

        private func tell(_ record: Record, _ count: Int, _ what: String) {
            print(output.json ? record.text : "\(Plural.text(count, "dead letter")) \(what)")
        }
    }
}
