// Retention: what is old and settled goes by the week; what is unfinished stays, whatever stands for it.

import Outbox
import OutboxStore
import Postgres
import Synchronization
import TestSupport
import Testing

@Suite struct RetentionTests {
    /// A way in which an event is unfinished: SQL over its id, `$id`.
    private static let obligations = [
        "INSERT INTO postrider.webhook_queue (id) VALUES ($id)",
        "INSERT INTO postrider.webhook_queue (id, more) VALUES (postrider.event_id_at(now() - interval '190 days'), ARRAY[$id])",
        "INSERT INTO postrider.webhook_claims (worker_id, event_ids) VALUES (1, ARRAY[$id])",
        "INSERT INTO postrider.webhook_retries VALUES ($id, now(), 1, 2)",
        "INSERT INTO postrider.webhook_retries VALUES ($id, 'infinity', 1, 2)",
        "INSERT INTO postrider.webhook_dead_letters (event_id, destination_id, attempts) VALUES ($id, 1, 6)",
    ]

    /// Weeks of the past, and in the week of 100 days ago two settled events, each with its attempt. Gives the first
    /// event, and the partitions of both.
    private func age(_ db: TestDatabase) async throws -> (id: String, events: String, attempts: String) {
        try await db.run(OldWeeks.sql)
        try await keep("keep_events = NULL, keep_attempts = NULL", db)
        let found = try await db.line(
            """
            SELECT e.id, e.tableoid::regclass, a.tableoid::regclass
            FROM postrider.webhook_event_log AS e JOIN postrider.webhook_attempts AS a ON a.event_id = e.id ORDER BY 1 LIMIT 1
            """)
        let parts = found.split(separator: "|").map { String($0.replacing("postrider.", with: "")) }
        return (parts[0], parts[1], parts[2])
    }

    private func keep(_ settings: String, _ db: TestDatabase) async throws {
        try await db.run("UPDATE postrider.webhook_retention SET \(settings)")
    }

    @Test func nothingGoesUnlessSomebodySaysSo() async throws {
        try await withRollback { db in
            let old = try await age(db)
            #expect(try await db.count("postrider.retention_plan()") == 0)
            for call in ["empty_partition", "thin_partition", "remove_payloads"] {
                #expect(try await db.refusal("SELECT postrider.\(call)('\(old.events)')").sqlState == "22023")
            }
            #expect(try await db.line("SELECT postrider.fold_partitions('webhook_event_log')") == "0")
            #expect(try await db.count("postrider.webhook_events") == 2)
        }
    }

    @Test func eventsAreKeptFor90DaysAndAttemptsFor30() async throws {
        try await withRollback { db in
            #expect(
                try await db.line("SELECT keep_events, keep_attempts, keep_payloads, keep_audit FROM postrider.webhook_retention")
                    == "90 days|30 days|∅|∅")
            let old = try await age(db)
            try await keep("keep_events = DEFAULT, keep_attempts = DEFAULT", db)
            #expect(try await db.lines("SELECT partition FROM postrider.retention_plan()") == [old.attempts, old.events])
        }
    }

    /// Its ids would be of a time before 1970, which no id holds.
    @Test func ageOfMoreYearsThanIdsHoldKeepsEverything() async throws {
        try await withRollback { db in
            let old = try await age(db)
            try await db.emit()
            let present = try await db.line("SELECT tableoid::regclass FROM postrider.webhook_event_log ORDER BY id DESC LIMIT 1")
                .replacing("postrider.", with: "")
            try await keep("keep_events = '100 years', keep_attempts = '100 years', keep_payloads = '100 years'", db)
            #expect(try await db.count("postrider.retention_plan()") == 0)
            for partition in [old.events, old.attempts, present] {
                #expect(try await db.refusal("SELECT postrider.empty_partition('\(partition)')").sqlState == "22023")
            }
            #expect(try await db.line("SELECT postrider.fold_partitions('webhook_event_log')") == "0")
            #expect(try await db.count("postrider.webhook_events") == 3)
        }
    }

    @Test func attemptsAndPayloadsAreNotKeptLongerThanEvents() async throws {
        try await withRollback { db in
            for settings in ["keep_events = '1 d', keep_attempts = '2 d'", "keep_events = '1 d', keep_payloads = '2 d'", "keep_events = '0'"] {
                let refusal = try await db.refusal("UPDATE postrider.webhook_retention SET \(settings)")
                #expect(refusal.sqlState == "23514")
            }
        }
    }

    @Test func oldAndSettledWeeksGo() async throws {
        try await withRollback { db in
            let old = try await age(db)
            try await keep("keep_events = '90 days'", db)
            #expect(try await db.lines("SELECT task, partition FROM postrider.retention_plan()") == ["empty|\(old.attempts)", "empty|\(old.events)"])
            let gone = "SELECT attempts_gone_to > '\(old.id)' FROM postrider.webhook_retention"
            #expect(try await db.line("SELECT postrider.empty_partition('\(old.events)')") == "2")
            #expect(try await db.line(gone) == "∅", "attempts are there")
            #expect(try await db.line("SELECT postrider.empty_partition('\(old.attempts)')") == "2")
            #expect(try await db.line(gone) == "t")
            #expect(try await db.count("postrider.webhook_events") == 0)
            let before = try await db.count("postrider.partitions('webhook_event_log')")
            try await eventually("all to be folded") { try await db.line("SELECT postrider.fold_partitions('webhook_event_log')") != "1" }
            // The weeks before the 90 days became one, which still takes whatever comes with an old id.
            let names = try await db.lines("SELECT name FROM postrider.partitions('webhook_event_log')")
            #expect(names.count < before - 5 && names.first == "webhook_event_log_earlier" && !names.contains(old.events))
            #expect(
                try await db.line(
                    """
                    INSERT INTO postrider.webhook_event_log (id, event_type, data)
                    VALUES (postrider.event_id_at(now() - interval '100 days'), 'a', '{}') RETURNING tableoid::regclass
                    """) == "postrider.webhook_event_log_earlier")
        }
    }

    @Test(arguments: obligations) func unfinishedEventsStay(_ obligation: String) async throws {
        try await withRollback { db in
            let old = try await age(db)
            try await keep("keep_events = '90 days'", db)
            try await db.run(obligation.replacing("$id", with: "'\(old.id)'::uuid"))
            #expect(try await db.lines("SELECT task, partition FROM postrider.retention_plan()") == ["thin|\(old.attempts)", "thin|\(old.events)"])
            for name in [old.attempts, old.events] {
                #expect(try await db.line("SELECT postrider.empty_partition('\(name)')") == "0")
                #expect(try await db.line("SELECT * FROM postrider.thin_partition('\(name)')") == "1|t")
            }
            #expect(try await db.lines("SELECT id FROM postrider.webhook_events") == [old.id])
            #expect(try await db.lines("SELECT event_id FROM postrider.webhook_attempts") == [old.id])
            #expect(try await db.line("SELECT attempts_gone_to > '\(old.id)' FROM postrider.webhook_retention") == "t")
            #expect(try await db.count("postrider.retention_plan()") == 0)
        }
    }

    @Test func payloadsGoBeforeTheirEvents() async throws {
        try await withRollback { db in
            let old = try await age(db)
            try await keep("keep_payloads = '7 days'", db)
            try await db.run("INSERT INTO postrider.webhook_retries VALUES ('\(old.id)', 'infinity', 1, 2)")
            #expect(try await db.lines("SELECT task, partition FROM postrider.retention_plan()") == ["payloads|\(old.events)"])
            #expect(try await db.line("SELECT * FROM postrider.remove_payloads('\(old.events)', 1)") == "0|f")
            #expect(try await db.line("SELECT * FROM postrider.remove_payloads('\(old.events)', 1)") == "1|f")
            #expect(try await db.line("SELECT * FROM postrider.remove_payloads('\(old.events)', 1)") == "0|t")
            let payloads = try await db.lines("SELECT data FROM postrider.webhook_events ORDER BY id")
            #expect(payloads == [#"{"x": 1}"#, #"{"postrider": "payload removed"}"#])
            #expect(try await db.count("postrider.retention_plan()") == 0)
        }
    }

    @Test func eventWhoseAttemptsWentIsCompleted() async throws {
        try await withRollback { db in
            let old = try await age(db)
            try await keep("keep_attempts = '30 days'", db)
            #expect(try await db.line("SELECT postrider.empty_partition('\(old.attempts)')") == "2")
            #expect(try await db.lines("SELECT status, retry_count FROM postrider.webhook_events") == ["completed|0", "completed|0"])
        }
    }

    @Test(arguments: ["keep_events = '90 days'", "keep_payloads = '7 days'"])
    func replayInFlightIsWaitedForAndSeen(_ settings: String) async throws {
        try await withDatabase { db in
            let old = try await age(db)
            try await keep(settings, db)
            try await db.endpoint()
            let replay = { (event: String) in
                "SELECT postrider.replay_batch(postrider.start_replay('{\"what\": \"deliveries\", \"event\": \"\(event)\"}'))"
            }
            let replayer = try await db.connect()
            try await replayer.run("BEGIN")
            try await replayer.run(replay(old.id))
            // It holds the rows: retention gives up after 200 ms, and begins with the table as it was.
            let calls = settings.contains("payloads") ? ["remove_payloads"] : ["empty_partition", "thin_partition"]
            for call in calls {
                #expect(try await db.refusal("SELECT postrider.\(call)('\(old.events)')").sqlState == "55P03")
            }
            try await replayer.run("COMMIT")
            #expect(try await db.count("postrider.webhook_retries") == 1)
            for call in calls { try await db.run("SELECT postrider.\(call)('\(old.events)')") }
            #expect(try await db.line("SELECT data FROM postrider.webhook_events WHERE id = '\(old.id)'") == #"{"x": 1}"#)
            // The other event went, and a replay of it schedules nothing.
            let other = try await db.line("SELECT event_id FROM postrider.webhook_attempts WHERE event_id <> '\(old.id)'")
            if settings.contains("payloads") {
                try await db.run(replay(other))
                #expect(try await db.line("SELECT scheduled, without_payload FROM postrider.webhook_replays ORDER BY id DESC") == "0|1")
            } else {
                #expect(try await db.refusal(replay(other)).sqlState == "P0002")
            }
            #expect(try await db.count("postrider.webhook_retries") == 1)
        }
    }

    @Test func twoAtOnceDoNotDoItTwice() async throws {
        try await withDatabase { db in
            let old = try await age(db)
            try await keep("keep_events = '90 days'", db)
            let busy = try await db.connect()
            try await busy.run("BEGIN")
            // Autovacuum may hold the week for a moment.
            var emptied: [String] = []
            for _ in 0..<20 where emptied.isEmpty {
                try await busy.run("SAVEPOINT before")
                do {
                    emptied = try await busy.lines("SELECT postrider.empty_partition('\(old.events)')")
                } catch let error as PostgresError where error.sqlState == "55P03" {
                    try await busy.run("ROLLBACK TO before")
                }
            }
            #expect(emptied == ["2"])
            #expect(try await db.line("SELECT postrider.empty_partition('\(old.events)')") == "∅")
            #expect(try await db.line("SELECT postrider.fold_partitions('webhook_event_log')") == "∅")
            try await busy.run("COMMIT")
            #expect(try await db.line("SELECT postrider.empty_partition('\(old.events)')") == "0")
        }
    }

    @Test func producersPassBehindALongTransaction() async throws {
        try await withDatabase { db in
            let old = try await age(db)
            try await keep("keep_events = '90 days'", db)
            let reader = try await db.connect()
            try await reader.run("BEGIN; SELECT count(*) FROM postrider.webhook_event_log")
            let upkeep = try await db.connect()
            let producer = try await db.connect()
            try await producer.run("SELECT postrider.emit('a.b', '{}')")
            let isOver = Atomic(false)
            async let refusals = {
                defer { isOver.store(true, ordering: .releasing) }
                let folded = try await upkeep.refusal("SELECT postrider.fold_partitions('webhook_event_log')")
                let emptied = try await upkeep.refusal("SELECT postrider.empty_partition('\(old.events)')")
                return [folded.sqlState, emptied.sqlState]
            }()
            var count = 0
            repeat {
                // A producer that waited much longer than the lock may be waited for would end here.
                try await producer.run("SET LOCAL statement_timeout = '5s'; SELECT postrider.emit('a.b', '{}')")
                count += 1
            } while !isOver.load(ordering: .acquiring)
            #expect(try await refusals == ["55P03", "55P03"])
            try await reader.run("COMMIT")
            #expect(try await db.count("postrider.webhook_events") == count + 3)
        }
    }

    /// The clock went ahead and came back: nobody waits until it is there again.
    @Test func roundOfTheFutureIsNotWaitedFor() async throws {
        try await withDatabase { db in
            _ = try await age(db)
            try await keep("keep_events = '90 days', upkeep_at = clock_timestamp() + interval '3 years'", db)
            #expect(try await MaintenanceStore.round(after: 3600, on: db.connection).contains { $0.task == "empty" })
            #expect(try await db.count("postrider.webhook_retention WHERE upkeep_at <= clock_timestamp()") == 1)
            #expect(try await MaintenanceStore.round(after: 3600, on: db.connection).isEmpty)
        }
    }

    @Test func roundThatSomebodyBeganAMomentAgoIsEnough() async throws {
        try await withDatabase { db in
            _ = try await age(db)
            try await keep("keep_events = '90 days', upkeep_at = clock_timestamp() - interval '55 minutes'", db)
            #expect(try await MaintenanceStore.round(after: 3600, on: db.connection).isEmpty)
            #expect(try await MaintenanceStore.plan(on: db.connection).contains { $0.task == "empty" })
            try await keep("upkeep_at = clock_timestamp() - interval '61 minutes'", db)
            #expect(try await MaintenanceStore.round(after: 3600, on: db.connection).contains { $0.task == "empty" })
            // Whoever asks for a round gets one.
            #expect(try await db.count("postrider.webhook_retention WHERE upkeep_at > clock_timestamp() - interval '55 minutes'") == 1)
            _ = try await MaintenanceStore.round(on: db.connection)
            #expect(try await MaintenanceStore.plan(on: db.connection).isEmpty)
        }
    }
}
