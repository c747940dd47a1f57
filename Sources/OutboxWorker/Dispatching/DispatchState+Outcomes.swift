// What becomes of deliveries whose exchange has ended. Called by the dispatcher.

internal import Outbox
internal import OutboxStore

extension DispatchState {
    /// For how long a worker that lacked something sends nothing to a destination; 1 s.
    private static let ownPause: Int64 = 1_000_000

    /// Settles what was in flight under a token: one delivery, or all of a batch.
    ///
    /// - Parameters:
    ///   - token: from ``depart(at:)``.
    ///   - outcome: what came of it.
    ///   - ended: what is recorded of the exchange.
    ///   - random: 0 ..< 1, for the jitter of a retry.
    mutating func settle(token: UInt64, _ outcome: Outcome, _ ended: EndedExchange, random: Double, now: Int64) {
        guard let flight = flights.land(token) else { return }
        inFlight -= 1
        riding -= flight.more.count
        unrecordedSince = unrecordedSince ?? now
        let id = flight.delivery.destination
        guard let place = lanes.place(of: id) else { return }
        lanes.all[place].end(duration: ended.duration, at: now)
        if lanes.all[place].waiting > 0 { list(id, at: place) }
        let (destination, kept) = (lanes.all[place].destination, lanes.all[place].keptBytes)
        func judge(_ outcome: Outcome) -> Verdict {
            Verdict.judge(
                outcome, destination: destination, attempt: Int(flight.delivery.attempt), random: random,
                duration: .microseconds(ended.duration))
        }
        var verdict = judge(outcome)
        if flight.url == destination.url.text {
            report(verdict, startedAt: flight.startedAt, at: place, now)
        } else {
            // What the address of before answered says nothing of this one.
            verdict.pausesDestination = nil
        }
        // Others can send what this worker cannot: it does not take more of it as fast as it fails.
        if verdict.failure == .worker { lanes.all[place].pause(until: now + Self.ownPause, isAsked: false) }
        let refused = refusedItems(of: flight, verdict, ended)
        var ended = ended
        if destination.kind == .n8n, let status = ended.status, !(200...299).contains(status),
            let answer = N8nAnswer(status: status, body: ended.body)
        {
            ended.message = answer.explanation
        }
        for delivery in flight.deliveries {
            payloadBytes -= delivery.parcel.event.data.count
            let isRefused = !refused.isEmpty && refused.contains(delivery.parcel.event.id)
            apply(isRefused ? judge(.refusedItem) : verdict, to: delivery, ended, kept: kept, now: now)
            leave(claim: delivery.parcel.claim)
        }
        if verdict.disablesDestination {
            let reason = verdict.failure?.rawValue ?? "disabled by receiver"
            disabled.append(DisabledDestination(destination: id, reason: reason, url: flight.url))
        }
    }

    /// The events that a receiver refused of a batch which it took.
    private func refusedItems(of flight: Flight, _ verdict: Verdict, _ ended: EndedExchange) -> Set<EventID> {
        guard flight.isBatch, case .delivered = verdict.action else { return [] }
        return BatchAnswer.refused(ended.body) { Set(flight.deliveries.map(\.parcel.event.id)) }
    }

    private mutating func report(_ verdict: Verdict, startedAt start: Int64, at place: Int, _ now: Int64) {
        let report = lanes.all[place].judge(verdict, startedAt: start, at: now)
        breakers.note(report, verdict, of: lanes.all[place], now)
    }

    mutating func apply(
        _ verdict: Verdict, to delivery: Delivery, _ ended: EndedExchange, kept: Int, now: Int64
    ) {
        let attempt = FinishedAttempt(
            event: delivery.parcel.event.id, destination: delivery.destination, number: delivery.attempt,
            duration: Int32(clamping: ended.duration), endedAt: now,
            body: AnswerBody.kept(ended.body, limit: kept))
        if let pause = verdict.pausesDestination {
            if let place = lanes.place(of: delivery.destination) {
                lanes.all[place].pause(until: now + pause.microseconds)
            }
        }
        let next: NextStep
        switch verdict.action {
        case .delivered:
            settlement.touch(claim: delivery.parcel.claim)
            endTurn(of: delivery)
            return settlement.deliver(attempt, status: Int16(clamping: ended.status ?? 0))
        // Its destination was deleted meanwhile: nobody would ever claim a retry of it.
        case .retry where routing[delivery.destination] == nil, .park where routing[delivery.destination] == nil:
            next = .drop
        case .retry(let delay): next = .retry(afterMilliseconds: delay.millisecondsRoundedUp)
        case .park: next = .park
        case .dead: next = .dead
        case .exhausted(let grace):
            let budget = routing[delivery.destination]?.retry.maxAttempts ?? 0
            next = .exhausted(budget: Int16(clamping: budget), graceMilliseconds: grace.millisecondsRoundedUp)
        }
        hint(delivery.destination, next)
        settlement.fail(
            attempt, status: ended.status.map { Int16(clamping: $0) },
            failure: verdict.failure?.rawValue ?? "unknown", message: ended.message, next: next,
            claim: delivery.parcel.claim)
    }

    /// Lets the events behind a delivery go on, if its destination keeps order and it has a key.
    mutating func endTurn(of delivery: Delivery) {
        let id = delivery.destination
        guard let key = delivery.parcel.event.orderingKey, routing[id]?.isOrdered == true else {
            return
        }
        settlement.release(event: delivery.parcel.event.id, destination: id, key: key)
        // Nobody tells of it again while the claim is open: a crash of Postgres must not take it away.
        settlement.touch(claim: delivery.parcel.claim)
    }
}
