-- Which destinations got nothing?
--
--   psql [-v hours=24] -f 12_silent_destinations.sql
--
-- Columns: destination, kind, is_active, inactive_reason, event_types, has_filter (of payloads, which matching_events does
--          not ask), matching_events (in those hours), waiting.
-- Cost: reads the attempts and events of those hours.
\if :{?hours}
\else
    \set hours 24
\endif
WITH busy AS (
    SELECT DISTINCT destination_id FROM postrider.webhook_attempts
    WHERE event_id >= postrider.event_id_at(now() - :'hours'::float8 * interval '1 hour')
), seen AS (
    SELECT event_type, organization_id, user_id, count(*) AS events FROM postrider.webhook_event_log
    WHERE id >= postrider.event_id_at(now() - :'hours'::float8 * interval '1 hour')
    GROUP BY event_type, organization_id, user_id
)
SELECT d.name AS destination, d.kind, d.is_active, d.inactive_reason, d.event_types, d.options ? 'filter' AS has_filter,
       (SELECT coalesce(sum(s.events), 0) FROM seen AS s
        WHERE postrider.matches(d.event_types, s.event_type)
          AND (d.organization_id IS NULL OR d.organization_id = s.organization_id)
          AND (d.user_id IS NULL OR d.user_id = s.user_id)) AS matching_events,
       (SELECT count(*) FROM postrider.webhook_retries AS r WHERE r.destination_id = d.id) AS waiting
FROM postrider.webhook_destinations AS d
WHERE d.deleted_at IS NULL AND d.id NOT IN (SELECT destination_id FROM busy)
ORDER BY matching_events DESC, d.name;
