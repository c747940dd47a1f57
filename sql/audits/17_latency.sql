-- How long from an event's insert to its delivery, minute by minute?
--
--   psql [-v minutes=15] -f 17_latency.sql
--
-- From the insert, not the commit: a long transaction of the producer counts into it. First attempts that delivered.
-- Columns: minute, deliveries, p50_ms, p95_ms, p99_ms, max_ms.
-- Cost: reads the attempts and events of those minutes.
\if :{?minutes}
\else
    \set minutes 15
\endif
SELECT date_trunc('minute', e.created_at) AS minute, count(*) AS deliveries,
       round((1000 * percentile_cont(0.50) WITHIN GROUP (ORDER BY l.seconds))::numeric, 1) AS p50_ms,
       round((1000 * percentile_cont(0.95) WITHIN GROUP (ORDER BY l.seconds))::numeric, 1) AS p95_ms,
       round((1000 * percentile_cont(0.99) WITHIN GROUP (ORDER BY l.seconds))::numeric, 1) AS p99_ms,
       round((1000 * max(l.seconds))::numeric, 1) AS max_ms
FROM postrider.webhook_attempts AS a
JOIN postrider.webhook_event_log AS e ON e.id = a.event_id
CROSS JOIN LATERAL (SELECT date_part('epoch', CASE WHEN isfinite(e.created_at) THEN a.attempted_at - e.created_at END) AS seconds) AS l
WHERE a.event_id >= postrider.event_id_at(now() - :'minutes'::float8 * interval '1 minute')
  AND e.id >= postrider.event_id_at(now() - :'minutes'::float8 * interval '1 minute')
  AND a.outcome = 0 AND a.attempt_number = 1 AND isfinite(e.created_at)
GROUP BY 1
ORDER BY 1 DESC;
