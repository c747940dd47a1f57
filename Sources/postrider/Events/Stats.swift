// `postrider stats`.

internal import ArgumentParser
internal import OutboxStore

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
