// Attached tables with partitions and children: rows that move, statements that name a partition.

import Postgres
import Testing

@Suite struct AttachPartitionTests {
    /// A list-partitioned table whose second partition has its columns in another order and whose third has partitions.
    private func table(_ db: TestDatabase) async throws {
        try await db.run(
            """
            CREATE TABLE p (id int, region text, v text, big text, PRIMARY KEY (region, id)) PARTITION BY LIST (region);
            CREATE TABLE p_a PARTITION OF p FOR VALUES IN ('a');
            CREATE TABLE p_b (big text, v text, region text NOT NULL, id int NOT NULL);
            ALTER TABLE p ATTACH PARTITION p_b FOR VALUES IN ('b');
            CREATE TABLE p_s PARTITION OF p FOR VALUES IN ('x', 'y') PARTITION BY LIST (region);
            CREATE TABLE p_sx PARTITION OF p_s FOR VALUES IN ('x');
            SELECT postrider.attach('p', 'p.changed', '{insert,update,delete}', include_old => true)
            """)
    }

    private let ids = "data -> 'old' ->> 'id', data -> 'new' ->> 'id', data -> 'new' ->> 'region', data -> 'new' ->> 'v'"

    @Test func rowsKeepTheirPairWhenTheyMoveToAnotherPartition() async throws {
        try await withRollback { db in
            try await table(db)
            try await db.run(
                "INSERT INTO p SELECT n, CASE WHEN n % 2 = 0 THEN 'a' ELSE 'b' END, 'v' || n FROM generate_series(1, 4) AS n")
            #expect(try await db.takeEvents(ids) == ["∅|1|b|v1", "∅|2|a|v2", "∅|3|b|v3", "∅|4|a|v4"])
            try await db.run("UPDATE p SET region = CASE region WHEN 'a' THEN 'b' ELSE 'a' END, v = v || '!'")
            #expect(try await db.takeEvents(ids).sorted() == ["1|1|a|v1!", "2|2|b|v2!", "3|3|a|v3!", "4|4|b|v4!"])
            try await db.run("UPDATE p SET region = 'x' WHERE id = 1")
            #expect(try await db.takeEvents(ids) == ["1|1|x|v1!"])
            try await db.run("DELETE FROM p WHERE id > 2")
            #expect(try await db.takeEvents("data -> 'old' ->> 'id', data -> 'new'").sorted() == ["3|null", "4|null"])
        }
    }

    /// A partition that was detached keeps its triggers: those of operations that are attached no longer do nothing.
    @Test func detachedPartitionMakesEventsOfWhatIsStillAttachedAlone() async throws {
        try await withRollback { db in
            try await table(db)
            try await db.run("ALTER TABLE p DETACH PARTITION p_b; SELECT postrider.attach('p', 'p.changed', '{insert}')")
            try await db.run("INSERT INTO p_b (id, region, v) VALUES (1, 'b', 'one'); UPDATE p_b SET v = 'uno'; DELETE FROM p_b")
            #expect(try await db.takeEvents("data ->> 'v'") == ["one"])
            #expect(try await db.line("SELECT count(*) FROM pg_trigger WHERE tgrelid = 'p_b'::regclass AND tgname ~ '^webhook_'") == "4")
        }
    }

    @Test func statementThatNamesAPartitionCounts() async throws {
        try await withRollback { db in
            try await table(db)
            try await db.run("INSERT INTO p_b (id, region, v) VALUES (1, 'b', 'one'); INSERT INTO p_sx (id, region, v) VALUES (2, 'x', 'two')")
            try await db.run("UPDATE p_b SET v = 'uno'; UPDATE p_s SET v = 'dos'; DELETE FROM p_sx")
            #expect(
                try await db.events("table_name, \(ids)") == [
                    "public.p|∅|1|b|one", "public.p|∅|2|x|two", "public.p|1|1|b|uno", "public.p|2|2|x|dos",
                    "public.p|2|∅|∅|∅",
                ])
        }
    }

    @Test func tenThousandRowsOfThreePartitionsArePairedRightly() async throws {
        try await withRollback { db in
            try await table(db)
            try await db.run(
                "INSERT INTO p SELECT n, CASE WHEN n % 3 = 0 THEN 'a' ELSE 'b' END, 'v' FROM generate_series(1, 10000) AS n")
            _ = try await db.takeEvents("id")
            try await db.run(
                "UPDATE p SET region = CASE WHEN id % 5 = 0 THEN 'x' WHEN id % 7 = 0 THEN 'a' ELSE region END, v = 'n'")
            #expect(
                try await db.line(
                    """
                    SELECT count(*), count(*) FILTER (WHERE data -> 'old' ->> 'id' = data -> 'new' ->> 'id'),
                           count(DISTINCT id) FROM postrider.webhook_event_log
                    """) == "10000|10000|10000")
        }
    }

    @Test func primaryKeyThatChangesKeepsItsPair() async throws {
        try await withRollback { db in
            try await table(db)
            try await db.run("INSERT INTO p SELECT n, 'a' FROM generate_series(1, 100) AS n")
            _ = try await db.takeEvents("id")
            try await db.run("UPDATE p SET id = id + 20000")
            let paired = "count(*), bool_and((data -> 'old' ->> 'id')::int + 20000 = (data -> 'new' ->> 'id')::int)"
            #expect(try await db.lines("SELECT \(paired) FROM postrider.webhook_event_log") == ["100|t"])
        }
    }

    @Test func triggerThatSwallowsAMovingRowFailsTheStatement() async throws {
        try await withRollback { db in
            try await table(db)
            try await db.run(
                """
                CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
                CREATE TRIGGER swallow BEFORE INSERT ON p_b FOR EACH ROW EXECUTE FUNCTION swallow();
                INSERT INTO p VALUES (1, 'a'), (2, 'a')
                """)
            _ = try await db.takeEvents("id")
            let error = try await db.refusal("UPDATE p SET region = 'b' WHERE id = 1")
            #expect(error.message.contains("which old and new rows belong together"))
            #expect(error.hint?.contains("BEFORE INSERT trigger") == true)
            #expect(try await db.count("p WHERE region = 'a'") == 2)
            #expect(try await db.count("postrider.webhook_event_log") == 0)
        }
    }

    @Test func newPartitionIsReportedUntilItIsRefreshed() async throws {
        try await withRollback { db in
            try await table(db)
            #expect(try await db.count("postrider.webhook_attachment_check") == 0)
            try await db.run("CREATE TABLE p_c PARTITION OF p FOR VALUES IN ('c')")
            // Rows that come through the parent count already.
            try await db.run("INSERT INTO p VALUES (1, 'c')")
            #expect(try await db.count("postrider.webhook_event_log") == 1)
            #expect(
                try await db.lines("SELECT relation, operation, problem, cure FROM postrider.webhook_attachment_check ORDER BY 2")
                    == ["delete", "insert", "truncate", "update"].map {
                        "p_c|\($0)|the trigger is missing|SELECT postrider.refresh_attachments('public.p');"
                    })
            try await db.run("SELECT postrider.refresh_attachments('public.p'); INSERT INTO p_c VALUES (2, 'c')")
            #expect(try await db.count("postrider.webhook_attachment_check") == 0)
            #expect(try await db.count("postrider.webhook_event_log") == 2)
        }
    }

    @Test func inheritingTablesCountWhenWrittenDirectly() async throws {
        try await withRollback { db in
            try await db.run(
                """
                CREATE TABLE par (a int);
                CREATE TABLE chi (b int) INHERITS (par);
                SELECT postrider.attach('par', 'par.changed', '{insert,update,delete}')
                """)
            try await db.run("INSERT INTO chi VALUES (1, 2); UPDATE par SET a = 5; DELETE FROM chi")
            let events = try await db.events("table_name, data")
            // A statement that names the child sees the child's columns, one that names the parent the parent's.
            #expect(
                events == [#"public.par|{"a": 1, "b": 2}"#, #"public.par|{"a": 5}"#, #"public.par|{"a": 5, "b": 2}"#])
        }
    }
}
