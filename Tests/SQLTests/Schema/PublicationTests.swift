// A publication of all tables, as change capture and upgrades by logical replication make it, beside running workers.

import OutboxStore
import Postgres
import TestSupport
import Testing

@Suite struct PublicationTests {
    /// Postgres refuses UPDATE and DELETE of a published table of which it cannot tell the rows apart. Of weeks it asks the week,
    /// and tells subscribers of a publication by way of the root what the root says.
    @Test func everyTableHasAnIdentityForReplication() async throws {
        try await withRollback { db in
            try await db.run("SELECT postrider.ensure_partitions(10)")
            let without = try await db.lines(
                """
                SELECT c.oid::regclass FROM pg_class AS c
                WHERE c.relnamespace = 'postrider'::regnamespace AND c.relkind IN ('r', 'p')
                  AND (c.relreplident = 'n' OR c.relreplident = 'd'
                       AND NOT EXISTS (SELECT FROM pg_index AS i WHERE i.indrelid = c.oid AND i.indisprimary))
                ORDER BY 1
                """)
            #expect(without == [])
        }
    }

    @Test func upkeepAndErasureGoOnInAPublicationOfAllTables() async throws {
        try await withDatabase { db in
            try await db.run(OldWeeks.sql)
            let id = try await db.endpoint()
            // Of the two old events one stays, so both weeks are thinned row by row.
            try await db.run(
                """
                CREATE PUBLICATION everything FOR ALL TABLES;
                INSERT INTO postrider.webhook_dead_letters (event_id, destination_id, attempts)
                SELECT id, \(id), 6 FROM postrider.webhook_event_log ORDER BY id LIMIT 1;
                SELECT postrider.emit('a.b', '{}', user_id => 'ann');
                INSERT INTO postrider.webhook_attempts
                    (event_id, attempted_at, worker_id, destination_id, duration_us, attempt_number, outcome, response_body)
                SELECT id, now(), 1, \(id), 1, 1, 0, 'answer about ann' FROM postrider.webhook_event_log WHERE user_id = 'ann';
                INSERT INTO postrider.webhook_tallies (destination_id, succeeded, failed) VALUES (\(id), 1, 0), (\(id), 1, 0);
                SELECT postrider.deny_column(NULL, 'password');
                SELECT postrider.allow_column(NULL, 'password')
                """)
            #expect(try await db.line("SELECT events, attempts FROM postrider.forget_user('ann')") == "1|1")
            let steps = try await MaintenanceStore.round(on: db.connection)
            #expect(steps.filter { $0.task == "thin" }.map(\.rows) == [1, 1], "\(steps)")
            #expect(try await db.line("SELECT count(*), sum(succeeded) FROM postrider.webhook_tallies") == "1|2")
        }
    }
}
