-- Destinations as the workers load them.

-- name: RoutingVersion   rows: 1
-- params: none
-- index: none: one row
SELECT version, statement_timestamp() FROM postrider.webhook_routing;

-- name: RoutingChanges   rows: destinations that have changed since a version; one with id 0 when that is not known
-- params: $1 version bigint, $2 when the destinations were last loaded timestamptz
-- index: webhook_routing_changes_pkey, webhook_secrets_expiry_idx
SELECT c.destination_id FROM postrider.webhook_routing_changes AS c WHERE c.version > $1
UNION
-- A secret that has expired signs no more, though no row was changed. + 0: from Postgres 17 on a UNION may be a merge, for
-- which the whole key of the secrets was read, because that has this order (seen in plans of small tables).
SELECT s.destination_id + 0 FROM postrider.webhook_secrets AS s
WHERE s.expires_at > $2 AND s.expires_at <= statement_timestamp()
UNION
SELECT 0 FROM postrider.webhook_routing AS r
-- Not that version's place in the order, but the version itself: a server that took the place of another does not know what was
-- lost with that one, however far it has counted since.
WHERE r.version > $1 AND NOT EXISTS (SELECT FROM postrider.webhook_routing_changes AS c WHERE c.version = $1);

-- name: RoutingChangesPrune   rows: none
-- params: $1 how many versions to keep at least bigint
-- index: webhook_routing_changes_pkey
-- Each is at most 1,048,576 above the one before: webhook_routing_changed.
DELETE FROM postrider.webhook_routing_changes
WHERE version <= (SELECT version FROM postrider.webhook_routing) - $1::bigint * 1048576;

-- name: DestinationLoad   rows: destinations that are not deleted: all, or those named; from one id on
-- params: $1 destinations int[], null for all; $2 the first id that may come int, $3 most rows int
-- index: none: read in the order of webhook_destinations_pkey, with WorkSettings for its transaction; see ClaimPlanTests
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
WHERE deleted_at IS NULL AND ($1::integer[] IS NULL OR id = ANY ($1)) AND id >= $2
ORDER BY id
LIMIT $3;

-- name: SecretLoad   rows: secrets that sign now, newest first for each destination; with the seconds to their expiry
-- params: $1 destinations int[]
-- index: webhook_secrets_pkey
SELECT s.destination_id, s.version, s.secret, extract(epoch FROM s.expires_at - clock_timestamp())::float8
FROM postrider.webhook_secrets AS s
WHERE s.destination_id = ANY ($1)
  AND (s.expires_at IS NULL OR s.expires_at > clock_timestamp()
       -- The newest signs whatever its date says: nothing goes out unsigned because nobody rotated in time.
       OR NOT EXISTS (SELECT FROM postrider.webhook_secrets AS n
                      WHERE n.destination_id = s.destination_id AND n.version > s.version))
ORDER BY s.destination_id, s.version DESC;

-- name: SecretNextExpiry   rows: 1, the seconds until the next date of a secret passes; null when there is none
-- params: none
-- index: webhook_secrets_expiry_idx
SELECT extract(epoch FROM min(expires_at) - statement_timestamp())::float8
FROM postrider.webhook_secrets WHERE expires_at > statement_timestamp();

-- name: DestinationHold   rows: 0..1
-- params: $1 destination int
-- index: webhook_destinations_pkey
-- Gives up soon (55P03): whoever holds the row may be mending it.
SELECT FROM (SELECT set_config('lock_timeout', '200ms', true)) AS said, postrider.webhook_destinations AS d
WHERE d.id = $1 FOR NO KEY UPDATE OF d;

-- name: DestinationDisable   rows: none
-- params: $1 destination int, $2 reason text, $3 the URL that was asked text, null for any; $4 the version of the load that found
--         the fault bigint, null when it was none
-- index: webhook_destinations_pkey, webhook_routing_changes_pkey
-- A statement of its own behind DestinationHold, so that it sees what was committed while that waited. The audit log tells that
-- nobody did it by hand. What the receiver behind an old URL answers says nothing of the new one, and what was changed since a
-- load may have been mended: the next load tells.
UPDATE postrider.webhook_destinations SET is_active = false, inactive_reason = $2, updated_at = clock_timestamp()
FROM (SELECT set_config('postrider.actor', 'worker', true)) AS said
WHERE id = $1 AND is_active AND ($3::text IS NULL OR url = $3)
  AND ($4::bigint IS NULL
       OR NOT EXISTS (SELECT FROM postrider.webhook_routing_changes AS c WHERE c.version > $4 AND c.destination_id IN ($1, 0)));

-- name: ProfileLoad   rows: all profiles that are rows, each as a JSON object
-- params: none
-- index: none: read whole
SELECT name, (to_jsonb(p) - '{created_at,updated_at}'::text[])::text FROM postrider.webhook_profiles AS p ORDER BY name;

-- name: SettingLoad   rows: all settings
-- params: none
-- index: none: read whole
SELECT organization_id, name, is_shared, value FROM postrider.webhook_settings;
