// `postrider events`.

internal import ArgumentParser
internal import OutboxStore

/// How an event is doing, as `webhook_events.status` tells it.
enum EventStatus: String, CaseIterable, ExpressibleByArgument {
    case pending, processing, completed, failed
}

/// Events.
struct Events: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "List events, or show one with its deliveries and attempts.", subcommands: [List.self, Show.self],
        defaultSubcommand: List.self)

    /// `postrider events list`.
    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List events, newest first.")
        @Option(help: "pending, processing, completed or failed.") var status: EventStatus?
        @Option(help: "A type, or a pattern such as lead.*.") var type: String?
        @Option(help: "Of one organization.") var organization: String?
        @OptionGroup var list: ListOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await Session.list(
                .eventList,
                [
                    "since_s": list.since.seconds, "limit": list.limit, "status": status?.rawValue, "type": type,
                    "organization_id": organization,
                ],
                showing: [
                    ("id", "id"), ("created at", "created_at"), ("type", "event_type"), ("status", "status"),
                    ("retries", "retry_count"), ("last error", "error_message"),
                ], output)
        }
    }

    /// `postrider events show`.
    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Show an event, its deliveries and its attempts.")
        @Argument(help: "The event's id.") var id: String
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await Session.with { session in
                let event = try await session.record(.eventShow, id: id, "event")
                if output.json { return print(event.text) }
                for member in [
                    "id", "event_type", "status", "created_at", "event_source", "table_name", "record_id",
                    "organization_id", "user_id", "error_message",
                ] where !event[member].isEmpty {
                    print("\(member): \(event[member])")
                }
                print("data: \(event["data_text"])\n")
                Deliveries.show(event.records("deliveries"), json: false)
                print("")
                Attempts.show(event.records("history"))
            }
        }
    }
}
