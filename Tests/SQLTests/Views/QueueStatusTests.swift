// What is told of workers by questions that take their time.

import Postgres
import Testing

@Suite struct QueueStatusTests {
    /// A statement sees leases as they were when it began. Measured by its end, each of them is over when it takes 1.5 s.
    @Test func slowQuestionFindsWorkersAlive() async throws {
        try await withRollback { db in
            _ = try await db.worker()
            let diagnosis = try #require(try NamedQuery.all()["Diagnosis"]).sql
                .replacing("$1::jsonb", with: "'{}'::jsonb")
            // All statements of one message have one time; by the clock the lease is over before the question.
            let slowly = """
                UPDATE postrider.webhook_workers SET lease_until = statement_timestamp() + interval '1 millisecond';
                SELECT pg_sleep(0.01);
                """
            #expect(try await db.line("\(slowly) SELECT workers_alive FROM postrider.webhook_queue_status") == "1")
            #expect(
                try await db.line(
                    """
                    \(slowly)
                    SELECT d.found::jsonb -> 'workers_alive', d.found::jsonb -> 'workers_silent'
                    FROM (\(diagnosis)) AS d (found)
                    """) == "1|0")
            try await db.run("UPDATE postrider.webhook_workers SET lease_until = clock_timestamp()")
            #expect(try await db.line("SELECT workers_alive FROM postrider.webhook_queue_status") == "0")
        }
    }
}
