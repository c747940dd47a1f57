// The cut-overs of docs/migrating, while others write: each row becomes a request of exactly one of the two systems.

import Postgres
import Synchronization
import TestSupport
import Testing

@Suite struct CutOverTests {
    /// A table, and what the old system queues of it.
    private static let table = """
        CREATE TABLE public.users (id bigint GENERATED ALWAYS AS IDENTITY, name text);
        CREATE TABLE public.old_queue (id bigint);
        """

    @Test func attachmentsTakeOverFromTriggersAndGiveBack() async throws {
        try await withDatabase { db in
            let page = try MigrationPage("README")
            try await db.run(
                Self.table + """
                    CREATE FUNCTION public.notify_webhook() RETURNS trigger LANGUAGE plpgsql AS
                        $$ BEGIN INSERT INTO public.old_queue VALUES (NEW.id); RETURN NULL; END $$;
                    CREATE TRIGGER notify_webhook AFTER INSERT ON public.users FOR EACH ROW EXECUTE FUNCTION public.notify_webhook()
                    """)
            let steps = ["shadow", "end-shadow", "cut-over", "go-back", "cut-over"]
            try await whileOthersWrite(db, steps.map { try page.sql($0) })
            try await eachRowIsInOneOfTheTwo(db, events: "event_type = 'user.registered'")
            #expect(try await db.count("postrider.webhook_event_log WHERE event_type = 'shadow.user.registered'") > 40)
            #expect(try await db.count("postrider.webhook_endpoints") == 0)
        }
    }

    @Test func triggersOfSupabaseAreAdoptedAndReturned() async throws {
        try await withDatabase { db in
            let page = try MigrationPage("supabase")
            try await db.run(
                Self.table + """
                    CREATE SCHEMA supabase_functions;
                    CREATE FUNCTION supabase_functions.http_request() RETURNS trigger LANGUAGE plpgsql AS
                        $$ BEGIN INSERT INTO public.old_queue VALUES (NEW.id); RETURN NULL; END $$;
                    CREATE TRIGGER hook AFTER INSERT ON public.users FOR EACH ROW
                        EXECUTE FUNCTION supabase_functions.http_request('https://example.com', 'POST', '{}', '{}', '1000')
                    """)
            try await whileOthersWrite(db, [page.sql("adopt"), page.sql("return"), page.sql("adopt")])
            try await eachRowIsInOneOfTheTwo(db, events: "event_type ~ '^supabase'")
        }
    }

    /// Runs scripts one after the other, with rows written before, between and after them by four others, who never pause.
    private func whileOthersWrite(_ db: TestDatabase, _ scripts: [String]) async throws {
        var writers: [Connection] = []
        for _ in 0..<4 { writers.append(try await db.connect()) }
        let isOver = Flag()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for writer in writers {
                group.addTask {
                    // Some of their transactions have several statements.
                    while !isOver.isSet {
                        try await writer.run("INSERT INTO public.users (name) VALUES ('a')")
                        try await writer.run("BEGIN; INSERT INTO public.users (name) VALUES ('b'), ('c')")
                        try await writer.run("INSERT INTO public.users (name) VALUES ('d'); COMMIT")
                    }
                }
            }
            defer { isOver.set() }
            for script in scripts {
                try await moreRows(in: db)
                try await Psql.run(script, on: db.url)
            }
            try await moreRows(in: db)
        }
    }

    /// Waits until a hundred more rows were written.
    private func moreRows(in db: TestDatabase) async throws {
        let wanted = try await db.count("public.users") + 100
        try await eventually("a hundred more users") { try await db.count("public.users") >= wanted }
    }

    private func eachRowIsInOneOfTheTwo(_ db: TestDatabase, events: String) async throws {
        let sent = """
            WITH sent AS (
                SELECT id FROM public.old_queue
                UNION ALL SELECT coalesce(data ->> 'id', data #>> '{record,id}')::bigint FROM postrider.webhook_event_log WHERE \(events)
            )
            SELECT count(*), count(DISTINCT id) FROM sent
            """
        let users = try await db.count("public.users")
        #expect(try await db.line(sent) == "\(users)|\(users)")
        #expect(try await db.count("public.old_queue") > 150)
        #expect(try await db.count("postrider.webhook_event_log WHERE \(events)") > 150)
    }
}

/// Set once, by whoever ends the writers.
private final class Flag: Sendable {
    private let state = Mutex(false)

    var isSet: Bool { state.withLock { $0 } }

    func set() { state.withLock { $0 = true } }
}
