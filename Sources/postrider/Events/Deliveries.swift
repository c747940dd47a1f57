// `postrider deliveries`.

internal import ArgumentParser
internal import OutboxStore

/// How a delivery is doing, as `webhook_deliveries.status` tells it.
enum DeliveryStatus: String, CaseIterable, ExpressibleByArgument {
    case pending, success, skipped, failed
}

/// Deliveries.
struct Deliveries: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "List deliveries, or show one with its attempts.", subcommands: [List.self, Show.self],
        defaultSubcommand: List.self)

    /// `postrider deliveries list`.
    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List deliveries, newest event first.")
        @Option(help: "Of one event.") var event: String?
        @Option(help: "Of one endpoint or workflow: id or name.") var endpoint: String?
        @Option(help: "pending, success, skipped or failed.") var status: DeliveryStatus?
        @OptionGroup var list: ListOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await Session.list(
                .deliveryList,
                [
                    "since_s": list.since.seconds, "limit": list.limit, "event": try event.map(Identifier.check),
                    "endpoint": endpoint, "status": status?.rawValue,
                ], of: endpoint,
                showing: [
                    ("id", "id"), ("event", "event_id"), ("type", "event_type"), ("endpoint", "endpoint"),
                    ("status", "status"), ("attempts", "attempts"), ("code", "status_code"),
                    ("next retry at", "next_retry_at"),
                ], output)
        }
    }

    /// `postrider deliveries show`.
    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Show a delivery and its attempts.")
        @Argument(help: "The delivery's id.") var id: String
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await Session.with { session in
                let delivery = try await session.record(.deliveryShow, id: id, "delivery")
                if output.json { return print(delivery.text) }
                Deliveries.show([delivery], json: false)
                print("")
                Attempts.show(delivery.records("history"))
            }
        }
    }

    /// Prints deliveries with what is known of them.
    static func show(_ records: [Record], json: Bool) {
        Session.show(
            records,
            [
                ("delivery", "id"), ("endpoint", "endpoint"), ("status", "status"),
                ("attempts", "attempts"), ("code", "status_code"), ("delivered at", "delivered_at"),
                ("next retry at", "next_retry_at"), ("failure", "failure"),
            ], json: json)
    }
}
