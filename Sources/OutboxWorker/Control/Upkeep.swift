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
        var (tending, sealing) = (Trouble(), Trouble())
        var wait = Double.random(in: 1...3)
        while true {
            try await ConnectionThread.sleep(for: .seconds(wait))
            wait = Self.interval * Double.random(in: 0.9...1.1)
            guard context.fence.isOpen else { continue }
            // Each by itself: a step that fails in every round must not keep payloads from being sealed.
            try await tending.attempt("upkeep failed", context.logger) { try await tend() }
            try await sealing.attempt("payloads not sealed", context.logger) { try await seal() }
        }
    }

    private func tend() async throws {
        let steps = try await context.links.upkeep { try await MaintenanceStore.round(after: Self.rest, on: $0) }
        for step in steps where step.task != "busy" && step.task != "vacuum" {
            context.logger.info(
                "upkeep", metadata: ["task": "\(step.task)", "table": "\(step.table)", "rows": "\(step.rows)"])
        }
    }

    private func seal() async throws {
        guard let keys = context.settings.secretKeys else { return }
        do {
            let sealed = try await context.links.upkeep { try await PayloadStore.seal(with: keys, on: $0) }
            if sealed > 0 { context.logger.info("payloads sealed", metadata: ["payloads": "\(sealed)"]) }
        } catch let error as SealingError {
            context.logger.error("payloads not sealed", metadata: ["error": "\(error)"])
        }
    }
}
