-- Which events wait longest for their first delivery?
--
--   psql [-v rows=20] -f 06_oldest_pending.sql
--
-- Columns: event_id, event_type, organization_id, priority, waiting. Oldest first within each priority.
-- Cost: reads that many rows of the queue by its key; milliseconds.
\if :{?rows}
\else
    \set rows 20
\endif
SELECT e.id AS event_id, e.event_type, e.organization_id, e.priority,
       CASE WHEN isfinite(e.created_at) THEN clock_timestamp() - e.created_at END AS waiting
FROM (
    SELECT u.id
    FROM (SELECT id, priority, more FROM postrider.webhook_queue ORDER BY priority, id LIMIT :rows) AS q
    CROSS JOIN LATERAL unnest(q.id || coalesce(q.more, '{}')) AS u (id)
    ORDER BY q.priority, u.id
    LIMIT :rows
) AS first_ones
JOIN postrider.webhook_event_log AS e ON e.id = first_ones.id
ORDER BY e.priority, e.id;
