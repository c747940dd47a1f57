// What Postgres is asked: witnesses that watch the tables while a scenario runs, and the questions at the end.

import Postgres

/// Triggers of the test's own on the tables of the program, and what they saw.
enum Witness {
    /// Claims that went from one life to another, and lives that were declared dead. Both are rare, so the witnesses
    /// cost the load nothing.
    static let sql = """
        CREATE SCHEMA chaos;
        CREATE TABLE chaos.rescued (event_id uuid, from_worker bigint, to_worker bigint, at timestamptz DEFAULT clock_timestamp());
        CREATE TABLE chaos.deaths (worker_id bigint, at timestamptz DEFAULT clock_timestamp());
        CREATE FUNCTION chaos.note_rescue() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO chaos.rescued SELECT id, OLD.worker_id, NEW.worker_id FROM unnest(NEW.event_ids) AS id;
            RETURN NULL;
        END $$;
        CREATE TRIGGER note_rescue AFTER UPDATE ON postrider.webhook_claims
            FOR EACH ROW WHEN (OLD.worker_id <> NEW.worker_id) EXECUTE FUNCTION chaos.note_rescue();
        CREATE FUNCTION chaos.note_death() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO chaos.deaths VALUES (OLD.id);
            RETURN NULL;
        END $$;
        CREATE TRIGGER note_death AFTER UPDATE ON postrider.webhook_workers
            FOR EACH ROW WHEN (OLD.alive AND NOT NEW.alive) EXECUTE FUNCTION chaos.note_death();
        """

    /// Every change of a row that is a delivery's state, with the session whose hand it was.
    static let hands = """
        CREATE TABLE chaos.hands (session integer, name text, operation text, at timestamptz DEFAULT clock_timestamp());
        CREATE FUNCTION chaos.note_hand() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO chaos.hands VALUES (pg_backend_pid(), TG_TABLE_NAME, TG_OP);
            RETURN NULL;
        END $$;
        CREATE TRIGGER note_hand AFTER INSERT OR UPDATE OR DELETE ON postrider.webhook_claims
            FOR EACH ROW EXECUTE FUNCTION chaos.note_hand();
        CREATE TRIGGER note_hand AFTER INSERT OR UPDATE OR DELETE ON postrider.webhook_retries
            FOR EACH ROW EXECUTE FUNCTION chaos.note_hand();
        CREATE TRIGGER note_hand AFTER INSERT OR UPDATE OR DELETE ON postrider.webhook_dead_letters
            FOR EACH ROW EXECUTE FUNCTION chaos.note_hand();
        CREATE TRIGGER note_hand AFTER DELETE ON postrider.webhook_queue
            FOR EACH ROW EXECUTE FUNCTION chaos.note_hand();
        -- Sessions that a life had when it was paused or cut off.
        CREATE TABLE chaos.zombies (worker_id bigint, session integer);
        """

    /// Notes which sessions belong to a life now.
    static func mark(zombie life: Int, name: String, _ outpost: Outpost) async throws {
        try await outpost.sql(
            """
            INSERT INTO chaos.zombies SELECT \(life), pid FROM pg_stat_activity
            WHERE application_name = '\(name)' AND datname = current_database()
            """)
    }

    /// Rows that sessions of dead lives changed after their death, by table and operation; empty is what is wanted.
    /// Attempts are not among them: they are facts, and a request that was made is recorded whoever made it. An attempt
    /// that claims to have changed a state (outcome 1 or 2) is.
    static func zombieChanges(_ outpost: Outpost) async throws -> [String] {
        let rows = try await outpost.sql(
            """
            SELECT h.name || ' ' || h.operation || ': ' || count(*)
            FROM chaos.hands AS h JOIN chaos.zombies AS z USING (session) JOIN chaos.deaths AS d USING (worker_id)
            WHERE h.at > d.at
            GROUP BY h.name, h.operation
            UNION ALL
            SELECT 'webhook_attempts outcome ' || a.outcome || ': ' || count(*)
            FROM postrider.webhook_attempts AS a
            JOIN chaos.zombies AS z USING (worker_id)
            JOIN postrider.webhook_workers AS w ON w.id = a.worker_id AND NOT w.alive
            WHERE a.outcome IN (1, 2) AND a.xmin::text::bigint > w.xmin::text::bigint
            GROUP BY a.outcome
            """)
        return try rows.map { try $0.string(0) }
    }

    /// Attempts that dead lives recorded after their death: the proof that they tried to go on.
    static func zombieFacts(_ outpost: Outpost) async throws -> Int {
        try await outpost.count(
            """
            postrider.webhook_attempts AS a JOIN postrider.webhook_workers AS w ON w.id = a.worker_id AND NOT w.alive
            WHERE a.worker_id IN (SELECT worker_id FROM chaos.zombies) AND a.xmin::text::bigint > w.xmin::text::bigint
            """)
    }

    /// What is wrong with the states of deliveries at the end; nothing, if all is well.
    struct States: Sendable, CustomStringConvertible {
        /// Events with neither a delivering attempt nor a dead letter.
        var open: Int
        /// Events with both.
        var double: Int
        /// Failed attempts of one number that both claim to have changed the state.
        var repeated: Int

        var areClean: Bool { open == 0 && double == 0 && repeated == 0 }
        var description: String { "states: \(open) open, \(double) double, \(repeated) repeated" }
    }

    static func states(_ outpost: Outpost) async throws -> States {
        let row = try await outpost.sql(
            """
            WITH delivered AS MATERIALIZED (SELECT DISTINCT event_id FROM postrider.webhook_attempts WHERE outcome = 0),
                 dead AS MATERIALIZED (SELECT DISTINCT event_id FROM postrider.webhook_dead_letters)
            SELECT (SELECT count(*) FROM postrider.webhook_event_log AS e
                    WHERE e.id NOT IN (SELECT event_id FROM delivered) AND e.id NOT IN (SELECT event_id FROM dead)),
                   (SELECT count(*) FROM delivered JOIN dead USING (event_id)),
                   (SELECT count(*) FROM (
                        SELECT FROM postrider.webhook_attempts WHERE outcome IN (1, 2)
                        GROUP BY event_id, destination_id, attempt_number HAVING count(*) > 1) AS twice)
            """)[0]
        return States(open: try row.int(0), double: try row.int(1), repeated: try row.int(2))
    }

    /// What Postgres says about every event.
    static func standing(_ outpost: Outpost) async throws -> Ledger.Standing {
        func marks(_ query: String) async throws -> Set<Int64> {
            let rows = try await outpost.sql("SELECT (e.data ->> 'ledger')::bigint FROM postrider.webhook_event_log AS e \(query)")
            return Set(try rows.map { try $0.int64(0) })
        }
        return Ledger.Standing(
            stored: try await marks(""),
            dead: try await marks("JOIN postrider.webhook_dead_letters AS l ON l.event_id = e.id"),
            recovered: try await marks("WHERE e.id IN (SELECT event_id FROM chaos.rescued)"))
    }
}
