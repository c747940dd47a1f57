-- Postrider 0007: who may do what. Roles, grants, row-level security.
--
-- Five roles that nobody logs in as; applications and people are made members of them:
--   postrider_producer  writes events, attaches its own tables; reads no event, no attempt, no secret
--   postrider_worker    what the statements of a worker need
--   postrider_auditor   reads everything but secrets; writes nothing
--   postrider_admin     endpoints and their secrets (writes them, cannot read them back), replays; reads as an auditor
--   postrider_tenant    reads what belongs to the organization that its session speaks for
-- Migrations are run by the owner of the schema. PUBLIC has nothing.
--
-- * Roles belong to the whole server, grants to a database. Making roles may be forbidden to whoever migrates: then the
--   migration says what a DBA has to run, and everything goes on working for the owner.
-- * webhook_grants says what each role may; grant_roles() brings the database to that state, as often as it is called. A
--   later migration inserts its rows there and calls it.
-- * Row-level security is forced: the owner of the tables is bound too, and has policies of its own. A role with rights
--   on a table but without a policy sees no row of it. Policies that let all rows pass cost nothing: they fold away.

-- What each role may ----------------------------------------------------------------------------------------------------

CREATE TABLE postrider.webhook_grants (
    role_name  text NOT NULL,
    kind       text NOT NULL,
    object     text NOT NULL,
    privileges text NOT NULL,
    hidden     text[],
    visible    text,
    CONSTRAINT webhook_grants_pkey PRIMARY KEY (role_name, kind, object),
    CONSTRAINT kind_is_schema_table_or_function CHECK (kind IN ('schema', 'table', 'function'))
);
COMMENT ON TABLE postrider.webhook_grants IS
    'What each role may do, as postrider.grant_roles() grants it. Changing a row here does nothing before the next call.';
COMMENT ON COLUMN postrider.webhook_grants.role_name IS 'The role, postrider_….';
COMMENT ON COLUMN postrider.webhook_grants.kind IS 'schema, table (a table or view) or function.';
COMMENT ON COLUMN postrider.webhook_grants.object IS 'Name of the schema, or name in the schema postrider; of a function all its forms.';
COMMENT ON COLUMN postrider.webhook_grants.privileges IS 'As in GRANT: SELECT (a, b), INSERT.';
COMMENT ON COLUMN postrider.webhook_grants.hidden IS
    'Columns that SELECT leaves out, of a table of which the role may read all others, also those added later; null for none.';
COMMENT ON COLUMN postrider.webhook_grants.visible IS
    'For tables with row-level security: SQL condition of the rows that the role sees; null for all rows.';

-- Part of migrations: one call for what a role may do with many objects.
CREATE FUNCTION postrider.add_grants(role_name text, kind text, privileges text, VARIADIC objects text[]) RETURNS void
    LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    INSERT INTO postrider.webhook_grants (role_name, kind, object, privileges)
    SELECT 'postrider_' || role_name, kind, o, privileges FROM unnest(objects) AS o
$$;
COMMENT ON FUNCTION postrider.add_grants(text, text, text, text[]) IS
    'Part of migrations: adds rows to webhook_grants. The role is named without postrider_.';

DO $$
DECLARE
    role_name text;
BEGIN
    FOREACH role_name IN ARRAY ARRAY['producer', 'worker', 'auditor', 'admin', 'tenant'] LOOP
        PERFORM postrider.add_grants(role_name, 'schema', 'USAGE', 'postrider');
    END LOOP;

    -- Producers. The functions of attach run as their caller, so the caller needs all of them. A queue row of their own
    -- making could only have an event sent again whose id they know, and ids cannot be guessed.
    PERFORM postrider.add_grants('producer', 'table', 'INSERT', 'webhook_event_log', 'webhook_events', 'webhook_queue');
    PERFORM postrider.add_grants('producer', 'schema', 'USAGE, CREATE', 'postrider_attached');
    -- All but the id, which names a function: that of a row which was removed by hand may stand yet, and belong to another.
    PERFORM postrider.add_grants('producer', 'table', 'SELECT, INSERT (target, name, table_name, operations, event_type, '
        'event_type_expression, condition, columns, except_columns, except_places, sent_columns, organization_id, user_id, '
        'record_id, ordering_key, priority, event_source, include_old), UPDATE (target, name, table_name, operations, event_type, '
        'event_type_expression, condition, columns, except_columns, except_places, sent_columns, organization_id, user_id, '
        'record_id, ordering_key, priority, event_source, include_old, updated_at), DELETE', 'webhook_attachments');
    PERFORM postrider.add_grants('producer', 'table', 'SELECT', 'webhook_attachment_check', 'webhook_denied_columns');
    PERFORM postrider.add_grants('producer', 'function', 'EXECUTE', 'emit', 'next_event_id', 'event_id_at',
        'attach', 'detach', 'refresh_attachments', 'attachment_body', 'attachment_columns', 'attachment_constant', 'attachment_document',
        'attachment_fault', 'attachment_key', 'attachment_marker', 'attachment_rows', 'attachment_select',
        'attachment_uses_old', 'attachment_value', 'build_attachment', 'check_attachable', 'check_attachment',
        'check_producer_rights', 'checked_event_type', 'column_names', 'create_attachment_triggers',
        'drop_truncate_guards', 'doorbell_is_needed', 'json_columns', 'refuse_truncate',
        'try_attachment', 'with_ancestors', 'with_descendants', 'denied_below', 'denied_columns', 'denied_paths', 'without_path',
        'without_expressions', 'has_function_of_owner', 'has_types_of_others', 'refuse_words_of_another');

    -- Workers. UPDATE of one column that no statement of theirs changes is what FOR UPDATE asks for.
    PERFORM postrider.add_grants('worker', 'table', 'SELECT',
        'webhook_event_log', 'webhook_migrations', 'webhook_routing');
    -- A worker with keys seals what plain SQL wrote.
    PERFORM postrider.add_grants('worker', 'table', 'SELECT, UPDATE (secret)', 'webhook_secrets');
    -- Whoever seals writes the proof of its key first, commands of administrators too.
    PERFORM postrider.add_grants('worker', 'table', 'SELECT, INSERT', 'webhook_secret_keys');
    PERFORM postrider.add_grants('admin', 'table', 'SELECT, INSERT', 'webhook_secret_keys');
    PERFORM postrider.add_grants('auditor', 'table', 'SELECT', 'webhook_secret_keys');
    PERFORM postrider.add_grants('worker', 'table', 'SELECT, DELETE, UPDATE (priority)', 'webhook_queue');
    PERFORM postrider.add_grants('worker', 'table', 'SELECT, INSERT, DELETE, UPDATE (due_at)', 'webhook_retries');
    PERFORM postrider.add_grants('worker', 'table', 'SELECT, INSERT, DELETE, UPDATE (failed)', 'webhook_tallies');
    PERFORM postrider.add_grants('worker', 'table', 'SELECT, INSERT, DELETE, '
        'UPDATE (worker_id, claimed_at, rescues, event_ids, destination_ids, attempt_numbers, are_replays)', 'webhook_claims');
    PERFORM postrider.add_grants('worker', 'table', 'SELECT, INSERT, UPDATE, DELETE', 'webhook_breakers', 'webhook_settlements');
    PERFORM postrider.add_grants('worker', 'table', 'SELECT, INSERT, UPDATE, DELETE', 'webhook_workers');
    PERFORM postrider.add_grants('worker', 'table', 'SELECT, INSERT', 'webhook_attempts');
    PERFORM postrider.add_grants('worker', 'table', 'SELECT, INSERT, UPDATE', 'webhook_dead_letters');
    PERFORM postrider.add_grants('worker', 'table', 'SELECT, UPDATE (is_active, inactive_reason, updated_at, headers)', 'webhook_destinations');
    PERFORM postrider.add_grants('worker', 'function', 'EXECUTE', 'ensure_partitions', 'begin_settlement', 'breaker_wait',
        'claimed_payload', 'holds_credential');
    -- Replays read events as claims do.
    PERFORM postrider.add_grants('admin', 'function', 'EXECUTE', 'claimed_payload');
    FOREACH role_name IN ARRAY ARRAY['auditor', 'admin'] LOOP
        PERFORM postrider.add_grants(role_name, 'function', 'EXECUTE', 'shown_headers', 'holds_credential');
    END LOOP;

    -- Auditors and administrators read the same; headers of destinations hold tokens, which an auditor need not see.
    FOREACH role_name IN ARRAY ARRAY['auditor', 'admin'] LOOP
        PERFORM postrider.add_grants(role_name, 'table', 'SELECT', 'webhook_attempts', 'webhook_attachments',
            'webhook_settlements', 'webhook_claims', 'webhook_event_log', 'webhook_grants', 'webhook_migrations', 'webhook_queue',
            'webhook_routing', 'webhook_tallies', 'webhook_workers', 'webhook_attachment_check', 'webhook_deliveries',
            'webhook_destination_headers', 'webhook_destination_status', 'webhook_events', 'webhook_in_flight',
            'webhook_queue_status');
        PERFORM postrider.add_grants(role_name, 'function', 'EXECUTE', 'current_organization', 'delivery_id',
            'event_id_at', 'event_id_time', 'is_own', 'is_waiting', 'matches', 'role_setup', 'secret_hint',
            'attachment_constant', 'attachment_document', 'attachment_fault', 'attachment_key', 'attachment_marker', 'attachment_rows',
            'attachment_select', 'attachment_uses_old', 'attachment_value', 'column_names', 'try_attachment', 'without_expressions',
            'has_function_of_owner', 'has_types_of_others',
            'with_ancestors', 'with_descendants', 'denied_below', 'denied_columns', 'denied_paths', 'without_path');
    END LOOP;
    PERFORM postrider.add_grants('auditor', 'table', 'SELECT', 'webhook_denied_columns');
    -- What has to be rebuilt belongs to the owners of the tables: who denies must be a member of them too.
    PERFORM postrider.add_grants('admin', 'table', 'SELECT, INSERT, DELETE', 'webhook_denied_columns');
    PERFORM postrider.add_grants('admin', 'function', 'EXECUTE', 'deny_column', 'allow_column', 'rebuild_for_denied');
    PERFORM postrider.add_grants('auditor', 'table', 'SELECT', 'webhook_dead_letters', 'webhook_destinations',
        'webhook_retries', 'webhook_endpoints', 'n8n_workflows');
    PERFORM postrider.add_grants('admin', 'table', 'SELECT, INSERT, UPDATE', 'webhook_destinations');
    PERFORM postrider.add_grants('admin', 'table', 'SELECT, INSERT, UPDATE, DELETE', 'webhook_endpoints', 'n8n_workflows', 'webhook_retries');
    PERFORM postrider.add_grants('admin', 'table', 'SELECT, DELETE', 'webhook_dead_letters');
    PERFORM postrider.add_grants('admin', 'table',
        'SELECT (destination_id, version, created_at, expires_at), INSERT, UPDATE (expires_at, secret), DELETE', 'webhook_secrets');
    PERFORM postrider.add_grants('auditor', 'table', 'SELECT', 'webhook_breakers');
    PERFORM postrider.add_grants('admin', 'table', 'SELECT, DELETE', 'webhook_breakers');
    PERFORM postrider.add_grants('admin', 'function', 'EXECUTE', 'check_destination', 'destination_row', 'new_secret',
        'random_bytes_32', 'refuse_read_only', 'rotate_secret', 'set_secret', 'view_row');

    -- Tenants: no claims, no queue, no workers, whose rows hold work of many; no headers, no end of a secret.
    PERFORM postrider.add_grants('tenant', 'table', 'SELECT', 'webhook_attempts', 'webhook_breakers', 'webhook_dead_letters',
        'webhook_destinations', 'webhook_event_log', 'webhook_retries', 'webhook_tallies', 'n8n_workflows',
        'webhook_deliveries', 'webhook_destination_headers', 'webhook_destination_status', 'webhook_endpoints',
        'webhook_events', 'webhook_in_flight');
    PERFORM postrider.add_grants('tenant', 'function', 'EXECUTE', 'current_organization', 'delivery_id', 'event_id_at',
        'event_id_time', 'is_own', 'is_waiting', 'matches');
END
$$;

UPDATE postrider.webhook_grants SET hidden = '{headers}'
WHERE role_name IN ('postrider_auditor', 'postrider_tenant') AND object = 'webhook_destinations';
UPDATE postrider.webhook_grants SET hidden = '{secret}'
WHERE role_name = 'postrider_tenant' AND object IN ('webhook_endpoints', 'n8n_workflows');

-- Producers see and remove the rows of their own tables; what they write there own_tables_inserted and
-- own_tables_updated hold to the same.
UPDATE postrider.webhook_grants SET visible =
    'pg_has_role((SELECT c.relowner FROM pg_catalog.pg_class AS c WHERE c.oid = target), ''USAGE'')'
WHERE role_name = 'postrider_producer' AND object = 'webhook_attachments';

-- An attempt shows what a destination answered: a tenant sees those of its own events at its own destinations, not what
-- became of them at destinations that serve everybody. The inner tables have the tenant's policies themselves.
UPDATE postrider.webhook_grants SET visible = CASE
    WHEN object IN ('webhook_event_log', 'webhook_destinations')
        THEN 'organization_id = (SELECT postrider.current_organization())'
    WHEN object IN ('webhook_tallies', 'webhook_breakers')
        THEN 'destination_id IN (SELECT d.id FROM postrider.webhook_destinations AS d)'
    ELSE 'destination_id IN (SELECT d.id FROM postrider.webhook_destinations AS d)'
         ' AND (SELECT true FROM postrider.webhook_event_log AS e WHERE e.id = event_id)' END
WHERE role_name = 'postrider_tenant'
  AND object IN ('webhook_event_log', 'webhook_destinations', 'webhook_tallies', 'webhook_breakers', 'webhook_attempts',
                 'webhook_retries', 'webhook_dead_letters');

-- Granting --------------------------------------------------------------------------------------------------------------

-- A policy is left alone when it stands and says the same, because making and changing one locks its table for a moment. What
-- it was made of stands in its comment: the catalog has it in other words. The owner's is moved when the owner changed:
-- without it the owner would be shut out of its own tables.
--
-- Policies add up: whoever is a member of two roles sees the rows of both. For SELECT where the role only reads, because one for
-- all commands would let a producer who is an auditor too remove what the auditor sees.
CREATE FUNCTION postrider.add_policy(target regclass, policy text, role_name name, command text, visible text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    standing  pg_catalog.pg_policy;
    role_id   oid  := (SELECT r.oid FROM pg_catalog.pg_roles AS r WHERE r.rolname = role_name);
    condition text := coalesce(visible, 'true');
BEGIN
    SELECT p.* INTO standing FROM pg_catalog.pg_policy AS p WHERE p.polrelid = target AND p.polname = policy;
    IF standing.polcmd <> (CASE command WHEN 'SELECT' THEN 'r' ELSE '*' END) THEN
        EXECUTE format('DROP POLICY %I ON %s', policy, target);
        standing := NULL;
    END IF;
    IF standing.oid IS NULL THEN
        EXECUTE format('CREATE POLICY %I ON %s FOR %s TO %I USING (%s)', policy, target, command, role_name, condition);
    ELSIF standing.polroles <> ARRAY[role_id] THEN
        EXECUTE format('ALTER POLICY %I ON %s TO %I', policy, target, role_name);
    END IF;
    IF obj_description(standing.oid, 'pg_policy') IS DISTINCT FROM condition THEN
        IF standing.oid IS NOT NULL THEN
            EXECUTE format('ALTER POLICY %I ON %s USING (%s)', policy, target, condition);
        END IF;
        EXECUTE format('COMMENT ON POLICY %I ON %s IS %L', policy, target, condition);
    END IF;
END
$$;
COMMENT ON FUNCTION postrider.add_policy(regclass, text, name, text, text) IS
    'Part of grant_roles: makes a policy for one role and for SELECT or ALL, or changes the one that stands when its condition, which its comment repeats, is another.';

CREATE FUNCTION postrider.shown_columns(target regclass, hidden text[]) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(' (' || string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) || ')', '') FROM pg_attribute AS a
    WHERE a.attrelid = target AND a.attnum > 0 AND NOT a.attisdropped AND a.attname <> ALL (hidden)
$$;
COMMENT ON FUNCTION postrider.shown_columns(regclass, text[]) IS
    'Part of grant_roles: the list of columns after SELECT; empty when none is hidden.';

CREATE FUNCTION postrider.grant_roles() RETURNS integer LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    grantee text;
    item    record;
    granted integer := 0;
BEGIN
    -- Functions are everybody's when they are made, and default privileges of one schema cannot change that.
    REVOKE ALL ON SCHEMA postrider, postrider_attached FROM PUBLIC;
    REVOKE ALL ON ALL TABLES IN SCHEMA postrider FROM PUBLIC;
    REVOKE ALL ON ALL FUNCTIONS IN SCHEMA postrider FROM PUBLIC;
    FOR item IN SELECT c.oid::regclass AS target, pg_get_userbyid(c.relowner) AS owner FROM pg_class AS c
                WHERE c.relnamespace = 'postrider'::regnamespace AND c.relrowsecurity AND NOT c.relispartition LOOP
        PERFORM postrider.add_policy(item.target, 'owner', item.owner, 'ALL', NULL);
    END LOOP;
    FOR grantee IN SELECT DISTINCT g.role_name FROM postrider.webhook_grants AS g ORDER BY 1 LOOP
        CONTINUE WHEN to_regrole(grantee) IS NULL;
        EXECUTE format('REVOKE ALL ON SCHEMA postrider, postrider_attached FROM %I', grantee);
        EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA postrider FROM %I', grantee);
        EXECUTE format('REVOKE ALL ON ALL FUNCTIONS IN SCHEMA postrider FROM %I', grantee);
        FOR item IN SELECT g.*, c.oid::regclass AS target, c.relrowsecurity FROM postrider.webhook_grants AS g
                    LEFT JOIN pg_class AS c ON g.kind = 'table' AND c.relname = g.object
                                           AND c.relnamespace = 'postrider'::regnamespace
                    WHERE g.role_name = grantee ORDER BY g.kind, g.object LOOP
            IF item.kind = 'schema' THEN
                EXECUTE format('GRANT %s ON SCHEMA %I TO %I', item.privileges, item.object, grantee);
            ELSIF item.kind = 'table' THEN
                EXECUTE format('GRANT %s ON postrider.%I TO %I', item.privileges || postrider.shown_columns(item.target, item.hidden),
                               item.object, grantee);
            ELSE
                EXECUTE (SELECT format('GRANT %s ON FUNCTION %s TO %I', item.privileges,
                                       coalesce(string_agg(p.oid::regprocedure::text, ', '), item.object), grantee)
                         FROM pg_proc AS p
                         WHERE p.pronamespace = 'postrider'::regnamespace AND p.proname = item.object);
            END IF;
            -- Those who may only insert need no more than the policy for everybody.
            IF item.relrowsecurity AND item.privileges ~ 'SELECT' THEN
                PERFORM postrider.add_policy(item.target, grantee, grantee,
                    CASE WHEN item.privileges ~ 'INSERT|UPDATE|DELETE' THEN 'ALL' ELSE 'SELECT' END, item.visible);
            END IF;
            granted := granted + 1;
        END LOOP;
    END LOOP;
    RETURN granted;
END
$$;
COMMENT ON FUNCTION postrider.grant_roles() IS
    'Gives the roles of Postrider exactly what webhook_grants says, takes everything from PUBLIC, and gives how many grants were made. Call it as the owner of the schema, as often as you like: after a DBA made the roles, or when the owner changed.';

-- What a DBA has to run: roles that are missing, and grants that the owner then makes.
CREATE FUNCTION postrider.role_setup() RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT string_agg(format('CREATE ROLE %I NOLOGIN;', m.role_name), ' ' ORDER BY m.role_name)
           || ' SELECT postrider.grant_roles();'
    FROM (SELECT DISTINCT role_name FROM postrider.webhook_grants) AS m
    WHERE to_regrole(m.role_name) IS NULL
$$;
COMMENT ON FUNCTION postrider.role_setup() IS
    'The statements that make the roles that are missing on this server; null when none is missing.';

-- Making them -----------------------------------------------------------------------------------------------------------

CREATE FUNCTION postrider.create_roles() RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    role_name text;
BEGIN
    FOR role_name IN SELECT DISTINCT g.role_name FROM postrider.webhook_grants AS g ORDER BY 1 LOOP
        BEGIN
            IF to_regrole(role_name) IS NULL THEN
                EXECUTE format('CREATE ROLE %I NOLOGIN', role_name);
            END IF;
        EXCEPTION
            WHEN duplicate_object OR unique_violation THEN
                RAISE DEBUG 'role % was made by somebody else just now', role_name;
            WHEN insufficient_privilege THEN
                RAISE NOTICE 'role % could not be made: %', role_name, SQLERRM;
        END;
    END LOOP;
END
$$;
COMMENT ON FUNCTION postrider.create_roles() IS
    'Makes the roles that are missing on this server, as far as the caller may; grant_roles gives them their rights.';

-- Row-level security ------------------------------------------------------------------------------------------------------

DO $$
DECLARE
    target text;
BEGIN
    FOREACH target IN ARRAY ARRAY['event_log', 'attempts', 'retries', 'dead_letters', 'tallies', 'breakers', 'destinations',
                                  'secrets', 'attachments'] LOOP
        EXECUTE format('ALTER TABLE postrider.%I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', 'webhook_' || target);
    END LOOP;
END
$$;
-- Events are written as producers, as owners of attached tables, and as the owner of emit. The grant decides who may, and
-- webhook_enqueue for which organization.
CREATE POLICY writers ON postrider.webhook_event_log FOR INSERT TO PUBLIC WITH CHECK (true);

-- Whoever may write the rows of others could put expressions there that run with their rights. Restrictive, because the
-- policies of roles add up: one for a member of producers and auditors would let pass what that of producers does not.
CREATE POLICY own_tables_inserted ON postrider.webhook_attachments AS RESTRICTIVE FOR INSERT TO PUBLIC
    WITH CHECK (pg_has_role((SELECT c.relowner FROM pg_catalog.pg_class AS c WHERE c.oid = target), 'USAGE'));
CREATE POLICY own_tables_updated ON postrider.webhook_attachments AS RESTRICTIVE FOR UPDATE TO PUBLIC
    USING (pg_has_role((SELECT c.relowner FROM pg_catalog.pg_class AS c WHERE c.oid = target), 'USAGE'));

-- The roles of this server --------------------------------------------------------------------------------------------------

DO $$
DECLARE
    attempt integer := 0;
BEGIN
    LOOP
        BEGIN
            PERFORM postrider.create_roles();
            PERFORM postrider.grant_roles();
            EXIT;
        EXCEPTION WHEN undefined_object THEN
            -- A role was dropped at the same time, for another database.
            attempt := attempt + 1;
            IF attempt = 5 THEN
                RAISE;
            END IF;
        END;
    END LOOP;
    IF postrider.role_setup() IS NOT NULL THEN
        RAISE NOTICE 'roles of Postrider are missing; the owner goes on without them; a DBA can make them: %',
            postrider.role_setup();
    END IF;
END
$$;

-- Roles that were given the schema before this migration keep what they had: they emit, and their tables' triggers write.
DO $$
DECLARE
    role_name name;
BEGIN
    FOR role_name IN SELECT r.rolname FROM pg_namespace AS n, aclexplode(n.nspacl) AS a
                     JOIN pg_roles AS r ON r.oid = a.grantee
                     WHERE n.nspname = 'postrider' AND a.privilege_type = 'USAGE' AND a.grantee <> n.nspowner
                       AND r.rolname NOT IN (SELECT g.role_name FROM postrider.webhook_grants AS g) LOOP
        EXECUTE format('GRANT EXECUTE ON FUNCTION postrider.emit, postrider.next_event_id, postrider.checked_event_type,'
                       ' postrider.doorbell_is_needed TO %I',
                       role_name);
    END LOOP;
END
$$;

INSERT INTO postrider.webhook_migrations (version, name) VALUES (7, 'roles');
