-- Postrider 0006: secrets at rest. Sealed secrets (sealed:v1:<key>:<base64>) stand where plain ones stood before; the
-- database never sees a key. This adds what SQL must know of them: how they are shown, which headers hold credentials,
-- and that sealing changes nothing for workers.

CREATE FUNCTION postrider.holds_credential(header_name text) RETURNS boolean
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT lower(header_name) ~ 'auth|cookie|token|secret|passw|credential|key$'
$$;
COMMENT ON FUNCTION postrider.holds_credential(text) IS
    'Whether a header of that name holds a credential, as far as a name can tell. Such values are sealed and not shown.';

CREATE FUNCTION postrider.shown_headers(headers jsonb) RETURNS jsonb
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT coalesce(jsonb_object_agg(h.key, CASE
        WHEN starts_with(h.value #>> '{}', 'sealed:') OR postrider.holds_credential(h.key) THEN to_jsonb('••••'::text)
        ELSE h.value END), '{}')
    FROM jsonb_each(headers) AS h
$$;
COMMENT ON FUNCTION postrider.shown_headers(jsonb) IS 'Headers of a destination without their credentials, for people.';

-- Of a sealed secret the key's name is shown: the end of a ciphertext helps nobody to recognise anything.
CREATE OR REPLACE FUNCTION postrider.secret_hint(destination_id integer) RETURNS text
    LANGUAGE sql STABLE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT '••••' || CASE WHEN starts_with(s.secret, 'sealed:') THEN ' sealed with ' || split_part(s.secret, ':', 3)
                          WHEN length(s.secret) >= 16 THEN right(s.secret, 4) ELSE '' END
    FROM postrider.webhook_secrets AS s
    WHERE s.destination_id = secret_hint.destination_id
    ORDER BY s.version DESC LIMIT 1
$$;
COMMENT ON FUNCTION postrider.secret_hint(integer) IS
    'The end of a destination''s newest secret, to recognise it by, or the key that it is sealed with; null when it has none.';

COMMENT ON COLUMN postrider.webhook_secrets.secret IS
    'The secret: sealed:v1:<key name>:<base64>, or plain text until a worker with keys has sealed it. Only workers may read it.';

-- Sealing with another key changes no secret, so it need not make every worker load all destinations again: with
-- 100,000 of them a rotation would cost each worker a hundred loads.
CREATE OR REPLACE FUNCTION postrider.webhook_routing_changed() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF current_setting('postrider.only_seals', true) = 'on' THEN
        RETURN NULL;
    END IF;
    UPDATE postrider.webhook_routing SET version = version + 1;
    PERFORM pg_notify('postrider_routing', '');
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION postrider.webhook_routing_changed() IS
    'Trigger: tells workers to load the destinations again, unless the transaction only seals secrets.';

-- Two keys of one name would both seal, and neither could open what the other sealed. Rows stay for ever: a name belongs to its
-- key also when nothing stands under it here any more, because dumps of before need it still.
CREATE TABLE postrider.webhook_secret_keys (
    name       text        NOT NULL,
    proof      text        NOT NULL,
    created_by text        NOT NULL DEFAULT session_user,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT webhook_secret_keys_pkey PRIMARY KEY (name),
    CONSTRAINT proof_is_sealed_with_its_key CHECK (starts_with(proof, 'sealed:') AND split_part(proof, ':', 3) = name)
);
COMMENT ON TABLE postrider.webhook_secret_keys IS
    'Names of keys that were ever sealed under, each with the proof by which a program finds out whether its key of that name is the right one.';
COMMENT ON COLUMN postrider.webhook_secret_keys.name IS 'Name of the key, as in POSTRIDER_SECRET_KEYS.';
COMMENT ON COLUMN postrider.webhook_secret_keys.proof IS
    'A known text, sealed with the key and bound to its name: sealed:v1:<key name>:<base64>. It tells nothing of the key.';
COMMENT ON COLUMN postrider.webhook_secret_keys.created_by IS 'Who was the first to seal under that name.';
COMMENT ON COLUMN postrider.webhook_secret_keys.created_at IS 'When that was.';

INSERT INTO postrider.webhook_migrations (version, name) VALUES (6, 'secrets');
