-- Destinations as the workers load them.

-- name: RoutingVersion   rows: 1
-- params: none
-- index: none: one row
SELECT version FROM postrider.webhook_routing;

-- name: DestinationLoad   rows: all destinations that are not deleted
-- params: none
-- index: none: read whole
SELECT id, public_id, kind, name, url, event_types, profile, organization_id, user_id, is_active,
       -- Whatever stands in a row: one that is faulty must not keep the others from being loaded.
       ARRAY(SELECT h.key FROM jsonb_each(CASE jsonb_typeof(headers) WHEN 'object' THEN headers ELSE '{"headers": 0}' END) AS h
             ORDER BY h.key),
       ARRAY(SELECT CASE jsonb_typeof(h.value) WHEN 'string' THEN h.value #>> '{}' END
             FROM jsonb_each(CASE jsonb_typeof(headers) WHEN 'object' THEN headers ELSE '{"headers": 0}' END) AS h
             ORDER BY h.key),
       max_attempts, base_delay_ms, delay_factor, max_delay_ms, jitter, delays_ms, timeout_ms, final_statuses,
       max_concurrency, keep_response_bytes, nullif(options, '{}')::text
FROM postrider.webhook_destinations
WHERE deleted_at IS NULL
ORDER BY id;

-- name: SecretLoad   rows: all secrets that sign now, newest first for each destination
-- params: none
-- index: webhook_secrets_pkey
SELECT s.destination_id, s.version, s.secret FROM postrider.webhook_secrets AS s
JOIN postrider.webhook_destinations AS d ON d.id = s.destination_id AND d.deleted_at IS NULL
WHERE s.expires_at IS NULL OR s.expires_at > clock_timestamp()
ORDER BY s.destination_id, s.version DESC;

-- name: DestinationDisable   rows: none
-- params: $1 destination int, $2 reason text
-- index: webhook_destinations_pkey
UPDATE postrider.webhook_destinations SET is_active = false, inactive_reason = $2, updated_at = clock_timestamp()
WHERE id = $1 AND is_active;
