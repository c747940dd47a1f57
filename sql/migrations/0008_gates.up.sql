-- Postrider 0008: gates. What a destination may be called, where it may point, what it may send along, and when it is tried
-- again.
--
-- The same rules as the program's own (Outbox.DestinationURL, EventPattern, HeaderField, RetryPolicy, FinalStatuses): tests
-- run lists of cases against both, and of URLs, patterns and final statuses thousands of random ones. A trigger asks for them,
-- so that no way into the table goes around them, and the program checks again before it sends: what was forced in regardless
-- is parked and reported.
--
-- A trigger and not constraints: the privileges of a constraint's functions are those of whoever writes the row, so a
-- worker that only switches a destination off would need all of them; and rows of before stay as they are.

-- URLs ----------------------------------------------------------------------------------------------------------------

CREATE FUNCTION postrider.is_ipv4(host text) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT host COLLATE "C" ~ '^(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])(\.(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])){3}$'
$$;
COMMENT ON FUNCTION postrider.is_ipv4(text) IS 'Is it a.b.c.d, each 0 to 255 without leading zeros?';

CREATE FUNCTION postrider.is_ipv6(host text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    ending text := substring(host COLLATE "C" FROM ':([0-9.]*\.[0-9.]*)$');
    parts  text[];
    part   text;
    groups integer := 0;
BEGIN
    IF ending IS NOT NULL THEN
        IF NOT postrider.is_ipv4(ending) THEN
            RETURN false;
        END IF;
        host := left(host, -length(ending)) || '0:0';
    END IF;
    -- 1:2 becomes {1:2}, ::1 becomes {"",1}, 1::2::3 has three parts.
    parts := string_to_array(host, '::');
    IF cardinality(parts) > 2 THEN
        RETURN false;
    END IF;
    FOREACH part IN ARRAY parts LOOP
        CONTINUE WHEN part = '' AND cardinality(parts) = 2;
        IF part COLLATE "C" !~ '^[0-9a-fA-F]{1,4}(:[0-9a-fA-F]{1,4})*$' THEN
            RETURN false;
        END IF;
        groups := groups + cardinality(string_to_array(part, ':'));
    END LOOP;
    RETURN CASE cardinality(parts) WHEN 2 THEN groups <= 7 ELSE groups = 8 END;
END
$$;
COMMENT ON FUNCTION postrider.is_ipv6(text) IS 'Is it an IPv6 address of RFC 4291, section 2.2, without brackets and zone?';

CREATE FUNCTION postrider.url_fault(url text) RETURNS text LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    authority text;
    host      text;
    port      text;
BEGIN
    IF url IS NULL THEN
        RETURN 'an endpoint needs a URL: it is null';
    ELSIF octet_length(url) NOT BETWEEN 1 AND 2048 THEN
        RETURN 'the URL must have 1 to 2048 bytes';
    ELSIF url COLLATE "C" !~ '^[\x21-\x7e]*$' THEN
        RETURN 'the URL must not hold blanks or control characters, nor anything but ASCII';
    ELSIF url !~* '^https?://' THEN
        RETURN 'the URL must begin with https:// (or http://)';
    END IF;
    authority := substring(url FROM '^[^/]*//([^/?#\\]*)');
    IF position('@' IN authority) > 0 THEN
        RETURN 'the URL must not hold a user name or password';
    ELSIF position('%' IN authority) > 0 THEN
        RETURN 'the URL''s host must not hold a percent sign';
    END IF;
    IF left(authority, 1) = '[' THEN
        host := substring(authority FROM '^\[([^\]]*)\]');
        port := substring(authority FROM '^\[[^\]]*\](.*)$');
        IF host IS NULL OR NOT postrider.is_ipv6(host) THEN
            RETURN 'the URL''s host is no IPv6 address between brackets';
        END IF;
    ELSE
        host := lower(substring(authority FROM '^[^:]*'));
        port := substring(authority FROM ':.*$');
        IF host COLLATE "C" !~ '^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*$'
            OR length(host) > 253 THEN
            RETURN 'the URL''s host must be a name of letters, digits, -, _ and single dots, or an address';
        -- 127.1, 2130706433, 0x7f000001 and 0177.0.0.1 all reach loopback through inet_aton, and are names elsewhere.
        ELSIF host COLLATE "C" ~ '(^|\.)([0-9]+|0x[0-9a-f]*)$' AND NOT postrider.is_ipv4(host) THEN
            RETURN 'the URL''s host must be a name, or four decimal numbers without leading zeros';
        END IF;
    END IF;
    IF coalesce(port, '') <> '' AND port COLLATE "C" !~ '^:[1-9][0-9]{0,4}$' THEN
        RETURN 'the URL''s port must be a number from 1 to 65535 without leading zeros';
    ELSIF length(port) > 1 AND substr(port, 2)::integer > 65535 THEN
        RETURN 'the URL''s port must be a number from 1 to 65535 without leading zeros';
    ELSIF url ~ '#' THEN
        RETURN 'the URL must not hold a fragment (#…), which is never sent';
    ELSIF url ~ '["<>\\^`{|}]' THEN
        RETURN 'the URL must not hold any of "<>\^`{|}';
    ELSIF url ~ '%(?![0-9A-Fa-f]{2})' THEN
        RETURN 'a percent sign in the URL must be followed by two hexadecimal digits';
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION postrider.url_fault(text) IS
    'What is wrong with a destination''s URL; null when nothing is. Never quotes the URL, which may carry a token.';

-- Patterns, headers, names --------------------------------------------------------------------------------------------

CREATE FUNCTION postrider.pattern_fault(patterns text[]) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT 'not an event type or pattern: ' || coalesce(quote_literal(left(p.pattern, 140)), 'null')
    FROM unnest(patterns) AS p (pattern)
    WHERE p.pattern IS NULL OR length(p.pattern) > 128
       OR p.pattern COLLATE "C" !~ '^(\*|[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*(\.\*)?)$'
    LIMIT 1
$$;
COMMENT ON FUNCTION postrider.pattern_fault(text[]) IS 'Names the first element that is no event type, no type.* and no *; null when there is none.';

CREATE FUNCTION postrider.names_settings(value text) RETURNS boolean LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT regexp_replace(value, '\$\$\{|\$\{[A-Za-z_][A-Za-z0-9_]{0,127}\}', '', 'g') !~ '\$\{'
$$;
COMMENT ON FUNCTION postrider.names_settings(text) IS
    'Whether every ${ of a text begins a reference ${NAME} to a setting, or has one more $ before it and stands for itself.';

-- Options can be read by auditors: what is secret in them must stand elsewhere.
CREATE FUNCTION postrider.is_reference(value jsonb) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce(jsonb_typeof(value) = 'string' AND value #>> '{}' ~ '^\$\{[A-Za-z_][A-Za-z0-9_]{0,127}\}$', false)
$$;
COMMENT ON FUNCTION postrider.is_reference(jsonb) IS 'Whether a value is a reference ${NAME} to a setting, and nothing else.';

CREATE FUNCTION postrider.has_members(value jsonb, VARIADIC names text[]) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE jsonb_typeof(value) WHEN 'object' THEN value <> '{}' AND value - names = '{}' ELSE false END
$$;
COMMENT ON FUNCTION postrider.has_members(jsonb, text[]) IS
    'Whether a value is an object with at least one member, and none but those named.';

CREATE FUNCTION postrider.header_fault(headers jsonb) RETURNS text LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    name  text;
    value jsonb;
BEGIN
    IF jsonb_typeof(headers) IS DISTINCT FROM 'object' THEN
        RETURN 'headers must be a JSON object of names and strings';
    END IF;
    FOR name, value IN SELECT h.key, h.value FROM jsonb_each(headers) AS h ORDER BY h.key LOOP
        IF name COLLATE "C" !~ '^[A-Za-z0-9!#$%&''*+.^_`|~-]{1,128}$' THEN
            RETURN 'not a header name: ' || quote_literal(left(name, 140));
        ELSIF lower(name) LIKE 'proxy-%' OR lower(name) IN (
            'connection', 'content-encoding', 'content-length', 'expect', 'host', 'http2-settings', 'keep-alive', 'te',
            'trailer', 'transfer-encoding', 'upgrade') THEN
            RETURN format('the header %s is set by the sender itself', name);
        ELSIF jsonb_typeof(value) <> 'string' OR (value #>> '{}') COLLATE "C" ~ '[\x01-\x08\x0a-\x1f\x7f]' THEN
            RETURN format('the value of header %s must be a string without line breaks', name);
        -- Sealed, a value is a third longer and a little more.
        ELSIF octet_length(value #>> '{}') > (CASE WHEN starts_with(value #>> '{}', 'sealed:') THEN 12288 ELSE 8192 END)
              OR (value #>> '{}') ~ '^[ \t]|[ \t]$' THEN
            RETURN format('the value of header %s must not begin or end with a blank, nor exceed 8192 bytes', name);
        ELSIF NOT postrider.names_settings(value #>> '{}') THEN
            RETURN format('the value of header %s holds ${ without a name behind it: write ${NAME}, or one more $ before it for ${ itself', name);
        END IF;
    END LOOP;
    IF (SELECT count(DISTINCT lower(k)) < count(*) FROM jsonb_object_keys(headers) AS k) THEN
        RETURN 'a header is there twice, in different cases';
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION postrider.header_fault(jsonb) IS
    'What is wrong with a destination''s extra headers; null when nothing is. Never quotes a value, which may be a credential.';

-- One line for each option: whether its value has the right shape. What stands inside is checked by the command line before
-- it is written, and by workers before it is used: a destination with an option that cannot be read is parked and reported.
CREATE FUNCTION postrider.option_fault(options jsonb) RETURNS text LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    name  text;
    value jsonb;
    fits  boolean;
BEGIN
    IF jsonb_typeof(options) IS DISTINCT FROM 'object' THEN
        RETURN 'options must be a JSON object';
    ELSIF octet_length(options::text) > 65536 THEN
        RETURN 'options must not exceed 64 KiB';
    ELSIF EXISTS (SELECT FROM jsonb_path_query(options, 'strict $.** ? (@.type() == "object")') AS o (members)
                  WHERE (SELECT count(*) > count(DISTINCT normalize(k.name)) FROM jsonb_object_keys(o.members) AS k (name))) THEN
        -- Two to Postgres, and one to workers.
        RETURN 'options must not have two members whose names look alike';
    END IF;
    FOR name, value IN SELECT o.key, o.value FROM jsonb_each(options) AS o ORDER BY o.key LOOP
        fits := CASE name
            WHEN 'order' THEN jsonb_typeof(value) = 'boolean'
            WHEN 'rate' THEN jsonb_typeof(value -> 'per_second') IS NOT DISTINCT FROM 'number'
            WHEN 'batch' THEN jsonb_typeof(value -> 'events') IS NOT DISTINCT FROM 'number'
            WHEN 'priority' THEN value IN ('"high"', '"normal"', '"low"')
            WHEN 'critical' THEN jsonb_typeof(value) = 'boolean'
            WHEN 'filter' THEN jsonb_typeof(value) = 'object'
            WHEN 'transform' THEN jsonb_typeof(value) = 'object'
            WHEN 'transform_function' THEN jsonb_typeof(value) = 'string' AND octet_length(value #>> '{}') <= 200
                                       AND (value #>> '{}') ~ '^[^.]+(\.[^.]+)+$'
            WHEN 'auth' THEN (postrider.has_members(value, 'bearer') AND postrider.is_reference(value -> 'bearer'))
                OR (postrider.has_members(value, 'basic') AND postrider.has_members(value -> 'basic', 'username', 'password')
                    AND postrider.is_reference(value #> '{basic,password}'))
                OR (postrider.has_members(value, 'jwt') AND postrider.is_reference(value #> '{jwt,key}'))
            WHEN 'tls' THEN postrider.has_members(value, 'certificate', 'key', 'ca') AND (NOT value ? 'key'
                OR postrider.is_reference(value -> 'key') OR coalesce(value ->> 'key', '') ~ '^file:[A-Za-z0-9_][A-Za-z0-9._-]*$')
            WHEN 'proxy' THEN jsonb_typeof(value) = 'string'
                AND value #>> '{}' ~ '^(http|socks5h)://([^:@/[:space:]]+:\$\{[A-Za-z_][A-Za-z0-9_]{0,127}\}@)?[^@/[:space:]]+:[0-9]{1,5}$'
        END;
        IF fits IS NULL THEN
            RETURN 'there is no option ' || quote_literal(left(name, 64));
        ELSIF NOT fits THEN
            RETURN format('the value of option %s is not of the right form', name);
        END IF;
    END LOOP;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION postrider.option_fault(jsonb) IS
    'What is wrong with a destination''s options; null when nothing is. docs/options.md lists them.';

-- What else a profile sends only the program knows: the command line asks it, and workers park what it refuses.
CREATE FUNCTION postrider.sent_header_fault(headers jsonb, options jsonb) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce(
        (SELECT format('the header %s is sent by every profile itself', n.name)
         FROM (SELECT jsonb_object_keys(headers) AS name UNION ALL SELECT options #>> '{auth,jwt,header}') AS n
         WHERE lower(n.name) IN ('content-type', 'user-agent') LIMIT 1),
        (SELECT format('the header %s is sent by the option auth already', h.name)
         FROM jsonb_object_keys(headers) AS h (name)
         WHERE options ? 'auth' AND lower(h.name) = lower(coalesce(options #>> '{auth,jwt,header}', 'authorization')) LIMIT 1))
$$;
COMMENT ON FUNCTION postrider.sent_header_fault(jsonb, jsonb) IS
    'Names an extra header that every profile sends, or that the option auth sends; null when there is none.';

-- C0, DEL, C1, and what breaks or turns lines in terminals and browsers.
CREATE FUNCTION postrider.name_fault(name text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN coalesce(name, '') = '' THEN 'an endpoint needs a name'
        WHEN name COLLATE "C" ~ '[\x01-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]'
            THEN 'the name must not hold control characters'
    END
$$;
COMMENT ON FUNCTION postrider.name_fault(text) IS 'What is wrong with a destination''s name; null when nothing is.';

-- Retries -------------------------------------------------------------------------------------------------------------

-- What is below the limits is refused by constraints of the table.
CREATE FUNCTION postrider.waits_fault(base_delay_ms bigint, max_delay_ms bigint, delay_factor float8, delays_ms bigint[])
    RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN array_ndims(delays_ms) > 1 THEN 'delays_ms must be a plain list of waits'
        WHEN array_position(delays_ms, NULL) IS NOT NULL THEN 'delays_ms must not hold nulls'
        WHEN cardinality(delays_ms) > 999 THEN 'delays_ms must hold at most 999 waits'
        WHEN greatest(base_delay_ms, max_delay_ms, (SELECT max(w.wait) FROM unnest(delays_ms) AS w (wait))) > 31622400000
            THEN 'base_delay_ms, max_delay_ms and delays_ms must be 0 s to 366 days'
        WHEN delay_factor > 100 THEN 'delay_factor must be 1 to 100'
    END
$$;
COMMENT ON FUNCTION postrider.waits_fault(bigint, bigint, float8, bigint[]) IS
    'What is too much of a destination''s waits; null when nothing is.';

CREATE FUNCTION postrider.statuses_fault(statuses text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT 'not a status from 400 to 599, a range of them, 4xx or 5xx: ' || quote_literal(left(p.part, 64))
    FROM unnest(string_to_array(statuses, ',')) AS p (part),
         LATERAL (SELECT regexp_match(replace(p.part, ' ', '') COLLATE "C",
                                      '^!?(?:[45]xx|([45][0-9][0-9])(?:-([45][0-9][0-9]))?)$') AS ends) AS r
    WHERE p.part <> '' AND (r.ends IS NULL OR r.ends[1]::integer > r.ends[2]::integer)
    LIMIT 1
$$;
COMMENT ON FUNCTION postrider.statuses_fault(text) IS
    'Names the first part of a list of final statuses that cannot be read; null when there is none.';

-- The gate ------------------------------------------------------------------------------------------------------------

CREATE FUNCTION postrider.header_names(headers jsonb) RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE jsonb_typeof(headers) WHEN 'object' THEN ARRAY(SELECT jsonb_object_keys(headers)) END
$$;
COMMENT ON FUNCTION postrider.header_names(jsonb) IS 'The names of headers, in one order; null when they are no JSON object.';

-- Runs as its owner, so that whoever may write destinations needs no rights on the functions above. What a change leaves as it
-- was is not judged: rows of before, and those that were forced in, can be switched off, and their headers be sealed.
CREATE OR REPLACE FUNCTION postrider.check_destination(d postrider.webhook_destinations, was postrider.webhook_destinations DEFAULT NULL)
    RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    is_new boolean := was.id IS NULL;
    names  text[] := postrider.header_names(d.headers);
    had    text[] := postrider.header_names(was.headers);
    fault  text;
BEGIN
    fault := CASE WHEN is_new OR d.name IS DISTINCT FROM was.name THEN postrider.name_fault(d.name) END;
    IF fault IS NOT NULL THEN
        RAISE EXCEPTION '%', fault USING ERRCODE = 'invalid_parameter_value', COLUMN = 'name';
    END IF;
    fault := CASE WHEN is_new OR d.url IS DISTINCT FROM was.url THEN postrider.url_fault(d.url) END;
    IF fault IS NOT NULL THEN
        RAISE EXCEPTION '%', fault USING ERRCODE = 'invalid_parameter_value', COLUMN = 'url', HINT = CASE
            WHEN fault LIKE '%password%' THEN 'Use headers, for example {"Authorization": "Bearer …"}.'
            ELSE 'Percent-encode what a URL cannot hold: a blank is %20. A host in another script is written as xn--….' END;
    END IF;
    IF is_new OR d.event_types IS DISTINCT FROM was.event_types THEN
        IF coalesce(cardinality(d.event_types), 0) = 0 THEN
            RAISE EXCEPTION 'an endpoint needs at least one event type'
                USING ERRCODE = 'invalid_parameter_value', COLUMN = 'event_types', HINT = 'ARRAY[''*''] subscribes to every event.';
        END IF;
        fault := postrider.pattern_fault(d.event_types);
        IF fault IS NOT NULL THEN
            RAISE EXCEPTION '%', fault
                USING ERRCODE = 'invalid_parameter_value', COLUMN = 'event_types',
                      HINT = 'Write a type such as lead.created, lead.* for every type below lead, or * for all.';
        END IF;
    END IF;
    -- A column that a statement left out is null here and gets its default later. Sealing changes values and no names; of what
    -- it does nothing is judged, since one header that was forced in, too long to be sealed say, would stop it for all.
    fault := CASE
        WHEN names = had THEN postrider.header_fault(
            (SELECT coalesce(jsonb_object_agg(h.key, h.value), '{}') FROM jsonb_each(d.headers) AS h
             WHERE h.value IS DISTINCT FROM was.headers -> h.key
               AND (current_setting('postrider.only_seals', true) = 'on' AND h.value #>> '{}' ~ '^sealed:v[0-9]+:[^:[:space:]]+:[A-Za-z0-9+/=]+$') IS NOT TRUE))
        WHEN is_new OR d.headers IS DISTINCT FROM was.headers THEN postrider.header_fault(coalesce(d.headers, '{}')) END;
    IF fault IS NOT NULL THEN
        RAISE EXCEPTION '%', fault
            USING ERRCODE = 'invalid_parameter_value', COLUMN = 'headers', HINT = 'For example {"X-Team": "sales"}.';
    END IF;
    fault := CASE WHEN is_new OR d.options IS DISTINCT FROM was.options THEN postrider.option_fault(coalesce(d.options, '{}')) END;
    IF fault IS NOT NULL THEN
        RAISE EXCEPTION '%', fault
            USING ERRCODE = 'invalid_parameter_value', COLUMN = 'options', HINT = 'docs/options.md lists them.';
    END IF;
    fault := CASE WHEN is_new OR names IS DISTINCT FROM had OR d.options -> 'auth' IS DISTINCT FROM was.options -> 'auth'
                  THEN postrider.sent_header_fault(coalesce(d.headers, '{}'), coalesce(d.options, '{}')) END;
    IF fault IS NOT NULL THEN
        RAISE EXCEPTION '%', fault
            USING ERRCODE = 'invalid_parameter_value', COLUMN = 'headers', HINT = 'Leave it out: no header is sent twice.';
    END IF;
    fault := CASE WHEN is_new OR (d.base_delay_ms, d.max_delay_ms, d.delay_factor, d.delays_ms)
                       IS DISTINCT FROM (was.base_delay_ms, was.max_delay_ms, was.delay_factor, was.delays_ms)
                  THEN postrider.waits_fault(d.base_delay_ms, d.max_delay_ms, d.delay_factor, d.delays_ms) END;
    IF fault IS NOT NULL THEN
        RAISE EXCEPTION '%', fault
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Waits are milliseconds: 3600000 is an hour.';
    END IF;
    fault := CASE WHEN is_new OR d.final_statuses IS DISTINCT FROM was.final_statuses
                  THEN postrider.statuses_fault(d.final_statuses) END;
    IF fault IS NOT NULL THEN
        RAISE EXCEPTION '%', fault
            USING ERRCODE = 'invalid_parameter_value', COLUMN = 'final_statuses', HINT = 'For example 4xx, or 400-407,410.';
    END IF;
END
$$;

CREATE FUNCTION postrider.webhook_destination_gate() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM postrider.check_destination(NEW, OLD);
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION postrider.webhook_destination_gate() IS
    'Trigger: refuses a name, URL, patterns, headers, options, waits or final statuses that are not valid, whoever writes them; of a change what differs from before.';
CREATE TRIGGER webhook_destination_gate
    BEFORE INSERT OR UPDATE OF name, url, event_types, headers, options, base_delay_ms, delay_factor, max_delay_ms, delays_ms,
        final_statuses ON postrider.webhook_destinations
    FOR EACH ROW EXECUTE FUNCTION postrider.webhook_destination_gate();

-- Transform functions -------------------------------------------------------------------------------------------------

-- Whoever may write endpoints names a function; only the owner of the schema says which may be named. An allowed function
-- runs as its own owner (SECURITY DEFINER), never with the rights of a worker, who may read every secret; and workers call it
-- in a transaction that reads only and is rolled back, so that nothing of a call remains.
-- The name stands as text: pg_upgrade refuses tables with columns of type regprocedure, and a function that was dropped and
-- made again is the same to a DBA.
CREATE TABLE postrider.webhook_transforms (
    function   text        NOT NULL,
    allowed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT webhook_transforms_pkey PRIMARY KEY (function)
);
COMMENT ON TABLE postrider.webhook_transforms IS
    'Functions that destinations may name in the option transform_function. Written by allow_transform and forbid_transform.';
COMMENT ON COLUMN postrider.webhook_transforms.function IS 'Schema and name as quote_ident writes them; its arguments are (jsonb, jsonb).';
COMMENT ON COLUMN postrider.webhook_transforms.allowed_at IS 'When it was allowed.';

CREATE FUNCTION postrider.transform_fault(function text) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    target pg_catalog.pg_proc;
BEGIN
    BEGIN
        SELECT p.* INTO target FROM pg_proc AS p WHERE p.oid = to_regprocedure(function || '(jsonb, jsonb)');
    EXCEPTION WHEN syntax_error OR invalid_name OR invalid_text_representation OR feature_not_supported THEN
        target := NULL;
    END;
    IF target.oid IS NULL THEN
        RETURN format('there is no function %s(jsonb, jsonb)', function);
    ELSIF target.prorettype <> 'jsonb'::regtype OR target.proretset OR target.prokind <> 'f' THEN
        RETURN format('the function %s must return jsonb', function);
    ELSIF NOT target.prosecdef THEN
        RETURN format('the function %s must be SECURITY DEFINER: it runs with the rights of its owner', function);
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION postrider.transform_fault(text) IS 'Why a function cannot be a transform; null when it can.';

-- Options hold what a person wrote: Sales.Shape_Lead and sales . shape_lead are sales.shape_lead, as everywhere in SQL.
CREATE FUNCTION postrider.transform_name(function text) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (SELECT quote_ident(n.nspname) || '.' || quote_ident(p.proname)
            FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
            WHERE p.oid = to_regprocedure(function || '(jsonb, jsonb)'));
EXCEPTION WHEN syntax_error OR invalid_name OR invalid_text_representation OR feature_not_supported OR insufficient_privilege THEN
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION postrider.transform_name(text) IS
    'Schema and name of a function (jsonb, jsonb) as quote_ident writes them, however they were written; null when it is not there or its schema is closed to the caller.';

CREATE FUNCTION postrider.allow_transform(function text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    fault  text := postrider.transform_fault(function);
    target regprocedure;
    place  text;
BEGIN
    IF function IS NULL OR fault IS NOT NULL THEN
        RAISE EXCEPTION '%', coalesce(fault, 'the name of a function is missing') USING ERRCODE = 'invalid_parameter_value',
            HINT = 'CREATE FUNCTION sales.shape_lead(data jsonb, context jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE SECURITY DEFINER …';
    END IF;
    target := to_regprocedure(function || '(jsonb, jsonb)');
    SELECT quote_ident(n.nspname) INTO place FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
    WHERE p.oid = target;
    INSERT INTO postrider.webhook_transforms (function) VALUES (postrider.transform_name(function))
    ON CONFLICT DO NOTHING;
    IF to_regrole('postrider_worker') IS NOT NULL AND NOT (has_function_privilege('postrider_worker', target, 'EXECUTE')
        AND has_schema_privilege('postrider_worker', (SELECT p.pronamespace FROM pg_proc AS p WHERE p.oid = target), 'USAGE')) THEN
        RAISE NOTICE 'workers may not call it yet: GRANT USAGE ON SCHEMA % TO postrider_worker; GRANT EXECUTE ON FUNCTION % TO postrider_worker;',
            place, target;
    END IF;
END
$$;
COMMENT ON FUNCTION postrider.allow_transform(text) IS
    'Allows destinations to name this function, schema.name, in the option transform_function. For the owner of the schema.';

CREATE FUNCTION postrider.forbid_transform(function text) RETURNS boolean
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- By the text itself too: one that was dropped has no name any more.
    DELETE FROM postrider.webhook_transforms AS t
    WHERE t.function IN (forbid_transform.function, postrider.transform_name(forbid_transform.function));
    RETURN FOUND;
END
$$;
COMMENT ON FUNCTION postrider.forbid_transform(text) IS
    'Takes back allow_transform, also of a function that was dropped, named as webhook_transforms has it; false when it was not allowed. Deliveries of destinations that name it fail and are tried again.';

-- An error of one call must not take the others of a batch with it, so it becomes an answer.
CREATE FUNCTION postrider.call_transform(function text, data jsonb, context jsonb, OUT result jsonb, OUT fault text)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    allowed text;
BEGIN
    SELECT t.function INTO allowed FROM postrider.webhook_transforms AS t WHERE t.function = call_transform.function;
    IF NOT FOUND THEN
        SELECT t.function INTO allowed FROM postrider.webhook_transforms AS t
        WHERE t.function = postrider.transform_name(call_transform.function);
    END IF;
    IF allowed IS NULL THEN
        fault := format('the function %s is not allowed: SELECT postrider.allow_transform(%L)', function, function);
        RETURN;
    END IF;
    fault := postrider.transform_fault(allowed);
    IF fault IS NULL THEN
        -- What stands in the table was written by quote_ident.
        EXECUTE 'SELECT ' || allowed || '($1, $2)' INTO result USING data, context;
    END IF;
EXCEPTION WHEN OTHERS OR assert_failure THEN
    result := NULL;
    fault := coalesce(nullif(left(SQLERRM, 500), ''), 'error ' || SQLSTATE);
END
$$;
COMMENT ON FUNCTION postrider.call_transform(text, jsonb, jsonb) IS
    'Calls an allowed transform function with a payload and its context: what it gives, or why it gave nothing.';

DO $$
DECLARE
    role_name text;
BEGIN
    FOREACH role_name IN ARRAY ARRAY['worker', 'auditor', 'admin'] LOOP
        PERFORM postrider.add_grants(role_name, 'table', 'SELECT', 'webhook_transforms');
    END LOOP;
    FOREACH role_name IN ARRAY ARRAY['worker', 'admin'] LOOP
        PERFORM postrider.add_grants(role_name, 'function', 'EXECUTE', 'call_transform', 'transform_fault', 'transform_name');
    END LOOP;
END
$$;
REVOKE ALL ON TABLE postrider.webhook_transforms FROM PUBLIC;
REVOKE ALL ON FUNCTION postrider.transform_fault(text), postrider.transform_name(text), postrider.allow_transform(text),
    postrider.forbid_transform(text), postrider.call_transform(text, jsonb, jsonb) FROM PUBLIC;
SELECT postrider.grant_roles();

REVOKE ALL ON FUNCTION postrider.is_ipv4(text), postrider.is_ipv6(text), postrider.url_fault(text), postrider.pattern_fault(text[]),
    postrider.header_fault(jsonb), postrider.option_fault(jsonb), postrider.name_fault(text), postrider.webhook_destination_gate(),
    postrider.names_settings(text), postrider.is_reference(jsonb), postrider.has_members(jsonb, text[]),
    postrider.waits_fault(bigint, bigint, float8, bigint[]), postrider.statuses_fault(text),
    postrider.sent_header_fault(jsonb, jsonb), postrider.header_names(jsonb) FROM PUBLIC;

INSERT INTO postrider.webhook_migrations (version, name) VALUES (8, 'gates');
