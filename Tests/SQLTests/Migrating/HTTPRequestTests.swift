// sql/migrating/supabase.sql: which triggers are adopted, what stays of them, and whose rights count.

import Foundation
import OutboxStore
import Postgres
import TestSupport
import Testing

@Suite struct HTTPRequestTests {
    /// A table with webhooks of Supabase, some of which cannot be sent by Postrider.
    private static let webhooks = #"""
        CREATE TABLE public.orders (id integer PRIMARY KEY, total integer, note text);
        CREATE TABLE public."Líneas ""x""" (id integer, "order" integer) PARTITION BY RANGE (id);
        CREATE TABLE public.lines_1 PARTITION OF public."Líneas ""x""" FOR VALUES FROM (0) TO (10);
        CREATE TRIGGER a_plain AFTER INSERT ON public.orders FOR EACH ROW
            EXECUTE FUNCTION supabase_functions.http_request('https://a.example.com/é''s\', 'POST', '{}', 'null', '1000');
        CREATE TRIGGER b_when AFTER UPDATE OF total ON public.orders FOR EACH ROW
            WHEN (OLD.total <> NEW.total AND NEW.note IS DISTINCT FROM 'EXECUTE FUNCTION')
            EXECUTE FUNCTION supabase_functions.http_request('https://b.example.com', 'POST', '{"X-A": "1"}', '{}', '1000');
        CREATE TRIGGER c_same AFTER DELETE ON public.orders FOR EACH ROW
            EXECUTE FUNCTION supabase_functions.http_request('https://b.example.com', 'POST', '{"X-A": "1"}', '{}', '1000');
        CREATE TRIGGER d_off BEFORE DELETE ON public.orders FOR EACH ROW
            EXECUTE FUNCTION supabase_functions.http_request('https://d.example.com', 'POST');
        ALTER TABLE public.orders DISABLE TRIGGER d_off;
        CREATE TRIGGER e_parts AFTER INSERT ON public."Líneas ""x""" FOR EACH ROW
            EXECUTE FUNCTION supabase_functions.http_request('https://b.example.com', 'POST', '{"X-A": "1"}', '{}', '1000');
        CREATE TRIGGER f_get AFTER INSERT ON public.orders FOR EACH ROW
            EXECUTE FUNCTION supabase_functions.http_request('https://f.example.com', 'GET', '{}', '{}', '1000');
        CREATE CONSTRAINT TRIGGER g_late AFTER INSERT ON public.orders DEFERRABLE FOR EACH ROW
            EXECUTE FUNCTION supabase_functions.http_request('https://g.example.com', 'POST', '{}', '{}', '1000');
        CREATE TRIGGER h_form AFTER INSERT ON public.orders FOR EACH ROW
            EXECUTE FUNCTION supabase_functions.http_request('https://h.example.com', 'POST', '{"Content-Type": "text/plain"}');
        CREATE TRIGGER i_host AFTER INSERT ON public.orders FOR EACH ROW
            EXECUTE FUNCTION supabase_functions.http_request('https://i.example.com', 'POST', '{"Host": "x"}');
        """#

    private static let definitions = """
        SELECT tgname, tgenabled, pg_get_triggerdef(oid) FROM pg_trigger
        WHERE NOT tgisinternal AND tgname ~ '^[a-i]_' ORDER BY tgname, tgrelid
        """

    private func prepare(_ db: TestDatabase) async throws {
        let page = try MigrationPage("supabase")
        try await page.run("stand-in", on: db.url)
        try await Psql.run(Self.webhooks, on: db.url)
        // Twice: the file can be run again.
        for _ in 1...2 { try await Psql.run("\\i sql/migrating/supabase.sql", on: db.url) }
    }

    @Test func triggersAreAdoptedOrLeftWithAReasonAndKeepWhatTheyWere() async throws {
        try await withDatabase { db in
            try await prepare(db)
            let before = try await db.lines(Self.definitions)
            let outcomes = try await db.lines("SELECT trigger_name, outcome FROM postrider.adopt_http_requests() ORDER BY 1")
            #expect(
                outcomes == [
                    "a_plain|left as it is: the URL must not hold blanks or control characters, nor anything but ASCII",
                    "b_when|adopted", "c_same|adopted", "d_off|adopted", "e_parts|adopted",
                    "f_get|left as it is: Postrider sends POST alone, not GET",
                    "g_late|left as it is: a constraint trigger cannot be replaced",
                    "h_form|left as it is: the Content-Type must be application/json",
                    "i_host|left as it is: the header Host is set by the sender itself",
                ])
            let adopted: Set = ["b_when", "c_same", "d_off", "e_parts"]
            #expect(
                try await db.lines(Self.definitions)
                    == before.map { line in
                        guard adopted.contains(String(line.prefix { $0 != "|" })) else { return line }
                        return line.replacing("EXECUTE FUNCTION supabase_functions.", with: "EXECUTE FUNCTION postrider.")
                    })
            // What was left has no endpoint, the same arguments share one.
            #expect(
                try await db.lines("SELECT url, timeout_ms, headers, secret FROM postrider.webhook_endpoints ORDER BY 1")
                    == [#"https://b.example.com|1000|{"X-A": "1"}|∅"#, "https://d.example.com|5000|{}|∅"])
            #expect(
                try await db.lines("SELECT DISTINCT outcome FROM postrider.adopt_http_requests() WHERE outcome !~ '^left'")
                    == ["adopted before"])
            #expect(try await db.count("postrider.return_http_requests() WHERE outcome = 'returned'") == 4)
            #expect(try await db.lines(Self.definitions) == before)
        }
    }

    @Test func rowsOfPartitionsAndStrangeTablesMakeEventsOfOneEndpoint() async throws {
        try await withDatabase { db in
            try await prepare(db)
            try await db.run(#"SELECT postrider.adopt_http_requests('public."Líneas ""x"""')"#)
            try await db.run(#"INSERT INTO public."Líneas ""x""" VALUES (1, 2), (3, 4); INSERT INTO public.lines_1 VALUES (5, 6)"#)
            let pattern = try await db.line("SELECT rtrim(events[1], '*') FROM postrider.webhook_endpoints")
            #expect(try await db.lines("SELECT DISTINCT event_type FROM postrider.webhook_events") == ["\(pattern)lines_1.insert"])
            #expect(
                try await db.events("record_id, table_name, data")
                    == [1, 3, 5].map {
                        #"\#($0)|public.lines_1|{"type": "INSERT", "table": "lines_1", "record": {"id": \#($0), "order": \#($0 + 1)}, "schema": "public", "old_record": null}"#
                    })
            // Only this table was adopted.
            #expect(try await db.refusal("INSERT INTO public.orders VALUES (1)").message.contains("is not adopted yet"))
        }
    }

    @Test func newTriggerMakesItsEndpointWhenItFiresAndWritersNeedNoRights() async throws {
        try await withMembers { db, members in
            try await Psql.run("\\i sql/migrating/supabase.sql", on: db.url)
            try await db.run(
                """
                CREATE TABLE public.orders (id integer, note text);
                CREATE TRIGGER hook BEFORE INSERT OR DELETE ON public.orders FOR EACH ROW
                    EXECUTE FUNCTION postrider.http_request('https://example.com/x?y=1', 'POST', '{}', '{"z": "2"}', '0');
                GRANT INSERT, SELECT, DELETE ON public.orders TO \(members.outsider)
                """)
            #expect(try await db.count("postrider.webhook_endpoints") == 0)
            let writer = try await db.connect(as: members.outsider)
            try await writer.run("INSERT INTO public.orders VALUES (1), (2)")
            try await writer.run("DELETE FROM public.orders WHERE id = 1")
            #expect(try await db.lines("SELECT url, timeout_ms FROM postrider.webhook_endpoints") == ["https://example.com/x?y=1&z=2|1"])
            #expect(
                try await db.events("split_part(event_type, '.', 4), data -> 'record' -> 'id', data -> 'old_record' -> 'id'")
                    == ["insert|1|∅", "insert|2|∅", "delete|∅|1"])
            #expect(try await db.line("SELECT string_agg(id::text, ',') FROM public.orders") == "2")
            // What was deleted is not made anew: its events go nowhere.
            try await db.run("DELETE FROM postrider.webhook_endpoints; INSERT INTO public.orders VALUES (3)")
            #expect(try await db.count("postrider.webhook_endpoints") == 0)
            // Making such a trigger is making an endpoint.
            try await db.run("GRANT CREATE ON SCHEMA public TO \(members[.producer])")
            let producer = try await members.connect(.producer)
            let refusal = try await producer.refusal(
                "CREATE TABLE t (); CREATE TRIGGER h AFTER INSERT ON t EXECUTE FUNCTION postrider.http_request('https://x')")
            #expect(refusal.sqlState == "42501")
        }
    }

    @Test func castToJSONOfSomebodyElseIsRefused() async throws {
        try await withMembers { db, members in
            try await Psql.run("\\i sql/migrating/supabase.sql", on: db.url)
            try await db.run(
                """
                CREATE SCHEMA own AUTHORIZATION \(members[.producer]);
                CREATE TYPE own.mood AS ENUM ('glad'); ALTER TYPE own.mood OWNER TO \(members[.producer]);
                CREATE TABLE public.orders (id own.mood);
                CREATE TRIGGER hook AFTER INSERT ON public.orders FOR EACH ROW
                    EXECUTE FUNCTION postrider.http_request('https://example.com', 'POST')
                """)
            try await db.run("INSERT INTO public.orders VALUES ('glad')")
            let owner = try await members.connect(.producer)
            try await owner.run(
                """
                CREATE TABLE own.caught (by name); GRANT INSERT ON own.caught TO PUBLIC; GRANT USAGE ON SCHEMA own TO PUBLIC;
                CREATE FUNCTION own.steal(own.mood) RETURNS json LANGUAGE sql AS
                    $$ INSERT INTO own.caught VALUES (current_user) RETURNING '{}'::json $$;
                CREATE CAST (own.mood AS json) WITH FUNCTION own.steal(own.mood)
                """)
            let refusal = try await db.refusal("INSERT INTO public.orders VALUES ('glad')")
            #expect(refusal.sqlState == "42501" && refusal.message.hasPrefix("the cast of own.mood to json belongs to somebody"))
            #expect(try await db.count("own.caught") == 0)
            // One of the superuser's own, such as that of hstore, is no danger.
            try await db.run("ALTER FUNCTION own.steal(own.mood) OWNER TO CURRENT_USER; INSERT INTO public.orders VALUES ('glad')")
            #expect(try await db.count("own.caught") == 1)
        }
    }

    /// On Supabase the owner of everything, postgres, is no superuser, and row-level security binds it.
    @Test func ownerThatIsNoSuperuserRunsTheFileAndAdopts() async throws {
        try await withEmptyDatabase { db in
            let owner = "test_owner_\(UUID().uuidString.prefix(8).lowercased())"
            let name = try await db.line("SELECT current_database()")
            try await db.run("CREATE ROLE \(owner) LOGIN; ALTER DATABASE \(name) OWNER TO \(owner); ALTER SCHEMA public OWNER TO \(owner)")
            let connection = try await db.connect(as: owner)
            try await Migrator(connection: connection).up()
            let page = try MigrationPage("supabase")
            let output = try await Psql.run(
                """
                SET ROLE \(owner);
                \(page.sql("stand-in"))
                CREATE TABLE public.orders (id integer);
                CREATE TRIGGER hook AFTER INSERT ON public.orders FOR EACH ROW
                    EXECUTE FUNCTION supabase_functions.http_request('https://a.example.com', 'POST', '{}', '{}', '1000');
                \(page.sql("adopt"))
                \\i sql/migrating/hasura.sql
                """, on: db.url)
            #expect(output == "orders|hook|adopted\n")
            try await connection.run("INSERT INTO public.orders VALUES (1)")
            try await connection.run(
                #"SELECT postrider.attach_hasura('orders', '{"name": "h", "webhook": "https://h.example.com", "insert": {"columns": "*"}}')"#)
            try await connection.run("INSERT INTO public.orders VALUES (2)")
            #expect(
                try await connection.lines("SELECT split_part(event_type, '.', 1), record_id FROM postrider.webhook_events ORDER BY id")
                    == ["supabase|1", "supabase|2", "hasura|2"])
            try await db.run("REASSIGN OWNED BY \(owner) TO CURRENT_USER; DROP OWNED BY \(owner) CASCADE")
            await connection.close()
            try await db.run("DROP ROLE \(owner)")
        }
    }

    @Test func twoSessionsMakeOneEndpoint() async throws {
        try await withDatabase { db in
            try await Psql.run("\\i sql/migrating/supabase.sql", on: db.url)
            try await db.run(
                """
                CREATE TABLE public.orders (id integer);
                CREATE TRIGGER hook AFTER INSERT ON public.orders FOR EACH ROW
                    EXECUTE FUNCTION postrider.http_request('https://example.com', 'POST')
                """)
            let other = try await db.connect()
            try await db.run("BEGIN")
            try await db.run("INSERT INTO public.orders VALUES (1)")
            async let second: Void = { _ = try await other.run("INSERT INTO public.orders VALUES (2)") }()
            let watcher = try await db.connect()
            let waiting = """
                SELECT count(*) FROM pg_stat_activity
                WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE 'INSERT INTO public.orders VALUES (2)%'
                """
            try await eventually("the second session to wait") { try await watcher.lines(waiting) == ["1"] }
            try await db.run("COMMIT")
            try await second
            #expect(try await db.count("postrider.webhook_endpoints") == 1)
            #expect(try await db.line("SELECT count(*), count(DISTINCT event_type) FROM postrider.webhook_events") == "2|1")
        }
    }

    @Test(arguments: ["supabase", "hasura"]) func everythingIsExplainedAndNobodysBusiness(file: String) async throws {
        try await withMembers { db, members in
            let before = Set(try await db.lines("SELECT oid FROM pg_proc"))
            try await Psql.run("\\i sql/migrating/\(file).sql", on: db.url)
            let made = try await db.lines(
                """
                SELECT oid, obj_description(oid, 'pg_proc') IS NOT NULL, has_function_privilege('\(members.outsider)', oid, 'EXECUTE'),
                       NOT prosecdef OR proname IN ('http_request', 'hasura_event') AND 'search_path=pg_catalog, pg_temp' = ANY (proconfig)
                FROM pg_proc
                """
            ).filter { line in !before.contains(String(line.prefix { $0 != "|" })) }
            #expect(made.count >= 8)
            for line in made { #expect(line.drop { $0 != "|" } == "|t|f|t") }
        }
    }
}
