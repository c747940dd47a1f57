-- What is beyond a threshold now, and should be told to somebody?
--
--   psql [-v hours=1] [-v failure_percent=5] [-v p95_ms=1000] [-v dead_letters=100] [-v days=14] -f 26_alerts.sql
--
-- A row for each alert, and none when all is well: -A -t prints nothing then, which is what a monitor wants to see.
-- Columns: alert (certificate, critical dead letters, dead letters, failing, failure rate, inactive, latency, secret), destination
-- (null where it is about all of them), value, threshold, detail.
-- Cost: reads the attempts of the events of those hours, the dead letters, and what waits for inactive destinations.
\if :{?hours}
\else
    \set hours 1
\endif
\if :{?failure_percent}
\else
    \set failure_percent 5
\endif
\if :{?p95_ms}
\else
    \set p95_ms 1000
\endif
\if :{?dead_letters}
\else
    \set dead_letters 100
\endif
\if :{?days}
\else
    \set days 14
\endif
WITH recent AS (
    SELECT a.destination_id, count(*) AS attempts, count(*) FILTER (WHERE a.outcome <> 0) AS failed,
           round(100.0 * count(*) FILTER (WHERE a.outcome <> 0) / count(*), 2) AS failed_percent,
           round((percentile_cont(0.95) WITHIN GROUP (ORDER BY a.duration_us) / 1000)::numeric, 1) AS p95_ms,
           count(*) FILTER (WHERE a.failure = 'certificate') AS certificates,
           max(a.error_message) FILTER (WHERE a.failure = 'certificate') AS certificate_error
    FROM postrider.webhook_attempts AS a JOIN postrider.webhook_destinations AS d ON d.id = a.destination_id AND d.deleted_at IS NULL
    WHERE a.event_id >= postrider.event_id_at(now() - :'hours'::float8 * interval '1 hour') AND a.outcome NOT IN (3, 4)
    GROUP BY a.destination_id
), letters AS (
    SELECT count(*) AS dead, count(*) FILTER (WHERE l.is_critical) AS critical
    FROM postrider.webhook_dead_letters AS l WHERE l.archived_at IS NULL
), alerts AS (
    SELECT 'failure rate' AS alert, r.destination_id, r.failed_percent AS value, :'failure_percent'::numeric AS threshold,
           format('%s of %s attempts failed', r.failed, r.attempts) AS detail
    FROM recent AS r WHERE r.failed_percent > :'failure_percent'::numeric
    UNION ALL
    SELECT 'latency', r.destination_id, r.p95_ms, :'p95_ms'::numeric,
           'p95 of an exchange in ms'
               || CASE WHEN d.kind = 'n8n' THEN '; in response mode Immediately n8n does not wait for the workflow' ELSE '' END
    FROM recent AS r JOIN postrider.webhook_destinations AS d ON d.id = r.destination_id
    WHERE r.p95_ms > :'p95_ms'::numeric
    UNION ALL
    SELECT 'certificate', r.destination_id, r.certificates, 0, r.certificate_error FROM recent AS r WHERE r.certificates > 0
    UNION ALL
    -- A row that holds nothing but a pause, asked for by Retry-After, is no failure in a row.
    SELECT 'failing', b.destination_id, round(extract(epoch FROM clock_timestamp() - b.failing_since)), 0,
           format('seconds of nothing but failure (%s); its breaker opened %s times', b.failure, b.trips)
    FROM postrider.webhook_breakers AS b WHERE b.trips > 0 OR b.open_until = '-infinity'
    UNION ALL
    SELECT 'inactive', d.id, count(*), 0, format('deliveries wait: %s', coalesce(d.inactive_reason, 'no reason given'))
    FROM postrider.webhook_destinations AS d JOIN postrider.webhook_retries AS r ON r.destination_id = d.id
    WHERE NOT d.is_active AND d.deleted_at IS NULL
    GROUP BY d.id
    UNION ALL
    SELECT 'dead letters', NULL, l.dead, :'dead_letters'::numeric, 'nobody has decided about them' FROM letters AS l
    WHERE l.dead >= :'dead_letters'::numeric
    UNION ALL
    SELECT 'critical dead letters', NULL, l.critical, 0, 'nobody has decided about them' FROM letters AS l WHERE l.critical > 0
    UNION ALL
    SELECT 'secret', d.id, round((extract(epoch FROM s.at - clock_timestamp()) / 86400)::numeric, 1), :'days'::numeric,
           'days until it should be replaced; it signs on afterwards'
    FROM postrider.webhook_destinations AS d, LATERAL (SELECT postrider.secret_expires_at(d.id) AS at) AS s
    WHERE d.deleted_at IS NULL AND s.at < clock_timestamp() + :'days'::float8 * interval '1 day'
)
SELECT a.alert, d.name AS destination, a.value, a.threshold, a.detail
FROM alerts AS a LEFT JOIN postrider.webhook_destinations AS d ON d.id = a.destination_id
ORDER BY a.alert, a.value DESC, d.name;
