-- How many events did each organization cause?
--
--   psql [-v hours=24] -f 07_volume_by_organization.sql
--
-- Columns: organization_id, events, event_types, share_percent, bytes (of payloads, as stored), first_at, last_at. The busiest
-- first, at most 100.
-- Cost: reads the events of those hours.
\if :{?hours}
\else
    \set hours 24
\endif
SELECT e.organization_id, count(*) AS events, count(DISTINCT e.event_type) AS event_types,
       round(100.0 * count(*) / sum(count(*)) OVER (), 1) AS share_percent,
       sum(pg_column_size(e.data)) AS bytes, min(e.created_at) AS first_at, max(e.created_at) AS last_at
FROM postrider.webhook_event_log AS e
WHERE e.id >= postrider.event_id_at(now() - :'hours'::float8 * interval '1 hour')
GROUP BY e.organization_id
ORDER BY events DESC
LIMIT 100;
