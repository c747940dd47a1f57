// `postrider maintain` and `postrider retention`.

internal import ArgumentParser
internal import OutboxStore
internal import Postgres

/// Does the upkeep that workers do once a minute, at once.
struct Maintain: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Do a round of upkeep now: partitions, retention, erasures, dead rows.",
        discussion: """
            Workers do the same once a minute. What is busy (another session is at it, or a table is locked for more than \
            200 ms) is left to the next round.
            """)
    @Flag(help: "Tell what retention would do, and do nothing.") var dryRun = false
    @OptionGroup var output: OutputOptions

    func run() async throws {
        try await Session.with { session in
            let steps =
                dryRun
                ? try await MaintenanceStore.plan(on: session.raw) : try await MaintenanceStore.round(on: session.raw)
            if output.json {
                for step in steps {
                    print(Record(["task": step.task, "table_name": step.table, "rows": step.rows]).text)
                }
                return
            }
            if steps.isEmpty { return print("nothing to do") }
            var table = Table(headings: [dryRun ? "would" : "did", "table", "rows"])
            table.rows = steps.map { [$0.task, $0.table, "\($0.rows)"] }
            for line in table.lines() { print(line) }
        }
    }
}

/// Shows and sets how long events, attempts, payloads and the audit log are kept.
struct Retention: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show or set how long events, attempts, payloads and the audit log are kept.",
        discussion: """
            By default events are kept for 90 days with their payloads, attempts for 30, and the audit log for ever. Whole \
            weeks go at a time, and never what is unfinished: events that wait, are in flight, will be tried again or are \
            dead letters.

              postrider retention --events 90d --attempts 30d --payloads 7d
              postrider retention --payloads 0s                # as long as the events
              postrider retention --events 0s --attempts 0s    # everything for ever
            """)
    @Option(help: "Age at which settled events go, such as 90d; 0s for never.") var events: TimeArgument?
    @Option(help: "Age at which attempts go, not above that of events; 0s for as long as the events.") var attempts:
        TimeArgument?
    @Option(help: "Age at which payloads go, not above that of events; 0s for as long as the events.") var payloads:
        TimeArgument?
    @Option(help: "Age at which lines of the audit log go, at least 90d; 0s for never.") var audit: TimeArgument?
    @OptionGroup var output: OutputOptions

    func run() async throws {
        try await Session.with { session in
            if events != nil || attempts != nil || payloads != nil || audit != nil {
                _ = try await session.run(
                    .retentionSet,
                    [
                        "events_s": events?.seconds, "attempts_s": attempts?.seconds, "payloads_s": payloads?.seconds,
                        "audit_s": audit?.seconds,
                    ])
            }
            Session.show(
                try await session.run(.retentionShow),
                [
                    ("events", "events"), ("attempts", "attempts"), ("payloads", "payloads"), ("audit log", "audit"),
                    ("last upkeep", "upkeep_at"),
                ],
                json: output.json)
        }
    }
}
