// Plain INSERT INTO webhook_events, and how the events of one statement stand in the queue.

import Outbox
import Postgres
import Testing

@Suite struct EnqueueTests {
    private let rows = "SELECT count(*), sum(1 + coalesce(cardinality(more), 0)) FROM postrider.webhook_queue"

    @Test(arguments: [(1, 1), (2, 1), (64, 1), (65, 2), (128, 2), (129, 3), (10_000, 157)])
    func eventsOfOneStatementShareRows(events: Int, queueRows: Int) async throws {
        try await withRollback { db in
            try await db.emitAtOnce(events)
            #expect(try await db.line(rows) == "\(queueRows)|\(events)")
        }
    }

    @Test func singleEventHasARowWithoutAnArray() async throws {
        try await withRollback { db in
            let id = try await db.line("INSERT INTO postrider.webhook_events (event_type, data) VALUES ('a.b', '{}') RETURNING id")
            #expect(try await db.lines("SELECT id, priority, more FROM postrider.webhook_queue") == ["\(id)|1|∅"])
            #expect(try await db.events("event_source, created_at >= now()") == ["manual|t"])
        }
    }

    @Test func rowHoldsItsEventsInOrderWithItsOwnIdFirst() async throws {
        try await withRollback { db in
            let ids = try await db.emitAtOnce(150)
            let queued = try await db.lines(
                """
                SELECT u.id FROM postrider.webhook_queue AS q, unnest(q.id || q.more) WITH ORDINALITY AS u (id, n)
                ORDER BY q.id, u.n
                """)
            #expect(queued == ids.map(\.description))
        }
    }

    @Test func eachPriorityHasItsOwnRows() async throws {
        try await withRollback { db in
            try await db.run(
                """
                INSERT INTO postrider.webhook_events (event_type, priority, data)
                SELECT 'a.b', n % 3, '{}' FROM generate_series(1, 300) AS n
                """)
            let queue = "SELECT priority, 1 + cardinality(more) FROM postrider.webhook_queue ORDER BY priority, id"
            #expect(try await db.lines(queue) == ["0|64", "0|36", "1|64", "1|36", "2|64", "2|36"])
        }
    }

    @Test func statementWithoutRowsQueuesNothing() async throws {
        try await withRollback { db in
            try await db.run("INSERT INTO postrider.webhook_events (event_type, data) SELECT 'a.b', '{}' WHERE false")
            #expect(try await db.count("postrider.webhook_queue") == 0)
        }
    }

    @Test func insertReturnsTheEventAsPending() async throws {
        try await withRollback { db in
            let insert = "INSERT INTO postrider.webhook_events (event_type, data) VALUES ('a.b', '{}') RETURNING"
            #expect(try await db.line("\(insert) status, retry_count, error_message, priority") == "pending|0|∅|1")
            let plan = try await db.lines("EXPLAIN INSERT INTO postrider.webhook_events (event_type, data) SELECT 'a', '{}'")
            #expect(plan[0].contains("Insert on webhook_event_log"))
        }
    }

    @Test(arguments: [
        ("(event_type, data) VALUES ('a b', '{}')", "23514", "event_type_is_dotted_words"),
        ("(event_type, data) VALUES (repeat('a', 129), '{}')", "23514", "event_type_is_dotted_words"),
        ("(event_type, priority, data) VALUES ('a', 3, '{}')", "23514", "priority_is_0_high_1_normal_2_low"),
        ("(id, event_type, data) VALUES (gen_random_uuid(), 'a', '{}')", "23514", "id_is_uuid_version_7"),
        ("(event_type) VALUES ('a')", "23502", nil),
        ("(data) VALUES ('{}')", "23502", nil),
        ("(event_type, data, status) VALUES ('a', '{}', 'completed')", "0A000", nil),
        ("(event_type, data) VALUES ('a', '{')", "22P02", nil),
    ])
    func badRowIsRefusedByARuleWithAName(values: String, state: String, rule: String?) async throws {
        try await withRollback { db in
            let error = try await db.refusal("INSERT INTO postrider.webhook_events \(values)")
            #expect(error.sqlState == state, "\(error)")
            #expect(error.constraint == rule)
            #expect(try await db.count("postrider.webhook_queue") == 0)
        }
    }

    /// Producers may write the queue: a list that no claim can take apart would stop every worker.
    @Test(arguments: [
        "ARRAY[ARRAY[postrider.next_event_id()]]", "ARRAY[postrider.next_event_id(), NULL]",
        "(SELECT array_agg(postrider.next_event_id()) FROM generate_series(1, 64))",
    ])
    func listThatCannotBeClaimedIsRefused(more: String) async throws {
        try await withRollback { db in
            let insert = "INSERT INTO postrider.webhook_queue (id, more) VALUES (postrider.next_event_id(),"
            let error = try await db.refusal("\(insert) \(more))")
            #expect(error.sqlState == "23514", "\(error)")
            #expect(error.constraint == "further_events_are_a_plain_list_of_63_at_most")
            try await db.run("\(insert) '{}'); \(insert) ARRAY[postrider.next_event_id()])")
            #expect(try await db.line(rows) == "2|3")
        }
    }

    @Test func oneBadRowOfManyLeavesNone() async throws {
        try await withRollback { db in
            _ = try await db.refusal(
                """
                INSERT INTO postrider.webhook_events (event_type, data)
                SELECT CASE n WHEN 77 THEN 'not ok' ELSE 'ok' END, '{}' FROM generate_series(1, 100) AS n
                """)
            #expect(try await db.count("postrider.webhook_event_log") == 0)
            #expect(try await db.count("postrider.webhook_queue") == 0)
        }
    }

    @Test func idThatIsGivenIsKept() async throws {
        try await withRollback { db in
            let id = "01900000-0000-7000-8000-000000000001"
            try await db.run("INSERT INTO postrider.webhook_events (id, event_type, data) VALUES ('\(id)', 'a', '{}')")
            #expect(try await db.claim(db.worker())?.ids.map(\.description) == [id])
            // A second event of the same id is refused, in whatever partition.
            let again = "INSERT INTO postrider.webhook_events (id, event_type, data) VALUES ('\(id)', 'a', '{}')"
            #expect(try await db.refusal(again).sqlState == "23505")
        }
    }
}
