-- Who gets which event types?
--
--   psql [-v hours=24] -f 19_event_types.sql
--
-- Columns: event_type, events (in those hours), destinations, names (active ones, by pattern; one with a
--          filter of payloads may get fewer).
-- Cost: reads the events of those hours.
\if :{?hours}
\else
    \set hours 24
\endif
SELECT t.event_type, t.events, count(d.id) AS destinations, string_agg(d.name, ', ' ORDER BY d.name) AS names
FROM (SELECT event_type, count(*) AS events FROM postrider.webhook_event_log
      WHERE id >= postrider.event_id_at(now() - :'hours'::float8 * interval '1 hour')
      GROUP BY event_type) AS t
LEFT JOIN postrider.webhook_destinations AS d
    ON d.deleted_at IS NULL AND d.is_active AND postrider.matches(d.event_types, t.event_type)
GROUP BY t.event_type, t.events
ORDER BY t.events DESC;
