// Attachments over time: replaced, removed, and brought up to date when their tables change.

import Postgres
import Testing

@Suite struct AttachUpkeepTests {
    private let problems = "SELECT problem, cure FROM postrider.webhook_attachment_check ORDER BY problem"
    private let refresh = "SELECT postrider.refresh_attachments('public.t');"

    private func table(_ db: TestDatabase, _ attachment: String) async throws {
        try await db.run(
            """
            CREATE TABLE t (id int PRIMARY KEY, v text, n int, secret text);
            SELECT postrider.attach('t', \(attachment))
            """)
    }

    @Test func sameNameReplaces() async throws {
        try await withDatabase { db in
            try await table(db, "'t.changed', '{update,delete}', name => 'it'")
            let triggers = "SELECT tgname FROM pg_trigger WHERE tgrelid = 't'::regclass AND NOT tgisinternal ORDER BY 1"
            #expect(try await db.lines(triggers) == ["webhook_1_delete", "webhook_1_truncate", "webhook_1_update"])
            try await db.run("SELECT postrider.attach('t', 't.created', '{insert}', name => 'it')")
            #expect(try await db.lines(triggers) == ["webhook_1_insert"])
            try await db.run("INSERT INTO t VALUES (1); UPDATE t SET n = 1; DELETE FROM t")
            #expect(try await db.events("event_type") == ["t.created"])
            #expect(try await db.lines("SELECT name, event_type, operations FROM postrider.webhook_attachments") == ["it|t.created|{insert}"])
        }
    }

    @Test func nameIsTheEventTypeOrTheOperations() async throws {
        try await withRollback { db in
            try await table(db, "'t.created'")
            #expect(
                try await db.line("SELECT postrider.attach('t', operations => '{UPDATE,Delete}', event_type_expression => 'OLD.v')")
                    == "delete or update")
            #expect(try await db.line("SELECT postrider.detach('t', 't.created')") == "1")
            #expect(try await db.line("SELECT postrider.detach('t')") == "1")
            #expect(try await db.count("pg_trigger WHERE tgrelid = 't'::regclass AND NOT tgisinternal") == 0)
        }
    }

    @Test func newColumnIsSentWhereNoListSaysOtherwise() async throws {
        try await withRollback { db in
            try await table(db, "'t.all', condition => 'true'")
            try await db.run(
                """
                SELECT postrider.attach('t', 't.except', except_columns => '{secret}');
                ALTER TABLE t ADD COLUMN extra int;
                INSERT INTO t (id, extra) VALUES (1, 7)
                """)
            #expect(try await db.takeEvents("event_type, data ? 'extra'").sorted() == ["t.all|t", "t.except|f"])
            #expect(try await db.lines(problems) == ["column extra is new and not sent|\(refresh)"])
            try await db.run("\(refresh) INSERT INTO t (id, extra) VALUES (2, 7)")
            #expect(try await db.events("event_type, data ? 'extra', data ? 'secret'").sorted() == ["t.all|t|t", "t.except|t|f"])
            #expect(try await db.lines(problems) == [])
        }
    }

    @Test func droppedColumnFailsLoudlyAndRefreshMends() async throws {
        try await withRollback { db in
            try await table(db, "'t.some', columns => '{id,n}'")
            try await db.run("ALTER TABLE t DROP COLUMN n")
            let found = try await db.lines(problems)
            #expect(found.count == 1 && found[0].hasPrefix("statements that should make events fail: "), "\(found)")
            #expect(try await db.refusal("INSERT INTO t (id) VALUES (1)").sqlState == "42703")
            try await db.run("\(refresh) INSERT INTO t (id) VALUES (1)")
            #expect(try await db.events("data") == [#"{"id": 1}"#])
            #expect(try await db.lines(problems) == [])
        }
    }

    @Test func renamedColumnIsStillLeftOut() async throws {
        try await withRollback { db in
            try await table(db, "'t.created', except_columns => '{secret,v}'")
            try await db.run("ALTER TABLE t RENAME COLUMN secret TO hidden; \(refresh) INSERT INTO t (id, hidden) VALUES (1, 'x')")
            #expect(try await db.events("data") == [#"{"n": null, "id": 1}"#])
            #expect(try await db.lines("SELECT except_columns FROM postrider.webhook_attachments") == ["{v,hidden}"])
            #expect(try await db.lines(problems) == [])
        }
    }

    @Test func droppedColumnOfAConditionIsReportedAndCannotBeRefreshed() async throws {
        try await withRollback { db in
            try await table(db, "'t.updated', '{update}', 'NEW.n > OLD.n'")
            try await db.run("ALTER TABLE t DROP COLUMN n")
            #expect(try await db.lines(problems).count == 1)
            let error = try await db.refusal(refresh)
            #expect(error.sqlState == "42703" && error.message.contains("attachment of public.t"))
            try await db.run("SELECT postrider.attach('t', 't.updated', '{update}')")
            #expect(try await db.lines(problems) == [])
        }
    }

    @Test func renamedTableIsReportedAndRefreshed() async throws {
        try await withRollback { db in
            try await table(db, "'t.created'")
            try await db.run("ALTER TABLE t RENAME TO u; INSERT INTO u VALUES (1)")
            #expect(
                try await db.lines(problems) == [
                    "the table was renamed; events still carry the old name|SELECT postrider.refresh_attachments('public.u');"
                ])
            try await db.run("SELECT postrider.refresh_attachments('public.u'); INSERT INTO u VALUES (2)")
            #expect(try await db.events("table_name") == ["public.t", "public.u"])
            #expect(try await db.lines(problems) == [])
        }
    }

    @Test func renamedTableIsWrittenOnWhereNoExpressionNamesARowThatIsNotThere() async throws {
        try await withRollback { db in
            try await table(db, "'t.changed', '{insert,update,delete,truncate}', name => 'it'")
            try await db.run("ALTER TABLE t RENAME TO u; INSERT INTO u VALUES (1); UPDATE u SET n = 2; DELETE FROM u; TRUNCATE u")
            #expect(try await db.events("event_type") == Array(repeating: "t.changed", count: 4))
        }
    }

    /// A row of nulls is of the table's type, which is written by its name.
    @Test(arguments: ["'{insert}', 'OLD.id IS NULL'", "'{delete}', 'NEW.id IS NULL'"])
    func renamedTableOfSuchAnExpressionIsToldToFail(attachment: String) async throws {
        try await withRollback { db in
            try await table(db, "'t.changed', \(attachment), name => 'it'")
            try await db.run("ALTER TABLE t RENAME TO u")
            #expect(try await db.refusal("INSERT INTO u VALUES (1); DELETE FROM u").sqlState == "42704")
            #expect(
                try await db.lines(problems) == [
                    "statements that should make events fail: the table was renamed|SELECT postrider.refresh_attachments('public.u');"
                ])
            try await db.run("SELECT postrider.refresh_attachments('public.u'); INSERT INTO u VALUES (1); DELETE FROM u")
            #expect(try await db.events("table_name") == ["public.u"])
            #expect(try await db.lines(problems) == [])
        }
    }

    @Test func tableThatTookTheNameOfAnotherIsReported() async throws {
        try await withRollback { db in
            try await table(db, "'t.created'")
            try await db.run("ALTER TABLE t RENAME TO old; CREATE TABLE t (LIKE old INCLUDING ALL)")
            let found = try await db.lines(problems)
            #expect(found.count == 1 && found[0].contains("what has it now is not attached by this"), "\(found)")
        }
    }

    @Test func tableThatHasAnotherOwnerIsReportedAndRefreshed() async throws {
        try await withDatabase { db in
            try await withRoles(db, 1) { roles in
                try await table(db, "'t.created'")
                try await db.run("GRANT postrider_producer TO \(roles[0]); ALTER TABLE t OWNER TO \(roles[0])")
                #expect(
                    try await db.lines(problems)
                        == ["the table has another owner; its events are made with the rights of the one before|\(refresh)"])
                try await db.run("\(refresh) INSERT INTO t VALUES (1)")
                #expect(try await db.lines(problems) == [])
                #expect(try await db.events("event_type") == ["t.created"])
            }
        }
    }

    /// Producers may make functions in that schema.
    @Test func functionThatOnlyHasTheNameOfATriggerFunctionIsPassedOver() async throws {
        try await withDatabase { db in
            try await withRoles(db, 1) { roles in
                try await table(db, "'t.created', condition => 'OLD.v IS NULL'")
                try await db.run(
                    """
                    CREATE FUNCTION postrider_attached.webhook_1(n int) RETURNS int LANGUAGE sql AS 'SELECT n';
                    ALTER FUNCTION postrider_attached.webhook_1(int) OWNER TO \(roles[0])
                    """)
                #expect(try await db.lines(problems) == [])
                try await db.run("ALTER TABLE t RENAME TO u")
                #expect(
                    try await db.lines(problems) == [
                        "statements that should make events fail: the table was renamed|SELECT postrider.refresh_attachments('public.u');"
                    ])
            }
        }
    }

    /// A restore of one table brings its triggers along, which call the function of the attachment that it had.
    @Test(arguments: [false, true]) func tableThatWasMadeAgainIsAttachedByRefreshing(hasTriggers: Bool) async throws {
        try await withDatabase { db in
            try await table(db, "'t.changed', '{insert,delete}', except_columns => '{secret}', name => 'it'")
            try await db.run("DROP TABLE t; CREATE TABLE t (id int PRIMARY KEY, v text, n int, secret text)")
            if hasTriggers {
                try await db.run(
                    """
                    CREATE TRIGGER webhook_1_insert AFTER INSERT ON t REFERENCING NEW TABLE AS new_rows
                        FOR EACH STATEMENT EXECUTE FUNCTION postrider_attached.webhook_1();
                    CREATE TRIGGER webhook_1_truncate BEFORE TRUNCATE ON t
                        FOR EACH STATEMENT EXECUTE FUNCTION postrider.refuse_truncate()
                    """)
            }
            #expect(
                try await db.lines(problems)
                    == ["the table was dropped; another one has its name|SELECT postrider.refresh_attachments();"])
            #expect(try await db.line("SELECT postrider.refresh_attachments()") == "1")
            #expect(try await db.lines(problems) == [])
            #expect(try await db.lines("SELECT target, name FROM postrider.webhook_attachments") == ["t|it"])
            #expect(try await db.count("pg_trigger WHERE tgrelid = 't'::regclass AND NOT tgisinternal") == 3)
            try await db.run("INSERT INTO t VALUES (1, 'a', 2, 'b'); DELETE FROM t")
            let event = #"t.changed|{"n": 2, "v": "a", "id": 1}"#
            #expect(try await db.events("event_type, data") == [event, event])
        }
    }

    /// A denial names the table by its number, and the table that was made again has another one.
    @Test func whatWasDeniedOfATableThatWasMadeAgainStaysDenied() async throws {
        try await withRollback { db in
            try await table(db, "'t.created'")
            try await db.run(
                """
                SELECT postrider.attach('t', 't.deleted', '{delete}'); SELECT postrider.deny_column('t', 'secret');
                DROP TABLE t; CREATE TABLE t (id int PRIMARY KEY, v text, n int, secret text)
                """)
            #expect(try await db.line("SELECT postrider.refresh_attachments()") == "2")
            try await db.run("INSERT INTO t VALUES (1, 'a', 2, 'b'); DELETE FROM t")
            let event = #"{"n": 2, "v": "a", "id": 1}"#
            #expect(try await db.events("data") == [event, event])
            #expect(
                try await db.lines("SELECT target, column_name, place IS NOT NULL FROM postrider.webhook_denied_columns")
                    == ["t|secret|t"])
            #expect(try await db.lines(problems) == [])
        }
    }

    /// Expressions run with the rights of the owner: they are not handed on to somebody else's table.
    @Test func tableOfAnotherOwnerIsNotAttachedByRefreshing() async throws {
        try await withRollback { db in
            try await table(db, "'t.created'")
            try await db.run(
                """
                CREATE ROLE test_next_owner; GRANT postrider_producer TO test_next_owner;
                DROP TABLE t; CREATE TABLE t (id int PRIMARY KEY); ALTER TABLE t OWNER TO test_next_owner
                """)
            try await db.run("SELECT postrider.refresh_attachments()")
            #expect(try await db.count("postrider.webhook_attachments") == 0)
        }
    }

    @Test func droppedTableIsReportedAndCleanedUp() async throws {
        try await withRollback { db in
            try await table(db, "'t.created'")
            try await db.run("DROP TABLE t")
            #expect(try await db.lines(problems) == ["the table was dropped|SELECT postrider.refresh_attachments();"])
            #expect(try await db.line("SELECT postrider.refresh_attachments()") == "1")
            #expect(try await db.count("postrider.webhook_attachments") == 0)
            #expect(try await db.count("pg_proc WHERE pronamespace = 'postrider_attached'::regnamespace") == 0)
        }
    }

    @Test func disabledTriggerIsReportedWithItsCure() async throws {
        try await withDatabase { db in
            try await table(db, "'t.created'")
            try await db.run("ALTER TABLE t DISABLE TRIGGER USER")
            let found = try await db.lines(problems)
            #expect(found == ["the trigger is disabled|ALTER TABLE t ENABLE TRIGGER webhook_1_insert;"])
            try await db.run("ALTER TABLE t ENABLE TRIGGER webhook_1_insert")
            #expect(try await db.lines(problems) == [])
        }
    }

    @Test func droppedTriggerIsReportedAndRefreshed() async throws {
        try await withDatabase { db in
            try await table(db, "'t.created'")
            try await db.run("DROP TRIGGER webhook_1_insert ON t")
            #expect(try await db.lines(problems) == ["the trigger is missing|\(refresh)"])
            try await db.run("\(refresh) INSERT INTO t VALUES (1)")
            #expect(try await db.count("postrider.webhook_event_log") == 1)
        }
    }

    /// From `jit_above_cost` on, 100,000, the plan is compiled, which takes seconds; the answer takes milliseconds.
    @Test func lookingForFaultsIsTooCheapToBeCompiled() async throws {
        try await withDatabase { db in
            try await table(db, "'t.created'")
            for analyzed in [false, true] {
                if analyzed { try await db.run("ANALYZE postrider.webhook_attachments") }
                let plan = try await Plan.of("SELECT * FROM postrider.webhook_attachment_check", in: db)
                #expect(plan.cost < 100_000, "analyzed: \(analyzed)")
            }
        }
    }
}
