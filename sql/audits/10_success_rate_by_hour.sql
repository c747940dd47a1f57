-- How did each destination do, hour by hour?
--
--   psql [-v hours=24] -f 10_success_rate_by_hour.sql
--
-- Columns: hour, destination, attempts, delivered, failed, success_percent.
-- Cost: reads the attempts of those hours.
\if :{?hours}
\else
    \set hours 24
\endif
SELECT date_trunc('hour', a.attempted_at) AS hour, d.name AS destination, count(*) AS attempts,
       count(*) FILTER (WHERE a.outcome = 0) AS delivered, count(*) FILTER (WHERE a.outcome <> 0) AS failed,
       round(100.0 * count(*) FILTER (WHERE a.outcome = 0) / count(*), 2) AS success_percent
FROM postrider.webhook_attempts AS a
JOIN postrider.webhook_destinations AS d ON d.id = a.destination_id
WHERE a.event_id >= postrider.event_id_at(now() - :'hours'::float8 * interval '1 hour') AND a.outcome NOT IN (3, 4)
GROUP BY 1, d.id
ORDER BY 1 DESC, failed DESC, 2;
