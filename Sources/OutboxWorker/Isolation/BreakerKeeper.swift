// Tells the other workers of destinations that fail, and learns of them. Aside from the road of events.

internal import Logging
internal import OutboxStore
internal import Postgres

/// Carries news of breakers between the dispatcher and Postgres, one round twice a second. Run by one task.
///
/// A worker acts on what it sees itself at once; what it hears from others may be a second old. What a round could not
/// tell is told by the next: a destination that is left alone does not fail again. A row that somebody holds keeps back the
/// news of its own destination and of no other.
struct BreakerKeeper: Sendable {
    /// What came of a round.
    private struct Answer: Sendable {
        var told: [BreakerReport] = []
        var untold: (failing: [BreakerReport], recovered: [Int32]) = ([], [])
        var disabled: [Int32] = []
        var rows: [BreakerRow] = []
    }

    /// Between rounds; 500 ms.
    static let interval = Duration.milliseconds(500)

    let context: LifeContext
    let cycle: WorkCycle

    /// Runs until cancelled.
    func run() async throws {
        var trouble = Trouble()
        while true {
            try await ConnectionThread.sleep(for: Self.interval * Double.random(in: 0.9...1.1))
            try await trouble.attempt("breakers not exchanged", context.logger) { try await round() }
        }
    }

    private func round() async throws {
        // Before the reports are taken: the answer knows nothing of what happens between the two.
        let askedAt = WorkerClock.now()
        let (failing, recovered) = context.dispatcher.takeBreakerReports()
        do {
            let answer = try await exchange(failing, recovered)
            context.dispatcher.giveBack(answer.untold.failing, answer.untold.recovered)
            tell(answer.told, answer.disabled)
            if context.dispatcher.learn(answer.rows, askedAt: askedAt) { cycle.ringForRetries() }
        } catch {
            // What a server refuses for good must not keep the others from being told.
            if (error as? PostgresError)?.isWaitedOut == true { context.dispatcher.giveBack(failing, recovered) }
            throw error
        }
    }

    private func exchange(_ failing: [BreakerReport], _ recovered: [Int32]) async throws -> Answer {
        let worker = context.worker
        // A probe is for a worker that can send it.
        let shut = context.dispatcher.isDraining ? nil : context.dispatcher.locked
        return try await context.links.aside { connection in
            var answer = Answer()
            var held: Set<Int32> = []
            if !recovered.isEmpty { held = try await BreakerStore.close(recovered, on: connection) }
            answer.untold.recovered = Array(held)
            // A failure is told behind the success that came before it.
            let reports = failing.filter { !held.contains($0.destination) }
            if !reports.isEmpty {
                let (disabled, heldToo) = try await BreakerStore.report(reports, on: connection)
                answer.disabled = disabled
                held.formUnion(heldToo)
            }
            answer.told = failing.filter { !held.contains($0.destination) }
            answer.untold.failing = failing.filter { held.contains($0.destination) }
            answer.rows = try await BreakerStore.look(worker: worker, except: shut, on: connection)
            return answer
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
