// Functions that lend their owner's rights: few, known, and deaf to the caller's search_path.

import Postgres
import Testing

@Suite struct DefinerTests {
    /// What lends the rights of Postrider's owner, and to whom.
    private static let known = [
        "check_backfill", "check_destination", "check_replay", "emit", "empty_partition", "ensure_partitions", "erase_batch",
        "fold_partitions", "forget_user", "is_own", "is_waiting", "payloads_to_seal", "prune_audit_log", "record_change",
        "refuse_ids_ahead", "remove_payloads", "retention_plan", "seal_payloads", "secret_expires_at", "secret_hint",
        "thin_partition", "types_to_seal", "webhook_audit_guard", "webhook_audited", "webhook_destination_gate",
        "webhook_destination_profile_gate", "webhook_profile_gate", "webhook_routing_changed",
    ]

    @Test func functionsWithTheirOwnersRightsAreKnown() async throws {
        try await withRollback { db in
            let found = try await db.lines(
                "SELECT DISTINCT proname FROM pg_proc WHERE pronamespace = 'postrider'::regnamespace AND prosecdef ORDER BY 1")
            #expect(found == Self.known)
        }
    }

    @Test func searchPathOfEachIsFixed() async throws {
        try await withDatabase { db in
            try await db.run("CREATE TABLE t (id int PRIMARY KEY); SELECT postrider.attach('t', 't.changed', '{insert,update,delete}')")
            let loose = try await db.lines(
                """
                SELECT oid::regprocedure FROM pg_proc
                WHERE pronamespace::regnamespace::text ~ '^postrider' AND prosecdef
                  AND NOT coalesce('search_path=pg_catalog, pg_temp' = ANY (proconfig), false)
                """)
            #expect(loose == [])
            #expect(try await db.count("pg_proc WHERE pronamespace = 'postrider_attached'::regnamespace AND prosecdef") == 1)
        }
    }

    /// Functions and operators of the caller's own that fit better than those of pg_catalog would be called instead.
    @Test func namesOfTheCallerAreNotTaken() async throws {
        try await withMembers { db, members in
            try await db.run(
                "CREATE SCHEMA trap AUTHORIZATION \(members[.producer]); GRANT USAGE ON SCHEMA trap TO PUBLIC")
            let producer = try await members.connect(.producer)
            try await producer.run(
                """
                CREATE TABLE trap.sprung (by text);
                GRANT INSERT ON trap.sprung TO PUBLIC;
                CREATE FUNCTION trap.note(what text) RETURNS boolean LANGUAGE plpgsql AS $$
                BEGIN INSERT INTO trap.sprung VALUES (what || ' ' || current_user); RETURN true; END $$;
                CREATE FUNCTION trap.current_setting(text, boolean) RETURNS text LANGUAGE sql AS $$ SELECT trap.note('setting')::text $$;
                CREATE FUNCTION trap.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS $$ SELECT now() WHERE trap.note('clock') $$;
                CREATE FUNCTION trap.to_regclass(text) RETURNS regclass LANGUAGE sql AS $$ SELECT NULL::regclass WHERE trap.note('regclass') $$;
                CREATE FUNCTION trap.same(text, text) RETURNS boolean LANGUAGE sql AS $$ SELECT trap.note('operator') $$;
                CREATE OPERATOR trap.= (LEFTARG = text, RIGHTARG = text, FUNCTION = trap.same);
                CREATE OPERATOR trap.<> (LEFTARG = text, RIGHTARG = text, FUNCTION = trap.same)
                """)
            let path = "SET search_path = trap, pg_catalog; SET postrider.organization_id = 'acme';"
            try await producer.run("\(path) SELECT postrider.emit('a.b', '{}', 'acme')")
            // Defaults are worked out by whoever inserts, with its rights and its names.
            try await producer.run("RESET search_path; INSERT INTO postrider.webhook_events (event_type, data) VALUES ('a.b', '{}')")
            let worker = try await members.connect(.worker)
            try await worker.run("\(path) SELECT postrider.ensure_partitions(9)")
            let tenant = try await members.connect(.tenant)
            let seen = try await tenant.lines(
                "\(path) SELECT organization_id FROM postrider.webhook_event_log; SELECT count(*) FROM postrider.webhook_events")
            #expect(seen == ["1"])
            #expect(try await db.count("trap.sprung") == 0)
        }
    }
}
