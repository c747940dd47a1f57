// postrider.emit: what it writes, what it refuses, and that its errors tell no payload.

import Outbox
import Postgres
import Testing

@Suite struct EmitTests {
    @Test func allNineArgumentsArriveInTheRow() async throws {
        try await withRollback { db in
            let id = try await db.line(
                #"SELECT postrider.emit('a.b', '{"x": 1}', 'org', 'usr', 'rec', 'key', 0, 'me', 'tab')"#)
            let columns =
                "id, event_type, data, organization_id, user_id, record_id, ordering_key, priority, event_source, table_name"
            #expect(try await db.events(columns) == [#"\#(id)|a.b|{"x": 1}|org|usr|rec|key|0|me|tab"#])
        }
    }

    /// Postgres parses the checks of a table anew for each statement: one of six columns cost 5 of 23 µs.
    @Test func rulesOfTheTablesThatEachEventIsWrittenToAreDomains() async throws {
        try await withRollback { db in
            let rules = try await db.lines(
                """
                SELECT c.conname FROM pg_constraint AS c
                WHERE c.contype = 'c' AND c.conrelid IN (
                    SELECT t.relid FROM unnest('{postrider.webhook_event_log,postrider.webhook_queue}'::regclass[]) AS r (root),
                    LATERAL (SELECT r.root AS relid UNION SELECT relid FROM pg_partition_tree(r.root)) AS t)
                """)
            #expect(rules == [])
            let domains = try await db.lines(
                """
                SELECT DISTINCT format_type(a.atttypid, NULL) FROM pg_attribute AS a JOIN pg_type AS t ON t.oid = a.atttypid
                WHERE a.attrelid = 'postrider.webhook_event_log'::regclass AND a.attnum > 0 AND t.typtype = 'd' ORDER BY 1
                """)
            #expect(domains == ["event_id", "event_priority", "event_type"].map { "postrider." + $0 })
        }
    }

    @Test func onlyTypeAndDataAreNeeded() async throws {
        try await withRollback { db in
            try await db.run("SELECT postrider.emit('a', 'null'); SELECT postrider.emit('a', '7', event_source => NULL)")
            let columns =
                "data, organization_id, user_id, record_id, ordering_key, priority, event_source, table_name"
            #expect(try await db.events(columns) == ["null|∅|∅|∅|∅|1|api|∅", "7|∅|∅|∅|∅|1|api|∅"])
        }
    }

    @Test func idsAreVersion7AscendAndTellTheTime() async throws {
        try await withRollback { db in
            let lines = try await db.lines("SELECT postrider.emit('a.b', '{}') FROM generate_series(1, 2000)")
            let ids = lines.compactMap { EventID($0) }
            #expect(ids.count == 2000)
            #expect(zip(ids, ids.dropFirst()).allSatisfy { $0 < $1 })
            #expect(ids.allSatisfy { $0.high >> 12 & 0xF == 7 && $0.low >> 62 == 2 })
            let apart = try await db.lines(
                """
                SELECT count(*) FROM postrider.webhook_event_log
                WHERE abs(extract(epoch FROM created_at - postrider.event_id_time(id))) > 20
                """)
            #expect(apart == ["0"])
        }
    }

    @Test func boundOfATimeSelectsWhatCameLater() async throws {
        try await withRollback { db in
            let ids = try await db.emit(3)
            let time = "postrider.event_id_time('\(ids[1])')"
            #expect(try await db.count("postrider.webhook_events WHERE id >= postrider.event_id_at(\(time))") >= 2)
            #expect(try await db.line("SELECT postrider.event_id_at(\(time)) <= '\(ids[1])'") == "t")
            #expect(try await db.count("postrider.webhook_events WHERE id >= postrider.event_id_at(now() + '1 hour')") == 0)
        }
    }

    /// Not the digits of another time that are left when those of this one are cut.
    @Test func timesThatNoIdHoldsHaveTheFirstAndTheLast() async throws {
        try await withRollback { db in
            for time in ["-infinity", "1899-12-31Z", "1969-12-31 23:59:59.999Z", "1970-01-01Z"] {
                let id = try await db.line("SELECT postrider.event_id_at('\(time)')")
                #expect(id == "00000000-0000-7000-8000-000000000000", "\(time)")
            }
            for time in ["10889-08-02 05:31:50.655Z", "10889-08-02 05:31:50.656Z", "20000-01-01Z", "infinity"] {
                let id = try await db.line("SELECT postrider.event_id_at('\(time)')")
                #expect(id == "ffffffff-ffff-7000-8000-000000000000", "\(time)")
            }
            let second = try await db.line("SELECT postrider.event_id_at('1970-01-01 00:00:00.001Z')")
            #expect(second == "00000000-0001-7000-8000-000000000000")
        }
    }

    @Test(arguments: [
        ("NULL, '{}'", "22023", "null", "dotted words"),
        ("'', '{}'", "22023", "''", "dotted words"),
        ("'a..b', '{}'", "22023", "'a..b'", "dotted words"),
        ("'a.b.', '{}'", "22023", "'a.b.'", "dotted words"),
        ("'a b', '{}'", "22023", "'a b'", "dotted words"),
        ("'é', '{}'", "22023", "'é'", "dotted words"),
        ("E'a\\n', '{}'", "22023", "not an event type", "dotted words"),
        ("repeat('a', 129), '{}'", "22023", "not an event type", "128"),
        ("'a.b', NULL", "22004", "needs data", "'{}'"),
        ("'a.b', '{}', priority => 7", "22023", "not a priority: 7", "0 for high"),
        ("'a.b', '{}', priority => -1", "22023", "not a priority: -1", "0 for high"),
        ("'a.b', '{}', priority => NULL", "22023", "not a priority: null", "0 for high"),
    ])
    func faultIsNamedWithItsCure(arguments: String, state: String, message: String, hint: String) async throws {
        try await withRollback { db in
            let error = try await db.refusal("SELECT postrider.emit(\(arguments))")
            #expect(error.sqlState == state)
            #expect(error.message.contains(message), "\(error.message)")
            #expect(error.hint?.contains(hint) == true, "\(error.hint ?? "no hint")")
            #expect(try await db.count("postrider.webhook_event_log") == 0)
        }
    }

    @Test func noErrorTellsThePayload() async throws {
        try await withRollback { db in
            for arguments in ["'a..b', $${\"card\": \"4111-1111\"}$$", "'a.b', $${\"card\": \"4111-1111\"}$$, priority => 9"] {
                let error = try await db.refusal("SELECT postrider.emit(\(arguments))")
                let told = [error.message, error.hint ?? "", error.detail ?? ""].joined()
                #expect(!told.contains("4111"), "\(told)")
            }
        }
    }

    @Test func rolledBackEventsLeaveNothing() async throws {
        try await withDatabase { db in
            try await db.run("BEGIN; SELECT postrider.emit('a.rolled_back', '{}'); ROLLBACK")
            try await db.run(
                """
                BEGIN;
                SELECT postrider.emit('a.kept', '{}');
                SAVEPOINT s;
                SELECT postrider.emit('a.rolled_back', '{}') FROM generate_series(1, 100);
                ROLLBACK TO s;
                SELECT postrider.emit('a.kept', '{}');
                COMMIT
                """)
            #expect(try await db.events("event_type") == ["a.kept", "a.kept"])
            #expect(try await db.count("postrider.webhook_queue") == 2)
        }
    }

    @Test func producerMayEmitAndReadNothing() async throws {
        try await withDatabase { db in
            try await withRoles(db, 1) { roles in
                try await db.run("GRANT postrider_producer TO \(roles[0])")
                try await db.run("SET ROLE \(roles[0]); SELECT postrider.emit('a.b', '{}')")
                for statement in [
                    "SELECT * FROM postrider.webhook_events", "SELECT * FROM postrider.webhook_secrets",
                    "SELECT * FROM postrider.webhook_endpoints",
                    "SELECT * FROM postrider.webhook_queue",
                ] {
                    #expect(try await db.refusal("SET ROLE \(roles[0]); \(statement)").sqlState == "42501")
                }
                try await db.run("RESET ROLE")
                #expect(try await db.events("event_type") == ["a.b"])
            }
        }
    }
}
