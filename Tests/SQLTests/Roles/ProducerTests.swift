// What a producer can do, and every road to a secret that it cannot go.

import Foundation
import Postgres
import Testing

@Suite struct ProducerTests {
    /// A secret that no message may hold.
    private static let secret = "whsec_dGhlIHNlY3JldCB0aGF0IG5vYm9keSBtYXkgc2Vl"

    private func endpoint(_ db: TestDatabase) async throws {
        try await db.run(
            """
            INSERT INTO postrider.webhook_endpoints (name, url, events, secret)
            VALUES ('secretive', 'https://example.com/', '{*}', '\(Self.secret)')
            """)
    }

    @Test func eventsAreWrittenByEmitAndByInsertAndQueued() async throws {
        try await withMembers { db, members in
            let producer = try await members.connect(.producer)
            try await producer.run(
                """
                SELECT postrider.emit('a.emitted', '{}');
                INSERT INTO postrider.webhook_events (event_type, data) SELECT 'a.inserted', '{}' FROM generate_series(1, 70)
                """)
            #expect(try await db.count("postrider.webhook_event_log") == 71)
            #expect(try await db.count("postrider.webhook_queue") == 3)
        }
    }

    @Test func ownTableIsAttachedWrittenAndDetached() async throws {
        try await withMembers { db, members in
            try await db.run("CREATE SCHEMA app AUTHORIZATION \(members[.producer])")
            let producer = try await members.connect(.producer)
            try await producer.run(
                """
                CREATE TABLE app.lead (id int PRIMARY KEY, name text);
                SELECT postrider.attach('app.lead', 'lead.changed', '{insert,update,delete}', condition => 'NEW.id IS NULL OR NEW.id < 9')
                """)
            try await producer.run("INSERT INTO app.lead VALUES (1, 'a'), (9, 'b'); UPDATE app.lead SET name = 'c'; DELETE FROM app.lead")
            #expect(try await producer.lines("SELECT * FROM postrider.webhook_attachment_check") == [])
            #expect(try await producer.lines("SELECT postrider.refresh_attachments()") == ["1"])
            #expect(try await producer.lines("SELECT postrider.detach('app.lead')") == ["1"])
            #expect(try await db.events("event_type, record_id") == ["lead.changed|1", "lead.changed|1", "lead.changed|1", "lead.changed|9"])
        }
    }

    @Test func attachmentsOfOthersAreNeitherSeenNorChanged() async throws {
        try await withMembers { db, members in
            try await db.run("CREATE TABLE t (id int PRIMARY KEY); SELECT postrider.attach('t', 't.changed')")
            let producer = try await members.connect(.producer)
            #expect(try await producer.lines("SELECT count(*) FROM postrider.webhook_attachments") == ["0"])
            let changed = try await producer.run("UPDATE postrider.webhook_attachments SET condition = 'false'")
            #expect(changed.last?.count == 0)
            #expect(try await db.count("postrider.webhook_attachments WHERE condition IS NULL") == 1)
            let error = try await producer.refusal(
                """
                INSERT INTO postrider.webhook_attachments (target, name, table_name, operations, event_type, event_source, include_old)
                VALUES ('t', 'mine', 't', '{insert}', 'a.b', 'trigger', false)
                """)
            #expect(error.sqlState == "42501")
            #expect(try await producer.refusal("SELECT postrider.detach('t', 't.changed')").sqlState == "42704")
        }
    }

    /// An immutable function is called when a statement is planned: a superuser who only looked would have lent its rights.
    @Test func expressionsAreNotRunForThoseWhoLookAtThem() async throws {
        try await withMembers { db, members in
            try await db.run("CREATE SCHEMA app AUTHORIZATION \(members[.producer])")
            let producer = try await members.connect(.producer)
            try await producer.run(
                """
                GRANT USAGE ON SCHEMA app TO PUBLIC;
                CREATE TABLE app.t (id int PRIMARY KEY);
                CREATE TABLE app.caught (who text);
                GRANT INSERT ON app.caught TO PUBLIC;
                CREATE FUNCTION app.evil() RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
                BEGIN PERFORM set_config('app.caught', concat(current_setting('app.caught', true), ' ', current_user), false); RETURN true; END $$;
                SELECT postrider.attach('app.t', 'a.b', condition => 'app.evil()', record_id => 'app.evil()')
                """)
            // Planning did call it, for its own owner.
            #expect(try await producer.lines("SELECT current_setting('app.caught') ~ '\(members[.producer])'") == ["t"])
            let auditor = try await members.connect(.auditor)
            for connection in [db.connection, auditor] {
                #expect(try await connection.lines("SELECT problem FROM postrider.webhook_attachment_check") == [])
                #expect(try await connection.lines("SELECT coalesce(current_setting('app.caught', true), '')") == [""])
            }
            try await db.run("SELECT postrider.refresh_attachments()")
            #expect(try await db.line("SELECT coalesce(current_setting('app.caught', true), '')") == "")
            // What is wrong with expressions is told to those whose they are; with columns, to all.
            try await producer.run("UPDATE postrider.webhook_attachments SET record_id = 'NEW.other'")
            let problems = "SELECT problem FROM postrider.webhook_attachment_check"
            #expect(try await producer.lines(problems).count == 1)
            #expect(try await db.lines(problems) == [])
            try await producer.run(
                """
                UPDATE postrider.webhook_attachments SET record_id = 'id', sent_columns = '{id,gone}';
                ALTER TABLE app.t ADD COLUMN other int
                """)
            for connection in [db.connection, producer] {
                #expect(try await connection.lines(problems).contains { $0.contains("app.t is not valid for insert") })
            }
        }
    }

    /// A literal of an array or a row over a domain is judged when a statement is analysed, and anybody may make a domain.
    @Test func rulesOfDomainsAreNotAskedForThoseWhoLook() async throws {
        try await withMembers { db, members in
            try await db.run("CREATE SCHEMA app AUTHORIZATION \(members[.producer])")
            let producer = try await members.connect(.producer)
            try await producer.run(
                """
                GRANT USAGE ON SCHEMA app TO PUBLIC;
                CREATE FUNCTION app.evil(text) RETURNS boolean LANGUAGE plpgsql AS $$
                BEGIN PERFORM set_config('app.caught', concat(current_setting('app.caught', true), ' ', current_user), false); RETURN true; END $$;
                CREATE DOMAIN app.d AS text CHECK (app.evil(VALUE));
                CREATE TABLE app.t (id int PRIMARY KEY);
                CREATE TABLE app.tagged (id int PRIMARY KEY, tags app.d[]);
                SELECT postrider.attach('app.t', 'a.b', condition => $$('{x}'::app.d[])[1] IS NOT NULL$$, record_id => $$('{x}'::app.d[])[1]$$)
                """)
            #expect(try await producer.lines("SELECT current_setting('app.caught') ~ '\(members[.producer])'") == ["t"])
            let auditor = try await members.connect(.auditor)
            for connection in [db.connection, auditor] {
                #expect(try await connection.lines("SELECT problem FROM postrider.webhook_attachment_check") == [])
                #expect(try await connection.lines("SELECT coalesce(current_setting('app.caught', true), '')") == [""])
            }
            try await db.run(
                """
                SELECT postrider.refresh_attachments(), postrider.deny_column(NULL, 'ssn');
                SELECT postrider.attach('app.tagged', 'a.c', condition => $$NEW.tags = '{vip}'$$)
                """)
            #expect(try await db.line("SELECT coalesce(current_setting('app.caught', true), '')") == "")
            // Words of one's own are tried where all types are one's own or Postgres'.
            let wrong = try await db.refusal("SELECT postrider.attach('app.t', 'a.d', condition => 'NEW.none')")
            #expect(wrong.sqlState == "42703", "\(wrong)")
        }
    }

    /// Triggers and grants on a function outlive its replacement and its change of owner.
    @Test func functionMadeBeforehandIsNotTakenForTheAttachments() async throws {
        try await withMembers { db, members in
            try await db.run("CREATE SCHEMA app AUTHORIZATION \(members[.producer])")
            let producer = try await members.connect(.producer)
            try await producer.run(
                """
                CREATE FUNCTION postrider_attached.webhook_1() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
                GRANT EXECUTE ON FUNCTION postrider_attached.webhook_1() TO PUBLIC;
                CREATE TABLE app.bait (id int);
                CREATE TRIGGER bait AFTER INSERT ON app.bait REFERENCING NEW TABLE AS new_rows
                    FOR EACH STATEMENT EXECUTE FUNCTION postrider_attached.webhook_1()
                """)
            try await db.run("CREATE TABLE t (id int PRIMARY KEY); SELECT postrider.attach('t', 't.made')")
            let triggers = "SELECT tgrelid::regclass FROM pg_trigger WHERE tgfoid = 'postrider_attached.webhook_1()'::regprocedure"
            #expect(try await db.lines(triggers) == ["t"])
            let open = "SELECT has_function_privilege('\(members[.producer])', 'postrider_attached.webhook_1()', 'EXECUTE')"
            #expect(try await db.line(open) == "f")
            try await producer.run("INSERT INTO app.bait VALUES (1)")
            try await db.run("INSERT INTO t VALUES (1)")
            #expect(try await db.events("event_type") == ["t.made"])
        }
    }

    /// They would get the rights of who owns the table now.
    @Test(arguments: [false, true]) func expressionsOfAnOwnerBeforeAreNotRebuilt(isDropped: Bool) async throws {
        try await withMembers { db, members in
            try await db.run("CREATE SCHEMA app AUTHORIZATION \(members[.producer])")
            let producer = try await members.connect(.producer)
            try await producer.run(
                """
                CREATE TABLE app.t (id int PRIMARY KEY);
                SELECT postrider.attach('app.t', 'a.b', condition => 'NEW.id > 0')
                """)
            try await db.run("ALTER TABLE app.t OWNER TO current_user")
            if isDropped { try await producer.run("DROP FUNCTION postrider_attached.webhook_1() CASCADE") }
            let error = try await db.refusal("SELECT postrider.refresh_attachments('app.t')")
            #expect(error.sqlState == "42501" && error.hint?.contains("name => 'a.b'") == true, "\(error)")
            try await db.run("SELECT postrider.attach('app.t', 'a.b', condition => 'NEW.id > 1'); INSERT INTO app.t VALUES (1), (2)")
            #expect(try await db.events("record_id") == ["2"])
            #expect(try await db.lines("SELECT problem FROM postrider.webhook_attachment_check") == [])
        }
    }

    /// Its owner may give it columns of types whose casts are functions.
    @Test func inheritingTableOfAnotherOwnerIsRefused() async throws {
        try await withMembers { db, members in
            try await db.run(
                """
                CREATE TABLE parent (id int); CREATE TABLE child () INHERITS (parent);
                ALTER TABLE child OWNER TO \(members[.producer])
                """)
            let error = try await db.refusal("SELECT postrider.attach('parent', 'a.b')")
            #expect(error.sqlState == "42501" && error.message.contains("child inherits from"), "\(error)")
        }
    }

    /// A column of such a type would keep upkeep from dropping the partition.
    @Test func rowTypesOfPartitionsAreNobodys() async throws {
        try await withMembers { db, members in
            let producer = try await members.connect(.producer)
            let error = try await producer.refusal("CREATE TEMP TABLE pin (a postrider.webhook_event_log_later)")
            #expect(error.sqlState == "42501" && error.message.contains("permission denied for type"), "\(error)")
        }
    }

    /// Expressions are pasted into statements: one that ended its statement had the next run by a superuser who only looked.
    @Test func secondStatementIsNotRun() async throws {
        try await withMembers { db, members in
            try await db.run("CREATE SCHEMA app AUTHORIZATION \(members[.producer])")
            let producer = try await members.connect(.producer)
            try await producer.run("GRANT USAGE ON SCHEMA app TO PUBLIC; CREATE TABLE app.t (id int PRIMARY KEY)")
            // What follows the second statement makes a third of what is left of the first: all of it can be analysed.
            let injected = """
                'a')) AS e; ALTER ROLE \(members[.producer]) CREATEROLE; WITH new_rows AS (TABLE app.t), tg AS (SELECT 1)
                SELECT 1 FROM tg CROSS JOIN LATERAL (SELECT (1
                """
            let insert = """
                INSERT INTO postrider.webhook_attachments
                    (target, name, table_name, operations, event_type, event_source, include_old, record_id)
                VALUES ('app.t', 'mine', 'app.t', '{insert}', 'a.b', 'trigger', false, $$\(injected)$$)
                """
            let condition = try await producer.refusal(
                insert.replacingOccurrences(of: "record_id)", with: "condition)"))
            #expect(condition.sqlState == "23514" && condition.message.contains("expressions_hold_no_semicolon"), "\(condition)")
            let attached = try await producer.refusal("SELECT postrider.attach('app.t', 'a.b', record_id => $$\(injected)$$)")
            #expect(attached.sqlState == "22023" && attached.hint?.contains("chr(59)") == true, "\(attached)")
            // Nor is it run where nothing keeps it from being stored, since it might name a column: by those who may plan
            // it, by those who may not, and by those who may write nothing.
            try await producer.run("SELECT postrider.attach('app.t', 'a.b', name => 'mine')")
            try await producer.run("UPDATE postrider.webhook_attachments SET record_id = $$\(injected)$$")
            let auditor = try await members.connect(.auditor)
            try await auditor.run("SET default_transaction_read_only = on")
            for connection in [db.connection, auditor, producer] {
                let problems = try await connection.lines("SELECT problem FROM postrider.webhook_attachment_check")
                // Only those whose words they are analyse them at all.
                #expect(problems.contains { $0.contains("app.t is not valid for insert") } == (connection === producer), "\(problems)")
            }
            #expect(try await db.refusal("SELECT postrider.refresh_attachments()").sqlState == "22023")
            #expect(try await db.line("SELECT rolcreaterole FROM pg_roles WHERE rolname = '\(members[.producer])'") == "f")
        }
    }

    /// The id names a function, and that of a row which is gone may stand: whoever attaches what has its name builds it anew.
    @Test func idOfAnAttachmentIsNeverTheProducersChoice() async throws {
        try await withMembers { db, members in
            try await db.run("CREATE SCHEMA app AUTHORIZATION \(members[.producer])")
            let producer = try await members.connect(.producer)
            try await producer.run("CREATE TABLE app.t (id int PRIMARY KEY)")
            let error = try await producer.refusal(
                """
                INSERT INTO postrider.webhook_attachments (id, target, name, table_name, operations, event_type, event_source, include_old)
                OVERRIDING SYSTEM VALUE VALUES (9, 'app.t', 'mine', 'app.t', '{insert}', 'a.b', 'trigger', false)
                """)
            #expect(error.sqlState == "42501" && error.message.contains("permission denied"), "\(error)")
        }
    }

    /// Policies of roles add up: that of auditors lets every row be read, and would let every row be written.
    @Test func producerWhoIsAnAuditorTooWritesRowsOfItsOwnTablesOnly() async throws {
        try await withMembers { db, members in
            try await db.run(
                """
                CREATE TABLE t (id int PRIMARY KEY); SELECT postrider.attach('t', 't.changed');
                CREATE SCHEMA app AUTHORIZATION \(members[.producer]);
                GRANT postrider_auditor TO \(members[.producer])
                """)
            let producer = try await members.connect(.producer)
            try await producer.run("CREATE TABLE app.t (id int PRIMARY KEY); SELECT postrider.attach('app.t', 'a.b')")
            #expect(try await producer.lines("SELECT count(*) FROM postrider.webhook_attachments") == ["2"])
            for statement in [
                """
                INSERT INTO postrider.webhook_attachments (target, name, table_name, operations, event_type, event_source, include_old)
                VALUES ('t', 'mine', 't', '{insert}', 'a.b', 'trigger', false)
                """,
                "UPDATE postrider.webhook_attachments SET target = 't' WHERE target = 'app.t'::regclass",
            ] {
                let error = try await producer.refusal(statement)
                #expect(error.sqlState == "42501" && error.message.contains("row-level security"), "\(error)")
            }
            try await producer.run("UPDATE postrider.webhook_attachments SET condition = 'true'")
            #expect(try await db.lines("SELECT target FROM postrider.webhook_attachments WHERE condition = 'true'") == ["app.t"])
            #expect(try await producer.refusal("SELECT postrider.detach('t', 't.changed')").sqlState == "42704")
            try await producer.run("DELETE FROM postrider.webhook_attachments")
            #expect(try await db.lines("SELECT target FROM postrider.webhook_attachments") == ["t"])
        }
    }

    @Test(arguments: [
        "SELECT secret FROM postrider.webhook_secrets", "SELECT count(*) FROM postrider.webhook_secrets",
        "SELECT secret FROM postrider.webhook_endpoints", "SELECT secret FROM postrider.n8n_workflows",
        "SELECT postrider.secret_hint(1)", "SELECT postrider.rotate_secret(gen_random_uuid())",
        "SELECT postrider.set_secret(1, 'mine', '0')", "TABLE postrider.webhook_destination_headers",
        "INSERT INTO postrider.webhook_secrets VALUES (1, 2, 'mine')", "UPDATE postrider.webhook_secrets SET secret = 'mine'",
        "SELECT * FROM postrider.webhook_event_log", "SELECT status FROM postrider.webhook_events",
        "SELECT * FROM postrider.webhook_attempts", "SELECT * FROM postrider.webhook_deliveries",
        "INSERT INTO postrider.webhook_events (event_type, data) VALUES ('a.b', '{}') RETURNING data",
        "SELECT postrider.emit('a.b', (SELECT to_jsonb(s) FROM postrider.webhook_secrets AS s LIMIT 1))",
        "INSERT INTO postrider.webhook_event_log (event_type, data) SELECT 'a.b', to_jsonb(s) FROM postrider.webhook_secrets AS s",
        "COPY postrider.webhook_secrets TO STDOUT", "CREATE TABLE postrider.mine (id int)",
        "CREATE FUNCTION postrider.emit(text) RETURNS text LANGUAGE sql AS 'SELECT $1'",
        "SELECT postrider.grant_roles()", "SELECT postrider.add_grants('producer', 'table', 'SELECT', 'webhook_secrets')",
        "GRANT postrider_worker TO CURRENT_USER", "SET ROLE postrider_worker", "SET ROLE postrider_admin",
        "SET row_security = off; SELECT secret FROM postrider.webhook_secrets",
        "CREATE TRIGGER t AFTER INSERT ON postrider.webhook_secrets EXECUTE FUNCTION postrider.refuse_truncate()",
    ]) func roadToWhatIsNotItsOwnIsClosed(statement: String) async throws {
        try await withMembers { db, members in
            try await endpoint(db)
            try await db.emit()
            let producer = try await members.connect(.producer)
            let error = try await producer.refusal(statement)
            #expect(error.sqlState == "42501", "\(error)")
            for part in [error.message, error.detail ?? "", error.hint ?? ""] { #expect(!part.contains(Self.secret.suffix(20))) }
        }
    }

    @Test(arguments: [
        "record_id => '(SELECT min(secret) FROM postrider.webhook_secrets)'",
        "record_id => 'postrider.secret_hint(1)'",
        "condition => 'EXISTS (SELECT FROM postrider.webhook_secrets WHERE (secret)::int > 0)'",
    ]) func attachedExpressionReadsNoSecret(option: String) async throws {
        try await withMembers { db, members in
            try await endpoint(db)
            try await db.run("CREATE SCHEMA app AUTHORIZATION \(members[.producer])")
            let producer = try await members.connect(.producer)
            try await producer.run("CREATE TABLE app.t (id int PRIMARY KEY); GRANT USAGE ON SCHEMA app TO PUBLIC; GRANT INSERT ON app.t TO PUBLIC")
            let error = try await producer.refusal("SELECT postrider.attach('app.t', 'a.b', \(option))")
            #expect(error.sqlState == "42501" && !error.message.contains(Self.secret.suffix(20)))
            // Attached by a superuser, it still runs with the rights of the table's owner, whoever writes the table.
            try await db.run("SELECT postrider.attach('app.t', 'a.b', \(option))")
            for connection in [db.connection, producer, try await members.connect(.worker)] {
                let error = try await connection.refusal("INSERT INTO app.t VALUES (1)")
                #expect(error.sqlState == "42501" && !error.message.contains(Self.secret.suffix(20)))
            }
            #expect(try await db.count("postrider.webhook_event_log") == 0)
        }
    }

    @Test func sessionThatSpeaksForAnOrganizationWritesNoEventOfAnother() async throws {
        try await withMembers { db, members in
            try await db.run("CREATE SCHEMA app AUTHORIZATION \(members[.producer])")
            let producer = try await members.connect(.producer)
            try await producer.run(
                """
                CREATE TABLE app.lead (id int PRIMARY KEY, org text);
                SELECT postrider.attach('app.lead', 'lead.made', organization_id => 'org');
                """)
            // Superusers too, whom policies do not bind.
            for connection in [producer, db.connection] {
                try await connection.run("SET postrider.organization_id = 'acme'")
                for statement in [
                    "SELECT postrider.emit('a.b', '{}', 'beta')",
                    "INSERT INTO postrider.webhook_events (event_type, data, organization_id) VALUES ('a.b', '{}', 'acme'), ('a.b', '{}', 'beta')",
                    "INSERT INTO app.lead VALUES (1, 'beta')",
                ] {
                    let error = try await connection.refusal(statement)
                    #expect(error.sqlState == "42501" && error.message.contains("acme"), "\(statement)")
                }
            }
            try await producer.run(
                """
                SELECT postrider.emit('a.b', '{}', 'acme'); SELECT postrider.emit('a.b', '{}');
                INSERT INTO app.lead VALUES (2, 'acme');
                RESET postrider.organization_id;
                SELECT postrider.emit('a.b', '{}', 'beta')
                """)
            #expect(try await db.events("organization_id") == ["acme", "∅", "acme", "beta"])
        }
    }
}
