-- Which deliveries were given up, and why?
--
--   psql -f 09_dead_letters.sql
--
-- Columns: destination, failure, dead_letters, critical, archived, first_at, last_at, example_event, example_error.
-- dead_letters and critical count those about which somebody should decide; archived those about which somebody did, or
-- that died again after five replays.
-- Cost: reads all dead letters.
SELECT d.name AS destination, l.failure, count(*) FILTER (WHERE l.archived_at IS NULL) AS dead_letters,
       count(*) FILTER (WHERE l.is_critical AND l.archived_at IS NULL) AS critical,
       count(*) FILTER (WHERE l.archived_at IS NOT NULL) AS archived,
       min(l.dead_at) AS first_at, max(l.dead_at) AS last_at,
       (array_agg(l.event_id ORDER BY l.dead_at DESC))[1] AS example_event,
       (array_agg(l.error_message ORDER BY l.dead_at DESC))[1] AS example_error
FROM postrider.webhook_dead_letters AS l
JOIN postrider.webhook_destinations AS d ON d.id = l.destination_id
GROUP BY d.id, l.failure
ORDER BY critical DESC, dead_letters DESC;
