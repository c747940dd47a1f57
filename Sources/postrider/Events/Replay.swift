// `postrider replay`.

internal import ArgumentParser
internal import OutboxStore

/// Sends deliveries again.
struct Replay: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Send deliveries again: one, those of an event or endpoint, or dead letters.",
        discussion: """
            Receivers see the same webhook-id as before. Dead letters that are replayed are none any more.

              postrider replay --delivery 01a1fc61-5643-7ab4-9f11-2f3c0a9d1e77
              postrider replay --dead-letters --endpoint billing --since 2d --dry-run
            """)
    @Option(help: "One delivery.") var delivery: String?
    @Option(help: "All deliveries of an event.") var event: String?
    @Option(help: "Deliveries of an endpoint or workflow: id or name.") var endpoint: String?
    @Option(help: "A type, or a pattern.") var type: String?
    @Flag(help: "Only dead letters.") var deadLetters = false
    @Option(help: "How far back events were made.") var since = TimeArgument.day
    @Flag(help: "Count, and send nothing.") var dryRun = false
    @Flag(help: "Do not ask before sending many.") var yes = false
    @OptionGroup var output: OutputOptions

    func validate() throws {
        if delivery == nil, event == nil, endpoint == nil, !deadLetters {
            throw ValidationError("say what: --delivery, --event, --endpoint or --dead-letters")
        }
    }

    func run() async throws {
        let document: [String: Any?] = [
            "delivery": try delivery.map(Identifier.check), "event": try event.map(Identifier.check),
            "endpoint": endpoint, "type": type, "dead_letters": deadLetters, "since_s": since.seconds,
        ]
        try await Session.with { session in
            let plan = try await session.run(.replayPlan, document).first
            let planned = Int(plan?.number("count") ?? 0)
            let lost = Int(plan?.number("without_payload") ?? 0)
            if planned == 0, lost > 0 { throw CommandFailure.failed("not sent: retention removed the payload") }
            if lost > 0 { Session.remark("\(lost) left out: retention removed their payloads") }
            if let delivery, planned == 0 { throw CommandFailure.notFound("there is no delivery \(delivery)") }
            if dryRun { return tell(planned, "would be sent again") }
            let isBulk = delivery == nil && planned > 1
            guard !isBulk || yes || Session.confirms("Send \(planned) deliveries again?") else {
                throw CommandFailure.failed("\(planned) deliveries not sent: add --yes")
            }
            tell(Int(try await session.run(.replayRun, document).first?.number("count") ?? 0), "scheduled now")
        }
    }

    private func tell(_ count: Int, _ what: String) {
        print(output.json ? "{\"count\": \(count)}" : "\(count) \(count == 1 ? "delivery" : "deliveries") \(what)")
    }
}
