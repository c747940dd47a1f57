-- Postrider 0006, undone. Sealed secrets stay as they are, and the program of before cannot read them: give those
-- destinations new secrets.

CREATE OR REPLACE FUNCTION postrider.secret_hint(destination_id integer) RETURNS text
    LANGUAGE sql STABLE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT '••••' || CASE WHEN length(s.secret) >= 16 THEN right(s.secret, 4) ELSE '' END
    FROM postrider.webhook_secrets AS s
    WHERE s.destination_id = secret_hint.destination_id
    ORDER BY s.version DESC LIMIT 1
$$;
COMMENT ON FUNCTION postrider.secret_hint(integer) IS
    'The end of a destination''s newest secret, to recognise it by; null when it has none.';

CREATE OR REPLACE FUNCTION postrider.webhook_routing_changed() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE postrider.webhook_routing SET version = version + 1;
    PERFORM pg_notify('postrider_routing', '');
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION postrider.webhook_routing_changed() IS 'Trigger: tells workers to load the destinations again.';
COMMENT ON COLUMN postrider.webhook_secrets.secret IS 'The secret. Only workers may read it.';

DROP TABLE postrider.webhook_secret_keys;
DROP FUNCTION postrider.shown_headers(jsonb), postrider.holds_credential(text);

DELETE FROM postrider.webhook_migrations WHERE version = 6;
