// What a turn claims, and what becomes of the answers. Used by the work cycle alone.

internal import Outbox
internal import OutboxStore
internal import Postgres

extension WorkCycle {
    /// The steps that claim, look and hand on what is planned. Their answers are read by ``read(_:_:_:askedAt:keepsOrder:_:)``,
    /// in this order.
    func claimSteps(_ plan: Plan, _ turn: inout Turn, keepsOrder: Bool, at now: Int64) -> [Step] {
        let worker = context.worker
        var steps: [Step] = []
        if !plan.retries.isEmpty {
            let span = turn.retrySpan.ids(at: now)
            steps.append(ClaimStore.claimRetries(worker: worker, destinations: plan.retries, reading: span))
        }
        if plan.looksAtRetries { steps.append(ClaimStore.peekRetries()) }
        if !plan.rates.isEmpty { steps.append(RateStore.take(plan.rates)) }
        if plan.relaysBell { steps.append(WorkerStore.relayBell(worker: worker)) }
        if plan.events > 0 {
            let rows = turn.pacer.rows(forEvents: plan.events)
            let bounds = turn.lowWater.bounds(at: now)
            steps.append(
                ClaimStore.claimEvents(
                    worker: worker, events: Int32(plan.events), rows: Int32(rows), from: bounds,
                    priorities: turn.nextPriorities(), reading: turn.span.ids(at: now)))
            if keepsOrder { steps.append(ClaimStore.enrollOrder(worker: worker)) }
        }
        // Last, so that its answer is at least as new as the claims.
        if plan.events > 0 || !plan.retries.isEmpty { steps.append(RoutingStore.version()) }
        return steps
    }

    /// Takes into memory what was claimed, and notes what else the answers tell.
    func didClaim(
        _ plan: Plan, _ turn: inout Turn, _ results: ArraySlice<Rows>, askedAt: Int64, keepsOrder: Bool,
        _ connection: Connection
    ) async throws {
        let now = WorkerClock.now()
        var claimed = try read(plan, &turn, results, askedAt: askedAt, keepsOrder: keepsOrder, now)
        // Before anything is waited for: to the sweep, a claim that nobody holds is one whose answer was lost.
        claimed.retries = adopted(claimed.retries)
        claimed.events = adopted(claimed.events)
        let deadline = turn.deadline
        do {
            let due = try await complete(claimed.retries, &turn.retrySpan, now, within: deadline, connection)
            let waiting = try await complete(claimed.events, &turn.span, now, within: deadline, connection)
            turn.succeed(after: WorkerClock.now() - askedAt)
            if plan.events > 0 {
                let taken = (waiting?.work ?? []).lazy.map { (priority: Int($0.event.priority), id: $0.event.id) }
                turn.lowWater.looked(taken, from: askedAt, to: now)
            }
            let claims = [due, waiting].compactMap { $0 }
            guard !claims.isEmpty else { return }
            Failpoint.afterClaim.pass()
            turn.claimedAt = now
            if let version = claimed.version { try await context.routingKeeper.ensure(version: version) }
            // What waits in line is in no claim of retries.
            for claim in claims { context.accept(claim, settled: claimed.enrolled) }
        } catch {
            // None is in memory: the question after a turn that failed must find them.
            if let claim = claimed.retries { context.dispatcher.abandon(claim: claim.id) }
            if let claim = claimed.events { context.dispatcher.abandon(claim: claim.id) }
            throw error
        }
    }

    /// Reads the answers to ``claimSteps(_:_:keepsOrder:at:)``.
    private func read(
        _ plan: Plan, _ turn: inout Turn, _ results: ArraySlice<Rows>, askedAt: Int64, keepsOrder: Bool, _ now: Int64
    ) throws -> Claimed {
        var results = results
        var claimed = Claimed()
        if !plan.retries.isEmpty, let rows = results.popFirst() {
            claimed.retries = try ClaimStore.readClaim(rows, isRetry: true)
            noteRetries(claimed.retries, asked: plan.retries, &turn.agenda, now)
        }
        if plan.looksAtRetries, let rows = results.popFirst() {
            let locked = context.dispatcher.locked
            turn.agenda.replace(
                with: try ClaimStore.readPeek(rows).filter { !locked.contains($0.destination) }, at: now)
        }
        if !plan.rates.isEmpty, let rows = results.popFirst() { context.dispatcher.grant(try RateStore.read(rows)) }
        if plan.relaysBell, let rows = results.popFirst() {
            turn.pacer.relayed(isRelieved: try WorkerStore.readRelay(rows), at: now)
        }
        if plan.events > 0, let rows = results.popFirst() {
            claimed.events = try ClaimStore.readClaim(rows, isRetry: false)
            // Of events that are gone nobody says how many they were; what waits behind them shall not wait for that.
            let number = claimed.events.map { $0.count > 0 ? rows.count : plan.events } ?? 0
            turn.pacer.claimed(number, wanted: plan.events, at: now, took: now - askedAt)
            if keepsOrder, let rows = results.popFirst() { claimed.enrolled = try ClaimStore.readEnrolled(rows) }
        }
        if claimed.retries != nil || claimed.events != nil, let rows = results.popFirst() {
            claimed.version = try rows[0].int64(0)
        }
        return claimed
    }

    /// The claim, unless somebody has found it before its answer came: who adopts a claim accepts it too.
    private func adopted(_ claim: PartialClaim?) -> PartialClaim? {
        guard let claim, context.dispatcher.adopt(claim: claim.id) else { return nil }
        return claim
    }

    /// Reads what was not read along with a claim.
    private func complete(
        _ claim: PartialClaim?, _ span: inout ReadSpan, _ now: Int64, within deadline: Duration,
        _ connection: Connection
    ) async throws -> Claim? {
        guard let claim else { return nil }
        let whole = try await ClaimStore.complete(claim, on: connection, timeout: deadline)
        span.claimed(whole.work.lazy.map(\.event.id), at: now)
        return whole
    }

    private func noteRetries(
        _ claim: PartialClaim?, asked: [(id: Int32, most: Int32)], _ agenda: inout RetryAgenda, _ now: Int64
    ) {
        var counts: [Int32: Int] = [:]
        for target in claim?.targets ?? [] { counts[target.destination, default: 0] += 1 }
        for (id, most) in asked { agenda.claimed(counts[id] ?? 0, of: Int(most), destination: id, at: now) }
    }
}
