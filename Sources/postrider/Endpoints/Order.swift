// `postrider order`.

internal import ArgumentParser
internal import Outbox
internal import OutboxStore

/// Ordering keys of destinations with strict order.
struct Order: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show ordering keys that have work, and skip what blocks one.", subcommands: [List.self, Skip.self],
        defaultSubcommand: List.self)

    /// `postrider order list`.
    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List ordering keys that have work, the longest blocked first.")
        @Option(help: "Only of this endpoint or workflow: id or name.") var endpoint: String?
        @Flag(help: "Only keys that a dead letter blocks.") var blocked = false
        @Option(help: "At most so many.") var limit = 100
        @OptionGroup var output: OutputOptions

        func validate() throws { try ListOptions.check(limit: limit) }

        func run() async throws {
            try await Session.list(
                .orderList, ["endpoint": endpoint, "blocked": blocked, "limit": limit], of: endpoint,
                showing: [
                    ("endpoint", "endpoint"), ("key", "ordering_key"), ("state", "state"), ("waiting", "waiting"),
                    ("event", "event_id"), ("since", "headed_at"), ("failure", "failure"),
                ], output)
        }
    }

    /// `postrider order skip`.
    struct Skip: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Let what waits behind the head of a key go on, and print the event that was skipped.",
            discussion: "The skipped event is a dead letter, which can be replayed later.")
        @Argument(help: "Endpoint or workflow: id or name.") var endpoint: String
        @Argument(help: "Ordering key.") var key: String
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await Session.with { session in
                for record in try await session.run(.orderSkip, ["endpoint": endpoint, "key": key]) {
                    print(output.json ? record.text : record["event_id"])
                }
            }
        }
    }
}
