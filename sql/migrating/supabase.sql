-- Supabase database webhooks through Postrider: docs/migrating/supabase.md. Run by the owner of the schema postrider;
-- running it again replaces everything in place.
--
--   psql "$DATABASE_URL" -f sql/migrating/supabase.sql
--   SELECT * FROM postrider.adopt_http_requests();     -- triggers of supabase_functions.http_request become ours
--   SELECT * FROM postrider.return_http_requests();    -- and back
--
-- postrider.http_request() takes the arguments of supabase_functions.http_request(): url, method, headers, params, timeout.
-- Each different list of arguments is an endpoint of profile supabase, made when its first trigger is adopted or fires.
-- One event a row, of type supabase.<endpoint>.<table>.<operation>, so that each trigger reaches its own URL only.
\set ON_ERROR_STOP on
BEGIN;
\ir rows.sql

-- What curl_easy_escape does, by which pg_net writes parameters into URLs.
CREATE OR REPLACE FUNCTION postrider.url_encoded(value text) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT coalesce(string_agg(CASE WHEN c.letter COLLATE "C" ~ '[A-Za-z0-9._~-]' THEN c.letter
        ELSE upper(regexp_replace(encode(convert_to(c.letter, 'UTF8'), 'hex'), '(..)', '%\1', 'g')) END, '' ORDER BY c.place), '')
    FROM string_to_table(value, NULL) WITH ORDINALITY AS c (letter, place)
$$;
COMMENT ON FUNCTION postrider.url_encoded(text) IS 'Part of http_request: text as it stands in the query of a URL.';

CREATE OR REPLACE FUNCTION postrider.http_request_endpoint(arguments text[]) RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
    endpoint uuid := postrider.hook_id('supabase ' || to_jsonb(arguments)::text);
    word     text := left(replace(endpoint::text, '-', ''), 12);
    given    text[];
    headers  jsonb;
    query    text;
BEGIN
    -- One that was deleted stays deleted: that was somebody's decision.
    IF EXISTS (SELECT FROM postrider.webhook_destinations AS d WHERE d.public_id = endpoint) THEN
        RETURN endpoint;
    END IF;
    -- TG_ARGV begins with 0; the word null stands for what is missing.
    given := ARRAY(SELECT nullif(a.argument, 'null') FROM unnest(arguments) WITH ORDINALITY AS a (argument, place) ORDER BY a.place);
    IF given[1] IS NULL OR given[2] IS NULL THEN
        RAISE EXCEPTION 'a webhook needs a URL and a method'
            USING ERRCODE = 'invalid_parameter_value', HINT = 'http_request(''https://…'', ''POST'', ''{}'', ''{}'', ''5000'')';
    ELSIF upper(given[2]) <> 'POST' THEN
        RAISE EXCEPTION 'Postrider sends POST alone, not %', left(given[2], 20) USING ERRCODE = 'feature_not_supported';
    END IF;
    headers := coalesce(given[3], '{}')::jsonb;
    IF EXISTS (SELECT FROM jsonb_each_text(headers) AS h WHERE lower(h.key) = 'content-type' AND h.value <> 'application/json') THEN
        RAISE EXCEPTION 'the Content-Type must be application/json' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    query := (SELECT string_agg(postrider.url_encoded(p.key) || '=' || postrider.url_encoded(p.value), '&')
              FROM jsonb_each_text(coalesce(given[4], '{}')::jsonb) AS p);
    -- Not through the view, which would make a secret: who receives these webhooks knows none.
    INSERT INTO postrider.webhook_destinations (public_id, kind, name, url, event_types, profile, headers, timeout_ms)
    VALUES (endpoint, 'endpoint', format('supabase %s %s', left(substring(given[1] FROM '//([^/?#@]+)'), 100), word),
            given[1] || coalesce(CASE WHEN given[1] ~ '\?' THEN '&' ELSE '?' END || query, ''),
            ARRAY['supabase.' || word || '.*'], 'supabase',
            -- The profile sends these two itself.
            coalesce((SELECT jsonb_object_agg(h.key, h.value) FROM jsonb_each_text(headers) AS h
                      WHERE lower(h.key) NOT IN ('content-type', 'user-agent')), '{}'),
            least(greatest(coalesce(given[5]::integer, 5000), 1), 600000))
    ON CONFLICT (public_id) DO NOTHING;
    RETURN endpoint;
END
$$;
COMMENT ON FUNCTION postrider.http_request_endpoint(text[]) IS
    'Part of http_request: the endpoint of a list of arguments, made when there is none.';

CREATE OR REPLACE FUNCTION postrider.http_request() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    endpoint uuid := postrider.http_request_endpoint(TG_ARGV);
    payload  jsonb;
BEGIN
    PERFORM postrider.check_row_casts();
    payload := jsonb_build_object('type', TG_OP, 'table', TG_TABLE_NAME, 'schema', TG_TABLE_SCHEMA,
                                  'record', NEW, 'old_record', OLD);
    INSERT INTO postrider.webhook_event_log (event_type, event_source, table_name, record_id, data)
    VALUES (concat_ws('.', 'supabase', left(replace(endpoint::text, '-', ''), 12), postrider.event_word(TG_TABLE_NAME), lower(TG_OP)),
            'trigger', format('%I.%I', TG_TABLE_SCHEMA, TG_TABLE_NAME),
            coalesce(payload #>> '{record,id}', payload #>> '{old_record,id}'), payload);
    IF TG_OP = 'DELETE' THEN
        RETURN OLD;
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION postrider.http_request() IS
    'Trigger function with the arguments of supabase_functions.http_request (url, method, headers, params, timeout in ms): one event for the endpoint that these arguments name. Whoever may execute it may make endpoints.';

-- Triggers that call it -----------------------------------------------------------------------------------------------------

CREATE OR REPLACE FUNCTION postrider.trigger_arguments(arguments bytea) RETURNS text[]
    LANGUAGE plpgsql IMMUTABLE STRICT AS $$
DECLARE
    given text[] := '{}';
    ending integer;
BEGIN
    -- Each argument ends in a zero byte.
    WHILE length(arguments) > 0 LOOP
        ending := position('\x00'::bytea IN arguments);
        given := given || convert_from(substr(arguments, 1, ending - 1), getdatabaseencoding());
        arguments := substr(arguments, ending + 1);
    END LOOP;
    RETURN given;
END
$$;
COMMENT ON FUNCTION postrider.trigger_arguments(bytea) IS 'pg_trigger.tgargs as text.';

CREATE OR REPLACE FUNCTION postrider.http_request_triggers(target regclass DEFAULT NULL)
    RETURNS TABLE (trigger_id oid, relation regclass, trigger_name name, arguments text[], is_adopted boolean)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT t.oid, t.tgrelid::regclass, t.tgname, postrider.trigger_arguments(t.tgargs),
           t.tgfoid = 'postrider.http_request()'::regprocedure
    FROM pg_trigger AS t
    WHERE t.tgfoid IN (to_regprocedure('supabase_functions.http_request()'), 'postrider.http_request()'::regprocedure)
      AND NOT t.tgisinternal AND t.tgparentid = 0 AND (target IS NULL OR t.tgrelid = target)
    ORDER BY t.tgrelid::regclass::text, t.tgname
$$;
COMMENT ON FUNCTION postrider.http_request_triggers(regclass) IS
    'The triggers of supabase_functions.http_request, and of postrider.http_request (is_adopted), of one table or all. The arguments may hold credentials.';

-- The trigger's own definition with another function: WHEN, UPDATE OF and arguments stay as they are. CREATE OR REPLACE locks
-- out writers, not readers, and waits for those that write: each row goes through one of the two functions.
CREATE OR REPLACE FUNCTION postrider.point_trigger(trigger_id oid, from_function text, to_function text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    definition text := pg_get_triggerdef(trigger_id);
    call       text := 'EXECUTE FUNCTION ' || from_function || '(';
    found      pg_trigger;
BEGIN
    SELECT t.* INTO found FROM pg_trigger AS t WHERE t.oid = trigger_id;
    IF found.tgconstraint <> 0 THEN
        RAISE EXCEPTION 'a constraint trigger cannot be replaced'
            USING ERRCODE = 'feature_not_supported', HINT = 'Drop it, and create it with the other function.';
    ELSIF to_regprocedure(to_function || '()') IS NULL THEN
        RAISE EXCEPTION 'there is no function %', to_function USING ERRCODE = 'undefined_function';
    END IF;
    EXECUTE 'CREATE OR REPLACE' || substr(
        overlay(definition PLACING 'EXECUTE FUNCTION ' || to_function || '(' FROM position(call IN definition) FOR length(call)),
        length('CREATE') + 1);
    -- A replaced trigger fires as if it were new.
    IF found.tgenabled <> 'O' THEN
        EXECUTE format('ALTER TABLE %s %s TRIGGER %I', found.tgrelid::regclass,
            CASE found.tgenabled WHEN 'D' THEN 'DISABLE' WHEN 'R' THEN 'ENABLE REPLICA' ELSE 'ENABLE ALWAYS' END, found.tgname);
    END IF;
    IF NOT EXISTS (SELECT FROM pg_trigger AS t
                   WHERE t.oid = trigger_id AND t.tgfoid = to_regprocedure(to_function || '()') AND t.tgargs = found.tgargs) THEN
        RAISE EXCEPTION 'the definition of the trigger cannot be read' USING ERRCODE = 'feature_not_supported';
    END IF;
END
$$;
COMMENT ON FUNCTION postrider.point_trigger(oid, text, text) IS
    'Part of adopt_http_requests and return_http_requests: lets a trigger call another function.';

CREATE OR REPLACE FUNCTION postrider.adopt_http_requests(target regclass DEFAULT NULL)
    RETURNS TABLE (relation regclass, trigger_name name, outcome text) LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    hook record;
BEGIN
    FOR hook IN SELECT * FROM postrider.http_request_triggers(target) LOOP
        relation := hook.relation;
        trigger_name := hook.trigger_name;
        BEGIN
            PERFORM postrider.http_request_endpoint(hook.arguments);
            IF hook.is_adopted THEN
                outcome := 'adopted before';
            ELSE
                PERFORM postrider.point_trigger(hook.trigger_id, 'supabase_functions.http_request', 'postrider.http_request');
                outcome := 'adopted';
            END IF;
        EXCEPTION WHEN OTHERS THEN
            outcome := 'left as it is: ' || SQLERRM;
        END;
        RETURN NEXT;
    END LOOP;
END
$$;
COMMENT ON FUNCTION postrider.adopt_http_requests(regclass) IS
    'Lets the triggers of supabase_functions.http_request, of one table or all, call postrider.http_request, and makes their endpoints. One row for each: adopted, adopted before, or left as it is and why. Locks writers of these tables out until commit.';

CREATE OR REPLACE FUNCTION postrider.return_http_requests(target regclass DEFAULT NULL)
    RETURNS TABLE (relation regclass, trigger_name name, outcome text) LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    hook record;
BEGIN
    FOR hook IN SELECT * FROM postrider.http_request_triggers(target) AS t WHERE t.is_adopted LOOP
        relation := hook.relation;
        trigger_name := hook.trigger_name;
        BEGIN
            PERFORM postrider.point_trigger(hook.trigger_id, 'postrider.http_request', 'supabase_functions.http_request');
            outcome := 'returned';
        EXCEPTION WHEN OTHERS THEN
            outcome := 'left as it is: ' || SQLERRM;
        END;
        RETURN NEXT;
    END LOOP;
END
$$;
COMMENT ON FUNCTION postrider.return_http_requests(regclass) IS
    'The way back of adopt_http_requests. Endpoints stay, and send what waits for them.';

REVOKE ALL ON FUNCTION postrider.url_encoded(text), postrider.http_request_endpoint(text[]), postrider.http_request(),
    postrider.trigger_arguments(bytea), postrider.http_request_triggers(regclass), postrider.point_trigger(oid, text, text),
    postrider.adopt_http_requests(regclass), postrider.return_http_requests(regclass) FROM PUBLIC;
COMMIT;
