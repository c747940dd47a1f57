// sql/migrating/hasura.sql: event triggers as Hasura's metadata describe them, and what is refused of them.

import Postgres
import TestSupport
import Testing

@Suite struct HasuraTests {
    private let page: MigrationPage

    init() throws { page = try MigrationPage("hasura") }

    /// A database with the functions and two tables.
    private func withHasura(_ body: (TestDatabase) async throws -> Void) async throws {
        try await withDatabase { db in
            try await page.run("install", on: db.url)
            try await db.run("CREATE TABLE public.users (id integer PRIMARY KEY, name text); CREATE SCHEMA app; CREATE TABLE app.\"Notes\" (id text)")
            try await body(db)
        }
    }

    @Test func metadataOfAllTablesAreImported() async throws {
        try await withHasura { db in
            let metadata = """
                {"version": 3, "sources": [{"name": "default", "kind": "postgres", "tables": [
                    {"table": {"schema": "public", "name": "users"}},
                    {"table": {"schema": "app", "name": "Notes"}, "event_triggers": [
                        {"name": "note", "definition": {"enable_manual": true, "insert": {"columns": "*"}, "delete": {"columns": "*"}},
                         "retry_conf": {"interval_sec": 15, "num_retries": 2, "timeout_sec": 30}, "webhook": "https://a.example.com"},
                        {"name": "other-note", "definition": {"enable_manual": false, "update": {"columns": ["id"]}},
                         "retry_conf": {"interval_sec": 10, "num_retries": 0, "timeout_sec": 60}, "webhook": "https://b.example.com"}]}]},
                  {"name": "ms", "kind": "mssql", "tables": [{"table": {"schema": "dbo", "name": "x"}, "event_triggers": [{"name": "y"}]}]}]}
                """
            try await db.run("CREATE SCHEMA hdb_catalog; CREATE TABLE hdb_catalog.hdb_metadata (id integer, metadata json)")
            try await db.query("INSERT INTO hdb_catalog.hdb_metadata VALUES (1, $1::json)", [.text(metadata)])
            // Twice: the same name replaces.
            for _ in 1...2 { #expect(try await page.run("import", on: db.url).split(separator: "\n").count == 2) }
            #expect(
                try await db.lines("SELECT name, url, events, max_attempts, base_delay_ms, timeout_ms FROM postrider.webhook_endpoints ORDER BY 1")
                    == [
                        "hasura note|https://a.example.com|{hasura.note.*}|3|15000|30000",
                        "hasura other-note|https://b.example.com|{hasura.other-note.*}|1|10000|60000",
                    ])
            #expect(
                try await db.lines("SELECT tgname FROM pg_trigger WHERE tgrelid = 'app.\"Notes\"'::regclass ORDER BY 1")
                    == ["postrider_note_delete", "postrider_note_insert", "postrider_other-note_update"])
            try await db.run("INSERT INTO app.\"Notes\" VALUES ('x'); UPDATE app.\"Notes\" SET id = 'y'; DELETE FROM app.\"Notes\"")
            #expect(
                try await db.events("event_type, table_name, record_id, data #>> '{trigger,name}', data #> '{event,data}'") == [
                    #"hasura.note.insert|app."Notes"|x|note|{"new": {"id": "x"}, "old": null}"#,
                    #"hasura.other-note.update|app."Notes"|y|other-note|{"new": {"id": "y"}, "old": {"id": "x"}}"#,
                    #"hasura.note.delete|app."Notes"|y|note|{"new": null, "old": {"id": "y"}}"#,
                ])
            #expect(try await db.count("postrider.webhook_event_log WHERE data ->> 'id' <> id::text") == 0)
        }
    }

    @Test func cutOverAndBackLeaveEachRowToOneOfTheTwo() async throws {
        try await withHasura { db in
            try await db.run(
                """
                CREATE TABLE public.hasura_log (op text, id integer);
                CREATE FUNCTION public.hasura() RETURNS trigger LANGUAGE plpgsql AS
                    $$ BEGIN INSERT INTO public.hasura_log VALUES (TG_OP, NEW.id); RETURN NULL; END $$;
                CREATE TRIGGER "notify_hasura_user_changed_INSERT" AFTER INSERT ON public.users FOR EACH ROW EXECUTE FUNCTION public.hasura();
                CREATE TRIGGER "notify_hasura_user_changed_UPDATE" AFTER UPDATE ON public.users FOR EACH ROW EXECUTE FUNCTION public.hasura();
                INSERT INTO public.users VALUES (1)
                """)
            try await page.run("cut-over", on: db.url)
            try await db.run("INSERT INTO public.users VALUES (2); UPDATE public.users SET name = 'a' WHERE id = 2")
            #expect(try await page.run("go-back", on: db.url) == "2\n")
            try await db.run("ALTER TABLE public.users ENABLE TRIGGER ALL; UPDATE public.users SET name = 'b' WHERE id = 2")
            #expect(try await db.lines("SELECT * FROM public.hasura_log") == ["INSERT|1", "UPDATE|2"])
            #expect(try await db.events("event_type, record_id") == ["hasura.user_changed.insert|2", "hasura.user_changed.update|2"])
            // What was attached again sends again, also after its endpoint was deleted.
            try await db.run("DELETE FROM postrider.webhook_endpoints")
            try await page.run("cut-over", on: db.url)
            #expect(try await db.line("SELECT name, is_active, inactive_reason FROM postrider.webhook_endpoints") == "hasura user_changed|t|∅")
        }
    }

    @Test(arguments: [
        (#"{"name": "a", "webhook_from_env": "HOOK"}"#, "the webhook of a is in an environment variable of Hasura: HOOK"),
        (#"{"name": "a", "webhook": "{{BASE}}/x"}"#, "the webhook of a is in an environment variable of Hasura: {{BASE}}/x"),
        (#"{"webhook": "https://x"}"#, "an event trigger needs a name of at most 42 characters"),
        (
            #"{"name": "a", "webhook": "https://x", "headers": [{"name": "K", "value_from_env": "KEY"}]}"#,
            "header K is the environment variable KEY of Hasura"
        ),
        (
            #"{"name": "a", "webhook": "https://x", "headers": [{"name": "user-agent", "value": "me"}]}"#,
            "header user-agent is sent by profile hasura itself"
        ),
        (
            #"{"name": "a", "webhook": "https://x", "request_transform": {"version": 2}}"#,
            "the request of a is transformed by Hasura, which Postrider cannot do"
        ),
        (#"{"name": "a", "webhook": "ftp://x"}"#, "the URL must begin with https:// (or http://)"),
    ])
    func whatCannotBeTakenOverIsRefused(trigger: String, message: String) async throws {
        try await withHasura { db in
            let refusal = try await db.refusal("SELECT postrider.attach_hasura('public.users', '\(trigger)')")
            #expect(refusal.message == message)
            #expect(try await db.count("postrider.webhook_endpoints") == 0)
        }
    }

    @Test func operationThatIsGoneFromTheDescriptionLosesItsTrigger() async throws {
        try await withHasura { db in
            func attach(_ definition: String) async throws -> [String] {
                let trigger = #"{"name": "a", "webhook": "https://x.example.com", \#(definition)}"#
                try await db.run("SELECT postrider.attach_hasura('public.users', '\(trigger)')")
                return try await db.lines("SELECT tgname FROM pg_trigger WHERE tgrelid = 'public.users'::regclass ORDER BY 1")
            }
            let both = #""definition": {"insert": {"columns": "*"}, "delete": {"columns": "*"}}"#
            // As in the metadata, and as in an argument of pg_create_event_trigger.
            let made = try await attach(both)
            #expect(made == ["postrider_a_delete", "postrider_a_insert"])
            #expect(try await attach(#""update": {"columns": ["name"]}, "delete": null"#) == ["postrider_a_update"])
        }
    }
}
