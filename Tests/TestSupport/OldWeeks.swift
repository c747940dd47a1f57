// A past for a new database: weekly partitions of the last 20 weeks, with something in one of them.

/// SQL that gives a migrated, empty database old weeks.
public enum OldWeeks {
    /// Partitions of the last 20 weeks and, 100 days ago, two settled events, each with its attempt.
    public static let sql = """
        DO $$ DECLARE parent text; week date := date_trunc('week', now() AT TIME ZONE 'UTC')::date; BEGIN
            FOREACH parent IN ARRAY ARRAY['webhook_event_log', 'webhook_attempts'] LOOP
                EXECUTE format('DROP TABLE postrider.%I', parent || to_char(week, '_IYYY_IW'));
                PERFORM postrider.add_partition(parent, 'first', NULL, postrider.week_start(week - 7 * 20));
                FOR n IN 0..20 LOOP
                    PERFORM postrider.add_partition(parent, to_char(week - 7 * n, 'IYYY_IW'),
                        postrider.week_start(week - 7 * n), postrider.week_start(week - 7 * n + 7));
                END LOOP;
            END LOOP;
        END $$;
        INSERT INTO postrider.webhook_event_log (id, event_type, data)
        SELECT encode(set_byte(uuid_send(postrider.event_id_at(now() - interval '100 days')), 15, n), 'hex')::uuid, 'a.b', '{"x": 1}'
        FROM generate_series(0, 1) AS n;
        DELETE FROM postrider.webhook_queue;
        INSERT INTO postrider.webhook_attempts (event_id, attempted_at, worker_id, destination_id, duration_us, attempt_number, outcome)
        SELECT id, now(), 1, 1, 1, 1, 0 FROM postrider.webhook_event_log
        """
}
