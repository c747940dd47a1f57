// Partitions by week: always there, without gaps, and never in a producer's way.

import OutboxStore
import Postgres
import Testing

@Suite struct PartitionTests {
    /// Partitions of the events with their bounds, ascending; open bounds are ∅.
    private let bounds = """
        SELECT c.relname,
               postrider.event_id_time(substring(pg_get_expr(c.relpartbound, c.oid) FROM 'FROM \\(''([^'']*)''')::uuid) AT TIME ZONE 'UTC',
               postrider.event_id_time(substring(pg_get_expr(c.relpartbound, c.oid) FROM 'TO \\(''([^'']*)''')::uuid) AT TIME ZONE 'UTC'
        FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'postrider.webhook_event_log'::regclass ORDER BY 2 NULLS FIRST
        """

    private func emit(_ db: TestDatabase, at time: String) async throws -> String {
        try await db.line(
            """
            INSERT INTO postrider.webhook_event_log (id, event_type, data)
            VALUES (postrider.event_id_at(\(time)), 'a.b', '{}') RETURNING tableoid::regclass
            """)
    }

    @Test func weeksFollowEachOtherFromMondayToMonday() async throws {
        try await withRollback { db in
            try await db.run("SELECT postrider.ensure_partitions(60)")
            let rows = try await db.lines(bounds).map { $0.split(separator: "|") }
            #expect(rows.count == 62)
            #expect(rows[0][1] == "∅" && rows[61][2] == "∅")
            for (row, next) in zip(rows, rows.dropFirst()) { #expect(row[2] == next[1]) }
            let mondays = try await db.lines(
                "SELECT DISTINCT extract(isodow FROM upper), upper::time FROM (\(bounds)) AS b (name, lower, upper) WHERE upper IS NOT NULL")
            #expect(mondays == ["1|00:00:00"])
            // Sixty weeks hold the end of a year: names are those of ISO weeks, also in the last days of December.
            let names = try await db.lines(
                "SELECT count(*) FROM (\(bounds)) AS b (name, lower, upper) WHERE name = 'webhook_event_log' || to_char(lower, '_IYYY_IW')")
            #expect(names == ["60"])
        }
    }

    @Test func midnightBeforeMondayDividesTheWeeks() async throws {
        try await withRollback { db in
            let monday = "(date_trunc('week', now() AT TIME ZONE 'UTC') + interval '14 days')"
            let before = try await emit(db, at: "(\(monday) - interval '1 millisecond') AT TIME ZONE 'UTC'")
            let after = try await emit(db, at: "\(monday) AT TIME ZONE 'UTC'")
            let names = try await db.lines(
                """
                SELECT 'postrider.webhook_event_log' || to_char(day, '_IYYY_IW')
                FROM unnest(ARRAY[\(monday) - interval '1 day', \(monday)]) AS day
                """)
            #expect([before, after] == names)
        }
    }

    /// As if no worker had run for weeks: this week and the two before belong to the open end.
    private func forgetUpkeep(_ db: TestDatabase) async throws {
        try await db.run(
            """
            DO $$ DECLARE week date := date_trunc('week', now() AT TIME ZONE 'UTC')::date - 14; parent text; name text; BEGIN
                FOREACH parent IN ARRAY ARRAY['webhook_event_log', 'webhook_attempts'] LOOP
                    FOR name IN SELECT p.name FROM postrider.partitions(parent) AS p LOOP
                        EXECUTE format('DROP TABLE postrider.%I', name);
                    END LOOP;
                    PERFORM postrider.add_partition(parent, 'earlier', NULL, postrider.week_start(week));
                    PERFORM postrider.add_partition(parent, 'later', postrider.week_start(week), NULL);
                END LOOP;
            END $$
            """)
    }

    @Test func insertNeverFailsForWantOfAPartition() async throws {
        try await withRollback { db in
            for time in ["'1970-01-02Z'", "now() - interval '3 years'", "now()", "now() + interval '8 weeks'"] {
                #expect(try await emit(db, at: time).hasPrefix("postrider.webhook_event_log_"))
                try await db.run(
                    """
                    INSERT INTO postrider.webhook_attempts (event_id, attempted_at, worker_id, destination_id, duration_us, attempt_number, outcome)
                    VALUES (postrider.event_id_at(\(time)), now(), 1, 1, 1, 1, 0)
                    """)
            }
            #expect(try await db.count("postrider.webhook_events") == 4)
        }
    }

    /// One of them would make a partition of centuries, or one that cannot be made.
    @Test func idsOfTheFarFutureAreRefused() async throws {
        try await withMembers { db, members in
            let producer = try await members.connect(.producer)
            for time in ["now() + interval '3 years'", "'9999-12-31Z'", "'infinity'"] {
                let id = try await db.line("SELECT postrider.event_id_at(\(time))")
                let refusal = try await producer.refusal(
                    """
                    INSERT INTO postrider.webhook_events (id, event_type, data)
                    VALUES ('\(id)', 'a.b', '{}'), (postrider.next_event_id(), 'a.b', '{}')
                    """)
                #expect(refusal.sqlState == "22023" && refusal.message.contains(id), "\(refusal)")
                #expect(refusal.hint?.contains("UUIDv7") == true, "\(refusal)")
            }
            let last = try await db.refusal(
                "INSERT INTO postrider.webhook_event_log (id, event_type, data) VALUES ('ffffffff-ffff-7fff-bfff-ffffffffffff', 'a', '{}')")
            #expect(last.sqlState == "22023")
            #expect(try await db.count("postrider.webhook_events") == 0)
            #expect(try await db.count("postrider.webhook_queue") == 0)
            #expect(try await db.line("SELECT postrider.ensure_partitions(9)") == "2")
        }
    }

    @Test func presentIsTakenHoweverLongNoWorkerHasRun() async throws {
        try await withMembers { db, members in
            try await forgetUpkeep(db)
            let producer = try await members.connect(.producer)
            let insert = { (time: String) in
                "INSERT INTO postrider.webhook_events (id, event_type, data) VALUES (postrider.event_id_at(now() \(time)), 'a.b', '{}')"
            }
            for time in ["- interval '1 day'", "", "+ interval '22 hours'"] { try await producer.run(insert(time)) }
            #expect(try await producer.refusal(insert("+ interval '26 hours'")).sqlState == "22023")
            let places = try await db.lines("SELECT DISTINCT tableoid::regclass FROM postrider.webhook_event_log")
            #expect(places == ["postrider.webhook_event_log_later"])
            #expect(try await db.count("postrider.webhook_queue") == 3)
        }
    }

    @Test func secondCallMakesNothing() async throws {
        try await withRollback { db in
            var made: [String] = []
            for weeks in [8, 10, 10, 8] { made.append(try await db.line("SELECT postrider.ensure_partitions(\(weeks))")) }
            #expect(made == ["0", "4", "0", "0"])
        }
    }

    @Test func eventsOfTheOpenEndStayWhereTheyAreFound() async throws {
        try await withRollback { db in
            try await forgetUpkeep(db)
            #expect(try await emit(db, at: "now()") == "postrider.webhook_event_log_later")
            try await db.run("SELECT postrider.ensure_partitions(9)")
            // The open-ended partition became a closed one of as many weeks as its rows need.
            let found = try await db.line("SELECT tableoid::regclass FROM postrider.webhook_event_log")
            #expect(found != "postrider.webhook_event_log_later")
            #expect(try await emit(db, at: "now() - interval '1 minute'") == found)
            // Only the open end asks for the time of an id.
            #expect(
                try await db.lines("SELECT tgrelid::regclass FROM pg_trigger WHERE tgname = 'refuse_ids_ahead'")
                    == ["postrider.webhook_event_log_later"])
            let rows = try await db.lines(bounds).map { $0.split(separator: "|") }
            for (row, next) in zip(rows, rows.dropFirst()) { #expect(row[2] == next[1]) }
            #expect(rows.last?[2] == "∅")
            #expect(try await db.line("SELECT postrider.ensure_partitions(30)") != "0")
            let wider = try await db.lines(bounds).map { $0.split(separator: "|") }
            for (row, next) in zip(wider, wider.dropFirst()) { #expect(row[2] == next[1]) }
            #expect(try await emit(db, at: "now() + interval '29 weeks'") != "postrider.webhook_event_log_later")
        }
    }

    @Test func longTransactionOfAProducerIsNotWaitedForLong() async throws {
        try await withDatabase { db in
            let producer = try await db.connect()
            try await producer.run("BEGIN; SELECT postrider.emit('a.b', '{}')")
            // Otherwise it would wait until the producer ends, that is for ever.
            let error = try await db.refusal("SELECT postrider.ensure_partitions(20)")
            #expect(error.sqlState == "55P03")
            // Nothing is locked where there is nothing to make, so upkeep goes on.
            #expect(try await db.line("SELECT postrider.ensure_partitions(8)") == "0")
            try await WorkerStore.ensurePartitions(on: db.connection)
            try await producer.run("COMMIT")
            #expect(try await db.line("SELECT postrider.ensure_partitions(20)") == "24")
        }
    }

    @Test func oneWorkerAtATimeMakesPartitions() async throws {
        try await withDatabase { db in
            // As if a week had passed: the last week is part of the open end again.
            try await db.run(
                """
                DO $$ DECLARE last date := date_trunc('week', now() AT TIME ZONE 'UTC')::date + 7 * 8; parent text; BEGIN
                    FOREACH parent IN ARRAY ARRAY['webhook_event_log', 'webhook_attempts'] LOOP
                        EXECUTE format('DROP TABLE postrider.%I, postrider.%I', parent || to_char(last, '_IYYY_IW'), parent || '_later');
                        PERFORM postrider.add_partition(parent, 'later', postrider.week_start(last), NULL);
                    END LOOP;
                END $$
                """)
            let weeks = "pg_inherits WHERE inhparent = 'postrider.webhook_event_log'::regclass"
            #expect(try await db.count(weeks) == 9)
            let busy = try await db.connect()
            try await busy.run("BEGIN; SELECT pg_advisory_xact_lock(7743, 1)")
            try await WorkerStore.ensurePartitions(on: db.connection)
            #expect(try await db.count(weeks) == 9, "somebody else is at it")
            try await busy.run("COMMIT")
            try await WorkerStore.ensurePartitions(on: db.connection)
            #expect(try await db.count(weeks) == 10)
        }
    }

    @Test func oldWeekCanBeTakenAwayWithoutStoppingAnybody() async throws {
        try await withDatabase { db in
            try await db.emit(3)
            let week = try await db.line("SELECT tableoid::regclass FROM postrider.webhook_event_log LIMIT 1")
            let producer = try await db.connect()
            try await db.run("ALTER TABLE postrider.webhook_event_log DETACH PARTITION \(week) CONCURRENTLY")
            #expect(try await db.count("postrider.webhook_events") == 0)
            #expect(try await db.count(week) == 3)
            // The next week is still there for those who insert.
            try await producer.run(
                "INSERT INTO postrider.webhook_events (id, event_type, data) VALUES (postrider.event_id_at(now() + interval '7 days'), 'a', '{}')")
            #expect(try await db.count("postrider.webhook_events") == 1)
        }
    }
}
