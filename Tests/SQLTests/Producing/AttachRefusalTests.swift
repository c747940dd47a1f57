// What attach refuses, with the cure in the error, and that nothing is left behind.

import Postgres
import Testing

@Suite struct AttachRefusalTests {
    private static let cases: [(call: String, state: String, message: String, hint: String)] = [
        ("'v', 'a.b'", "42809", "public.v is a view", "Attach those tables, or call postrider.emit"),
        ("'m', 'a.b'", "42809", "public.m is a view", "Attach those tables"),
        ("'tmp', 'a.b'", "42809", "temporary table", "permanent table"),
        ("'i', 'a.b'", "42809", "public.i is not a table", ""),
        ("'pg_class', 'a.b'", "42809", "belongs to Postgres itself", "a table of your own"),
        ("'postrider.webhook_queue', 'a.b'", "42809", "belongs to Postrider", "a table of your own"),
        ("'t', 'a b'", "22023", "not an event type: 'a b' (attachment of public.t)", "dotted words"),
        ("'t'", "22023", "either event_type or event_type_expression", ""),
        ("'t', 'a', event_type_expression => 'NULL'", "22023", "either event_type or event_type_expression", ""),
        ("'t', 'a', '{upsert}'", "22023", "not an operation: 'upsert'", "insert, update, delete, truncate"),
        ("'t', 'a', '{}'", "22023", "not an operation", "insert, update, delete, truncate"),
        ("'t', 'a', '{insert,NULL}'", "22023", "not an operation: null", "insert, update, delete, truncate"),
        ("'t', 'a', columns => '{nope}'", "42703", "public.t has no column nope", "It has: id, v, n."),
        ("'t', 'a', except_columns => '{nope}'", "42703", "public.t has no column nope", "It has: id, v, n."),
        ("'t', 'a', columns => '{id}', except_columns => '{v}'", "22023", "either columns or except_columns", ""),
        ("'t', 'a', condition => 'NEW.nope'", "42703", "an expression of the attachment of public.t", "NEW, OLD and TG_OP"),
        ("'t', 'a', condition => 'count(*) > 1'", "42803", "aggregate", "NEW, OLD and TG_OP"),
        ("'t', 'a', condition => '1); DROP TABLE t; --'", "22023", "attachment of public.t holds a semicolon", "chr(59)"),
        ("'t', event_type_expression => '''', name => ') AS e; DROP TABLE t; --'", "42601", "not valid for insert: syntax error", "TG_OP"),
        ("'t', 'a', condition => 'NEW.n'", "42804", "argument of WHERE must be type boolean", "NEW, OLD and TG_OP"),
        ("'t', 'a', user_id => 'nobody'", "42703", "nobody", "NEW, OLD and TG_OP"),
        ("'t', 'a', user_id => 'public_function(NEW.v)'", "42883", "public_function", "with their schema"),
        (
            "'t', operations => '{truncate}', event_type_expression => 'NEW.v'", "22023", "TRUNCATE has no row",
            "by itself, with a constant event_type"
        ),
    ]

    @Test(arguments: cases)
    func attachmentIsRefusedWithItsCure(_ test: (call: String, state: String, message: String, hint: String)) async throws {
        try await withRollback { db in
            try await db.run(
                """
                CREATE TABLE t (id int PRIMARY KEY, v text, n int);
                CREATE INDEX i ON t (v);
                CREATE VIEW v AS SELECT * FROM t;
                CREATE MATERIALIZED VIEW m AS SELECT * FROM t;
                CREATE TEMPORARY TABLE tmp (id int);
                CREATE FUNCTION public_function(x text) RETURNS text LANGUAGE sql AS 'SELECT x'
                """)
            let error = try await db.refusal("SELECT postrider.attach(\(test.call))")
            #expect(error.sqlState == test.state, "\(error)")
            #expect(error.message.contains(test.message), "\(error)")
            #expect((error.hint ?? "").contains(test.hint), "\(error)")
            #expect(try await db.count("postrider.webhook_attachments") == 0)
            #expect(try await db.count("pg_proc WHERE pronamespace = 'postrider_attached'::regnamespace") == 0)
            #expect(try await db.count("t") == 0)
        }
    }

    @Test func foreignTablesAreRefusedAlsoAsPartitions() async throws {
        try await withRollback { db in
            try await db.run(
                """
                CREATE FOREIGN DATA WRAPPER nothing;
                CREATE SERVER elsewhere FOREIGN DATA WRAPPER nothing;
                CREATE TABLE p (id int) PARTITION BY LIST (id);
                CREATE FOREIGN TABLE f PARTITION OF p FOR VALUES IN (1) SERVER elsewhere
                """)
            let foreign = try await db.refusal("SELECT postrider.attach('f', 'a.b')")
            #expect(foreign.message.contains("foreign table") && foreign.hint?.contains("postrider.emit") == true)
            let parent = try await db.refusal("SELECT postrider.attach('p', 'a.b')")
            #expect(parent.message.contains("public.p has the foreign table public.f below it"))
            #expect(parent.hint?.contains("partitions that are local") == true)
        }
    }

    @Test func conditionMayEndInAComment() async throws {
        try await withRollback { db in
            try await db.run(
                """
                CREATE TABLE t (id int PRIMARY KEY);
                SELECT postrider.attach('t', 'a.b', condition => 'true -- always', user_id => 'NEW.id -- him');
                INSERT INTO t VALUES (1)
                """)
            #expect(try await db.events("user_id") == ["1"])
        }
    }

    @Test func detachOfWhatIsNotAttachedSaysSo() async throws {
        try await withRollback { db in
            try await db.run("CREATE TABLE t (id int PRIMARY KEY)")
            let error = try await db.refusal("SELECT postrider.detach('t', 'nope')")
            #expect(error.sqlState == "42704")
            #expect(error.message == "public.t has no attachment 'nope'")
            #expect(error.hint?.contains("webhook_attachments") == true)
            #expect(try await db.line("SELECT postrider.detach('t')") == "0")
        }
    }
}
