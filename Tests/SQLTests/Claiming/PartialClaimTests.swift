// Claims that name the ids of which they read the events: what lies outside comes by a statement of its own.

import Outbox
import OutboxStore
import Postgres
import TestSupport
import Testing

@Suite struct PartialClaimTests {
    /// Events of 50 days ago, of now, and of 50 days to come; ascending.
    private func emitThroughTime(_ db: TestDatabase) async throws -> [EventID] {
        try await db.run(
            """
            INSERT INTO postrider.webhook_events (id, event_type, data)
            SELECT encode(set_byte(uuid_send(postrider.event_id_at(now() + floor(n / 2.0) * interval '50 days')), 15, n & 1), 'hex')::uuid,
                   'a.b', json_build_object('n', n)
            FROM generate_series(-2, 3) AS n
            """)
        return try await db.lines("SELECT id FROM postrider.webhook_event_log ORDER BY id").compactMap { EventID($0) }
    }

    /// Around now, as a database says it.
    private func today(_ db: TestDatabase) async throws -> ClosedRange<EventID> {
        let ids = try await db.lines(
            "SELECT unnest(ARRAY[postrider.event_id_at(now() - interval '1 day'), postrider.event_id_at(now() + interval '1 day')])"
        ).compactMap { EventID($0) }
        return ids[0]...ids[1]
    }

    @Test func eventsOutsideOfTheSpanAreClaimedAndReadAfterwards() async throws {
        try await withRollback { db in
            let ids = try await emitThroughTime(db)
            let span = try await today(db)
            #expect(ids.filter(span.contains) == Array(ids[2...3]))
            let partial = try #require(try await partialClaim(db, span))
            #expect(partial.count == 6)
            let claim = try await ClaimStore.complete(partial, on: db.connection)
            #expect(claim.ids == ids)
            #expect(claim.work.map { String(decoding: $0.event.data, as: UTF8.self) } == (-2...3).map { "{\"n\": \($0)}" })
            #expect(try await db.count("postrider.webhook_queue") == 0)
        }
    }

    /// The log gives events by their ids, those of the span first; they are sent by priority.
    @Test func urgentEventsComeFirstWhereverTheyWereRead() async throws {
        try await withRollback { db in
            let ids = try await emitThroughTime(db)
            // One statement makes one row of the queue for them.
            try await db.run("DELETE FROM postrider.webhook_queue")
            for (id, priority) in zip(ids, [2, 1, 1, 0, 1, 0]) {
                try await db.run("UPDATE postrider.webhook_event_log SET priority = \(priority) WHERE id = '\(id)'")
                try await db.run("INSERT INTO postrider.webhook_queue (id, priority) VALUES ('\(id)', \(priority))")
            }
            let partial = try #require(try await partialClaim(db, try await today(db)))
            let claim = try await ClaimStore.complete(partial, on: db.connection)
            #expect(claim.ids == [ids[3], ids[5], ids[1], ids[2], ids[4], ids[0]])
        }
    }

    @Test func eventsThatAreGoneAreLeftOutWhereverTheyWere() async throws {
        try await withRollback { db in
            let ids = try await emitThroughTime(db)
            try await db.run("DELETE FROM postrider.webhook_event_log WHERE id IN ('\(ids[0])', '\(ids[2])', '\(ids[5])')")
            let claim = try #require(try await db.connection.claim(db.worker(), reading: today(db)))
            #expect(claim.ids == [ids[1], ids[3], ids[4]])
        }
    }

    /// The claim must still be finished: it stands in webhook_claims.
    @Test func claimOfNothingButGoneEventsIsKnown() async throws {
        try await withRollback { db in
            _ = try await emitThroughTime(db)
            try await db.run("DELETE FROM postrider.webhook_event_log")
            let claim = try #require(try await db.connection.claim(db.worker(), reading: today(db)))
            #expect(claim.work.isEmpty)
            #expect(try await db.line("SELECT id FROM postrider.webhook_claims") == "\(claim.id)")
        }
    }

    /// None of its events is read along, so the first row of the answer has no event.
    @Test func claimOfEventsOutsideOfTheSpanAloneIsReadAfterwards() async throws {
        try await withRollback { db in
            let ids = try await emitThroughTime(db)
            let outside = [ids[0], ids[1], ids[4], ids[5]]
            let list = outside.map { "('\($0)')" }.joined(separator: ", ")
            try await db.run("DELETE FROM postrider.webhook_queue; INSERT INTO postrider.webhook_queue (id) VALUES \(list)")
            let partial = try #require(try await partialClaim(db, try await today(db)))
            #expect(partial.count == 4)
            let claim = try await ClaimStore.complete(partial, on: db.connection)
            #expect(claim.ids == outside)
        }
    }

    @Test func retriesKeepTheirTargetsAndTheirOrder() async throws {
        try await withRollback { db in
            let ids = try await emitThroughTime(db)
            for (index, id) in ids.enumerated() {
                for destination in [7, 8] {
                    try await db.run(
                        """
                        INSERT INTO postrider.webhook_retries (event_id, due_at, destination_id, attempt_number)
                        VALUES ('\(id)', now() - interval '\(index * 2 + destination) seconds', \(destination), \(index + 1))
                        """)
                }
            }
            let wanted: [(id: Int32, most: Int32)] = [(id: 7, most: 10), (id: 8, most: 10)]
            let worker = try await db.worker()
            try await db.run("SAVEPOINT claimed")
            let whole = try #require(try await db.claimRetries(worker, wanted))
            try await db.run("ROLLBACK TO claimed")
            let partial = try #require(try await db.connection.claimRetries(worker, wanted, reading: today(db)))
            #expect(partial.ids == whole.ids && partial.ids.count == 12)
            #expect(partial.work.map(\.target) == whole.work.map(\.target))
            #expect(partial.work.allSatisfy { !$0.event.data.isEmpty })
        }
    }

    private func partialClaim(_ db: TestDatabase, _ span: ClosedRange<EventID>) async throws -> PartialClaim? {
        let front = [EventID](repeating: EventID(high: 0, low: 0), count: 3)
        let step = ClaimStore.claimEvents(worker: try await db.worker(), events: 100, rows: 100, from: front, reading: span)
        return try ClaimStore.readClaim(try await db.connection.pipeline([step])[0], isRetry: false)
    }
}
