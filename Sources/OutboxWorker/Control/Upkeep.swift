// The upkeep of the tables: partitions ahead, retention, counts, dead rows. Away from everything that must not wait.

internal import Logging
internal import Outbox
internal import OutboxStore
internal import Postgres

/// Does a round of upkeep once a minute, on a connection that is opened for it. Of several workers one does it for all:
/// the others find that a round began a moment ago and leave it alone, and when it dies the next one goes on within a minute.
struct Upkeep: Sendable {
    /// Between rounds; 60 s. The first comes within seconds of the start.
    static let interval = 60.0
    /// A round that any worker began less than so many seconds ago is enough; 45 s.
    static let rest = 45.0

    let context: LifeContext

    /// Runs until cancelled.
    func run() async throws {
        var trouble = Trouble()
        var wait = Double.random(in: 1...3)
        while true {
            try await ConnectionThread.sleep(for: .seconds(wait))
            wait = Self.interval * Double.random(in: 0.9...1.1)
            guard context.fence.isOpen else { continue }
            do {
                let keys = context.settings.secretKeys
                let (steps, sealed) = try await context.links.upkeep { connection in
                    var (steps, failure) = ([MaintenanceStore.Step](), nil as (any Error)?)
                    do {
                        steps = try await MaintenanceStore.round(after: Self.rest, on: connection)
                    } catch {
                        failure = error
                    }
                    // A step that fails each time must not keep payloads from being sealed.
                    let sealed =
                        if let keys { try await PayloadStore.seal(with: keys, on: connection) } else { Int64(0) }
                    if let failure { throw failure }
                    return (steps, sealed)
                }
                _ = trouble.end()
                if sealed > 0 { context.logger.info("payloads sealed", metadata: ["payloads": "\(sealed)"]) }
                for step in steps where step.task != "busy" && step.task != "vacuum" {
                    context.logger.info(
                        "upkeep", metadata: ["task": "\(step.task)", "table": "\(step.table)", "rows": "\(step.rows)"])
                }
            } catch let error as SealingError {
                context.logger.error("payloads not sealed", metadata: ["error": "\(error)"])
            } catch let error as PostgresError {
                try Task.checkCancellation()
                if trouble.isNews(error) { context.logger.warning("upkeep failed", metadata: ["error": "\(error)"]) }
            }
        }
    }
}
