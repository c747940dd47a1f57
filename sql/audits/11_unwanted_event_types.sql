-- Which event types does nobody subscribe to?
--
--   psql [-v hours=24] -f 11_unwanted_event_types.sql
--
-- Patterns alone decide here; a destination that is scoped to an organization or person counts as a subscriber, and so does
-- one that is inactive.
-- Columns: event_type, events, last_at, event_sources.
-- Cost: reads the events of those hours.
\if :{?hours}
\else
    \set hours 24
\endif
SELECT t.event_type, t.events, t.last_at, t.event_sources
FROM (
    SELECT event_type, count(*) AS events, max(created_at) AS last_at,
           array_to_string(array_agg(DISTINCT event_source), ', ') AS event_sources
    FROM postrider.webhook_event_log
    WHERE id >= postrider.event_id_at(now() - :'hours'::float8 * interval '1 hour')
    GROUP BY event_type
) AS t
WHERE NOT EXISTS (SELECT FROM postrider.webhook_destinations AS d
                  WHERE d.deleted_at IS NULL AND postrider.matches(d.event_types, t.event_type))
ORDER BY t.events DESC;
