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
            try await attempt("upkeep failed", &tending) { try await tend() }
            try await attempt("payloads not sealed", &sealing) { try await seal() }
        }
    }

    /// What fails is told and tried again with the next round.
    private func attempt(
        _ failed: Logger.Message, _ trouble: inout Trouble, _ body: () async throws -> Void
    ) async throws {
        do {
            try await body()
            _ = trouble.end()
        } catch let error as SealingError {
            context.logger.error(failed, metadata: ["error": "\(error)"])
        } catch let error as PostgresError {
            try Task.checkCancellation()
            if trouble.isNews(error) { context.logger.warning(failed, metadata: ["error": "\(error)"]) }
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
        let sealed = try await context.links.upkeep { try await PayloadStore.seal(with: keys, on: $0) }
        if sealed > 0 { context.logger.info("payloads sealed", metadata: ["payloads": "\(sealed)"]) }
    }
}
