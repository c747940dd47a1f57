-- What is stuck, and why?
--
--   psql [-v seconds=60] -f 05_stuck.sql
--
-- Whatever should have moved within that time: events that nobody claims, claims that do not end, retries that are
-- overdue, deliveries parked for an inactive destination, attachments that make no events.
-- Columns: what, count, since, why.
-- Cost: reads the queue's oldest rows, the claims, the due retries and the attachments.
\if :{?seconds}
\else
    \set seconds 60
\endif
WITH workers AS (
    SELECT count(*) FILTER (WHERE alive AND lease_until >= statement_timestamp()) AS alive FROM postrider.webhook_workers
), late AS (
    SELECT clock_timestamp() - :'seconds'::float8 * interval '1 second' AS before
)
SELECT 'events waiting for a worker' AS what, sum(1 + coalesce(cardinality(q.more), 0)) AS count,
       postrider.event_id_time(min(q.id::text)::uuid) AS since,
       CASE WHEN w.alive = 0 THEN 'no worker is alive' ELSE 'more events than the workers deliver, or a low priority' END AS why
FROM postrider.webhook_queue AS q, workers AS w, late
WHERE q.id < postrider.event_id_at(late.before)
GROUP BY w.alive
UNION ALL
SELECT 'deliveries in a claim', sum(cardinality(c.event_ids)), min(c.claimed_at),
       CASE WHEN k.id IS NULL THEN 'its worker is not known: a rescue should take it'
            WHEN NOT k.alive OR k.lease_until < statement_timestamp() THEN 'its worker is dead: a rescue should take it'
            ELSE format('worker %s on %s still holds it: slow destinations', k.id, k.host) END
FROM postrider.webhook_claims AS c
LEFT JOIN postrider.webhook_workers AS k ON k.id = c.worker_id, late
WHERE c.claimed_at < late.before
GROUP BY k.id, 4
UNION ALL
SELECT 'retries overdue', count(*), min(r.due_at),
       format('%s: %s', d.name, CASE WHEN w.alive = 0 THEN 'no worker is alive'
                                     WHEN NOT d.is_active THEN 'the destination is inactive'
                                     ELSE 'its breaker is open, or it is at its limit' END)
FROM postrider.webhook_retries AS r
JOIN postrider.webhook_destinations AS d ON d.id = r.destination_id, workers AS w, late
WHERE r.due_at < late.before
GROUP BY d.id, w.alive
UNION ALL
SELECT 'deliveries parked', count(*), postrider.event_id_time(min(r.event_id::text)::uuid),
       format('%s is inactive: %s', d.name, coalesce(d.inactive_reason, 'no reason given'))
FROM postrider.webhook_retries AS r
JOIN postrider.webhook_destinations AS d ON d.id = r.destination_id
-- What waits behind an earlier event of its ordering key is not parked.
WHERE r.due_at = 'infinity' AND r.ordering_key IS NULL
GROUP BY d.id
UNION ALL
SELECT 'attachment at fault', count(*), NULL, format('%s: %s; %s', table_name, problem, cure)
FROM postrider.webhook_attachment_check
GROUP BY 4
ORDER BY 3;
