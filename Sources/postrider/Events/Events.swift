// `postrider events`, `deliveries`, `stats`.

internal import ArgumentParser
internal import OutboxStore

/// What most lists take.
struct ListOptions: ParsableArguments {
    @Option(help: "How far back: 90m, 24h, 7d.") var since = TimeArgument.day
    @Option(help: "At most so many.") var limit = 50

    func validate() throws { try Self.check(limit: limit) }

    /// Refuses a number of rows that is none.
    ///
    /// - Throws: `ValidationError`.
    static func check(limit: Int) throws {
        if limit < 1 { throw ValidationError("--limit must be at least 1") }
    }
}

/// How an event is doing, as `webhook_events.status` tells it.
enum EventStatus: String, CaseIterable, ExpressibleByArgument {
    case pending, processing, completed, failed
}

/// How a delivery is doing, as `webhook_deliveries.status` tells it.
enum DeliveryStatus: String, CaseIterable, ExpressibleByArgument {
    case pending, success, skipped, failed
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

/// Rows of webhook_attempts.
enum Attempts {
    /// Prints attempts in order of time.
    static func show(_ records: [Record]) {
        Session.show(
            records,
            [
                ("attempt", "attempt_number"), ("at", "attempted_at"), ("worker", "worker_id"), ("code", "status_code"),
                ("µs", "duration_us"), ("failure", "failure"), ("message", "error_message"),
            ], json: false)
    }
}

/// What waits.
struct Stats: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Tell what waits, is in flight, is due and is dead.")
    @OptionGroup var output: OutputOptions

    func run() async throws {
        try await Session.list(
            .queueStatus,
            showing: [
                ("waiting", "waiting"), ("high", "waiting_high"), ("normal", "waiting_normal"), ("low", "waiting_low"),
                ("oldest", "oldest_waiting_age"), ("in flight", "in_flight"), ("due", "retries_due"),
                ("later", "retries_later"), ("parked", "retries_parked"), ("in order", "retries_in_order"),
                ("dead", "dead_letters"), ("critical", "critical_dead_letters"), ("workers", "workers_alive"),
            ], output)
    }
}
