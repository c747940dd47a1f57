-- How many retries come due in the next hour, minute by minute?
--
--   psql [-v minutes=60] -f 08_retry_forecast.sql
--
-- Columns: minute (the first row also counts what is overdue), retries, destinations, most_from. Minutes without any are
-- left out; deliveries parked for inactive destinations do not count.
-- Cost: reads the retries that are due by then.
\if :{?minutes}
\else
    \set minutes 60
\endif
SELECT date_trunc('minute', greatest(r.due_at, clock_timestamp())) AS minute, count(*) AS retries,
       count(DISTINCT r.destination_id) AS destinations, mode() WITHIN GROUP (ORDER BY d.name) AS most_from
FROM postrider.webhook_retries AS r
JOIN postrider.webhook_destinations AS d ON d.id = r.destination_id
WHERE r.due_at < clock_timestamp() + :'minutes'::float8 * interval '1 minute'
GROUP BY 1
ORDER BY 1;
