// Tells the other workers of destinations that fail, and learns of them. Aside from the road of events.

internal import Logging
internal import OutboxStore
internal import Postgres

/// Carries news of breakers between the dispatcher and Postgres, one round twice a second. Run by one task.
///
/// A worker acts on what it sees itself at once; what it hears from others may be half a second old. What a round could not
/// tell is told by the next: a destination that is left alone does not fail again.
struct BreakerKeeper: Sendable {
    /// Between rounds; 500 ms.
    static let interval = Duration.milliseconds(500)

    let context: LifeContext
    let cycle: WorkCycle

    /// Runs until cancelled.
    func run() async throws {
        var trouble = Trouble()
        while true {
            try await ConnectionThread.sleep(for: Self.interval * Double.random(in: 0.9...1.1))
            do {
                try await round()
                _ = trouble.end()
            } catch let error as PostgresError {
                try Task.checkCancellation()
                if trouble.isNews(error) {
                    context.logger.warning("breakers not exchanged", metadata: ["error": "\(error)"])
                }
            }
        }
    }

    private func round() async throws {
        // Before the reports are taken: the answer knows nothing of what happens between the two.
        let askedAt = MonotonicTime.now()
        let (failing, recovered) = context.dispatcher.takeBreakerReports()
        do {
            let (disabled, rows) = try await exchange(failing, recovered)
            tell(failing, disabled)
            if context.dispatcher.learn(rows, askedAt: askedAt) { cycle.ringForRetries() }
        } catch {
            // What a server refuses, or what somebody holds locked, must not keep the others from being told.
            let isAway = (error as? PostgresError)?.isConnectionFailure == true
            if isAway { context.dispatcher.giveBack(failing, recovered) }
            throw error
        }
    }

    private func exchange(
        _ failing: [BreakerReport], _ recovered: [Int32]
    ) async throws -> (disabled: [Int32], rows: [BreakerRow]) {
        let worker = context.worker
        // A probe is for a worker that can send it.
        let shut = context.dispatcher.isDraining ? nil : context.dispatcher.locked
        return try await context.links.aside { connection in
            if !recovered.isEmpty { try await BreakerStore.close(recovered, on: connection) }
            let disabled = failing.isEmpty ? [] : try await BreakerStore.report(failing, on: connection)
            return (disabled, try await BreakerStore.look(worker: worker, except: shut, on: connection))
        }
    }

    private func tell(_ failing: [BreakerReport], _ disabled: [Int32]) {
        for report in failing where report.opens {
            context.logger.warning(
                "destination fails: left alone for a while",
                metadata: ["destination.id": "\(report.destination)", "failure": "\(report.failure ?? "")"])
        }
        for destination in disabled {
            context.logger.error(
                "destination disabled: nothing but failure for as long as it may",
                metadata: ["destination.id": "\(destination)"])
        }
    }
}
