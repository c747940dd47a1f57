-- Secrets at rest: finding what is to be sealed, and putting it back sealed.

-- name: SealsBegin   rows: 1
-- params: none
-- index: none
-- Until the transaction ends, changes of secrets and headers do not make workers load their destinations again.
SELECT set_config('postrider.only_seals', 'on', true);

-- name: SecretTake   rows: 0..$4, ascending; locked until the transaction ends, those that others hold are left out
-- params: $1 destination int, $2 version int: to begin behind; $3 beginning text of those to leave; $4 most bigint
-- index: webhook_secrets_pkey
SELECT destination_id, version, secret FROM postrider.webhook_secrets
WHERE (destination_id, version) > ($1::integer, $2::integer) AND NOT starts_with(secret, $3)
ORDER BY destination_id, version LIMIT $4 FOR NO KEY UPDATE SKIP LOCKED;

-- name: SecretReplace   rows: none
-- params: $1 destinations int[], $2 versions int[], $3 sealed secrets text[]
-- index: webhook_secrets_pkey
UPDATE postrider.webhook_secrets AS s SET secret = u.secret
FROM unnest($1::integer[], $2::integer[], $3::text[]) AS u (destination_id, version, secret)
WHERE s.destination_id = u.destination_id AND s.version = u.version;

-- name: HeaderTake   rows: 0..$3 destinations, ascending, deleted ones too; locked until the transaction ends
-- params: $1 destination int to begin behind; $2 beginning text of values to leave; $3 most bigint
-- index: webhook_destinations_pkey
-- Headers are taken apart behind the lock. A join with them would keep what the snapshot shows, also where the row was
-- changed before it could be locked, and the old credential would be sealed over the new one.
WITH held AS MATERIALIZED (
    SELECT d.id, d.headers FROM postrider.webhook_destinations AS d
    WHERE d.id > $1 AND EXISTS (
        SELECT FROM jsonb_each_text(d.headers) AS e
        WHERE (starts_with(e.value, 'sealed:') OR postrider.holds_credential(e.key))
          AND e.value <> '' AND NOT starts_with(e.value, $2))
    ORDER BY d.id LIMIT $3 FOR NO KEY UPDATE SKIP LOCKED
)
SELECT held.id, h.names, h.texts
FROM held, LATERAL (SELECT array_agg(e.key) AS names, array_agg(e.value) AS texts FROM jsonb_each_text(held.headers) AS e
                    WHERE (starts_with(e.value, 'sealed:') OR postrider.holds_credential(e.key))
                      AND e.value <> '' AND NOT starts_with(e.value, $2)) AS h
ORDER BY held.id;

-- name: HeaderReplace   rows: none
-- params: $1 destinations int[], $2 names text[], $3 sealed values text[], an entry for each header
-- index: webhook_destinations_pkey
UPDATE postrider.webhook_destinations AS d SET headers = d.headers || u.headers
FROM (SELECT e.id, jsonb_object_agg(e.name, e.value) AS headers
      FROM unnest($1::integer[], $2::text[], $3::text[]) AS e (id, name, value) GROUP BY e.id) AS u
WHERE d.id = u.id;

-- name: DestinationLock   rows: 0..1
-- params: $1 public id uuid text
-- index: webhook_destinations_public_id_key
-- Whoever gives a destination a new secret holds this lock, so the next version stays the next until the transaction ends.
SELECT id FROM postrider.webhook_destinations WHERE public_id = $1::uuid AND deleted_at IS NULL FOR NO KEY UPDATE;

-- name: SecretNextVersion   rows: 1
-- params: $1 destination int
-- index: webhook_secrets_pkey
-- A statement of its own behind the lock: one that waited for it would still see the versions from before.
SELECT coalesce(max(version), 0) + 1 FROM postrider.webhook_secrets WHERE destination_id = $1;

-- name: SecretCensus   rows: one for each key, plain ones (null) first
-- params: none
-- index: none: reads all secrets
SELECT u.key_name, count(*) FILTER (WHERE u.place = 'secret'), count(*) FILTER (WHERE u.place = 'expired'),
       count(*) FILTER (WHERE u.place = 'header'), count(*) FILTER (WHERE u.place = 'setting')
FROM (SELECT CASE WHEN starts_with(secret, 'sealed:') THEN split_part(secret, ':', 3) END AS key_name,
             CASE WHEN expires_at <= clock_timestamp() AND version < max(version) OVER (PARTITION BY destination_id)
                  THEN 'expired' ELSE 'secret' END AS place
      FROM postrider.webhook_secrets
      UNION ALL
      SELECT CASE WHEN starts_with(h.value, 'sealed:') THEN split_part(h.value, ':', 3) END, 'header'
      FROM postrider.webhook_destinations AS d, jsonb_each_text(d.headers) AS h
      WHERE h.value <> '' AND (starts_with(h.value, 'sealed:') OR postrider.holds_credential(h.key))
      UNION ALL
      SELECT CASE WHEN starts_with(value, 'sealed:') THEN split_part(value, ':', 3) END, 'setting'
      FROM postrider.webhook_settings) AS u
GROUP BY u.key_name
ORDER BY u.key_name NULLS FIRST;

-- name: SettingTake   rows: 0..$3, ascending; locked until the transaction ends, those that others hold are left out
-- params: $1 setting int to begin behind; $2 beginning text of values to leave; $3 most bigint
-- index: webhook_settings_pkey
SELECT id, organization_id, name, value FROM postrider.webhook_settings
WHERE id > $1 AND NOT starts_with(value, $2)
ORDER BY id LIMIT $3 FOR NO KEY UPDATE SKIP LOCKED;

-- name: SettingReplace   rows: none
-- params: $1 settings int[], $2 sealed values text[]
-- index: webhook_settings_pkey
UPDATE postrider.webhook_settings AS s SET value = u.value
FROM unnest($1::integer[], $2::text[]) AS u (id, value) WHERE s.id = u.id;

-- name: KeyProofLoad   rows: 0..1 for each name
-- params: $1 names text[]
-- index: webhook_secret_keys_pkey
SELECT name, proof FROM postrider.webhook_secret_keys WHERE name = ANY ($1::text[]);

-- name: KeyProofAdd   rows: none
-- params: $1 name text, $2 proof text
-- index: webhook_secret_keys_pkey
-- Waits for a transaction that writes the same name, and leaves what that one wrote.
INSERT INTO postrider.webhook_secret_keys (name, proof) VALUES ($1, $2)
ON CONFLICT ON CONSTRAINT webhook_secret_keys_pkey DO NOTHING;
