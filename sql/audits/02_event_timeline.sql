-- What happened to an event, step by step?
--
--   psql -v event_id=<uuid> -f 02_event_timeline.sql       (without event_id: the newest event)
--
-- Columns: happened_at, step (inserted, claimed, attempt 1, attempt 2 is due, replay is due, dead letter), destination, detail.
-- What is claimed is told as long as a worker holds it.
-- Cost: index probes in one partition, and one look over the claims in flight.
\if :{?event_id}
\else
    SELECT coalesce((SELECT id FROM postrider.webhook_events WHERE id >= postrider.event_id_at(now() - interval '1 day')
                     ORDER BY id DESC LIMIT 1), '00000000-0000-0000-0000-000000000000') AS event_id \gset
\endif
SELECT s.happened_at, s.step, d.name AS destination, s.detail
FROM (
    SELECT e.created_at AS happened_at, 'inserted' AS step, NULL::integer AS destination_id,
           concat_ws(' ', e.event_type, 'from', e.event_source, e.table_name, e.record_id) AS detail
    FROM postrider.webhook_event_log AS e WHERE e.id = :'event_id'
    UNION ALL
    SELECT c.claimed_at, 'claimed', NULL, format('by worker %s, rescued %s times', c.worker_id, c.rescues)
    FROM postrider.webhook_claims AS c WHERE :'event_id' = ANY (c.event_ids)
    UNION ALL
    SELECT a.attempted_at, 'attempt ' || a.attempt_number, a.destination_id,
           concat_ws(', ', CASE WHEN a.outcome = 0 THEN 'delivered' ELSE a.failure END, 'HTTP ' || a.status_code,
                     round(a.duration_us / 1000.0, 1) || ' ms', a.error_message)
    FROM postrider.webhook_attempts AS a WHERE a.event_id = :'event_id'
    UNION ALL
    SELECT r.due_at, CASE WHEN r.is_replay THEN 'replay' ELSE 'attempt ' || r.attempt_number END || ' is due',
           r.destination_id, CASE WHEN r.ordering_key IS NOT NULL THEN 'waits behind an earlier event of its ordering key'
                                  WHEN r.due_at = 'infinity' THEN 'parked until the destination is active' END
    FROM postrider.webhook_retries AS r WHERE r.event_id = :'event_id'
    UNION ALL
    SELECT l.dead_at, 'dead letter', l.destination_id, format('after %s attempts: %s', l.attempts, l.error_message)
    FROM postrider.webhook_dead_letters AS l WHERE l.event_id = :'event_id'
) AS s
LEFT JOIN postrider.webhook_destinations AS d ON d.id = s.destination_id
ORDER BY s.happened_at, s.step;
