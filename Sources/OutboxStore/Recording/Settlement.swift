// Outcomes on their way into the database: filled by the dispatcher one by one, written by the worker in one pipeline.

public import Outbox
public import Postgres

/// What became of deliveries since the last recording, as columns ready to be sent.
///
/// A value; whoever holds it may append. Times are monotonic microseconds of the worker and become ages when written,
/// so that the database's clock dates every attempt.
public struct Settlement: Sendable {
    private var delivered = AttemptColumns()
    private var failed = FailedColumns()
    private var snoozed = SnoozedColumns()
    private var left = LeftColumns()
    private var released = ReleasedColumns()
    private var tallies: [Int32: (succeeded: Int64, failed: Int64)] = [:]
    private var finished: [Int64] = []
    /// Claims to which something here belongs; may repeat.
    private var touched: [Int64] = []

    /// An empty settlement.
    public init() {}

    /// True when there is nothing to write.
    public var isEmpty: Bool {
        delivered.events.isEmpty && failed.attempts.events.isEmpty && snoozed.events.isEmpty && finished.isEmpty
            && left.claims.isEmpty && released.events.isEmpty
    }

    /// How many attempts and snoozes it holds.
    public var count: Int { delivered.events.count + failed.attempts.events.count + snoozed.events.count }

    /// Whether it tells of attempts, which nobody else knows of.
    public var hasAttempts: Bool { !delivered.events.isEmpty || !failed.attempts.events.isEmpty }

    /// Adds an attempt that delivered.
    public mutating func deliver(_ attempt: FinishedAttempt, status: Int16) {
        delivered.append(attempt, status: status)
        tallies[attempt.destination, default: (0, 0)].succeeded += 1
    }

    /// Adds an attempt that failed.
    ///
    /// - Parameters:
    ///   - attempt: the attempt.
    ///   - status: the HTTP status, nil without an answer.
    ///   - failure: the class of the failure, one of a bounded set of words.
    ///   - message: one line for people, without secrets.
    ///   - next: what happens to the delivery now.
    ///   - claim: the claim it belongs to, which must still be the worker's for `next` to take effect.
    public mutating func fail(
        _ attempt: FinishedAttempt, status: Int16?, failure: String, message: String, next: NextStep, claim: Int64
    ) {
        failed.append(attempt, status: status, failure: failure, message: message, next: next, claim: claim)
        if next != .drop { tallies[attempt.destination, default: (0, 0)].failed += 1 }
        touch(claim: claim)
    }

    /// Puts a delivery back that was not attempted; its attempt number stays, and a replay stays one.
    public mutating func snooze(event: EventID, target: Claim.Target, next: NextStep, claim: Int64) {
        snoozed.append(event, target, next: next, claim: claim)
        touch(claim: claim)
    }

    /// Notes that something of a claim is in this settlement, which matters when the claim outlives it.
    public mutating func touch(claim: Int64) {
        if touched.last != claim { touched.append(claim) }
    }

    /// Whether it tells of only a part of a claim, so that a crash of Postgres must not take it away.
    ///
    /// A settlement that ends all of its claims may be lost with its commit: the claims come back and are sent again. One
    /// that leaves a claim open is not told of twice; what was lost of it, retries too, would be lost for good.
    public var isPartial: Bool { !left.claims.isEmpty || !Set(touched).isSubset(of: finished) }

    /// Keeps a delivery in its claim, and with it all others that are kept; what else the claim held is recorded.
    public mutating func keep(event: EventID, target: Claim.Target, claim: Int64) {
        left.append(event, target, claim: claim)
    }

    /// The deliveries that are kept in their claims.
    public var keptDeliveries: [(claim: Int64, event: EventID)] {
        zip(left.claims, left.events).map { ($0, $1.eventID) }
    }

    /// Ends the turn of an event at the head of its ordering key, so that the one behind it is due.
    public mutating func release(event: EventID, destination: Int32, key: String) {
        released.append(event, destination: destination, key: key)
    }

    /// The destinations at which the turn of an event ends: once this is recorded, the next may be due there.
    public var releasedDestinations: Set<Int32> { Set(released.destinations) }

    /// Whether it ends the turn of an event, which is done under ``ClaimStore/lockOrder()``.
    public var releasesOrder: Bool { !released.events.isEmpty }

    /// Gives up a claim all of whose deliveries are in this settlement or in earlier ones.
    public mutating func finish(claim: Int64) { finished.append(claim) }

    /// The claims that this settlement gives up.
    public var finishedClaims: [Int64] { finished }

    /// Whether a refused pipeline tells that this settlement had been recorded by an earlier one whose answer was lost.
    public static func isRecordedAlready(_ error: PostgresError) -> Bool { error.sqlState == "WH001" }

    /// The steps that write all of it, to be sent in one pipeline: none when empty.
    ///
    /// The last step is ``ClaimStore/finish(worker:claims:)`` when claims were finished.
    ///
    /// - Parameters:
    ///   - worker: who records.
    ///   - number: higher than that of the worker's settlements before; the same when this one is sent again, which the
    ///     server refuses if it was recorded (``isRecordedAlready(_:)``).
    ///   - now: the worker's monotonic time, microseconds.
    public func steps(worker: Int64, number: Int64, now: Int64) -> [Step] {
        guard !isEmpty else { return [] }
        var steps = isPartial ? [Step(Queries.settlementKeep)] : []
        steps.append(beginStep(worker: worker, number: number))
        if !delivered.events.isEmpty { steps.append(delivered.step(worker: worker, now: now)) }
        if !failed.attempts.events.isEmpty { steps.append(failed.step(worker: worker, now: now)) }
        if !snoozed.events.isEmpty { steps.append(snoozed.step(worker: worker)) }
        if !tallies.isEmpty { steps.append(tallyStep()) }
        if !left.claims.isEmpty { steps.append(left.step(worker: worker)) }
        if releasesOrder { steps.append(released.step()) }
        if !finished.isEmpty { steps.append(ClaimStore.finish(worker: worker, claims: finished)) }
        return steps
    }

    /// Asks whether the settlement has been recorded, by one of its attempts when it has any.
    private func beginStep(worker: Int64, number: Int64) -> Step {
        let witness = delivered.witness ?? failed.attempts.witness ?? [.null, .null, .null, .null]
        return Step(Queries.settlementBegin, [.int8(worker), .int8(number)] + witness)
    }

    private func tallyStep() -> Step {
        let all = tallies.sorted { $0.key < $1.key }
        return Step(
            Queries.tallyAdd,
            [.int4s(all.map(\.key)), .int8s(all.map(\.value.succeeded)), .int8s(all.map(\.value.failed))])
    }
}
