-- Postrider 0012: profiles as rows, and secrets with a date.
--
-- A profile is a wire format: headers, signed bytes, body. The built-in ones are part of the program; operators add theirs
-- here, and workers use them from the next event on. The program compiles what stands in a row. Here are refused the
-- mistakes that SQL can see; what gets through regardless parks the destinations that use it, with a reason that names it.

-- Profiles ------------------------------------------------------------------------------------------------------------

CREATE TABLE postrider.webhook_profiles (
    name           text        NOT NULL,
    purpose        text,
    content_type   text        NOT NULL DEFAULT 'application/json',
    user_agent     text        NOT NULL DEFAULT 'Postrider/1.0 (webhooks)',
    envelope       text        NOT NULL,
    headers        text[]      NOT NULL DEFAULT '{}',
    signs          text,
    encoding       text        NOT NULL DEFAULT 'hex',
    prefix         text        NOT NULL DEFAULT '',
    ed25519_prefix text,
    separator      text,
    secret_form    text        NOT NULL DEFAULT 'text',
    created_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT webhook_profiles_pkey PRIMARY KEY (name),
    CONSTRAINT name_is_a_lower_case_word CHECK (name COLLATE "C" ~ '^[a-z][a-z0-9_-]{0,63}$'),
    CONSTRAINT encoding_is_hex_or_base64 CHECK (encoding IN ('hex', 'base64')),
    CONSTRAINT secret_form_is_known CHECK (secret_form IN ('text', 'prefixed_text', 'standard')),
    CONSTRAINT separator_is_not_empty CHECK (separator <> ''),
    CONSTRAINT ed25519_needs_standard_secrets CHECK (ed25519_prefix IS NULL OR secret_form = 'standard'),
    CONSTRAINT headers_are_lines CHECK (array_position(headers, NULL) IS NULL)
);
COMMENT ON TABLE postrider.webhook_profiles IS
    'Wire formats that operators added: docs/profiles.md. A change counts from the next delivery of every destination that uses it.';
COMMENT ON COLUMN postrider.webhook_profiles.name IS 'The name that destinations have in their column profile; not that of a built-in profile.';
COMMENT ON COLUMN postrider.webhook_profiles.purpose IS 'What it is for, for people.';
COMMENT ON COLUMN postrider.webhook_profiles.content_type IS 'Content-Type of requests.';
COMMENT ON COLUMN postrider.webhook_profiles.user_agent IS 'User-Agent of requests.';
COMMENT ON COLUMN postrider.webhook_profiles.envelope IS 'The body as a template of JSON: {data} alone, or around it what receivers expect.';
COMMENT ON COLUMN postrider.webhook_profiles.headers IS 'Further header lines as templates, "Name: value". Lines with {signature} are left out for destinations without a secret.';
COMMENT ON COLUMN postrider.webhook_profiles.signs IS 'The signed bytes as a template: {timestamp}.{body}. Null: requests are not signed.';
COMMENT ON COLUMN postrider.webhook_profiles.encoding IS 'How signatures are written: hex or base64.';
COMMENT ON COLUMN postrider.webhook_profiles.prefix IS 'What stands before each HMAC-SHA256 signature: sha256=.';
COMMENT ON COLUMN postrider.webhook_profiles.ed25519_prefix IS 'What stands before each Ed25519 signature; null when the format knows none.';
COMMENT ON COLUMN postrider.webhook_profiles.separator IS 'What stands between the signatures of several secrets; null when there is room for one: the newest secret alone signs then.';
COMMENT ON COLUMN postrider.webhook_profiles.secret_form IS 'text: the key is the secret''s text. prefixed_text: the same, generated with whsec_. standard: whsec_ and base64 of the key, or whsk_ for Ed25519.';
COMMENT ON COLUMN postrider.webhook_profiles.created_at IS 'When it was added.';
COMMENT ON COLUMN postrider.webhook_profiles.updated_at IS 'When it was last changed.';

CREATE TRIGGER webhook_routing_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON postrider.webhook_profiles
    FOR EACH STATEMENT EXECUTE FUNCTION postrider.webhook_routing_changed();

CREATE FUNCTION postrider.is_built_in_profile(name text) RETURNS boolean
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT name IN ('standard', 'companion', 'agentes', 'crm', 'fenix', 'bird', 'github', 'stripe', 'n8n', 'supabase', 'hasura')
$$;
COMMENT ON FUNCTION postrider.is_built_in_profile(text) IS 'Is it the name of a profile that is part of the program?';

CREATE FUNCTION postrider.template_fault(template text, VARIADIC allowed text[]) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT format('there is no variable {%s} here', left(v.name[1], 64))
    FROM regexp_matches(template, '\{([a-z_.]+)\}', 'g') AS v (name)
    WHERE v.name[1] <> ALL (allowed) AND v.name[1] <> ALL (ARRAY['event.id', 'event.type', 'event.created_at',
        'event.created_unix', 'event.created_ms', 'event.organization', 'event.user', 'event.record_id'])
    LIMIT 1
$$;
COMMENT ON FUNCTION postrider.template_fault(text, text[]) IS
    'Names the first variable of a template that is none of the event''s and none of a list; null when there is none.';

CREATE FUNCTION postrider.profile_fault(p postrider.webhook_profiles) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    line  text;
    fault text;
    names text[] := '{content-type,user-agent}';
BEGIN
    IF postrider.is_built_in_profile(p.name) THEN
        RETURN format('%s is the name of a built-in profile', p.name);
    END IF;
    fault := postrider.template_fault(p.envelope, 'data');
    IF fault IS NOT NULL THEN
        RETURN 'envelope: ' || fault;
    END IF;
    BEGIN
        -- A value with quotes for {data}, which must not stand within quotes; a number for all others, which may.
        PERFORM regexp_replace(replace(p.envelope, '{data}', '["x"]'), '\{[a-z_.]+\}', '0', 'g')::jsonb;
    EXCEPTION WHEN data_exception OR statement_too_complex THEN
        RETURN 'envelope: it does not become JSON';
    END;
    fault := postrider.template_fault(p.signs, 'delivery.id', 'delivery.attempt', 'destination.id', 'timestamp',
        'timestamp.ms', 'timestamp.iso', 'body', 'body.canonical');
    IF fault IS NOT NULL THEN
        RETURN 'signs: ' || fault;
    ELSIF (SELECT count(*) FROM regexp_matches(p.signs, '\{body(\.canonical)?\}', 'g')) <> 1 AND p.signs IS NOT NULL THEN
        RETURN 'signs: it must contain {body} or {body.canonical} exactly once';
    END IF;
    FOREACH line IN ARRAY p.headers LOOP
        IF line IS NULL THEN
            RETURN 'headers: a line is null';
        ELSIF position(':' IN line) = 0 THEN
            RETURN format('header %s has no colon', quote_literal(left(line, 64)));
        END IF;
        fault := coalesce(
            postrider.header_fault(jsonb_build_object(split_part(line, ':', 1), ltrim(substr(line, position(':' IN line) + 1), ' '))),
            postrider.template_fault(line, 'delivery.id', 'delivery.attempt', 'destination.id', 'timestamp',
                'timestamp.ms', 'timestamp.iso', 'signature'));
        IF fault IS NOT NULL THEN
            RETURN 'headers: ' || fault;
        ELSIF p.signs IS NULL AND position('{signature}' IN line) > 0 THEN
            RETURN 'headers: {signature} needs signs, which says what is signed';
        ELSIF lower(split_part(line, ':', 1)) = ANY (names) THEN
            RETURN format('headers: %s is there twice', split_part(line, ':', 1));
        END IF;
        names := names || lower(split_part(line, ':', 1));
    END LOOP;
    IF p.signs IS NOT NULL AND array_to_string(p.headers, ' ') !~ '\{signature\}' THEN
        RETURN 'headers: none carries {signature}';
    END IF;
    fault := postrider.header_fault(jsonb_build_object('Content-Type', p.content_type, 'User-Agent', p.user_agent));
    RETURN coalesce(fault, CASE WHEN concat(p.prefix, p.ed25519_prefix, p.separator) COLLATE "C" ~ '[\x01-\x1f\x7f]'
        THEN 'prefixes and separator must not hold control characters' END);
END
$$;
COMMENT ON FUNCTION postrider.profile_fault(postrider.webhook_profiles) IS
    'What is wrong with a profile; null when nothing is that SQL can see. The program compiles it as well.';

CREATE FUNCTION postrider.webhook_profile_gate() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    users integer;
    fault text;
    added text[];
    named text;
BEGIN
    IF TG_OP = 'DELETE' OR TG_OP = 'UPDATE' AND NEW.name <> OLD.name THEN
        SELECT count(*) INTO users FROM postrider.webhook_destinations
        WHERE profile = OLD.name AND deleted_at IS NULL;
        IF users > 0 THEN
            RAISE EXCEPTION 'profile % is used by % %', OLD.name, users,
                CASE users WHEN 1 THEN 'destination' ELSE 'destinations' END
                USING ERRCODE = 'object_in_use', HINT = 'Give them another profile first.';
        ELSIF TG_OP = 'DELETE' THEN
            RETURN OLD;
        END IF;
    END IF;
    fault := postrider.profile_fault(NEW);
    IF fault IS NOT NULL THEN
        RAISE EXCEPTION 'profile %: %', NEW.name, fault
            USING ERRCODE = 'invalid_parameter_value', HINT = 'docs/profiles.md tells how to write one.';
    END IF;
    IF TG_OP = 'UPDATE' THEN
        -- What was there before the change is not judged: it can be changed in everything else.
        added := ARRAY(SELECT lower(split_part(n.line, ':', 1)) FROM unnest(NEW.headers) AS n (line)
                       EXCEPT SELECT lower(split_part(o.line, ':', 1)) FROM unnest(OLD.headers) AS o (line));
    END IF;
    IF added <> '{}' THEN
        SELECT count(*), string_agg(format('%s (%s)', quote_literal(left(c.name, 64)), c.header), ', ' ORDER BY c.id)
                         FILTER (WHERE c.place <= 3)
        INTO users, named
        FROM (SELECT d.id, d.name, h.header, row_number() OVER (ORDER BY d.id) AS place
              FROM postrider.webhook_destinations AS d
              CROSS JOIN LATERAL (
                  SELECT min(s.name) AS header
                  FROM unnest(postrider.header_names(d.headers) || CASE WHEN d.options ? 'auth'
                      THEN coalesce(d.options #>> '{auth,jwt,header}', 'Authorization') END) AS s (name)
                  WHERE lower(s.name) = ANY (added)) AS h
              WHERE d.profile = NEW.name AND d.deleted_at IS NULL AND h.header IS NOT NULL) AS c;
        IF users > 0 THEN
            RAISE EXCEPTION 'profile %: a new header of it is sent by destinations already: %', NEW.name,
                named || CASE WHEN users > 3 THEN format(' and %s more', users - 3) ELSE '' END
                USING ERRCODE = 'invalid_parameter_value', COLUMN = 'headers',
                      HINT = 'No header is sent twice: take it from the destinations first.';
        END IF;
    END IF;
    NEW.updated_at := clock_timestamp();
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION postrider.webhook_profile_gate() IS
    'Trigger: refuses a profile that cannot work, a new header that a destination of its own sends already, and to remove or rename one that is used.';
CREATE TRIGGER webhook_profile_gate BEFORE INSERT OR UPDATE OR DELETE ON postrider.webhook_profiles
    FOR EACH ROW EXECUTE FUNCTION postrider.webhook_profile_gate();

-- The lock keeps the row until this transaction has ended: whoever deletes it waits and then sees the destination.
CREATE FUNCTION postrider.webhook_destination_profile_gate() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF postrider.is_built_in_profile(NEW.profile) THEN
        RETURN NEW;
    END IF;
    PERFORM FROM postrider.webhook_profiles WHERE name = NEW.profile FOR SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no profile %', quote_literal(left(NEW.profile, 64))
            USING ERRCODE = 'invalid_parameter_value', COLUMN = 'profile',
                  HINT = 'postrider profiles list shows them; docs/profiles.md tells how to add one.';
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION postrider.webhook_destination_profile_gate() IS
    'Trigger: refuses a destination whose profile is neither built in nor a row of webhook_profiles.';
CREATE TRIGGER webhook_destination_profile_gate BEFORE INSERT OR UPDATE OF profile ON postrider.webhook_destinations
    FOR EACH ROW EXECUTE FUNCTION postrider.webhook_destination_profile_gate();

-- Secrets -------------------------------------------------------------------------------------------------------------

CREATE FUNCTION postrider.secret_form(profile text) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN profile IN ('standard', 'supabase', 'hasura') THEN 'standard' WHEN profile = 'stripe' THEN 'prefixed_text'
        ELSE coalesce((SELECT p.secret_form FROM postrider.webhook_profiles AS p WHERE p.name = profile), 'text') END
$$;
COMMENT ON FUNCTION postrider.secret_form(text) IS 'The form of a profile''s secrets: text, prefixed_text or standard.';

CREATE OR REPLACE FUNCTION postrider.new_secret(profile text) RETURNS text LANGUAGE sql VOLATILE AS $$
    SELECT CASE CASE WHEN EXISTS (SELECT FROM postrider.webhook_profiles AS p WHERE p.name = profile AND p.signs IS NULL)
                     THEN 'none' ELSE postrider.secret_form(profile) END
        WHEN 'none' THEN NULL
        WHEN 'standard' THEN 'whsec_' || encode(postrider.random_bytes_32(), 'base64')
        WHEN 'prefixed_text' THEN 'whsec_' || encode(postrider.random_bytes_32(), 'hex')
        ELSE encode(postrider.random_bytes_32(), 'hex') END
$$;
COMMENT ON FUNCTION postrider.new_secret(text) IS
    'A new secret in the form of a profile: 64 hex digits, the same after whsec_, or whsec_ and base64; null for a profile that does not sign.';

CREATE FUNCTION postrider.expire_secret(endpoint uuid, expires_in interval) RETURNS timestamptz
    LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    expiry timestamptz := clock_timestamp() + expires_in;
BEGIN
    IF expires_in <= interval '0' THEN
        RAISE EXCEPTION 'a secret cannot expire in the past' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    UPDATE postrider.webhook_secrets AS s SET expires_at = expiry
    FROM postrider.webhook_destinations AS d
    WHERE d.public_id = endpoint AND d.deleted_at IS NULL AND s.destination_id = d.id
      AND s.version = (SELECT max(n.version) FROM postrider.webhook_secrets AS n WHERE n.destination_id = d.id);
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no endpoint %, or it has no secret', endpoint USING ERRCODE = 'no_data_found';
    END IF;
    RETURN expiry;
END
$$;
COMMENT ON FUNCTION postrider.expire_secret(uuid, interval) IS
    'Says by when the newest secret of an endpoint or workflow should be replaced (null: never), and returns the date. It signs on after it; doctor and workers warn from 14 days before.';

-- Runs as its owner: whoever may see destinations may know when their secrets expire.
CREATE FUNCTION postrider.secret_expires_at(destination_id integer) RETURNS timestamptz
    LANGUAGE sql STABLE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT s.expires_at FROM postrider.webhook_secrets AS s
    WHERE s.destination_id = secret_expires_at.destination_id ORDER BY s.version DESC LIMIT 1
$$;
COMMENT ON FUNCTION postrider.secret_expires_at(integer) IS
    'By when the newest secret of a destination should be replaced; null for never, and when it has none.';

-- Rights --------------------------------------------------------------------------------------------------------------

DO $$
DECLARE
    role_name text;
BEGIN
    PERFORM postrider.add_grants('worker', 'table', 'SELECT', 'webhook_profiles');
    PERFORM postrider.add_grants('auditor', 'table', 'SELECT', 'webhook_profiles');
    PERFORM postrider.add_grants('admin', 'table', 'SELECT, INSERT, UPDATE, DELETE', 'webhook_profiles');
    PERFORM postrider.add_grants('admin', 'function', 'EXECUTE', 'secret_form', 'expire_secret');
    FOREACH role_name IN ARRAY ARRAY['auditor', 'admin'] LOOP
        PERFORM postrider.add_grants(role_name, 'function', 'EXECUTE', 'secret_expires_at');
    END LOOP;
END
$$;
SELECT postrider.grant_roles();

INSERT INTO postrider.webhook_migrations (version, name) VALUES (12, 'profiles');
