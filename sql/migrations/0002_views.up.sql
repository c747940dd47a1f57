-- Postrider 0002: what people read and write. Events with their status, deliveries, endpoints, n8n workflows, summaries.
--
-- Views that people use are security_invoker: they open nothing that the tables below them do not. What an organization
-- may know of tables whose rows hold work of many (claims, the queue) comes from the objects that follow, which
-- have their owner's rights. No view is materialised and no status is stored: status is worked out from the tables of
-- the road of an event, so it cannot disagree with them.

-- What an organization may know ---------------------------------------------------------------------------------------

-- Names are resolved when it is made (no string body): the caller's search_path decides nothing.
CREATE FUNCTION postrider.current_organization() RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE RETURN nullif(pg_catalog.current_setting('postrider.organization_id', true), '');
COMMENT ON FUNCTION postrider.current_organization() IS
    'The organization that this session speaks for: SET postrider.organization_id = ''…''. Null when it was not set.';

-- A function and not subqueries of the view, whose estimated cost of two probes for each row would have every plan compiled
-- by JIT: 1.4 s for one row (measured).
CREATE FUNCTION postrider.is_own(event_id uuid, destination_id integer) RETURNS boolean
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    organization text := postrider.current_organization();
BEGIN
    RETURN EXISTS (SELECT FROM postrider.webhook_event_log AS e
                   WHERE e.id = event_id AND e.organization_id = organization)
       AND (destination_id IS NULL OR EXISTS (SELECT FROM postrider.webhook_destinations AS d
                                              WHERE d.id = destination_id AND d.organization_id = organization));
END
$$;
COMMENT ON FUNCTION postrider.is_own(uuid, integer) IS
    'Do this event, and this destination unless it is null, belong to the organization that the session speaks for?';

-- The barrier keeps a caller's own functions from seeing rows before the condition did.
CREATE VIEW postrider.webhook_in_flight WITH (security_barrier = true) AS
SELECT u.event_id, u.destination_id, u.attempt_number
FROM postrider.webhook_claims AS c,
     ROWS FROM (unnest(c.event_ids), unnest(c.destination_ids), unnest(c.attempt_numbers))
         AS u (event_id, destination_id, attempt_number)
WHERE (SELECT has_table_privilege('postrider.webhook_claims'::regclass, 'SELECT'))
   OR postrider.is_own(u.event_id, u.destination_id);
COMMENT ON VIEW postrider.webhook_in_flight IS
    'What workers hold right now, one row for each event of a claim: all of it for those who may read webhook_claims, that of the session''s organization for others.';
COMMENT ON COLUMN postrider.webhook_in_flight.event_id IS 'The event.';
COMMENT ON COLUMN postrider.webhook_in_flight.destination_id IS 'The destination, of a retry; null for a first fan-out.';
COMMENT ON COLUMN postrider.webhook_in_flight.attempt_number IS 'Number of the attempt, of a retry; null for a first fan-out.';

-- An event that is not the first id of a queue row stands in the array of the nearest row before it, or, when statements
-- of several sessions interleaved, a few rows before that. The backward walk stops at the first hit. It cannot become
-- long for events that left the queue, since what is left in the queue is younger than they are.
CREATE FUNCTION postrider.is_waiting(event_id uuid, event_priority smallint) RETURNS boolean
    LANGUAGE plpgsql STABLE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off AS $$
BEGIN
    RETURN EXISTS (SELECT FROM postrider.webhook_queue AS q WHERE q.priority = event_priority AND q.id = event_id)
        OR coalesce((SELECT true FROM postrider.webhook_queue AS q
                     WHERE q.priority = event_priority AND q.id < event_id AND event_id = ANY (q.more)
                     ORDER BY q.id DESC LIMIT 1), false);
END
$$;
COMMENT ON FUNCTION postrider.is_waiting(uuid, smallint) IS
    'Does this event of this priority wait in the queue? Runs as its owner: whoever knows an event''s id may ask, nobody may read the queue for it.';

-- Headers carry tokens of their receivers as often as not.
CREATE VIEW postrider.webhook_destination_headers WITH (security_barrier = true) AS
SELECT d.id AS destination_id,
       CASE WHEN (SELECT has_column_privilege('postrider.webhook_destinations'::regclass, 'headers', 'SELECT')) THEN d.headers
            ELSE (SELECT coalesce(jsonb_object_agg(h.key, '••••'), '{}') FROM jsonb_each(d.headers) AS h) END AS headers
FROM postrider.webhook_destinations AS d
WHERE (SELECT has_table_privilege('postrider.webhook_claims'::regclass, 'SELECT'))
   OR d.organization_id = postrider.current_organization();
COMMENT ON VIEW postrider.webhook_destination_headers IS
    'Extra request headers of destinations, with their values for those who may read them and dots for others.';
COMMENT ON COLUMN postrider.webhook_destination_headers.destination_id IS 'The destination.';
COMMENT ON COLUMN postrider.webhook_destination_headers.headers IS 'Names and values; •••• for each value that the reader may not see.';

-- Events --------------------------------------------------------------------------------------------------------------

-- One table and no join, so that Postgres rewrites INSERT … INTO webhook_events to a plain insert into the log: the
-- trigger is called once for a statement, and defaults are the table's own. The status stands in scalar subqueries for
-- that reason. They are asked in this order:
-- * The claims are compared by IN over all claimed ids: one hash for the whole query, small because claims are short.
-- * The probe of the log itself tells INSERT … RETURNING status: the row is not visible yet to its own statement, and
--   its queue row is written only at the end of it.
CREATE VIEW postrider.webhook_events WITH (security_invoker = true) AS
SELECT e.id, e.event_type, e.event_source, e.table_name, e.record_id, e.user_id, e.organization_id, e.ordering_key,
       e.priority, e.data, e.created_at,
       CASE
           WHEN EXISTS (SELECT FROM postrider.webhook_dead_letters AS l WHERE l.event_id = e.id) THEN 'failed'
           WHEN EXISTS (SELECT FROM postrider.webhook_retries AS r WHERE r.event_id = e.id) THEN 'processing'
           WHEN e.id IN (SELECT f.event_id FROM postrider.webhook_in_flight AS f) THEN 'processing'
           WHEN EXISTS (SELECT FROM postrider.webhook_attempts AS a WHERE a.event_id = e.id) THEN 'completed'
           WHEN postrider.is_waiting(e.id, e.priority) THEN 'pending'
           WHEN EXISTS (SELECT FROM postrider.webhook_event_log AS s WHERE s.id = e.id) THEN 'completed'
           ELSE 'pending'
       END AS status,
       greatest(0, (SELECT max(a.attempt_number) - 1 FROM postrider.webhook_attempts AS a
                    WHERE a.event_id = e.id)) AS retry_count,
       (SELECT coalesce(a.error_message, a.failure) FROM postrider.webhook_attempts AS a
        WHERE a.event_id = e.id AND a.outcome NOT IN (0, 4) ORDER BY a.attempted_at DESC LIMIT 1) AS error_message
FROM postrider.webhook_event_log AS e;
COMMENT ON VIEW postrider.webhook_events IS
    'Every event with its status. INSERT here makes events; look up by id, or by id >= postrider.event_id_at(time), which read indexes.';
COMMENT ON COLUMN postrider.webhook_events.id IS 'UUIDv7, made by the database; the webhook-id that receivers see. Leave it out when inserting.';
COMMENT ON COLUMN postrider.webhook_events.event_type IS 'Dotted words, such as lead.created; what endpoints subscribe to.';
COMMENT ON COLUMN postrider.webhook_events.event_source IS 'trigger (an attachment), api (emit), manual (a plain INSERT, the default), or what the writer says.';
COMMENT ON COLUMN postrider.webhook_events.table_name IS 'Schema-qualified domain table whose change this is; null for emitted events.';
COMMENT ON COLUMN postrider.webhook_events.record_id IS 'Key of the domain row as text; null when unknown.';
COMMENT ON COLUMN postrider.webhook_events.user_id IS 'Person the event belongs to; null when none.';
COMMENT ON COLUMN postrider.webhook_events.organization_id IS 'Organization the event belongs to; null when none.';
COMMENT ON COLUMN postrider.webhook_events.ordering_key IS 'Events of one key are delivered in order to destinations that ask for order; null for no order.';
COMMENT ON COLUMN postrider.webhook_events.priority IS '0 high, 1 normal (default), 2 low.';
COMMENT ON COLUMN postrider.webhook_events.data IS 'The payload, a JSON document.';
COMMENT ON COLUMN postrider.webhook_events.created_at IS 'When the row was inserted, by the database''s clock.';
COMMENT ON COLUMN postrider.webhook_events.status IS
    'pending: waits for its first fan-out. processing: in flight, or a delivery will be tried again. failed: a delivery is a dead letter. completed: delivered to every subscriber that wants it (or there was none), or what was left was dropped because the payload was erased, or the destination deleted or given to another organization or user. Read-only.';
COMMENT ON COLUMN postrider.webhook_events.retry_count IS 'Highest number of retries among its deliveries, 0 when none. Read-only.';
COMMENT ON COLUMN postrider.webhook_events.error_message IS 'Error of its latest failed attempt, also after a later attempt delivered; null when none failed. Read-only.';

-- Deliveries ----------------------------------------------------------------------------------------------------------

-- The latest attempt is found by DISTINCT ON: filters on the event (one id, or a range of time) reach the index of the
-- attempts through it. An anti-join for "no later attempt" read all attempts of all time for a range of five minutes
-- (measured). Without such a filter every attempt is read, also with a LIMIT. What a worker recorded after it had lost its
-- claim (outcome 3) changed nothing, and counts only where nobody recorded anything else.
-- The second half is what has no attempt yet: replays, and deliveries parked for an inactive destination.
CREATE VIEW postrider.webhook_deliveries WITH (security_invoker = true) AS
SELECT postrider.delivery_id(p.event_id, p.destination_id) AS id,
       p.event_id AS webhook_event_id,
       d.public_id AS webhook_endpoint_id,
       d.kind AS destination_kind,
       d.name AS destination_name,
       e.event_type,
       e.data AS payload,
       CASE
           WHEN r.event_id IS NOT NULL THEN 'pending'
           WHEN p.attempted_at IS NULL THEN 'pending'
           WHEN (p.event_id, p.destination_id) IN (
               SELECT f.event_id, f.destination_id FROM postrider.webhook_in_flight AS f
               WHERE f.destination_id IS NOT NULL) THEN 'pending'
           WHEN p.outcome = 0 THEN 'success'
           WHEN p.outcome = 4 THEN 'skipped'
           ELSE 'failed'
       END AS status,
       p.status_code::integer AS status_code,
       p.status_code::integer AS response_status_code,
       p.response_body,
       round(p.duration_us / 1000.0, 3) AS delivery_duration_ms,
       p.attempt_number::integer AS attempt_number,
       (SELECT count(*) FROM postrider.webhook_attempts AS n
        WHERE n.event_id = p.event_id AND n.destination_id = p.destination_id)::integer AS attempt_count,
       p.failure,
       p.error_message,
       nullif(r.due_at, 'infinity') AS next_retry_at,
       e.created_at,
       p.attempted_at,
       CASE WHEN p.outcome = 0 THEN p.attempted_at END AS delivered_at,
       l.dead_at,
       e.organization_id,
       e.user_id,
       p.destination_id,
       p.worker_id
FROM (
    (SELECT DISTINCT ON (a.event_id, a.destination_id)
            a.event_id, a.destination_id, a.attempted_at, a.worker_id, a.duration_us, a.attempt_number, a.outcome,
            a.status_code, a.failure, a.error_message, a.response_body
     FROM postrider.webhook_attempts AS a
     ORDER BY a.event_id DESC, a.destination_id DESC, a.outcome = 3, a.attempted_at DESC)
    UNION ALL
    SELECT w.event_id, w.destination_id, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, NULL
    FROM (
        SELECT event_id, destination_id FROM postrider.webhook_retries WHERE attempt_number = 1
        UNION ALL
        SELECT f.event_id, f.destination_id FROM postrider.webhook_in_flight AS f
        WHERE f.destination_id IS NOT NULL AND f.attempt_number = 1
    ) AS w
    WHERE NOT EXISTS (
        SELECT FROM postrider.webhook_attempts AS a
        WHERE a.event_id = w.event_id AND a.destination_id = w.destination_id)
) AS p
LEFT JOIN postrider.webhook_event_log AS e ON e.id = p.event_id
LEFT JOIN postrider.webhook_destinations AS d ON d.id = p.destination_id
LEFT JOIN postrider.webhook_retries AS r ON r.event_id = p.event_id AND r.destination_id = p.destination_id
LEFT JOIN postrider.webhook_dead_letters AS l ON l.event_id = p.event_id AND l.destination_id = p.destination_id;
COMMENT ON VIEW postrider.webhook_deliveries IS
    'One row for each event and destination: its latest attempt and what comes next. Filter by webhook_event_id (one id, or >= postrider.event_id_at(time)): that reads an index of one partition. First fan-outs in flight are not shown before their first attempt is recorded.';
COMMENT ON COLUMN postrider.webhook_deliveries.id IS 'postrider.delivery_id(event, destination): always the same for this pair.';
COMMENT ON COLUMN postrider.webhook_deliveries.webhook_event_id IS 'The event, webhook_events.id.';
COMMENT ON COLUMN postrider.webhook_deliveries.webhook_endpoint_id IS 'The destination, webhook_endpoints.id or n8n_workflows.id.';
COMMENT ON COLUMN postrider.webhook_deliveries.destination_kind IS 'endpoint or n8n.';
COMMENT ON COLUMN postrider.webhook_deliveries.destination_name IS 'Name of the destination today.';
COMMENT ON COLUMN postrider.webhook_deliveries.event_type IS 'Type of the event.';
COMMENT ON COLUMN postrider.webhook_deliveries.payload IS 'The event''s data, before the envelope.';
COMMENT ON COLUMN postrider.webhook_deliveries.status IS 'pending: an attempt is scheduled or in flight. success: the last attempt delivered. skipped: nothing was sent, because the destination''s transform gave null, the payload was erased, or the destination is of another organization or user now. failed: dead letter, or given up with its destination.';
COMMENT ON COLUMN postrider.webhook_deliveries.status_code IS 'HTTP status of the latest attempt; null when there was no answer or no attempt.';
COMMENT ON COLUMN postrider.webhook_deliveries.response_status_code IS 'The same as status_code.';
COMMENT ON COLUMN postrider.webhook_deliveries.response_body IS 'Beginning of the latest answer; null when empty or not kept.';
COMMENT ON COLUMN postrider.webhook_deliveries.delivery_duration_ms IS 'Time of the latest attempt, in milliseconds with three decimals.';
COMMENT ON COLUMN postrider.webhook_deliveries.attempt_number IS 'Number of the latest attempt; 0 when there was none yet.';
COMMENT ON COLUMN postrider.webhook_deliveries.attempt_count IS 'Attempts recorded, repeats after a crash included.';
COMMENT ON COLUMN postrider.webhook_deliveries.failure IS 'Failure class of the latest attempt; null when it delivered.';
COMMENT ON COLUMN postrider.webhook_deliveries.error_message IS 'One line about the latest failure; null when it delivered.';
COMMENT ON COLUMN postrider.webhook_deliveries.next_retry_at IS 'When the next attempt is due; null when none is scheduled, or when it is parked until its destination is active again.';
COMMENT ON COLUMN postrider.webhook_deliveries.created_at IS 'When the event was inserted; null when its row was erased.';
COMMENT ON COLUMN postrider.webhook_deliveries.attempted_at IS 'When the latest attempt ended; null when there was none.';
COMMENT ON COLUMN postrider.webhook_deliveries.delivered_at IS 'When the latest attempt ended, if it delivered.';
COMMENT ON COLUMN postrider.webhook_deliveries.dead_at IS 'When it became a dead letter; null when it is none.';
COMMENT ON COLUMN postrider.webhook_deliveries.organization_id IS 'Organization of the event.';
COMMENT ON COLUMN postrider.webhook_deliveries.user_id IS 'Person of the event.';
COMMENT ON COLUMN postrider.webhook_deliveries.destination_id IS 'Short id of the destination, webhook_destinations.id.';
COMMENT ON COLUMN postrider.webhook_deliveries.worker_id IS 'Worker of the latest attempt.';

-- Subscriptions -------------------------------------------------------------------------------------------------------

CREATE FUNCTION postrider.matches(patterns text[], event_type text) RETURNS boolean
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT EXISTS (SELECT FROM unnest(patterns) AS p (pattern)
                   WHERE p.pattern = '*' OR p.pattern = event_type
                      OR (p.pattern LIKE '%.*' AND starts_with(event_type, left(p.pattern, -1))))
$$;
COMMENT ON FUNCTION postrider.matches(text[], text) IS
    'Does a subscription cover an event type? * is every type, message.* every type below message, anything else itself.';

-- Secrets -------------------------------------------------------------------------------------------------------------

-- gen_random_uuid() draws from the server's strong random source (pg_strong_random, the one of pgcrypto's
-- gen_random_bytes): 122 bits each. Three of them hash down to 32 bytes that hold their full 256 bits.
CREATE FUNCTION postrider.random_bytes_32() RETURNS bytea LANGUAGE sql VOLATILE AS $$
    SELECT sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()))
$$;
COMMENT ON FUNCTION postrider.random_bytes_32() IS '32 bytes for a secret, from the server''s strong random source; needs no extension.';

CREATE FUNCTION postrider.new_secret(profile text) RETURNS text LANGUAGE sql VOLATILE AS $$
    SELECT CASE WHEN profile IN ('standard', 'supabase', 'hasura') THEN 'whsec_' || encode(postrider.random_bytes_32(), 'base64')
                WHEN profile = 'stripe' THEN 'whsec_' || encode(postrider.random_bytes_32(), 'hex')
                ELSE encode(postrider.random_bytes_32(), 'hex') END
$$;
COMMENT ON FUNCTION postrider.new_secret(text) IS 'A new secret in the form of a profile: whsec_ and base64 for standard, supabase and hasura, whsec_ and hex for stripe, 64 hex digits for all others.';

-- Runs as its owner, because those who may see endpoints need not read the secrets: they see the last four characters,
-- and of a secret shorter than 16 none, since four would be too large a part of it.
CREATE FUNCTION postrider.secret_hint(destination_id integer) RETURNS text
    LANGUAGE sql STABLE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT '••••' || CASE WHEN length(s.secret) >= 16 THEN right(s.secret, 4) ELSE '' END
    FROM postrider.webhook_secrets AS s
    WHERE s.destination_id = secret_hint.destination_id
    ORDER BY s.version DESC LIMIT 1
$$;
COMMENT ON FUNCTION postrider.secret_hint(integer) IS
    'The end of a destination''s newest secret, to recognise it by; null when it has none.';

CREATE FUNCTION postrider.set_secret(destination integer, new_secret text, overlap interval) RETURNS void
    LANGUAGE sql VOLATILE AS $$
    -- The one that is replaced signs for the whole overlap, also when its own date was earlier or is past.
    UPDATE postrider.webhook_secrets AS s SET expires_at = clock_timestamp() + overlap
    WHERE s.destination_id = destination
      AND (s.expires_at IS NULL OR s.expires_at > clock_timestamp() + overlap
           OR s.version = (SELECT max(n.version) FROM postrider.webhook_secrets AS n WHERE n.destination_id = destination));
    INSERT INTO postrider.webhook_secrets (destination_id, version, secret)
    SELECT destination, coalesce(max(version), 0) + 1, new_secret
    FROM postrider.webhook_secrets WHERE destination_id = destination
$$;
COMMENT ON FUNCTION postrider.set_secret(integer, text, interval) IS
    'Part of rotate_secret and of the views: adds a version; those before it sign for the overlap still.';

CREATE FUNCTION postrider.rotate_secret(
    endpoint uuid, new_secret text DEFAULT NULL, overlap interval DEFAULT interval '24 hours'
) RETURNS text LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    destination postrider.webhook_destinations;
BEGIN
    -- The lock makes two rotations at once take turns instead of colliding on the version.
    SELECT * INTO destination FROM postrider.webhook_destinations
    WHERE public_id = endpoint AND deleted_at IS NULL FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no endpoint %', endpoint USING ERRCODE = 'no_data_found';
    ELSIF overlap IS NULL OR overlap < interval '0' THEN
        RAISE EXCEPTION 'the overlap must not be negative' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    new_secret := coalesce(new_secret, postrider.new_secret(destination.profile));
    PERFORM postrider.set_secret(destination.id, new_secret, overlap);
    RETURN new_secret;
END
$$;
COMMENT ON FUNCTION postrider.rotate_secret(uuid, text, interval) IS
    'Gives an endpoint a new secret, generated when null, and returns it. The old ones sign beside it for the overlap (24 hours by default).';

-- Destinations: checks ------------------------------------------------------------------------------------------------

-- The table's constraints refuse the same things; this says which, and what to do. They hold for whole rows, so it does not
-- matter here what the row was before.
CREATE FUNCTION postrider.check_destination(d postrider.webhook_destinations, was postrider.webhook_destinations DEFAULT NULL)
    RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    part  text;
    value jsonb;
BEGIN
    IF coalesce(d.name, '') = '' THEN
        RAISE EXCEPTION 'an endpoint needs a name' USING ERRCODE = 'invalid_parameter_value', COLUMN = 'name';
    ELSIF d.url IS NULL OR d.url !~* '^https?://' THEN
        RAISE EXCEPTION 'the URL must begin with https:// (or http://): %', coalesce(quote_literal(d.url), 'it is null')
            USING ERRCODE = 'invalid_parameter_value', COLUMN = 'url';
    ELSIF d.url ~ '^[^/]*//[^/?#]*@' THEN
        RAISE EXCEPTION 'the URL must not hold a user name or password'
            USING ERRCODE = 'invalid_parameter_value', COLUMN = 'url', HINT = 'Use headers, for example {"Authorization": "Bearer …"}.';
    ELSIF d.url ~ '[[:cntrl:][:space:]]' THEN
        RAISE EXCEPTION 'the URL must not hold blanks or control characters'
            USING ERRCODE = 'invalid_parameter_value', COLUMN = 'url', HINT = 'Write a blank as %20.';
    ELSIF d.event_types IS NULL OR cardinality(d.event_types) = 0 THEN
        RAISE EXCEPTION 'an endpoint needs at least one event type'
            USING ERRCODE = 'invalid_parameter_value', COLUMN = 'event_types', HINT = 'ARRAY[''*''] subscribes to every event.';
    END IF;
    FOREACH part IN ARRAY d.event_types LOOP
        IF part IS NULL OR part !~ '^(\*|[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*(\.\*)?)$' OR length(part) > 128 THEN
            RAISE EXCEPTION 'not an event type or pattern: %', coalesce(quote_literal(part), 'null')
                USING ERRCODE = 'invalid_parameter_value', COLUMN = 'event_types',
                      HINT = 'Write a type such as lead.created, lead.* for every type below lead, or * for all.';
        END IF;
    END LOOP;
    IF jsonb_typeof(d.headers) <> 'object' THEN
        RAISE EXCEPTION 'headers must be a JSON object of names and strings'
            USING ERRCODE = 'invalid_parameter_value', COLUMN = 'headers', HINT = 'For example {"X-Team": "sales"}.';
    END IF;
    FOR part, value IN SELECT h.key, h.value FROM jsonb_each(d.headers) AS h LOOP
        IF part !~ '^[A-Za-z0-9!#$%&''*+.^_`|~-]+$' THEN
            RAISE EXCEPTION 'not a header name: %', quote_literal(part)
                USING ERRCODE = 'invalid_parameter_value', COLUMN = 'headers';
        ELSIF lower(part) IN ('host', 'content-length', 'transfer-encoding', 'connection') THEN
            RAISE EXCEPTION 'the header % is set by the sender itself', part
                USING ERRCODE = 'invalid_parameter_value', COLUMN = 'headers';
        ELSIF jsonb_typeof(value) <> 'string' OR (value #>> '{}') ~ '[\x01-\x08\x0a-\x1f\x7f]' THEN
            RAISE EXCEPTION 'the value of header % must be a string without line breaks', part
                USING ERRCODE = 'invalid_parameter_value', COLUMN = 'headers';
        END IF;
    END LOOP;
END
$$;
COMMENT ON FUNCTION postrider.check_destination(postrider.webhook_destinations, postrider.webhook_destinations) IS
    'Raises an error that names the fault when a destination is not valid. The second is the row of before, null for a new one: from 0008 on only what differs from it is judged.';

-- Destinations: the views ---------------------------------------------------------------------------------------------

CREATE VIEW postrider.webhook_endpoints WITH (security_invoker = true) AS
SELECT d.public_id AS id, d.user_id, d.organization_id, d.name, d.url, d.event_types AS events,
       postrider.secret_hint(d.id) AS secret, d.is_active,
       coalesce((SELECT sum(t.succeeded) FROM postrider.webhook_tallies AS t WHERE t.destination_id = d.id), 0)::bigint
           AS success_count,
       coalesce((SELECT sum(t.failed) FROM postrider.webhook_tallies AS t WHERE t.destination_id = d.id), 0)::bigint
           AS failure_count,
       d.inactive_reason, d.profile,
       (SELECT h.headers FROM postrider.webhook_destination_headers AS h WHERE h.destination_id = d.id) AS headers,
       d.max_attempts, d.base_delay_ms, d.delay_factor, d.max_delay_ms,
       d.jitter, d.delays_ms, d.timeout_ms, d.final_statuses, d.max_concurrency, d.keep_response_bytes, d.created_at,
       d.updated_at, d.id AS destination_id
FROM postrider.webhook_destinations AS d
WHERE d.kind = 'endpoint' AND d.deleted_at IS NULL;
COMMENT ON VIEW postrider.webhook_endpoints IS
    'Webhook endpoints. INSERT, UPDATE and DELETE work; RETURNING secret of an INSERT shows the secret for the only time. In an UPDATE, DEFAULT or NULL brings a setting back to its default.';

CREATE VIEW postrider.n8n_workflows WITH (security_invoker = true) AS
SELECT d.public_id AS id, d.workflow_id, d.name, d.url AS webhook_url, d.event_types, d.is_active,
       coalesce((SELECT sum(t.succeeded) FROM postrider.webhook_tallies AS t WHERE t.destination_id = d.id), 0)::bigint
           AS success_count,
       coalesce((SELECT sum(t.failed) FROM postrider.webhook_tallies AS t WHERE t.destination_id = d.id), 0)::bigint
           AS failure_count,
       d.user_id, d.organization_id, postrider.secret_hint(d.id) AS secret,
       d.inactive_reason, d.profile,
       (SELECT h.headers FROM postrider.webhook_destination_headers AS h WHERE h.destination_id = d.id) AS headers,
       d.max_attempts, d.base_delay_ms, d.delay_factor, d.max_delay_ms,
       d.jitter, d.delays_ms, d.timeout_ms, d.final_statuses, d.max_concurrency, d.keep_response_bytes, d.created_at,
       d.updated_at, d.id AS destination_id
FROM postrider.webhook_destinations AS d
WHERE d.kind = 'n8n' AND d.deleted_at IS NULL;
COMMENT ON VIEW postrider.n8n_workflows IS
    'n8n workflows that receive events. INSERT, UPDATE and DELETE work. With profile n8n, the default, they have a secret only when one is given, since n8n checks none by itself; with another one it is generated.';

-- Both views say the same of the columns that they share.
DO $$
DECLARE
    view_name text;
    name      text;
    meaning   text;
BEGIN
    FOREACH view_name IN ARRAY ARRAY['webhook_endpoints', 'n8n_workflows'] LOOP
        FOR name, meaning IN VALUES
            ('id', 'The id that people and programs use. May be given in an INSERT, otherwise random.'),
            ('user_id', 'Only events of this person; null for all.'),
            ('organization_id', 'Only events of this organization; null for all.'),
            ('name', 'Name for people, 1 to 200 characters.'),
            ('secret', 'The end of the signing secret, to recognise it by. Written: the secret itself; in an UPDATE the old one stops signing at once (postrider.rotate_secret lets both sign for a while).'),
            ('is_active', 'False: its deliveries are parked and sent when it is active again.'),
            ('success_count', 'Attempts that delivered. Read-only.'),
            ('failure_count', 'Attempts that failed. Read-only.'),
            ('inactive_reason', 'Why it is inactive; null when active.'),
            ('profile', 'Wire format: standard, companion, agentes, crm, fenix, bird, github, stripe, n8n, supabase, hasura, or a row of webhook_profiles.'),
            ('headers', 'Extra request headers, a JSON object of names and strings.'),
            ('max_attempts', 'Attempts of one delivery in all, the first included; default 6.'),
            ('base_delay_ms', 'Wait before the second attempt, in milliseconds, never longer than max_delay_ms; default 30000.'),
            ('delay_factor', 'Each wait is the one before times this, 1 to 100; default 2.'),
            ('max_delay_ms', 'No wait is longer than this, in milliseconds; default 3600000.'),
            ('jitter', 'Random part of each wait, as a fraction of it; default 0.1.'),
            ('delays_ms', 'The waits themselves, in milliseconds; when given, base, factor and maximum do not count.'),
            ('timeout_ms', 'Longest time of one exchange, in milliseconds; default 30000.'),
            ('final_statuses', 'Statuses that are not retried: a comma list such as 400-407,410 or 4xx; empty for the default rule.'),
            ('max_concurrency', 'Requests in flight at once from one worker; default 64.'),
            ('keep_response_bytes', 'How much of an answer''s body is kept with the attempt; default 4096.'),
            ('created_at', 'When it was created.'),
            ('updated_at', 'When it was last changed. Read-only.'),
            ('destination_id', 'Short id in the tables of the road of an event. Read-only.')
        LOOP
            EXECUTE format('COMMENT ON COLUMN postrider.%I.%I IS %L', view_name, name, meaning);
        END LOOP;
    END LOOP;
END
$$;
COMMENT ON COLUMN postrider.webhook_endpoints.url IS 'https or http URL without user information.';
COMMENT ON COLUMN postrider.webhook_endpoints.events IS 'Patterns of event types: lead.created, lead.*, or *.';
COMMENT ON COLUMN postrider.n8n_workflows.workflow_id IS 'n8n''s own id of the workflow, for people.';
COMMENT ON COLUMN postrider.n8n_workflows.webhook_url IS 'The workflow''s production URL.';
COMMENT ON COLUMN postrider.n8n_workflows.event_types IS 'Patterns of event types: lead.created, lead.*, or *.';

-- Destinations: writing through the views -----------------------------------------------------------------------------

-- Rows travel as JSON under the table's column names, so that one set of functions serves both views and a column that
-- a statement left out (null here) keeps the table's own default. Nobody writes endpoints often enough to pay for it.
CREATE FUNCTION postrider.destination_row(view_row jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(jsonb_object_agg(
        CASE f.key WHEN 'id' THEN 'public_id' WHEN 'events' THEN 'event_types' WHEN 'webhook_url' THEN 'url'
                   WHEN 'destination_id' THEN 'id' ELSE f.key END, f.value), '{}')
    FROM jsonb_each(view_row) AS f
$$;
COMMENT ON FUNCTION postrider.destination_row(jsonb) IS
    'Part of the views'' triggers: a row of webhook_endpoints or n8n_workflows under the column names of webhook_destinations.';

CREATE FUNCTION postrider.refuse_read_only(fields text[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF cardinality(fields) > 0 THEN
        RAISE EXCEPTION 'column % is worked out by Postrider and cannot be written', fields[1]
            USING ERRCODE = 'generated_always', COLUMN = fields[1];
    END IF;
END
$$;
COMMENT ON FUNCTION postrider.refuse_read_only(text[]) IS 'Part of the views'' triggers: raises an error when the list is not empty.';

CREATE FUNCTION postrider.insert_destination() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    given    jsonb := postrider.destination_row(to_jsonb(NEW));
    fields   text[];
    made     postrider.webhook_destinations;
BEGIN
    PERFORM postrider.refuse_read_only(ARRAY(
        SELECT f FROM unnest(ARRAY['success_count', 'failure_count', 'updated_at', 'id']) AS f
        WHERE jsonb_typeof(given -> f) <> 'null'));
    given := given || jsonb_build_object('kind', TG_ARGV[0],
        'profile', coalesce(NEW.profile, CASE TG_ARGV[0] WHEN 'n8n' THEN 'n8n' ELSE 'standard' END));
    IF NEW.is_active IS FALSE AND NEW.inactive_reason IS NULL THEN
        given := given || '{"inactive_reason": "disabled by hand"}';
    END IF;
    PERFORM postrider.check_destination(
        jsonb_populate_record(NULL::postrider.webhook_destinations, given));
    fields := ARRAY(SELECT f.key FROM jsonb_each(given) AS f
                    WHERE f.key <> 'secret' AND jsonb_typeof(f.value) <> 'null' ORDER BY f.key);
    EXECUTE format('INSERT INTO postrider.webhook_destinations (%1$s)
                    SELECT %1$s FROM jsonb_populate_record(NULL::postrider.webhook_destinations, $1) RETURNING *',
                   (SELECT string_agg(quote_ident(f), ', ') FROM unnest(fields) AS f)) INTO made USING given;
    IF NEW.secret IS NULL AND made.profile <> 'n8n' THEN
        NEW.secret := postrider.new_secret(made.profile);
    END IF;
    IF NEW.secret IS NOT NULL THEN
        INSERT INTO postrider.webhook_secrets (destination_id, version, secret) VALUES (made.id, 1, NEW.secret);
    END IF;
    RETURN postrider.view_row(NEW, made, NEW.secret);
END
$$;
COMMENT ON FUNCTION postrider.insert_destination() IS
    'Trigger of webhook_endpoints and n8n_workflows: creates a destination, and its secret when none is given (profile n8n gets none).';

-- What RETURNING shows: the row as stored, not as the statement wrote it.
CREATE FUNCTION postrider.view_row(shape anyelement, d postrider.webhook_destinations, shown_secret text)
    RETURNS anyelement LANGUAGE sql STABLE AS $$
    SELECT jsonb_populate_record(shape, to_jsonb(d) || jsonb_build_object(
        'id', d.public_id, 'events', d.event_types, 'webhook_url', d.url, 'destination_id', d.id,
        'secret', shown_secret,
        'success_count', (SELECT coalesce(sum(t.succeeded), 0) FROM postrider.webhook_tallies AS t
                          WHERE t.destination_id = d.id),
        'failure_count', (SELECT coalesce(sum(t.failed), 0) FROM postrider.webhook_tallies AS t
                          WHERE t.destination_id = d.id)))
$$;
COMMENT ON FUNCTION postrider.view_row(anyelement, postrider.webhook_destinations, text) IS
    'Part of the views'' triggers: a stored destination as a row of the view, for RETURNING.';

CREATE FUNCTION postrider.update_destination() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    before       jsonb := postrider.destination_row(to_jsonb(OLD));
    after        jsonb := postrider.destination_row(to_jsonb(NEW));
    changed      text[] := ARRAY(SELECT f.key FROM jsonb_each(after) AS f
                                 WHERE f.value IS DISTINCT FROM before -> f.key ORDER BY f.key);
    new_secret   text;
    is_now       jsonb;
    was          postrider.webhook_destinations;
    stored       postrider.webhook_destinations;
BEGIN
    -- The statement has worked out NEW from what it saw when it began; others may have written since. What they changed and it
    -- does not is kept, and what both change would be theirs no more.
    SELECT d.* INTO was FROM postrider.webhook_destinations AS d
    WHERE d.id = OLD.destination_id AND d.deleted_at IS NULL FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    EXECUTE format('SELECT postrider.destination_row(to_jsonb(v)) FROM postrider.%I AS v WHERE v.destination_id = $1', TG_TABLE_NAME)
        INTO is_now USING OLD.destination_id;
    IF EXISTS (SELECT FROM unnest(changed) AS f
               WHERE is_now -> f IS DISTINCT FROM before -> f AND is_now -> f IS DISTINCT FROM after -> f) THEN
        RAISE EXCEPTION '% was changed by somebody else at the same time', OLD.name
            USING ERRCODE = 'serialization_failure', HINT = 'Look at it as it is now, and repeat the change.';
    END IF;
    PERFORM postrider.refuse_read_only(ARRAY(
        SELECT f FROM unnest(ARRAY['success_count', 'failure_count', 'created_at', 'updated_at', 'public_id', 'id']) AS f
        WHERE f = ANY (changed)));
    IF 'is_active' = ANY (changed) AND NOT 'inactive_reason' = ANY (changed) THEN
        after := after || jsonb_build_object('inactive_reason',
            CASE WHEN NOT coalesce(NEW.is_active, true) THEN 'disabled by hand' END);
        changed := changed || 'inactive_reason'::text;
    END IF;
    IF NEW.profile IS NULL THEN
        -- As when it is made; the table knows one default for both kinds.
        after := after || jsonb_build_object('profile', CASE TG_ARGV[0] WHEN 'n8n' THEN 'n8n' ELSE 'standard' END);
    END IF;
    EXECUTE format('UPDATE postrider.webhook_destinations AS d SET %s updated_at = clock_timestamp()
                    FROM jsonb_populate_record(NULL::postrider.webhook_destinations, $1) AS r
                    WHERE d.id = $2 AND d.deleted_at IS NULL RETURNING d.*',
                   (SELECT string_agg(format(CASE WHEN jsonb_typeof(after -> f) = 'null' THEN '%1$I = DEFAULT, '
                                                  ELSE '%1$I = r.%1$I, ' END, f), '')
                    FROM unnest(changed) AS f WHERE f <> 'secret'))
        INTO stored USING after, OLD.destination_id;
    PERFORM postrider.check_destination(stored, was);
    IF 'secret' = ANY (changed) THEN
        new_secret := coalesce(NEW.secret, postrider.new_secret(stored.profile));
        PERFORM postrider.set_secret(stored.id, new_secret, interval '0');
    END IF;
    RETURN postrider.view_row(NEW, stored, coalesce(new_secret, OLD.secret));
END
$$;
COMMENT ON FUNCTION postrider.update_destination() IS
    'Trigger of webhook_endpoints and n8n_workflows: changes settings; writing secret adds a version and ends the old one, NULL generates it.';

-- What waits for it is dropped by the trigger of the table: deleting it was somebody's decision.
CREATE FUNCTION postrider.delete_destination() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE postrider.webhook_destinations
    SET deleted_at = clock_timestamp(), updated_at = clock_timestamp(), is_active = false, inactive_reason = 'deleted'
    WHERE id = OLD.destination_id AND deleted_at IS NULL;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    DELETE FROM postrider.webhook_secrets WHERE destination_id = OLD.destination_id;
    RETURN OLD;
END
$$;
COMMENT ON FUNCTION postrider.delete_destination() IS
    'Trigger of webhook_endpoints and n8n_workflows: marks it deleted and removes its secrets; the deliveries that wait for it are dropped.';

CREATE TRIGGER insert_endpoint INSTEAD OF INSERT ON postrider.webhook_endpoints
    FOR EACH ROW EXECUTE FUNCTION postrider.insert_destination('endpoint');
CREATE TRIGGER update_endpoint INSTEAD OF UPDATE ON postrider.webhook_endpoints
    FOR EACH ROW EXECUTE FUNCTION postrider.update_destination('endpoint');
CREATE TRIGGER delete_endpoint INSTEAD OF DELETE ON postrider.webhook_endpoints
    FOR EACH ROW EXECUTE FUNCTION postrider.delete_destination();
CREATE TRIGGER insert_workflow INSTEAD OF INSERT ON postrider.n8n_workflows
    FOR EACH ROW EXECUTE FUNCTION postrider.insert_destination('n8n');
CREATE TRIGGER update_workflow INSTEAD OF UPDATE ON postrider.n8n_workflows
    FOR EACH ROW EXECUTE FUNCTION postrider.update_destination('n8n');
CREATE TRIGGER delete_workflow INSTEAD OF DELETE ON postrider.n8n_workflows
    FOR EACH ROW EXECUTE FUNCTION postrider.delete_destination();

-- Summaries -----------------------------------------------------------------------------------------------------------

CREATE VIEW postrider.webhook_queue_status WITH (security_invoker = true) AS
SELECT q.waiting, q.waiting_high, q.waiting_normal, q.waiting_low,
       postrider.event_id_time(q.oldest) AS oldest_waiting_at,
       clock_timestamp() - postrider.event_id_time(q.oldest) AS oldest_waiting_age,
       c.claims, c.events AS in_flight, c.oldest_at AS oldest_claim_at,
       r.due AS retries_due, r.later AS retries_later, r.parked AS retries_parked, r.next_at AS next_retry_at,
       l.dead AS dead_letters, l.critical AS critical_dead_letters,
       (SELECT count(*) FROM postrider.webhook_workers
        WHERE alive AND lease_until >= statement_timestamp()) AS workers_alive,
       r.in_order AS retries_in_order
FROM (SELECT coalesce(sum(1 + coalesce(cardinality(more), 0)), 0) AS waiting,
             coalesce(sum(1 + coalesce(cardinality(more), 0)) FILTER (WHERE priority = 0), 0) AS waiting_high,
             coalesce(sum(1 + coalesce(cardinality(more), 0)) FILTER (WHERE priority = 1), 0) AS waiting_normal,
             coalesce(sum(1 + coalesce(cardinality(more), 0)) FILTER (WHERE priority = 2), 0) AS waiting_low,
             least((SELECT id FROM postrider.webhook_queue WHERE priority = 0 ORDER BY id LIMIT 1),
                   (SELECT id FROM postrider.webhook_queue WHERE priority = 1 ORDER BY id LIMIT 1),
                   (SELECT id FROM postrider.webhook_queue WHERE priority = 2 ORDER BY id LIMIT 1)) AS oldest
      FROM postrider.webhook_queue) AS q,
     (SELECT count(*) AS claims, coalesce(sum(cardinality(event_ids)), 0) AS events, min(claimed_at) AS oldest_at
      FROM postrider.webhook_claims) AS c,
     (SELECT count(*) FILTER (WHERE due_at <= clock_timestamp()) AS due,
             count(*) FILTER (WHERE due_at > clock_timestamp() AND due_at < 'infinity') AS later,
             count(*) FILTER (WHERE due_at = 'infinity' AND ordering_key IS NULL) AS parked,
             count(ordering_key) AS in_order, nullif(min(due_at), 'infinity') AS next_at
      FROM postrider.webhook_retries) AS r,
     (SELECT count(*) AS dead, count(*) FILTER (WHERE is_critical) AS critical
      FROM postrider.webhook_dead_letters WHERE archived_at IS NULL) AS l;
COMMENT ON VIEW postrider.webhook_queue_status IS 'One row: what waits, what is in flight, what is due, what is dead. Reads the queue, the claims and the retries whole.';
COMMENT ON COLUMN postrider.webhook_queue_status.waiting IS 'Events that wait for their first fan-out.';
COMMENT ON COLUMN postrider.webhook_queue_status.waiting_high IS 'Of these, priority 0.';
COMMENT ON COLUMN postrider.webhook_queue_status.waiting_normal IS 'Of these, priority 1.';
COMMENT ON COLUMN postrider.webhook_queue_status.waiting_low IS 'Of these, priority 2.';
COMMENT ON COLUMN postrider.webhook_queue_status.oldest_waiting_at IS 'When the oldest waiting event was inserted; null when none waits.';
COMMENT ON COLUMN postrider.webhook_queue_status.oldest_waiting_age IS 'How long it has waited.';
COMMENT ON COLUMN postrider.webhook_queue_status.claims IS 'Batches that workers hold.';
COMMENT ON COLUMN postrider.webhook_queue_status.in_flight IS 'Events (or deliveries, of retries) in these batches.';
COMMENT ON COLUMN postrider.webhook_queue_status.oldest_claim_at IS 'When the oldest of these batches was taken.';
COMMENT ON COLUMN postrider.webhook_queue_status.retries_due IS 'Deliveries whose next attempt is due now.';
COMMENT ON COLUMN postrider.webhook_queue_status.retries_later IS 'Deliveries whose next attempt is due later.';
COMMENT ON COLUMN postrider.webhook_queue_status.retries_parked IS 'Deliveries that wait until their destination is active again.';
COMMENT ON COLUMN postrider.webhook_queue_status.next_retry_at IS 'The earliest due time of all; null when there is none.';
COMMENT ON COLUMN postrider.webhook_queue_status.dead_letters IS 'Deliveries that will not be tried again by themselves; archived ones are not counted.';
COMMENT ON COLUMN postrider.webhook_queue_status.critical_dead_letters IS 'Of these, the critical ones.';
COMMENT ON COLUMN postrider.webhook_queue_status.workers_alive IS 'Workers whose lease holds.';
COMMENT ON COLUMN postrider.webhook_queue_status.retries_in_order IS 'Deliveries that wait behind an earlier event of their ordering key.';

CREATE VIEW postrider.webhook_destination_status WITH (security_invoker = true) AS
SELECT d.public_id AS id, d.kind, d.name, d.is_active, d.inactive_reason,
       coalesce(t.succeeded, 0)::bigint AS success_count, coalesce(t.failed, 0)::bigint AS failure_count,
       coalesce(r.due, 0) AS retries_due, coalesce(r.later, 0) AS retries_later, coalesce(r.parked, 0) AS retries_parked, r.next_at AS next_retry_at,
       coalesce(l.dead, 0) AS dead_letters, l.last_dead_at, d.id AS destination_id
FROM postrider.webhook_destinations AS d
LEFT JOIN (SELECT destination_id, sum(succeeded) AS succeeded, sum(failed) AS failed
           FROM postrider.webhook_tallies GROUP BY destination_id) AS t ON t.destination_id = d.id
LEFT JOIN (SELECT destination_id, count(*) FILTER (WHERE due_at <= clock_timestamp()) AS due,
                  count(*) FILTER (WHERE due_at > clock_timestamp() AND due_at < 'infinity') AS later,
                  count(*) FILTER (WHERE due_at = 'infinity' AND ordering_key IS NULL) AS parked, nullif(min(due_at), 'infinity') AS next_at
           FROM postrider.webhook_retries GROUP BY destination_id) AS r ON r.destination_id = d.id
LEFT JOIN (SELECT destination_id, count(*) AS dead, max(dead_at) AS last_dead_at
           FROM postrider.webhook_dead_letters WHERE archived_at IS NULL GROUP BY destination_id) AS l ON l.destination_id = d.id
WHERE d.deleted_at IS NULL;
COMMENT ON VIEW postrider.webhook_destination_status IS 'One row for each endpoint and n8n workflow: its counts and what waits for it.';
COMMENT ON COLUMN postrider.webhook_destination_status.id IS 'The id that people and programs use.';
COMMENT ON COLUMN postrider.webhook_destination_status.kind IS 'endpoint or n8n.';
COMMENT ON COLUMN postrider.webhook_destination_status.name IS 'Name for people.';
COMMENT ON COLUMN postrider.webhook_destination_status.is_active IS 'False when its deliveries are parked.';
COMMENT ON COLUMN postrider.webhook_destination_status.inactive_reason IS 'Why it is inactive; null when active.';
COMMENT ON COLUMN postrider.webhook_destination_status.success_count IS 'Attempts that delivered.';
COMMENT ON COLUMN postrider.webhook_destination_status.failure_count IS 'Attempts that failed.';
COMMENT ON COLUMN postrider.webhook_destination_status.retries_due IS 'Deliveries due now.';
COMMENT ON COLUMN postrider.webhook_destination_status.retries_later IS 'Deliveries due later.';
COMMENT ON COLUMN postrider.webhook_destination_status.retries_parked IS 'Deliveries that wait until it is active again.';
COMMENT ON COLUMN postrider.webhook_destination_status.next_retry_at IS 'Earliest due time; null when nothing waits.';
COMMENT ON COLUMN postrider.webhook_destination_status.dead_letters IS 'Dead letters that are not archived.';
COMMENT ON COLUMN postrider.webhook_destination_status.last_dead_at IS 'When the latest dead letter was made; null when none.';
COMMENT ON COLUMN postrider.webhook_destination_status.destination_id IS 'Short id in the tables of the road of an event.';

INSERT INTO postrider.webhook_migrations (version, name) VALUES (2, 'views');
