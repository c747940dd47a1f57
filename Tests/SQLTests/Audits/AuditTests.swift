// The ready-made questions of a DBA, asked with psql, and their answers about a morning that is known.

import Foundation
import Outbox
import Postgres
import Testing

@Suite struct AuditTests {
    /// What one file printed: rows by the names of their columns.
    private struct Answer {
        let columns: [String]
        let rows: [[String: String]]

        init(_ text: String) {
            let lines = text.split(separator: "\n").map { $0.split(separator: "|", omittingEmptySubsequences: false).map(String.init) }
            columns = lines.first ?? []
            rows = lines.dropFirst().map { values in
                Dictionary(zip(lines.first ?? [], values), uniquingKeysWith: { first, _ in first })
            }
        }

        /// Some columns of all rows, joined by bars.
        func lines(_ names: String...) -> [String] {
            rows.map { row in names.map { row[$0] ?? "no column \($0)" }.joined(separator: "|") }
        }
    }

    private func ask(_ number: Int, _ db: TestDatabase, _ variables: [String: String] = [:]) async throws -> Answer {
        let prefix = (number < 10 ? "0" : "") + "\(number)_"
        let file = try #require(try Shell.files(in: "sql/audits", suffix: ".sql").first { $0.lastPathComponent.hasPrefix(prefix) })
        let output = try await Shell.psql(db.url, [file], variables)
        #expect(output.status == 0 && output.errors.isEmpty, "\(file.lastPathComponent): \(output.errors)")
        return Answer(output.text)
    }

    /// The columns that the heading of a file promises.
    private func promised(_ file: URL) throws -> [String] {
        let comment = try String(contentsOf: file, encoding: .utf8).split(separator: "\n").prefix { $0.hasPrefix("--") }
            .map { $0.dropFirst(2) }.joined(separator: " ")
        guard let from = comment.range(of: "Columns:") else { return [] }
        let list = comment[from.upperBound...].replacing(/\([^)]*\)/, with: "").prefix { $0 != "." }
        return list.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }
    }

    @Test func everyFileRunsOnAnEmptyDatabase() async throws {
        try await withDatabase { db in
            let output = try await Shell.psql(db.url, try Shell.files(in: "sql/audits", suffix: ".sql"))
            #expect(output.status == 0 && output.errors.isEmpty, "\(output.errors)")
        }
    }

    @Test func everyFileAnswersWithTheColumnsOfItsHeading() async throws {
        try await withDatabase { db in
            _ = try await Morning(db)
            let files = try Shell.files(in: "sql/audits", suffix: ".sql")
            #expect(files.count >= 12)
            for file in files {
                let output = try await Shell.psql(db.url, [file])
                #expect(output.status == 0 && output.errors.isEmpty, "\(file.lastPathComponent): \(output.errors)")
                let columns = try promised(file)
                if !file.lastPathComponent.hasPrefix("20_") { #expect(!columns.isEmpty, "\(file.lastPathComponent)") }
                if !columns.isEmpty { #expect(Answer(output.text).columns == columns, "\(file.lastPathComponent)") }
            }
        }
    }

    @Test func questionsAboutOneEvent() async throws {
        try await withDatabase { db in
            let morning = try await Morning(db)
            let retried = ["event_id": "\(morning.retried)"]
            let delivered = try await ask(1, db, retried)
            #expect(
                delivered.lines(
                    "event_id", "event_type", "event_status", "destination", "delivery_status", "attempts", "status_code", "duration_ms",
                    "next_retry_at", "error_message") == [
                        "\(morning.retried)|lead.created|completed|billing|success|1|200|1.500|∅|∅",
                        "\(morning.retried)|lead.created|completed|sales|success|3|200|1.500|∅|∅",
                    ])
            #expect(delivered.lines("delivered_at").allSatisfy { $0.hasPrefix("20") })
            let failed = try await ask(1, db, ["event_id": "\(morning.dead)"])
            #expect(
                failed.lines("event_status", "destination", "delivery_status", "delivered_at", "error_message")[0]
                    == "failed|billing|failed|∅|the receiver answered certificate")
            let unclaimed = try await ask(1, db, ["event_id": "\(morning.pending[2])"])
            #expect(unclaimed.lines("event_status", "destination") == ["pending|∅"])

            let timeline = try await ask(2, db, retried)
            #expect(timeline.lines("step", "destination")[0] == "inserted|∅")
            let detail = timeline.rows.filter { $0["destination"] == "sales" }.map { "\($0["step"] ?? ""): \($0["detail"] ?? "")" }
            #expect(
                detail == [
                    "attempt 1: server_error, HTTP 500, 1.5 ms, the receiver answered server_error",
                    "attempt 2: timeout, 1.5 ms, the receiver answered timeout", "attempt 3: delivered, HTTP 200, 1.5 ms",
                ])
            let letter = try await ask(2, db, ["event_id": "\(morning.dead)"])
            #expect(letter.lines("step", "destination").contains("dead letter|billing"))
            let later = try await ask(2, db, ["event_id": "\(morning.waiting)"])
            #expect(later.lines("step", "destination").contains("attempt 2 is due|sales"))
        }
    }

    @Test func questionsAboutAttempts() async throws {
        try await withDatabase { db in
            let morning = try await Morning(db)
            // sales: 3 of retried, 1 of dead, 2 of doubled, 1 of waiting; billing: 1 of retried, 1 of dead.
            let slowest = try await ask(3, db)
            #expect(
                slowest.lines("destination", "attempts", "p50_ms", "p99_ms", "max_ms", "timeouts").sorted() == [
                    "billing|2|1.5|1.5|1.5|0", "sales|7|1.5|1.5|1.5|1",
                ])
            let failures = try await ask(4, db)
            #expect(
                failures.lines("failure", "status_code", "attempts", "destinations", "will_retry", "gave_up").sorted()
                    == ["certificate|∅|1|1|0|1", "server_error|500|2|1|2|0", "timeout|∅|1|1|1|0"])
            let letters = try await ask(9, db)
            #expect(
                letters.lines("destination", "failure", "dead_letters", "critical", "archived", "example_event", "example_error")
                    == ["billing|certificate|1|0|0|\(morning.dead)|the receiver answered certificate"])
            // Within one hour, at whatever time the morning was made up.
            try await db.run(
                "UPDATE postrider.webhook_attempts SET attempted_at = (SELECT max(attempted_at) FROM postrider.webhook_attempts)")
            let rates = try await ask(10, db)
            #expect(
                rates.lines("destination", "attempts", "delivered", "failed", "success_percent").sorted()
                    == ["billing|2|1|1|50.00", "sales|7|4|3|57.14"])
            let latency = try await ask(17, db)
            #expect(latency.rows.compactMap { Int($0["deliveries"] ?? "") }.reduce(0, +) == 4)
            let doubles = try await ask(18, db)
            #expect(
                doubles.lines("event_id", "destination", "attempt_number", "times", "workers")
                    == ["\(morning.doubled)|sales|1|2|{\(morning.alive),\(morning.lost)}"])
        }
    }

    @Test func questionsAboutWhatWaits() async throws {
        try await withDatabase { db in
            let morning = try await Morning(db)
            try await db.run("CREATE TABLE t (id int); SELECT postrider.attach('t', 't.created'); ALTER TABLE t DISABLE TRIGGER USER")
            let stuck = try await ask(5, db, ["seconds": "0"])
            let found = stuck.lines("what", "count", "why")
            #expect(found.contains("events waiting for a worker|3|more events than the workers deliver, or a low priority"), "\(found)")
            #expect(found.contains("deliveries in a claim|1|its worker is dead: a rescue should take it"), "\(found)")
            #expect(found.contains("deliveries parked|1|parked is inactive: disabled by hand"), "\(found)")
            #expect(
                found.contains("attachment at fault|1|public.t: the trigger is disabled; ALTER TABLE t ENABLE TRIGGER webhook_1_insert;"), "\(found)")
            #expect(try await ask(5, db, ["seconds": "3600"]).lines("what") == ["deliveries parked", "attachment at fault"])
            #expect(try await ask(6, db).lines("event_id", "priority") == morning.pending.map { "\($0)|2" })
            #expect(try await ask(6, db, ["rows": "2"]).rows.count == 2)
            #expect(try await ask(8, db).lines("retries", "destinations", "most_from") == ["1|1|sales"])
            #expect(try await ask(8, db, ["minutes": "5"]).rows.isEmpty)
            try await db.run("UPDATE postrider.webhook_workers SET requests = 50, connections_opened = 4 WHERE id = \(morning.lost)")
            let workers = try await ask(13, db)
            #expect(workers.lines("requests", "connections_opened", "requests_per_connection") == ["50|4|12.5", "0|0|∅"])
            #expect(
                workers.lines("worker_id", "host", "state", "claims", "in_flight")
                    == ["\(morning.lost)|lost|dead|1|1", "\(morning.alive)|alive|working|0|0"])
        }
    }

    @Test func whatWaitsForItsTurnIsNotCalledParked() async throws {
        try await withDatabase { db in
            let morning = try await Morning(db)
            try await db.run(
                """
                INSERT INTO postrider.webhook_retries (event_id, due_at, destination_id, attempt_number, ordering_key)
                VALUES ('\(morning.dead)', 'infinity', \(morning.sales), 1, 'k')
                """)
            let stuck = try await ask(5, db, ["seconds": "0"]).lines("what", "count", "why").filter { $0.hasPrefix("deliveries parked") }
            #expect(stuck == ["deliveries parked|1|parked is inactive: disabled by hand"])
            let timeline = try await ask(2, db, ["event_id": "\(morning.dead)"]).lines("step", "destination", "detail")
            #expect(timeline.contains("attempt 1 is due|sales|waits behind an earlier event of its ordering key"), "\(timeline)")
        }
    }

    @Test func questionsAboutEventTypesAndDestinations() async throws {
        try await withDatabase { db in
            _ = try await Morning(db)
            let volume = try await ask(7, db)
            #expect(volume.lines("organization_id", "events", "event_types", "share_percent") == ["∅|4|1|40.0", "acme|3|2|30.0", "beta|3|3|30.0"])
            #expect(try await ask(11, db).lines("event_type", "events", "event_sources") == ["noise.made|1|api"])
            #expect(
                try await ask(12, db).lines("destination", "kind", "is_active", "matching_events", "waiting").sorted()
                    == ["parked|endpoint|f|1|1", "silent|n8n|t|2|0"])
            #expect(
                try await ask(19, db).lines("event_type", "events", "destinations", "names")
                    .sorted() == [
                        "deal.won|1|0|∅", "lead.created|2|3|billing, sales, silent", "lead.updated|6|1|sales",
                        "noise.made|1|0|∅",
                    ])
        }
    }

    @Test func questionsAboutWhatFails() async throws {
        try await withDatabase { db in
            let morning = try await Morning(db)
            #expect(try await ask(22, db).rows.isEmpty)
            try await db.run(
                """
                INSERT INTO postrider.webhook_breakers (destination_id, failing_since, trips, open_until, failure)
                VALUES (\(morning.sales), clock_timestamp() - interval '3 hours', 2, clock_timestamp() + interval '1 hour', 'timeout'),
                       (\(morning.billing), clock_timestamp() - interval '1 hour', 1, clock_timestamp() - interval '1 s', 'connect'),
                       (\(morning.parked), clock_timestamp(), 0, '-infinity', 'server_error');
                UPDATE postrider.webhook_destinations SET disable_after_s = 14400 WHERE id = \(morning.sales)
                """)
            let failing = try await ask(22, db)
            #expect(
                failing.lines("destination", "kind", "breaker", "failure", "trips", "probing_worker", "waiting") == [
                    "sales|endpoint|open|timeout|2|∅|1", "billing|endpoint|half-open|connect|1|∅|0",
                    "parked|endpoint|closed|server_error|0|∅|1",
                ])
            #expect(failing.rows[0]["failing_for"]?.hasPrefix("03:0") == true)
            #expect((3_000...3_600).contains(Double(failing.rows[0]["next_try_in"] ?? "") ?? 0) && failing.rows[1]["next_try_in"] == "0")
            #expect(failing.rows[0]["disabled_in"]?.hasPrefix("00:5") == true && failing.rows[2]["disabled_in"] == "∅")
        }
    }

    @Test func alertsAreWhatIsBeyondItsThreshold() async throws {
        try await withDatabase { db in
            #expect(try await ask(26, db).rows.isEmpty)
            let morning = try await Morning(db)
            #expect(
                try await ask(26, db).lines("alert", "destination", "value", "threshold", "detail") == [
                    "certificate|billing|1|0|the receiver answered certificate",
                    "failure rate|billing|50.00|5|1 of 2 attempts failed", "failure rate|sales|42.86|5|3 of 7 attempts failed",
                    "inactive|parked|1|0|deliveries wait: disabled by hand",
                ])
            try await db.run(
                """
                INSERT INTO postrider.webhook_breakers (destination_id, failing_since, trips, open_until, failure)
                VALUES (\(morning.sales), clock_timestamp() - interval '3 hours', 2, clock_timestamp() + interval '1 hour', 'timeout'),
                       (\(morning.billing), clock_timestamp(), 0, clock_timestamp() + interval '1 hour', 'throttled');
                UPDATE postrider.webhook_dead_letters SET is_critical = true;
                UPDATE postrider.webhook_secrets SET expires_at = clock_timestamp() + interval '5 days'
                WHERE destination_id = \(morning.sales)
                """)
            let strict = ["failure_percent": "45", "p95_ms": "1", "dead_letters": "1", "days": "7"]
            let alerts = try await ask(26, db, strict)
            #expect(
                alerts.lines("alert", "destination", "threshold") == [
                    "certificate|billing|0", "critical dead letters|∅|0", "dead letters|∅|1", "failing|sales|0",
                    "failure rate|billing|45", "inactive|parked|0", "latency|billing|1", "latency|sales|1", "secret|sales|7",
                ])
            #expect(alerts.rows[3]["detail"] == "seconds of nothing but failure (timeout); its breaker opened 2 times")
            #expect((10_800...14_400).contains(Int(alerts.rows[3]["value"] ?? "") ?? 0))
            #expect(alerts.rows.last?["value"] == "5.0")
            let quiet = try await ask(26, db, ["hours": "0", "days": "1"])
            #expect(quiet.lines("alert") == ["critical dead letters", "failing", "inactive"])
        }
    }

    @Test func questionsAboutUpkeepChangesAndErasures() async throws {
        try await withDatabase { db in
            _ = try await Morning(db)
            try await db.run("UPDATE postrider.webhook_retention SET keep_attempts = '20 days', keep_payloads = '10 days'")
            #expect(
                try await ask(21, db).lines("kept", "age", "weeks_due", "rows_due", "last_upkeep")
                    == ["events|90 days|0|0|∅", "attempts|20 days|0|0|∅", "payloads|10 days|0|0|∅"])

            let changes = try await ask(24, db)
            #expect(
                changes.lines("action", "object_kind", "object_name").prefix(2)
                    == ["update|retention|∅", "disable|endpoint|parked"])
            #expect(changes.rows.count { $0["action"] == "create" && $0["object_kind"] == "endpoint" } == 3)
            #expect(changes.rows[1]["before"]?.contains("true") == true && changes.rows[1]["after"]?.contains("false") == true)
            #expect(try await ask(24, db, ["hours": "0"]).rows.isEmpty)

            try await db.run("SELECT postrider.emit('a.b', '{\"name\": \"Ana\"}', user_id => 'u-3')")
            try await db.run("SELECT postrider.forget_user('u-3'); SELECT postrider.forget_user('u-4')")
            #expect(try await ask(25, db).rows.count == 2)
            let one = try await ask(25, db, ["user_id": "u-3"])
            #expect(one.lines("events", "organization_id") == ["1|∅"])
            #expect(one.rows[0]["subject"]?.count == 64)
        }
    }

    @Test func questionsAboutTheServer() async throws {
        try await withDatabase { db in
            let morning = try await Morning(db)
            let old = try await db.connect()
            try await old.run(
                "SET application_name = 'an old report'; BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM postrider.webhook_events")
            let holders = try await ask(14, db)
            let session = try #require(holders.rows.first { $0["what"] == "session \(old.processID)" })
            #expect(session["who"]?.contains("an old report") == true)
            try await old.run("COMMIT")
            #expect(try await ask(14, db).rows.allSatisfy { $0["what"] != "session \(old.processID)" })
            #expect(
                try await ask(15, db).lines("table_name").sorted() == [
                    "webhook_claims", "webhook_dead_letters", "webhook_queue", "webhook_retries", "webhook_routing", "webhook_tallies",
                    "webhook_workers",
                ])
            let partitions = try await ask(16, db)
            #expect(partitions.rows.count == 20)
            #expect(partitions.rows.first?["from_time"] == "∅" && partitions.rows.last?["to_time"] == "∅")
            // The overview has two parts; the first is the queue.
            let overview = try await ask(20, db)
            #expect(
                overview.lines("waiting", "in_flight", "retries_due", "retries_later", "retries_parked", "dead_letters", "workers_alive")[0]
                    == "3|1|0|1|1|1|1")
            #expect(morning.pending.count == 3)
        }
    }
}
