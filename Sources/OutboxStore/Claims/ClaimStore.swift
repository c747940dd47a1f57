// The statements that take work. Steps go into the worker's pipeline; their rows come back here to be read.

public import Outbox
public import Postgres

/// Claiming, as steps of a pipeline and as readers of their rows.
public enum ClaimStore {
    /// Claims waiting events, urgent and old ones first (`EventClaim`).
    ///
    /// - Parameters:
    ///   - worker: who claims.
    ///   - events: how many events are wanted; up to 63 more may come, because a queue row can hold 64.
    ///   - rows: how many queue rows to look at; the same as `events` unless rows are known to hold many.
    ///   - bounds: three ids, for the priorities 0, 1 and 2: events with smaller ones are passed over.
    ///   - priorities: these three in the order in which they are served.
    ///   - span: the ids whose events are read along; of others only the id is told.
    public static func claimEvents(
        worker: Int64, events: Int32, rows: Int32, from bounds: [EventID], priorities: [Int16] = [0, 1, 2],
        reading span: ClosedRange<EventID>
    ) -> Step {
        Step(
            Queries.eventClaim,
            [
                .int8(worker), .int4(events), .int4(rows), .uuids(priorities.map { bounds[Int($0)].uuid }),
                .int2s(priorities), .uuid(span.lowerBound.uuid), .uuid(span.upperBound.uuid),
            ])
    }

    /// Begins a transaction that changes the lines of ordering keys (`OrderLock`); before its other steps.
    public static func lockOrder() -> Step { Step(Queries.orderLock) }

    /// Puts what ``claimEvents(worker:events:rows:from:priorities:reading:)`` claimed in line, for destinations with strict order
    /// (`OrderEnroll`); directly behind it, in a transaction that began with ``lockOrder()``.
    public static func enrollOrder(worker: Int64) -> Step { Step(Queries.orderEnroll, [.int8(worker)]) }

    /// Reads the rows of ``enrollOrder(worker:)``: the deliveries that wait behind an earlier event and must not be sent
    /// with the claim.
    ///
    /// - Throws: `PostgresError` when a row is not of the expected shape.
    public static func readEnrolled(_ rows: Rows) throws -> Set<DeliveryKey> {
        var keys: Set<DeliveryKey> = []
        for index in 0..<rows.count {
            let row = rows[index]
            keys.insert(DeliveryKey(event: try row.uuid(0).eventID, destination: Int32(try row.int(1))))
        }
        return keys
    }

    /// Claims due retries of destinations, the longest due first (`RetryClaim`).
    ///
    /// - Parameters:
    ///   - worker: who claims.
    ///   - destinations: which destinations, each with how many retries at most.
    ///   - span: the ids whose events are read along; of others only the id is told.
    public static func claimRetries(
        worker: Int64, destinations: [(id: Int32, most: Int32)], reading span: ClosedRange<EventID>
    ) -> Step {
        Step(
            Queries.retryClaim,
            [
                .int8(worker), .int4s(destinations.map(\.id)), .int4s(destinations.map(\.most)),
                .uuid(span.lowerBound.uuid), .uuid(span.upperBound.uuid),
            ])
    }

    /// Asks which destinations have retries (`RetryPeek`).
    public static func peekRetries() -> Step { Step(Queries.retryPeek) }

    /// Reads the rows of ``peekRetries()``: each destination with the milliseconds until its first retry is due.
    ///
    /// - Throws: `PostgresError` when a row is not of the expected shape.
    public static func readPeek(_ rows: Rows) throws -> [(destination: Int32, milliseconds: Int64)] {
        try (0..<rows.count).map { index in
            (Int32(try rows[index].int(0)), try rows[index].int64(1))
        }
    }

    /// Reads the rows of a claim.
    ///
    /// - Parameters:
    ///   - rows: what ``claimEvents(worker:events:rows:from:priorities:reading:)`` or
    ///     ``claimRetries(worker:destinations:reading:)`` gave.
    ///   - isRetry: true for the latter.
    /// - Returns: the claim, as far as its events were read along, or nil when nothing was claimed.
    /// - Throws: `PostgresError` when a row is not of the expected shape.
    public static func readClaim(_ rows: Rows, isRetry: Bool) throws -> PartialClaim? {
        guard rows.count > 0 else { return nil }
        var claim = PartialClaim(id: try rows[0].int64(0))
        claim.work.reserveCapacity(rows.count)
        // The claim's id, the event, and for a retry where it goes.
        let first = 1
        for index in 0..<rows.count {
            let row = rows[index]
            // Nothing of the claim is left in the log.
            if !isRetry, try row.isNull(first) { continue }
            let target = isRetry ? try readTarget(row, first: first + EventRow.width) : nil
            if try EventRow.isUnread(row, first: first) {
                let id = try row.uuid(first).eventID
                claim.unread.append(PartialClaim.Unread(place: claim.count, id: id, target: target))
            } else {
                claim.work.append(try EventRow.work(row, first: first, target: target))
            }
        }
        return claim
    }

    private static func readTarget(_ row: Row, first: Int) throws -> Claim.Target {
        Claim.Target(
            destination: Int32(try row.int(first)), attempt: Int16(try row.int(first + 1)),
            isReplay: try row.bool(first + 2))
    }

    /// Reads the events that were not read along with their claim (`EventLoad`); those that are gone are left out.
    ///
    /// - Parameters:
    ///   - claim: the claim.
    ///   - connection: where to read.
    ///   - timeout: the longest time for each portion of its events; nil for the connection's.
    /// - Throws: `PostgresError`; the claim is then the worker's without its knowing it, see ``RescueStore``.
    public static func complete(
        _ claim: PartialClaim, on connection: Connection, timeout: Duration? = nil
    ) async throws -> Claim {
        guard !claim.unread.isEmpty else { return claim.completed(with: [:]) }
        let ids = Set(claim.unread.map(\.id)).sorted()
        var events: [EventID: Claim.Work] = [:]
        for portion in ids.portions(of: EventRow.portion) {
            let rows = try await connection.query(Queries.eventLoad, [.uuids(portion.map(\.uuid))], timeout: timeout)
            for index in 0..<rows.count {
                let work = try EventRow.work(rows[index], first: 0, target: nil)
                events[work.event.id] = work
            }
        }
        return claim.completed(with: events)
    }

    /// Gives up finished claims (`ClaimFinish`); its rows are the claims that were still the worker's.
    public static func finish(worker: Int64, claims: [Int64]) -> Step {
        Step(Queries.claimFinish, [.int8(worker), .int8s(claims)])
    }

    /// Bytes of the largest payload that is sent, as `jsonb` without compression; 64 MiB, all that a worker has for payloads.
    public static let largestPayload: Int32 = 64 << 20

    /// The payload of one event whose claim left it in the database (`EventPayload`).
    ///
    /// - Parameter limit: bytes of the largest that is read.
    /// - Throws: `PostgresError`.
    public static func payload(
        of event: EventID, atMost limit: Int32 = largestPayload, on connection: Connection
    ) async throws -> StoredPayload {
        let rows = try await connection.query(Queries.eventPayload.plannedAnew, [.uuid(event.uuid), .int4(limit)])
        guard rows.count > 0 else { return .gone }
        return try rows[0].isNull(0) ? .tooLarge : .data(try rows[0].bytes(0))
    }
}
