// Replays and a history for them, through the public API of OutboxStore.

import OutboxStore
import Postgres

/// What the tests of replays do to a database.
extension TestDatabase {
    /// Stores a replay and gives its id. Criteria stand in JSON without the outer braces; the rate is high unless given.
    func replay(_ criteria: String) async throws -> Int64 {
        let rate = criteria.contains("rate") ? "" : #", "rate": 100000"#
        return Int64(try await line("SELECT postrider.start_replay('{\(criteria)\(rate)}')")) ?? 0
    }

    /// Batches until the replay has ended; gives how many deliveries they scheduled.
    func drive(_ replay: Int64, most: Int32 = 1000) async throws -> Int {
        var scheduled = 0
        for _ in 0..<1_000 {
            let step = try await ReplayStore.next(replay, most: most, on: connection)
            scheduled += step.scheduled
            if step.state != "running" { return scheduled }
            if step.wait > .zero { throw Unexpected(what: "replay \(replay) waits \(step.wait)") }
        }
        throw Unexpected(what: "replay \(replay) does not end")
    }

    /// The numbers in the payloads of what is scheduled, in the order in which it is due.
    func scheduledNumbers() async throws -> String {
        try await line(
            """
            SELECT coalesce(string_agg(e.data ->> 'n', ',' ORDER BY r.due_at), '') FROM postrider.webhook_retries AS r
            JOIN postrider.webhook_event_log AS e ON e.id = r.event_id
            """)
    }

    /// Events of a type with ascending numbers as payload, of which nothing waits.
    func history(_ count: Int, _ type: String = "a.b", from first: Int = 1, extra: String = "") async throws {
        try await run(
            """
            INSERT INTO postrider.webhook_event_log (event_type, data\(extra.isEmpty ? "" : ", organization_id, user_id"))
            SELECT '\(type)', jsonb_build_object('n', n)\(extra) FROM generate_series(\(first), \(first + count - 1)) AS n;
            DELETE FROM postrider.webhook_queue
            """)
    }

    /// One attempt of each event that has none at a destination: every hundredth died of it.
    func attempted(_ destination: Int32) async throws {
        try await run(
            """
            INSERT INTO postrider.webhook_attempts (event_id, attempted_at, worker_id, destination_id, duration_us,
                attempt_number, outcome, status_code, failure)
            SELECT id, created_at, 1, \(destination), 5, 1, CASE WHEN n % 100 = 0 THEN 2 ELSE 0 END,
                   CASE WHEN n % 100 = 0 THEN 500 ELSE 200 END, CASE WHEN n % 100 = 0 THEN 'server_error' END
            FROM (SELECT id, created_at, (data ->> 'n')::integer AS n FROM postrider.webhook_event_log) AS e
            WHERE NOT EXISTS (SELECT FROM postrider.webhook_attempts AS a WHERE a.event_id = e.id AND a.destination_id = \(destination));
            INSERT INTO postrider.webhook_dead_letters (event_id, destination_id, attempts, failure)
            SELECT event_id, destination_id, 1, failure FROM postrider.webhook_attempts AS a
            WHERE outcome = 2 AND destination_id = \(destination)
            ON CONFLICT DO NOTHING
            """)
    }

    /// Counts in the table `scheduling` how often each delivery was scheduled, whatever becomes of it.
    func watchScheduling() async throws {
        try await run(
            """
            CREATE TABLE scheduling (event_id uuid, destination_id integer, what text);
            CREATE FUNCTION note_scheduling() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                INSERT INTO scheduling VALUES (NEW.event_id, NEW.destination_id, TG_OP);
                RETURN NULL;
            END $$;
            CREATE TRIGGER note_scheduling AFTER INSERT OR UPDATE ON postrider.webhook_retries
                FOR EACH ROW EXECUTE FUNCTION note_scheduling()
            """)
    }
}
