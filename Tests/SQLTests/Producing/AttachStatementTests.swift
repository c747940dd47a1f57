// Statements of every kind on attached tables: large, empty, mixed, undone.

import Postgres
import Testing

@Suite struct AttachStatementTests {
    private func table(_ db: TestDatabase) async throws {
        try await db.run("CREATE TABLE t (id int PRIMARY KEY, v text, n int)")
    }

    @Test func updateOfTenThousandRowsIsOneTriggerCall() async throws {
        try await withDatabase { db in
            try await table(db)
            try await db.run("INSERT INTO t SELECT n, 'a', 0 FROM generate_series(1, 10000) AS n")
            try await db.run("SELECT postrider.attach('t', 't.changed', '{update}', 'NEW.v <> OLD.v', include_old => true)")
            let calls = try await db.lines(
                """
                SET LOCAL track_functions = 'pl';
                UPDATE t SET v = 'b', n = id;
                SELECT pg_stat_get_xact_function_calls('postrider_attached.webhook_1()'::regprocedure),
                       pg_stat_get_xact_function_calls('postrider.webhook_enqueue()'::regprocedure)
                """)
            #expect(calls == ["1|1"])
            #expect(
                try await db.line(
                    """
                    SELECT count(*), count(DISTINCT id), bool_and(data -> 'old' ->> 'id' = data -> 'new' ->> 'id'),
                           bool_and(id <= postrider.event_id_at(clock_timestamp() + interval '1 millisecond'))
                    FROM postrider.webhook_event_log
                    """) == "10000|10000|t|t")
            #expect(try await db.count("postrider.webhook_queue") == 157)
        }
    }

    /// A plan that was made for one row would join old and new rows in a nested loop, 100 million times.
    @Test func planMadeForOneRowDoesNotSpoilTenThousand() async throws {
        try await withDatabase { db in
            try await table(db)
            try await db.run("INSERT INTO t SELECT n, 'a', 0 FROM generate_series(1, 10000) AS n")
            try await db.run("SELECT postrider.attach('t', 't.changed', '{update}', 'NEW.n <> OLD.n')")
            for id in 1...20 { try await db.run("UPDATE t SET n = n + 1 WHERE id = \(id)") }
            try await db.run("SET statement_timeout = '60s'; UPDATE t SET n = n + 1")
            #expect(try await db.count("postrider.webhook_event_log") == 10_020)
        }
    }

    /// A cast to a domain would be a call of its rule for each run; a constant of the domain is none. `null` is a word like others.
    @Test(arguments: [("high", 0), ("normal", 1), ("low", 2), (nil, 1)] as [(String?, Int)])
    func typeAndPriorityThatAreConstantAreNotCheckedByEachRun(priority: String?, number: Int) async throws {
        try await withRollback { db in
            try await table(db)
            let setting = priority.map { ", priority => '\($0)'" } ?? ""
            try await db.run("SELECT postrider.attach('t', 'null'\(setting)); INSERT INTO t VALUES (1, 'a', 0)")
            #expect(try await db.events("event_type, priority, record_id") == ["null|\(number)|1"])
            let select = try await db.line(
                "SELECT postrider.attachment_select(a, 'insert') FROM postrider.webhook_attachments AS a")
            let plan = try await db.lines("EXPLAIN (VERBOSE) WITH new_rows AS (SELECT * FROM t) \(select)")
            let output = try #require(plan.first { $0.contains("Output: ") })
            #expect(output.contains("'null'::postrider.event_type, ") && output.contains("'\(number)'::postrider.event_priority, "))
            #expect(!output.contains("('null'") && !output.contains("[1]"))
        }
    }

    @Test func statementsWithoutRowsMakeNoEvents() async throws {
        try await withRollback { db in
            try await table(db)
            try await db.run(
                """
                SELECT postrider.attach('t', 't.changed', '{insert,update,delete}');
                UPDATE t SET n = 1; DELETE FROM t; INSERT INTO t SELECT 1 WHERE false
                """)
            #expect(try await db.count("postrider.webhook_event_log") == 0)
            #expect(try await db.count("postrider.webhook_queue") == 0)
        }
    }

    @Test func upsertMergeAndCopyMakeEachRowsOwnEvent() async throws {
        try await withRollback { db in
            try await table(db)
            try await db.run(
                """
                INSERT INTO t VALUES (1, 'a', 0), (2, 'a', 0), (3, 'a', 0);
                SELECT postrider.attach('t', 't.ins'), postrider.attach('t', 't.upd', '{update}'),
                       postrider.attach('t', 't.del', '{delete}')
                """)
            let columns = "event_type, record_id, data ->> 'v'"
            try await db.run(
                "INSERT INTO t VALUES (3, 'b', 0), (4, 'b', 0) ON CONFLICT (id) DO UPDATE SET v = excluded.v")
            #expect(try await db.takeEvents(columns).sorted() == ["t.ins|4|b", "t.upd|3|b"])
            try await db.run("INSERT INTO t VALUES (4, 'c', 0) ON CONFLICT DO NOTHING")
            #expect(try await db.takeEvents(columns) == [])
            try await db.run(
                """
                MERGE INTO t USING (VALUES (1, 'm'), (9, 'm'), (2, 'd')) AS s (id, v) ON t.id = s.id
                WHEN MATCHED AND s.v = 'd' THEN DELETE
                WHEN MATCHED THEN UPDATE SET v = s.v
                WHEN NOT MATCHED THEN INSERT VALUES (s.id, s.v, 1)
                """)
            #expect(try await db.takeEvents(columns).sorted() == ["t.del|2|a", "t.ins|9|m", "t.upd|1|m"])
            try await db.run(#"COPY t FROM PROGRAM 'printf "20\tcopied\t1\n21\tcopied\t1\n"'"#)
            #expect(try await db.takeEvents(columns) == ["t.ins|20|copied", "t.ins|21|copied"])
            try await db.run("WITH x AS (UPDATE t SET n = 5 WHERE id = 1 RETURNING 1) UPDATE t SET n = 6 WHERE id = 9")
            #expect(try await db.takeEvents(columns).sorted() == ["t.upd|1|m", "t.upd|9|m"])
        }
    }

    @Test func eventsGoWithTheirTransactionAndSavepoint() async throws {
        try await withDatabase { db in
            try await table(db)
            try await db.run("SELECT postrider.attach('t', 't.created')")
            try await db.run("BEGIN; INSERT INTO t VALUES (1); ROLLBACK")
            try await db.run(
                """
                BEGIN; INSERT INTO t VALUES (2); SAVEPOINT s; INSERT INTO t VALUES (3); ROLLBACK TO s;
                INSERT INTO t VALUES (4); COMMIT
                """)
            // The second statement of an implicit transaction fails.
            _ = try await db.refusal("INSERT INTO t VALUES (5); INSERT INTO t VALUES (2)")
            #expect(try await db.events("record_id") == ["2", "4"])
            #expect(try await db.count("postrider.webhook_queue") == 2)
        }
    }

    @Test func truncateIsRefusedWhereDeletesAreEvents() async throws {
        try await withDatabase { db in
            try await table(db)
            try await db.run("INSERT INTO t VALUES (1); SELECT postrider.attach('t', 't.gone', '{delete}')")
            let error = try await db.refusal("TRUNCATE t")
            #expect(error.sqlState == "0A000")
            #expect(error.message == "TRUNCATE of public.t would remove rows without their events")
            #expect(error.hint?.contains("Use DELETE") == true)
            #expect(error.hint?.contains("DISABLE TRIGGER webhook_1_truncate") == true)
            #expect(try await db.count("t") == 1)
            try await db.run("SELECT postrider.detach('t'); TRUNCATE t")
            #expect(try await db.count("postrider.webhook_event_log") == 0)
        }
    }

    @Test func truncateThatIsAttachedIsOneEvent() async throws {
        try await withRollback { db in
            try await table(db)
            try await db.run(
                """
                INSERT INTO t VALUES (1), (2), (3);
                SELECT postrider.attach('t', 't.emptied', '{truncate}', organization_id => 'v', condition => 'false')
                """)
            try await db.run("TRUNCATE t")
            #expect(
                try await db.events("event_type, record_id, organization_id, data")
                    == [#"t.emptied|∅|∅|{"truncated": "public.t"}"#])
        }
    }

    @Test func insertWithoutTruncateAttachedMayBeTruncated() async throws {
        try await withRollback { db in
            try await table(db)
            try await db.run("SELECT postrider.attach('t', 't.created', '{insert,update}'); TRUNCATE t")
            #expect(try await db.count("postrider.webhook_event_log") == 0)
        }
    }
}
