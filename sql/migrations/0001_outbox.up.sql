-- Postrider 0001: the outbox. Events, the queue, workers, claims, attempts, retries, dead letters, destinations.
--
-- How it is laid out, and why:
-- * Events and attempts are written once and never updated; both are partitioned by the same ranges of the event id,
--   so retention drops partitions instead of deleting rows.
-- * The event id is a UUIDv7: it begins with the time of the insert, so one key serves as the public identifier, as the
--   order of the queue and as the partition key, and its index grows at the right edge only.
-- * webhook_queue is the only table that changes for every event. It is narrow: one row for a producing statement of one
--   event, one row for up to 64 events of a larger statement.
-- * No foreign keys on the road of an event: a key from attempts to events costs 6 to 8 microseconds an event and locks
--   rows of the event log. Destinations are referenced by a 4-byte id.
-- * The success path updates nothing. Only failures have a row in webhook_retries.

-- What producers write and receivers answer is UTF-8. To a database of another encoding a letter that it lacks is an error, and
-- with that all fails that is recorded in the same statement; SQL_ASCII takes bytes that are no letters, and no worker can
-- claim their event, nor what is claimed beside it.
DO $$
BEGIN
    IF current_setting('server_encoding') <> 'UTF8' THEN
        RAISE EXCEPTION 'the encoding of this database is %, and Postrider needs UTF8', current_setting('server_encoding')
            USING ERRCODE = 'feature_not_supported', HINT = 'CREATE DATABASE name ENCODING ''UTF8'' LOCALE ''C.UTF-8'' TEMPLATE template0;';
    END IF;
END
$$;

CREATE SCHEMA IF NOT EXISTS postrider;
COMMENT ON SCHEMA postrider IS
    'Postrider: transactional outbox for webhooks. Applications write events, workers deliver them.';

-- Every migration ends with its own line in this table, so that one applied with psql is known to the program.
CREATE TABLE postrider.webhook_migrations (
    version    integer     NOT NULL,
    name       text        NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT webhook_migrations_pkey PRIMARY KEY (version)
);
COMMENT ON TABLE postrider.webhook_migrations IS 'The migrations that were applied.';
COMMENT ON COLUMN postrider.webhook_migrations.version IS 'Number of the migration, from 1, without gaps.';
COMMENT ON COLUMN postrider.webhook_migrations.name IS 'Its name, as in the file name.';
COMMENT ON COLUMN postrider.webhook_migrations.applied_at IS 'When it was applied.';

-- Identifiers ---------------------------------------------------------------------------------------------------------

-- An id has 48 bits for its time, from 1970 to the year 10889. What lies outside gets the first or the last of them: cut to
-- 12 digits it would be a time in between, and "older than a hundred years" would be true of everything.
CREATE FUNCTION postrider.event_id_at(at timestamptz) RETURNS uuid
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT (lpad(to_hex(greatest(0, least(281474976710655, floor(extract(epoch FROM at) * 1000)))::bigint), 12, '0')
        || '70008000000000000000')::uuid
$$;
COMMENT ON FUNCTION postrider.event_id_at(timestamptz) IS
    'The smallest event id of that millisecond; of times before 1970 the first one. WHERE id >= postrider.event_id_at(now() - interval ''1 hour'') reads only that hour.';

CREATE FUNCTION postrider.event_id_time(id uuid) RETURNS timestamptz
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT to_timestamp((('x0000' || substr(replace(id::text, '-', ''), 1, 12))::bit(64)::bigint) / 1000.0)
$$;
COMMENT ON FUNCTION postrider.event_id_time(uuid) IS
    'The millisecond in which an event id was made. Meaningless for ids that Postrider did not make.';

-- UUIDv7 (RFC 9562, section 5.7, method 3): 48 bits of milliseconds, 12 bits of the fraction of one (1/4096, finer than the
-- clock's microsecond), 62 random bits. Ids of one session ascend, because writing a row takes longer than a microsecond.
-- The hexadecimal digits of the time in 1/4096 ms are those of the id, but for the version between them. One expression with
-- one look at the clock, so that the planner puts it into the statement: as a plpgsql function it cost 4.0 us a row, this
-- costs 1.5, of which gen_random_uuid() takes 0.8. Names are resolved when it is made (no string body): the caller's search_path decides nothing.
CREATE FUNCTION postrider.next_event_id() RETURNS uuid
    LANGUAGE sql VOLATILE PARALLEL SAFE RETURN
    (overlay('0' || to_hex((date_part('epoch', clock_timestamp()) * 4096000)::bigint) PLACING '7' FROM 13 FOR 0)
        || encode(substring(uuid_send(gen_random_uuid()) FROM 9), 'hex'))::uuid;
COMMENT ON FUNCTION postrider.next_event_id() IS 'A new event id (UUIDv7): ascending in time, unguessable in its last 62 bits.';

CREATE FUNCTION postrider.delivery_id(event_id uuid, destination_id integer) RETURNS uuid
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT encode(overlay(substr(uuid_send(event_id), 1, 8) || substr(d.digest, 1, 8)
        PLACING set_bit(set_bit(substr(d.digest, 1, 1), 7, 1), 6, 0) FROM 9 FOR 1), 'hex')::uuid
    FROM (SELECT sha256(uuid_send(event_id) || int4send(destination_id)) AS digest) AS d
$$;
COMMENT ON FUNCTION postrider.delivery_id(uuid, integer) IS
    'The id of a delivery: the first 8 bytes of the event id, then 8 bytes of a hash of event and destination. Never stored.';

-- Events --------------------------------------------------------------------------------------------------------------

-- Domains and not checks of the table, which Postgres parses anew for every statement: 7 of 30 us for an insert of one row
-- (measured). Nor does the error of a domain print the row.
CREATE DOMAIN postrider.event_id AS uuid CONSTRAINT id_is_uuid_version_7 CHECK (get_byte(uuid_send(VALUE), 6) >> 4 = 7);
COMMENT ON DOMAIN postrider.event_id IS 'A UUIDv7, which begins with the time of the insert.';
CREATE DOMAIN postrider.event_type AS text
    CONSTRAINT event_type_is_dotted_words CHECK (VALUE ~ '^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$' AND length(VALUE) <= 128);
COMMENT ON DOMAIN postrider.event_type IS 'Dotted words of letters, digits, _ and -, such as lead.created, at most 128 characters.';
CREATE DOMAIN postrider.event_priority AS smallint
    CONSTRAINT priority_is_0_high_1_normal_2_low CHECK (VALUE IN (0, 1, 2));
COMMENT ON DOMAIN postrider.event_priority IS '0 high, 1 normal, 2 low.';
-- Producers write the queue. A list of another shape than the trigger makes cannot be claimed, and is tried first by every
-- worker again: one row would stop all of them.
CREATE DOMAIN postrider.further_events AS uuid[]
    CONSTRAINT further_events_are_a_plain_list_of_63_at_most CHECK (
        array_ndims(VALUE) = 1 AND cardinality(VALUE) <= 63 AND array_position(VALUE, NULL) IS NULL);
COMMENT ON DOMAIN postrider.further_events IS 'Event ids, at most 63, none of them null.';

-- What is told of an event beside its payload is read along with each claim, hundreds of events at once: 4,096 characters are the
-- most. A length, because the planner applies it to constants and nulls itself; a domain of these six columns cost an insert of one
-- row 17,000 of 274,000 instructions (measured).
CREATE TABLE postrider.webhook_event_log (
    id              postrider.event_id       NOT NULL DEFAULT postrider.next_event_id(),
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    priority        postrider.event_priority NOT NULL DEFAULT 1,
    event_type      postrider.event_type     NOT NULL,
    event_source    varchar(4096)            NOT NULL DEFAULT 'manual',
    table_name      varchar(4096),
    record_id       varchar(4096),
    user_id         varchar(4096),
    organization_id varchar(4096),
    ordering_key    varchar(4096),
    data            jsonb       NOT NULL,
    CONSTRAINT webhook_event_log_pkey PRIMARY KEY (id)
) PARTITION BY RANGE (id);
-- Statistics are samples of the values, in a catalog that no erasure reaches and that seals nothing. No plan of a worker asks for these, and
-- those of the payload take ANALYZE twice as long. Here and below for whatever may name a person or hold a secret.
ALTER TABLE postrider.webhook_event_log ALTER COLUMN data SET STATISTICS 0, ALTER COLUMN user_id SET STATISTICS 0,
    ALTER COLUMN record_id SET STATISTICS 0, ALTER COLUMN ordering_key SET STATISTICS 0;
COMMENT ON TABLE postrider.webhook_event_log IS
    'Events as they were committed, immutable, partitioned by time of insert. Applications use the view webhook_events.';
COMMENT ON COLUMN postrider.webhook_event_log.id IS 'UUIDv7, made by next_event_id(); the webhook-id that receivers see. Leave it out when inserting.';
COMMENT ON COLUMN postrider.webhook_event_log.created_at IS 'When the row was inserted (not when its transaction committed), by the database''s clock.';
COMMENT ON COLUMN postrider.webhook_event_log.priority IS '0 high, 1 normal (default), 2 low: the order in which waiting events are claimed.';
COMMENT ON COLUMN postrider.webhook_event_log.event_type IS 'Dotted words, such as lead.created; what endpoints subscribe to.';
COMMENT ON COLUMN postrider.webhook_event_log.event_source IS 'Who wrote it: trigger (an attachment), api (emit), manual (a plain INSERT), or what the writer says.';
COMMENT ON COLUMN postrider.webhook_event_log.table_name IS 'Schema-qualified domain table whose change this is; null for emitted events.';
COMMENT ON COLUMN postrider.webhook_event_log.record_id IS 'Key of the domain row as text; null when unknown.';
COMMENT ON COLUMN postrider.webhook_event_log.user_id IS 'Person the event belongs to; null when none. Scopes endpoints that name a user.';
COMMENT ON COLUMN postrider.webhook_event_log.organization_id IS 'Organization the event belongs to; null when none. Scopes endpoints that name an organization.';
COMMENT ON COLUMN postrider.webhook_event_log.ordering_key IS 'Events of one key are delivered in order to destinations that ask for order; null for no order.';
COMMENT ON COLUMN postrider.webhook_event_log.data IS 'The payload, a JSON document. Envelopes carry it under "data".';

-- The queue -----------------------------------------------------------------------------------------------------------

-- Vacuum never truncates it: the lock for that would stall claims, and a queue fills again anyway. The fixed threshold
-- replaces the scale factor, which would wait for a fifth of the largest backlog.
CREATE TABLE postrider.webhook_queue (
    id       uuid     NOT NULL,
    priority smallint NOT NULL DEFAULT 1,
    more     postrider.further_events,
    CONSTRAINT webhook_queue_pkey PRIMARY KEY (priority, id)
) WITH (vacuum_truncate = off, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000,
        autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 20000);
COMMENT ON TABLE postrider.webhook_queue IS
    'Events that wait for their first fan-out. A row is deleted when it is claimed; what stands here is the backlog.';
COMMENT ON COLUMN postrider.webhook_queue.id IS 'The event, or the first of up to 64 events of one statement.';
COMMENT ON COLUMN postrider.webhook_queue.priority IS 'Priority of all events of the row: 0 high, 1 normal, 2 low.';
COMMENT ON COLUMN postrider.webhook_queue.more IS 'The other events of the row, at most 63, ascending; null when it is one event.';

-- Workers and claims --------------------------------------------------------------------------------------------------

CREATE TABLE postrider.webhook_workers (
    id           bigint      GENERATED ALWAYS AS IDENTITY,
    epoch        integer     NOT NULL DEFAULT 1,
    alive        boolean     NOT NULL DEFAULT true,
    started_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    heartbeat_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    lease_until  timestamptz NOT NULL DEFAULT clock_timestamp() + interval '1500 milliseconds',
    host         text        NOT NULL DEFAULT '',
    process_id   integer     NOT NULL DEFAULT 0,
    version      text        NOT NULL DEFAULT '',
    has_lock     boolean     NOT NULL DEFAULT false,
    requests           bigint NOT NULL DEFAULT 0,
    connections_opened bigint NOT NULL DEFAULT 0,
    connections_reused bigint NOT NULL DEFAULT 0,
    tls_handshakes     bigint NOT NULL DEFAULT 0,
    tls_resumed        bigint NOT NULL DEFAULT 0,
    CONSTRAINT webhook_workers_pkey PRIMARY KEY (id)
) WITH (fillfactor = 50);
COMMENT ON TABLE postrider.webhook_workers IS
    'One row for each start of a worker process; ids are never used again. The lease decides who is alive.';
COMMENT ON COLUMN postrider.webhook_workers.id IS 'Identity of one life of a worker, and the fence token of its claims.';
COMMENT ON COLUMN postrider.webhook_workers.epoch IS 'Raised by whoever declares the worker dead, so that only one takes over.';
COMMENT ON COLUMN postrider.webhook_workers.alive IS 'False once the worker said good-bye or was declared dead; never true again.';
COMMENT ON COLUMN postrider.webhook_workers.started_at IS 'When the process registered.';
COMMENT ON COLUMN postrider.webhook_workers.heartbeat_at IS 'Last heartbeat, by the database''s clock; one each 200 ms.';
COMMENT ON COLUMN postrider.webhook_workers.lease_until IS 'Until when the worker may change the state of its claims.';
COMMENT ON COLUMN postrider.webhook_workers.host IS 'Host name of the worker, for people.';
COMMENT ON COLUMN postrider.webhook_workers.process_id IS 'Process id on that host, for people.';
COMMENT ON COLUMN postrider.webhook_workers.version IS 'Version of the program.';
COMMENT ON COLUMN postrider.webhook_workers.has_lock IS
    'True when it holds the session advisory lock (7742, id): its absence then tells of a crash before the lease runs out.';
COMMENT ON COLUMN postrider.webhook_workers.requests IS
    'HTTP requests that ended, whatever their outcome. This and the next four count since started_at, as of the last heartbeat.';
COMMENT ON COLUMN postrider.webhook_workers.connections_opened IS 'Connections dialled to receivers and proxies.';
COMMENT ON COLUMN postrider.webhook_workers.connections_reused IS 'Requests that went over a connection already open.';
COMMENT ON COLUMN postrider.webhook_workers.tls_handshakes IS 'TLS handshakes that succeeded.';
COMMENT ON COLUMN postrider.webhook_workers.tls_resumed IS 'Those of them that resumed an earlier session, which costs both sides far less.';

-- Claims commit asynchronously, so a crash of Postgres may take the last of them, and with them what their sequence had given:
-- a worker that holds such a claim in memory would take another one of the same id for its own. So ids are of no sequence: 51 bits
-- of microseconds since 2026, which last until 2097, and 12 random ones.
CREATE TABLE postrider.webhook_claims (
    id              bigint      NOT NULL DEFAULT ((extract(epoch FROM clock_timestamp()) - 1767225600) * 1000000)::bigint << 12
                                                 | floor(random() * 4096)::bigint,
    worker_id       bigint      NOT NULL,
    claimed_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    event_ids       uuid[]      NOT NULL,
    destination_ids integer[],
    attempt_numbers smallint[],
    are_replays     boolean[],
    rescues         smallint    NOT NULL DEFAULT 0,
    CONSTRAINT webhook_claims_pkey PRIMARY KEY (id)
) WITH (fillfactor = 50, vacuum_truncate = off, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
COMMENT ON TABLE postrider.webhook_claims IS
    'One row for each batch that a worker took from the queue or from the retries; deleted when all of it is recorded.';
COMMENT ON COLUMN postrider.webhook_claims.id IS 'The claim; later ones have higher numbers, and none is given again.';
COMMENT ON COLUMN postrider.webhook_claims.worker_id IS 'Who holds it. Every change of state names this worker, so one that lost its claim changes nothing.';
COMMENT ON COLUMN postrider.webhook_claims.claimed_at IS 'When it was taken, or taken over.';
COMMENT ON COLUMN postrider.webhook_claims.event_ids IS 'Events of the batch.';
COMMENT ON COLUMN postrider.webhook_claims.destination_ids IS 'For retries: the destination of each event; null for first fan-outs, which go to every subscriber.';
COMMENT ON COLUMN postrider.webhook_claims.attempt_numbers IS 'For retries: the number of the attempt that is due for each event; null for first fan-outs.';
COMMENT ON COLUMN postrider.webhook_claims.are_replays IS 'For retries: whether an operator asked for each of them; null for first fan-outs.';
COMMENT ON COLUMN postrider.webhook_claims.rescues IS 'How many workers died holding it.';

-- A payload that is large as stored is left out of a claim and loaded by itself, so that a batch fits into memory. So is one
-- that was pressed together and is large: an array takes it as it is without that, and costs no printing. Most are neither.
CREATE FUNCTION postrider.claimed_payload(data jsonb) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE RETURN
    CASE WHEN pg_column_size(data) <= 16384
              AND (pg_column_compression(data) IS NULL OR pg_column_size(ARRAY[data]) <= 65536) THEN data::text END;
COMMENT ON FUNCTION postrider.claimed_payload(jsonb) IS
    'Part of claiming: a payload as text; null for one of more than 16 KiB as stored, or than 64 KiB before it was compressed.';

-- Attempts ------------------------------------------------------------------------------------------------------------

CREATE TABLE postrider.webhook_attempts (
    event_id       uuid        NOT NULL,
    attempted_at   timestamptz NOT NULL,
    worker_id      bigint      NOT NULL,
    destination_id integer     NOT NULL,
    duration_us    integer     NOT NULL,
    attempt_number smallint    NOT NULL,
    outcome        smallint    NOT NULL,
    status_code    smallint,
    failure        text,
    error_message  text,
    response_body  text,
    next_retry_at  timestamptz,
    CONSTRAINT outcome_is_known CHECK (outcome BETWEEN 0 AND 4)
) PARTITION BY RANGE (event_id);
-- A crash may write one attempt twice (both requests did happen), so this index is not unique.
CREATE INDEX webhook_attempts_delivery_idx ON postrider.webhook_attempts (event_id, destination_id);
-- What a publication by way of the root tells its subscribers; that of the weeks, for which Postgres asks here, is add_partition's.
ALTER TABLE postrider.webhook_attempts REPLICA IDENTITY FULL;
ALTER TABLE postrider.webhook_attempts ALTER COLUMN response_body SET STATISTICS 0, ALTER COLUMN error_message SET STATISTICS 0;
COMMENT ON TABLE postrider.webhook_attempts IS
    'One row for each HTTP request that was made, or that a transform dropped or failed to make; append-only, partitioned like the events.';
COMMENT ON COLUMN postrider.webhook_attempts.event_id IS 'The event.';
COMMENT ON COLUMN postrider.webhook_attempts.attempted_at IS 'When its outcome was known, by the database''s clock at recording less the time waited.';
COMMENT ON COLUMN postrider.webhook_attempts.worker_id IS 'The worker that made the request.';
COMMENT ON COLUMN postrider.webhook_attempts.destination_id IS 'The destination, webhook_destinations.id.';
COMMENT ON COLUMN postrider.webhook_attempts.duration_us IS 'From the start of the exchange to its end, in microseconds.';
COMMENT ON COLUMN postrider.webhook_attempts.attempt_number IS '1 for the first attempt of a delivery.';
COMMENT ON COLUMN postrider.webhook_attempts.outcome IS '0 delivered, 1 failed and will be retried, 2 failed and is a dead letter, 3 made after the claim was lost and changed nothing, 4 not sent, and nothing more: the destination''s transform gave null, the payload was erased, or the destination is of another organization or user now.';
COMMENT ON COLUMN postrider.webhook_attempts.status_code IS 'HTTP status; null when there was no answer.';
COMMENT ON COLUMN postrider.webhook_attempts.failure IS 'Class of the failure: timeout, connect, tls, dns, server_error, …; null when delivered.';
COMMENT ON COLUMN postrider.webhook_attempts.error_message IS 'One line for people about the failure; never holds a secret; null when delivered.';
COMMENT ON COLUMN postrider.webhook_attempts.response_body IS 'The beginning of the answer, as text; null when empty or not kept.';
COMMENT ON COLUMN postrider.webhook_attempts.next_retry_at IS 'When the next attempt was scheduled for; null when there is none.';

-- Retries and dead letters ----------------------------------------------------------------------------------------------

CREATE TABLE postrider.webhook_retries (
    event_id       uuid        NOT NULL,
    due_at         timestamptz NOT NULL,
    destination_id integer     NOT NULL,
    attempt_number smallint    NOT NULL,
    is_replay      boolean     NOT NULL DEFAULT false,
    ordering_key   text,
    CONSTRAINT webhook_retries_pkey PRIMARY KEY (event_id, destination_id)
) WITH (vacuum_truncate = off, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
CREATE INDEX webhook_retries_due_idx ON postrider.webhook_retries (destination_id, due_at);
COMMENT ON TABLE postrider.webhook_retries IS
    'Deliveries that will be attempted at due_at: failed ones that are tried again, and replays. Deleted when claimed.';
COMMENT ON COLUMN postrider.webhook_retries.event_id IS 'The event.';
COMMENT ON COLUMN postrider.webhook_retries.due_at IS 'Not before this time, by the database''s clock; infinity: parked until the destination is active again, or until its turn has come.';
COMMENT ON COLUMN postrider.webhook_retries.destination_id IS 'The destination.';
COMMENT ON COLUMN postrider.webhook_retries.attempt_number IS 'Number of the attempt that is due.';
COMMENT ON COLUMN postrider.webhook_retries.is_replay IS 'True when an operator asked for it.';
COMMENT ON COLUMN postrider.webhook_retries.ordering_key IS 'The key behind an earlier event of which it waits, of a destination with strict order; due_at is infinity until its turn. Null otherwise.';

CREATE TABLE postrider.webhook_dead_letters (
    event_id       uuid        NOT NULL,
    dead_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    destination_id integer     NOT NULL,
    attempts       smallint    NOT NULL,
    failure        text,
    error_message  text,
    is_critical    boolean     NOT NULL DEFAULT false,
    replays        smallint    NOT NULL DEFAULT 0,
    archived_at    timestamptz,
    CONSTRAINT webhook_dead_letters_pkey PRIMARY KEY (event_id, destination_id)
);
CREATE INDEX webhook_dead_letters_destination_idx ON postrider.webhook_dead_letters (destination_id, dead_at);
ALTER TABLE postrider.webhook_dead_letters ALTER COLUMN error_message SET STATISTICS 0;
COMMENT ON TABLE postrider.webhook_dead_letters IS
    'Deliveries that will not be tried again by themselves. A replay takes the row away.';
COMMENT ON COLUMN postrider.webhook_dead_letters.event_id IS 'The event.';
COMMENT ON COLUMN postrider.webhook_dead_letters.dead_at IS 'When the last attempt was recorded.';
COMMENT ON COLUMN postrider.webhook_dead_letters.destination_id IS 'The destination.';
COMMENT ON COLUMN postrider.webhook_dead_letters.attempts IS 'Attempts that were made.';
COMMENT ON COLUMN postrider.webhook_dead_letters.failure IS 'Class of the last failure.';
COMMENT ON COLUMN postrider.webhook_dead_letters.error_message IS 'One line for people about the last failure.';
COMMENT ON COLUMN postrider.webhook_dead_letters.is_critical IS 'Somebody should look soon: the event''s priority is high, or its destination has the option critical.';
COMMENT ON COLUMN postrider.webhook_dead_letters.replays IS 'How often it was sent again and died again.';
COMMENT ON COLUMN postrider.webhook_dead_letters.archived_at IS 'Since when nothing is to be done about it any more; null while somebody should decide. Not counted, and no reason to keep the event.';

-- Destinations ----------------------------------------------------------------------------------------------------------

CREATE TABLE postrider.webhook_destinations (
    id                  integer     GENERATED ALWAYS AS IDENTITY,
    public_id           uuid        NOT NULL DEFAULT gen_random_uuid(),
    kind                text        NOT NULL,
    name                text        NOT NULL,
    url                 text        NOT NULL,
    event_types         text[]      NOT NULL,
    profile             text        NOT NULL DEFAULT 'standard',
    organization_id     text,
    user_id             text,
    workflow_id         text,
    is_active           boolean     NOT NULL DEFAULT true,
    inactive_reason     text,
    headers             jsonb       NOT NULL DEFAULT '{}',
    max_attempts        integer     NOT NULL DEFAULT 6,
    base_delay_ms       bigint      NOT NULL DEFAULT 30000,
    delay_factor        float8      NOT NULL DEFAULT 2,
    max_delay_ms        bigint      NOT NULL DEFAULT 3600000,
    jitter              float8      NOT NULL DEFAULT 0.1,
    delays_ms           bigint[],
    timeout_ms          integer     NOT NULL DEFAULT 30000,
    final_statuses      text        NOT NULL DEFAULT '',
    max_concurrency     integer     NOT NULL DEFAULT 64,
    keep_response_bytes integer     NOT NULL DEFAULT 4096,
    options             jsonb       NOT NULL DEFAULT '{}',
    created_at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    deleted_at          timestamptz,
    CONSTRAINT webhook_destinations_pkey PRIMARY KEY (id),
    CONSTRAINT webhook_destinations_public_id_key UNIQUE (public_id),
    CONSTRAINT kind_is_endpoint_or_n8n CHECK (kind IN ('endpoint', 'n8n')),
    CONSTRAINT name_is_not_empty CHECK (name <> '' AND length(name) <= 200),
    CONSTRAINT url_is_http CHECK (url ~* '^https?://[^[:cntrl:][:space:]@%/?#]+([/?#][^[:cntrl:][:space:]]*)?$' AND length(url) <= 2048),
    CONSTRAINT event_types_are_patterns CHECK (cardinality(event_types) > 0 AND array_position(event_types, NULL) IS NULL),
    CONSTRAINT options_are_an_object CHECK (jsonb_typeof(options) = 'object'),
    CONSTRAINT headers_are_an_object CHECK (jsonb_typeof(headers) = 'object'),
    CONSTRAINT attempts_are_1_to_1000 CHECK (max_attempts BETWEEN 1 AND 1000),
    CONSTRAINT delays_are_not_negative CHECK (base_delay_ms >= 0 AND max_delay_ms >= 0 AND delay_factor >= 1 AND 0 <= ALL (delays_ms)),
    CONSTRAINT jitter_is_a_fraction CHECK (jitter BETWEEN 0 AND 1),
    CONSTRAINT timeout_is_up_to_10_minutes CHECK (timeout_ms BETWEEN 1 AND 600000),
    CONSTRAINT concurrency_is_1_to_10000 CHECK (max_concurrency BETWEEN 1 AND 10000),
    CONSTRAINT kept_response_is_up_to_64_kib CHECK (keep_response_bytes BETWEEN 0 AND 65536)
);
ALTER TABLE postrider.webhook_destinations ALTER COLUMN headers SET STATISTICS 0, ALTER COLUMN user_id SET STATISTICS 0,
    ALTER COLUMN url SET STATISTICS 0;
COMMENT ON TABLE postrider.webhook_destinations IS
    'Where events go: webhook endpoints and n8n workflows. People use the views webhook_endpoints and n8n_workflows.';
COMMENT ON COLUMN postrider.webhook_destinations.id IS 'Short id used by the tables of the road of an event; never used again.';
COMMENT ON COLUMN postrider.webhook_destinations.public_id IS 'The id that people and programs see.';
COMMENT ON COLUMN postrider.webhook_destinations.kind IS 'endpoint or n8n.';
COMMENT ON COLUMN postrider.webhook_destinations.name IS 'Name for people, 1 to 200 characters.';
COMMENT ON COLUMN postrider.webhook_destinations.url IS 'http or https URL without user information; plain http is sent to only when the worker allows it.';
COMMENT ON COLUMN postrider.webhook_destinations.event_types IS 'Patterns: an exact type, message.* for every type below message, * for all.';
COMMENT ON COLUMN postrider.webhook_destinations.profile IS 'Wire format: standard, companion, agentes, crm, fenix, bird, github, stripe, n8n, supabase, hasura, or a row of webhook_profiles.';
COMMENT ON COLUMN postrider.webhook_destinations.organization_id IS 'Only events of this organization; null for all.';
COMMENT ON COLUMN postrider.webhook_destinations.user_id IS 'Only events of this user; null for all.';
COMMENT ON COLUMN postrider.webhook_destinations.workflow_id IS 'n8n''s own id of the workflow, for people; null for endpoints.';
COMMENT ON COLUMN postrider.webhook_destinations.is_active IS 'False: its deliveries are parked as retries and sent when it is active again.';
COMMENT ON COLUMN postrider.webhook_destinations.inactive_reason IS 'Why it is inactive: disabled by hand, gone (410), …; null when active.';
COMMENT ON COLUMN postrider.webhook_destinations.headers IS 'Extra request headers, a JSON object of names and strings.';
COMMENT ON COLUMN postrider.webhook_destinations.max_attempts IS 'Attempts of one delivery in all, the first included; default 6.';
COMMENT ON COLUMN postrider.webhook_destinations.base_delay_ms IS 'Wait before the second attempt, in milliseconds, never longer than max_delay_ms; default 30000.';
COMMENT ON COLUMN postrider.webhook_destinations.delay_factor IS 'Each wait is the one before times this, 1 to 100; default 2.';
COMMENT ON COLUMN postrider.webhook_destinations.max_delay_ms IS 'No wait is longer than this, in milliseconds; default 3600000.';
COMMENT ON COLUMN postrider.webhook_destinations.jitter IS 'Random part of each wait, as a fraction of it; default 0.1.';
COMMENT ON COLUMN postrider.webhook_destinations.delays_ms IS 'The waits themselves, in milliseconds; when given, base, factor and maximum do not count.';
COMMENT ON COLUMN postrider.webhook_destinations.timeout_ms IS 'Longest time of one exchange, in milliseconds; default 30000.';
COMMENT ON COLUMN postrider.webhook_destinations.final_statuses IS 'Statuses that are not retried: a comma list such as 400-407,410 or 4xx; empty for the default rule.';
COMMENT ON COLUMN postrider.webhook_destinations.max_concurrency IS 'Requests in flight at once from one worker; default 64.';
COMMENT ON COLUMN postrider.webhook_destinations.keep_response_bytes IS 'How much of an answer''s body is kept with the attempt; default 4096.';
COMMENT ON COLUMN postrider.webhook_destinations.options IS 'What only some destinations use, a JSON object: docs/options.md. Empty for nothing of it.';
COMMENT ON COLUMN postrider.webhook_destinations.created_at IS 'When it was created.';
COMMENT ON COLUMN postrider.webhook_destinations.updated_at IS 'When it was last changed.';
COMMENT ON COLUMN postrider.webhook_destinations.deleted_at IS 'When it was deleted; the row stays for the audit of its deliveries. Null when not deleted.';

CREATE TABLE postrider.webhook_secrets (
    destination_id integer     NOT NULL,
    version        integer     NOT NULL,
    secret         text        NOT NULL,
    created_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at     timestamptz,
    CONSTRAINT webhook_secrets_pkey PRIMARY KEY (destination_id, version),
    CONSTRAINT webhook_secrets_destination_fkey FOREIGN KEY (destination_id)
        REFERENCES postrider.webhook_destinations (id) ON DELETE CASCADE,
    CONSTRAINT secret_is_not_empty CHECK (secret <> ''),
    -- How long it is until infinity, which workers ask, is an error before Postgres 17 and no number since.
    CONSTRAINT expiry_is_a_date_or_null CHECK (isfinite(expires_at))
);
ALTER TABLE postrider.webhook_secrets ALTER COLUMN secret SET STATISTICS 0;
COMMENT ON TABLE postrider.webhook_secrets IS 'Signing secrets. The newest signs whatever its date says; older ones sign beside it until they expire.';
COMMENT ON COLUMN postrider.webhook_secrets.destination_id IS 'The destination.';
COMMENT ON COLUMN postrider.webhook_secrets.version IS '1 for the first; raised by each rotation.';
COMMENT ON COLUMN postrider.webhook_secrets.secret IS 'The secret. Only workers may read it.';
COMMENT ON COLUMN postrider.webhook_secrets.created_at IS 'When it was made.';
COMMENT ON COLUMN postrider.webhook_secrets.expires_at IS 'Of the newest: by when it should be replaced, since it signs on after it. Of older ones: until when they sign. Null for never.';

-- Workers keep all destinations in memory and reload them when this number moves. A row, not a sequence: a sequence
-- would show the new number before the change that it announces is visible.
CREATE TABLE postrider.webhook_routing (
    version bigint  NOT NULL DEFAULT 1,
    one_row boolean NOT NULL DEFAULT true,
    CONSTRAINT webhook_routing_pkey PRIMARY KEY (one_row),
    CONSTRAINT there_is_one_row CHECK (one_row)
);
INSERT INTO postrider.webhook_routing DEFAULT VALUES;
COMMENT ON TABLE postrider.webhook_routing IS 'One row: the version of all destinations, raised by every change of them.';
COMMENT ON COLUMN postrider.webhook_routing.version IS 'Raised in the transaction of each change of destinations or secrets, by how much tells nothing.';
COMMENT ON COLUMN postrider.webhook_routing.one_row IS 'Always true: there is one row.';

CREATE FUNCTION postrider.webhook_routing_changed() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE postrider.webhook_routing SET version = version + 1;
    PERFORM pg_notify('postrider_routing', '');
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION postrider.webhook_routing_changed() IS 'Trigger: tells workers to load the destinations again.';
CREATE TRIGGER webhook_routing_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON postrider.webhook_destinations
    FOR EACH STATEMENT EXECUTE FUNCTION postrider.webhook_routing_changed();
CREATE TRIGGER webhook_routing_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON postrider.webhook_secrets
    FOR EACH STATEMENT EXECUTE FUNCTION postrider.webhook_routing_changed();

-- What was parked for a destination while it was inactive becomes due when it is active again; what waits for a
-- deleted one is given up.
CREATE FUNCTION postrider.webhook_destination_switched() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.deleted_at IS NOT NULL THEN
        DELETE FROM postrider.webhook_retries WHERE destination_id = NEW.id;
    ELSE
        UPDATE postrider.webhook_retries SET due_at = clock_timestamp()
        WHERE destination_id = NEW.id AND due_at = 'infinity' AND ordering_key IS NULL;
        PERFORM pg_notify('postrider_wake', 'retries');
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION postrider.webhook_destination_switched() IS
    'Trigger: releases parked deliveries of a destination that is active again, drops those of a deleted one.';
CREATE TRIGGER webhook_destination_switched AFTER UPDATE ON postrider.webhook_destinations
    FOR EACH ROW WHEN (NEW.is_active AND NOT OLD.is_active OR NEW.deleted_at IS NOT NULL AND OLD.deleted_at IS NULL)
    EXECUTE FUNCTION postrider.webhook_destination_switched();

-- Counts of each destination: written with the attempts, one row for each destination of a recorded batch, and folded
-- together by the workers. A counter row would be a hot row under every batch.
CREATE TABLE postrider.webhook_tallies (
    destination_id integer NOT NULL,
    succeeded      bigint  NOT NULL,
    failed         bigint  NOT NULL
) WITH (vacuum_truncate = off, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
CREATE INDEX webhook_tallies_destination_idx ON postrider.webhook_tallies (destination_id);
-- Without a primary key: a publication of all tables would have Postgres refuse every fold. With wal_level = logical, and only
-- then, the WAL holds the old row of each UPDATE and DELETE for it, published or not.
ALTER TABLE postrider.webhook_tallies REPLICA IDENTITY FULL;
COMMENT ON TABLE postrider.webhook_tallies IS 'Parts of the success and failure counts of destinations; their sum is the count.';
COMMENT ON COLUMN postrider.webhook_tallies.destination_id IS 'The destination.';
COMMENT ON COLUMN postrider.webhook_tallies.succeeded IS 'Attempts that delivered.';
COMMENT ON COLUMN postrider.webhook_tallies.failed IS 'Attempts that failed.';

-- The enqueue trigger and the doorbell ----------------------------------------------------------------------------------

-- Rings only when no worker is awake and one listens. An awake worker holds (7741, 1) in shared mode, one that listens
-- (7741, 2), so the exclusive probe of the first must succeed and that of the second must fail. A NOTIFY on every commit
-- takes a cluster-wide lock and costs three quarters of the commit rate: not to be paid while all workers are down.
-- Lock and unlock stand in one expression, so a transaction pooler cannot separate them.
CREATE FUNCTION postrider.doorbell_is_needed() RETURNS boolean
    LANGUAGE sql VOLATILE PARALLEL RESTRICTED RETURN
    CASE WHEN pg_try_advisory_lock(7741, 1) AND pg_advisory_unlock(7741, 1)
         THEN CASE WHEN pg_try_advisory_lock(7741, 2) THEN NOT pg_advisory_unlock(7741, 2) ELSE true END
         ELSE false END;
COMMENT ON FUNCTION postrider.doorbell_is_needed() IS
    'Do all workers sleep, and one listens, so that a commit should wake them? One expression, which the planner puts into the trigger: 0.3 microseconds.';

-- Runs as whoever inserts: changing to its owner cost a tenth of the producers' commit rate (measured). The organization is
-- checked here, and not by a policy of the table, because emit runs as its owner, whom no policy binds when it is a
-- superuser. What such a trigger returns is ignored; NEW, which is null here, is no expression that each transaction sets up anew.
CREATE FUNCTION postrider.webhook_enqueue() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- Conditions that are subqueries stand alone, where they are seldom reached: each is a statement of its own to plpgsql.
    IF pg_catalog.current_setting('postrider.organization_id', true) <> '' THEN
        IF EXISTS (SELECT FROM added
                   WHERE organization_id::text OPERATOR(pg_catalog.<>) pg_catalog.current_setting('postrider.organization_id')) THEN
            RAISE EXCEPTION 'this session speaks for organization % and cannot write events of another',
                pg_catalog.current_setting('postrider.organization_id')
                USING ERRCODE = 'insufficient_privilege', HINT = 'RESET postrider.organization_id;';
        END IF;
    END IF;
    -- A null of the domain as a constant: left out, each statement would set up and ask the domain's rule (7,100 instructions).
    INSERT INTO postrider.webhook_queue (id, priority, more)
    SELECT id, priority, ('{NULL}'::postrider.further_events[])[1] FROM added WHERE NOT EXISTS (SELECT FROM added OFFSET 1);
    IF NOT FOUND THEN
        -- Up to 64 events of one priority share a row: a statement of 10,000 rows makes 157 rows, not 10,000.
        INSERT INTO postrider.webhook_queue (id, priority, more)
        SELECT chunk.ids[1], chunk.priority, nullif(chunk.ids[2:], '{}')
        FROM (SELECT priority, array_agg(id ORDER BY id) AS ids
              FROM (SELECT id, priority, (row_number() OVER (PARTITION BY priority ORDER BY id) - 1) / 64 AS part
                    FROM added) AS numbered
              GROUP BY priority, part) AS chunk;
        IF NOT FOUND THEN
            RETURN NEW;
        END IF;
    END IF;
    IF postrider.doorbell_is_needed() THEN
        -- Postgres refuses to PREPARE a transaction that has notified: whoever wants to says so.
        IF pg_catalog.current_setting('postrider.doorbell', true) IS DISTINCT FROM 'off' THEN
            PERFORM pg_catalog.pg_notify('postrider_wake', '');
        END IF;
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION postrider.webhook_enqueue() IS 'Trigger: puts the events of one statement into the queue and rings the doorbell.';
CREATE TRIGGER webhook_enqueue AFTER INSERT ON postrider.webhook_event_log
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION postrider.webhook_enqueue();

-- Partitions --------------------------------------------------------------------------------------------------------------

-- Each partition holds one week. The first is open to the past and the last ("later") to the future, so that a producer
-- never fails for want of a partition, however long no worker has run. There is no DEFAULT partition, because that would
-- forbid DETACH … CONCURRENTLY.

-- An id far ahead, by a wrong clock or made up, would have "later" closed with all the weeks up to it, none of which
-- ever expires. Only that partition asks, which nobody writes to as long as workers run: the road of an event pays nothing.
-- When none ran for weeks the present itself lands there, and is not ahead. Runs as its owner, because not everybody who
-- inserts may call what it calls.
CREATE FUNCTION postrider.refuse_ids_ahead() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NEW.id >= postrider.event_id_at(clock_timestamp() + interval '1 day') THEN
        RAISE EXCEPTION 'the event id % names the time %, which is more than a day ahead', NEW.id, postrider.event_id_time(NEW.id)
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Event ids are UUIDv7 by a clock that is right. Leave id out, and the database makes one.';
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION postrider.refuse_ids_ahead() IS
    'Trigger on the open-ended last partition of the events: refuses ids that are more than a day ahead.';

CREATE FUNCTION postrider.add_partition(parent text, suffix text, lower_bound uuid, upper_bound uuid) RETURNS void
    LANGUAGE plpgsql AS $$
DECLARE
    column_name name;
BEGIN
    EXECUTE format('CREATE TABLE postrider.%I PARTITION OF postrider.%I FOR VALUES FROM (%s) TO (%s)',
        parent || '_' || suffix, parent,
        coalesce(quote_literal(lower_bound), 'MINVALUE'), coalesce(quote_literal(upper_bound), 'MAXVALUE'));
    -- Policies of the parent do not reach those who name the partition: without a policy of its own it shows them nothing,
    -- whatever default privileges gave them. Its owner is not bound, so upkeep goes on.
    EXECUTE format('ALTER TABLE postrider.%I ENABLE ROW LEVEL SECURITY', parent || '_' || suffix);
    -- A column of its row type in anybody's table would keep upkeep from folding it.
    EXECUTE format('REVOKE ALL ON TYPE postrider.%I FROM PUBLIC', parent || '_' || suffix);
    -- Nor do partitions inherit which columns have no statistics.
    FOR column_name IN SELECT c.attname FROM pg_catalog.pg_attribute AS c
                       WHERE c.attrelid = format('postrider.%I', parent)::regclass AND c.attnum > 0 AND c.attstattarget = 0 LOOP
        EXECUTE format('ALTER TABLE postrider.%I ALTER COLUMN %I SET STATISTICS 0', parent || '_' || suffix, column_name);
    END LOOP;
    -- Attempts have no primary key. In a publication of all tables Postgres would refuse to remove them, and to erase what a
    -- person's say; and partitions do not inherit this.
    IF parent = 'webhook_attempts' THEN
        EXECUTE format('ALTER TABLE postrider.%I REPLICA IDENTITY FULL', parent || '_' || suffix);
    END IF;
    IF parent = 'webhook_event_log' AND suffix = 'later' THEN
        CREATE TRIGGER refuse_ids_ahead BEFORE INSERT ON postrider.webhook_event_log_later
            FOR EACH ROW EXECUTE FUNCTION postrider.refuse_ids_ahead();
    END IF;
END
$$;
COMMENT ON FUNCTION postrider.add_partition(text, text, uuid, uuid) IS
    'Makes one partition of webhook_event_log or webhook_attempts; a null bound is open.';

CREATE FUNCTION postrider.week_start(week date) RETURNS uuid LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT postrider.event_id_at(week::timestamp AT TIME ZONE 'UTC')
$$;
COMMENT ON FUNCTION postrider.week_start(date) IS 'The smallest event id of a day, in UTC.';

-- Gives the first week that has no partition of its own yet, after taking the open-ended partition "later" away. Its
-- rows, if the last weeks passed without a worker, stay in it as a closed partition of as many weeks as they need.
CREATE FUNCTION postrider.close_later_partition(parent text, id_column text) RETURNS date LANGUAGE plpgsql AS $$
DECLARE
    later  text := parent || '_later';
    closed text;
    lower  uuid := (SELECT substring(pg_get_expr(c.relpartbound, c.oid) FROM 'FROM \(''([^'']*)''')
                    FROM pg_catalog.pg_class AS c WHERE c.oid = to_regclass(format('postrider.%I', later)));
    newest uuid;
    week   date := (postrider.event_id_time(lower) AT TIME ZONE 'UTC')::date;
BEGIN
    EXECUTE format('ALTER TABLE postrider.%I DETACH PARTITION postrider.%I', parent, later);
    EXECUTE format('SELECT %I FROM postrider.%I ORDER BY 1 DESC LIMIT 1', id_column, later) INTO newest;
    IF newest IS NULL THEN
        EXECUTE format('DROP TABLE postrider.%I', later);
        RETURN week;
    END IF;
    closed := parent || to_char(week, '_IYYY_IW');
    week := date_trunc('week', postrider.event_id_time(newest) AT TIME ZONE 'UTC')::date + 7;
    EXECUTE format('ALTER TABLE postrider.%I RENAME TO %I', later, closed);
    IF parent = 'webhook_event_log' THEN
        EXECUTE format('DROP TRIGGER refuse_ids_ahead ON postrider.%I', closed);
    END IF;
    EXECUTE format('ALTER TABLE postrider.%I ATTACH PARTITION postrider.%I FOR VALUES FROM (%L) TO (%L)',
        parent, closed, lower, postrider.week_start(week));
    RETURN week;
END
$$;
COMMENT ON FUNCTION postrider.close_later_partition(text, text) IS
    'Part of ensure_partitions: takes the open-ended last partition away and tells from which week on new ones are needed.';

-- Making a partition locks its parent against producers. Behind a long transaction that would queue them all, so the
-- lock is given up after 200 ms and the next worker tries again.
-- Runs as its owner, because partitions belong to whom their parent does; workers may call it and need own nothing.
CREATE FUNCTION postrider.ensure_partitions(weeks_ahead integer DEFAULT 8) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '200ms' AS $$
DECLARE
    this_week date := date_trunc('week', now() AT TIME ZONE 'UTC')::date;
    last_week date := this_week + 7 * weeks_ahead;
    week      date;
    parent    text;
    id_column text;
    made      integer := 0;
BEGIN
    IF weeks_ahead NOT BETWEEN 0 AND 520 THEN
        RAISE EXCEPTION 'partitions are made 0 to 520 weeks ahead, not %', weeks_ahead
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    FOR parent, id_column IN VALUES ('webhook_event_log', 'id'), ('webhook_attempts', 'event_id') LOOP
        IF to_regclass(format('postrider.%I', parent || '_later')) IS NULL THEN
            week := this_week + 7;
            PERFORM postrider.add_partition(parent, to_char(this_week, 'IYYY_IW'), NULL, postrider.week_start(week));
            made := made + 1;
        ELSIF to_regclass(format('postrider.%I', parent || to_char(last_week, '_IYYY_IW'))) IS NOT NULL THEN
            CONTINUE;
        ELSE
            week := postrider.close_later_partition(parent, id_column);
        END IF;
        WHILE week <= last_week LOOP
            PERFORM postrider.add_partition(parent, to_char(week, 'IYYY_IW'),
                postrider.week_start(week), postrider.week_start(week + 7));
            week := week + 7;
            made := made + 1;
        END LOOP;
        PERFORM postrider.add_partition(parent, 'later', postrider.week_start(week), NULL);
    END LOOP;
    RETURN made;
END
$$;
COMMENT ON FUNCTION postrider.ensure_partitions(integer) IS
    'Makes the weekly partitions of events and attempts up to that many weeks ahead; gives how many it made. Workers call it.';
DO $$ BEGIN PERFORM postrider.ensure_partitions(); END $$;

INSERT INTO postrider.webhook_migrations (version, name) VALUES (1, 'outbox');
