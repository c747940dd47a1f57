// What the events of an attached table carry: type, data, ids and scopes, for each operation.

import Postgres
import Testing

@Suite struct AttachEventTests {
    /// A table with a bit of everything.
    private func agents(_ db: TestDatabase, _ attachment: String) async throws {
        try await db.run(
            """
            CREATE SCHEMA d;
            CREATE TABLE d.agents (
                id int PRIMARY KEY, org text, owner text, status text, n int, secret text,
                label text GENERATED ALWAYS AS (status || '!') STORED
            );
            SELECT postrider.attach('d.agents', \(attachment))
            """)
    }

    @Test func insertOfThreeRowsMakesThreeEventsInOrder() async throws {
        try await withRollback { db in
            try await agents(
                db, "'agent.created', organization_id => 'org', user_id => 'owner', except_columns => '{secret,n,owner}'")
            try await db.run(
                "INSERT INTO d.agents (id, org, owner, status, secret) SELECT n, 'o1', 'u1', 'new', 's3cret' FROM generate_series(1, 3) AS n")
            let events = try await db.events(
                "event_type, event_source, table_name, record_id, organization_id, user_id, ordering_key, priority, data")
            #expect(
                events
                    == (1...3).map {
                        #"agent.created|trigger|d.agents|\#($0)|o1|u1|∅|1|{"id": \#($0), "org": "o1", "label": "new!", "status": "new"}"#
                    })
            #expect(try await db.lines("SELECT 1 + cardinality(more) FROM postrider.webhook_queue") == ["3"])
        }
    }

    @Test func columnsAreAllUnlessTheyAreListed() async throws {
        try await withRollback { db in
            try await agents(db, "'all'")
            try await db.run(
                """
                SELECT postrider.attach('d.agents', 'some', columns => '{status,id}');
                SELECT postrider.attach('d.agents', 'none', columns => '{}');
                INSERT INTO d.agents (id, status) VALUES (1, 'x')
                """)
            #expect(
                try await db.events("event_type, data").sorted() == [
                    #"all|{"n": null, "id": 1, "org": null, "label": "x!", "owner": null, "secret": null, "status": "x"}"#,
                    "none|{}", #"some|{"id": 1, "status": "x"}"#,
                ])
        }
    }

    @Test func conditionOnOldAndNewPicksTheRowsThatChanged() async throws {
        try await withRollback { db in
            try await agents(db, "'agent.updated', '{update}', 'NEW.status IS DISTINCT FROM OLD.status', columns => '{id}'")
            try await db.run("INSERT INTO d.agents (id, status) SELECT n, 'new' FROM generate_series(1, 5) AS n")
            try await db.run("UPDATE d.agents SET status = CASE WHEN id > 3 THEN 'old' ELSE status END, n = 1")
            #expect(try await db.events("record_id") == ["4", "5"])
            try await db.run("UPDATE d.agents SET n = 2; UPDATE d.agents SET status = NULL WHERE id = 1")
            #expect(try await db.events("record_id") == ["4", "5", "1"])
        }
    }

    @Test func conditionServesInsertAndUpdateAtOnce() async throws {
        try await withRollback { db in
            try await agents(
                db, "'agent.connected', '{insert,update}', $$NEW.status = 'connected' AND OLD.status IS DISTINCT FROM 'connected'$$")
            try await db.run("INSERT INTO d.agents (id, status) VALUES (1, 'connected'), (2, 'new')")
            try await db.run("UPDATE d.agents SET status = 'connected'; UPDATE d.agents SET n = 5")
            #expect(try await db.events("record_id") == ["1", "2"])
        }
    }

    @Test func oldAndNewAreSentTogetherWhenAsked() async throws {
        try await withRollback { db in
            try await agents(
                db, "'agent.changed', '{insert,update,delete}', include_old => true, columns => '{id,status}'")
            try await db.run("INSERT INTO d.agents (id, status) VALUES (1, 'a')")
            try await db.run("UPDATE d.agents SET status = 'b'")
            try await db.run("DELETE FROM d.agents")
            #expect(
                try await db.events("data, record_id") == [
                    #"{"new": {"id": 1, "status": "a"}, "old": null}|1"#,
                    #"{"new": {"id": 1, "status": "b"}, "old": {"id": 1, "status": "a"}}|1"#,
                    #"{"new": null, "old": {"id": 1, "status": "b"}}|1"#,
                ])
        }
    }

    @Test func deleteSendsTheOldRow() async throws {
        try await withRollback { db in
            try await agents(db, "'agent.deleted', '{delete}', columns => '{id,status}', organization_id => 'org'")
            try await db.run("INSERT INTO d.agents (id, status, org) VALUES (1, 'a', 'o'), (2, 'b', 'o')")
            try await db.run("DELETE FROM d.agents WHERE id = 2")
            #expect(
                try await db.events("event_type, record_id, organization_id, data")
                    == [#"agent.deleted|2|o|{"id": 2, "status": "b"}"#])
        }
    }

    @Test func eventTypeComesFromAnExpressionAndNullMakesNoEvent() async throws {
        try await withRollback { db in
            try await agents(
                db,
                "operations => '{insert,delete}', event_type_expression => $$'agent.' || coalesce(NEW.status, OLD.status) || '.' || lower(TG_OP)$$")
            try await db.run("INSERT INTO d.agents (id, status) VALUES (1, 'vip'), (2, NULL)")
            try await db.run("DELETE FROM d.agents")
            #expect(try await db.events("event_type, record_id") == ["agent.vip.insert|1", "agent.vip.delete|1"])
        }
    }

    /// The planner folds an expression over a row of nulls, and must not call what checks its result.
    @Test func eventTypeThatIsNullForAnOperationMakesNoEventThere() async throws {
        try await withRollback { db in
            try await agents(db, "operations => '{insert,update,delete}', event_type_expression => $$'agent.' || NEW.status$$")
            try await db.run(
                """
                INSERT INTO d.agents (id, status) VALUES (1, 'a'), (2, NULL);
                UPDATE d.agents SET status = 'b' WHERE id = 1;
                DELETE FROM d.agents
                """)
            #expect(try await db.events("event_type") == ["agent.a", "agent.b"])
        }
    }

    @Test func expressionThatGivesABadTypeUndoesTheStatementAndNamesItself() async throws {
        try await withRollback { db in
            try await agents(db, "event_type_expression => 'NEW.status', name => 'by status'")
            let error = try await db.refusal(
                "INSERT INTO d.agents (id, status) VALUES (1, 'fine'), (2, 'not fine')")
            #expect(error.sqlState == "22023")
            #expect(error.message == "not an event type: 'not fine' (attachment by status of d.agents)")
            #expect(error.hint?.contains("dotted words") == true)
            #expect(try await db.count("d.agents") == 0)
            #expect(try await db.count("postrider.webhook_event_log") == 0)
            #expect(try await db.count("postrider.webhook_queue") == 0)
        }
    }

    @Test func settingsAreColumnsOrExpressions() async throws {
        try await withRollback { db in
            try await agents(
                db,
                """
                'agent.created', columns => '{}', organization_id => $$upper(NEW.org)$$, user_id => 'owner',
                record_id => $$NEW.id || '/' || NEW.n$$, ordering_key => 'status', priority => 'n'
                """)
            try await db.run("INSERT INTO d.agents (id, org, owner, status, n) VALUES (1, 'acme', 'ana', 'key', 2)")
            #expect(
                try await db.events("organization_id, user_id, record_id, ordering_key, priority") == ["ACME|ana|1/2|key|2"])
        }
    }

    @Test func priorityIsBroughtIntoRange() async throws {
        try await withRollback { db in
            try await agents(db, "'by.column', priority => 'n', columns => '{}'")
            try await db.run(
                """
                SELECT postrider.attach('d.agents', 'by.word', priority => 'high', columns => '{}');
                SELECT postrider.attach('d.agents', 'by.expression', columns => '{}', priority => 'CASE WHEN NEW.n > 5 THEN 0 ELSE 2 END')
                """)
            try await db.run("INSERT INTO d.agents (id, n) VALUES (1, -5), (2, 0), (3, 77), (4, NULL)")
            #expect(
                try await db.lines(
                    "SELECT event_type, string_agg(priority::text, ',' ORDER BY id) FROM postrider.webhook_events GROUP BY 1 ORDER BY 1")
                    == ["by.column|0,0,2,1", "by.expression|2,2,0,2", "by.word|0,0,0,0"])
        }
    }

    @Test func keyOfSeveralColumnsIsJoinedAndNoKeyIsNull() async throws {
        try await withRollback { db in
            try await db.run(
                """
                CREATE TABLE pair (b text, a int, PRIMARY KEY (a, b));
                CREATE TABLE keyless (a int);
                SELECT postrider.attach('pair', 'pair.created'), postrider.attach('keyless', 'keyless.created');
                INSERT INTO pair VALUES ('x', 7);
                INSERT INTO keyless VALUES (1)
                """)
            #expect(try await db.events("table_name, record_id") == ["public.pair|7:x", "public.keyless|∅"])
        }
    }

    @Test func plainTriggersFunctionsAndCascadesCountAsWell() async throws {
        try await withRollback { db in
            try await db.run(
                """
                CREATE TABLE parent (id int PRIMARY KEY);
                CREATE TABLE child (id int PRIMARY KEY, parent int REFERENCES parent ON DELETE CASCADE);
                SELECT postrider.attach('child', 'child.gone', '{delete}');
                INSERT INTO parent VALUES (1), (2);
                INSERT INTO child VALUES (10, 1), (11, 1), (12, 2);
                DELETE FROM parent WHERE id = 1
                """)
            #expect(try await db.events("event_type, record_id") == ["child.gone|10", "child.gone|11"])
        }
    }
}
