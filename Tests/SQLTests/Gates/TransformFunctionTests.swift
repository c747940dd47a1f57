// Functions in SQL that make payloads: which may be named, whose rights they have, and what a call leaves behind.

import Outbox
import OutboxStore
import Postgres
import Testing

@Suite struct TransformFunctionTests {
    private static let made = """
        CREATE SCHEMA sales;
        CREATE FUNCTION sales.shape(data jsonb, context jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE SECURITY DEFINER
            AS $$ SELECT CASE WHEN data ? 'skip' THEN NULL
                              ELSE jsonb_build_object('twice', (data ->> 'n')::numeric * 2, 'type', context ->> 'event_type') END $$
        """

    private func call(
        _ function: String, _ data: [String], on connection: Connection
    ) async throws -> [TransformAnswer] {
        let context = Array(#"{"event_type": "a.b"}"#.utf8)
        return try await TransformStore.call(function: function, data.map { (Array($0.utf8), context) }, on: connection)
    }

    private func data(_ text: String) -> TransformAnswer { .data(Array(text.utf8)) }

    @Test func nothingIsAllowedUntilTheOwnerSaysSo() async throws {
        try await withDatabase { db in
            try await db.run(Self.made)
            let refused = try await call("sales.shape", ["{}"], on: db.connection)
            #expect(
                refused == [.failed("the function sales.shape is not allowed: SELECT postrider.allow_transform('sales.shape')")])
            try await db.run("SELECT postrider.allow_transform('sales.shape'), postrider.allow_transform(' sales . shape ')")
            #expect(try await db.lines("SELECT function FROM postrider.webhook_transforms") == ["sales.shape"])
            let answers = try await call("sales.shape", [#"{"n": 1.50}"#, #"{"skip": 1}"#, #"{"n": "x"}"#, #"{"n": 2}"#], on: db.connection)
            #expect(
                answers == [
                    data(#"{"type": "a.b", "twice": 3.00}"#), .dropped,
                    .failed(#"invalid input syntax for type numeric: "x""#), data(#"{"type": "a.b", "twice": 4}"#),
                ])
            #expect(try await db.line("SELECT postrider.forbid_transform('sales.shape'), postrider.forbid_transform('sales.shape')") == "t|f")
            #expect(try await call("sales.shape", ["{}"], on: db.connection) == refused)
        }
    }

    /// What a person wrote is read as SQL reads names, in the option as in the statement that allows it.
    @Test func namesAreReadAsSQLReadsThem() async throws {
        try await withDatabase { db in
            try await db.run(
                """
                \(Self.made);
                CREATE FUNCTION sales."Shape It"(data jsonb, context jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE SECURITY DEFINER
                    AS $$ SELECT '"quoted"'::jsonb $$
                """)
            let refused = try await call("Sales.Shape", ["{}"], on: db.connection)
            #expect(
                refused == [.failed("the function Sales.Shape is not allowed: SELECT postrider.allow_transform('Sales.Shape')")])
            try await db.run("SELECT postrider.allow_transform('Sales.Shape'), postrider.allow_transform('SALES.\"Shape It\"')")
            #expect(
                try await db.lines("SELECT function FROM postrider.webhook_transforms ORDER BY allowed_at")
                    == ["sales.shape", #"sales."Shape It""#])
            for name in ["Sales.Shape", "sales . shape", " SALES.shape"] {
                #expect(try await call(name, [#"{"n": 1}"#], on: db.connection) == [data(#"{"type": "a.b", "twice": 2}"#)])
            }
            #expect(try await call(#"Sales."Shape It""#, ["{}"], on: db.connection) == [data(#""quoted""#)])
            #expect(try await db.line("SELECT postrider.forbid_transform('Sales.Shape'), postrider.forbid_transform('Sales.Shape')") == "t|f")
            #expect(try await call("Sales.Shape", ["{}"], on: db.connection) == refused)
            try await db.run("DROP FUNCTION sales.\"Shape It\"")
            #expect(try await db.line("SELECT postrider.forbid_transform('sales.\"Shape It\"')") == "t")
        }
    }

    /// What has a name outlives the transaction, whoever made it: a function could put a statement of its own in the place of the
    /// worker's, which would run it with a worker's rights.
    @Test func callHasNoNameThatAFunctionCouldTake() async throws {
        try await withDatabase { db in
            try await db.run(
                """
                CREATE SCHEMA sales;
                CREATE FUNCTION sales.names(data jsonb, context jsonb) RETURNS jsonb LANGUAGE sql SECURITY DEFINER
                    AS $$ SELECT jsonb_agg(name) FROM pg_prepared_statements WHERE statement ~ 'call_transform' $$;
                SELECT postrider.allow_transform('sales.names')
                """)
            for _ in 1...2 { #expect(try await call("sales.names", ["{}"], on: db.connection) == [.dropped]) }
        }
    }

    @Test func onlySuitableFunctionsAreAllowed() async throws {
        try await withRollback { db in
            try await db.run(
                """
                \(Self.made);
                CREATE FUNCTION sales.own(data jsonb, context jsonb) RETURNS jsonb LANGUAGE sql AS 'SELECT data';
                CREATE FUNCTION sales.text(data jsonb, context jsonb) RETURNS text LANGUAGE sql SECURITY DEFINER AS 'SELECT $$a$$';
                CREATE FUNCTION sales.many(data jsonb, context jsonb) RETURNS SETOF jsonb LANGUAGE sql SECURITY DEFINER AS 'SELECT data';
                CREATE FUNCTION sales.short(data jsonb) RETURNS jsonb LANGUAGE sql SECURITY DEFINER AS 'SELECT data'
                """)
            for (name, fault) in [
                ("sales.own", "the function sales.own must be SECURITY DEFINER: it runs with the rights of its owner"),
                ("sales.text", "the function sales.text must return jsonb"), ("sales.many", "the function sales.many must return jsonb"),
                ("sales.short", "there is no function sales.short(jsonb, jsonb)"), ("nowhere.f", "there is no function nowhere.f(jsonb, jsonb)"),
                ("sales.shape(jsonb, jsonb) --", "there is no function sales.shape(jsonb, jsonb) --(jsonb, jsonb)"),
            ] {
                let error = try await db.refusal("SELECT postrider.allow_transform('\(name)')")
                #expect(error.message == fault)
                #expect(error.sqlState == "22023")
            }
        }
    }

    /// What an owner does to an allowed function afterwards takes effect at the next call.
    @Test func allowedFunctionIsLookedAtAgainBeforeEachCall() async throws {
        try await withDatabase { db in
            try await db.run("\(Self.made); SELECT postrider.allow_transform('sales.shape')")
            try await db.run("ALTER FUNCTION sales.shape SECURITY INVOKER")
            #expect(
                try await call("sales.shape", ["{}"], on: db.connection)
                    == [.failed("the function sales.shape must be SECURITY DEFINER: it runs with the rights of its owner")])
            try await db.run("DROP FUNCTION sales.shape")
            #expect(
                try await call("sales.shape", ["{}"], on: db.connection) == [.failed("there is no function sales.shape(jsonb, jsonb)")])
        }
    }

    @Test func callWritesNothingAndLeavesNoSetting() async throws {
        try await withDatabase { db in
            try await db.run(
                """
                CREATE TABLE public.notes (n int);
                CREATE FUNCTION public.note(data jsonb, context jsonb) RETURNS jsonb LANGUAGE plpgsql SECURITY DEFINER
                    AS $$ BEGIN INSERT INTO public.notes VALUES (1); RETURN data; END $$;
                CREATE FUNCTION public.lasting(data jsonb, context jsonb) RETURNS jsonb LANGUAGE sql SECURITY DEFINER
                    AS $$ SELECT to_jsonb(set_config('work_mem', '123MB', false)) $$;
                CREATE FUNCTION public.slow(data jsonb, context jsonb) RETURNS jsonb LANGUAGE sql SECURITY DEFINER
                    AS $$ SELECT to_jsonb(pg_sleep(30)::text) $$;
                SELECT postrider.allow_transform('public.note'), postrider.allow_transform('public.lasting'),
                       postrider.allow_transform('public.slow')
                """)
            #expect(
                try await call("public.note", ["{}"], on: db.connection) == [.failed("cannot execute INSERT in a read-only transaction")])
            #expect(try await call("public.lasting", ["{}"], on: db.connection) == [data(#""123MB""#)])
            #expect(try await db.line("SELECT current_setting('work_mem') <> '123MB'") == "t")
            let slow = await #expect(throws: PostgresError.self) { try await call("public.slow", ["{}"], on: db.connection) }
            #expect(slow?.sqlState == "57014")
            #expect(try await db.line("SELECT current_setting('statement_timeout'), count(*) FROM public.notes") == "0|0")
        }
    }

    @Test func functionHasTheRightsOfItsOwnerAndNotThoseOfWorkers() async throws {
        try await withMembers { db, members in
            // Of a role that may read nothing: what a worker can read, its function cannot.
            try await db.run(
                """
                \(Self.made);
                CREATE FUNCTION sales.spy(data jsonb, context jsonb) RETURNS jsonb LANGUAGE sql SECURITY DEFINER
                    AS $$ SELECT to_jsonb(count(*)) FROM postrider.webhook_secrets $$;
                GRANT USAGE, CREATE ON SCHEMA sales TO \(members.outsider);
                ALTER FUNCTION sales.spy OWNER TO \(members.outsider);
                SELECT postrider.allow_transform('sales.shape'), postrider.allow_transform('sales.spy')
                """)
            let worker = try await members.connect(.worker)
            #expect(try await call("sales.shape", ["{}"], on: worker) == [.failed("permission denied for schema sales")])
            try await db.run("GRANT USAGE ON SCHEMA sales TO postrider_worker")
            #expect(try await call("sales.shape", [#"{"n": 1}"#], on: worker) == [data(#"{"type": "a.b", "twice": 2}"#)])
            #expect(try await call("sales.spy", ["{}"], on: worker) == [.failed("permission denied for schema postrider")])
            for role in [Role.worker, .admin] {
                let error = try await members.connect(role).refusal("SELECT postrider.allow_transform('sales.shape')")
                #expect(error.sqlState == "42501")
            }
            #expect(try await members.connect(.tenant).refusal("SELECT * FROM postrider.webhook_transforms").sqlState == "42501")
        }
    }
}
