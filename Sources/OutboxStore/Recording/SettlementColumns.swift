// The columns of a settlement, one array for each parameter of its statement in sql/queries: what is added to a row is added
// here and there. Used by Settlement alone.

internal import Outbox
internal import Postgres

/// The columns of `AttemptRecordDelivered`, which are the first ones of `AttemptRecordFailed`.
struct AttemptColumns: Sendable {
    var events: [UUIDBytes] = []
    var destinations: [Int32] = []
    var numbers: [Int16] = []
    var statuses: [Int16?] = []
    var durations: [Int32] = []
    var endedAt: [Int64] = []
    var bodies: [[UInt8]?] = []

    /// Adds an attempt.
    mutating func append(_ attempt: FinishedAttempt, status: Int16?) {
        events.append(attempt.event.uuid)
        destinations.append(attempt.destination)
        numbers.append(attempt.number)
        statuses.append(status)
        durations.append(attempt.duration)
        endedAt.append(attempt.endedAt)
        bodies.append(attempt.body)
    }

    /// The attempt that a settlement is known by when it is sent twice, the first; nil without one.
    var witness: [Value]? {
        guard let event = events.first else { return nil }
        return [.uuid(event), .int4(destinations[0]), .int2(numbers[0]), .int4(durations[0])]
    }

    /// The parameters, after that of the worker.
    func values(worker: Int64, now: Int64) -> [Value] {
        [
            .int8(worker), .uuids(events), .int4s(destinations), .int2s(numbers), .int2s(statuses), .int4s(durations),
            .int4s(ages(endedAt, now: now)), .utf8s(bodies),
        ]
    }

    /// The step that writes them as delivered.
    func step(worker: Int64, now: Int64) -> Step {
        Step(Queries.attemptRecordDelivered, values(worker: worker, now: now))
    }
}

/// The columns of `AttemptRecordFailed`.
struct FailedColumns: Sendable {
    var attempts = AttemptColumns()
    var failures: [String] = []
    var messages: [String] = []
    var waits: [Int64?] = []
    var claims: [Int64] = []
    var budgets: [Int16?] = []
    var graces: [Int64?] = []

    /// Adds an attempt.
    mutating func append(
        _ attempt: FinishedAttempt, status: Int16?, failure: String, message: String, next: NextStep, claim: Int64
    ) {
        attempts.append(attempt, status: status)
        failures.append(failure)
        messages.append(message)
        waits.append(next.milliseconds)
        claims.append(claim)
        if case .exhausted(let budget, let grace) = next {
            budgets.append(budget)
            graces.append(max(0, grace))
        } else {
            budgets.append(nil)
            graces.append(nil)
        }
    }

    /// The step that writes them.
    func step(worker: Int64, now: Int64) -> Step {
        Step(
            Queries.attemptRecordFailed,
            attempts.values(worker: worker, now: now) + [
                .texts(failures), .texts(messages), .int8s(waits), .int8s(claims), .int2s(budgets), .int8s(graces),
            ])
    }
}

/// The columns of `DeliverySnooze`.
struct SnoozedColumns: Sendable {
    var events: [UUIDBytes] = []
    var destinations: [Int32] = []
    var numbers: [Int16] = []
    var waits: [Int64?] = []
    var claims: [Int64] = []
    var replays: [Bool] = []

    /// Adds a delivery.
    mutating func append(_ event: EventID, _ target: Claim.Target, next: NextStep, claim: Int64) {
        events.append(event.uuid)
        destinations.append(target.destination)
        numbers.append(target.attempt)
        waits.append(next.milliseconds)
        claims.append(claim)
        replays.append(target.isReplay)
    }

    /// The step that writes them.
    func step(worker: Int64) -> Step {
        Step(
            Queries.deliverySnooze,
            [
                .int8(worker), .uuids(events), .int4s(destinations), .int2s(numbers), .int8s(waits), .int8s(claims),
                .bools(replays),
            ])
    }
}

/// The columns of `ClaimShrink`.
struct LeftColumns: Sendable {
    var claims: [Int64] = []
    var events: [UUIDBytes] = []
    var destinations: [Int32] = []
    var numbers: [Int16] = []
    var replays: [Bool] = []

    /// Adds a delivery.
    mutating func append(_ event: EventID, _ target: Claim.Target, claim: Int64) {
        claims.append(claim)
        events.append(event.uuid)
        destinations.append(target.destination)
        numbers.append(target.attempt)
        replays.append(target.isReplay)
    }

    /// The step that writes them.
    func step(worker: Int64) -> Step {
        Step(
            Queries.claimShrink,
            [
                .int8(worker), .int8s(claims), .uuids(events), .int4s(destinations), .int2s(numbers), .bools(replays),
            ])
    }
}

/// The columns of `OrderRelease`.
struct ReleasedColumns: Sendable {
    var events: [UUIDBytes] = []
    var destinations: [Int32] = []
    var keys: [String] = []

    /// Adds the event whose turn ends.
    mutating func append(_ event: EventID, destination: Int32, key: String) {
        events.append(event.uuid)
        destinations.append(destination)
        keys.append(key)
    }

    /// The step that writes them.
    func step() -> Step {
        Step(Queries.orderRelease, [.int4s(destinations), .texts(keys), .uuids(events)])
    }
}

/// How long ago each moment was, in microseconds, at most what an integer holds (35 minutes).
private func ages(_ moments: [Int64], now: Int64) -> [Int32] {
    moments.map { Int32(clamping: max(0, now - $0)) }
}
