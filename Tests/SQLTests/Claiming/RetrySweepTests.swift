// What workers put back for a destination that changed meanwhile is not forgotten.

import Outbox
import OutboxStore
import Postgres
import Testing

@Suite struct RetrySweepTests {
    private func retry(_ db: TestDatabase, _ destination: Int32, _ due: String = "'infinity'") async throws {
        let event = try await db.emit()[0]
        try await db.run(
            """
            INSERT INTO postrider.webhook_retries (event_id, due_at, destination_id, attempt_number)
            VALUES ('\(event)', \(due), \(destination), 1)
            """)
    }

    /// A worker that parks knows of no change that is not committed, and the change sees nothing that is parked later.
    @Test func whatIsParkedWhileItsDestinationIsMadeActiveBecomesDue() async throws {
        try await withDatabase { db in
            let id = try await db.endpoint(settings: "is_active = false")
            try await retry(db, id)
            let administrator = try await db.connect()
            try await administrator.run("BEGIN; UPDATE postrider.webhook_destinations SET is_active = true")
            try await retry(db, id)
            try await administrator.run("COMMIT")
            let parked = "postrider.webhook_retries WHERE due_at = 'infinity'"
            #expect(try await db.count(parked) == 1, "the fault was injected")
            let steps = try await MaintenanceStore.round(on: db.connection)
            #expect(steps.contains { $0.task == "retries" && $0.rows == 1 })
            #expect(try await db.count(parked) == 0)
            #expect(try await db.count("postrider.webhook_retries WHERE due_at <= clock_timestamp()") == 2)
        }
    }

    /// Nothing else frees what is parked, and a step that fails may fail in every round.
    @Test func stepOfUpkeepThatFailsKeepsNoOtherFromItsTurn() async throws {
        try await withDatabase { db in
            let id = try await db.endpoint()
            try await retry(db, id)
            try await db.run(
                """
                CREATE TABLE pruned (n int);
                CREATE OR REPLACE FUNCTION postrider.ensure_partitions(weeks_ahead integer DEFAULT 8) RETURNS integer LANGUAGE plpgsql AS
                    $$ BEGIN RAISE EXCEPTION 'the first' USING ERRCODE = 'query_canceled'; END $$;
                CREATE OR REPLACE FUNCTION postrider.fold_partitions(parent text) RETURNS integer LANGUAGE plpgsql AS
                    $$ BEGIN RAISE EXCEPTION 'another'; END $$;
                CREATE OR REPLACE FUNCTION postrider.prune_audit_log(most integer DEFAULT 10000) RETURNS bigint LANGUAGE sql AS
                    $$ INSERT INTO pruned VALUES (1) RETURNING 0::bigint $$
                """)
            let error = await #expect(throws: PostgresError.self) { try await MaintenanceStore.round(on: db.connection) }
            #expect(error?.sqlState == "57014" && error?.message == "the first", "\(String(describing: error))")
            #expect(try await db.count("postrider.webhook_retries WHERE due_at <= clock_timestamp()") == 1)
            #expect(try await db.count("pruned") == 1)
        }
    }

    @Test func whatIsToBeTriedAgainAfterItsDestinationWasDeletedGoes() async throws {
        try await withRollback { db in
            let (kept, deleted, inactive) = (
                try await db.endpoint(), try await db.endpoint(), try await db.endpoint(settings: "is_active = false")
            )
            try await db.run("UPDATE postrider.webhook_destinations SET deleted_at = now() WHERE id = \(deleted)")
            for id in [kept, deleted] { try await retry(db, id, "now() + interval '1 hour'") }
            try await retry(db, deleted)
            try await retry(db, inactive)
            #expect(try await db.line("SELECT postrider.sweep_retries()") == "2")
            #expect(
                try await db.lines("SELECT destination_id, due_at = 'infinity' FROM postrider.webhook_retries ORDER BY 1")
                    == ["\(kept)|f", "\(inactive)|t"])
            #expect(try await db.line("SELECT postrider.sweep_retries()") == "0")
        }
    }

    /// Millions may be parked, and one statement would hold them all, with everything that it wrote, for minutes.
    @Test func sweepTakesSoManyAtOnceUntilAllIsDone() async throws {
        try await withRollback { db in
            let (active, deleted) = (try await db.endpoint(), try await db.endpoint())
            try await db.run("UPDATE postrider.webhook_destinations SET deleted_at = now() WHERE id = \(deleted)")
            for id in [active, deleted, active, deleted, active] { try await retry(db, id) }
            var batches: [String] = []
            while batches.last != "0", batches.count < 9 { batches.append(try await db.line("SELECT postrider.sweep_retries(2)")) }
            #expect(batches == ["4", "1", "0"])
            #expect(
                try await db.lines("SELECT destination_id, due_at <= clock_timestamp() FROM postrider.webhook_retries")
                    == ["\(active)|t", "\(active)|t", "\(active)|t"])
            #expect(try await db.refusal("SELECT postrider.sweep_retries(0)").sqlState == "22023")
        }
    }

    /// A destination with a long line that is deleted while workers give up on it leaves as many dead letters.
    @Test func sweepArchivesSoManyDeadLettersAtOnceUntilAllAre() async throws {
        try await withRollback { db in
            let deleted = try await db.endpoint()
            try await db.run("UPDATE postrider.webhook_destinations SET deleted_at = now() WHERE id = \(deleted)")
            for _ in 1...3 {
                let event = try await db.emit()[0]
                try await db.run(
                    """
                    INSERT INTO postrider.webhook_dead_letters (event_id, destination_id, attempts) VALUES ('\(event)', \(deleted), 1)
                    """)
            }
            let open = "postrider.webhook_dead_letters WHERE archived_at IS NULL"
            #expect(try await db.line("SELECT postrider.sweep_retries(2)") == "2")
            #expect(try await db.count(open) == 1)
            #expect(try await db.line("SELECT postrider.sweep_retries(2)") == "1")
            #expect(try await db.count(open) == 0)
        }
    }

    /// A worker that records it holds it; nobody waits for that, and the next round comes.
    @Test func sweepPassesOverWhatSomebodyHolds() async throws {
        try await withDatabase { db in
            let id = try await db.endpoint()
            for _ in 1...2 { try await retry(db, id) }
            let holder = try await db.connect()
            try await holder.run("BEGIN; SELECT FROM postrider.webhook_retries ORDER BY event_id LIMIT 1 FOR UPDATE")
            try await db.run("SET lock_timeout = '500ms'")
            #expect(try await db.line("SELECT postrider.sweep_retries()") == "1")
            try await holder.run("COMMIT")
            #expect(try await db.line("SELECT postrider.sweep_retries()") == "1")
        }
    }

    /// What stands in line behind an earlier event of its key is due at infinity too.
    @Test func whatWaitsInOrderIsLeftAlone() async throws {
        try await withRollback { db in
            let id = try await db.endpoint(settings: #"options = '{"order": true}'"#)
            try await retry(db, id)
            try await db.run("UPDATE postrider.webhook_retries SET ordering_key = 'k'")
            #expect(try await db.line("SELECT postrider.sweep_retries()") == "0")
        }
    }

    /// More than one batch, and more destinations than a batch has rows.
    @Test func talliesBecomeOneRowForEachDestination() async throws {
        try await withRollback { db in
            try await db.run(
                """
                INSERT INTO postrider.webhook_tallies (destination_id, succeeded, failed)
                SELECT n % 25000, 2, 1 FROM generate_series(1, 50001) AS n
                """)
            try await WorkerStore.foldTallies(on: db.connection)
            #expect(
                try await db.line("SELECT count(*), count(DISTINCT destination_id), sum(succeeded), sum(failed) FROM postrider.webhook_tallies")
                    == "25000|25000|100002|50001")
        }
    }

    @Test func statementThatChangesNothingMakesNobodyLoad() async throws {
        try await withRollback { db in
            let id = try await db.endpoint()
            let version = "SELECT version FROM postrider.webhook_routing"
            let before = try await db.line(version)
            try await db.run("UPDATE postrider.webhook_destinations SET is_active = false WHERE id = \(id) AND NOT is_active")
            try await db.run("DELETE FROM postrider.webhook_secrets WHERE destination_id = -1")
            #expect(try await db.line(version) == before)
            try await db.run("UPDATE postrider.webhook_destinations SET is_active = false WHERE id = \(id)")
            #expect(try await db.line(version) != before)
        }
    }
}
