-- Which destinations answer slowest?
--
--   psql [-v hours=1] -f 03_slowest_destinations.sql
--
-- Columns: destination, attempts, p50_ms, p95_ms, p99_ms, max_ms, timeouts. Slowest p95 first, at most 50.
-- Cost: reads the attempts of those hours.
\if :{?hours}
\else
    \set hours 1
\endif
SELECT d.name AS destination, count(*) AS attempts,
       round((percentile_cont(0.50) WITHIN GROUP (ORDER BY a.duration_us) / 1000)::numeric, 1) AS p50_ms,
       round((percentile_cont(0.95) WITHIN GROUP (ORDER BY a.duration_us) / 1000)::numeric, 1) AS p95_ms,
       round((percentile_cont(0.99) WITHIN GROUP (ORDER BY a.duration_us) / 1000)::numeric, 1) AS p99_ms,
       round(max(a.duration_us) / 1000.0, 1) AS max_ms,
       count(*) FILTER (WHERE a.failure = 'timeout') AS timeouts
FROM postrider.webhook_attempts AS a
JOIN postrider.webhook_destinations AS d ON d.id = a.destination_id
WHERE a.event_id >= postrider.event_id_at(now() - :'hours'::float8 * interval '1 hour') AND a.outcome NOT IN (3, 4)
GROUP BY d.id
ORDER BY p95_ms DESC
LIMIT 50;
