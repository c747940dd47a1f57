// What workers do to the database, step by step, through the public API of OutboxStore.

import Outbox
import OutboxStore
import Postgres
import Synchronization

extension TestDatabase {
    /// Registers a worker whose lease holds for the length of a test, also on a slow machine.
    func worker(_ host: String = "test", on other: Connection? = nil) async throws -> Int64 {
        let worker = try await WorkerStore.register(
            host: host, processID: 1, version: "test", on: other ?? connection)
        try await prolong(worker)
        return worker
    }

    /// Lets the lease of a worker hold for the length of a test.
    func prolong(_ worker: Int64) async throws {
        try await run(
            "UPDATE postrider.webhook_workers SET lease_until = clock_timestamp() + interval '5 minutes' WHERE id = \(worker)")
    }

    /// Makes an endpoint and gives its `destination_id`.
    @discardableResult
    func endpoint(_ name: String = "endpoint", events: String = "*", settings: String = "") async throws -> Int32 {
        let rows = try await query(
            """
            INSERT INTO postrider.webhook_endpoints (name, url, events)
            VALUES ($1, 'https://example.com/hook', string_to_array($2, ',')) RETURNING destination_id
            """, [.text(name), .text(events)])
        let id = Int32(try rows[0].int(0))
        if !settings.isEmpty { try await run("UPDATE postrider.webhook_destinations SET \(settings) WHERE id = \(id)") }
        return id
    }

    /// Lets rows into a table that no check would: as a restore, a replica or a superuser can.
    func openGates(
        of table: String = "webhook_destinations",
        _ gates: [String] = ["webhook_destination_gate", "webhook_destination_profile_gate"]
    ) async throws {
        for gate in gates { try await run("ALTER TABLE postrider.\(table) DISABLE TRIGGER \(gate)") }
        try await run(
            """
            DO $$
            DECLARE name text;
            BEGIN
                FOR name IN SELECT conname FROM pg_constraint
                            WHERE conrelid = 'postrider.\(table)'::regclass AND contype = 'c' LOOP
                    EXECUTE format('ALTER TABLE postrider.\(table) DROP CONSTRAINT %I', name);
                END LOOP;
            END $$
            """)
    }

    /// Emits events, each a statement of its own, and gives their ids.
    @discardableResult
    func emit(_ count: Int = 1, _ type: String = "a.b", priority: Int = 1, data: String = "{}") async throws -> [EventID] {
        var ids: [EventID] = []
        for _ in 0..<count {
            let line = try await line("SELECT postrider.emit('\(type)', '\(data)', priority => \(priority))")
            if let id = EventID(line) { ids.append(id) }
        }
        return ids
    }

    /// Emits events in one statement and gives their ids, ascending.
    @discardableResult
    func emitAtOnce(_ count: Int, _ type: String = "a.b", priority: Int = 1) async throws -> [EventID] {
        let lines = try await lines(
            """
            INSERT INTO postrider.webhook_events (event_type, priority, data)
            SELECT '\(type)', \(priority), '{}' FROM generate_series(1, \(count)) RETURNING id
            """)
        return lines.compactMap { EventID($0) }.sorted()
    }

    /// Claims waiting events.
    func claim(_ worker: Int64, _ events: Int32 = 100, rows: Int32? = nil) async throws -> Claim? {
        try await connection.claim(worker, events, rows: rows)
    }

    /// Claims due retries.
    func claimRetries(_ worker: Int64, _ destinations: [(id: Int32, most: Int32)]) async throws -> Claim? {
        try await connection.claimRetries(worker, destinations)
    }

    private static let settlements = Atomic<Int64>(0)

    /// A number that no settlement of these tests has had.
    static func settlementNumber() -> Int64 { settlements.add(1, ordering: .relaxed).newValue }

    /// Writes a settlement; gives the claims that its worker gave up.
    @discardableResult
    func settle(_ settlement: Settlement, _ worker: Int64, now: Int64 = 0) async throws -> [Int64] {
        let steps = settlement.steps(worker: worker, number: Self.settlementNumber(), now: now)
        let results = try await connection.pipeline(steps)
        guard !settlement.finishedClaims.isEmpty, let last = results.last else { return [] }
        return try last.map { try $0.int64(0) }
    }

    /// Lets the lease of a worker run out long ago.
    func expire(_ worker: Int64) async throws {
        try await run(
            """
            UPDATE postrider.webhook_workers SET lease_until = clock_timestamp() - interval '1 second',
                heartbeat_at = clock_timestamp() - interval '3 seconds' WHERE id = \(worker)
            """)
    }
}

extension Connection {
    /// Claims waiting events; those outside of the span are read by a statement of their own.
    func claim(
        _ worker: Int64, _ events: Int32 = 100, rows: Int32? = nil, reading span: ClosedRange<EventID> = .everything
    ) async throws -> Claim? {
        let front = [EventID](repeating: EventID(high: 0, low: 0), count: 3)
        let step = ClaimStore.claimEvents(
            worker: worker, events: events, rows: rows ?? events, from: front, reading: span)
        return try await complete(try ClaimStore.readClaim(try await pipeline([step])[0], isRetry: false))
    }

    /// Claims due retries; those outside of the span are read by a statement of their own.
    func claimRetries(
        _ worker: Int64, _ destinations: [(id: Int32, most: Int32)], reading span: ClosedRange<EventID> = .everything
    ) async throws -> Claim? {
        let step = ClaimStore.claimRetries(worker: worker, destinations: destinations, reading: span)
        return try await complete(try ClaimStore.readClaim(try await pipeline([step])[0], isRetry: true))
    }

    private func complete(_ claim: PartialClaim?) async throws -> Claim? {
        guard let claim else { return nil }
        return try await ClaimStore.complete(claim, on: self)
    }
}

extension ClosedRange<EventID> {
    /// All events are read along with their claim.
    static let everything = EventID(high: 0, low: 0)...EventID(high: .max, low: .max)
}

extension Claim {
    /// The ids of its events, in the order of the claim.
    var ids: [EventID] { work.map(\.event.id) }
}

extension Settlement {
    /// Adds an attempt that delivered.
    mutating func deliver(_ event: EventID, _ destination: Int32, number: Int16 = 1, body: String? = nil) {
        deliver(.done(event, destination, number, body: body), status: 200)
    }

    /// Adds an attempt that failed with a 500, unless another failure is named.
    mutating func fail(
        _ event: EventID, _ destination: Int32, number: Int16 = 1, next: NextStep, claim: Int64,
        failure: String = "server_error", status: Int16? = 500
    ) {
        fail(
            .done(event, destination, number, body: nil), status: status, failure: failure,
            message: "the receiver answered \(failure)", next: next, claim: claim)
    }
}

extension FinishedAttempt {
    /// An attempt of 1.5 ms that ended when the worker's clock began.
    static func done(_ event: EventID, _ destination: Int32, _ number: Int16, body: String?) -> FinishedAttempt {
        FinishedAttempt(
            event: event, destination: destination, number: number, duration: 1500, endedAt: 0,
            body: body.map { Array($0.utf8) })
    }
}
