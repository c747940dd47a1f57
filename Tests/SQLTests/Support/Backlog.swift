// A database with much in it: for plans, audits and views.

import Postgres

extension TestDatabase {
    /// 100,000 events that wait, each in a row of its own, a history of 100,000 attempts, 60,000 retries of 20
    /// destinations of which a tenth is due, and 10,000 dead letters.
    func fill() async throws {
        try await run(
            """
            INSERT INTO postrider.webhook_destinations (kind, name, url, event_types)
            SELECT 'endpoint', 'endpoint ' || n, 'https://example.com/' || n, '{*}' FROM generate_series(1, 20) AS n;
            INSERT INTO postrider.webhook_workers (host) SELECT 'host ' || n FROM generate_series(1, 5) AS n;
            SET LOCAL session_replication_role = replica;
            INSERT INTO postrider.webhook_event_log (id, event_type, data)
            SELECT postrider.next_event_id(), 'a.b', '{"x": 1}' FROM generate_series(1, 100000);
            INSERT INTO postrider.webhook_queue (id, priority) SELECT id, 1 FROM postrider.webhook_event_log;
            INSERT INTO postrider.webhook_attempts (event_id, attempted_at, worker_id, destination_id, duration_us,
                                                    attempt_number, outcome)
            SELECT id, created_at, 1, 1 + n % 20, 1000, 1, 0
            FROM (SELECT id, created_at, row_number() OVER () AS n FROM postrider.webhook_event_log) AS e;
            INSERT INTO postrider.webhook_retries (event_id, due_at, destination_id, attempt_number)
            SELECT id, now() + CASE WHEN n % 10 = 0 THEN -1 ELSE 1 END * interval '1 hour', 1 + n % 20, 2
            FROM (SELECT id, row_number() OVER () AS n FROM postrider.webhook_event_log LIMIT 60000) AS e;
            INSERT INTO postrider.webhook_dead_letters (event_id, destination_id, attempts)
            SELECT event_id, 21, 6 FROM postrider.webhook_retries LIMIT 10000;
            INSERT INTO postrider.webhook_claims (worker_id, event_ids)
            SELECT 1 + n % 5, '{}' FROM generate_series(1, 50) AS n
            """)
    }
}
