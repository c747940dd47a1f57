-- Hasura event triggers through Postrider: docs/migrating/hasura.md. Run by the owner of the schema postrider; running it
-- again replaces everything in place.
--
--   psql "$DATABASE_URL" -f sql/migrating/hasura.sql
--   SELECT postrider.attach_hasura('public.users', '{"name": "user_created", "definition": {"insert": {"columns": "*"}}, …}');
--
-- The second argument is an event trigger as it stands in Hasura's metadata. Its webhook becomes an endpoint of profile
-- hasura, its operations triggers of the table, which write events whose data is the whole body that Hasura sends.
\set ON_ERROR_STOP on
BEGIN;
\ir rows.sql

CREATE OR REPLACE FUNCTION postrider.picked_columns(document jsonb, picked jsonb) RETURNS jsonb
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN document IS NULL OR picked = '"*"' THEN document
                ELSE (SELECT coalesce(jsonb_object_agg(c.key, c.value), '{}') FROM jsonb_each(document) AS c WHERE picked ? c.key) END
$$;
COMMENT ON FUNCTION postrider.picked_columns(jsonb, jsonb) IS
    'Part of hasura_event: the columns of a row that a JSON array names; all for "*".';

CREATE OR REPLACE FUNCTION postrider.hasura_event() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    -- Event trigger, schema and table as Hasura tracks it (of a partition, its parent), max_retries, columns listened to, sent.
    trigger_name text := TG_ARGV[0];
    new_id       uuid := postrider.next_event_id();
    made_at      timestamptz := clock_timestamp();
    old_row      jsonb;
    new_row      jsonb;
BEGIN
    PERFORM postrider.check_row_casts();
    old_row := to_jsonb(OLD);
    new_row := to_jsonb(NEW);
    IF TG_OP = 'UPDATE' AND postrider.picked_columns(old_row, TG_ARGV[4]::jsonb) = postrider.picked_columns(new_row, TG_ARGV[4]::jsonb) THEN
        RETURN NULL;
    END IF;
    INSERT INTO postrider.webhook_event_log (id, created_at, event_type, event_source, table_name, record_id, data)
    VALUES (new_id, made_at, concat_ws('.', 'hasura', postrider.event_word(trigger_name), lower(TG_OP)), 'trigger',
        format('%I.%I', TG_ARGV[1], TG_ARGV[2]), coalesce(new_row ->> 'id', old_row ->> 'id'),
        jsonb_build_object(
            'id', new_id,
            'created_at', to_char(made_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
            'trigger', jsonb_build_object('name', trigger_name),
            'table', jsonb_build_object('schema', TG_ARGV[1], 'name', TG_ARGV[2]),
            'delivery_info', jsonb_build_object('current_retry', 0, 'max_retries', TG_ARGV[3]::integer),
            'event', jsonb_build_object(
                'op', TG_OP,
                'data', jsonb_build_object('old', postrider.picked_columns(old_row, TG_ARGV[5]::jsonb),
                                           'new', postrider.picked_columns(new_row, TG_ARGV[5]::jsonb)),
                -- Hasura sets these in the transactions of its own mutations.
                'session_variables', nullif(current_setting('hasura.user', true), '')::jsonb,
                'trace_context', nullif(current_setting('hasura.tracecontext', true), '')::jsonb)));
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION postrider.hasura_event() IS
    'Trigger function that attach_hasura uses: one event whose data is the body of a Hasura event trigger.';

CREATE OR REPLACE FUNCTION postrider.hasura_headers(event_trigger jsonb, given jsonb) RETURNS jsonb
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    result jsonb := given;
    header jsonb;
BEGIN
    FOR header IN SELECT h FROM jsonb_array_elements(CASE jsonb_typeof(event_trigger -> 'headers') WHEN 'array'
                                                     THEN event_trigger -> 'headers' ELSE '[]' END) AS h LOOP
        IF header ->> 'value' IS NULL AND NOT given ? (header ->> 'name') THEN
            RAISE EXCEPTION 'header % is the environment variable % of Hasura', header ->> 'name', header ->> 'value_from_env'
                USING ERRCODE = 'invalid_parameter_value',
                      HINT = format('Give its value: attach_hasura(…, headers => ''{"%s": "…"}'').', header ->> 'name');
        ELSIF lower(header ->> 'name') = 'content-type' AND header ->> 'value' = 'application/json' THEN
            CONTINUE;
        ELSIF lower(header ->> 'name') IN ('content-type', 'user-agent') THEN
            RAISE EXCEPTION 'header % is sent by profile hasura itself', header ->> 'name' USING ERRCODE = 'feature_not_supported';
        END IF;
        result := jsonb_build_object(header ->> 'name', header ->> 'value') || result;
    END LOOP;
    RETURN result;
END
$$;
COMMENT ON FUNCTION postrider.hasura_headers(jsonb, jsonb) IS
    'Part of attach_hasura: the headers of an event trigger; those that are given go before.';

CREATE OR REPLACE FUNCTION postrider.attach_hasura(
    target regclass, event_trigger jsonb, webhook text DEFAULT NULL, headers jsonb DEFAULT '{}'
) RETURNS uuid LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    name       text := event_trigger ->> 'name';
    endpoint   uuid := postrider.hook_id('hasura ' || name);
    definition jsonb := coalesce(event_trigger -> 'definition', event_trigger);
    retries    integer := coalesce((event_trigger #>> '{retry_conf,num_retries}')::integer, 0);
    wait_ms    bigint := 1000 * coalesce((event_trigger #>> '{retry_conf,interval_sec}')::bigint, 10);
    timeout_ms bigint := 1000 * coalesce((event_trigger #>> '{retry_conf,timeout_sec}')::bigint, 60);
    operation  text;
    made       text;
    spec       jsonb;
BEGIN
    webhook := coalesce(webhook, event_trigger ->> 'webhook');
    IF name IS NULL OR length(name) > 42 THEN
        RAISE EXCEPTION 'an event trigger needs a name of at most 42 characters' USING ERRCODE = 'invalid_parameter_value';
    ELSIF webhook IS NULL OR webhook ~ '\{\{' THEN
        RAISE EXCEPTION 'the webhook of % is in an environment variable of Hasura: %', name,
            coalesce(event_trigger ->> 'webhook_from_env', webhook, 'none')
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Give it: attach_hasura(…, webhook => ''https://…'').';
    ELSIF jsonb_typeof(event_trigger -> 'request_transform') = 'object' THEN
        RAISE EXCEPTION 'the request of % is transformed by Hasura, which Postrider cannot do', name USING ERRCODE = 'feature_not_supported';
    END IF;
    INSERT INTO postrider.webhook_destinations AS d (public_id, kind, name, url, event_types, profile, headers,
                                                     max_attempts, base_delay_ms, delay_factor, max_delay_ms, jitter, timeout_ms)
    VALUES (endpoint, 'endpoint', 'hasura ' || name, webhook, ARRAY['hasura.' || postrider.event_word(name) || '.*'], 'hasura',
            postrider.hasura_headers(event_trigger, headers), retries + 1, wait_ms, 1, wait_ms, 0, least(greatest(timeout_ms, 1), 600000))
    ON CONFLICT (public_id) DO UPDATE SET url = excluded.url, headers = excluded.headers, max_attempts = excluded.max_attempts,
        base_delay_ms = excluded.base_delay_ms, max_delay_ms = excluded.max_delay_ms, timeout_ms = excluded.timeout_ms,
        is_active = true, inactive_reason = NULL, deleted_at = NULL, updated_at = clock_timestamp();
    FOREACH operation IN ARRAY ARRAY['insert', 'update', 'delete'] LOOP
        made := format('postrider_%s_%s', name, operation);
        spec := definition -> operation;
        IF jsonb_typeof(spec) = 'object' THEN
            EXECUTE format('CREATE OR REPLACE TRIGGER %I AFTER %s ON %s FOR EACH ROW'
                           ' EXECUTE FUNCTION postrider.hasura_event(%L, %L, %L, %L, %L, %L)', made, operation, target, name,
                (SELECT n.nspname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE c.oid = target),
                (SELECT c.relname FROM pg_class AS c WHERE c.oid = target), retries,
                coalesce(spec -> 'columns', '"*"'), coalesce(spec -> 'payload', '"*"'));
        ELSIF EXISTS (SELECT FROM pg_trigger AS t WHERE t.tgrelid = target AND t.tgname = made) THEN
            EXECUTE format('DROP TRIGGER %I ON %s', made, target);
        END IF;
    END LOOP;
    RETURN endpoint;
END
$$;
COMMENT ON FUNCTION postrider.attach_hasura(regclass, jsonb, text, jsonb) IS
    'Does what an event trigger of Hasura does, described as in its metadata (or as an argument of pg_create_event_trigger), and gives the id of its endpoint. webhook and headers take the place of what Hasura reads from its environment. The same name again replaces.';

CREATE OR REPLACE FUNCTION postrider.detach_hasura(target regclass, name text) RETURNS integer
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    gone    text;
    removed integer := 0;
BEGIN
    FOR gone IN SELECT t.tgname FROM pg_trigger AS t
                WHERE t.tgrelid = target AND t.tgfoid = 'postrider.hasura_event()'::regprocedure AND t.tgparentid = 0
                  AND t.tgname IN (SELECT format('postrider_%s_%s', detach_hasura.name, o) FROM unnest('{insert,update,delete}'::text[]) AS o) LOOP
        EXECUTE format('DROP TRIGGER %I ON %s', gone, target);
        removed := removed + 1;
    END LOOP;
    RETURN removed;
END
$$;
COMMENT ON FUNCTION postrider.detach_hasura(regclass, text) IS
    'Removes the triggers of attach_hasura and gives how many. The endpoint stays, and sends what waits for it.';

REVOKE ALL ON FUNCTION postrider.picked_columns(jsonb, jsonb), postrider.hasura_event(), postrider.hasura_headers(jsonb, jsonb),
    postrider.attach_hasura(regclass, jsonb, text, jsonb), postrider.detach_hasura(regclass, text) FROM PUBLIC;
COMMIT;
