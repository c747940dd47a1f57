-- What fails, and how?
--
--   psql [-v hours=24] -f 04_failures_by_class.sql
--
-- Columns: failure, status_code, attempts, destinations, will_retry, gave_up, first_at, last_at, example.
-- Cost: reads the attempts of those hours.
\if :{?hours}
\else
    \set hours 24
\endif
SELECT a.failure, a.status_code, count(*) AS attempts, count(DISTINCT a.destination_id) AS destinations,
       count(*) FILTER (WHERE a.outcome = 1) AS will_retry, count(*) FILTER (WHERE a.outcome = 2) AS gave_up,
       min(a.attempted_at) AS first_at, max(a.attempted_at) AS last_at, max(a.error_message) AS example
FROM postrider.webhook_attempts AS a
WHERE a.event_id >= postrider.event_id_at(now() - :'hours'::float8 * interval '1 hour') AND a.outcome NOT IN (0, 4)
GROUP BY a.failure, a.status_code
ORDER BY attempts DESC;
