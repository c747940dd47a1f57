-- Which attempts were made twice? (After a crash that is expected: the request may have been made, its record lost.)
--
--   psql [-v hours=24] -f 18_duplicates.sql
--
-- Columns: event_id, destination, attempt_number, times, workers, first_at, last_at. Receivers saw the same webhook-id.
-- The latest first, at most 200.
-- Cost: reads the attempts of those hours.
\if :{?hours}
\else
    \set hours 24
\endif
SELECT a.event_id, d.name AS destination, a.attempt_number, count(*) AS times,
       array_agg(DISTINCT a.worker_id) AS workers, min(a.attempted_at) AS first_at, max(a.attempted_at) AS last_at
FROM postrider.webhook_attempts AS a
JOIN postrider.webhook_destinations AS d ON d.id = a.destination_id
WHERE a.event_id >= postrider.event_id_at(now() - :'hours'::float8 * interval '1 hour')
GROUP BY a.event_id, d.id, a.attempt_number
HAVING count(*) > 1
ORDER BY first_at DESC
LIMIT 200;
