-- Postrider 0013: settings. Values that headers and options of destinations name as ${NAME}: tokens, passwords, private keys.
-- Sealed like secrets, written once, and used by any number of destinations of their owner.

CREATE TABLE postrider.webhook_settings (
    id              integer     GENERATED ALWAYS AS IDENTITY,
    organization_id text,
    name            text        NOT NULL,
    value           text        NOT NULL,
    is_shared       boolean     NOT NULL DEFAULT false,
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT webhook_settings_pkey PRIMARY KEY (id),
    CONSTRAINT webhook_settings_name_key UNIQUE NULLS NOT DISTINCT (organization_id, name),
    CONSTRAINT name_is_a_word CHECK (name COLLATE "C" ~ '^[A-Za-z_][A-Za-z0-9_]{0,127}$'),
    CONSTRAINT organization_is_not_empty CHECK (organization_id <> ''),
    -- Sealed, a value is a third longer and a little more: one that has no room for it would stop the sealing of all others.
    CONSTRAINT value_is_1_byte_to_64_kib CHECK (octet_length(value) BETWEEN 1 AND
        CASE WHEN starts_with(value, 'sealed:') THEN 98304 ELSE 65536 END),
    CONSTRAINT only_settings_of_nobody_are_shared CHECK (NOT is_shared OR organization_id IS NULL)
);
ALTER TABLE postrider.webhook_settings ALTER COLUMN value SET STATISTICS 0;
COMMENT ON TABLE postrider.webhook_settings IS
    'Values that headers and options of destinations name as ${NAME}. A destination uses those of its own organization alone, and shared ones.';
COMMENT ON COLUMN postrider.webhook_settings.id IS 'Number of the setting, for the program.';
COMMENT ON COLUMN postrider.webhook_settings.organization_id IS
    'Whose it is: usable by destinations of this organization; null for destinations without organization and user.';
COMMENT ON COLUMN postrider.webhook_settings.name IS 'What stands between the braces of ${NAME}: a letter or underscore, then letters, digits and underscores.';
COMMENT ON COLUMN postrider.webhook_settings.value IS
    'The value: sealed:v1:<key name>:<base64>, or plain text until a worker with keys has sealed it. Only workers may read it.';
COMMENT ON COLUMN postrider.webhook_settings.is_shared IS 'Whether destinations of every organization may use it too; only for settings without organization.';
COMMENT ON COLUMN postrider.webhook_settings.created_at IS 'When it was made.';
COMMENT ON COLUMN postrider.webhook_settings.updated_at IS 'When its value was last set.';

CREATE TRIGGER webhook_routing_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON postrider.webhook_settings
    FOR EACH STATEMENT EXECUTE FUNCTION postrider.webhook_routing_changed();

-- The owner is bound as well: its pg_dump is refused without --enable-row-security. With it, and as a superuser's, a dump
-- takes every value along as it stands.
ALTER TABLE postrider.webhook_settings ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

DO $$
BEGIN
    PERFORM postrider.add_grants('worker', 'table', 'SELECT, UPDATE (value)', 'webhook_settings');
    PERFORM postrider.add_grants('auditor', 'table', 'SELECT', 'webhook_settings');
    PERFORM postrider.add_grants('admin', 'table', 'INSERT, UPDATE, DELETE, SELECT', 'webhook_settings');
    UPDATE postrider.webhook_grants AS g SET hidden = '{value}'
    WHERE g.object = 'webhook_settings' AND g.role_name IN ('postrider_auditor', 'postrider_admin');
END
$$;
SELECT postrider.grant_roles();

INSERT INTO postrider.webhook_migrations (version, name) VALUES (13, 'settings');
