// Written by bin/embed-sql from the files under sql/; edit those and run it again.
// swift-format-ignore-file

internal import Postgres

/// The SQL files of the product, byte for byte as they lie under `sql/`.
enum SQLFiles {
    /// Every migration, by ascending version, which starts at 1 and has no gaps.
    static let migrations: [(version: Int, name: String, up: String, down: String)] = [
        (version: 1, name: "outbox", up: #"""
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

"""#, down: #"""
-- Postrider 0001, undone: everything is dropped, with all events and their history.
DROP SCHEMA postrider CASCADE;

"""#),
        (version: 2, name: "views", up: #"""
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

"""#, down: #"""
-- Undoes 0002. No data is lost: views and functions only.
DROP VIEW postrider.webhook_destination_status, postrider.webhook_queue_status;
DROP VIEW postrider.n8n_workflows, postrider.webhook_endpoints, postrider.webhook_deliveries, postrider.webhook_events;
DROP VIEW postrider.webhook_in_flight, postrider.webhook_destination_headers;
DROP FUNCTION postrider.delete_destination(), postrider.update_destination(), postrider.insert_destination(),
    postrider.view_row(anyelement, postrider.webhook_destinations, text), postrider.refuse_read_only(text[]),
    postrider.destination_row(jsonb), postrider.check_destination(postrider.webhook_destinations, postrider.webhook_destinations),
    postrider.rotate_secret(uuid, text, interval), postrider.set_secret(integer, text, interval),
    postrider.secret_hint(integer), postrider.new_secret(text), postrider.random_bytes_32(),
    postrider.matches(text[], text), postrider.is_waiting(uuid, smallint), postrider.is_own(uuid, integer),
    postrider.current_organization();

DELETE FROM postrider.webhook_migrations WHERE version = 2;

"""#),
        (version: 3, name: "producing", up: #"""
-- Postrider 0003: producing events. emit for applications; attach, detach and refresh_attachments for tables.
--
-- An attachment is a trigger function made for one table, with its expressions compiled in, and statement-level triggers
-- with transition tables: one INSERT … SELECT for all rows of a statement, so an UPDATE of 10,000 rows is one trigger
-- call and about 157 queue rows.
--
-- Whose rights count:
-- * emit runs as its owner: applications need USAGE on the schema and nothing on its tables.
-- * attach runs as its caller, who must own the table or be a member of its owner. The trigger function is SECURITY
--   DEFINER and belongs to the owner of the table, whoever called: so those who write the table need no rights here, and
--   the expressions, and the casts of the table's own types, get no more rights than the table's owner has anyway. If
--   it ran as Postrider's owner, an expression could read every secret; if as whoever rebuilt it last, one of the owner's
--   could use the rights of an administrator. The owner needs the rights of a producer (role postrider_producer of 0007);
--   attach says so when they are missing.
-- * The functions stand in a schema of their own, because CREATE on postrider would let others overload its functions.
--
-- Denied columns are left out when the trigger function is written, so they cost nothing when it runs.

CREATE SCHEMA postrider_attached;
COMMENT ON SCHEMA postrider_attached IS 'Trigger functions that postrider.attach makes; nothing else belongs here.';

-- emit ----------------------------------------------------------------------------------------------------------------

-- The faults are checked here although the table would refuse them too: a violated constraint prints the whole row,
-- payload included, to the server's log.
--
-- STABLE, though it looks nothing up: an immutable function of a constant is called when the plan is made, so an
-- attachment whose event type is null for one operation would fail for that operation instead of making no event.
CREATE FUNCTION postrider.checked_event_type(event_type text, origin text) RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    IF event_type ~ '^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$' AND length(event_type) <= 128 THEN
        RETURN event_type;
    END IF;
    RAISE EXCEPTION 'not an event type: % (%)', coalesce(quote_literal(event_type), 'null'), origin
        USING ERRCODE = 'invalid_parameter_value',
              HINT = 'Write dotted words of letters, digits, _ and -, such as lead.created, at most 128 characters.';
END
$$;
COMMENT ON FUNCTION postrider.checked_event_type(text, text) IS
    'Gives the event type back, or raises an error that names it and where it came from.';

CREATE FUNCTION postrider.emit(
    event_type      text,
    data            jsonb,
    organization_id text    DEFAULT NULL,
    user_id         text    DEFAULT NULL,
    record_id       text    DEFAULT NULL,
    ordering_key    text    DEFAULT NULL,
    priority        integer DEFAULT 1,
    event_source    text    DEFAULT 'api',
    table_name      text    DEFAULT NULL
) RETURNS uuid LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    new_id uuid := postrider.next_event_id();
BEGIN
    -- One condition for all that is well: each is an expression that every transaction sets up anew.
    IF event_type ~ '^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$' AND length(event_type) <= 128 AND data IS NOT NULL
       AND priority BETWEEN 0 AND 2 THEN
        INSERT INTO postrider.webhook_event_log (id, event_type, event_source, table_name, record_id, user_id,
                                                 organization_id, ordering_key, priority, data)
        VALUES (new_id, event_type, coalesce(event_source, 'api'), table_name, record_id, user_id, organization_id,
                ordering_key, priority, data);
        RETURN new_id;
    END IF;
    PERFORM postrider.checked_event_type(event_type, 'postrider.emit');
    IF data IS NULL THEN
        RAISE EXCEPTION 'an event needs data (postrider.emit)'
            USING ERRCODE = 'null_value_not_allowed', HINT = 'An event without data is emitted with ''{}''.';
    END IF;
    RAISE EXCEPTION 'not a priority: % (postrider.emit)', coalesce(priority::text, 'null')
        USING ERRCODE = 'invalid_parameter_value', HINT = 'Write 0 for high, 1 for normal, 2 for low.';
END
$$;
COMMENT ON FUNCTION postrider.emit(text, jsonb, text, text, text, text, integer, text, text) IS
    'Writes one event in the caller''s transaction and gives its id. Priority: 0 high, 1 normal (default), 2 low. For many events at once, INSERT … SELECT into postrider.webhook_events.';

-- Attachments ---------------------------------------------------------------------------------------------------------

CREATE TABLE postrider.webhook_attachments (
    id                    integer     GENERATED ALWAYS AS IDENTITY,
    target                regclass    NOT NULL,
    name                  text        NOT NULL,
    table_name            text        NOT NULL,
    operations            text[]      NOT NULL,
    event_type            text,
    event_type_expression text,
    condition             text,
    columns               text[],
    except_columns        text[],
    except_places         text[],
    sent_columns          text[],
    organization_id       text,
    user_id               text,
    record_id             text,
    ordering_key          text,
    priority              text,
    event_source          text        NOT NULL,
    include_old           boolean     NOT NULL,
    created_by            text        NOT NULL DEFAULT session_user,
    created_at            timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at            timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT webhook_attachments_pkey PRIMARY KEY (id),
    CONSTRAINT one_attachment_of_a_name_per_table UNIQUE (target, name),
    CONSTRAINT event_type_is_constant_or_expression CHECK (num_nonnulls(event_type, event_type_expression) = 1),
    CONSTRAINT columns_are_allowed_or_denied CHECK (num_nonnulls(columns, except_columns) <= 1),
    -- Expressions are pasted into statements: none may end one and begin another, whoever wrote the row. The other settings
    -- may name a column, whose name may hold anything; try_attachment runs no second statement of theirs either.
    CONSTRAINT expressions_hold_no_semicolon CHECK (strpos(concat_ws(' ', event_type_expression, condition), ';') = 0)
);
COMMENT ON TABLE postrider.webhook_attachments IS
    'Tables whose changes become events. Written by attach, detach and refresh_attachments; changing a row here changes no trigger.';
COMMENT ON COLUMN postrider.webhook_attachments.id IS 'Names the triggers and their function: webhook_<id>.';
COMMENT ON COLUMN postrider.webhook_attachments.target IS 'The table; a bare number when it was dropped.';
COMMENT ON COLUMN postrider.webhook_attachments.name IS 'Name of the attachment, unique for its table.';
COMMENT ON COLUMN postrider.webhook_attachments.table_name IS 'What events carry as table_name.';
COMMENT ON COLUMN postrider.webhook_attachments.operations IS 'insert, update, delete, truncate.';
COMMENT ON COLUMN postrider.webhook_attachments.event_type IS 'Event type, when it is constant.';
COMMENT ON COLUMN postrider.webhook_attachments.event_type_expression IS 'SQL expression of the event type; no event when it gives null.';
COMMENT ON COLUMN postrider.webhook_attachments.condition IS 'SQL condition; no event unless it is true. Null for every row.';
COMMENT ON COLUMN postrider.webhook_attachments.columns IS 'Columns to send; null for all but except_columns.';
COMMENT ON COLUMN postrider.webhook_attachments.except_columns IS 'Columns not to send.';
COMMENT ON COLUMN postrider.webhook_attachments.except_places IS
    'Where these stand in the catalog, oid of the table and number of the column: found by it under another name. Means nothing after a restore.';
COMMENT ON COLUMN postrider.webhook_attachments.sent_columns IS 'Columns that the trigger sends, worked out by attach; null for whatever columns the table has.';
COMMENT ON COLUMN postrider.webhook_attachments.organization_id IS 'Column or SQL expression that gives the organization; null for none.';
COMMENT ON COLUMN postrider.webhook_attachments.user_id IS 'Column or SQL expression that gives the person; null for none.';
COMMENT ON COLUMN postrider.webhook_attachments.record_id IS 'Column or SQL expression that gives the record id; null for the primary key.';
COMMENT ON COLUMN postrider.webhook_attachments.ordering_key IS 'Column or SQL expression that gives the ordering key; null for none.';
COMMENT ON COLUMN postrider.webhook_attachments.priority IS 'Column or SQL expression that gives the priority, or high, normal, low; null for normal.';
COMMENT ON COLUMN postrider.webhook_attachments.event_source IS 'What events carry as event_source.';
COMMENT ON COLUMN postrider.webhook_attachments.include_old IS 'True: data is {"old": …, "new": …}.';
COMMENT ON COLUMN postrider.webhook_attachments.created_by IS 'Who attached it first.';
COMMENT ON COLUMN postrider.webhook_attachments.created_at IS 'When it was attached first.';
COMMENT ON COLUMN postrider.webhook_attachments.updated_at IS 'When it was attached or refreshed last.';

-- ROWS: tables have few relatives. With the default of 1,000 webhook_attachment_check counts as so dear that its plan is
-- compiled by JIT, which took 5 s where the answer takes 30 ms (measured, one attachment).
CREATE FUNCTION postrider.with_descendants(target regclass) RETURNS SETOF regclass
    LANGUAGE sql STABLE STRICT ROWS 5 SET search_path = pg_catalog, pg_temp AS $$
    WITH RECURSIVE family AS (
        SELECT target::oid AS relation
        UNION
        SELECT i.inhrelid FROM family AS f JOIN pg_catalog.pg_inherits AS i ON i.inhparent = f.relation
    )
    SELECT relation::regclass FROM family
$$;
COMMENT ON FUNCTION postrider.with_descendants(regclass) IS 'A table, its partitions, and tables that inherit from it, at every level.';

CREATE FUNCTION postrider.with_ancestors(target regclass) RETURNS SETOF regclass
    LANGUAGE sql STABLE STRICT ROWS 5 SET search_path = pg_catalog, pg_temp AS $$
    WITH RECURSIVE family AS (
        SELECT target::oid AS relation
        UNION
        SELECT i.inhparent FROM family AS f JOIN pg_catalog.pg_inherits AS i ON i.inhrelid = f.relation
    )
    SELECT relation::regclass FROM family
$$;
COMMENT ON FUNCTION postrider.with_ancestors(regclass) IS 'A table, those of which it is a partition, and those from which it inherits, at every level.';

-- This and those of what is denied have a path of their own: the view of what is wrong calls them with that of whoever looks.
CREATE FUNCTION postrider.column_names(target regclass) RETURNS text[]
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(array_agg(attname::text ORDER BY attnum), '{}')
    FROM pg_catalog.pg_attribute WHERE attrelid = target AND attnum > 0 AND NOT attisdropped
$$;
COMMENT ON FUNCTION postrider.column_names(regclass) IS 'Names of a table''s columns, in order.';

-- Only the type json can hold \u0000 (jsonb and text refuse it on the way in), directly or within arrays, domains and
-- composite types.
CREATE FUNCTION postrider.json_columns(target regclass) RETURNS text[] LANGUAGE sql STABLE STRICT AS $$
    WITH RECURSIVE inner_types AS (
        SELECT attname::text AS column_name, atttypid AS type FROM pg_catalog.pg_attribute
        WHERE attrelid = target AND attnum > 0 AND NOT attisdropped
        UNION
        SELECT i.column_name, x.type
        FROM inner_types AS i
        JOIN pg_catalog.pg_type AS t ON t.oid = i.type
        CROSS JOIN LATERAL (
            SELECT t.typbasetype WHERE t.typbasetype <> 0
            UNION ALL SELECT t.typelem WHERE t.typelem <> 0
            UNION ALL SELECT r.rngsubtype FROM pg_catalog.pg_range AS r WHERE r.rngtypid = t.oid
            UNION ALL SELECT a.atttypid FROM pg_catalog.pg_attribute AS a
                      WHERE a.attrelid = t.typrelid AND t.typrelid <> 0 AND a.attnum > 0 AND NOT a.attisdropped
        ) AS x (type)
    )
    SELECT coalesce(array_agg(DISTINCT column_name), '{}') FROM inner_types WHERE type = 'json'::regtype
$$;
COMMENT ON FUNCTION postrider.json_columns(regclass) IS 'Columns whose type is or contains json (not jsonb).';

-- Denied columns --------------------------------------------------------------------------------------------------------

CREATE TABLE postrider.webhook_denied_columns (
    target      regclass,
    column_name text        NOT NULL,
    path        text[]      NOT NULL DEFAULT '{}',
    place       text,
    created_by  text        NOT NULL DEFAULT session_user,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT denied_once UNIQUE NULLS NOT DISTINCT (target, column_name, path),
    CONSTRAINT column_has_a_name CHECK (column_name <> ''),
    CONSTRAINT path_is_of_names CHECK (array_position(path, NULL) IS NULL)
);
-- No primary key, because target may be null: a publication of all tables would have Postgres refuse allow_column.
ALTER TABLE postrider.webhook_denied_columns REPLICA IDENTITY FULL;
COMMENT ON TABLE postrider.webhook_denied_columns IS
    'What attachments never send. Written by deny_column and allow_column, which rebuild attachments; a row written here by hand counts from the next attach or refresh_attachments on.';
COMMENT ON COLUMN postrider.webhook_denied_columns.target IS 'The table, its partitions and the tables that inherit from it included; null for every table.';
COMMENT ON COLUMN postrider.webhook_denied_columns.column_name IS 'The column.';
COMMENT ON COLUMN postrider.webhook_denied_columns.path IS 'Names that lead to a member of a JSON or composite column; empty for the whole column.';
COMMENT ON COLUMN postrider.webhook_denied_columns.place IS
    'Where the column stands in the catalog, oid of the table and number of the column: under another name it stays denied. Null for every table; means nothing after a restore.';
COMMENT ON COLUMN postrider.webhook_denied_columns.created_by IS 'Who denied it.';
COMMENT ON COLUMN postrider.webhook_denied_columns.created_at IS 'When it was denied.';

-- A column that was renamed is found by its place. The oid in it differs after a restore, where numbers may be those of other
-- columns. Partitions and inheriting tables have the names of their table. What is denied for one of them alone is kept by its
-- own attachments only: those of a table above it send the rows of all, so there it is refused.
CREATE FUNCTION postrider.denied_columns(target regclass) RETURNS text[]
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(array_agg(DISTINCT n.name), '{}') FROM postrider.webhook_denied_columns AS d
    CROSS JOIN LATERAL (
        SELECT d.column_name UNION ALL
        SELECT c.attname::text FROM pg_catalog.pg_attribute AS c
        WHERE c.attrelid = d.target AND NOT c.attisdropped AND format('%s.%s', c.attrelid, c.attnum) = d.place
    ) AS n (name)
    WHERE d.path = '{}' AND (d.target IS NULL OR d.target IN (SELECT postrider.with_ancestors(denied_columns.target)))
$$;
COMMENT ON FUNCTION postrider.denied_columns(regclass) IS 'Names that no attachment of this table sends, whether it has such columns or not.';

CREATE FUNCTION postrider.denied_paths(target regclass) RETURNS SETOF text[]
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT DISTINCT n.name || d.path FROM postrider.webhook_denied_columns AS d
    CROSS JOIN LATERAL (
        SELECT d.column_name UNION ALL
        SELECT c.attname::text FROM pg_catalog.pg_attribute AS c
        WHERE c.attrelid = d.target AND NOT c.attisdropped AND format('%s.%s', c.attrelid, c.attnum) = d.place
    ) AS n (name)
    WHERE d.path <> '{}' AND (d.target IS NULL OR d.target IN (SELECT postrider.with_ancestors(denied_paths.target)))
    ORDER BY 1
$$;
COMMENT ON FUNCTION postrider.denied_paths(regclass) IS 'Members of columns that no attachment of this table sends: the column, then the names that lead to them.';

-- By the names that the columns have now, on both sides: by those of when they were denied, a denial here of what has the old
-- name of a column would pass for that of the column.
CREATE FUNCTION postrider.denied_below(target regclass) RETURNS TABLE (relation regclass, column_name text, path text[])
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT d.target, n.name, d.path FROM postrider.webhook_denied_columns AS d
    CROSS JOIN LATERAL (
        SELECT coalesce((SELECT c.attname::text FROM pg_catalog.pg_attribute AS c
                         WHERE c.attrelid = d.target AND NOT c.attisdropped AND format('%s.%s', c.attrelid, c.attnum) = d.place),
                        d.column_name)
    ) AS n (name)
    WHERE d.target IN (SELECT postrider.with_descendants(denied_below.target))
      AND n.name <> ALL (postrider.denied_columns(denied_below.target))
      AND (n.name || d.path) NOT IN (SELECT postrider.denied_paths(denied_below.target))
    ORDER BY 1, 2, 3
$$;
COMMENT ON FUNCTION postrider.denied_below(regclass) IS
    'What is denied for partitions and inheriting tables of a table, and not for the table, whose attachments send the rows of all.';

-- The operator #- raises an error where it meets an array: a path must not fail the statement of a producer.
CREATE FUNCTION postrider.without_path(document jsonb, path text[]) RETURNS jsonb
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF jsonb_typeof(document) = 'array' THEN
        RETURN (SELECT coalesce(jsonb_agg(postrider.without_path(e.value, path) ORDER BY e.place), '[]')
                FROM jsonb_array_elements(document) WITH ORDINALITY AS e (value, place));
    ELSIF jsonb_typeof(document) <> 'object' OR NOT document ? path[1] THEN
        RETURN document;
    ELSIF cardinality(path) = 1 THEN
        RETURN document - path[1];
    END IF;
    RETURN jsonb_set(document, path[1:1], postrider.without_path(document -> path[1], path[2:]));
END
$$;
COMMENT ON FUNCTION postrider.without_path(jsonb, text[]) IS
    'A document without the member that a path leads to, in each element of the arrays on the way. Called by triggers of tables with a denied path alone.';

-- Attachments: writing the trigger function -----------------------------------------------------------------------------

-- A setting names a column or is an expression; a column comes from the row that the operation leaves or removes.
CREATE FUNCTION postrider.attachment_value(a postrider.webhook_attachments, operation text, setting text)
    RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE
        WHEN setting IS NULL OR (operation = 'truncate' AND setting = ANY (postrider.column_names(a.target))) THEN 'NULL'
        WHEN setting = ANY (postrider.column_names(a.target))
            THEN format('%s.%I', CASE operation WHEN 'delete' THEN 'old' ELSE 'new' END, setting)
        -- The line break ends a comment that the expression may end in.
        ELSE format(E'(%s\n)', setting)
    END
$$;
COMMENT ON FUNCTION postrider.attachment_value(postrider.webhook_attachments, text, text) IS
    'Part of attach: SQL for a setting that is a column name or an expression.';

CREATE FUNCTION postrider.attachment_key(a postrider.webhook_attachments, operation text) RETURNS text
    LANGUAGE sql STABLE AS $$
    SELECT coalesce(string_agg(format('%s.%I::text', CASE operation WHEN 'delete' THEN 'old' ELSE 'new' END, c.attname),
                               ' || '':'' || ' ORDER BY k.position), 'NULL')
    FROM pg_catalog.pg_index AS i
    CROSS JOIN LATERAL unnest(i.indkey::smallint[]) WITH ORDINALITY AS k (attnum, position)
    JOIN pg_catalog.pg_attribute AS c ON c.attrelid = i.indrelid AND c.attnum = k.attnum
    WHERE i.indrelid = a.target AND i.indisprimary AND operation <> 'truncate' AND k.position <= i.indnkeyatts
$$;
COMMENT ON FUNCTION postrider.attachment_key(postrider.webhook_attachments, text) IS
    'Part of attach: SQL for the primary key as text, columns joined by a colon; NULL when there is none.';

CREATE FUNCTION postrider.attachment_uses_old(a postrider.webhook_attachments) RETURNS boolean
    LANGUAGE sql STABLE AS $$
    -- The word in a string or a comment counts too: pairing for nothing costs a microsecond a row and harms nobody.
    SELECT a.include_old OR concat_ws(' ', a.event_type_expression, a.condition, a.organization_id, a.user_id,
                                      a.record_id, a.ordering_key, a.priority) ~* '\mold\M'
$$;
COMMENT ON FUNCTION postrider.attachment_uses_old(postrider.webhook_attachments) IS
    'Part of attach: must an UPDATE pair old with new rows?';

-- A name that no column of the table has, for what the function itself adds to the rows.
CREATE FUNCTION postrider.attachment_marker(a postrider.webhook_attachments) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT 'postrider' || repeat('_', coalesce(max(length(substring(c FROM '^postrider(_*)'))) + 1, 0))
    FROM unnest(postrider.column_names(a.target)) AS c
$$;
COMMENT ON FUNCTION postrider.attachment_marker(postrider.webhook_attachments) IS
    'Part of attach: beginning of identifiers that collide with no column of the table.';

-- The FROM clause, in which NEW and OLD have the columns of the table. A row that the operation does not have is one of
-- nulls, which the planner folds away. It stands there only when an expression names it: its type is written by the name of
-- the table, so a table that is renamed fails the statements of its producers until it is refreshed.
-- UPDATE: both transition tables are filled side by side, also when a row moves to another partition, so the nth old row
-- belongs to the nth new one. The primary key would not do: it may be what changed.
CREATE FUNCTION postrider.attachment_rows(a postrider.webhook_attachments, operation text) RETURNS text
    LANGUAGE plpgsql STABLE AS $$
DECLARE
    marker  text := postrider.attachment_marker(a);
    table_ref text := (SELECT format('%I.%I', n.nspname, c.relname) FROM pg_catalog.pg_class AS c
                       JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace WHERE c.oid = a.target);
    no_row  text := format('(SELECT (NULL::%s).*)', table_ref);
    old_row text := CASE WHEN postrider.attachment_uses_old(a) THEN format(' CROSS JOIN %s AS old', no_row) ELSE '' END;
    new_row text := CASE WHEN concat_ws(' ', a.event_type_expression, a.condition, a.organization_id, a.user_id, a.record_id,
                                        a.ordering_key, a.priority) ~* '\mnew\M'
                         THEN format(' CROSS JOIN %s AS new', no_row) ELSE '' END;
    result  text;
    side    text;
BEGIN
    result := CASE operation
        WHEN 'insert' THEN 'new_rows AS new' || old_row
        WHEN 'delete' THEN 'old_rows AS old' || new_row
        WHEN 'truncate' THEN format('(SELECT) AS %I', marker) || new_row || old_row
        WHEN 'update' THEN CASE WHEN old_row = '' THEN 'new_rows AS new'
            ELSE format('(SELECT row_number() OVER () AS %1$I, r.* FROM new_rows AS r) AS new'
                        ' JOIN (SELECT row_number() OVER () AS %1$I, r.* FROM old_rows AS r) AS old'
                        ' ON new.%1$I = old.%1$I', marker || ' row') END
    END;
    -- Columns that are not sent are never converted; the planner merges this with the row itself.
    IF cardinality(a.sent_columns) > 0 THEN
        FOREACH side IN ARRAY ARRAY['new', 'old'] LOOP
            IF (side = 'new' AND operation IN ('insert', 'update'))
               OR (side = 'old' AND (operation = 'delete' OR (operation = 'update' AND a.include_old))) THEN
                result := result || format(' CROSS JOIN LATERAL (SELECT %s) AS %I',
                    (SELECT string_agg(format('%s.%I', side, c), ', ') FROM unnest(a.sent_columns) AS c),
                    marker || ' ' || side);
            END IF;
        END LOOP;
    END IF;
    RETURN result;
END
$$;
COMMENT ON FUNCTION postrider.attachment_rows(postrider.webhook_attachments, text) IS
    'Part of attach: the FROM clause of one operation.';

CREATE FUNCTION postrider.attachment_document(a postrider.webhook_attachments, operation text, side text) RETURNS text
    LANGUAGE sql STABLE AS $$
    SELECT repeat('postrider.without_path(', denied.paths) || CASE
        WHEN operation = 'truncate' OR (side = 'old' AND operation = 'insert') OR (side = 'new' AND operation = 'delete')
            THEN 'NULL::jsonb'
        WHEN a.sent_columns = '{}' THEN '''{}''::jsonb'
        WHEN a.sent_columns IS NOT NULL THEN format('to_jsonb(%I.*)', postrider.attachment_marker(a) || ' ' || side)
        WHEN operation = 'update' AND postrider.attachment_uses_old(a)
            THEN format('to_jsonb(%s.*) - %L', side, postrider.attachment_marker(a) || ' row')
        ELSE format('to_jsonb(%s.*)', side)
    END || denied.endings
    FROM (SELECT count(*)::integer AS paths, coalesce(string_agg(format(', %L::text[])', d.path), ''), '') AS endings
          FROM postrider.denied_paths(a.target) AS d (path)
          WHERE operation <> 'truncate' AND (a.sent_columns IS NULL OR d.path[1] = ANY (a.sent_columns))) AS denied
$$;
COMMENT ON FUNCTION postrider.attachment_document(postrider.webhook_attachments, text, text) IS
    'Part of attach: SQL that makes the JSON of the new or the old row.';

-- A constant that is cast to a domain is checked whenever the statement runs. As an element of an array of the domain it is
-- checked when the statement is read, and the planner takes it for a constant of the domain: 11,000 of 290,000 instructions
-- less for an insert of one row.
CREATE FUNCTION postrider.attachment_constant(value text, domain_name text) RETURNS text LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT format('(%L::postrider.%I[])[1]', ARRAY[value]::text, domain_name)
$$;
COMMENT ON FUNCTION postrider.attachment_constant(text, text) IS
    'Part of attach: SQL for a constant of a domain of this schema, which no run of the statement checks again.';

CREATE FUNCTION postrider.attachment_select(a postrider.webhook_attachments, operation text)
    RETURNS text LANGUAGE sql STABLE AS $$
    SELECT format(E'SELECT %s, %L, %L,\n               %s, %s, %s, %s,\n               %s, %s\n'
                  '        FROM %s%s',
        CASE WHEN a.event_type_expression IS NULL THEN postrider.attachment_constant(a.event_type, 'event_type')
             ELSE format(E'postrider.checked_event_type((%s\n)::text, %L)', a.event_type_expression,
                         format('attachment %s of %s', a.name, a.table_name)) END,
        a.event_source, a.table_name,
        CASE WHEN a.record_id IS NULL THEN postrider.attachment_key(a, operation)
             ELSE postrider.attachment_value(a, operation, a.record_id) || '::text' END,
        postrider.attachment_value(a, operation, a.user_id) || '::text',
        postrider.attachment_value(a, operation, a.organization_id) || '::text',
        postrider.attachment_value(a, operation, a.ordering_key) || '::text',
        -- Out of range is brought into range: a priority is no reason to fail the statement of a producer.
        CASE coalesce(a.priority, 'normal')
            WHEN 'high' THEN postrider.attachment_constant('0', 'event_priority')
            WHEN 'normal' THEN postrider.attachment_constant('1', 'event_priority')
            WHEN 'low' THEN postrider.attachment_constant('2', 'event_priority')
            ELSE format('greatest(0, least(2, coalesce(%s::integer, 1)))',
                        postrider.attachment_value(a, operation, a.priority)) END,
        CASE WHEN a.include_old THEN format('jsonb_build_object(''old'', %s, ''new'', %s)',
                 postrider.attachment_document(a, operation, 'old'), postrider.attachment_document(a, operation, 'new'))
             WHEN operation = 'truncate' THEN format('jsonb_build_object(''truncated'', %L)', a.table_name)
             ELSE postrider.attachment_document(a, operation, CASE operation WHEN 'delete' THEN 'old' ELSE 'new' END) END,
        postrider.attachment_rows(a, operation),
        CASE WHEN operation = 'truncate' THEN ''
             ELSE coalesce(E'\n        WHERE ' || nullif(concat_ws(' AND ',
                 '(' || a.condition || E'\n)', '(' || a.event_type_expression || E'\n) IS NOT NULL'), ''), '') END)
$$;
COMMENT ON FUNCTION postrider.attachment_select(postrider.webhook_attachments, text) IS
    'Part of attach: the SELECT that makes the events of one operation.';

CREATE FUNCTION postrider.attachment_body(a postrider.webhook_attachments) RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE
    marker    text := postrider.attachment_marker(a);
    pairs     boolean := 'update' = ANY (a.operations) AND postrider.attachment_uses_old(a);
    may_fail  text[] := ARRAY(SELECT c FROM unnest(postrider.json_columns(a.target)) AS c
                              WHERE a.sent_columns IS NULL OR c = ANY (a.sent_columns));
    -- Of one operation nothing is to be asked: each condition is an expression that every transaction sets up anew. But a
    -- partition that was detached keeps its triggers, of operations that are no longer attached too, and so does a new name.
    is_alone  boolean := cardinality(a.operations) = 1 AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_trigger AS t
        WHERE t.tgfoid = to_regprocedure(format('postrider_attached.%I()', format('webhook_%s', a.id)))
          AND (t.tgrelid NOT IN (SELECT postrider.with_descendants(a.target))
               OR t.tgname !~ format('^webhook_%s_(insert|update|delete|truncate)$', a.id)));
    branches  text := '';
    operation text;
BEGIN
    FOREACH operation IN ARRAY a.operations LOOP
        IF NOT is_alone THEN
            branches := branches || format(E'    %s TG_OP = %L THEN\n', CASE branches WHEN '' THEN 'IF' ELSE 'ELSIF' END, upper(operation));
        END IF;
        IF operation = 'update' AND pairs AND EXISTS (SELECT FROM pg_catalog.pg_class
                                                      WHERE oid = a.target AND relkind = 'p') THEN
            branches := branches || format(
                E'        -- A BEFORE INSERT trigger that swallows a row which moves to another partition leaves an old row alone.\n'
                '        IF (SELECT count(*) FROM old_rows) <> (SELECT count(*) FROM new_rows) THEN\n'
                '            RAISE EXCEPTION ''cannot tell which old and new rows belong together (%s)''\n'
                '                USING HINT = ''A BEFORE INSERT trigger of a partition dropped a row that moved there.'';\n'
                '        END IF;\n', replace(replace(a.table_name, '''', ''''''), '%', '%%'));
        END IF;
        branches := branches || format(
            E'        INSERT INTO postrider.webhook_event_log\n'
            '            (event_type, event_source, table_name, record_id, user_id, organization_id, ordering_key,'
            ' priority, data)\n'
            '        -- When a column is missing here: SELECT postrider.refresh_attachments();\n'
            '        %s;\n',
            postrider.attachment_select(a, operation));
    END LOOP;
    branches := branches || CASE WHEN is_alone THEN '' ELSE E'    END IF;\n' END;
    RETURN format(
        E'\n-- Made by postrider.attach (%s); attach again to change it.\n'
        '#variable_conflict use_column\nBEGIN\n%s    RETURN NEW;\n%sEND\n',
        -- Either of the two ends a comment of SQL, and what follows would be run.
        translate(a.name, E'\r\n', '  '), branches,
        CASE WHEN cardinality(may_fail) = 0 THEN '' ELSE format(
            E'EXCEPTION WHEN untranslatable_character THEN\n'
            '    RAISE EXCEPTION USING ERRCODE = ''untranslatable_character'',\n'
            '        MESSAGE = %L,\n        HINT = %L;\n',
            format('a json column of %s holds \u0000, which an event cannot carry (attachment %s)', a.table_name, a.name),
            format('Make the column jsonb, or leave it out: postrider.attach(…, except_columns => %L).', may_fail)) END);
END
$$;
COMMENT ON FUNCTION postrider.attachment_body(postrider.webhook_attachments) IS 'Part of attach: the body of the trigger function.';

-- Attachments: checks ---------------------------------------------------------------------------------------------------

CREATE FUNCTION postrider.check_attachable(target regclass) RETURNS void LANGUAGE plpgsql STABLE AS $$
DECLARE
    relation pg_catalog.pg_class;
    schema   text;
    foreign_table regclass;
BEGIN
    SELECT c.* INTO relation FROM pg_catalog.pg_class AS c WHERE c.oid = target;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'attach needs a table' USING ERRCODE = 'undefined_table';
    END IF;
    schema := relation.relnamespace::regnamespace::text;
    IF relation.relkind IN ('v', 'm') THEN
        RAISE EXCEPTION '% is a view: its rows change in the tables below it', target
            USING ERRCODE = 'wrong_object_type', HINT = 'Attach those tables, or call postrider.emit where the change is made.';
    ELSIF relation.relkind = 'f' THEN
        RAISE EXCEPTION '% is a foreign table: Postgres gives its triggers no transition tables', target
            USING ERRCODE = 'wrong_object_type', HINT = 'Attach the table on the other server, or call postrider.emit.';
    ELSIF relation.relkind NOT IN ('r', 'p') THEN
        RAISE EXCEPTION '% is not a table', target USING ERRCODE = 'wrong_object_type';
    ELSIF relation.relpersistence = 't' THEN
        RAISE EXCEPTION '% is a temporary table: it ends with its session', target
            USING ERRCODE = 'wrong_object_type', HINT = 'Attach a permanent table, or call postrider.emit.';
    ELSIF schema IN ('pg_catalog', 'information_schema', 'pg_toast') THEN
        RAISE EXCEPTION '% belongs to Postgres itself', target
            USING ERRCODE = 'wrong_object_type', HINT = 'Attach a table of your own.';
    ELSIF schema = 'postrider' THEN
        RAISE EXCEPTION '% belongs to Postrider: its events would make events', target
            USING ERRCODE = 'wrong_object_type', HINT = 'Attach a table of your own.';
    ELSIF NOT pg_has_role(relation.relowner, 'USAGE') THEN
        RAISE EXCEPTION 'only the owner of % can attach it', target
            USING ERRCODE = 'insufficient_privilege', HINT = format('Run it as %s.', relation.relowner::regrole);
    END IF;
    SELECT c.oid INTO foreign_table FROM pg_catalog.pg_class AS c
    WHERE c.relkind = 'f' AND c.oid IN (SELECT postrider.with_descendants(target)) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION '% has the foreign table % below it: rows written there cannot be collected', target, foreign_table
            USING ERRCODE = 'wrong_object_type', HINT = 'Attach the partitions that are local, one by one.';
    END IF;
END
$$;
COMMENT ON FUNCTION postrider.check_attachable(regclass) IS 'Part of attach: raises an error that names the cure when a table cannot be attached.';

-- A superuser may give a function to a role that could not make it.
CREATE FUNCTION postrider.check_producer_rights(target regclass, role_name name) RETURNS void LANGUAGE plpgsql STABLE AS $$
DECLARE
    is_given boolean := (SELECT caller.rolsuper FROM pg_catalog.pg_roles AS caller WHERE caller.rolname = current_user);
BEGIN
    IF NOT has_schema_privilege(role_name, 'postrider', 'USAGE')
       OR NOT has_table_privilege(role_name, 'postrider.webhook_event_log', 'INSERT')
       OR NOT has_table_privilege(role_name, 'postrider.webhook_queue', 'INSERT')
       OR NOT has_function_privilege(role_name, 'postrider.doorbell_is_needed()', 'EXECUTE')
       OR NOT has_function_privilege(role_name, 'postrider.next_event_id()', 'EXECUTE')
       OR NOT has_function_privilege(role_name, 'postrider.checked_event_type(text, text)', 'EXECUTE') THEN
        RAISE EXCEPTION 'the events of % are written as %, who may not write events', target, role_name
            USING ERRCODE = 'insufficient_privilege', HINT = format(
                CASE WHEN to_regrole('postrider_producer') IS NOT NULL THEN 'GRANT postrider_producer TO %1$I;'
                ELSE 'GRANT USAGE ON SCHEMA postrider TO %1$I; '
                     'GRANT INSERT ON postrider.webhook_event_log, postrider.webhook_queue TO %1$I; '
                     'GRANT EXECUTE ON FUNCTION postrider.next_event_id, postrider.checked_event_type, '
                     'postrider.doorbell_is_needed TO %1$I;' END, role_name);
    ELSIF NOT is_given AND NOT has_schema_privilege(role_name, 'postrider_attached', 'CREATE') THEN
        RAISE EXCEPTION 'the trigger function of % belongs to %, who may not have one in postrider_attached', target, role_name
            USING ERRCODE = 'insufficient_privilege', HINT = format(
                CASE WHEN to_regrole('postrider_producer') IS NOT NULL THEN 'GRANT postrider_producer TO %1$I;'
                ELSE 'GRANT USAGE, CREATE ON SCHEMA postrider_attached TO %1$I;' END, role_name);
    END IF;
END
$$;
COMMENT ON FUNCTION postrider.check_producer_rights(regclass, name) IS 'Part of attach: raises an error with the GRANT that is missing.';

CREATE FUNCTION postrider.without_expressions(a postrider.webhook_attachments) RETURNS postrider.webhook_attachments
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    names text[] := postrider.column_names(a.target);
BEGIN
    a.event_type := coalesce(a.event_type, 'any');
    a.event_type_expression := NULL;
    a.condition := NULL;
    a.organization_id := CASE WHEN a.organization_id = ANY (names) THEN a.organization_id END;
    a.user_id := CASE WHEN a.user_id = ANY (names) THEN a.user_id END;
    a.record_id := CASE WHEN a.record_id IS NULL OR a.record_id = ANY (names) THEN a.record_id ELSE 'NULL' END;
    a.ordering_key := CASE WHEN a.ordering_key = ANY (names) THEN a.ordering_key END;
    a.priority := CASE WHEN a.priority = ANY (names) OR a.priority IN ('high', 'normal', 'low') THEN a.priority END;
    RETURN a;
END
$$;
COMMENT ON FUNCTION postrider.without_expressions(postrider.webhook_attachments) IS
    'Part of attach: the attachment with columns and constants alone, which anybody may analyse.';

-- Expressions have the rights of the table's owner, who wrote them or let them be written: the function tells who that was.
CREATE FUNCTION postrider.has_function_of_owner(a postrider.webhook_attachments) RETURNS boolean
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (SELECT FROM pg_proc AS p JOIN pg_class AS c ON c.oid = a.target AND c.relowner = p.proowner
                   WHERE p.oid = to_regprocedure(format('postrider_attached.%I()', format('webhook_%s', a.id))))
$$;
COMMENT ON FUNCTION postrider.has_function_of_owner(postrider.webhook_attachments) IS
    'Part of attach: does the trigger function belong to who owns the table now?';

CREATE FUNCTION postrider.has_types_of_others(target regclass) RETURNS boolean
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (SELECT FROM pg_attribute AS c JOIN pg_type AS t ON t.oid = c.atttypid JOIN pg_roles AS o ON o.oid = t.typowner
                   WHERE c.attrelid = target AND c.attnum > 0 AND NOT c.attisdropped
                     AND NOT o.rolsuper AND o.rolname <> current_user)
$$;
COMMENT ON FUNCTION postrider.has_types_of_others(regclass) IS
    'Part of attach: does a column have a type that belongs neither to the caller nor to a superuser?';

-- The very SELECT of the trigger, over no rows: a wrong expression fails here and not in a producer's transaction.
-- Planning calls functions that are declared immutable, so it would lend the rights of whoever looks (a superuser's, of
-- doctor) to the functions of whoever attached. Only those who have no more rights than the table's owner plan. For
-- others the statement is opened as an EXPLAIN, which is planned when its first row is fetched, and no row is: it is analysed.
-- Analysis reads literals, and that of an array or a row over a domain calls the domain's rule, which anybody may have made.
-- So others do not even analyse words that are not theirs, nor theirs beside types of others: no expression stands in what
-- they open, only what attach itself makes of columns.
--
-- A cursor, and not EXECUTE, because expressions are pasted in: OPEN refuses text that holds more than one statement
-- before it runs any of it, and needs neither a temporary object nor a transaction that may write.
CREATE FUNCTION postrider.try_attachment(a postrider.webhook_attachments, are_own boolean) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    may_plan  boolean := (SELECT (owner.rolname = current_user OR owner.rolsuper)
                                 AND (are_own OR postrider.has_function_of_owner(a))
                          FROM pg_class AS c JOIN pg_roles AS owner ON owner.oid = c.relowner WHERE c.oid = a.target);
    attempt   refcursor;
    operation text;
    statement text;
    problem   text;
    code      text;
BEGIN
    IF may_plan IS NOT TRUE AND (are_own IS NOT TRUE OR postrider.has_types_of_others(a.target)) THEN
        a := postrider.without_expressions(a);
    END IF;
    FOREACH operation IN ARRAY a.operations LOOP
        statement := format('WITH new_rows AS (SELECT * FROM %1$s LIMIT 0), old_rows AS (SELECT * FROM %1$s LIMIT 0),'
                            ' tg AS (SELECT NULL::text AS tg_op, NULL::name AS tg_table_name, NULL::name AS tg_table_schema)'
                            ' SELECT e.* FROM tg CROSS JOIN LATERAL (%2$s) AS e LIMIT 0',
                            a.target, postrider.attachment_select(a, operation));
        BEGIN
            attempt := NULL;
            OPEN attempt FOR EXECUTE CASE WHEN may_plan THEN statement ELSE 'EXPLAIN ' || statement END;
            CLOSE attempt;
        EXCEPTION WHEN OTHERS THEN
            GET STACKED DIAGNOSTICS problem = MESSAGE_TEXT, code = RETURNED_SQLSTATE;
            RAISE EXCEPTION 'an expression of the attachment of % is not valid for %: %', a.table_name, operation, problem
                USING ERRCODE = code, HINT = 'Expressions see NEW, OLD and TG_OP; write tables, functions and types outside pg_catalog with their schema.';
        END;
    END LOOP;
END
$$;
COMMENT ON FUNCTION postrider.try_attachment(postrider.webhook_attachments, boolean) IS
    'Part of attach: raises an error when an expression or a column does not fit the table; are_own: whether the caller wrote the expressions.';

CREATE FUNCTION postrider.attachment_fault(a postrider.webhook_attachments) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    problem text;
BEGIN
    PERFORM postrider.try_attachment(a, are_own => false);
    RETURN NULL;
EXCEPTION
    -- Whoever may not read the table cannot tell.
    WHEN insufficient_privilege THEN
        RETURN NULL;
    WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS problem = MESSAGE_TEXT;
        RETURN problem;
END
$$;
COMMENT ON FUNCTION postrider.attachment_fault(postrider.webhook_attachments) IS
    'What would fail when the table is written, in one line; null when nothing would. Expressions are tried for the table''s owner alone.';

CREATE FUNCTION postrider.check_attachment(a postrider.webhook_attachments, are_own boolean) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    existing text[] := postrider.column_names(a.target);
    missing  text := (SELECT c FROM unnest(coalesce(a.columns, a.except_columns)) AS c
                      WHERE c IS NULL OR c <> ALL (existing) LIMIT 1);
    wrong    text := (SELECT o FROM unnest(a.operations) AS o
                      WHERE o IS NULL OR o NOT IN ('insert', 'update', 'delete', 'truncate') LIMIT 1);
    denied   text[] := postrider.denied_columns(a.target);
    key      text := (SELECT c.attname FROM pg_catalog.pg_index AS i
                      JOIN pg_catalog.pg_attribute AS c ON c.attrelid = i.indrelid AND c.attnum = ANY (i.indkey)
                      WHERE i.indrelid = a.target AND i.indisprimary AND c.attname = ANY (denied) LIMIT 1);
    named    text := (SELECT n FROM unnest(a.columns || ARRAY[a.organization_id, a.user_id, a.record_id, a.ordering_key,
                                                              a.priority]) AS n WHERE n = ANY (denied) LIMIT 1);
    below    record;
BEGIN
    SELECT b.relation, b.column_name INTO below FROM postrider.denied_below(a.target) AS b LIMIT 1;
    IF num_nonnulls(a.event_type, a.event_type_expression) <> 1 THEN
        RAISE EXCEPTION 'an attachment needs either event_type or event_type_expression'
            USING ERRCODE = 'invalid_parameter_value';
    ELSIF num_nonnulls(a.columns, a.except_columns) > 1 THEN
        RAISE EXCEPTION 'an attachment has either columns or except_columns' USING ERRCODE = 'invalid_parameter_value';
    ELSIF coalesce(cardinality(a.operations), 0) = 0 OR wrong IS NOT NULL OR array_position(a.operations, NULL) IS NOT NULL THEN
        RAISE EXCEPTION 'not an operation: %', coalesce(quote_literal(wrong), 'null')
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Operations are insert, update, delete, truncate.';
    ELSIF missing IS NOT NULL OR array_position(coalesce(a.columns, a.except_columns), NULL) IS NOT NULL THEN
        RAISE EXCEPTION '% has no column %', a.target, coalesce(quote_ident(missing), 'null')
            USING ERRCODE = 'undefined_column', HINT = format('It has: %s.', array_to_string(existing, ', '));
    ELSIF named IS NOT NULL THEN
        RAISE EXCEPTION 'column % of % may not be sent: it is denied', quote_ident(named), a.target
            USING ERRCODE = 'insufficient_privilege', HINT = 'SELECT * FROM postrider.webhook_denied_columns lists what is.';
    ELSIF below.relation IS NOT NULL THEN
        RAISE EXCEPTION 'column % of % may not be sent by an attachment of %: it is denied there', quote_ident(below.column_name),
            below.relation, a.target
            USING ERRCODE = 'insufficient_privilege', HINT = format('Deny it for %s, or allow it for %s.', a.target, below.relation);
    ELSIF a.record_id IS NULL AND key IS NOT NULL THEN
        RAISE EXCEPTION 'column % of % may not be sent as record_id: it is denied', quote_ident(key), a.target
            USING ERRCODE = 'insufficient_privilege',
                  HINT = 'Give record_id: another column, or an expression such as md5(NEW.column::text).';
    ELSIF EXISTS (SELECT FROM unnest(ARRAY[a.event_type_expression, a.condition, a.organization_id, a.user_id, a.record_id,
                                           a.ordering_key, a.priority]) AS s
                  WHERE strpos(s, ';') > 0 AND s <> ALL (existing)) THEN
        RAISE EXCEPTION 'an expression of the attachment of % holds a semicolon', a.table_name
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Settings are expressions, not statements. Write chr(59) for a semicolon in a text.';
    ELSIF 'truncate' = ANY (a.operations) AND a.event_type IS NULL THEN
        RAISE EXCEPTION 'TRUNCATE has no row to work the event type out from'
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Attach truncate by itself, with a constant event_type.';
    END IF;
    IF a.event_type IS NOT NULL THEN
        PERFORM postrider.checked_event_type(a.event_type, format('attachment of %s', a.table_name));
    END IF;
    PERFORM postrider.try_attachment(a, are_own);
END
$$;
COMMENT ON FUNCTION postrider.check_attachment(postrider.webhook_attachments, boolean) IS 'Part of attach: raises an error when its settings do not fit the table.';

-- Attachments: the triggers -----------------------------------------------------------------------------------------------

CREATE FUNCTION postrider.refuse_truncate() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'TRUNCATE of %.% would remove rows without their events', TG_TABLE_SCHEMA, TG_TABLE_NAME
        USING ERRCODE = 'feature_not_supported',
              HINT = 'Use DELETE; or attach the operation truncate, which makes one event; or, to do without events, ALTER TABLE … DISABLE TRIGGER ' || quote_ident(TG_NAME) || '.';
END
$$;
COMMENT ON FUNCTION postrider.refuse_truncate() IS
    'Trigger: refuses TRUNCATE of a table whose deletes are events.';

-- Partitions and inheriting tables get the triggers too, because a statement that names one fires its own triggers only.
-- CREATE OR REPLACE, since DROP TRIGGER would lock readers out.
CREATE FUNCTION postrider.create_attachment_triggers(a postrider.webhook_attachments) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    relation   regclass;
    operation  text;
    row_tables text;
BEGIN
    FOR relation IN SELECT postrider.with_descendants(a.target) LOOP
        -- A table that inherits may have columns more, whose types its owner chose: their casts would run as another.
        IF EXISTS (SELECT FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_class AS t ON t.oid = a.target
                   WHERE c.oid = relation AND NOT c.relispartition AND c.relowner <> t.relowner) THEN
            RAISE EXCEPTION '% inherits from % and has another owner', relation, a.target
                USING ERRCODE = 'insufficient_privilege', HINT = 'Give both the same owner.';
        END IF;
        FOREACH operation IN ARRAY ARRAY['insert', 'update', 'delete', 'truncate'] LOOP
            IF operation = ANY (a.operations) AND (operation <> 'truncate' OR relation = a.target) THEN
                row_tables := concat_ws(' ', CASE WHEN operation IN ('update', 'delete') THEN 'OLD TABLE AS old_rows' END,
                                             CASE WHEN operation IN ('update', 'insert') THEN 'NEW TABLE AS new_rows' END);
                EXECUTE format('CREATE OR REPLACE TRIGGER %I AFTER %s ON %s %s FOR EACH STATEMENT'
                               ' EXECUTE FUNCTION postrider_attached.%I()',
                    format('webhook_%s_%s', a.id, operation), operation, relation,
                    'REFERENCING ' || nullif(row_tables, ''), format('webhook_%s', a.id));
            ELSIF operation = 'truncate' AND 'delete' = ANY (a.operations) AND NOT 'truncate' = ANY (a.operations) THEN
                EXECUTE format('CREATE OR REPLACE TRIGGER %I BEFORE TRUNCATE ON %s FOR EACH STATEMENT'
                               ' EXECUTE FUNCTION postrider.refuse_truncate()',
                    format('webhook_%s_truncate', a.id), relation);
            ELSIF EXISTS (SELECT FROM pg_catalog.pg_trigger
                          WHERE tgrelid = relation AND tgname = format('webhook_%s_%s', a.id, operation)) THEN
                EXECUTE format('DROP TRIGGER %I ON %s', format('webhook_%s_%s', a.id, operation), relation);
            END IF;
        END LOOP;
    END LOOP;
END
$$;
COMMENT ON FUNCTION postrider.create_attachment_triggers(postrider.webhook_attachments) IS 'Part of attach: makes the triggers that fit the operations, drops the others.';

CREATE FUNCTION postrider.refuse_words_of_another(a postrider.webhook_attachments) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF postrider.without_expressions(a) IS DISTINCT FROM a AND NOT postrider.has_function_of_owner(a) THEN
        RAISE EXCEPTION 'attachment % of % has expressions, and the function that shows whose they are is gone or another owner''s',
            a.name, a.table_name
            USING ERRCODE = 'insufficient_privilege', HINT = format(
                'They would run with the rights of who owns the table now. Read them in postrider.webhook_attachments, then call postrider.attach with them and name => %L.', a.name);
    END IF;
END
$$;
COMMENT ON FUNCTION postrider.refuse_words_of_another(postrider.webhook_attachments) IS
    'Part of refresh_attachments: raises an error for expressions that may be those of an owner before.';

-- The function is given to the table's owner whoever calls: expressions must not get the rights of a member of the owner
-- who only rebuilds them, for deny_column say.
CREATE FUNCTION postrider.build_attachment(a postrider.webhook_attachments) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    owner name := (SELECT pg_catalog.pg_get_userbyid(c.relowner) FROM pg_catalog.pg_class AS c WHERE c.oid = a.target);
    made  text := format('postrider_attached.%I()', format('webhook_%s', a.id));
BEGIN
    PERFORM postrider.check_producer_rights(a.target, owner);
    -- Producers may make functions there, of any name, with triggers and grants that would outlive the next statements:
    -- whoever has these could have the function called for rows of their own, with the rights of the table's owner.
    IF EXISTS (SELECT FROM pg_catalog.pg_proc AS p
               WHERE p.oid = to_regprocedure(made) AND pg_catalog.pg_get_userbyid(p.proowner) <> owner) THEN
        EXECUTE format('DROP FUNCTION %s CASCADE', made);
    END IF;
    -- A plan made for one row would join old and new rows of 10,000 in a nested loop, 100 million times.
    EXECUTE format('CREATE OR REPLACE FUNCTION %s RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER'
                   ' SET search_path = pg_catalog, pg_temp %s AS %L',
        made, CASE WHEN 'update' = ANY (a.operations) AND postrider.attachment_uses_old(a) THEN 'SET enable_nestloop = off' ELSE '' END,
        postrider.attachment_body(a));
    IF (SELECT pg_catalog.pg_get_userbyid(p.proowner) FROM pg_catalog.pg_proc AS p WHERE p.oid = to_regprocedure(made))
       NOT IN (owner, current_user) THEN
        RAISE EXCEPTION 'somebody else made % in this moment', made USING ERRCODE = 'insufficient_privilege';
    END IF;
    EXECUTE format('ALTER FUNCTION %s OWNER TO %I', made, owner);
    EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', made);
    EXECUTE format('COMMENT ON FUNCTION %s IS %L', made,
        format('Trigger: attachment %s of %s. Made by postrider.attach.', a.name, a.table_name));
    PERFORM postrider.create_attachment_triggers(a);
END
$$;
COMMENT ON FUNCTION postrider.build_attachment(postrider.webhook_attachments) IS 'Part of attach: makes the function and the triggers of an attachment.';

-- Attachments: what people call -------------------------------------------------------------------------------------------

-- While anything is denied, the columns stand in the trigger by name: one that is added later, perhaps under a denied name,
-- is not sent before somebody looks at it, nor one that is renamed and has a denied member.
CREATE FUNCTION postrider.attachment_columns(target regclass, columns text[], except_columns text[]) RETURNS text[]
    LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN columns IS NOT NULL THEN columns
                WHEN except_columns IS NOT NULL OR denied.names <> '{}' OR EXISTS (SELECT FROM postrider.denied_paths(target))
                    THEN ARRAY(SELECT c FROM unnest(postrider.column_names(target)) WITH ORDINALITY AS u (c, position)
                               WHERE c <> ALL (coalesce(except_columns, '{}')) AND c <> ALL (denied.names) ORDER BY position) END
    FROM (SELECT postrider.denied_columns(target) AS names) AS denied
$$;
COMMENT ON FUNCTION postrider.attachment_columns(regclass, text[], text[]) IS 'Part of attach: the columns that are sent; null for whatever the table has.';

CREATE FUNCTION postrider.attach(
    target                regclass,
    event_type            text    DEFAULT NULL,
    operations            text[]  DEFAULT '{insert}',
    condition             text    DEFAULT NULL,
    event_type_expression text    DEFAULT NULL,
    columns               text[]  DEFAULT NULL,
    except_columns        text[]  DEFAULT NULL,
    organization_id       text    DEFAULT NULL,
    user_id               text    DEFAULT NULL,
    record_id             text    DEFAULT NULL,
    ordering_key          text    DEFAULT NULL,
    priority              text    DEFAULT NULL,
    event_source          text    DEFAULT 'trigger',
    include_old           boolean DEFAULT false,
    name                  text    DEFAULT NULL
) RETURNS text LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    a postrider.webhook_attachments;
BEGIN
    PERFORM postrider.check_attachable(target);
    -- deny_column holds the same lock: what it denies is known here, or it finds what is attached here. Before the table,
    -- as there, so that neither waits for what the other holds.
    PERFORM pg_advisory_xact_lock_shared(7745, 1);
    -- What CREATE TRIGGER takes anyway, taken first so that partitions cannot come in between.
    EXECUTE format('LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE', target);
    a.target := target;
    a.table_name := (SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class AS c
                     JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE c.oid = target);
    a.operations := ARRAY(SELECT DISTINCT lower(o) FROM unnest(operations) AS o ORDER BY 1);
    a.name := coalesce(name, event_type, array_to_string(a.operations, ' or '));
    a.event_type := event_type;
    a.event_type_expression := event_type_expression;
    a.condition := condition;
    a.columns := columns;
    a.except_columns := except_columns;
    a.except_places := ARRAY(SELECT format('%s.%s', c.attrelid, c.attnum) FROM pg_attribute AS c
                             WHERE c.attrelid = a.target AND c.attname = ANY (a.except_columns) ORDER BY c.attnum);
    a.sent_columns := postrider.attachment_columns(target, columns, except_columns);
    a.organization_id := organization_id;
    a.user_id := user_id;
    a.record_id := record_id;
    a.ordering_key := ordering_key;
    a.priority := priority;
    a.event_source := coalesce(event_source, 'trigger');
    a.include_old := coalesce(include_old, false);
    PERFORM postrider.check_attachment(a, are_own => true);
    INSERT INTO postrider.webhook_attachments AS t (target, name, table_name, operations, event_type,
        event_type_expression, condition, columns, except_columns, except_places, sent_columns, organization_id, user_id, record_id,
        ordering_key, priority, event_source, include_old)
    VALUES (a.target, a.name, a.table_name, a.operations, a.event_type, a.event_type_expression, a.condition, a.columns,
        a.except_columns, a.except_places, a.sent_columns, a.organization_id, a.user_id, a.record_id, a.ordering_key, a.priority,
        a.event_source, a.include_old)
    ON CONFLICT ON CONSTRAINT one_attachment_of_a_name_per_table DO UPDATE SET
        table_name = a.table_name, operations = a.operations, event_type = a.event_type,
        event_type_expression = a.event_type_expression, condition = a.condition, columns = a.columns,
        except_columns = a.except_columns, except_places = a.except_places, sent_columns = a.sent_columns, organization_id = a.organization_id,
        user_id = a.user_id, record_id = a.record_id, ordering_key = a.ordering_key, priority = a.priority,
        event_source = a.event_source, include_old = a.include_old, updated_at = clock_timestamp()
    RETURNING t.* INTO a;
    PERFORM postrider.build_attachment(a);
    RETURN a.name;
END
$$;
COMMENT ON FUNCTION postrider.attach(regclass, text, text[], text, text, text[], text[], text, text, text, text, text, text, boolean, text) IS
'Makes events of a table''s changes, in the same transaction, and gives the name of the attachment. Attaching the same name again replaces it. Blocks writers of the table until commit.
event_type: the type of every event; or event_type_expression, over NEW and OLD: no event when it gives null.
operations: insert (default), update, delete, truncate (one event; a table attached for delete alone refuses TRUNCATE).
condition: over NEW and OLD, which are rows of nulls where the operation has none; no event unless it is true.
columns, except_columns: what to send, what to leave out; neither: all columns, whatever the table has at the time; while a column is denied for the table or for every table, those that it had when it was attached or refreshed last.
organization_id, user_id, record_id (default: the primary key), ordering_key, priority (0 high, 1 normal, 2 low): a column name, or an expression over NEW and OLD.
include_old: data is {"old": …, "new": …} instead of the new row (of a delete, the old row).
Expressions run as the table''s owner with search_path pg_catalog: write other names with their schema. Partitions made later need postrider.refresh_attachments() for statements that name them.';

CREATE FUNCTION postrider.detach(target regclass, name text DEFAULT NULL) RETURNS integer
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET client_min_messages = warning AS $$
#variable_conflict use_variable
DECLARE
    removed integer := 0;
    gone    integer;
BEGIN
    FOR gone IN DELETE FROM postrider.webhook_attachments AS t
                WHERE t.target = target AND (name IS NULL OR t.name = name) RETURNING t.id LOOP
        -- CASCADE takes the triggers along, also on partitions that were detached since.
        EXECUTE format('DROP FUNCTION IF EXISTS postrider_attached.%I() CASCADE', format('webhook_%s', gone));
        removed := removed + 1;
        PERFORM postrider.drop_truncate_guards(gone);
    END LOOP;
    IF removed = 0 AND name IS NOT NULL THEN
        RAISE EXCEPTION '% has no attachment %', target, quote_literal(name)
            USING ERRCODE = 'undefined_object', HINT = 'SELECT name FROM postrider.webhook_attachments lists them.';
    END IF;
    RETURN removed;
END
$$;
COMMENT ON FUNCTION postrider.detach(regclass, text) IS
    'Removes one attachment of a table, or all of them when name is null; gives how many.';

CREATE FUNCTION postrider.drop_truncate_guards(attachment_id integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    relation regclass;
BEGIN
    FOR relation IN SELECT tgrelid FROM pg_catalog.pg_trigger
                    WHERE tgname = format('webhook_%s_truncate', attachment_id)
                      AND tgfoid = 'postrider.refuse_truncate()'::regprocedure LOOP
        EXECUTE format('DROP TRIGGER %I ON %s', format('webhook_%s_truncate', attachment_id), relation);
    END LOOP;
END
$$;
COMMENT ON FUNCTION postrider.drop_truncate_guards(integer) IS 'Part of detach: the guards against TRUNCATE share one function, so no cascade finds them.';

CREATE FUNCTION postrider.refresh_attachments(target regclass DEFAULT NULL) RETURNS integer
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    a         postrider.webhook_attachments;
    successor regclass;
    refreshed integer := 0;
BEGIN
    -- As in attach: before any table.
    PERFORM pg_advisory_xact_lock_shared(7745, 1);
    FOR a IN SELECT t.* FROM postrider.webhook_attachments AS t WHERE target IS NULL OR t.target = target ORDER BY t.id LOOP
        refreshed := refreshed + 1;
        IF NOT EXISTS (SELECT FROM pg_class WHERE oid = a.target) THEN
            -- Dropped and made again, by a restore that may have brought the triggers along. Only where it has the owner of
            -- before, who wrote the expressions or let them be written.
            SELECT c.oid INTO successor FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
            JOIN pg_proc AS p ON p.proowner = c.relowner AND p.pronamespace = 'postrider_attached'::regnamespace
                             AND p.proname = format('webhook_%s', a.id) AND p.pronargs = 0
            WHERE format('%I.%I', n.nspname, c.relname) = a.table_name AND c.relkind IN ('r', 'p')
              AND NOT EXISTS (SELECT FROM postrider.webhook_attachments AS t WHERE t.target = c.oid AND t.name = a.name);
            IF FOUND THEN
                -- What is denied is known by the table's number too. Left behind it would be sent by what is attached here.
                WITH moved AS (
                    DELETE FROM postrider.webhook_denied_columns AS d WHERE d.target = a.target RETURNING d.*
                )
                INSERT INTO postrider.webhook_denied_columns (target, column_name, path, place, created_by, created_at)
                SELECT successor, m.column_name, m.path,
                       (SELECT format('%s.%s', c.attrelid, c.attnum) FROM pg_attribute AS c
                        WHERE c.attrelid = successor AND c.attname = m.column_name), m.created_by, m.created_at
                FROM moved AS m
                ON CONFLICT ON CONSTRAINT denied_once DO NOTHING;
                UPDATE postrider.webhook_attachments AS t SET target = successor WHERE t.id = a.id RETURNING t.* INTO a;
            ELSE
                PERFORM postrider.detach(a.target, a.name);
                CONTINUE;
            END IF;
        END IF;
        EXECUTE format('LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE', a.target);
        -- A column that is gone cannot be sent any more and need not be left out any more; one that is denied may not be.
        -- One that was renamed is not gone: by its old name alone it would be taken for a new one, and sent.
        IF a.except_columns IS NOT NULL THEN
            a.except_columns := ARRAY(SELECT c.attname::text FROM pg_attribute AS c
                                      WHERE c.attrelid = a.target AND c.attnum > 0 AND NOT c.attisdropped
                                        AND (c.attname = ANY (a.except_columns)
                                             OR format('%s.%s', c.attrelid, c.attnum) = ANY (a.except_places))
                                      ORDER BY array_position(a.except_columns, c.attname::text), c.attnum);
            a.except_places := ARRAY(SELECT format('%s.%s', c.attrelid, c.attnum) FROM pg_attribute AS c
                                     WHERE c.attrelid = a.target AND c.attname = ANY (a.except_columns) ORDER BY c.attnum);
        ELSIF a.columns IS NOT NULL THEN
            a.columns := ARRAY(SELECT c FROM unnest(a.columns) AS c WHERE c = ANY (postrider.column_names(a.target))
                                                                      AND c <> ALL (postrider.denied_columns(a.target)));
        END IF;
        UPDATE postrider.webhook_attachments AS t
        SET table_name = (SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class AS c
                          JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE c.oid = a.target),
            columns = a.columns, except_columns = a.except_columns, except_places = a.except_places,
            sent_columns = postrider.attachment_columns(a.target, a.columns, a.except_columns),
            updated_at = clock_timestamp()
        WHERE t.id = a.id RETURNING t.* INTO a;
        PERFORM postrider.refuse_words_of_another(a);
        PERFORM postrider.check_attachment(a, are_own => false);
        PERFORM postrider.build_attachment(a);
    END LOOP;
    RETURN refreshed;
END
$$;
COMMENT ON FUNCTION postrider.refresh_attachments(regclass) IS
    'Brings triggers up to date after tables changed: new partitions, renamed or dropped columns, renamed or dropped tables; attaches the table that has name and owner of one that was dropped. For one table, or for all when null; gives how many attachments it looked at.';

-- Denying columns -------------------------------------------------------------------------------------------------------

-- Runs as its caller, like attach: nobody rebuilds the triggers of tables that are not theirs. What cannot be rebuilt now
-- keeps the column from being denied, so that the list never says more than is true.
CREATE FUNCTION postrider.rebuild_for_denied(denied_target regclass, denied_column text) RETURNS integer
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    found   record;
    rebuilt integer := 0;
BEGIN
    FOR found IN
        SELECT a.target, c.relowner, count(*) AS attachments FROM postrider.webhook_attachments AS a
        JOIN pg_class AS c ON c.oid = a.target
        WHERE (denied_target IS NULL OR a.target IN (SELECT postrider.with_descendants(denied_target)))
          AND (a.sent_columns IS NULL OR denied_column = ANY (postrider.column_names(a.target)))
        GROUP BY a.target, c.relowner ORDER BY a.target
    LOOP
        IF NOT pg_has_role(found.relowner, 'USAGE') THEN
            RAISE EXCEPTION '% is attached, and only its owner can rebuild the trigger', found.target
                USING ERRCODE = 'insufficient_privilege', HINT = format('Run it as %s.', found.relowner::regrole);
        END IF;
        PERFORM postrider.refresh_attachments(found.target);
        rebuilt := rebuilt + found.attachments;
    END LOOP;
    RETURN rebuilt;
END
$$;
COMMENT ON FUNCTION postrider.rebuild_for_denied(regclass, text) IS
    'Part of deny_column and allow_column: brings the attachments up to date that a column concerns; gives how many.';

CREATE FUNCTION postrider.deny_column(target regclass, column_name text, VARIADIC path text[] DEFAULT '{}') RETURNS integer
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    place text;
    above regclass;
BEGIN
    IF coalesce(column_name, '') = '' OR path IS NULL OR array_position(path, NULL) IS NOT NULL THEN
        RAISE EXCEPTION 'a column to deny needs a name' USING ERRCODE = 'invalid_parameter_value';
    ELSIF target IS NOT NULL AND column_name <> ALL (postrider.column_names(target)) THEN
        RAISE EXCEPTION '% has no column %', target, quote_ident(column_name) USING ERRCODE = 'undefined_column',
            HINT = format('It has: %s. Give NULL for the table to deny a name for every table.', array_to_string(postrider.column_names(target), ', '));
    END IF;
    place := (SELECT format('%s.%s', c.attrelid, c.attnum) FROM pg_attribute AS c
              WHERE c.attrelid = target AND c.attname = column_name);
    PERFORM pg_advisory_xact_lock(7745, 1);
    -- The trigger of a table above sends the rows of all that is below it. What is denied for that table stands already, by
    -- the rule of denied_below.
    SELECT a.target INTO above FROM postrider.webhook_attachments AS a
    WHERE a.target <> target AND a.target IN (SELECT postrider.with_ancestors(target))
      AND column_name <> ALL (postrider.denied_columns(a.target))
      AND (column_name || path) NOT IN (SELECT postrider.denied_paths(a.target))
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'the rows of % are sent by an attachment of %', target, above USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = CASE WHEN column_name = ANY (postrider.column_names(above)) THEN format('Deny the column for %s.', above)
                        ELSE format('%s has no such column: give NULL for the table to deny the name for every table.', above) END;
    END IF;
    -- After a restore the place of before means nothing.
    DELETE FROM postrider.webhook_denied_columns AS d
    WHERE d.target = target AND d.column_name = column_name AND d.path = path AND d.place IS DISTINCT FROM place;
    INSERT INTO postrider.webhook_denied_columns (target, column_name, path, place)
    VALUES (target, column_name, path, place)
    ON CONFLICT ON CONSTRAINT denied_once DO NOTHING;
    RETURN postrider.rebuild_for_denied(target, column_name);
END
$$;
COMMENT ON FUNCTION postrider.deny_column(regclass, text, text[]) IS
    'Attachments never send this column of a table (null: of any table), or the member of it that the further names lead to. Rebuilds attachments, which blocks writers of their tables until commit, and gives how many; refused when one cannot be, and for a partition of a table that is attached and sends it, which has to be named instead.';

CREATE FUNCTION postrider.allow_column(target regclass, column_name text, VARIADIC path text[] DEFAULT '{}') RETURNS integer
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    place text;
BEGIN
    PERFORM pg_advisory_xact_lock(7745, 1);
    DELETE FROM postrider.webhook_denied_columns AS d
    WHERE d.target IS NOT DISTINCT FROM target AND d.column_name = column_name AND d.path = path
    RETURNING d.place INTO place;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'column % is not denied for %', quote_ident(column_name), coalesce(target::text, 'every table')
            USING ERRCODE = 'undefined_object', HINT = 'SELECT * FROM postrider.webhook_denied_columns lists what is.';
    END IF;
    -- Denied under the name that it had, and rebuilt under the one that it has.
    RETURN postrider.rebuild_for_denied(target, coalesce(
        (SELECT c.attname::text FROM pg_attribute AS c
         WHERE c.attrelid = target AND NOT c.attisdropped AND format('%s.%s', c.attrelid, c.attnum) = place), column_name));
END
$$;
COMMENT ON FUNCTION postrider.allow_column(regclass, text, text[]) IS
    'Takes back deny_column, and rebuilds attachments; gives how many. An attachment that named the column among its columns must name it again.';

-- Attachments: what is wrong with them ------------------------------------------------------------------------------------

CREATE VIEW postrider.webhook_attachment_check WITH (security_invoker = true) AS
WITH live AS (
    SELECT a.*, c.relname IS NOT NULL AS exists,
           CASE WHEN c.relname IS NOT NULL THEN format('%I.%I', n.nspname, c.relname) END AS current_name
    FROM postrider.webhook_attachments AS a
    LEFT JOIN pg_catalog.pg_class AS c ON c.oid = a.target
    LEFT JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
), names AS (
    SELECT format('%I.%I', n.nspname, c.relname) AS name
    FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p', 'v')
), trigger_functions AS (
    -- Any producer may make functions there; those with arguments are no triggers, whatever their names.
    SELECT a.id AS attachment_id, p.proowner, p.prosrc FROM postrider.webhook_attachments AS a
    JOIN pg_catalog.pg_proc AS p ON p.pronamespace = 'postrider_attached'::regnamespace AND p.proname = format('webhook_%s', a.id)
                                AND p.pronargs = 0
), wanted AS (
    SELECT a.id, r.relation, o.operation
    FROM live AS a
    CROSS JOIN LATERAL postrider.with_descendants(a.target) AS r (relation)
    CROSS JOIN LATERAL unnest(a.operations || CASE WHEN 'delete' = ANY (a.operations) THEN '{truncate}'::text[] END) AS o (operation)
    WHERE a.exists AND (o.operation <> 'truncate' OR r.relation = a.target OR NOT 'truncate' = ANY (a.operations))
), found AS (
    SELECT id, NULL::regclass AS relation, NULL::text AS operation,
           'the table was dropped' || CASE WHEN table_name IN (SELECT name FROM names) THEN '; another one has its name' ELSE '' END
               AS problem, NULL::text AS cure
    FROM live WHERE NOT exists
    UNION ALL
    SELECT id, target, NULL,
           CASE WHEN table_name IN (SELECT name FROM names)
                    THEN 'the table was renamed; events still carry the old name, and what has it now is not attached by this'
                -- A row of nulls, where an expression names it: attachment_rows.
                WHEN (SELECT strpos(f.prosrc, format('(NULL::%s)', table_name)) > 0 FROM trigger_functions AS f WHERE f.attachment_id = live.id)
                    THEN 'statements that should make events fail: the table was renamed'
                ELSE 'the table was renamed; events still carry the old name' END, NULL
    FROM live WHERE current_name <> table_name
    UNION ALL
    -- What the new owner puts into the row, a cast of a type of its own for example, would run with the rights of the old one.
    SELECT a.id, a.target, NULL, 'the table has another owner; its events are made with the rights of the one before', NULL
    FROM live AS a
    JOIN pg_catalog.pg_class AS c ON c.oid = a.target
    JOIN trigger_functions AS f ON f.attachment_id = a.id
    WHERE f.proowner <> c.relowner
    UNION ALL
    SELECT a.id, a.target, NULL, 'statements that should make events fail: ' || t.fault, NULL
    FROM postrider.webhook_attachments AS a
    CROSS JOIN LATERAL (SELECT postrider.attachment_fault(a) AS fault) AS t
    WHERE t.fault IS NOT NULL AND a.id IN (SELECT id FROM live WHERE exists)
    UNION ALL
    SELECT a.id, a.target, NULL, format('column %I is new and not sent', c), NULL
    FROM live AS a CROSS JOIN LATERAL unnest(postrider.column_names(a.target)) AS c
    WHERE a.exists AND a.columns IS NULL AND c <> ALL (a.sent_columns) AND c <> ALL (coalesce(a.except_columns, '{}'))
      AND c <> ALL (postrider.denied_columns(a.target))
    UNION ALL
    SELECT a.id, a.target, NULL, format('column %I is denied and still sent', c), NULL
    FROM live AS a CROSS JOIN LATERAL unnest(postrider.column_names(a.target)) AS c
    WHERE a.exists AND c = ANY (postrider.denied_columns(a.target)) AND (a.sent_columns IS NULL OR c = ANY (a.sent_columns))
    UNION ALL
    -- Postgres does not ask anybody before it makes a table with denials of its own a partition of one that is attached.
    SELECT a.id, b.relation, NULL, format('column %I is denied for %s and still sent', b.column_name, b.relation),
           format('SELECT postrider.deny_column(%L%s);', a.current_name,
                  (SELECT string_agg(format(', %L', p.name), '' ORDER BY p.place)
                   FROM unnest(b.column_name || b.path) WITH ORDINALITY AS p (name, place)))
    FROM live AS a CROSS JOIN LATERAL postrider.denied_below(a.target) AS b
    WHERE a.exists AND b.column_name = ANY (coalesce(a.sent_columns, postrider.column_names(a.target)))
    UNION ALL
    SELECT DISTINCT w.id, w.relation, w.operation, CASE WHEN t.oid IS NULL THEN 'the trigger is missing'
                                               ELSE 'the trigger is disabled' END, NULL
    FROM wanted AS w
    LEFT JOIN pg_catalog.pg_trigger AS t
        ON t.tgrelid = w.relation AND t.tgname = format('webhook_%s_%s', w.id, w.operation)
    WHERE t.oid IS NULL OR t.tgenabled IN ('D', 'R')
)
SELECT a.id AS attachment_id, a.table_name, a.name, f.relation::text AS relation, f.operation, f.problem,
       CASE WHEN f.cure IS NOT NULL THEN f.cure
            WHEN f.problem = 'the trigger is disabled'
                THEN format('ALTER TABLE %s ENABLE TRIGGER %I;', f.relation, format('webhook_%s_%s', a.id, f.operation))
            WHEN f.relation IS NULL THEN 'SELECT postrider.refresh_attachments();'
            ELSE format('SELECT postrider.refresh_attachments(%L);', a.current_name) END AS cure
FROM found AS f JOIN live AS a ON a.id = f.id;
COMMENT ON VIEW postrider.webhook_attachment_check IS
    'What is wrong with attachments, one row for each fault; no row when all is well.';
COMMENT ON COLUMN postrider.webhook_attachment_check.attachment_id IS 'webhook_attachments.id.';
COMMENT ON COLUMN postrider.webhook_attachment_check.table_name IS 'The table as it was attached.';
COMMENT ON COLUMN postrider.webhook_attachment_check.name IS 'Name of the attachment.';
COMMENT ON COLUMN postrider.webhook_attachment_check.relation IS 'The table or partition at fault; null when it was dropped.';
COMMENT ON COLUMN postrider.webhook_attachment_check.operation IS 'Operation whose trigger is at fault; null when it is not a trigger.';
COMMENT ON COLUMN postrider.webhook_attachment_check.problem IS 'What is wrong.';
COMMENT ON COLUMN postrider.webhook_attachment_check.cure IS 'The statement that mends it.';

INSERT INTO postrider.webhook_migrations (version, name) VALUES (3, 'producing');

"""#, down: #"""
-- Undoes 0003. Every attachment ends: tables make no events any more. Events that exist stay.
SELECT postrider.drop_truncate_guards(id) FROM postrider.webhook_attachments;
DROP VIEW postrider.webhook_attachment_check;
DROP SCHEMA postrider_attached CASCADE;
DROP FUNCTION postrider.attach(regclass, text, text[], text, text, text[], text[], text, text, text, text, text, text, boolean, text),
    postrider.detach(regclass, text), postrider.deny_column(regclass, text, text[]),
    postrider.allow_column(regclass, text, text[]), postrider.rebuild_for_denied(regclass, text),
    postrider.refresh_attachments(regclass),
    postrider.build_attachment(postrider.webhook_attachments),
    postrider.create_attachment_triggers(postrider.webhook_attachments), postrider.drop_truncate_guards(integer),
    postrider.refuse_truncate(), postrider.check_attachment(postrider.webhook_attachments, boolean),
    postrider.attachment_fault(postrider.webhook_attachments), postrider.try_attachment(postrider.webhook_attachments, boolean),
    postrider.refuse_words_of_another(postrider.webhook_attachments), postrider.without_expressions(postrider.webhook_attachments),
    postrider.has_types_of_others(regclass), postrider.has_function_of_owner(postrider.webhook_attachments),
    postrider.check_producer_rights(regclass, name), postrider.check_attachable(regclass),
    postrider.attachment_columns(regclass, text[], text[]),
    postrider.attachment_body(postrider.webhook_attachments),
    postrider.attachment_select(postrider.webhook_attachments, text),
    postrider.attachment_constant(text, text),
    postrider.attachment_document(postrider.webhook_attachments, text, text),
    postrider.attachment_rows(postrider.webhook_attachments, text),
    postrider.attachment_marker(postrider.webhook_attachments),
    postrider.attachment_uses_old(postrider.webhook_attachments),
    postrider.attachment_key(postrider.webhook_attachments, text),
    postrider.attachment_value(postrider.webhook_attachments, text, text);
DROP FUNCTION postrider.denied_below(regclass), postrider.without_path(jsonb, text[]), postrider.denied_paths(regclass),
    postrider.denied_columns(regclass);
DROP TABLE postrider.webhook_attachments, postrider.webhook_denied_columns;
DROP FUNCTION postrider.json_columns(regclass), postrider.column_names(regclass), postrider.with_descendants(regclass),
    postrider.with_ancestors(regclass), postrider.emit(text, jsonb, text, text, text, text, integer, text, text),
    postrider.checked_event_type(text, text);

DELETE FROM postrider.webhook_migrations WHERE version = 3;

"""#),
        (version: 4, name: "isolation", up: #"""
-- Postrider 0004: isolation. A destination that is down costs the others nothing: breakers, automatic disabling, an
-- ordered drain when a destination is active again.
--
-- A destination that works has no row here, so the success path pays nothing. Workers write a row when a destination
-- has failed many times in a row, and remove it with the first success. The wait doubles from one second to a minute;
-- after it one worker, chosen by the row, sends one delivery as a probe.

CREATE TABLE postrider.webhook_breakers (
    destination_id  integer     NOT NULL,
    failing_since   timestamptz NOT NULL DEFAULT clock_timestamp(),
    trips           integer     NOT NULL DEFAULT 0,
    open_until      timestamptz NOT NULL DEFAULT '-infinity',
    failure         text,
    probe_worker_id bigint,
    probe_until     timestamptz,
    CONSTRAINT webhook_breakers_pkey PRIMARY KEY (destination_id),
    CONSTRAINT webhook_breakers_destination_fkey FOREIGN KEY (destination_id)
        REFERENCES postrider.webhook_destinations (id) ON DELETE CASCADE
) WITH (fillfactor = 50);
COMMENT ON TABLE postrider.webhook_breakers IS
    'Destinations that fail, or asked for a pause, now. A success removes the row; a destination without a row is well.';
COMMENT ON COLUMN postrider.webhook_breakers.destination_id IS 'The destination.';
COMMENT ON COLUMN postrider.webhook_breakers.failing_since IS 'Since when there has been nothing but failure.';
COMMENT ON COLUMN postrider.webhook_breakers.trips IS
    'How often the breaker has opened since then; 0 while failures are counted and deliveries are still sent.';
COMMENT ON COLUMN postrider.webhook_breakers.open_until IS
    'Nothing is sent before this time; afterwards, when trips > 0, one delivery as a probe. Also set by Retry-After.';
COMMENT ON COLUMN postrider.webhook_breakers.failure IS 'Class of the last failure that was reported.';
COMMENT ON COLUMN postrider.webhook_breakers.probe_worker_id IS 'The worker that may send a probe; null when none does.';
COMMENT ON COLUMN postrider.webhook_breakers.probe_until IS 'Until when it may; then another may try.';

CREATE FUNCTION postrider.breaker_wait(trips integer) RETURNS interval LANGUAGE sql VOLATILE STRICT AS $$
    SELECT least(power(2, least(trips, 30) - 1), 60) * (0.9 + random() * 0.2) * interval '1 second'
$$;
COMMENT ON FUNCTION postrider.breaker_wait(integer) IS
    'How long a breaker stays open that has opened so many times: 1, 2, 4 … 60 seconds, a tenth more or less.';

ALTER TABLE postrider.webhook_destinations
    ADD COLUMN disable_after_s integer NOT NULL DEFAULT 432000,
    ADD CONSTRAINT disable_after_is_not_negative CHECK (disable_after_s >= 0);
COMMENT ON COLUMN postrider.webhook_destinations.disable_after_s IS
    'After so many seconds of nothing but failure it is made inactive; 0 for never; default 432000 (5 days).';

-- What was parked becomes due in the order of its events: what is due longest is claimed first, so each delivery is due
-- since its event was made, by the milliseconds and the 4,096th parts of one in its id. The breaker starts afresh.
-- Dead letters of a deleted one can be sent by nobody: left as they are they would keep their weeks for ever.
CREATE OR REPLACE FUNCTION postrider.webhook_destination_switched() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    given_up bigint;
BEGIN
    DELETE FROM postrider.webhook_breakers WHERE destination_id = NEW.id;
    IF NEW.deleted_at IS NOT NULL THEN
        DELETE FROM postrider.webhook_retries WHERE destination_id = NEW.id;
        GET DIAGNOSTICS given_up = ROW_COUNT;
        -- For whoever deletes and tells of it, until the transaction ends. Counted before or after it would be another
        -- number: workers write retries meanwhile.
        PERFORM set_config('postrider.given_up', given_up::text, true);
        UPDATE postrider.webhook_dead_letters SET archived_at = clock_timestamp()
        WHERE destination_id = NEW.id AND archived_at IS NULL AND NOT is_critical;
    ELSE
        UPDATE postrider.webhook_retries SET due_at = postrider.event_id_time(event_id)
            + ('x' || substr(event_id::text, 16, 3))::bit(12)::integer / 4096.0 * interval '1 millisecond'
        WHERE destination_id = NEW.id AND due_at = 'infinity' AND ordering_key IS NULL;
        PERFORM pg_notify('postrider_wake', 'retries');
    END IF;
    RETURN NULL;
END
$$;

-- What is known of one address says nothing of another.
CREATE FUNCTION postrider.webhook_destination_moved() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM postrider.webhook_breakers WHERE destination_id = NEW.id;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION postrider.webhook_destination_moved() IS 'Trigger: forgets the failures and the pause of a destination whose URL changed.';
CREATE TRIGGER webhook_destination_moved AFTER UPDATE OF url ON postrider.webhook_destinations
    FOR EACH ROW WHEN (NEW.url <> OLD.url) EXECUTE FUNCTION postrider.webhook_destination_moved();

-- The views show new columns last: CREATE OR REPLACE VIEW cannot put it elsewhere.
CREATE OR REPLACE VIEW postrider.webhook_endpoints WITH (security_invoker = true) AS
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
       d.updated_at, d.id AS destination_id, d.disable_after_s, d.options
FROM postrider.webhook_destinations AS d
WHERE d.kind = 'endpoint' AND d.deleted_at IS NULL;

CREATE OR REPLACE VIEW postrider.n8n_workflows WITH (security_invoker = true) AS
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
       d.updated_at, d.id AS destination_id, d.disable_after_s, d.options
FROM postrider.webhook_destinations AS d
WHERE d.kind = 'n8n' AND d.deleted_at IS NULL;
COMMENT ON COLUMN postrider.webhook_endpoints.disable_after_s IS
    'After so many seconds of nothing but failure it is made inactive; 0 for never; default 432000 (5 days).';
COMMENT ON COLUMN postrider.n8n_workflows.disable_after_s IS
    'After so many seconds of nothing but failure it is made inactive; 0 for never; default 432000 (5 days).';
COMMENT ON COLUMN postrider.webhook_endpoints.options IS 'What only some endpoints use, a JSON object: docs/options.md.';
COMMENT ON COLUMN postrider.n8n_workflows.options IS 'What only some workflows use, a JSON object: docs/options.md.';

CREATE OR REPLACE VIEW postrider.webhook_destination_status WITH (security_invoker = true) AS
SELECT d.public_id AS id, d.kind, d.name, d.is_active, d.inactive_reason,
       coalesce(t.succeeded, 0)::bigint AS success_count, coalesce(t.failed, 0)::bigint AS failure_count,
       coalesce(r.due, 0) AS retries_due, coalesce(r.later, 0) AS retries_later, coalesce(r.parked, 0) AS retries_parked, r.next_at AS next_retry_at,
       coalesce(l.dead, 0) AS dead_letters, l.last_dead_at, d.id AS destination_id,
       CASE WHEN b.destination_id IS NULL THEN 'closed' WHEN b.open_until > clock_timestamp() THEN 'open'
            WHEN b.trips > 0 THEN 'half-open' ELSE 'closed' END AS breaker,
       b.failing_since, CASE WHEN b.open_until > clock_timestamp() THEN b.open_until END AS open_until
FROM postrider.webhook_destinations AS d
LEFT JOIN (SELECT destination_id, sum(succeeded) AS succeeded, sum(failed) AS failed
           FROM postrider.webhook_tallies GROUP BY destination_id) AS t ON t.destination_id = d.id
LEFT JOIN (SELECT destination_id, count(*) FILTER (WHERE due_at <= clock_timestamp()) AS due,
                  count(*) FILTER (WHERE due_at > clock_timestamp() AND due_at < 'infinity') AS later,
                  count(*) FILTER (WHERE due_at = 'infinity' AND ordering_key IS NULL) AS parked, nullif(min(due_at), 'infinity') AS next_at
           FROM postrider.webhook_retries GROUP BY destination_id) AS r ON r.destination_id = d.id
LEFT JOIN (SELECT destination_id, count(*) AS dead, max(dead_at) AS last_dead_at
           FROM postrider.webhook_dead_letters WHERE archived_at IS NULL GROUP BY destination_id) AS l ON l.destination_id = d.id
LEFT JOIN postrider.webhook_breakers AS b ON b.destination_id = d.id
WHERE d.deleted_at IS NULL;
COMMENT ON COLUMN postrider.webhook_destination_status.breaker IS
    'closed: it is sent to; open: nothing is sent before open_until; half-open: one delivery is tried.';
COMMENT ON COLUMN postrider.webhook_destination_status.failing_since IS
    'Since when there has been nothing but failure; null when it is well.';
COMMENT ON COLUMN postrider.webhook_destination_status.open_until IS 'When the next delivery is tried; null unless open.';

INSERT INTO postrider.webhook_migrations (version, name) VALUES (4, 'isolation');

"""#, down: #"""
-- Undoes 0004. Lost: which destinations fail now, and each destination's disable_after_s.
DROP VIEW postrider.webhook_destination_status;
DROP VIEW postrider.n8n_workflows, postrider.webhook_endpoints;
CREATE OR REPLACE FUNCTION postrider.webhook_destination_switched() RETURNS trigger LANGUAGE plpgsql AS $$
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
DROP TRIGGER webhook_destination_moved ON postrider.webhook_destinations;
DROP FUNCTION postrider.webhook_destination_moved(), postrider.breaker_wait(integer);
DROP TABLE postrider.webhook_breakers;
ALTER TABLE postrider.webhook_destinations DROP COLUMN disable_after_s;

-- The views as 0002 made them.
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

DELETE FROM postrider.webhook_migrations WHERE version = 4;

"""#),
        (version: 5, name: "settlements", up: #"""
-- Postrider 0005: settlements. What a worker records is recorded once, also when the answer to its COMMIT is lost.
--
-- A transaction that records begins with the question whether it has been here before. Sent again after a lost
-- connection, a settlement that was committed is refused; one that is still on its way in an old session is waited for,
-- or refused itself when it comes late. A settlement is one transaction, so one of its attempts tells of all of it: the
-- question is one probe of an index, and nothing is written. Only what holds no attempt, such as deliveries that were
-- put back unsent, leaves its number in a table.

CREATE TABLE postrider.webhook_settlements (
    worker_id bigint NOT NULL,
    number    bigint NOT NULL,
    CONSTRAINT webhook_settlements_pkey PRIMARY KEY (worker_id)
) WITH (fillfactor = 20, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
COMMENT ON TABLE postrider.webhook_settlements IS
    'The last settlement of each worker that held no attempt: a batch that it recorded in one transaction.';
COMMENT ON COLUMN postrider.webhook_settlements.worker_id IS 'The worker.';
COMMENT ON COLUMN postrider.webhook_settlements.number IS 'The number of that settlement, from 1.';

CREATE FUNCTION postrider.begin_settlement(
    worker bigint, this_number bigint, event uuid, destination integer, attempt smallint, duration integer
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    is_recorded boolean;
BEGIN
    -- An earlier transaction of this worker, whose answer was lost, ends first. What follows sees what it left: in a
    -- volatile function each statement has a snapshot of its own.
    PERFORM pg_catalog.pg_advisory_xact_lock(7744, (worker & 2147483647)::integer);
    IF event IS NULL THEN
        INSERT INTO postrider.webhook_settlements AS s (worker_id, number) VALUES (worker, this_number)
        ON CONFLICT (worker_id) DO UPDATE SET number = excluded.number WHERE s.number < excluded.number;
        is_recorded := NOT FOUND;
    ELSE
        -- The duration in microseconds tells apart two attempts of one number, such as an event that a replay and its
        -- own retry sent at once.
        is_recorded := EXISTS (
            SELECT FROM postrider.webhook_attempts AS a
            WHERE a.event_id = event AND a.destination_id = destination AND a.attempt_number = attempt
              AND a.worker_id = worker AND a.duration_us = duration);
    END IF;
    IF is_recorded THEN
        RAISE EXCEPTION 'settlement % of worker % is recorded already', this_number, worker USING ERRCODE = 'WH001';
    END IF;
END
$$;
COMMENT ON FUNCTION postrider.begin_settlement(bigint, bigint, uuid, integer, smallint, integer) IS
    'Begins the transaction that records a settlement; raises WH001 when it is recorded already.';

INSERT INTO postrider.webhook_migrations (version, name) VALUES (5, 'settlements');

"""#, down: #"""
-- Undoes 0005. Stop the workers first: they begin what they record with it. No delivery is lost.
DROP FUNCTION postrider.begin_settlement(bigint, bigint, uuid, integer, smallint, integer);
DROP TABLE postrider.webhook_settlements;

DELETE FROM postrider.webhook_migrations WHERE version = 5;

"""#),
        (version: 6, name: "secrets", up: #"""
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

"""#, down: #"""
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

"""#),
        (version: 7, name: "roles", up: #"""
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

"""#, down: #"""
-- Undoes 0007. Everybody who has the schema may call its functions again, and no row is hidden. Roles that have members, or
-- that another database of this server uses, stay.
DROP POLICY writers ON postrider.webhook_event_log;
DROP POLICY own_tables_inserted ON postrider.webhook_attachments;
DROP POLICY own_tables_updated ON postrider.webhook_attachments;
DO $$
DECLARE
    item record;
BEGIN
    FOR item IN SELECT p.polname, p.polrelid::regclass AS target FROM pg_policy AS p
                JOIN pg_class AS c ON c.oid = p.polrelid
                WHERE c.relnamespace = 'postrider'::regnamespace
                  AND (p.polname = 'owner' OR p.polname IN (SELECT g.role_name FROM postrider.webhook_grants AS g)) LOOP
        EXECUTE format('DROP POLICY %I ON %s', item.polname, item.target);
    END LOOP;
    FOR item IN SELECT c.oid::regclass AS target FROM pg_class AS c
                WHERE c.relnamespace = 'postrider'::regnamespace AND c.relforcerowsecurity LOOP
        EXECUTE format('ALTER TABLE %s DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY', item.target);
    END LOOP;
    FOR item IN SELECT DISTINCT g.role_name FROM postrider.webhook_grants AS g ORDER BY 1 LOOP
        CONTINUE WHEN to_regrole(item.role_name) IS NULL;
        EXECUTE format('REVOKE ALL ON SCHEMA postrider, postrider_attached FROM %I', item.role_name);
        EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA postrider FROM %I', item.role_name);
        EXECUTE format('REVOKE ALL ON ALL FUNCTIONS IN SCHEMA postrider FROM %I', item.role_name);
        IF EXISTS (SELECT FROM pg_auth_members AS m WHERE m.roleid = to_regrole(item.role_name)
                   -- Since Postgres 16 whoever makes a role without being a superuser is a member of it, one that cannot use it.
                   AND coalesce((to_jsonb(m) ->> 'inherit_option')::boolean OR (to_jsonb(m) ->> 'set_option')::boolean, true)) THEN
            RAISE NOTICE 'role % stays: it has members', item.role_name;
            CONTINUE;
        END IF;
        BEGIN
            EXECUTE format('DROP ROLE %I', item.role_name);
        EXCEPTION WHEN OTHERS THEN
            -- Used elsewhere, not ours to drop, or dropped by somebody else just now: all the same to this database.
            RAISE NOTICE 'role % stays: %', item.role_name, SQLERRM;
        END;
    END LOOP;
END
$$;
DROP FUNCTION postrider.create_roles(), postrider.role_setup(), postrider.grant_roles(),
    postrider.shown_columns(regclass, text[]),
    postrider.add_policy(regclass, text, name, text, text), postrider.add_grants(text, text, text, text[]);
DROP TABLE postrider.webhook_grants;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA postrider TO PUBLIC;

DELETE FROM postrider.webhook_migrations WHERE version = 7;

"""#),
        (version: 8, name: "gates", up: #"""
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

"""#, down: #"""
-- Undoes 0008. Destinations stay; what is refused is what 0002 refuses.
DROP TRIGGER webhook_destination_gate ON postrider.webhook_destinations;
DROP FUNCTION postrider.webhook_destination_gate();
CREATE OR REPLACE FUNCTION postrider.check_destination(d postrider.webhook_destinations, was postrider.webhook_destinations DEFAULT NULL)
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
DROP FUNCTION postrider.call_transform(text, jsonb, jsonb), postrider.forbid_transform(text), postrider.allow_transform(text),
    postrider.transform_name(text), postrider.transform_fault(text);
DROP TABLE postrider.webhook_transforms;
DELETE FROM postrider.webhook_grants WHERE object IN ('webhook_transforms', 'call_transform', 'transform_fault', 'transform_name');
DROP FUNCTION postrider.header_fault(jsonb), postrider.option_fault(jsonb), postrider.pattern_fault(text[]), postrider.name_fault(text),
    postrider.url_fault(text), postrider.is_ipv6(text), postrider.is_ipv4(text), postrider.names_settings(text),
    postrider.is_reference(jsonb), postrider.has_members(jsonb, text[]),
    postrider.waits_fault(bigint, bigint, float8, bigint[]), postrider.statuses_fault(text),
    postrider.sent_header_fault(jsonb, jsonb), postrider.header_names(jsonb);

DELETE FROM postrider.webhook_migrations WHERE version = 8;

"""#),
        (version: 9, name: "retention", up: #"""
-- Postrider 0009: retention. Events, attempts and payloads each have an age, and nothing goes that is still needed.
--
-- An event is unfinished while it stands in the queue, in a claim, in the retries (parked ones too) or in the dead
-- letters that are not archived. One rule serves all three: what belongs to an unfinished event stays, however old it is.
--
-- A week that is older than its age is emptied by TRUNCATE, which locks that one partition and never a producer. Emptied
-- weeks are folded into one partition "earlier", open to the past: that locks the parent, for at most 200 ms of waiting,
-- and is tried again a minute later. So every id always has a partition. A week in which events are unfinished is
-- thinned row by row instead.

CREATE TABLE postrider.webhook_retention (
    one_row       boolean     NOT NULL DEFAULT true,
    keep_events   interval DEFAULT '90 days',
    keep_attempts interval DEFAULT '30 days',
    keep_payloads interval,
    upkeep_at     timestamptz NOT NULL DEFAULT '-infinity',
    attempts_gone_to uuid,
    CONSTRAINT webhook_retention_pkey PRIMARY KEY (one_row),
    CONSTRAINT there_is_one_row CHECK (one_row),
    CONSTRAINT ages_are_positive CHECK (least(keep_events, keep_attempts, keep_payloads) > interval '0'),
    CONSTRAINT attempts_are_not_kept_longer_than_events CHECK (keep_attempts <= keep_events),
    CONSTRAINT payloads_are_not_kept_longer_than_events CHECK (keep_payloads <= keep_events)
);
INSERT INTO postrider.webhook_retention DEFAULT VALUES;
COMMENT ON TABLE postrider.webhook_retention IS
    'One row: how long events, attempts and payloads are kept; by default 90 days, 30 days, and as long as the events. Nulls delete nothing. Whole weeks go at a time.';
COMMENT ON COLUMN postrider.webhook_retention.keep_events IS 'Age at which settled events go, with their attempts; null for never; default 90 days.';
COMMENT ON COLUMN postrider.webhook_retention.keep_attempts IS 'Age at which attempts of settled events go; null for as long as the events; default 30 days.';
COMMENT ON COLUMN postrider.webhook_retention.keep_payloads IS 'Age at which data of settled events is replaced by a marker; null for as long as the events.';
COMMENT ON COLUMN postrider.webhook_retention.upkeep_at IS 'When a worker last began a round of upkeep.';
COMMENT ON COLUMN postrider.webhook_retention.attempts_gone_to IS
    'Attempts of events before this id have been removed, all or some; null while none have. It never goes back.';
COMMENT ON COLUMN postrider.webhook_retention.one_row IS 'Always true: there is one row.';

CREATE TABLE postrider.webhook_retention_progress (
    partition   text   NOT NULL,
    task        text   NOT NULL,
    done_to     uuid,
    removed     bigint NOT NULL DEFAULT 0,
    left_over   bigint NOT NULL DEFAULT 0,
    finished_at timestamptz,
    CONSTRAINT webhook_retention_progress_pkey PRIMARY KEY (partition, task),
    CONSTRAINT task_is_thin_or_payloads CHECK (task IN ('thin', 'payloads'))
);
COMMENT ON TABLE postrider.webhook_retention_progress IS
    'How far weeks are that cannot be emptied at once: rows are removed, or payloads, in batches.';
COMMENT ON COLUMN postrider.webhook_retention_progress.partition IS 'The partition.';
COMMENT ON COLUMN postrider.webhook_retention_progress.task IS 'thin: rows of settled events are deleted. payloads: their data is replaced by a marker.';
COMMENT ON COLUMN postrider.webhook_retention_progress.done_to IS 'The last event that was looked at; null at the beginning.';
COMMENT ON COLUMN postrider.webhook_retention_progress.removed IS 'Rows deleted, or payloads removed, in all.';
COMMENT ON COLUMN postrider.webhook_retention_progress.left_over IS 'Rows that this pass left alone because their event is unfinished.';
COMMENT ON COLUMN postrider.webhook_retention_progress.finished_at IS
    'When the last pass reached the end; a week with left_over is passed through again after a day. Null during a pass.';

CREATE FUNCTION postrider.partitions(parent text) RETURNS TABLE (name text, lower_id uuid, upper_id uuid)
    LANGUAGE sql STABLE STRICT AS $$
    SELECT c.relname::text, substring(b.bound FROM 'FROM \(''([^'']*)''')::uuid, substring(b.bound FROM 'TO \(''([^'']*)''')::uuid
    FROM pg_catalog.pg_inherits AS i
    JOIN pg_catalog.pg_class AS c ON c.oid = i.inhrelid, LATERAL (SELECT pg_get_expr(c.relpartbound, c.oid) AS bound) AS b
    WHERE i.inhparent = to_regclass(format('postrider.%I', parent)) AND NOT i.inhdetachpending
    ORDER BY 2 NULLS FIRST
$$;
COMMENT ON FUNCTION postrider.partitions(text) IS
    'The partitions of webhook_event_log or webhook_attempts, oldest first; an open bound is null, upper_id does not belong to it.';

-- All four tables are read by one statement, in one snapshot: an event moves between them within a transaction, so a
-- snapshot shows it in at least one. Queue rows hold their ids ascending, so none that begins later can hold an older one.
CREATE FUNCTION postrider.unfinished_events(from_id uuid, to_id uuid) RETURNS SETOF uuid LANGUAGE sql STABLE AS $$
    SELECT u.id FROM postrider.webhook_queue AS q, LATERAL unnest(q.id || coalesce(q.more, '{}')) AS u (id)
    WHERE q.priority IN (0, 1, 2) AND q.id <= to_id
      AND u.id BETWEEN coalesce(from_id, '00000000-0000-0000-0000-000000000000') AND to_id
    UNION ALL
    SELECT u.id FROM postrider.webhook_claims AS c, LATERAL unnest(c.event_ids) AS u (id)
    WHERE u.id BETWEEN coalesce(from_id, '00000000-0000-0000-0000-000000000000') AND to_id
    UNION ALL
    SELECT r.event_id FROM postrider.webhook_retries AS r
    WHERE r.event_id BETWEEN coalesce(from_id, '00000000-0000-0000-0000-000000000000') AND to_id
    UNION ALL
    SELECT l.event_id FROM postrider.webhook_dead_letters AS l
    WHERE l.archived_at IS NULL AND l.event_id BETWEEN coalesce(from_id, '00000000-0000-0000-0000-000000000000') AND to_id
$$;
COMMENT ON FUNCTION postrider.unfinished_events(uuid, uuid) IS
    'Events from one id (null: the first) to another that wait, are in flight, will be tried again or are dead letters that are not archived; may repeat.';

CREATE FUNCTION postrider.removed_payload() RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT '{"postrider": "payload removed"}'::jsonb
$$;
COMMENT ON FUNCTION postrider.removed_payload() IS 'What stands in data of an event whose payload was removed.';

-- The size comes first: comparing would fetch and unpack every large payload.
CREATE FUNCTION postrider.is_removed(data jsonb) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN pg_column_size(data) < 100 THEN data = postrider.removed_payload() ELSE false END
$$;
COMMENT ON FUNCTION postrider.is_removed(jsonb) IS 'Whether this is the marker of a removed payload.';

CREATE FUNCTION postrider.expiry(what text) RETURNS uuid LANGUAGE sql VOLATILE STRICT AS $$
    SELECT postrider.event_id_at(clock_timestamp() - CASE what
        WHEN 'webhook_event_log' THEN r.keep_events
        WHEN 'webhook_attempts' THEN least(r.keep_attempts, r.keep_events)
        WHEN 'payloads' THEN r.keep_payloads END)
    FROM postrider.webhook_retention AS r
$$;
COMMENT ON FUNCTION postrider.expiry(text) IS
    'What of webhook_event_log, webhook_attempts or payloads is older than this id may go; null for nothing.';

-- What there is to do ---------------------------------------------------------------------------------------------------

CREATE FUNCTION postrider.has_rows(partition text) RETURNS boolean LANGUAGE plpgsql STABLE STRICT AS $$
DECLARE
    found boolean;
BEGIN
    EXECUTE format('SELECT EXISTS (SELECT FROM postrider.%I)', partition) INTO found;
    RETURN found;
END
$$;
COMMENT ON FUNCTION postrider.has_rows(text) IS 'Whether a partition holds a row.';

-- Counting is for small partitions; a large one has been analyzed.
CREATE FUNCTION postrider.count_rows(partition text) RETURNS bigint LANGUAGE plpgsql STABLE STRICT AS $$
DECLARE
    place regclass := to_regclass(format('postrider.%I', partition));
    rows  bigint := (SELECT greatest(c.reltuples, 0) FROM pg_catalog.pg_class AS c WHERE c.oid = place);
BEGIN
    IF pg_relation_size(place) < 8388608 THEN
        EXECUTE format('SELECT count(*) FROM postrider.%I', partition) INTO rows;
    END IF;
    RETURN rows;
END
$$;
COMMENT ON FUNCTION postrider.count_rows(text) IS 'Rows of a partition: counted below 8 MiB, estimated above.';

CREATE FUNCTION postrider.retention_plan()
    RETURNS TABLE (task text, partition text, parent text, to_time timestamptz, row_count bigint, unfinished bigint)
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    WITH due AS MATERIALIZED (
        SELECT p.name, w.parent, p.lower_id, p.upper_id, w.place,
               p.upper_id <= postrider.expiry(w.parent) AS is_expired
        FROM (VALUES ('webhook_attempts', 1), ('webhook_event_log', 2)) AS w (parent, place),
             LATERAL postrider.partitions(w.parent) AS p
        WHERE p.upper_id <= postrider.expiry(w.parent)
           OR w.parent = 'webhook_event_log' AND p.upper_id <= postrider.expiry('payloads')
    ), judged AS MATERIALIZED (
        SELECT d.*, f.unfinished,
               CASE WHEN d.is_expired AND f.unfinished = 0 THEN 'empty' WHEN d.is_expired THEN 'thin' ELSE 'payloads' END AS task
        FROM due AS d, LATERAL (
            SELECT count(*) AS unfinished
            FROM (SELECT FROM postrider.unfinished_events(d.lower_id, d.upper_id) LIMIT 100000) AS u
        ) AS f
        WHERE postrider.has_rows(d.name)
    )
    SELECT j.task, j.name, j.parent, postrider.event_id_time(j.upper_id), postrider.count_rows(j.name), j.unfinished
    FROM judged AS j
    WHERE NOT EXISTS (SELECT FROM postrider.webhook_retention_progress AS g
                      WHERE g.partition = j.name AND g.task = j.task
                        AND (g.finished_at BETWEEN clock_timestamp() - interval '1 day' AND clock_timestamp() + interval '1 minute'
                             OR g.finished_at IS NOT NULL AND g.left_over = 0 AND j.task = 'payloads'))
    ORDER BY j.place, j.upper_id
$$;
COMMENT ON FUNCTION postrider.retention_plan() IS
    'What upkeep would do now, in order: empty (all rows of a week), thin (rows of settled events), payloads. unfinished counts to 100,000.';

-- Doing it --------------------------------------------------------------------------------------------------------------

-- The functions below run as their owner, take a partition by name, and look for themselves whether it may go: there is
-- no way to delete what the settings keep. Each gives null when another session does upkeep at the moment.
CREATE FUNCTION postrider.begin_upkeep() RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'upkeep needs read committed: it must see what others committed while it waited for a lock'
            USING ERRCODE = '25001';
    END IF;
    RETURN pg_catalog.pg_try_advisory_xact_lock(7743, 1);
END
$$;
COMMENT ON FUNCTION postrider.begin_upkeep() IS 'Part of upkeep: false when another session does it at the moment.';

CREATE FUNCTION postrider.expired_partition(wanted text, what text,
    OUT parent text, OUT id_column text, OUT lower_id uuid, OUT upper_id uuid) LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    SELECT w.parent, w.id_column, p.lower_id, p.upper_id INTO parent, id_column, lower_id, upper_id
    FROM (VALUES ('webhook_attempts', 'event_id'), ('webhook_event_log', 'id')) AS w (parent, id_column),
         LATERAL postrider.partitions(w.parent) AS p
    WHERE p.name = wanted AND (what = 'rows' OR w.parent = 'webhook_event_log');
    IF parent IS NULL THEN
        RAISE EXCEPTION '% is no partition that %', coalesce(wanted, 'null'),
            CASE what WHEN 'rows' THEN 'holds events or attempts' ELSE 'holds events' END USING ERRCODE = '22023';
    END IF;
    IF upper_id IS NULL OR NOT coalesce(upper_id <= postrider.expiry(CASE what WHEN 'rows' THEN parent ELSE what END), false) THEN
        RAISE EXCEPTION '% is not as old as webhook_retention wants', wanted USING ERRCODE = '22023';
    END IF;
END
$$;
COMMENT ON FUNCTION postrider.expired_partition(text, text) IS
    'Part of upkeep: a partition whose rows, or payloads, are all older than the settings keep; an error for any other.';

-- Who got an event can be asked of its attempts only: a backfill has to know of which they are gone.
CREATE FUNCTION postrider.remember_removal(parent text, upper_id uuid) RETURNS void LANGUAGE sql VOLATILE AS $$
    UPDATE postrider.webhook_retention AS r SET attempts_gone_to = upper_id
    WHERE parent = 'webhook_attempts' AND upper_id > coalesce(r.attempts_gone_to, '00000000-0000-0000-0000-000000000000')
$$;
COMMENT ON FUNCTION postrider.remember_removal(text, uuid) IS
    'Part of upkeep: notes that attempts of events before an id have been removed; rows of other tables are not noted.';

-- The lock comes first and the look second, in a later snapshot: whoever is using the week has then committed, and
-- whoever comes next finds it empty. A replay locks the rows of its events, so it cannot pass by unseen.
CREATE FUNCTION postrider.empty_partition(name text) RETURNS bigint
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '200ms' AS $$
DECLARE
    p       record;
    removed bigint;
    is_used boolean;
BEGIN
    IF NOT postrider.begin_upkeep() THEN
        RETURN NULL;
    END IF;
    -- Reading the bounds of a partition waits for whoever has it locked.
    p := postrider.expired_partition(name, 'rows');
    EXECUTE format('LOCK TABLE postrider.%I IN ACCESS EXCLUSIVE MODE', name);
    IF EXISTS (SELECT FROM postrider.unfinished_events(p.lower_id, p.upper_id)) THEN
        RETURN 0;
    END IF;
    removed := postrider.count_rows(name);
    is_used := postrider.has_rows(name);
    EXECUTE format('TRUNCATE postrider.%I', name);
    -- The count may be an estimate.
    IF is_used THEN
        PERFORM postrider.remember_removal(p.parent, p.upper_id);
    END IF;
    -- Archived ones go with their events.
    IF p.parent = 'webhook_event_log' THEN
        DELETE FROM postrider.webhook_dead_letters AS l
        WHERE l.event_id >= coalesce(p.lower_id, '00000000-0000-0000-0000-000000000000') AND l.event_id < p.upper_id
          AND l.archived_at IS NOT NULL;
    END IF;
    DELETE FROM postrider.webhook_retention_progress AS g WHERE g.partition = name;
    RETURN removed;
END
$$;
COMMENT ON FUNCTION postrider.empty_partition(text) IS
    'Empties an expired week; gives how many rows went: none when one of its events is unfinished, null when another session does upkeep.';

CREATE FUNCTION postrider.begin_pass(name text, of text) RETURNS postrider.webhook_retention_progress
    LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    progress postrider.webhook_retention_progress;
BEGIN
    INSERT INTO postrider.webhook_retention_progress AS g (partition, task) VALUES (name, of)
    ON CONFLICT (partition, task) DO UPDATE SET done_to = NULL, left_over = 0, finished_at = NULL
        -- A pass that will have ended was one of a clock that has gone back since.
        WHERE g.left_over > 0
          AND g.finished_at NOT BETWEEN clock_timestamp() - interval '1 day' AND clock_timestamp() + interval '1 minute';
    SELECT * INTO progress FROM postrider.webhook_retention_progress AS g WHERE g.partition = name AND g.task = of FOR UPDATE;
    RETURN progress;
END
$$;
COMMENT ON FUNCTION postrider.begin_pass(text, text) IS 'Part of upkeep: how far a pass through a week is; begins another after a day.';

-- Two statements: the first waits for whoever holds one of the rows, the second sees what they committed.
CREATE FUNCTION postrider.prune_batch(name text, of text, most integer, OUT pruned bigint, OUT finished boolean)
    LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    p        record := postrider.expired_partition(name, CASE of WHEN 'thin' THEN 'rows' ELSE of END);
    progress postrider.webhook_retention_progress := postrider.begin_pass(name, of);
    first_id uuid := coalesce(progress.done_to, '00000000-0000-0000-0000-000000000000');
    last_id  uuid;
    looked   bigint;
    kept     bigint;
BEGIN
    pruned := 0;
    finished := progress.finished_at IS NOT NULL;
    IF finished THEN
        RETURN;
    END IF;
    EXECUTE format('SELECT count(*), (array_agg(b.id ORDER BY b.id DESC))[1]
        FROM (SELECT %1$I AS id FROM postrider.%2$I WHERE %1$I > $1 ORDER BY %1$I LIMIT $2 FOR UPDATE) AS b',
        p.id_column, name) INTO looked, last_id USING first_id, most;
    EXECUTE format(CASE of WHEN 'thin' THEN 'DELETE FROM postrider.%2$I WHERE'
            ELSE 'UPDATE postrider.%2$I SET data = postrider.removed_payload() WHERE NOT postrider.is_removed(data) AND' END
        || ' %1$I > $1 AND %1$I <= $2 AND %1$I NOT IN (SELECT postrider.unfinished_events($1, $2))',
        p.id_column, name) USING first_id, last_id;
    GET DIAGNOSTICS pruned = ROW_COUNT;
    IF pruned > 0 THEN
        PERFORM postrider.remember_removal(p.parent, p.upper_id);
    END IF;
    -- Archived ones go with their events.
    IF of = 'thin' AND p.parent = 'webhook_event_log' THEN
        DELETE FROM postrider.webhook_dead_letters AS l
        WHERE l.event_id > first_id AND l.event_id <= last_id AND l.archived_at IS NOT NULL
          AND NOT EXISTS (SELECT FROM postrider.webhook_event_log AS e WHERE e.id = l.event_id);
    END IF;
    EXECUTE format('SELECT count(*) FROM postrider.%2$I WHERE %1$I > $1 AND %1$I <= $2'
        || CASE of WHEN 'payloads' THEN ' AND NOT postrider.is_removed(data)' ELSE '' END,
        p.id_column, name) INTO kept USING first_id, last_id;
    finished := looked < most;
    UPDATE postrider.webhook_retention_progress AS g
    SET done_to = coalesce(last_id, g.done_to), removed = g.removed + pruned, left_over = g.left_over + kept,
        finished_at = CASE WHEN prune_batch.finished THEN clock_timestamp() END
    WHERE g.partition = name AND g.task = of;
END
$$;
COMMENT ON FUNCTION postrider.prune_batch(text, text, integer) IS 'Part of thin_partition and remove_payloads: one batch of a pass.';

CREATE FUNCTION postrider.thin_partition(name text, most integer DEFAULT 2000, OUT pruned bigint, OUT finished boolean)
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '200ms' AS $$
BEGIN
    IF NOT coalesce(most BETWEEN 1 AND 100000, false) THEN
        RAISE EXCEPTION 'a batch has 1 to 100000 rows, not %', most USING ERRCODE = '22023';
    END IF;
    IF postrider.begin_upkeep() THEN
        SELECT b.pruned, b.finished INTO pruned, finished FROM postrider.prune_batch(name, 'thin', most) AS b;
    END IF;
END
$$;
COMMENT ON FUNCTION postrider.thin_partition(text, integer) IS
    'Deletes one batch of rows of settled events from an expired week; gives how many, and whether the week is through. Nulls: another session does upkeep.';

CREATE FUNCTION postrider.remove_payloads(name text, most integer DEFAULT 2000, OUT pruned bigint, OUT finished boolean)
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '200ms' AS $$
BEGIN
    IF NOT coalesce(most BETWEEN 1 AND 100000, false) THEN
        RAISE EXCEPTION 'a batch has 1 to 100000 rows, not %', most USING ERRCODE = '22023';
    END IF;
    IF postrider.begin_upkeep() THEN
        SELECT b.pruned, b.finished INTO pruned, finished FROM postrider.prune_batch(name, 'payloads', most) AS b;
    END IF;
END
$$;
COMMENT ON FUNCTION postrider.remove_payloads(text, integer) IS
    'Replaces the data of one batch of settled events of a week by a marker; gives how many, and whether the week is through. Nulls: another session does upkeep.';

-- The two oldest weeks, when both are expired and empty, become one partition open to the past. The parent is locked
-- last: a producer waits for it alone, and for no longer than the lock may be waited for.
CREATE FUNCTION postrider.fold_partitions(parent text) RETURNS integer
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '200ms' AS $$
DECLARE
    oldest    text[];
    newest_id uuid;
    name      text;
BEGIN
    IF NOT coalesce(parent IN ('webhook_event_log', 'webhook_attempts'), false) THEN
        RAISE EXCEPTION '% has no partitions', coalesce(parent, 'null') USING ERRCODE = '22023';
    END IF;
    IF NOT postrider.begin_upkeep() THEN
        RETURN NULL;
    END IF;
    SELECT array_agg(p.name ORDER BY p.lower_id NULLS FIRST), (array_agg(p.upper_id ORDER BY p.upper_id DESC))[1]
    INTO oldest, newest_id FROM (SELECT * FROM postrider.partitions(parent) LIMIT 2) AS p;
    IF newest_id IS NULL OR NOT coalesce(newest_id <= postrider.expiry(parent), false)
       OR postrider.has_rows(oldest[1]) OR postrider.has_rows(oldest[2]) THEN
        RETURN 0;
    END IF;
    FOREACH name IN ARRAY oldest LOOP
        EXECUTE format('LOCK TABLE postrider.%I IN ACCESS EXCLUSIVE MODE', name);
        IF postrider.has_rows(name) THEN
            RETURN 0;
        END IF;
    END LOOP;
    EXECUTE format('LOCK TABLE ONLY postrider.%I IN ACCESS EXCLUSIVE MODE', parent);
    FOREACH name IN ARRAY oldest LOOP
        EXECUTE format('ALTER TABLE postrider.%I DETACH PARTITION postrider.%I', parent, name);
        EXECUTE format('DROP TABLE postrider.%I', name);
        DELETE FROM postrider.webhook_retention_progress AS g WHERE g.partition = name;
    END LOOP;
    PERFORM postrider.add_partition(parent, 'earlier', NULL, newest_id);
    RETURN 1;
END
$$;
COMMENT ON FUNCTION postrider.fold_partitions(text) IS
    'Drops an expired, empty week of webhook_event_log or webhook_attempts; gives how many: 0 when there is none, null when another session does upkeep.';

REVOKE ALL ON FUNCTION postrider.remember_removal(text, uuid), postrider.empty_partition(text), postrider.thin_partition(text, integer),
    postrider.remove_payloads(text, integer), postrider.fold_partitions(text) FROM PUBLIC;

DO $$
DECLARE
    role_name text;
BEGIN
    PERFORM postrider.add_grants('worker', 'table', 'SELECT, UPDATE (upkeep_at)', 'webhook_retention');
    PERFORM postrider.add_grants('admin', 'table', 'SELECT, UPDATE (keep_events, keep_attempts, keep_payloads)', 'webhook_retention');
    PERFORM postrider.add_grants('auditor', 'table', 'SELECT', 'webhook_retention');
    -- A replay locks the rows of its events, and UPDATE of a column is what FOR SHARE asks for.
    UPDATE postrider.webhook_grants AS g SET privileges = 'SELECT, UPDATE (priority)'
    WHERE g.role_name = 'postrider_admin' AND g.object = 'webhook_event_log';
    PERFORM postrider.add_grants('worker', 'function', 'EXECUTE', 'retention_plan', 'empty_partition', 'thin_partition',
        'remove_payloads', 'fold_partitions');
    PERFORM postrider.add_grants('admin', 'function', 'EXECUTE', 'is_removed', 'removed_payload');
    FOREACH role_name IN ARRAY ARRAY['auditor', 'admin'] LOOP
        PERFORM postrider.add_grants(role_name, 'table', 'SELECT', 'webhook_retention_progress');
        PERFORM postrider.add_grants(role_name, 'function', 'EXECUTE', 'retention_plan');
    END LOOP;
END
$$;
SELECT postrider.grant_roles();

INSERT INTO postrider.webhook_migrations (version, name) VALUES (9, 'retention');

"""#, down: #"""
-- Undoes 0009. Lost: how long things are kept, and of which events attempts are gone. Weeks that are gone stay gone; the partition "earlier" stays.
DROP FUNCTION postrider.fold_partitions(text), postrider.remove_payloads(text, integer),
    postrider.thin_partition(text, integer), postrider.prune_batch(text, text, integer), postrider.begin_pass(text, text),
    postrider.empty_partition(text), postrider.remember_removal(text, uuid), postrider.expired_partition(text, text), postrider.begin_upkeep(),
    postrider.retention_plan(), postrider.count_rows(text), postrider.has_rows(text), postrider.expiry(text),
    postrider.is_removed(jsonb), postrider.removed_payload(), postrider.unfinished_events(uuid, uuid),
    postrider.partitions(text);
UPDATE postrider.webhook_grants SET privileges = 'SELECT'
WHERE role_name = 'postrider_admin' AND object = 'webhook_event_log';
DELETE FROM postrider.webhook_grants WHERE object IN ('webhook_retention', 'webhook_retention_progress', 'retention_plan',
    'empty_partition', 'thin_partition', 'remove_payloads', 'fold_partitions', 'is_removed', 'removed_payload');
DROP TABLE postrider.webhook_retention_progress, postrider.webhook_retention;
SELECT postrider.grant_roles();

DELETE FROM postrider.webhook_migrations WHERE version = 9;

"""#),
        (version: 10, name: "lanes", up: #"""
-- Postrider 0010: lanes. Strict order for destinations that ask for it, rates that all workers share, and which
-- destinations changed, so that workers with a hundred thousand of them load only these.

-- Order ---------------------------------------------------------------------------------------------------------------

-- For each destination with strict order, an ordering key has one delivery under way: its head. The others wait as rows of
-- webhook_retries that are due at infinity, and each becomes the head when the one before it is delivered. A head that
-- fails is tried again like any other delivery; as a dead letter it blocks its key until it is replayed or skipped.
--
-- Who changes this table holds the advisory lock (7746, 1): events of a key must be put in line in the order in which they
-- are claimed, whichever workers claim them. All but the trigger webhook_order_switched: what is put in line for a
-- destination while its order is switched off is freed by sweep_keys within a minute.
CREATE TABLE postrider.webhook_keys (
    destination_id integer     NOT NULL,
    ordering_key   text        NOT NULL,
    head           uuid        NOT NULL,
    headed_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT webhook_keys_pkey PRIMARY KEY (destination_id, ordering_key)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
COMMENT ON TABLE postrider.webhook_keys IS
    'Ordering keys of which a delivery is under way, for destinations with strict order. A key without work has no row.';
COMMENT ON COLUMN postrider.webhook_keys.destination_id IS 'The destination.';
COMMENT ON COLUMN postrider.webhook_keys.ordering_key IS 'The key, webhook_events.ordering_key; of a long one what postrider.order_key makes of it.';
COMMENT ON COLUMN postrider.webhook_keys.head IS 'The event whose delivery is under way; all others of the key wait for it.';
COMMENT ON COLUMN postrider.webhook_keys.headed_at IS 'Since when it is the head.';

CREATE INDEX webhook_retries_order_idx ON postrider.webhook_retries (destination_id, ordering_key, event_id)
    WHERE ordering_key IS NOT NULL;
CREATE INDEX webhook_destinations_ordered_idx ON postrider.webhook_destinations (id)
    WHERE options @> '{"order": true}' AND deleted_at IS NULL;

-- An entry of an index holds 2,704 bytes. A claim whose events cannot be put in line fails as a whole, and again with every
-- worker that takes it: one event with a longer key would stop everything.
CREATE FUNCTION postrider.order_key(ordering_key text) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE RETURN
    CASE WHEN octet_length(ordering_key) <= 1000 THEN ordering_key
         ELSE 'sha256:' || encode(sha256(convert_to(ordering_key, 'UTF8')), 'hex') END;
COMMENT ON FUNCTION postrider.order_key(text) IS
    'An ordering key as it stands in lines: itself up to 1,000 bytes, then sha256: and its SHA-256 in hexadecimal digits.';

CREATE FUNCTION postrider.release_keys(destinations integer[], keys text[], heads uuid[]) RETURNS integer
    LANGUAGE sql VOLATILE AS $$
    WITH done AS MATERIALIZED (
        SELECT k.destination_id, k.ordering_key, (
                   SELECT r.event_id FROM postrider.webhook_retries AS r
                   WHERE r.destination_id = k.destination_id AND r.ordering_key = k.ordering_key
                   ORDER BY r.event_id LIMIT 1) AS next
        FROM unnest(destinations, keys, heads) AS f (destination_id, long_key, head)
        JOIN postrider.webhook_keys AS k
            ON k.destination_id = f.destination_id AND k.ordering_key = postrider.order_key(f.long_key) AND k.head = f.head
    ), due AS (
        UPDATE postrider.webhook_retries AS r SET due_at = clock_timestamp(), ordering_key = NULL
        FROM done WHERE r.event_id = done.next AND r.destination_id = done.destination_id
        RETURNING 1
    ), headed AS (
        UPDATE postrider.webhook_keys AS k SET head = done.next, headed_at = clock_timestamp()
        FROM done
        WHERE k.destination_id = done.destination_id AND k.ordering_key = done.ordering_key AND done.next IS NOT NULL
    ), gone AS (
        DELETE FROM postrider.webhook_keys AS k USING done
        WHERE k.destination_id = done.destination_id AND k.ordering_key = done.ordering_key AND done.next IS NULL
    )
    SELECT count(*)::integer FROM due
$$;
COMMENT ON FUNCTION postrider.release_keys(integer[], text[], uuid[]) IS
    'Ends the turn of events at the head of their keys, three arrays in parallel, and makes those behind them due; how many. What is no head is passed over. The caller holds the advisory lock (7746, 1).';

-- Heals what no transaction should leave, and what a change of the option does: called once a minute. Looks through all lines
-- without their lock, which every claim of ordered events waits for: millions of blocked ones take seconds to read. What is
-- found is looked at again behind the lock, which nearly always nobody has to take; of each kind so many at most, so that
-- nobody waits for it long. Whoever gets as many calls it again.
CREATE FUNCTION postrider.sweep_keys(most integer DEFAULT 10000) RETURNS integer LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    strays             integer[];
    line_destinations  integer[];
    line_keys          text[];
    spent_destinations integer[];
    spent_keys         text[];
    spent_heads        uuid[];
    swept              integer := 0;
    part               integer;
BEGIN
    IF NOT coalesce(most BETWEEN 1 AND 100000, false) THEN
        RAISE EXCEPTION 'a batch has 1 to 100000 rows, not %', most USING ERRCODE = '22023';
    END IF;
    IF NOT EXISTS (SELECT FROM postrider.webhook_keys)
        AND NOT EXISTS (SELECT FROM postrider.webhook_retries WHERE ordering_key IS NOT NULL) THEN
        RETURN 0;
    END IF;
    -- Destinations that keep no order any more.
    SELECT array_agg(w.destination_id) INTO strays FROM (
        SELECT r.destination_id FROM postrider.webhook_retries AS r WHERE r.ordering_key IS NOT NULL
        UNION SELECT k.destination_id FROM postrider.webhook_keys AS k
    ) AS w
    WHERE NOT EXISTS (SELECT FROM postrider.webhook_destinations AS d
                      WHERE d.id = w.destination_id AND d.options @> '{"order": true}' AND d.deleted_at IS NULL);
    -- Lines without a head.
    SELECT array_agg(w.destination_id), array_agg(w.ordering_key) INTO line_destinations, line_keys FROM (
        SELECT DISTINCT r.destination_id, r.ordering_key FROM postrider.webhook_retries AS r
        WHERE r.ordering_key IS NOT NULL
          AND NOT EXISTS (SELECT FROM postrider.webhook_keys AS k
                          WHERE k.destination_id = r.destination_id AND k.ordering_key = r.ordering_key)
        LIMIT most
    ) AS w;
    -- Heads of which nothing is left: neither claimed nor waiting nor dead. A minute old, because a claim may be new, or of a
    -- clock that has gone back since.
    SELECT array_agg(k.destination_id), array_agg(k.ordering_key), array_agg(k.head)
    INTO spent_destinations, spent_keys, spent_heads FROM (
        SELECT s.* FROM postrider.webhook_keys AS s
        WHERE s.headed_at NOT BETWEEN clock_timestamp() - interval '1 minute' AND clock_timestamp() + interval '1 minute'
          AND NOT EXISTS (SELECT FROM postrider.webhook_retries AS r WHERE r.event_id = s.head AND r.destination_id = s.destination_id)
          AND NOT EXISTS (SELECT FROM postrider.webhook_dead_letters AS l WHERE l.event_id = s.head AND l.destination_id = s.destination_id)
          AND NOT EXISTS (SELECT FROM postrider.webhook_claims AS c WHERE s.head = ANY (c.event_ids))
        LIMIT most
    ) AS k;
    IF num_nonnulls(strays, line_keys, spent_keys) = 0 THEN
        RETURN 0;
    END IF;
    PERFORM pg_catalog.pg_advisory_xact_lock(7746, 1);
    UPDATE postrider.webhook_retries AS t SET due_at = clock_timestamp(), ordering_key = NULL
    WHERE t.ctid = ANY (ARRAY(
        SELECT r.ctid FROM postrider.webhook_retries AS r
        WHERE r.destination_id = ANY (strays) AND r.ordering_key IS NOT NULL
          AND NOT EXISTS (SELECT FROM postrider.webhook_destinations AS d
                          WHERE d.id = r.destination_id AND d.options @> '{"order": true}' AND d.deleted_at IS NULL)
        LIMIT most FOR UPDATE OF r));
    GET DIAGNOSTICS swept = ROW_COUNT;
    -- A line without a head gets its first as the head.
    WITH first AS MATERIALIZED (
        SELECT w.destination_id, w.ordering_key, r.event_id
        FROM unnest(line_destinations, line_keys) AS w (destination_id, ordering_key), LATERAL (
            SELECT n.event_id FROM postrider.webhook_retries AS n
            WHERE n.destination_id = w.destination_id AND n.ordering_key = w.ordering_key
            ORDER BY n.event_id LIMIT 1) AS r
        WHERE NOT EXISTS (SELECT FROM postrider.webhook_keys AS k
                          WHERE k.destination_id = w.destination_id AND k.ordering_key = w.ordering_key)
    ), headed AS (
        INSERT INTO postrider.webhook_keys (destination_id, ordering_key, head)
        SELECT f.destination_id, f.ordering_key, f.event_id FROM first AS f
    )
    UPDATE postrider.webhook_retries AS r SET due_at = clock_timestamp(), ordering_key = NULL
    FROM first AS f WHERE r.event_id = f.event_id AND r.destination_id = f.destination_id;
    GET DIAGNOSTICS part = ROW_COUNT;
    swept := swept + part;
    DELETE FROM postrider.webhook_keys AS t
    WHERE t.ctid = ANY (ARRAY(
        SELECT k.ctid FROM postrider.webhook_keys AS k
        WHERE k.destination_id = ANY (strays)
          AND NOT EXISTS (SELECT FROM postrider.webhook_destinations AS d
                          WHERE d.id = k.destination_id AND d.options @> '{"order": true}' AND d.deleted_at IS NULL)
        LIMIT most));
    GET DIAGNOSTICS part = ROW_COUNT;
    -- Only what is a head still, and of which nothing has come since.
    SELECT array_agg(s.destination_id), array_agg(s.ordering_key), array_agg(s.head)
    INTO spent_destinations, spent_keys, spent_heads
    FROM unnest(spent_destinations, spent_keys, spent_heads) AS s (destination_id, ordering_key, head)
    WHERE NOT EXISTS (SELECT FROM postrider.webhook_retries AS r WHERE r.event_id = s.head AND r.destination_id = s.destination_id)
      AND NOT EXISTS (SELECT FROM postrider.webhook_claims AS c WHERE s.head = ANY (c.event_ids));
    PERFORM postrider.release_keys(spent_destinations, spent_keys, spent_heads);
    RETURN swept + part + coalesce(cardinality(spent_heads), 0);
END
$$;
COMMENT ON FUNCTION postrider.sweep_keys(integer) IS
    'Frees what waits behind nothing: of destinations that keep no order any more, and of heads that are gone. How many deliveries and keys; with as many as were asked for there may be more.';

-- What workers put back for a destination as they knew it: parked while it was being made active, or to be tried again while
-- it was being deleted. The trigger of that change did not see these rows, and nobody would look at them again. Of each kind so
-- many at most; whoever gets as many calls it again. What somebody holds is left to the next round.
CREATE FUNCTION postrider.sweep_retries(most integer DEFAULT 10000) RETURNS integer LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    active   integer[];
    deleted  integer[];
    freed    integer;
    removed  integer;
    archived integer;
BEGIN
    IF NOT coalesce(most BETWEEN 1 AND 100000, false) THEN
        RAISE EXCEPTION 'a batch has 1 to 100000 rows, not %', most USING ERRCODE = '22023';
    END IF;
    -- From one destination with retries to the next, as RetryPeek goes.
    WITH RECURSIVE waited AS (
        (SELECT r.destination_id FROM postrider.webhook_retries AS r ORDER BY r.destination_id LIMIT 1)
        UNION ALL
        SELECT next.destination_id FROM waited, LATERAL (
            SELECT r.destination_id FROM postrider.webhook_retries AS r
            WHERE r.destination_id > waited.destination_id ORDER BY r.destination_id LIMIT 1) AS next
    )
    SELECT array_agg(d.id) FILTER (WHERE d.is_active AND d.deleted_at IS NULL),
           array_agg(d.id) FILTER (WHERE d.deleted_at IS NOT NULL)
    INTO active, deleted FROM waited JOIN postrider.webhook_destinations AS d ON d.id = waited.destination_id;
    DELETE FROM postrider.webhook_retries AS t
    WHERE t.ctid = ANY (ARRAY(
        SELECT r.ctid FROM postrider.webhook_retries AS r WHERE r.destination_id = ANY (deleted)
        LIMIT most FOR UPDATE OF r SKIP LOCKED));
    GET DIAGNOSTICS removed = ROW_COUNT;
    UPDATE postrider.webhook_retries AS t SET due_at = clock_timestamp()
    WHERE t.ctid = ANY (ARRAY(
        SELECT r.ctid FROM postrider.webhook_retries AS r
        WHERE r.destination_id = ANY (active) AND r.due_at = 'infinity' AND r.ordering_key IS NULL
        LIMIT most FOR UPDATE OF r SKIP LOCKED));
    GET DIAGNOSTICS freed = ROW_COUNT;
    IF freed > 0 THEN
        PERFORM pg_catalog.pg_notify('postrider_wake', 'retries');
    END IF;
    -- A dead letter that was written meanwhile is open: its writer did not see that its destination was being deleted. Of earlier
    -- ones none is left, and who writes later knows.
    UPDATE postrider.webhook_dead_letters AS t SET archived_at = clock_timestamp()
    WHERE t.ctid = ANY (ARRAY(
        SELECT l.ctid FROM postrider.webhook_destinations AS d JOIN postrider.webhook_dead_letters AS l ON l.destination_id = d.id
        WHERE d.deleted_at > clock_timestamp() - interval '1 day' AND l.dead_at > d.deleted_at - interval '1 hour'
          AND l.archived_at IS NULL AND NOT l.is_critical
        LIMIT most FOR UPDATE OF l SKIP LOCKED));
    GET DIAGNOSTICS archived = ROW_COUNT;
    RETURN freed + removed + archived;
END
$$;
COMMENT ON FUNCTION postrider.sweep_retries(integer) IS
    'Makes due what is parked for active destinations and removes what waits for deleted ones, and archives dead letters that were written while their destination was being deleted; how many of the three. Called once a minute; with as many as were asked for there may be more.';

-- Every death leaves an attempt with outcome 2, and attempts of a dead letter are kept: so how often it died is known
-- without a counter that would have to travel with every retry.
CREATE FUNCTION postrider.dead_letter_marks(event uuid, destination integer,
    OUT is_critical boolean, OUT replays smallint, OUT archived_at timestamptz)
    LANGUAGE plpgsql STABLE SET enable_seqscan = off AS $$
BEGIN
    is_critical := coalesce((SELECT e.priority = 0 FROM postrider.webhook_event_log AS e WHERE e.id = event), false)
        OR coalesce((SELECT d.options @> '{"critical": true}' FROM postrider.webhook_destinations AS d
                     WHERE d.id = destination), false);
    replays := (SELECT count(DISTINCT a.attempt_number) FROM postrider.webhook_attempts AS a
                WHERE a.event_id = event AND a.destination_id = destination AND a.outcome = 2);
    -- What was in flight when its destination was deleted can be sent again by nobody.
    archived_at := CASE WHEN NOT is_critical AND (replays >= 5 OR EXISTS (
        SELECT FROM postrider.webhook_destinations AS d WHERE d.id = destination AND d.deleted_at IS NOT NULL)) THEN clock_timestamp() END;
END
$$;
COMMENT ON FUNCTION postrider.dead_letter_marks(uuid, integer) IS
    'What a new dead letter is marked with: critical (high priority, or option critical of its destination), how often it was sent again in vain, and, after the fifth time or when its destination is deleted, unless it is critical, that it is archived.';

CREATE FUNCTION postrider.skip_key(destination uuid, key text) RETURNS uuid LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    target   integer := (SELECT d.id FROM postrider.webhook_destinations AS d WHERE d.public_id = destination);
    line     text := postrider.order_key(key);
    skipped  uuid;
    attempts smallint;
BEGIN
    PERFORM pg_catalog.pg_advisory_xact_lock(7746, 1);
    SELECT k.head INTO skipped FROM postrider.webhook_keys AS k WHERE k.destination_id = target AND k.ordering_key = line;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'nothing is under way for this key of this endpoint' USING ERRCODE = 'no_data_found';
    END IF;
    DELETE FROM postrider.webhook_retries AS r WHERE r.event_id = skipped AND r.destination_id = target
    RETURNING r.attempt_number - 1 INTO attempts;
    IF FOUND THEN
        -- Not archived, however often it died: who skips it may want it later.
        INSERT INTO postrider.webhook_dead_letters (event_id, destination_id, attempts, failure, error_message, is_critical, replays)
        SELECT skipped, target, attempts, 'skipped', 'skipped to let the events behind it go on', m.is_critical, m.replays
        FROM postrider.dead_letter_marks(skipped, target) AS m;
    ELSIF NOT EXISTS (SELECT FROM postrider.webhook_dead_letters AS l WHERE l.event_id = skipped AND l.destination_id = target) THEN
        RAISE EXCEPTION 'the event at the head of this key is being sent right now'
            USING ERRCODE = 'object_in_use', HINT = 'Ask again when its answer is there.';
    END IF;
    PERFORM postrider.release_keys(ARRAY[target], ARRAY[line], ARRAY[skipped]);
    PERFORM pg_notify('postrider_wake', 'retries');
    RETURN skipped;
END
$$;
COMMENT ON FUNCTION postrider.skip_key(uuid, text) IS
    'Lets the events behind the head of an endpoint''s ordering key go on, and returns the head, which is a dead letter now: it can be replayed later.';

CREATE VIEW postrider.webhook_key_status WITH (security_invoker = true) AS
SELECT d.public_id AS endpoint_id, d.name AS endpoint, k.ordering_key, k.head AS event_id, k.headed_at,
       (SELECT count(*) FROM postrider.webhook_retries AS w
        WHERE w.destination_id = k.destination_id AND w.ordering_key = k.ordering_key) AS waiting,
       CASE WHEN l.event_id IS NOT NULL THEN 'blocked' WHEN r.due_at = 'infinity' THEN 'parked'
            WHEN r.event_id IS NOT NULL THEN 'retrying' ELSE 'in flight' END AS state,
       nullif(r.due_at, 'infinity') AS next_retry_at, l.failure, l.error_message
FROM postrider.webhook_keys AS k
JOIN postrider.webhook_destinations AS d ON d.id = k.destination_id
LEFT JOIN postrider.webhook_retries AS r ON r.event_id = k.head AND r.destination_id = k.destination_id
LEFT JOIN postrider.webhook_dead_letters AS l ON l.event_id = k.head AND l.destination_id = k.destination_id;
COMMENT ON VIEW postrider.webhook_key_status IS
    'One row for each ordering key that has work for a destination with strict order: what is at its head, and how much waits behind.';
COMMENT ON COLUMN postrider.webhook_key_status.endpoint_id IS 'The endpoint or n8n workflow.';
COMMENT ON COLUMN postrider.webhook_key_status.endpoint IS 'Its name.';
COMMENT ON COLUMN postrider.webhook_key_status.ordering_key IS 'The key; of one longer than 1,000 bytes sha256: and its SHA-256.';
COMMENT ON COLUMN postrider.webhook_key_status.event_id IS 'The event at its head.';
COMMENT ON COLUMN postrider.webhook_key_status.headed_at IS 'Since when.';
COMMENT ON COLUMN postrider.webhook_key_status.waiting IS 'How many deliveries wait behind it.';
COMMENT ON COLUMN postrider.webhook_key_status.state IS
    'in flight; retrying: it failed and is tried again; parked: its endpoint is inactive; blocked: it is a dead letter, replay or skip it (postrider.skip_key).';
COMMENT ON COLUMN postrider.webhook_key_status.next_retry_at IS 'When the head is tried again; null when it is not waiting for that.';
COMMENT ON COLUMN postrider.webhook_key_status.failure IS 'Why it is blocked: the class of its last failure; null otherwise.';
COMMENT ON COLUMN postrider.webhook_key_status.error_message IS 'One line for people about that failure; null otherwise.';

-- When the option is taken away, or the destination deleted, nothing waits for its turn any more.
CREATE FUNCTION postrider.webhook_order_switched() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- Retries before keys, as in release_keys: the other way round the two may wait for each other.
    UPDATE postrider.webhook_retries SET due_at = clock_timestamp(), ordering_key = NULL
    WHERE destination_id = NEW.id AND ordering_key IS NOT NULL;
    DELETE FROM postrider.webhook_keys WHERE destination_id = NEW.id;
    PERFORM pg_notify('postrider_wake', 'retries');
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION postrider.webhook_order_switched() IS
    'Trigger: makes due what waits for its turn at a destination that keeps no order any more.';
CREATE TRIGGER webhook_order_switched AFTER UPDATE ON postrider.webhook_destinations
    FOR EACH ROW WHEN (OLD.options @> '{"order": true}'
        AND (NOT NEW.options @> '{"order": true}' OR NEW.deleted_at IS NOT NULL AND OLD.deleted_at IS NULL))
    EXECUTE FUNCTION postrider.webhook_order_switched();

-- Rates ---------------------------------------------------------------------------------------------------------------

-- A bucket of tokens for each destination with a rate, shared by all workers: they take as many as they can use at once.
CREATE TABLE postrider.webhook_rates (
    destination_id integer     NOT NULL,
    tokens         float8      NOT NULL,
    refilled_at    timestamptz NOT NULL,
    wanted         integer     NOT NULL,
    granted        integer     NOT NULL,
    per_second     float8      NOT NULL,
    burst          float8      NOT NULL,
    CONSTRAINT webhook_rates_pkey PRIMARY KEY (destination_id)
) WITH (fillfactor = 20, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
COMMENT ON TABLE postrider.webhook_rates IS 'How much may be sent now to destinations with the option rate.';
COMMENT ON COLUMN postrider.webhook_rates.destination_id IS 'The destination.';
COMMENT ON COLUMN postrider.webhook_rates.tokens IS 'Requests that could be sent at refilled_at.';
COMMENT ON COLUMN postrider.webhook_rates.refilled_at IS 'When tokens were last added.';
COMMENT ON COLUMN postrider.webhook_rates.wanted IS 'How many a worker asked for last.';
COMMENT ON COLUMN postrider.webhook_rates.granted IS 'How many it got.';
COMMENT ON COLUMN postrider.webhook_rates.per_second IS 'The rate that this worker knew.';
COMMENT ON COLUMN postrider.webhook_rates.burst IS 'The most that may be sent at once, as this worker knew it.';

-- What changed ----------------------------------------------------------------------------------------------------------

CREATE TABLE postrider.webhook_routing_changes (
    version        bigint  NOT NULL,
    destination_id integer NOT NULL,
    CONSTRAINT webhook_routing_changes_pkey PRIMARY KEY (version, destination_id)
);
COMMENT ON TABLE postrider.webhook_routing_changes IS
    'Which destinations each version of webhook_routing changed; at least the last 10,000 versions. A worker that is further behind, or at a version that is not here, loads all.';
COMMENT ON COLUMN postrider.webhook_routing_changes.version IS 'The version that the change made.';
COMMENT ON COLUMN postrider.webhook_routing_changes.destination_id IS 'The destination; 0 when all may have changed.';
CREATE INDEX webhook_secrets_expiry_idx ON postrider.webhook_secrets (expires_at) WHERE expires_at IS NOT NULL;

-- The row of webhook_routing is locked until the commit, so versions become visible in their order.
--
-- The next version is above the last one by a number that is drawn, up to 1,048,576: after a failover to a standby that lacked
-- the last changes, the new primary's versions are not those that were lost, and a worker is not told that it knows them.
CREATE OR REPLACE FUNCTION postrider.webhook_routing_changed() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    new_version bigint;
BEGIN
    IF current_setting('postrider.only_seals', true) = 'on' THEN
        RETURN NULL;
    END IF;
    -- A statement that changed nothing, such as the second report of a broken destination, makes nobody load anything.
    IF TG_OP <> 'TRUNCATE' AND TG_TABLE_NAME IN ('webhook_destinations', 'webhook_secrets') THEN
        IF NOT EXISTS (SELECT FROM changed) THEN
            RETURN NULL;
        END IF;
    END IF;
    UPDATE postrider.webhook_routing SET version = version + 1 + floor(random() * 1048576)::bigint
    RETURNING version INTO new_version;
    IF TG_OP = 'TRUNCATE' OR TG_TABLE_NAME NOT IN ('webhook_destinations', 'webhook_secrets') THEN
        INSERT INTO postrider.webhook_routing_changes (version, destination_id) VALUES (new_version, 0);
    ELSIF TG_TABLE_NAME = 'webhook_secrets' THEN
        INSERT INTO postrider.webhook_routing_changes (version, destination_id)
        SELECT DISTINCT new_version, c.destination_id FROM changed AS c;
    ELSE
        INSERT INTO postrider.webhook_routing_changes (version, destination_id) SELECT new_version, c.id FROM changed AS c;
    END IF;
    PERFORM pg_notify('postrider_routing', '');
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION postrider.webhook_routing_changed() IS
    'Trigger: tells workers which destinations to load again, unless the transaction only seals secrets; all of them when it stands on another table than destinations and secrets.';

DO $$
DECLARE
    target text;
BEGIN
    FOREACH target IN ARRAY ARRAY['webhook_destinations', 'webhook_secrets'] LOOP
        EXECUTE format('DROP TRIGGER webhook_routing_changed ON postrider.%I', target);
        EXECUTE format('CREATE TRIGGER webhook_routing_inserted AFTER INSERT ON postrider.%I REFERENCING NEW TABLE AS changed
                        FOR EACH STATEMENT EXECUTE FUNCTION postrider.webhook_routing_changed()', target);
        EXECUTE format('CREATE TRIGGER webhook_routing_updated AFTER UPDATE ON postrider.%I REFERENCING NEW TABLE AS changed
                        FOR EACH STATEMENT EXECUTE FUNCTION postrider.webhook_routing_changed()', target);
        EXECUTE format('CREATE TRIGGER webhook_routing_deleted AFTER DELETE ON postrider.%I REFERENCING OLD TABLE AS changed
                        FOR EACH STATEMENT EXECUTE FUNCTION postrider.webhook_routing_changed()', target);
        EXECUTE format('CREATE TRIGGER webhook_routing_truncated AFTER TRUNCATE ON postrider.%I
                        FOR EACH STATEMENT EXECUTE FUNCTION postrider.webhook_routing_changed()', target);
    END LOOP;
END
$$;

REVOKE ALL ON FUNCTION postrider.order_key(text), postrider.release_keys(integer[], text[], uuid[]), postrider.sweep_keys(integer),
    postrider.sweep_retries(integer), postrider.skip_key(uuid, text), postrider.webhook_order_switched(), postrider.dead_letter_marks(uuid, integer) FROM PUBLIC;

DO $$
DECLARE
    role_name text;
BEGIN
    PERFORM postrider.add_grants('worker', 'table', 'SELECT, INSERT, UPDATE, DELETE', 'webhook_keys', 'webhook_rates');
    PERFORM postrider.add_grants('worker', 'table', 'SELECT, DELETE', 'webhook_routing_changes');
    PERFORM postrider.add_grants('worker', 'function', 'EXECUTE', 'order_key', 'release_keys', 'sweep_keys', 'sweep_retries',
        'matches', 'dead_letter_marks');
    UPDATE postrider.webhook_grants AS g SET privileges = 'SELECT, INSERT, DELETE, UPDATE (due_at, ordering_key)'
    WHERE g.role_name = 'postrider_worker' AND g.object = 'webhook_retries';
    PERFORM postrider.add_grants('admin', 'table', 'SELECT, UPDATE, DELETE', 'webhook_keys');
    PERFORM postrider.add_grants('auditor', 'table', 'SELECT', 'webhook_keys');
    PERFORM postrider.add_grants('admin', 'function', 'EXECUTE', 'dead_letter_marks', 'order_key', 'release_keys', 'skip_key');
    UPDATE postrider.webhook_grants AS g SET privileges = 'SELECT, INSERT, DELETE'
    WHERE g.role_name = 'postrider_admin' AND g.object = 'webhook_dead_letters';
    FOREACH role_name IN ARRAY ARRAY['auditor', 'admin'] LOOP
        PERFORM postrider.add_grants(role_name, 'table', 'SELECT', 'webhook_rates', 'webhook_routing_changes', 'webhook_key_status');
    END LOOP;
END
$$;
SELECT postrider.grant_roles();

INSERT INTO postrider.webhook_migrations (version, name) VALUES (10, 'lanes');

"""#, down: #"""
-- Undoes 0010. Stop the workers first. Destinations keep the options order and rate, which nothing reads any more; what
-- waited for its turn is due at once, in no order.
UPDATE postrider.webhook_retries SET due_at = clock_timestamp(), ordering_key = NULL WHERE ordering_key IS NOT NULL;
DROP TRIGGER webhook_order_switched ON postrider.webhook_destinations;
DROP FUNCTION postrider.webhook_order_switched();
DROP VIEW postrider.webhook_key_status;
DROP FUNCTION postrider.skip_key(uuid, text), postrider.sweep_keys(integer), postrider.sweep_retries(integer), postrider.release_keys(integer[], text[], uuid[]),
    postrider.order_key(text), postrider.dead_letter_marks(uuid, integer);
DROP TABLE postrider.webhook_keys, postrider.webhook_rates;
DROP INDEX postrider.webhook_retries_order_idx, postrider.webhook_destinations_ordered_idx, postrider.webhook_secrets_expiry_idx;

DO $$
DECLARE
    target text;
BEGIN
    FOREACH target IN ARRAY ARRAY['webhook_destinations', 'webhook_secrets'] LOOP
        EXECUTE format('DROP TRIGGER webhook_routing_inserted ON postrider.%I', target);
        EXECUTE format('DROP TRIGGER webhook_routing_updated ON postrider.%I', target);
        EXECUTE format('DROP TRIGGER webhook_routing_deleted ON postrider.%I', target);
        EXECUTE format('DROP TRIGGER webhook_routing_truncated ON postrider.%I', target);
        EXECUTE format('CREATE TRIGGER webhook_routing_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON postrider.%I
                        FOR EACH STATEMENT EXECUTE FUNCTION postrider.webhook_routing_changed()', target);
    END LOOP;
END
$$;
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
DROP TABLE postrider.webhook_routing_changes;

UPDATE postrider.webhook_grants SET privileges = 'SELECT, INSERT, DELETE, UPDATE (due_at)'
WHERE role_name = 'postrider_worker' AND object = 'webhook_retries';
UPDATE postrider.webhook_grants SET privileges = 'SELECT, DELETE'
WHERE role_name = 'postrider_admin' AND object = 'webhook_dead_letters';
DELETE FROM postrider.webhook_grants WHERE object IN ('webhook_keys', 'webhook_rates', 'webhook_routing_changes',
    'webhook_key_status', 'order_key', 'release_keys', 'sweep_keys', 'sweep_retries', 'skip_key', 'dead_letter_marks') OR role_name = 'postrider_worker' AND object = 'matches';
SELECT postrider.grant_roles();

DELETE FROM postrider.webhook_migrations WHERE version = 10;

"""#),
        (version: 11, name: "replays", up: #"""
-- Postrider 0011: replays. Deliveries that an operator sends again, without a cap, at a bounded rate, resumable.
--
-- A replay is one row: what is to be sent, how far it is, how fast it may go. A driver (the command, or anybody who
-- calls replay_batch) asks for one batch after the other. A batch is one transaction: it puts deliveries into
-- webhook_retries and moves the replay's place, so a driver that is killed resumes exactly behind what it committed.
--
-- * The place is the last delivery that was looked at. Events are read upwards by their key, at most 5,000 in a batch,
--   so a batch is short however large the history and however few deliveries are wanted.
-- * The rate is held by due times: the deliveries of a batch become due one after the other, 1/rate apart, and a replay
--   puts down at most a second in advance. So it does not matter who drives, how often and how many at once; and
--   workers send what is due, behind first attempts.
-- * Batches of all replays take turns under one advisory lock, so that two replays of the same never send it twice.

CREATE TABLE postrider.webhook_replays (
    id                  bigint      GENERATED ALWAYS AS IDENTITY,
    created_at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    created_by          text        NOT NULL DEFAULT session_user,
    state               text        NOT NULL DEFAULT 'running',
    what                text        NOT NULL,
    criteria            jsonb       NOT NULL,
    destination_id      integer,
    from_id             uuid        NOT NULL,
    to_id               uuid        NOT NULL,
    per_second          float8      NOT NULL,
    planned             bigint      NOT NULL DEFAULT 0,
    scheduled           bigint      NOT NULL DEFAULT 0,
    without_payload     bigint      NOT NULL DEFAULT 0,
    filtered            bigint      NOT NULL DEFAULT 0,
    done_event_id       uuid        NOT NULL,
    done_destination_id integer     NOT NULL DEFAULT 0,
    due_to              timestamptz NOT NULL DEFAULT '-infinity',
    driven_at           timestamptz,
    ended_at            timestamptz,
    error               text,
    CONSTRAINT webhook_replays_pkey PRIMARY KEY (id),
    CONSTRAINT state_is_known CHECK (state IN ('running', 'paused', 'done', 'cancelled', 'failed')),
    CONSTRAINT what_failed_says_why CHECK ((state = 'failed') = (error IS NOT NULL)),
    CONSTRAINT what_is_known CHECK (what IN ('deliveries', 'dead_letters', 'backfill')),
    CONSTRAINT rate_is_between_1_a_minute_and_100000_a_second CHECK (per_second BETWEEN 0.016 AND 100000)
);
-- They may name a user.
ALTER TABLE postrider.webhook_replays ALTER COLUMN criteria SET STATISTICS 0;
COMMENT ON TABLE postrider.webhook_replays IS 'What operators send again: one row for each replay, with how far it is.';
COMMENT ON COLUMN postrider.webhook_replays.id IS 'The replay.';
COMMENT ON COLUMN postrider.webhook_replays.created_at IS 'When it was ordered.';
COMMENT ON COLUMN postrider.webhook_replays.created_by IS 'The login that ordered it.';
COMMENT ON COLUMN postrider.webhook_replays.state IS 'running: a driver may take the next batch. paused, cancelled: nobody does. done: it reached its end. failed: it could not go on, whoever tried; error says why.';
COMMENT ON COLUMN postrider.webhook_replays.what IS
    'deliveries: that were attempted; of a delivery or event that is named also dead letters without attempts, and archived ones. dead_letters: that are not archived. backfill: events that one destination never got.';
COMMENT ON COLUMN postrider.webhook_replays.criteria IS 'What was asked for, see postrider.replay_plan.';
COMMENT ON COLUMN postrider.webhook_replays.destination_id IS 'Only this destination; null for all.';
COMMENT ON COLUMN postrider.webhook_replays.from_id IS 'The first event that is looked at.';
COMMENT ON COLUMN postrider.webhook_replays.to_id IS 'The last event that is looked at: what is written later is not replayed.';
COMMENT ON COLUMN postrider.webhook_replays.per_second IS 'Deliveries that become due in a second.';
COMMENT ON COLUMN postrider.webhook_replays.planned IS 'Deliveries that were counted before it began.';
COMMENT ON COLUMN postrider.webhook_replays.scheduled IS 'Deliveries put into webhook_retries so far.';
COMMENT ON COLUMN postrider.webhook_replays.without_payload IS 'Deliveries left out because retention removed the payload.';
COMMENT ON COLUMN postrider.webhook_replays.filtered IS 'Deliveries left out because the destination''s payload filter does not want them.';
COMMENT ON COLUMN postrider.webhook_replays.done_event_id IS 'Its place: everything up to this event and done_destination_id is dealt with.';
COMMENT ON COLUMN postrider.webhook_replays.done_destination_id IS 'Its place within that event; 2147483647 behind its last destination.';
COMMENT ON COLUMN postrider.webhook_replays.due_to IS 'When the next delivery may become due: the last due time and 1/rate.';
COMMENT ON COLUMN postrider.webhook_replays.driven_at IS 'When a driver last took a batch; long ago and running: nobody drives it.';
COMMENT ON COLUMN postrider.webhook_replays.ended_at IS 'When it was done, cancelled or failed.';
COMMENT ON COLUMN postrider.webhook_replays.error IS 'Why it failed.';

-- What is to be sent ----------------------------------------------------------------------------------------------------

CREATE FUNCTION postrider.replay_destination(wanted text) RETURNS integer LANGUAGE plpgsql STABLE AS $$
DECLARE
    found integer[] := ARRAY(SELECT d.id FROM postrider.webhook_destinations AS d
                             WHERE (d.public_id::text = wanted OR d.name = wanted) AND d.deleted_at IS NULL);
BEGIN
    IF cardinality(found) = 0 THEN
        RAISE EXCEPTION 'there is no endpoint or workflow %', wanted USING ERRCODE = 'no_data_found';
    ELSIF cardinality(found) > 1 THEN
        RAISE EXCEPTION '% endpoints and workflows have the name %', cardinality(found), wanted
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Give the id of one.';
    END IF;
    RETURN found[1];
END
$$;
COMMENT ON FUNCTION postrider.replay_destination(text) IS 'Part of replay_plan and of skipping: a destination by its id or name, not a deleted one; an error when there is none, or more than one of that name.';

-- A delivery's id begins with the first 8 bytes of its event's id.
CREATE FUNCTION postrider.find_delivery(delivery uuid, OUT event_id uuid, OUT destination_id integer)
    LANGUAGE plpgsql STABLE SET enable_seqscan = off SET jit = off AS $$
DECLARE
    first_id uuid := (left(delivery::text, 18) || '-0000-000000000000')::uuid;
    last_id  uuid := (left(delivery::text, 18) || '-ffff-ffffffffffff')::uuid;
BEGIN
    SELECT k.event_id, k.destination_id INTO find_delivery.event_id, find_delivery.destination_id FROM (
        SELECT a.event_id, a.destination_id FROM postrider.webhook_attempts AS a
        WHERE a.event_id >= first_id AND a.event_id <= last_id
        UNION ALL
        SELECT r.event_id, r.destination_id FROM postrider.webhook_retries AS r
        WHERE r.event_id >= first_id AND r.event_id <= last_id
        UNION ALL
        SELECT l.event_id, l.destination_id FROM postrider.webhook_dead_letters AS l
        WHERE l.event_id >= first_id AND l.event_id <= last_id
    ) AS k
    WHERE postrider.delivery_id(k.event_id, k.destination_id) = delivery
    LIMIT 1;
    IF find_delivery.event_id IS NULL THEN
        RAISE EXCEPTION 'there is no delivery %', delivery USING ERRCODE = 'no_data_found';
    END IF;
END
$$;
COMMENT ON FUNCTION postrider.find_delivery(uuid) IS 'Event and destination of a delivery; an error when there is none.';

-- Runs as its owner, so that whoever replays needs no rights on the gates of destinations.
CREATE FUNCTION postrider.check_replay(criteria jsonb) RETURNS void
    LANGUAGE plpgsql IMMUTABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    unknown text := (SELECT k FROM jsonb_object_keys(criteria) AS k
                     WHERE k NOT IN ('what', 'delivery', 'event', 'endpoint', 'since', 'since_s', 'until', 'until_s', 'type',
                                     'organization_id', 'user_id', 'status', 'failure', 'critical', 'rate')
                     ORDER BY k LIMIT 1);
BEGIN
    IF unknown IS NOT NULL THEN
        RAISE EXCEPTION 'a replay has no criterion %', unknown USING ERRCODE = 'invalid_parameter_value';
    ELSIF coalesce(criteria ->> 'what' NOT IN ('deliveries', 'dead_letters', 'backfill'), true) THEN
        RAISE EXCEPTION 'a replay is of deliveries, dead_letters or backfill' USING ERRCODE = 'invalid_parameter_value';
    ELSIF criteria ->> 'status' NOT IN ('success', 'failed') THEN
        RAISE EXCEPTION 'the status of a replay is success or failed: what is pending is sent anyway'
            USING ERRCODE = 'invalid_parameter_value';
    ELSIF criteria ->> 'what' = 'dead_letters' AND criteria ->> 'status' = 'success' THEN
        RAISE EXCEPTION 'dead letters were not delivered: their status is failed' USING ERRCODE = 'invalid_parameter_value';
    ELSIF criteria ->> 'what' <> 'dead_letters' AND (criteria ->> 'critical')::boolean THEN
        RAISE EXCEPTION 'critical is of dead_letters' USING ERRCODE = 'invalid_parameter_value';
    ELSIF criteria ? 'delivery' AND criteria ?| '{event,endpoint}' THEN
        RAISE EXCEPTION 'a delivery is of one event and one endpoint: name it alone' USING ERRCODE = 'invalid_parameter_value';
    ELSIF criteria ?| '{delivery,event}' AND criteria ?| '{since,since_s,until,until_s}' THEN
        RAISE EXCEPTION 'a delivery or event that is named has a time of its own: no since or until'
            USING ERRCODE = 'invalid_parameter_value';
    ELSIF criteria ->> 'what' = 'backfill' AND criteria ->> 'endpoint' IS NULL THEN
        RAISE EXCEPTION 'a backfill needs an endpoint' USING ERRCODE = 'invalid_parameter_value';
    ELSIF criteria ->> 'what' = 'backfill' AND coalesce(criteria ->> 'delivery', criteria ->> 'status', criteria ->> 'failure') IS NOT NULL THEN
        RAISE EXCEPTION 'a backfill is of events that were never sent there: it has no delivery, status or failure'
            USING ERRCODE = 'invalid_parameter_value';
    ELSIF postrider.pattern_fault(ARRAY[coalesce(criteria ->> 'type', '*')]) IS NOT NULL THEN
        RAISE EXCEPTION '%', postrider.pattern_fault(ARRAY[criteria ->> 'type']) USING ERRCODE = 'invalid_parameter_value';
    ELSIF NOT coalesce((criteria ->> 'rate')::float8, 100) BETWEEN 0.016 AND 100000 THEN
        RAISE EXCEPTION 'the rate is between 1 a minute and 100000 a second' USING ERRCODE = 'invalid_parameter_value';
    END IF;
END
$$;
COMMENT ON FUNCTION postrider.check_replay(jsonb) IS 'Part of replay_plan: an error that names what is wrong.';

-- Retention removes attempts long before their events, by default after 30 days of 90. Of such events nobody knows who got
-- them, and all would be sent again, but for those from before there was the endpoint. Runs as its owner, as check_replay does.
CREATE FUNCTION postrider.check_backfill(r postrider.webhook_replays) RETURNS void
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    -- Of this event and of later ones every attempt is there, and stays for now: whole weeks go. Null when none has gone.
    known_from uuid := greatest((SELECT g.attempts_gone_to FROM postrider.webhook_retention AS g),
                                (SELECT p.upper_id FROM postrider.partitions('webhook_attempts') AS p
                                 WHERE p.upper_id <= postrider.expiry('webhook_attempts') AND p.lower_id IS NOT NULL
                                 ORDER BY p.upper_id DESC LIMIT 1));
    made_at    timestamptz := (SELECT d.created_at FROM postrider.webhook_destinations AS d WHERE d.id = r.destination_id);
BEGIN
    IF EXISTS (SELECT FROM postrider.webhook_event_log AS e
               WHERE e.id >= greatest(r.from_id, postrider.event_id_at(made_at)) AND e.id <= r.to_id AND e.id < known_from) THEN
        RAISE EXCEPTION 'retention removed the attempts of events before %: which of them the endpoint got is not known',
            postrider.event_id_time(known_from)
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Give it since that time'
                || CASE WHEN r.from_id < postrider.event_id_at(made_at) THEN format(', or until %s, when the endpoint was made', made_at - interval '1 millisecond')
                        ELSE '' END || '. A single event can be named.';
    END IF;
END
$$;
COMMENT ON FUNCTION postrider.check_backfill(postrider.webhook_replays) IS
    'Part of replay_plan and replay_next: an error when nobody knows any more which of the events a backfill looks at were sent.';

CREATE FUNCTION postrider.replay_plan(criteria jsonb) RETURNS postrider.webhook_replays LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    r         postrider.webhook_replays;
    from_time timestamptz;
    to_time   timestamptz;
BEGIN
    criteria := jsonb_strip_nulls(criteria);
    PERFORM postrider.check_replay(criteria);
    r.what := criteria ->> 'what';
    r.per_second := coalesce((criteria ->> 'rate')::float8, 100);
    r.state := 'running';
    IF criteria ? 'endpoint' THEN
        r.destination_id := postrider.replay_destination(criteria ->> 'endpoint');
    END IF;
    IF criteria ? 'delivery' THEN
        SELECT d.event_id, d.event_id, d.destination_id INTO r.from_id, r.to_id, r.destination_id
        FROM postrider.find_delivery((criteria ->> 'delivery')::uuid) AS d;
    ELSIF criteria ? 'event' THEN
        r.from_id := (criteria ->> 'event')::uuid;
        r.to_id := r.from_id;
        IF NOT EXISTS (SELECT FROM postrider.webhook_event_log AS e WHERE e.id = r.from_id) THEN
            RAISE EXCEPTION 'there is no event %', r.from_id USING ERRCODE = 'no_data_found';
        END IF;
    ELSE
        from_time := coalesce((criteria ->> 'since')::timestamptz,
                              clock_timestamp() - (criteria ->> 'since_s')::float8 * interval '1 second');
        -- This millisecond's events too: an id tells no more of its time.
        to_time := coalesce((criteria ->> 'until')::timestamptz,
                            clock_timestamp() - coalesce((criteria ->> 'until_s')::float8, 0) * interval '1 second')
                   + interval '1 millisecond';
        IF from_time >= to_time THEN
            RAISE EXCEPTION 'since must be before until' USING ERRCODE = 'invalid_parameter_value';
        END IF;
        r.from_id := postrider.event_id_at(greatest(from_time, 'epoch'));
        r.to_id := postrider.event_id_at(to_time);
        criteria := criteria - '{since_s,until_s}'::text[] || jsonb_strip_nulls(jsonb_build_object('since', from_time,
            'until', CASE WHEN criteria ?| '{until,until_s}' THEN to_time - interval '1 millisecond' END));
        IF r.what = 'backfill' THEN
            PERFORM postrider.check_backfill(r);
        END IF;
    END IF;
    r.criteria := criteria;
    r.done_event_id := r.from_id;
    r.done_destination_id := 0;
    RETURN r;
END
$$;
COMMENT ON FUNCTION postrider.replay_plan(jsonb) IS
'A replay that is not stored yet, of a JSON object. what: deliveries, dead_letters or backfill (events that an endpoint never got although it would take them now).
delivery, event, endpoint (id or name): ids; since, until: times of the event, or since_s, until_s: seconds ago (default: always, until now).
type (a type or pattern), organization_id, user_id, status (success, failed), failure (a class), critical (true: those alone; of dead_letters); rate: deliveries a second, default 100.
All of them must hold. A delivery is named without event and endpoint, a delivery or an event without times.';

CREATE FUNCTION postrider.replay_wants(criteria jsonb, event_type text, organization_id text, user_id text) RETURNS boolean
    LANGUAGE sql STABLE PARALLEL SAFE RETURN
    (criteria ->> 'type' IS NULL OR postrider.matches(ARRAY[criteria ->> 'type'], event_type))
    AND (criteria ->> 'organization_id' IS NULL OR organization_id = criteria ->> 'organization_id')
    AND (criteria ->> 'user_id' IS NULL OR user_id = criteria ->> 'user_id');
COMMENT ON FUNCTION postrider.replay_wants(jsonb, text, text, text) IS
    'Part of replay_candidates: whether an event of this type, organization and person is among what a replay is to send; null for no.';

-- Candidates are read in one snapshot, and an event moves between queue, claims, attempts, retries and dead letters within
-- a transaction, so it is found in at least one place. One function with four statements, each with a plan of its own.
-- The planner's guess of what has not been analyzed must not make it read a week: no sequential scans. Those that there must
-- be (of the claims, which are few) count as so dear then that the plan would be compiled by JIT, for a second.
-- What was sent to a destination that is of another organization or user now is not sent there again.
CREATE FUNCTION postrider.replay_candidates(r postrider.webhook_replays, last_id uuid, most bigint)
    RETURNS TABLE (event_id uuid, destination_id integer, attempt_number smallint, has_payload boolean, is_in_flight boolean)
    LANGUAGE plpgsql STABLE SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
BEGIN
    IF r.what = 'deliveries' AND r.criteria ?| '{delivery,event}' THEN
        -- A few deliveries of one event. Dead letters count by themselves: one that was skipped before its first attempt has
        -- none, and those of an archived one are pruned before it is. Beside an attempt that decides they add nothing.
        RETURN QUERY
        SELECT r.from_id, p.destination_id, (p.attempt_number + 1)::smallint, NOT postrider.is_removed(e.data), false
        FROM (SELECT DISTINCT ON (k.destination_id) k.* FROM (
                  SELECT a.destination_id, a.attempt_number, a.outcome, a.failure, a.attempted_at
                  FROM postrider.webhook_attempts AS a WHERE a.event_id = r.from_id
                  UNION ALL
                  SELECT l.destination_id, l.attempts, NULL, l.failure, l.dead_at
                  FROM postrider.webhook_dead_letters AS l WHERE l.event_id = r.from_id) AS k
              WHERE k.destination_id > r.done_destination_id
                AND (r.destination_id IS NULL OR k.destination_id = r.destination_id)
              ORDER BY k.destination_id, CASE WHEN k.outcome IS NULL THEN 1 WHEN k.outcome = 3 THEN 2 ELSE 0 END,
                       k.attempted_at DESC) AS p,
             LATERAL (SELECT * FROM postrider.webhook_event_log AS l WHERE l.id = r.from_id OFFSET 0) AS e
        WHERE postrider.replay_wants(r.criteria, e.event_type, e.organization_id, e.user_id)
          AND (r.criteria ->> 'failure' IS NULL OR p.failure = r.criteria ->> 'failure')
          AND (r.criteria ->> 'status' IS NULL
               OR r.criteria ->> 'status' = CASE p.outcome WHEN 0 THEN 'success' WHEN 4 THEN 'skipped' ELSE 'failed' END
                  AND NOT EXISTS (SELECT FROM postrider.webhook_retries AS t
                                  WHERE t.event_id = r.from_id AND t.destination_id = p.destination_id))
          AND EXISTS (SELECT FROM postrider.webhook_destinations AS d WHERE d.id = p.destination_id AND d.deleted_at IS NULL
                        AND (d.organization_id IS NULL OR e.organization_id = d.organization_id)
                        AND (d.user_id IS NULL OR e.user_id = d.user_id))
          AND (r.from_id, p.destination_id) NOT IN (
              SELECT f.event_id, f.destination_id FROM postrider.webhook_in_flight AS f WHERE f.destination_id IS NOT NULL)
        ORDER BY p.destination_id
        LIMIT most;
    ELSIF r.what = 'deliveries' THEN
        -- What is in flight is being sent; a retry that waits comes earlier and is not sent twice. An attempt whose claim was
        -- lost (outcome 3) decides only where there is no other, as in webhook_deliveries.
        RETURN QUERY
        SELECT p.event_id, p.destination_id, (p.attempt_number + 1)::smallint, NOT postrider.is_removed(e.data), false
        FROM (SELECT DISTINCT ON (a.event_id, a.destination_id)
                     a.event_id, a.destination_id, a.attempt_number, a.outcome, a.failure
              FROM postrider.webhook_attempts AS a
              WHERE a.event_id >= r.done_event_id AND a.event_id <= last_id
                AND (a.event_id, a.destination_id) > (r.done_event_id, r.done_destination_id)
                AND (r.destination_id IS NULL OR a.destination_id = r.destination_id)
              ORDER BY a.event_id, a.destination_id, a.outcome = 3, a.attempted_at DESC) AS p,
             LATERAL (SELECT * FROM postrider.webhook_event_log AS l WHERE l.id = p.event_id OFFSET 0) AS e
        WHERE postrider.replay_wants(r.criteria, e.event_type, e.organization_id, e.user_id)
          AND (r.criteria ->> 'failure' IS NULL OR p.failure = r.criteria ->> 'failure')
          AND (r.criteria ->> 'status' IS NULL
               -- What a transform dropped (outcome 4) did not fail.
               OR r.criteria ->> 'status' = CASE p.outcome WHEN 0 THEN 'success' WHEN 4 THEN 'skipped' ELSE 'failed' END
                  AND NOT EXISTS (SELECT FROM postrider.webhook_retries AS t
                                  WHERE t.event_id = p.event_id AND t.destination_id = p.destination_id))
          -- Archived dead letters are sent when they are named, above. A scalar subquery, since NOT EXISTS may become a join
          -- that reads all dead letters.
          AND (p.outcome = 0
               OR (SELECT l.archived_at FROM postrider.webhook_dead_letters AS l
                   WHERE l.event_id = p.event_id AND l.destination_id = p.destination_id) IS NULL)
          AND EXISTS (SELECT FROM postrider.webhook_destinations AS d WHERE d.id = p.destination_id AND d.deleted_at IS NULL
                        AND (d.organization_id IS NULL OR e.organization_id = d.organization_id)
                        AND (d.user_id IS NULL OR e.user_id = d.user_id))
          AND (p.event_id, p.destination_id) NOT IN (
              SELECT f.event_id, f.destination_id FROM postrider.webhook_in_flight AS f WHERE f.destination_id IS NOT NULL)
        ORDER BY p.event_id, p.destination_id
        LIMIT most;
    ELSIF r.what = 'dead_letters' THEN
        RETURN QUERY
        SELECT l.event_id, l.destination_id, (l.attempts + 1)::smallint, NOT postrider.is_removed(e.data), false
        FROM postrider.webhook_dead_letters AS l,
             LATERAL (SELECT * FROM postrider.webhook_event_log AS o WHERE o.id = l.event_id OFFSET 0) AS e
        WHERE l.event_id >= r.done_event_id AND l.event_id <= last_id
          AND (l.event_id, l.destination_id) > (r.done_event_id, r.done_destination_id)
          AND (r.destination_id IS NULL OR l.destination_id = r.destination_id)
          AND l.archived_at IS NULL
          AND (l.is_critical OR NOT coalesce((r.criteria ->> 'critical')::boolean, false))
          AND postrider.replay_wants(r.criteria, e.event_type, e.organization_id, e.user_id)
          AND (r.criteria ->> 'failure' IS NULL OR l.failure = r.criteria ->> 'failure')
          AND EXISTS (SELECT FROM postrider.webhook_destinations AS d WHERE d.id = l.destination_id AND d.deleted_at IS NULL
                        AND (d.organization_id IS NULL OR e.organization_id = d.organization_id)
                        AND (d.user_id IS NULL OR e.user_id = d.user_id))
        ORDER BY l.event_id, l.destination_id
        LIMIT most;
    ELSE
        -- Events that wait in the queue are skipped: whoever claims them knows the destination. Of those that are on their
        -- first fan-out nobody knows yet who gets them.
        RETURN QUERY
        SELECT e.id::uuid, d.id, 1::smallint, NOT postrider.is_removed(e.data),
               e.id IN (SELECT f.event_id FROM postrider.webhook_in_flight AS f WHERE f.destination_id IS NULL)
        FROM postrider.webhook_destinations AS d, postrider.webhook_event_log AS e
        WHERE d.id = r.destination_id AND d.deleted_at IS NULL
          AND e.id >= r.done_event_id AND e.id <= last_id
          AND (e.id > r.done_event_id OR d.id > r.done_destination_id)
          AND postrider.matches(d.event_types, e.event_type)
          AND (d.organization_id IS NULL OR e.organization_id = d.organization_id)
          AND (d.user_id IS NULL OR e.user_id = d.user_id)
          AND postrider.replay_wants(r.criteria, e.event_type, e.organization_id, e.user_id)
          AND NOT EXISTS (SELECT FROM postrider.webhook_attempts AS a WHERE a.event_id = e.id AND a.destination_id = d.id)
          AND NOT EXISTS (SELECT FROM postrider.webhook_retries AS t WHERE t.event_id = e.id AND t.destination_id = d.id)
          AND NOT EXISTS (SELECT FROM postrider.webhook_dead_letters AS l WHERE l.event_id = e.id AND l.destination_id = d.id)
          AND (e.id, d.id) NOT IN (
              SELECT f.event_id, f.destination_id FROM postrider.webhook_in_flight AS f WHERE f.destination_id IS NOT NULL)
          AND CASE WHEN e.id < (SELECT least('ffffffff-ffff-ffff-ffff-ffffffffffff',
                                             (SELECT q.id FROM postrider.webhook_queue AS q WHERE q.priority = 0 ORDER BY q.id LIMIT 1),
                                             (SELECT q.id FROM postrider.webhook_queue AS q WHERE q.priority = 1 ORDER BY q.id LIMIT 1),
                                             (SELECT q.id FROM postrider.webhook_queue AS q WHERE q.priority = 2 ORDER BY q.id LIMIT 1)))
                   THEN true ELSE NOT postrider.is_waiting(e.id, e.priority) END
        ORDER BY e.id
        LIMIT most;
    END IF;
END
$$;
COMMENT ON FUNCTION postrider.replay_candidates(postrider.webhook_replays, uuid, bigint) IS
    'Deliveries of a replay behind its place and up to an event, in the order of events; most null for all.';

CREATE FUNCTION postrider.count_replay(criteria jsonb, OUT count bigint, OUT without_payload bigint, OUT plan postrider.webhook_replays)
    LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    plan := postrider.replay_plan(criteria);
    SELECT count(*) FILTER (WHERE c.has_payload), count(*) FILTER (WHERE NOT c.has_payload) INTO count, without_payload
    FROM postrider.replay_candidates(plan, plan.to_id, NULL) AS c;
END
$$;
COMMENT ON FUNCTION postrider.count_replay(jsonb) IS
    'How many deliveries a replay would send now, and how many it would leave out because retention removed the payload.';

CREATE FUNCTION postrider.start_replay(criteria jsonb, planned bigint DEFAULT 0) RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    r      postrider.webhook_replays := postrider.replay_plan(criteria);
    new_id bigint;
BEGIN
    INSERT INTO postrider.webhook_replays (what, criteria, destination_id, from_id, to_id, per_second, planned, done_event_id)
    VALUES (r.what, r.criteria, r.destination_id, r.from_id, r.to_id, r.per_second, start_replay.planned, r.done_event_id)
    RETURNING id INTO new_id;
    RETURN new_id;
END
$$;
COMMENT ON FUNCTION postrider.start_replay(jsonb, bigint) IS
    'Stores a replay, see replay_plan, and gives its id. It goes on as somebody calls replay_batch.';

-- Doing it --------------------------------------------------------------------------------------------------------------

CREATE FUNCTION postrider.replay_wait(r postrider.webhook_replays) RETURNS bigint LANGUAGE sql VOLATILE AS $$
    SELECT greatest(0, ceil(extract(epoch FROM nullif(r.due_to, '-infinity') - interval '0.5 seconds' - clock_timestamp()) * 1000))::bigint
$$;
COMMENT ON FUNCTION postrider.replay_wait(postrider.webhook_replays) IS
    'Part of replay_next: milliseconds until so little is scheduled in advance that another batch should come.';

-- Reads upwards from the place: at most 5,000 events or dead letters, of which as many deliveries are taken as the rate lets
-- become due within a second. Locks the replay until the end of the transaction.
CREATE FUNCTION postrider.replay_next(replay bigint, most integer,
    OUT state text, OUT wait_ms bigint, OUT events uuid[], OUT destinations integer[], OUT attempts smallint[],
    OUT without_payload integer, OUT done_event uuid, OUT done_destination integer, OUT is_last boolean)
    LANGUAGE plpgsql VOLATILE SET enable_seqscan = off SET jit = off AS $$
DECLARE
    r       postrider.webhook_replays;
    rest    postrider.webhook_replays;
    room    bigint;
    last_id uuid;
    looked  bigint := 0;
    c       record;
    fault   text;
    advice  text;
BEGIN
    IF NOT coalesce(most BETWEEN 1 AND 10000, false) THEN
        RAISE EXCEPTION 'a batch has 1 to 10000 deliveries, not %', most USING ERRCODE = 'invalid_parameter_value';
    END IF;
    -- A driver that is stopped in the middle must not keep the others out.
    PERFORM pg_catalog.set_config('idle_in_transaction_session_timeout', '30s', true);
    PERFORM pg_catalog.pg_advisory_xact_lock(7747, 1);
    SELECT p.* INTO r FROM postrider.webhook_replays AS p WHERE p.id = replay FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no replay %', replay USING ERRCODE = 'no_data_found';
    END IF;
    -- More than a second and one delivery ahead was put down by a clock that has gone back since.
    IF r.due_to > clock_timestamp() + (2 + 1 / r.per_second) * interval '1 second' THEN
        r.due_to := clock_timestamp();
    END IF;
    state := r.state;
    events := '{}';
    destinations := '{}';
    attempts := '{}';
    without_payload := 0;
    is_last := false;
    wait_ms := postrider.replay_wait(r);
    room := floor(extract(epoch FROM clock_timestamp() + interval '1 second' - greatest(r.due_to, clock_timestamp())) * r.per_second) + 1;
    room := least(room, most);
    done_event := r.done_event_id;
    done_destination := r.done_destination_id;
    IF state <> 'running' THEN
        RETURN;
    END IF;
    UPDATE postrider.webhook_replays AS p SET driven_at = clock_timestamp(), due_to = r.due_to WHERE p.id = replay;
    IF wait_ms > 0 OR room <= 0 THEN
        RETURN;
    END IF;
    -- Attempts may have gone since it began, while it was paused or slow. What has gone does not come back: it has ended.
    IF r.what = 'backfill' AND NOT r.criteria ? 'event' THEN
        rest := r;
        rest.from_id := r.done_event_id;
        BEGIN
            PERFORM postrider.check_backfill(rest);
        EXCEPTION WHEN invalid_parameter_value THEN
            GET STACKED DIAGNOSTICS fault = MESSAGE_TEXT, advice = PG_EXCEPTION_HINT;
            UPDATE postrider.webhook_replays AS p
            SET state = 'failed', error = fault || '. ' || advice, ended_at = clock_timestamp() WHERE p.id = replay;
            state := 'failed';
            RETURN;
        END;
    END IF;
    IF r.what = 'dead_letters' THEN
        SELECT l.event_id INTO last_id FROM postrider.webhook_dead_letters AS l
        WHERE l.event_id >= r.done_event_id AND l.event_id <= r.to_id
          AND (l.event_id, l.destination_id) > (r.done_event_id, r.done_destination_id)
        ORDER BY l.event_id, l.destination_id OFFSET 5000 LIMIT 1;
    ELSE
        SELECT e.id INTO last_id FROM postrider.webhook_event_log AS e
        WHERE e.id >= r.done_event_id AND e.id <= r.to_id
        ORDER BY e.id OFFSET 5000 LIMIT 1;
    END IF;
    -- One more than there is room for tells whether there is more.
    FOR c IN SELECT * FROM postrider.replay_candidates(r, coalesce(last_id, r.to_id), room + 1) LOOP
        IF looked = room THEN
            RETURN;
        ELSIF c.is_in_flight THEN
            -- The place stays before it; soon it will be known who got it.
            wait_ms := 100;
            RETURN;
        ELSIF c.has_payload THEN
            events := events || c.event_id;
            destinations := destinations || c.destination_id;
            attempts := attempts || c.attempt_number;
        ELSE
            without_payload := without_payload + 1;
        END IF;
        looked := looked + 1;
        done_event := c.event_id;
        done_destination := c.destination_id;
    END LOOP;
    is_last := last_id IS NULL;
    done_event := coalesce(last_id, r.to_id);
    done_destination := 2147483647;
END
$$;
COMMENT ON FUNCTION postrider.replay_next(bigint, integer) IS
    'The next deliveries of a replay, to be handed to replay_schedule in the same transaction; none while it must wait for wait_ms.';

CREATE FUNCTION postrider.replay_schedule(replay bigint, events uuid[], destinations integer[], attempts smallint[],
    without_payload integer, filtered integer, done_event uuid, done_destination integer, is_last boolean,
    OUT scheduled integer, OUT replay_state text, OUT wait_ms bigint)
    LANGUAGE plpgsql VOLATILE SET enable_seqscan = off SET jit = off AS $$
DECLARE
    r     postrider.webhook_replays;
    start timestamptz;
    there integer[];
    lost  integer;
BEGIN
    SELECT p.* INTO r FROM postrider.webhook_replays AS p WHERE p.id = replay AND p.state = 'running' FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'replay % is not running', replay USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    -- Who deletes or activates a destination takes its row first, and then its retries and dead letters in another order than this
    -- does: beside this lock they cannot wait for each other. For a destination that was deleted meanwhile nothing is scheduled.
    there := ARRAY(SELECT d.id FROM postrider.webhook_destinations AS d
                   WHERE d.id = ANY (destinations) AND d.deleted_at IS NULL ORDER BY d.id FOR SHARE);
    start := greatest(r.due_to, clock_timestamp());
    WITH chosen AS MATERIALIZED (
        SELECT u.* FROM unnest(events, destinations, attempts) WITH ORDINALITY AS u (event_id, destination_id, number, place)
        WHERE u.destination_id = ANY (there)
    ), held AS MATERIALIZED (
        -- Retention must wait until this is committed, and what it removed first is looked at again under the lock.
        SELECT e.id FROM postrider.webhook_event_log AS e
        -- The bounds spare the other weeks a probe for each event.
        WHERE e.id = ANY (events) AND e.id >= events[1] AND e.id <= events[cardinality(events)]
          AND NOT postrider.is_removed(e.data)
        FOR SHARE OF e
    ), buried AS (
        DELETE FROM postrider.webhook_dead_letters AS l USING chosen AS c
        WHERE l.event_id = c.event_id AND l.destination_id = c.destination_id AND c.event_id IN (SELECT h.id FROM held AS h)
        RETURNING l.event_id, l.destination_id
    ), sent AS (
        INSERT INTO postrider.webhook_retries AS t (event_id, due_at, destination_id, attempt_number, is_replay)
        SELECT c.event_id, start + (row_number() OVER (ORDER BY c.place) - 1) / r.per_second * interval '1 second',
               c.destination_id, c.number, true
        FROM chosen AS c
        WHERE c.event_id IN (SELECT h.id FROM held AS h)
          AND (r.what <> 'dead_letters' OR (c.event_id, c.destination_id) IN (SELECT b.event_id, b.destination_id FROM buried AS b))
        -- A retry that waits for later comes now. Parked ones stay parked: their destination is inactive.
        ON CONFLICT (event_id, destination_id) DO UPDATE SET due_at = least(t.due_at, excluded.due_at), is_replay = true
            WHERE t.due_at <> 'infinity'
        RETURNING 1
    )
    SELECT (SELECT count(*) FROM sent), (SELECT count(*) FROM chosen AS c WHERE c.event_id NOT IN (SELECT h.id FROM held AS h))
    INTO scheduled, lost;
    UPDATE postrider.webhook_replays AS p
    SET scheduled = p.scheduled + replay_schedule.scheduled,
        without_payload = p.without_payload + replay_schedule.without_payload + lost,
        filtered = p.filtered + replay_schedule.filtered,
        done_event_id = done_event, done_destination_id = done_destination,
        due_to = CASE WHEN replay_schedule.scheduled = 0 THEN p.due_to
                      ELSE start + replay_schedule.scheduled / p.per_second * interval '1 second' END,
        state = CASE WHEN is_last THEN 'done' ELSE p.state END,
        ended_at = CASE WHEN is_last THEN clock_timestamp() END
    WHERE p.id = replay RETURNING p.* INTO r;
    replay_state := r.state;
    wait_ms := CASE WHEN is_last THEN 0 ELSE postrider.replay_wait(r) END;
    IF scheduled > 0 THEN
        PERFORM pg_catalog.pg_notify('postrider_wake', 'retries');
    END IF;
END
$$;
COMMENT ON FUNCTION postrider.replay_schedule(bigint, uuid[], integer[], smallint[], integer, integer, uuid, integer, boolean) IS
    'Puts what replay_next gave, less what a payload filter does not want, into webhook_retries and moves the replay''s place.';

CREATE FUNCTION postrider.replay_batch(replay bigint, most integer DEFAULT 1000,
    OUT scheduled integer, OUT replay_state text, OUT wait_ms bigint)
    LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    n record;
BEGIN
    IF EXISTS (SELECT FROM postrider.webhook_replays AS r JOIN postrider.webhook_destinations AS d ON d.id = r.destination_id
               WHERE r.id = replay AND r.what = 'backfill' AND d.options ? 'filter') THEN
        RAISE EXCEPTION 'the endpoint of replay % has a payload filter, which SQL cannot evaluate', replay
            USING ERRCODE = 'feature_not_supported', HINT = format('postrider replay resume %s', replay);
    END IF;
    SELECT x.* INTO n FROM postrider.replay_next(replay, most) AS x;
    scheduled := 0;
    replay_state := n.state;
    wait_ms := n.wait_ms;
    IF n.state = 'running' AND (n.is_last OR n.wait_ms = 0 OR cardinality(n.events) + n.without_payload > 0) THEN
        SELECT s.scheduled, s.replay_state, greatest(s.wait_ms, n.wait_ms) INTO scheduled, replay_state, wait_ms
        FROM postrider.replay_schedule(replay, n.events, n.destinations, n.attempts, n.without_payload, 0,
                                       n.done_event, n.done_destination, n.is_last) AS s;
    END IF;
END
$$;
COMMENT ON FUNCTION postrider.replay_batch(bigint, integer) IS
    'One batch of a replay, resumable: gives how many deliveries it scheduled, the replay''s state, and how long to wait before the next.';

-- Attempts ---------------------------------------------------------------------------------------------------------------

-- Their numbers go on, so that each attempt has its own; how many they were is asked when the last one has failed.
CREATE FUNCTION postrider.uncounted_attempts(event uuid, destination integer) RETURNS bigint
    LANGUAGE plpgsql STABLE SET enable_seqscan = off AS $$
BEGIN
    -- By their numbers: a crash may write one twice, and with outcome 3 somebody else's attempt of the number counts.
    RETURN (SELECT count(DISTINCT a.attempt_number) FROM postrider.webhook_attempts AS a
            WHERE a.event_id = event AND a.destination_id = destination AND a.outcome <> 3
              AND a.failure IN ('proxy', 'worker', 'cancelled'));
END
$$;
COMMENT ON FUNCTION postrider.uncounted_attempts(uuid, integer) IS
    'How many attempts of a delivery spent none of its destination''s: those that ended at a proxy, or with or for want of their worker.';

-- Rights ------------------------------------------------------------------------------------------------------------------

DO $$
BEGIN
    PERFORM postrider.add_grants('worker', 'function', 'EXECUTE', 'uncounted_attempts');
    PERFORM postrider.add_grants('auditor', 'table', 'SELECT', 'webhook_replays');
    PERFORM postrider.add_grants('admin', 'table', 'SELECT, INSERT, UPDATE', 'webhook_replays');
    PERFORM postrider.add_grants('admin', 'function', 'EXECUTE', 'check_backfill', 'check_replay', 'count_replay',
        'find_delivery', 'replay_batch', 'replay_candidates', 'replay_destination', 'replay_next', 'replay_plan', 'replay_schedule',
        'replay_wait', 'replay_wants', 'start_replay');
    UPDATE postrider.webhook_grants AS g SET privileges = 'SELECT, INSERT, UPDATE (is_critical, archived_at), DELETE'
    WHERE g.role_name = 'postrider_admin' AND g.object = 'webhook_dead_letters';
END
$$;
SELECT postrider.grant_roles();

INSERT INTO postrider.webhook_migrations (version, name) VALUES (11, 'replays');

"""#, down: #"""
-- Undoes 0011. Lost: the list of replays and how far they are. What they scheduled is sent.
DROP FUNCTION postrider.uncounted_attempts(uuid, integer),
    postrider.replay_batch(bigint, integer),
    postrider.replay_schedule(bigint, uuid[], integer[], smallint[], integer, integer, uuid, integer, boolean),
    postrider.replay_next(bigint, integer), postrider.replay_wait(postrider.webhook_replays),
    postrider.start_replay(jsonb, bigint), postrider.count_replay(jsonb),
    postrider.replay_candidates(postrider.webhook_replays, uuid, bigint), postrider.replay_wants(jsonb, text, text, text),
    postrider.replay_plan(jsonb), postrider.check_backfill(postrider.webhook_replays), postrider.check_replay(jsonb),
    postrider.find_delivery(uuid), postrider.replay_destination(text);
UPDATE postrider.webhook_grants SET privileges = 'SELECT, INSERT, DELETE'
WHERE role_name = 'postrider_admin' AND object = 'webhook_dead_letters';
DELETE FROM postrider.webhook_grants WHERE object IN ('webhook_replays', 'uncounted_attempts', 'check_backfill', 'check_replay',
    'count_replay', 'find_delivery', 'replay_batch', 'replay_candidates', 'replay_destination', 'replay_next', 'replay_plan',
    'replay_schedule', 'replay_wait', 'replay_wants', 'start_replay');
DROP TABLE postrider.webhook_replays;
SELECT postrider.grant_roles();

DELETE FROM postrider.webhook_migrations WHERE version = 11;

"""#),
        (version: 12, name: "profiles", up: #"""
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

"""#, down: #"""
-- Undoes 0012. Lost: the profiles that operators added; destinations that use one are made inactive by the next worker and
-- what waits for them is parked. Secrets keep their dates.
DROP TRIGGER webhook_destination_profile_gate ON postrider.webhook_destinations;
DROP FUNCTION postrider.webhook_destination_profile_gate();
CREATE OR REPLACE FUNCTION postrider.new_secret(profile text) RETURNS text LANGUAGE sql VOLATILE AS $$
    SELECT CASE WHEN profile IN ('standard', 'supabase', 'hasura') THEN 'whsec_' || encode(postrider.random_bytes_32(), 'base64')
                WHEN profile = 'stripe' THEN 'whsec_' || encode(postrider.random_bytes_32(), 'hex')
                ELSE encode(postrider.random_bytes_32(), 'hex') END
$$;
COMMENT ON FUNCTION postrider.new_secret(text) IS 'A new secret in the form of a profile: whsec_ and base64 for standard, supabase and hasura, whsec_ and hex for stripe, 64 hex digits for all others.';
DROP FUNCTION postrider.secret_expires_at(integer), postrider.expire_secret(uuid, interval), postrider.secret_form(text);
DELETE FROM postrider.webhook_grants
WHERE object IN ('webhook_profiles', 'secret_form', 'expire_secret', 'secret_expires_at');
DROP FUNCTION postrider.profile_fault(postrider.webhook_profiles);
DROP TABLE postrider.webhook_profiles;
DROP FUNCTION postrider.webhook_profile_gate(), postrider.template_fault(text, text[]), postrider.is_built_in_profile(text);
SELECT postrider.grant_roles();

DELETE FROM postrider.webhook_migrations WHERE version = 12;

"""#),
        (version: 13, name: "settings", up: #"""
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

"""#, down: #"""
-- Undoes 0013. Lost: all settings; destinations that name one send nothing until their headers and options name none.
DELETE FROM postrider.webhook_grants WHERE object = 'webhook_settings';
DROP TABLE postrider.webhook_settings;
SELECT postrider.grant_roles();

DELETE FROM postrider.webhook_migrations WHERE version = 13;

"""#),
        (version: 14, name: "privacy", up: #"""
-- Postrider 0014: privacy. Erasing a person's payloads, sealing payloads at rest, and an append-only log of administrative
-- changes.
--
-- Erasing looks through the log of events, because an index on user_id would cost every event that is written. It goes from
-- the newest event down, in batches: what may still be sent is stopped first, and what has to be looked at again (events
-- that a worker held, transactions that were open) lies at that end, so the second pass is short.

-- The audit log -----------------------------------------------------------------------------------------------------------

CREATE TABLE postrider.webhook_audit_log (
    id          bigint      GENERATED ALWAYS AS IDENTITY,
    at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    login       text        NOT NULL DEFAULT session_user,
    role_name   text        NOT NULL DEFAULT coalesce(nullif(current_setting('role'), 'none'), session_user),
    application text                 DEFAULT nullif(current_setting('application_name'), ''),
    actor       text                 DEFAULT nullif(current_setting('postrider.actor', true), ''),
    action      text        NOT NULL,
    object_kind text        NOT NULL,
    object_id   text,
    object_name text,
    before      jsonb,
    after       jsonb,
    CONSTRAINT webhook_audit_log_pkey PRIMARY KEY (id)
);
CREATE INDEX webhook_audit_log_object_idx ON postrider.webhook_audit_log (object_id, id);
ALTER TABLE postrider.webhook_audit_log ALTER COLUMN before SET STATISTICS 0, ALTER COLUMN after SET STATISTICS 0;
COMMENT ON TABLE postrider.webhook_audit_log IS
    'Administrative changes, by whom, before and after. Append-only: UPDATE and TRUNCATE are refused, and DELETE of rows younger than webhook_retention.keep_audit.';
COMMENT ON COLUMN postrider.webhook_audit_log.id IS 'Ascending in the order of writing.';
COMMENT ON COLUMN postrider.webhook_audit_log.at IS 'When it was changed, by the database''s clock.';
COMMENT ON COLUMN postrider.webhook_audit_log.login IS 'Who was logged in (session_user).';
COMMENT ON COLUMN postrider.webhook_audit_log.role_name IS 'The role that the session had set; the login when none.';
COMMENT ON COLUMN postrider.webhook_audit_log.application IS 'application_name of the session; null when empty.';
COMMENT ON COLUMN postrider.webhook_audit_log.actor IS 'What the session said of itself: SET postrider.actor. worker: a worker did it by itself. Null when it said nothing.';
COMMENT ON COLUMN postrider.webhook_audit_log.action IS 'create, update, enable, disable, delete, truncate; of secrets rotate, expire, seal; of settings seal; of users forget, forgotten; or what record_change was told.';
COMMENT ON COLUMN postrider.webhook_audit_log.object_kind IS 'endpoint, n8n, secret, attachment, retention, denied column, sealed type, profile, setting, transform, replay, user, or what record_change was told.';
COMMENT ON COLUMN postrider.webhook_audit_log.object_id IS 'Id of an endpoint or workflow, also of its secrets; table of an attachment or denied column; pattern of a sealed type; name of a profile; name of a setting, behind its organization and a slash; function of a transform; id of a replay; SHA-256 of a user''s id.';
COMMENT ON COLUMN postrider.webhook_audit_log.object_name IS 'Its name at that time.';
COMMENT ON COLUMN postrider.webhook_audit_log.before IS 'What was changed, as it was; null when it was created. •••• stands for credentials.';
COMMENT ON COLUMN postrider.webhook_audit_log.after IS 'What was changed, as it became; null when it was deleted. •••• stands for credentials.';

ALTER TABLE postrider.webhook_retention
    ADD COLUMN keep_audit interval,
    ADD CONSTRAINT audit_log_is_kept_90_days CHECK (keep_audit >= interval '90 days');
COMMENT ON COLUMN postrider.webhook_retention.keep_audit IS
    'Age at which lines of webhook_audit_log go, at least 90 days; null for never, the default.';

-- What is too old is told by the row itself and by a setting whose changes are logged, so there is no back door to close.
CREATE FUNCTION postrider.webhook_audit_guard() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        IF OLD.at < clock_timestamp() - (SELECT r.keep_audit FROM postrider.webhook_retention AS r) THEN
            RETURN OLD;
        END IF;
    END IF;
    RAISE EXCEPTION 'webhook_audit_log is append-only' USING ERRCODE = 'insufficient_privilege',
        HINT = 'Rows that are older than webhook_retention.keep_audit go by themselves.';
END
$$;
COMMENT ON FUNCTION postrider.webhook_audit_guard() IS 'Trigger: refuses changes of the audit log, whoever tries.';
CREATE TRIGGER webhook_audit_guard BEFORE UPDATE OR TRUNCATE ON postrider.webhook_audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION postrider.webhook_audit_guard();
CREATE TRIGGER webhook_audit_guard_delete BEFORE DELETE ON postrider.webhook_audit_log
    FOR EACH ROW EXECUTE FUNCTION postrider.webhook_audit_guard();
-- Also in sessions that replicate, where other triggers rest.
ALTER TABLE postrider.webhook_audit_log
    ENABLE ALWAYS TRIGGER webhook_audit_guard, ENABLE ALWAYS TRIGGER webhook_audit_guard_delete;

CREATE FUNCTION postrider.redacted(value jsonb, is_hidden boolean DEFAULT false) RETURNS jsonb
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    CASE jsonb_typeof(value)
    WHEN 'object' THEN
        -- Most members stay as they are and are told by one look: a call for each takes 100 us of a row of 25 (measured).
        -- ordering_key is no key.
        RETURN (SELECT coalesce(jsonb_object_agg(f.key, CASE
                    WHEN is_hidden OR f.key <> 'ordering_key' AND postrider.holds_credential(f.key)
                        THEN postrider.redacted(f.value, true)
                    WHEN f.value::text ~ '^[^"{[]|^"[^:]*"$' THEN f.value
                    ELSE postrider.redacted(f.value, false) END), '{}') FROM jsonb_each(value) AS f);
    WHEN 'array' THEN
        RETURN (SELECT coalesce(jsonb_agg(postrider.redacted(e.value, is_hidden) ORDER BY e.place), '[]')
                FROM jsonb_array_elements(value) WITH ORDINALITY AS e (value, place));
    WHEN 'string' THEN
        IF is_hidden OR starts_with(value #>> '{}', 'sealed:') THEN
            RETURN to_jsonb('••••'::text);
        END IF;
        RETURN to_jsonb(regexp_replace(value #>> '{}', '//[^/?#@]*@', '//••••@'));
    WHEN 'null' THEN
        RETURN value;
    ELSE
        RETURN CASE WHEN is_hidden THEN to_jsonb('••••'::text) ELSE value END;
    END CASE;
END
$$;
COMMENT ON FUNCTION postrider.redacted(jsonb, boolean) IS
    'A document with dots for what is sealed, for everything under a name that tells of a credential, and for passwords in URLs.';

CREATE FUNCTION postrider.audited_object(kind text, doc jsonb, OUT object_kind text, OUT object_id text, OUT object_name text)
    LANGUAGE plpgsql STABLE AS $$
BEGIN
    object_kind := kind;
    CASE kind
    WHEN 'destination' THEN
        object_kind := doc ->> 'kind';
        object_id := doc ->> 'public_id';
        object_name := doc ->> 'name';
    WHEN 'secret' THEN
        SELECT d.public_id, d.name || ' ' || (doc ->> 'version') INTO object_id, object_name
        FROM postrider.webhook_destinations AS d WHERE d.id = (doc ->> 'destination_id')::integer;
    WHEN 'attachment' THEN
        object_id := doc ->> 'table_name';
        object_name := doc ->> 'name';
    WHEN 'denied column' THEN
        object_id := coalesce(doc ->> 'target', 'every table');
        object_name := concat_ws('.', doc ->> 'column_name',
            (SELECT string_agg(p.name, '.') FROM jsonb_array_elements_text(doc -> 'path') AS p (name)));
    WHEN 'profile' THEN
        object_id := doc ->> 'name';
        object_name := doc ->> 'name';
    WHEN 'replay' THEN
        object_id := doc ->> 'id';
        object_name := doc ->> 'what';
    WHEN 'sealed type' THEN
        object_id := doc ->> 'pattern';
        object_name := doc ->> 'pattern';
    WHEN 'setting' THEN
        object_id := concat_ws('/', doc ->> 'organization_id', doc ->> 'name');
        object_name := doc ->> 'name';
    WHEN 'transform' THEN
        object_id := doc ->> 'function';
        object_name := doc ->> 'function';
    ELSE
        NULL;
    END CASE;
END
$$;
COMMENT ON FUNCTION postrider.audited_object(text, jsonb) IS 'Part of the audit log: what a changed row is called there.';

CREATE FUNCTION postrider.audited_values(kind text, doc jsonb) RETURNS jsonb
    LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT postrider.redacted(CASE
        WHEN kind = 'setting' AND doc ? 'value' THEN doc || '{"value": "••••"}'
        WHEN kind = 'destination' AND jsonb_typeof(doc -> 'headers') = 'object'
            THEN doc || jsonb_build_object('headers', (SELECT coalesce(jsonb_object_agg(h.key, '••••'), '{}')
                                                       FROM jsonb_each(doc -> 'headers') AS h))
        ELSE doc END)
$$;
COMMENT ON FUNCTION postrider.audited_values(text, jsonb) IS
    'Part of the audit log: what a line shows of a row. The value of a setting is a credential whatever its name, and auditors see no value of a header.';

-- The nth old row belongs to the nth new one: both transition tables are filled side by side. Nested loops and the compiler
-- are off for the reason told in build_attachment: a plan made for one row must not meet 100,000.
CREATE FUNCTION postrider.webhook_audited() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp SET enable_nestloop = off SET jit = off AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO postrider.webhook_audit_log (action, object_kind, object_id, object_name, after)
        SELECT CASE WHEN TG_ARGV[0] = 'secret' AND (r.doc ->> 'version')::integer > 1 THEN 'rotate' ELSE 'create' END,
               o.object_kind, o.object_id, o.object_name, postrider.audited_values(TG_ARGV[0], jsonb_strip_nulls(r.doc))
        FROM (SELECT to_jsonb(a) AS doc FROM after_rows AS a) AS r, LATERAL postrider.audited_object(TG_ARGV[0], r.doc) AS o;
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO postrider.webhook_audit_log (action, object_kind, object_id, object_name, before)
        SELECT 'delete', o.object_kind, o.object_id, o.object_name, postrider.audited_values(TG_ARGV[0], jsonb_strip_nulls(r.doc))
        FROM (SELECT to_jsonb(b) AS doc FROM before_rows AS b) AS r, LATERAL postrider.audited_object(TG_ARGV[0], r.doc) AS o;
    ELSIF TG_OP = 'TRUNCATE' THEN
        INSERT INTO postrider.webhook_audit_log (action, object_kind) VALUES ('truncate', TG_ARGV[0]);
    ELSE
        INSERT INTO postrider.webhook_audit_log (action, object_kind, object_id, object_name, before, after)
        SELECT CASE WHEN c.after ->> 'deleted_at' IS NOT NULL THEN 'delete'
                    WHEN c.after ->> 'is_active' = 'true' THEN 'enable'
                    WHEN c.after ->> 'is_active' = 'false' THEN 'disable'
                    WHEN TG_ARGV[0] = 'secret' AND c.after ? 'expires_at' THEN 'expire'
                    WHEN TG_ARGV[0] = 'secret' AND starts_with(c.after ->> 'secret', 'sealed:') THEN 'seal'
                    -- Somebody who sets it sets its date too.
                    WHEN TG_ARGV[0] = 'setting' AND starts_with(c.after ->> 'value', 'sealed:')
                        AND a.doc -> 'updated_at' = b.doc -> 'updated_at' THEN 'seal'
                    ELSE 'update' END,
               o.object_kind, o.object_id, o.object_name, postrider.audited_values(TG_ARGV[0], c.before),
               postrider.audited_values(TG_ARGV[0], c.after)
        FROM (SELECT row_number() OVER () AS place, to_jsonb(b) AS doc FROM before_rows AS b) AS b
        JOIN (SELECT row_number() OVER () AS place, to_jsonb(a) AS doc FROM after_rows AS a) AS a ON a.place = b.place
        CROSS JOIN LATERAL (
            SELECT jsonb_object_agg(f.key, b.doc -> f.key) AS before, jsonb_object_agg(f.key, f.value) AS after
            FROM jsonb_each(a.doc) AS f
            WHERE f.value IS DISTINCT FROM b.doc -> f.key AND f.key NOT IN ('updated_at', 'upkeep_at', 'attempts_gone_to', 'sealed_to')
        ) AS c
        CROSS JOIN LATERAL postrider.audited_object(TG_ARGV[0], a.doc) AS o
        WHERE c.after IS NOT NULL;
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION postrider.webhook_audited() IS
    'Trigger: writes what a statement changed into the audit log, without credentials. Runs as its owner: nobody else may write there.';

-- Types whose payloads are sealed. A trigger has no key, so a payload is written readable; a worker with keys seals it a
-- minute later, and opens it again when the event is replayed or tried again. The database never sees a key.
CREATE TABLE postrider.webhook_sealed_types (
    pattern    text        NOT NULL,
    sealed_to  uuid,
    created_by text        NOT NULL DEFAULT session_user,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT webhook_sealed_types_pkey PRIMARY KEY (pattern)
);
COMMENT ON TABLE postrider.webhook_sealed_types IS
    'Event types whose payloads workers with keys seal at rest. Written by seal_type and unseal_type.';
COMMENT ON COLUMN postrider.webhook_sealed_types.pattern IS 'An exact type, message.* for every type below message, * for all.';
COMMENT ON COLUMN postrider.webhook_sealed_types.sealed_to IS 'Events up to this id have been looked at, but for those of transactions that were open for more than a minute, which may have been passed by; null before the first.';
COMMENT ON COLUMN postrider.webhook_sealed_types.created_by IS 'Who wanted it.';
COMMENT ON COLUMN postrider.webhook_sealed_types.created_at IS 'Since when.';

CREATE TABLE postrider.webhook_payload_keys (
    key_name text   NOT NULL,
    first_id uuid   NOT NULL,
    last_id  uuid   NOT NULL,
    payloads bigint NOT NULL,
    CONSTRAINT webhook_payload_keys_pkey PRIMARY KEY (key_name)
);
COMMENT ON TABLE postrider.webhook_payload_keys IS
    'Keys that payloads were sealed with. A key is needed until retention has removed the event last_id.';
COMMENT ON COLUMN postrider.webhook_payload_keys.key_name IS 'Name of the key, as in POSTRIDER_SECRET_KEYS.';
COMMENT ON COLUMN postrider.webhook_payload_keys.first_id IS 'The oldest event whose payload was sealed with it.';
COMMENT ON COLUMN postrider.webhook_payload_keys.last_id IS 'The youngest one.';
COMMENT ON COLUMN postrider.webhook_payload_keys.payloads IS 'How many were sealed with it, those that are gone included.';

DO $$
DECLARE
    target text;
    kind   text;
BEGIN
    FOR target, kind IN VALUES ('webhook_destinations', 'destination'), ('webhook_secrets', 'secret'),
        ('webhook_attachments', 'attachment'), ('webhook_denied_columns', 'denied column'), ('webhook_retention', 'retention'),
        ('webhook_sealed_types', 'sealed type'), ('webhook_profiles', 'profile'), ('webhook_settings', 'setting'),
        ('webhook_transforms', 'transform') LOOP
        EXECUTE format('CREATE TRIGGER webhook_audited_insert AFTER INSERT ON postrider.%I REFERENCING NEW TABLE AS after_rows'
                       ' FOR EACH STATEMENT EXECUTE FUNCTION postrider.webhook_audited(%L)', target, kind);
        EXECUTE format('CREATE TRIGGER webhook_audited_update AFTER UPDATE ON postrider.%I REFERENCING OLD TABLE AS before_rows'
                       ' NEW TABLE AS after_rows FOR EACH STATEMENT EXECUTE FUNCTION postrider.webhook_audited(%L)', target, kind);
        EXECUTE format('CREATE TRIGGER webhook_audited_delete AFTER DELETE ON postrider.%I REFERENCING OLD TABLE AS before_rows'
                       ' FOR EACH STATEMENT EXECUTE FUNCTION postrider.webhook_audited(%L)', target, kind);
        EXECUTE format('CREATE TRIGGER webhook_audited_truncate AFTER TRUNCATE ON postrider.%I'
                       ' FOR EACH STATEMENT EXECUTE FUNCTION postrider.webhook_audited(%L)', target, kind);
    END LOOP;
END
$$;
-- That somebody began one: how it goes on is in its own row.
CREATE TRIGGER webhook_audited_insert AFTER INSERT ON postrider.webhook_replays REFERENCING NEW TABLE AS after_rows
    FOR EACH STATEMENT EXECUTE FUNCTION postrider.webhook_audited('replay');

CREATE FUNCTION postrider.record_change(action text, object_kind text, object_id text, details jsonb DEFAULT NULL) RETURNS void
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    INSERT INTO postrider.webhook_audit_log (action, object_kind, object_id, after)
    VALUES (action, object_kind, object_id, postrider.redacted(details))
$$;
COMMENT ON FUNCTION postrider.record_change(text, text, text, jsonb) IS
    'Adds a line to the audit log about what no trigger sees, such as a replay. The line tells who called.';

CREATE FUNCTION postrider.prune_audit_log(most integer DEFAULT 10000) RETURNS bigint
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    pruned bigint;
BEGIN
    IF NOT coalesce(most BETWEEN 1 AND 100000, false) THEN
        RAISE EXCEPTION 'a batch has 1 to 100000 rows, not %', most USING ERRCODE = '22023';
    END IF;
    -- An array is made once. As IN (…) the subquery may be asked for each row of the log, and passes by what it locked before:
    -- more than the batch was deleted (seen).
    DELETE FROM postrider.webhook_audit_log AS t WHERE t.id = ANY (ARRAY(
        SELECT l.id FROM postrider.webhook_audit_log AS l
        WHERE l.at < clock_timestamp() - (SELECT r.keep_audit FROM postrider.webhook_retention AS r)
        ORDER BY l.id LIMIT most FOR UPDATE SKIP LOCKED));
    GET DIAGNOSTICS pruned = ROW_COUNT;
    RETURN pruned;
END
$$;
COMMENT ON FUNCTION postrider.prune_audit_log(integer) IS
    'Deletes lines of the audit log that are older than webhook_retention.keep_audit, the oldest first; gives how many.';

-- Forgetting a person -------------------------------------------------------------------------------------------------------

CREATE TABLE postrider.webhook_erasures (
    id              integer     GENERATED ALWAYS AS IDENTITY,
    subject         text        NOT NULL,
    user_id         text,
    organization_id text,
    also_id         boolean     NOT NULL DEFAULT false,
    requested_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    requested_by    text        NOT NULL DEFAULT session_user,
    horizon         xid8        NOT NULL DEFAULT pg_current_xact_id(),
    to_id           uuid        NOT NULL DEFAULT postrider.next_event_id(),
    done_to         uuid,
    down_to         uuid,
    again_to        uuid,
    ahead_ids       uuid[]      NOT NULL DEFAULT '{}',
    has_ahead_ids   boolean     NOT NULL DEFAULT false,
    look_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    events          bigint      NOT NULL DEFAULT 0,
    attempts        bigint      NOT NULL DEFAULT 0,
    dropped         bigint      NOT NULL DEFAULT 0,
    finished_at     timestamptz,
    CONSTRAINT webhook_erasures_pkey PRIMARY KEY (id),
    CONSTRAINT user_is_forgotten_at_the_end CHECK ((user_id IS NULL) = (finished_at IS NOT NULL))
);
CREATE INDEX webhook_erasures_unfinished_idx ON postrider.webhook_erasures (id) WHERE finished_at IS NULL;
ALTER TABLE postrider.webhook_erasures ALTER COLUMN user_id SET STATISTICS 0;
COMMENT ON TABLE postrider.webhook_erasures IS
    'Persons whose payloads are erased, or were: one row for each call of forget_user, with how far it is.';
COMMENT ON COLUMN postrider.webhook_erasures.id IS 'The erasure.';
COMMENT ON COLUMN postrider.webhook_erasures.subject IS 'SHA-256 of the user''s id in hexadecimal digits: tells whether somebody was erased to those who know the id.';
COMMENT ON COLUMN postrider.webhook_erasures.user_id IS 'The user''s id, until the erasure is finished; then null.';
COMMENT ON COLUMN postrider.webhook_erasures.organization_id IS 'Only events of this organization; null for all.';
COMMENT ON COLUMN postrider.webhook_erasures.also_id IS 'True: the user''s id in events is replaced by erased: and the subject.';
COMMENT ON COLUMN postrider.webhook_erasures.requested_at IS 'When it was asked for.';
COMMENT ON COLUMN postrider.webhook_erasures.requested_by IS 'Who asked for it (session_user).';
COMMENT ON COLUMN postrider.webhook_erasures.horizon IS 'Transactions that began to write before this one may still commit events that have to be erased.';
COMMENT ON COLUMN postrider.webhook_erasures.to_id IS 'Events before this id are erased, and later ones that were there when it was asked for; others are not touched.';
COMMENT ON COLUMN postrider.webhook_erasures.done_to IS 'This pass has looked at all events from here up to to_id; null before it begins.';
COMMENT ON COLUMN postrider.webhook_erasures.down_to IS 'Where this pass ends; null for the oldest event, in the first pass.';
COMMENT ON COLUMN postrider.webhook_erasures.again_to IS 'How far down the next pass has to look; null when none is needed so far.';
COMMENT ON COLUMN postrider.webhook_erasures.ahead_ids IS 'Events with later ids that were there when it was asked for: of applications whose clock is ahead.';
COMMENT ON COLUMN postrider.webhook_erasures.has_ahead_ids IS 'No more of them can come: they were looked for after the transactions of that time had ended.';
COMMENT ON COLUMN postrider.webhook_erasures.look_at IS 'When upkeep goes on with it.';
COMMENT ON COLUMN postrider.webhook_erasures.events IS 'Events whose payload was erased.';
COMMENT ON COLUMN postrider.webhook_erasures.attempts IS 'Attempts whose response body and error message were erased.';
COMMENT ON COLUMN postrider.webhook_erasures.dropped IS 'Deliveries that would have been tried again and were dropped.';
COMMENT ON COLUMN postrider.webhook_erasures.finished_at IS 'Since when no payload of the person is left and nothing of it can be sent any more; null until then. What stays: criteria of replays that named the person, and their lines in the audit log.';

-- The order matters, and each statement has a snapshot of its own:
-- * The payload goes first. A replay holds its events, so it is waited for and its retries are seen below; a claim that
--   comes later reads no payload, and workers send none.
-- * Retries go next. A claim that is just taking one is waited for.
-- * Then what workers hold, or may hold by now, is looked for in one snapshot, in which an event stands in at least one of
--   the three tables. Such an event may be sent still, and its answer be recorded: it is looked at again.
-- * A worker that was declared dead while it recorded may write an answer yet: while it does, everything is looked at again.
--   Who begins later knows of its death. One that hangs may do so for longer than its row is kept.
-- * What an attempt says comes last: a claim that is gone by then was recorded before.
CREATE FUNCTION postrider.erase_events(ids uuid[], new_user_id text,
    OUT events bigint, OUT attempts bigint, OUT dropped bigint, OUT again_id uuid) LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    UPDATE postrider.webhook_event_log AS e
    SET data = postrider.removed_payload(), user_id = coalesce(new_user_id, e.user_id),
        record_id = CASE WHEN new_user_id IS NULL OR e.record_id <> e.user_id THEN e.record_id END,
        ordering_key = CASE WHEN new_user_id IS NULL OR e.ordering_key <> e.user_id THEN e.ordering_key END
    WHERE e.id = ANY (ids) AND (NOT postrider.is_removed(e.data) OR e.user_id <> new_user_id);
    GET DIAGNOSTICS events = ROW_COUNT;
    WITH gone AS (
        DELETE FROM postrider.webhook_retries AS r WHERE r.event_id = ANY (ids)
        RETURNING r.event_id, r.destination_id, r.attempt_number
    )
    INSERT INTO postrider.webhook_attempts (event_id, attempted_at, worker_id, destination_id, duration_us, attempt_number,
                                            outcome, failure, error_message)
    SELECT g.event_id, clock_timestamp(), 0, g.destination_id, 0, g.attempt_number, 4, 'erased', 'not sent: the payload was erased'
    FROM gone AS g;
    GET DIAGNOSTICS dropped = ROW_COUNT;
    again_id := (
        SELECT u.id FROM (
            SELECT unnest(q.id || coalesce(q.more, '{}')) AS id FROM postrider.webhook_queue AS q
            WHERE q.priority IN (0, 1, 2) AND q.id <= ids[cardinality(ids)]
            UNION ALL SELECT unnest(c.event_ids) FROM postrider.webhook_claims AS c
            UNION ALL SELECT r.event_id FROM postrider.webhook_retries AS r WHERE r.event_id = ANY (ids)
        ) AS u WHERE u.id = ANY (ids) ORDER BY u.id LIMIT 1);
    IF EXISTS (SELECT FROM pg_locks AS k
               WHERE k.locktype = 'advisory' AND k.classid = 7744 AND k.objsubid = 2
                 AND k.database = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())
                 AND NOT EXISTS (SELECT FROM postrider.webhook_workers AS w
                                 WHERE w.alive AND (w.id & 2147483647)::oid = k.objid)) THEN
        again_id := ids[1];
    END IF;
    UPDATE postrider.webhook_attempts AS a SET response_body = NULL, error_message = NULL
    WHERE a.event_id = ANY (ids) AND a.failure IS DISTINCT FROM 'erased'
      AND num_nonnulls(a.response_body, a.error_message) > 0;
    GET DIAGNOSTICS attempts = ROW_COUNT;
    UPDATE postrider.webhook_dead_letters AS l SET error_message = NULL
    WHERE l.event_id = ANY (ids) AND l.error_message IS NOT NULL;
    -- A dead letter holds up its ordering key, whose line has the name of the key, the user's id it may be. Nobody can send it
    -- any more: what is behind it goes on.
    IF new_user_id IS NOT NULL AND EXISTS (SELECT FROM postrider.webhook_keys AS k WHERE k.head = ANY (ids)) THEN
        -- Ordering keys are being worked on: this event is looked at again, with the rest of the batch.
        IF NOT pg_try_advisory_xact_lock(7746, 1) THEN
            again_id := ids[1];
            RETURN;
        END IF;
        IF (SELECT postrider.release_keys(array_agg(k.destination_id), array_agg(k.ordering_key), array_agg(k.head))
            FROM postrider.webhook_keys AS k JOIN postrider.webhook_dead_letters AS l
                ON l.event_id = k.head AND l.destination_id = k.destination_id
            WHERE k.head = ANY (ids)) > 0 THEN
            PERFORM pg_notify('postrider_wake', 'retries');
        END IF;
    END IF;
END
$$;
COMMENT ON FUNCTION postrider.erase_events(uuid[], text) IS
    'Part of erase_batch: erases what events (ascending) and their attempts hold; again_id is the first that a worker may hold still.';

-- Transactions of other databases stand in every snapshot too, so a look at the sessions follows. A horizon of the future
-- comes from another server, by a restore. Autovacuum, which is not waited for, is what has no user: backend_type would say
-- so too, but is null for sessions of others unless the owner of these tables may read all statistics.
CREATE FUNCTION postrider.is_over(horizon xid8) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    IF pg_snapshot_xmin(pg_current_snapshot()) >= horizon OR horizon > pg_current_xact_id() THEN
        RETURN true;
    END IF;
    PERFORM pg_stat_clear_snapshot();
    RETURN NOT EXISTS (SELECT FROM pg_stat_activity AS a
                       WHERE a.datname = current_database() AND a.pid <> pg_backend_pid()
                         AND a.usesysid IS NOT NULL AND age(a.backend_xid) > age(horizon::xid))
       AND NOT EXISTS (SELECT FROM pg_prepared_xacts AS p
                       WHERE p.database = current_database() AND age(p.transaction) > age(horizon::xid));
END
$$;
COMMENT ON FUNCTION postrider.is_over(xid8) IS
    'Have all other transactions of this database ended that began to write before that one?';

CREATE FUNCTION postrider.erase_batch(erasure integer DEFAULT NULL, most integer DEFAULT 100000,
    OUT erasure_id integer, OUT events bigint, OUT reached timestamptz, OUT state text)
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '200ms' AS $$
DECLARE
    nothing   CONSTANT uuid := '00000000-0000-0000-0000-000000000000';
    e         postrider.webhook_erasures;
    is_sure   boolean;
    is_first  boolean;
    lower_id  uuid;
    is_last   boolean;
    ids       uuid[];
    erased    record;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'erasing needs read committed: it must see what others committed while it waited for a lock'
            USING ERRCODE = '25001';
    ELSIF NOT coalesce(most BETWEEN 1 AND 1000000, false) THEN
        RAISE EXCEPTION 'a batch looks at 1 to 1000000 events, not %', most USING ERRCODE = '22023';
    END IF;
    SELECT t.* INTO e FROM postrider.webhook_erasures AS t
    -- Later than any wait is, it was set by a clock that has gone back since.
    WHERE t.finished_at IS NULL
      AND CASE WHEN erasure IS NULL THEN t.look_at NOT BETWEEN clock_timestamp() AND clock_timestamp() + interval '1 minute'
               ELSE t.id = erasure END
    ORDER BY t.id LIMIT 1 FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    erasure_id := e.id;
    events := 0;
    -- Asked before the events are read.
    is_sure := postrider.is_over(e.horizon);
    IF e.done_to IS NULL AND e.down_to IS NOT NULL AND NOT is_sure THEN
        UPDATE postrider.webhook_erasures AS t SET look_at = clock_timestamp() + interval '10 seconds' WHERE t.id = e.id;
        state := 'waits';
        RETURN;
    END IF;
    is_first := e.done_to IS NULL;
    e.done_to := coalesce(e.done_to, e.to_id);
    lower_id := (SELECT l.id FROM postrider.webhook_event_log AS l WHERE l.id < e.done_to AND l.id >= coalesce(e.down_to, nothing)
                 ORDER BY l.id DESC OFFSET most - 1 LIMIT 1);
    is_last := lower_id IS NULL;
    lower_id := coalesce(lower_id, e.down_to, nothing);
    ids := ARRAY(SELECT l.id FROM postrider.webhook_event_log AS l
                 WHERE l.id >= lower_id AND l.id < e.done_to AND l.user_id IN (e.user_id, 'erased:' || e.subject)
                   AND (e.organization_id IS NULL OR l.organization_id = e.organization_id)
                 ORDER BY l.id);
    -- An application may make ids of its own, by a clock that is ahead: what was there already is told by when it came.
    -- Reads all events that came since, so twice at most: now, and when no transaction of that time is left.
    IF is_first AND NOT e.has_ahead_ids THEN
        e.has_ahead_ids := is_sure;
        e.ahead_ids := ARRAY(SELECT l.id FROM postrider.webhook_event_log AS l
                             WHERE l.id >= e.to_id AND l.created_at <= e.requested_at
                               AND l.user_id IN (e.user_id, 'erased:' || e.subject)
                               AND (e.organization_id IS NULL OR l.organization_id = e.organization_id)
                             ORDER BY l.id);
    END IF;
    IF is_first THEN
        ids := ids || e.ahead_ids;
    END IF;
    IF NOT is_sure THEN
        e.again_to := lower_id;
    END IF;
    IF cardinality(ids) > 0 THEN
        SELECT x.* INTO erased
        FROM postrider.erase_events(ids, CASE WHEN e.also_id THEN 'erased:' || e.subject END) AS x;
        e.again_to := least(e.again_to, erased.again_id);
        e.events := e.events + erased.events;
        e.attempts := e.attempts + erased.attempts;
        e.dropped := e.dropped + erased.dropped;
        events := erased.events;
    END IF;
    reached := CASE WHEN NOT is_last THEN postrider.event_id_time(lower_id) END;
    state := CASE WHEN NOT is_last THEN 'goes on' WHEN e.again_to IS NULL THEN 'finished' ELSE 'waits' END;
    UPDATE postrider.webhook_erasures AS t
    SET events = e.events, attempts = e.attempts, dropped = e.dropped,
        done_to = CASE WHEN NOT is_last THEN lower_id END,
        down_to = CASE WHEN state = 'waits' THEN e.again_to ELSE e.down_to END,
        again_to = CASE WHEN state <> 'waits' THEN e.again_to END,
        ahead_ids = e.ahead_ids, has_ahead_ids = e.has_ahead_ids,
        look_at = CASE WHEN state = 'waits' THEN clock_timestamp() + interval '10 seconds' ELSE t.look_at END,
        user_id = CASE WHEN state <> 'finished' THEN t.user_id END,
        finished_at = CASE WHEN state = 'finished' THEN clock_timestamp() END
    WHERE t.id = e.id;
    IF state = 'finished' THEN
        PERFORM postrider.record_change('forgotten', 'user', e.subject, jsonb_build_object('erasure', e.id,
            'events', e.events, 'attempts', e.attempts, 'dropped', e.dropped));
    END IF;
END
$$;
COMMENT ON FUNCTION postrider.erase_batch(integer, integer) IS
    'One batch of an erasure, or of the oldest that is due: looks at so many events. state: goes on; waits (for what a worker holds, or for open transactions; call again later); finished. Nulls: there is nothing to do, or another session does it.';

CREATE FUNCTION postrider.forget_user(user_id text, organization_id text DEFAULT NULL, also_id boolean DEFAULT false,
    OUT erasure_id integer, OUT events bigint, OUT attempts bigint, OUT dropped bigint, OUT finished boolean)
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    given text := user_id;
    hash  text := encode(sha256(convert_to(given, 'UTF8')), 'hex');
BEGIN
    IF coalesce(given, '') = '' THEN
        RAISE EXCEPTION 'whom to forget must be said' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    INSERT INTO postrider.webhook_erasures AS t (subject, user_id, organization_id, also_id)
    VALUES (hash, given, organization_id, coalesce(also_id, false)) RETURNING t.id INTO erasure_id;
    PERFORM postrider.record_change('forget', 'user', hash, jsonb_strip_nulls(jsonb_build_object('erasure', erasure_id,
        'organization_id', organization_id, 'also_id', also_id)));
    -- The newest 100,000 events at once, which is all of a small log; upkeep does the rest.
    IF current_setting('transaction_isolation') = 'read committed' THEN
        BEGIN
            PERFORM postrider.erase_batch(erasure_id);
        EXCEPTION WHEN lock_not_available THEN
            RAISE DEBUG 'an event of the person is being replayed: upkeep goes on';
        END;
    END IF;
    SELECT t.events, t.attempts, t.dropped, t.finished_at IS NOT NULL INTO events, attempts, dropped, finished
    FROM postrider.webhook_erasures AS t WHERE t.id = erasure_id;
END
$$;
COMMENT ON FUNCTION postrider.forget_user(text, text, boolean) IS
    'Erases the payloads, response bodies and error messages of a person''s events, and drops what would be sent again; ids, types, times and statuses stay. Looks at the newest 100,000 events at once; workers, or postrider forget-user, do the rest. Events made later are not touched. also_id replaces the user''s id too.';

-- Sealing payloads ----------------------------------------------------------------------------------------------------------

CREATE FUNCTION postrider.is_sealed(data jsonb) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(starts_with(data ->> 'postrider', 'sealed:'), false)
$$;
COMMENT ON FUNCTION postrider.is_sealed(jsonb) IS 'Whether this is a sealed payload: {"postrider": "sealed:v1:<key name>:<base64>"}.';

CREATE FUNCTION postrider.seal_type(pattern text) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    fault text := postrider.pattern_fault(ARRAY[pattern]);
BEGIN
    IF fault IS NOT NULL THEN
        RAISE EXCEPTION '%', fault USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Write a type such as lead.created, lead.* for every type below lead, or * for all.';
    END IF;
    INSERT INTO postrider.webhook_sealed_types AS t (pattern) VALUES (pattern)
    ON CONFLICT ON CONSTRAINT webhook_sealed_types_pkey DO UPDATE SET sealed_to = NULL;
END
$$;
COMMENT ON FUNCTION postrider.seal_type(text) IS
    'Payloads of this type, or pattern of types, are sealed at rest by workers with keys, those of the past too. An event of a transaction that was open for more than a minute may be passed by and stays readable: called again it has the whole log looked at again.';

CREATE FUNCTION postrider.unseal_type(pattern text) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
BEGIN
    DELETE FROM postrider.webhook_sealed_types AS t WHERE t.pattern = pattern;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'payloads of % are not sealed', quote_literal(pattern) USING ERRCODE = 'undefined_object',
            HINT = 'SELECT pattern FROM postrider.webhook_sealed_types lists which are.';
    END IF;
END
$$;
COMMENT ON FUNCTION postrider.unseal_type(text) IS 'Payloads of this pattern are not sealed from now on; what is sealed stays so.';

-- What is younger than a minute is left: most of it is being delivered, and transactions that began before may add to it.
CREATE FUNCTION postrider.types_to_seal() RETURNS TABLE (pattern text, below uuid)
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT t.pattern, postrider.event_id_at(clock_timestamp() - interval '1 minute') FROM postrider.webhook_sealed_types AS t
    ORDER BY t.pattern
$$;
COMMENT ON FUNCTION postrider.types_to_seal() IS 'Part of upkeep: the patterns, each with the id below which payloads are to be sealed.';

-- At most 16 MiB at a time, and at least one. Looks at 20,000 events at most, so that of a rare type in a large log each call
-- ends soon, and what it has looked at is behind it. The type is asked first: nothing else of other types is read.
CREATE FUNCTION postrider.payloads_to_seal(wanted text, below uuid, most integer) RETURNS TABLE (id uuid, data text)
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
    at_once CONSTANT integer := 20000;
    from_id uuid := (SELECT coalesce(t.sealed_to, '00000000-0000-0000-0000-000000000000')
                     FROM postrider.webhook_sealed_types AS t WHERE t.pattern = wanted);
    looked  integer := 0;
    taken   integer := 0;
    bytes   bigint := 0;
    e       record;
BEGIN
    FOR e IN SELECT l.id, CASE WHEN postrider.matches(ARRAY[wanted], l.event_type)
                               THEN NOT postrider.is_removed(l.data) AND NOT postrider.is_sealed(l.data) ELSE false END AS is_due
             FROM postrider.webhook_event_log AS l WHERE l.id > from_id AND l.id < below ORDER BY l.id LIMIT at_once LOOP
        looked := looked + 1;
        id := e.id;
        IF e.is_due THEN
            -- By itself: the loop fetches 50 rows at a time, and each may have 16 MiB.
            data := (SELECT l.data::text FROM postrider.webhook_event_log AS l WHERE l.id = e.id);
            CONTINUE WHEN data IS NULL;
            RETURN NEXT;
            taken := taken + 1;
            bytes := bytes + octet_length(data);
            EXIT WHEN taken = most OR bytes >= 16777216;
        END IF;
    END LOOP;
    IF looked < at_once AND taken < most AND bytes < 16777216 THEN
        id := below;
    END IF;
    data := NULL;
    RETURN NEXT;
END
$$;
COMMENT ON FUNCTION postrider.payloads_to_seal(text, uuid, integer) IS
    'Part of upkeep: the next payloads of a sealed type that stand readable, ascending, and a last row without data: up to its id there are no others.';

CREATE FUNCTION postrider.seal_payloads(wanted text, to_id uuid, key_name text, ids uuid[], sealed text[]) RETURNS bigint
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    replaced bigint := 0;
BEGIN
    IF EXISTS (SELECT FROM unnest(sealed) AS s (text) WHERE starts_with(s.text, 'sealed:v1:' || key_name || ':') IS NOT TRUE) THEN
        RAISE EXCEPTION 'a payload is not sealed with key %', quote_literal(key_name) USING ERRCODE = 'invalid_parameter_value';
    END IF;
    -- What was erased meanwhile stays erased.
    UPDATE postrider.webhook_event_log AS l SET data = jsonb_build_object('postrider', u.text)
    FROM unnest(ids, sealed) AS u (id, text)
    WHERE l.id = u.id AND postrider.matches(ARRAY[wanted], l.event_type)
      AND NOT postrider.is_removed(l.data) AND NOT postrider.is_sealed(l.data);
    GET DIAGNOSTICS replaced = ROW_COUNT;
    IF replaced > 0 THEN
        INSERT INTO postrider.webhook_payload_keys AS k (key_name, first_id, last_id, payloads)
        VALUES (key_name, ids[1], ids[cardinality(ids)], replaced)
        ON CONFLICT ON CONSTRAINT webhook_payload_keys_pkey DO UPDATE
        SET first_id = least(k.first_id, excluded.first_id), last_id = greatest(k.last_id, excluded.last_id),
            payloads = k.payloads + excluded.payloads;
    END IF;
    UPDATE postrider.webhook_sealed_types AS t SET sealed_to = to_id
    WHERE t.pattern = wanted AND (t.sealed_to IS NULL OR t.sealed_to < to_id);
    RETURN replaced;
END
$$;
COMMENT ON FUNCTION postrider.seal_payloads(text, uuid, text, uuid[], text[]) IS
    'Part of upkeep: puts sealed payloads in the place of readable ones, ascending ids, and notes how far the type is sealed; gives how many.';

REVOKE ALL ON FUNCTION postrider.is_sealed(jsonb), postrider.seal_type(text), postrider.unseal_type(text), postrider.types_to_seal(),
    postrider.payloads_to_seal(text, uuid, integer), postrider.seal_payloads(text, uuid, text, uuid[], text[]) FROM PUBLIC;
REVOKE ALL ON FUNCTION postrider.webhook_audit_guard(), postrider.redacted(jsonb, boolean), postrider.audited_object(text, jsonb),
    postrider.audited_values(text, jsonb), postrider.webhook_audited(), postrider.record_change(text, text, text, jsonb), postrider.prune_audit_log(integer),
    postrider.erase_events(uuid[], text), postrider.is_over(xid8), postrider.erase_batch(integer, integer),
    postrider.forget_user(text, text, boolean) FROM PUBLIC;

DO $$
DECLARE
    role_name text;
BEGIN
    FOREACH role_name IN ARRAY ARRAY['auditor', 'admin'] LOOP
        PERFORM postrider.add_grants(role_name, 'table', 'SELECT', 'webhook_audit_log', 'webhook_erasures', 'webhook_payload_keys');
        PERFORM postrider.add_grants(role_name, 'function', 'EXECUTE', 'is_sealed');
    END LOOP;
    PERFORM postrider.add_grants('auditor', 'table', 'SELECT', 'webhook_sealed_types');
    PERFORM postrider.add_grants('admin', 'table', 'SELECT, INSERT, UPDATE (sealed_to), DELETE', 'webhook_sealed_types');
    PERFORM postrider.add_grants('admin', 'function', 'EXECUTE', 'seal_type', 'unseal_type', 'pattern_fault');
    PERFORM postrider.add_grants('worker', 'function', 'EXECUTE', 'types_to_seal', 'payloads_to_seal', 'seal_payloads');
    UPDATE postrider.webhook_grants AS g SET hidden = '{user_id}'
    WHERE g.role_name = 'postrider_auditor' AND g.object = 'webhook_erasures';
    PERFORM postrider.add_grants('admin', 'function', 'EXECUTE', 'forget_user', 'erase_batch', 'record_change');
    PERFORM postrider.add_grants('worker', 'function', 'EXECUTE', 'erase_batch', 'prune_audit_log');
    UPDATE postrider.webhook_grants AS g
    SET privileges = 'SELECT, UPDATE (keep_events, keep_attempts, keep_payloads, keep_audit)'
    WHERE g.role_name = 'postrider_admin' AND g.object = 'webhook_retention';
END
$$;
SELECT postrider.grant_roles();

INSERT INTO postrider.webhook_migrations (version, name) VALUES (14, 'privacy');

"""#, down: #"""
-- Undoes 0014. Lost: the audit log, which persons were erased, and which types are sealed. What was erased stays erased;
-- erasures that are not finished are not finished any more: wait for them first. What was sealed stays sealed, and a program
-- of before cannot open it.
DO $$
DECLARE
    target text;
    event  text;
BEGIN
    FOREACH target IN ARRAY ARRAY['destinations', 'secrets', 'attachments', 'denied_columns', 'retention', 'sealed_types', 'profiles', 'settings',
        'transforms'] LOOP
        FOREACH event IN ARRAY ARRAY['insert', 'update', 'delete', 'truncate'] LOOP
            EXECUTE format('DROP TRIGGER %I ON postrider.%I', 'webhook_audited_' || event, 'webhook_' || target);
        END LOOP;
    END LOOP;
END
$$;
DROP TRIGGER webhook_audited_insert ON postrider.webhook_replays;
DROP FUNCTION postrider.forget_user(text, text, boolean), postrider.erase_batch(integer, integer), postrider.is_over(xid8),
    postrider.erase_events(uuid[], text), postrider.prune_audit_log(integer),
    postrider.record_change(text, text, text, jsonb), postrider.webhook_audited(), postrider.audited_object(text, jsonb),
    postrider.audited_values(text, jsonb), postrider.redacted(jsonb, boolean);
DROP FUNCTION postrider.seal_payloads(text, uuid, text, uuid[], text[]), postrider.payloads_to_seal(text, uuid, integer),
    postrider.types_to_seal(), postrider.unseal_type(text), postrider.seal_type(text), postrider.is_sealed(jsonb);
DROP TABLE postrider.webhook_payload_keys, postrider.webhook_sealed_types, postrider.webhook_erasures, postrider.webhook_audit_log;
DROP FUNCTION postrider.webhook_audit_guard();
ALTER TABLE postrider.webhook_retention DROP COLUMN keep_audit;
UPDATE postrider.webhook_grants SET privileges = 'SELECT, UPDATE (keep_events, keep_attempts, keep_payloads)'
WHERE role_name = 'postrider_admin' AND object = 'webhook_retention';
DELETE FROM postrider.webhook_grants WHERE object IN ('webhook_audit_log', 'webhook_erasures', 'forget_user', 'erase_batch',
    'record_change', 'prune_audit_log', 'webhook_payload_keys', 'webhook_sealed_types', 'is_sealed', 'seal_type', 'unseal_type',
    'pattern_fault', 'types_to_seal', 'payloads_to_seal', 'seal_payloads');
SELECT postrider.grant_roles();

DELETE FROM postrider.webhook_migrations WHERE version = 14;

"""#),
    ]

    /// The example systems, by path below `sql/examples`: `agentes/domain.sql`.
    static let examples: [String: String] = [
        "agentes/activity.sql": #"""
-- A morning at agentes: two people arrive, connect, talk and pay. Can be run again and again: e-mail addresses are new
-- each time. Makes 27 events, and none of what does not concern receivers (a click, a pending payment, a rolled-back
-- conversation).
--
--    2 user.registered               1 user.updated
--    1 integration.whatsapp.connected  1 integration.openai.connected  1 integration.disconnected
--    3 agent.created                 3 agent.updated                  1 agent.deleted
--    1 template.applied              3 onboarding.step.completed      1 onboarding.completed
--    1 conversation.created          5 conversation.message.added     1 conversation.ended
--    1 payment.confirmed             1 payment.failed
\set ON_ERROR_STOP on
SELECT gen_random_uuid() AS organization, substr(gen_random_uuid()::text, 1, 8) AS tag \gset

-- Two people sign up in one statement: one trigger call, two events.
INSERT INTO agentes.users (organization_id, email, full_name, password_hash)
VALUES (:'organization', 'ana.' || :'tag' || '@example.com', 'Ana Souza', 'hash, which no event shows'),
       (:'organization', 'joao.' || :'tag' || '@example.com', 'João Lima', 'hash, which no event shows');
SELECT id AS ana FROM agentes.users WHERE email = 'ana.' || :'tag' || '@example.com' \gset
SELECT id AS joao FROM agentes.users WHERE email = 'joao.' || :'tag' || '@example.com' \gset

-- A click makes no event; another telephone number does.
UPDATE agentes.users SET last_seen_at = now() WHERE organization_id = :'organization';
UPDATE agentes.users SET phone = '+55 11 90000-0000' WHERE id = :'ana';

-- WhatsApp waits for its confirmation first; OpenAI is connected at once; later WhatsApp goes.
INSERT INTO agentes.external_integrations (organization_id, user_id, provider, credentials)
VALUES (:'organization', :'ana', 'whatsapp', '{"token": "which no event shows"}');
UPDATE agentes.external_integrations SET status = 'connected', connected_at = now()
WHERE user_id = :'ana' AND provider = 'whatsapp';
INSERT INTO agentes.external_integrations (organization_id, user_id, provider, status, connected_at)
VALUES (:'organization', :'ana', 'openai', 'connected', now());

INSERT INTO agentes.agents (organization_id, user_id, name)
SELECT :'organization', :'ana', name FROM unnest('{vendas,suporte,cobrança}'::text[]) AS name;
SELECT agentes.apply_template(a, 'sales-pt-br', 'Você vende com gentileza.') IS NOT NULL AS template_applied
FROM agentes.agents AS a WHERE a.user_id = :'ana' AND a.name = 'vendas';
UPDATE agentes.agents SET is_active = false WHERE user_id = :'ana' AND name IN ('suporte', 'cobrança');
UPDATE agentes.agents SET is_active = false WHERE user_id = :'ana' AND name = 'suporte';
DELETE FROM agentes.agents WHERE user_id = :'ana' AND name = 'cobrança';

-- The application's own function writes a row for each step, and the end of the onboarding into the person's row.
SELECT agentes.complete_onboarding_step(u, step)
FROM agentes.users AS u, unnest('{profile,first agent,first integration}'::text[]) AS step WHERE u.id = :'ana';

-- A conversation with its messages is one transaction: receivers hear of all of it or of nothing.
BEGIN;
INSERT INTO agentes.conversations (organization_id, user_id, agent_id, channel)
SELECT organization_id, user_id, id, 'whatsapp' FROM agentes.agents WHERE user_id = :'ana' AND name = 'vendas';
INSERT INTO agentes.messages (organization_id, user_id, conversation_id, sender, body)
SELECT c.organization_id, c.user_id, c.id, m.sender, m.body
FROM agentes.conversations AS c,
     (VALUES (1, 'person', 'Olá! Quanto custa o plano?'), (2, 'agent', 'R$ 99,90 por mês. Quer começar hoje?'),
             (3, 'person', 'Quero 🚀'), (4, 'agent', 'Perfeito, aqui está o link.'), (5, 'person', 'Obrigada!')) AS m (n, sender, body)
WHERE c.user_id = :'ana' ORDER BY m.n;
COMMIT;
UPDATE agentes.conversations SET ended_at = now() WHERE user_id = :'ana';

-- This one never happened, and nobody hears of it.
BEGIN;
INSERT INTO agentes.conversations (organization_id, user_id, agent_id, channel)
SELECT organization_id, user_id, id, 'whatsapp' FROM agentes.agents WHERE user_id = :'ana' AND name = 'vendas';
ROLLBACK;

INSERT INTO agentes.payments (organization_id, user_id, amount)
VALUES (:'organization', :'ana', 99.90), (:'organization', :'joao', 99.90);
UPDATE agentes.payments SET status = CASE user_id WHEN :'ana' THEN 'confirmed' ELSE 'failed' END
WHERE organization_id = :'organization';
UPDATE agentes.external_integrations SET status = 'disconnected' WHERE user_id = :'ana' AND provider = 'whatsapp';

"""#,
        "agentes/attachments.sql": #"""
-- The events of agentes. What is a change of a row is attached to its table; what no row tells is emitted by the function
-- that does it, in the same transaction.
-- Running this file again replaces everything in place.
-- event_source is supabase, api or manual in agentes, whose audits ask for it: what triggers write is supabase there.

-- High priority: somebody waits for these.
SELECT postrider.attach('agentes.users', 'user.registered',
    except_columns => '{password_hash}', user_id => 'id', organization_id => 'organization_id', priority => 'high',
    event_source => 'supabase');
SELECT postrider.attach('agentes.payments', operations => '{insert,update}',
    event_type_expression => $$ 'payment.' || NEW.status $$,
    condition => $$ NEW.status IN ('confirmed', 'failed') AND NEW.status IS DISTINCT FROM OLD.status $$,
    user_id => 'user_id', organization_id => 'organization_id', priority => 'high', name => 'payment.<status>',
    event_source => 'supabase');

-- last_seen_at changes with every click: it makes no event.
SELECT postrider.attach('agentes.users', 'user.updated', '{update}',
    condition => $$ (NEW.email, NEW.full_name, NEW.phone, NEW.plan) IS DISTINCT FROM (OLD.email, OLD.full_name, OLD.phone, OLD.plan) $$,
    except_columns => '{password_hash,last_seen_at}', user_id => 'id', organization_id => 'organization_id', event_source => 'supabase');

SELECT postrider.attach('agentes.agents', 'agent.created',
    user_id => 'user_id', organization_id => 'organization_id', event_source => 'supabase');
SELECT postrider.attach('agentes.agents', 'agent.updated', '{update}', condition => 'NEW.* IS DISTINCT FROM OLD.*',
    include_old => true, user_id => 'user_id', organization_id => 'organization_id', event_source => 'supabase');
SELECT postrider.attach('agentes.agents', 'agent.deleted', '{delete}',
    columns => '{id,name}', user_id => 'user_id', organization_id => 'organization_id', event_source => 'supabase');

-- One conversation is one ordering key: its messages are delivered in order to destinations that ask for order.
SELECT postrider.attach('agentes.conversations', 'conversation.created',
    user_id => 'user_id', organization_id => 'organization_id', ordering_key => 'id', event_source => 'supabase');
SELECT postrider.attach('agentes.conversations', 'conversation.ended', '{update}',
    condition => 'NEW.ended_at IS NOT NULL AND OLD.ended_at IS NULL',
    user_id => 'user_id', organization_id => 'organization_id', ordering_key => 'id', event_source => 'supabase');
SELECT postrider.attach('agentes.messages', 'conversation.message.added',
    user_id => 'user_id', organization_id => 'organization_id', ordering_key => 'conversation_id', event_source => 'supabase');

-- When it becomes connected, by an INSERT (OLD is null then) or an UPDATE. Credentials never leave the database.
SELECT postrider.attach('agentes.external_integrations', operations => '{insert,update}',
    event_type_expression => $$ 'integration.' || NEW.provider || '.connected' $$,
    condition => $$ NEW.status = 'connected' AND OLD.status IS DISTINCT FROM 'connected' $$,
    except_columns => '{credentials}', user_id => 'user_id', organization_id => 'organization_id',
    name => 'integration.<provider>.connected', event_source => 'supabase');
SELECT postrider.attach('agentes.external_integrations', 'integration.disconnected', '{update}',
    condition => $$ NEW.status = 'disconnected' AND OLD.status = 'connected' $$,
    columns => '{id,provider,status}', user_id => 'user_id', organization_id => 'organization_id', event_source => 'supabase');

-- One person is one ordering key: the last step comes before the end of the onboarding.
SELECT postrider.attach('agentes.onboarding_steps', 'onboarding.step.completed',
    user_id => 'user_id', organization_id => 'organization_id', ordering_key => 'user_id', event_source => 'supabase');
SELECT postrider.attach('agentes.users', 'onboarding.completed', '{update}',
    condition => 'NEW.onboarded_at IS NOT NULL AND OLD.onboarded_at IS NULL', columns => '{id,email,full_name,onboarded_at}',
    user_id => 'id', organization_id => 'organization_id', ordering_key => 'id', event_source => 'supabase');

-- Emitted: to apply a template again may change no row, and which template it was is in none.
CREATE OR REPLACE FUNCTION agentes.apply_template(agent agentes.agents, template text, prompt text) RETURNS uuid
    LANGUAGE plpgsql AS $$
BEGIN
    UPDATE agentes.agents AS a SET prompt = apply_template.prompt WHERE a.id = agent.id;
    RETURN postrider.emit('template.applied', jsonb_build_object('agent_id', agent.id, 'template', template),
        organization_id => agent.organization_id::text, user_id => agent.user_id::text, record_id => agent.id::text);
END
$$;
COMMENT ON FUNCTION agentes.apply_template(agentes.agents, text, text) IS
    'Gives an agent the prompt of a template and emits template.applied, with that template''s name; gives the event''s id.';

-- Emits nothing itself: the rows that it writes are events.
CREATE OR REPLACE FUNCTION agentes.complete_onboarding_step(person agentes.users, step text) RETURNS void
    LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO agentes.onboarding_steps (organization_id, user_id, step) VALUES (person.organization_id, person.id, step);
    UPDATE agentes.users AS u SET onboarded_at = now()
    WHERE u.id = person.id AND u.onboarded_at IS NULL
      AND (SELECT count(*) FROM agentes.onboarding_steps AS s WHERE s.user_id = u.id) = 3;
END
$$;
COMMENT ON FUNCTION agentes.complete_onboarding_step(agentes.users, text) IS
    'Notes a step of a person''s onboarding, and its end with the third one.';

"""#,
        "agentes/domain.sql": #"""
-- The tables of agentes: people, their agents, what they talk about, what they pay, what they connect.
-- They know nothing of webhooks. Everything stands in schema agentes; DROP SCHEMA agentes CASCADE removes it.

CREATE SCHEMA agentes;

CREATE TABLE agentes.users (
    id              uuid        NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
    organization_id uuid        NOT NULL,
    email           text        NOT NULL UNIQUE,
    full_name       text        NOT NULL,
    phone           text,
    password_hash   text        NOT NULL,
    plan            text        NOT NULL DEFAULT 'free',
    created_at      timestamptz NOT NULL DEFAULT now(),
    onboarded_at    timestamptz,
    last_seen_at    timestamptz
);

CREATE TABLE agentes.agents (
    id              uuid        NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
    organization_id uuid        NOT NULL,
    user_id         uuid        NOT NULL REFERENCES agentes.users ON DELETE CASCADE,
    name            text        NOT NULL,
    model           text        NOT NULL DEFAULT 'default',
    prompt          text        NOT NULL DEFAULT '',
    is_active       boolean     NOT NULL DEFAULT true,
    created_at      timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON agentes.agents (user_id);

CREATE TABLE agentes.conversations (
    id              uuid        NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
    organization_id uuid        NOT NULL,
    user_id         uuid        NOT NULL REFERENCES agentes.users ON DELETE CASCADE,
    agent_id        uuid        NOT NULL REFERENCES agentes.agents ON DELETE CASCADE,
    channel         text        NOT NULL,
    started_at      timestamptz NOT NULL DEFAULT now(),
    ended_at        timestamptz
);
CREATE INDEX ON agentes.conversations (agent_id, started_at);

CREATE TABLE agentes.messages (
    id              uuid        NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
    organization_id uuid        NOT NULL,
    user_id         uuid        NOT NULL,
    conversation_id uuid        NOT NULL REFERENCES agentes.conversations ON DELETE CASCADE,
    sender          text        NOT NULL CHECK (sender IN ('person', 'agent')),
    body            text        NOT NULL,
    sent_at         timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX ON agentes.messages (conversation_id, sent_at);

CREATE TABLE agentes.external_integrations (
    id              uuid        NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
    organization_id uuid        NOT NULL,
    user_id         uuid        NOT NULL REFERENCES agentes.users ON DELETE CASCADE,
    provider        text        NOT NULL CHECK (provider IN ('whatsapp', 'openai')),
    status          text        NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'connected', 'disconnected')),
    credentials     jsonb       NOT NULL DEFAULT '{}',
    connected_at    timestamptz,
    UNIQUE (user_id, provider)
);

CREATE TABLE agentes.payments (
    id              uuid          NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
    organization_id uuid          NOT NULL,
    user_id         uuid          NOT NULL REFERENCES agentes.users ON DELETE CASCADE,
    amount          numeric(12,2) NOT NULL,
    currency        text          NOT NULL DEFAULT 'BRL',
    status          text          NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'confirmed', 'failed')),
    created_at      timestamptz   NOT NULL DEFAULT now()
);
CREATE INDEX ON agentes.payments (user_id, created_at);

CREATE TABLE agentes.onboarding_steps (
    organization_id uuid        NOT NULL,
    user_id         uuid        NOT NULL REFERENCES agentes.users ON DELETE CASCADE,
    step            text        NOT NULL,
    completed_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, step)
);

"""#,
        "agentes/endpoints.sql": #"""
-- Who wants the events of agentes: one endpoint for everything, and seven n8n workflows of one event type each.
--
--   psql -v endpoint_url=https://app.example/webhooks -v n8n_url=https://n8n.example -f endpoints.sql
--
-- endpoint_url: default http://127.0.0.1:9400/agentes; n8n_url: what stands before /webhook/<name>, default
-- http://127.0.0.1:9400. The endpoint's secret is taken from the environment variable AGENTES_WEBHOOK_SECRET; without it
-- one is generated. Prints the ids, and the secret for the only time. Running it again adds nothing.
-- The retry rule of agentes (5 retries at 30, 60, 120, 240, 480 s, at most 3600 s, jitter, timeout 30 s) is the default.
\if :{?endpoint_url}
\else
    \set endpoint_url http://127.0.0.1:9400/agentes
\endif
\if :{?n8n_url}
\else
    \set n8n_url http://127.0.0.1:9400
\endif
\set endpoint_secret ''
\getenv endpoint_secret AGENTES_WEBHOOK_SECRET

INSERT INTO postrider.webhook_endpoints (name, url, events, profile, secret)
SELECT 'agentes', :'endpoint_url', '{*}', 'agentes', nullif(:'endpoint_secret', '')
WHERE NOT EXISTS (SELECT FROM postrider.webhook_endpoints WHERE name = 'agentes')
RETURNING id, name, url, secret;

INSERT INTO postrider.n8n_workflows (name, webhook_url, event_types)
SELECT w.name, :'n8n_url' || '/webhook/' || w.name, ARRAY[w.event_type]
FROM (VALUES
    ('user-registration', 'user.registered'),
    ('payment-processed', 'payment.confirmed'),
    ('whatsapp-connected', 'integration.whatsapp.connected'),
    ('openai-connected', 'integration.openai.connected'),
    ('agent-created', 'agent.created'),
    ('template-applied', 'template.applied'),
    ('onboarding-complete', 'onboarding.completed')
) AS w (name, event_type)
WHERE NOT EXISTS (SELECT FROM postrider.n8n_workflows AS n WHERE n.name = w.name)
RETURNING id, name, webhook_url;

"""#,
        "bird/activity.sql": #"""
-- A conversation at bird, from its first word to its end. Can be run again and again: the conversation is a new one each
-- time. Makes 9 events, and none of what does not concern receivers (an action that failed).
--
--    1 conversation.started    2 conversation.message.received    1 conversation.message.sent
--    1 conversation.escalated  1 conversation.ended
--    1 ai.intent.detected      1 ai.action.executed               1 ai.recommendation.generated
\set ON_ERROR_STOP on
SELECT gen_random_uuid() AS conversation, 'cust-' || substr(gen_random_uuid()::text, 1, 8) AS customer \gset

INSERT INTO bird.conversations (id, customer_id, channel) VALUES (:'conversation', :'customer', 'whatsapp');
INSERT INTO bird.messages (conversation_id, customer_id, direction, body)
VALUES (:'conversation', :'customer', 'received', 'Cadê meu pedido?');
INSERT INTO bird.ai_intents (conversation_id, customer_id, intent, confidence)
VALUES (:'conversation', :'customer', 'order_status', 0.9731);
-- One action works, the other does not, and nobody hears of that one.
INSERT INTO bird.ai_actions (conversation_id, customer_id, action)
VALUES (:'conversation', :'customer', 'find_order'), (:'conversation', :'customer', 'refund');
UPDATE bird.ai_actions SET status = CASE action WHEN 'find_order' THEN 'executed' ELSE 'failed' END, result = '{"order": 17}'
WHERE conversation_id = :'conversation';
INSERT INTO bird.messages (conversation_id, customer_id, direction, body)
VALUES (:'conversation', :'customer', 'sent', 'Ele chega amanhã. 📦');
INSERT INTO bird.ai_recommendations (conversation_id, customer_id, products)
VALUES (:'conversation', :'customer', '[{"sku": "A-1", "score": 0.5}]');
INSERT INTO bird.messages (conversation_id, customer_id, direction, body)
VALUES (:'conversation', :'customer', 'received', 'Quero falar com uma pessoa');
UPDATE bird.conversations SET status = 'escalated', escalation_reason = 'asked for' WHERE id = :'conversation';
UPDATE bird.conversations SET status = 'ended', ended_at = now() WHERE id = :'conversation';

"""#,
        "bird/attachments.sql": #"""
-- The events of bird: every one of them is a change of a row. One conversation is one ordering key, so that destinations
-- that ask for order hear of it in order. Running this file again replaces everything in place.
--
-- inventory.updated, price.changed and their like come from outside to bird: they are no events of these tables.

SELECT postrider.attach('bird.conversations', 'conversation.started', user_id => 'customer_id', ordering_key => 'id');
-- Somebody waits for a person when it is escalated: those go first.
SELECT postrider.attach('bird.conversations', operations => '{update}',
    event_type_expression => $$ 'conversation.' || NEW.status $$,
    condition => $$ NEW.status <> OLD.status AND NEW.status IN ('escalated', 'ended') $$,
    user_id => 'customer_id', ordering_key => 'id',
    priority => $$ CASE NEW.status WHEN 'escalated' THEN 0 ELSE 1 END $$, name => 'conversation.<escalated or ended>');
SELECT postrider.attach('bird.messages', event_type_expression => $$ 'conversation.message.' || NEW.direction $$,
    user_id => 'customer_id', ordering_key => 'conversation_id', name => 'conversation.message.<direction>');

SELECT postrider.attach('bird.ai_intents', 'ai.intent.detected', user_id => 'customer_id', ordering_key => 'conversation_id');
-- When it becomes executed, by an INSERT (OLD is null then) or an UPDATE.
SELECT postrider.attach('bird.ai_actions', 'ai.action.executed', '{insert,update}',
    condition => $$ NEW.status = 'executed' AND OLD.status IS DISTINCT FROM 'executed' $$,
    user_id => 'customer_id', ordering_key => 'conversation_id');
SELECT postrider.attach('bird.ai_recommendations', 'ai.recommendation.generated',
    user_id => 'customer_id', ordering_key => 'conversation_id');

"""#,
        "bird/domain.sql": #"""
-- The tables of bird: conversations with customers, and what its artificial intelligence makes of them.
-- They know nothing of webhooks. Everything stands in schema bird; DROP SCHEMA bird CASCADE removes it.

CREATE SCHEMA bird;

CREATE TABLE bird.conversations (
    id                uuid         NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
    customer_id       text         NOT NULL,
    channel           text         NOT NULL,
    status            text         NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'escalated', 'ended')),
    escalation_reason text,
    started_at        timestamptz  NOT NULL DEFAULT now(),
    ended_at          timestamptz
);
CREATE INDEX ON bird.conversations (customer_id, started_at);

CREATE TABLE bird.messages (
    id                uuid         NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
    conversation_id   uuid         NOT NULL REFERENCES bird.conversations ON DELETE CASCADE,
    customer_id       text         NOT NULL,
    direction         text         NOT NULL CHECK (direction IN ('received', 'sent')),
    body              text         NOT NULL,
    created_at        timestamptz  NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX ON bird.messages (conversation_id, created_at);

CREATE TABLE bird.ai_intents (
    id                uuid         NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
    conversation_id   uuid         NOT NULL REFERENCES bird.conversations ON DELETE CASCADE,
    customer_id       text         NOT NULL,
    intent            text         NOT NULL,
    confidence        numeric(5,4) NOT NULL,
    detected_at       timestamptz  NOT NULL DEFAULT now()
);
CREATE INDEX ON bird.ai_intents (conversation_id);

CREATE TABLE bird.ai_actions (
    id                uuid         NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
    conversation_id   uuid         NOT NULL REFERENCES bird.conversations ON DELETE CASCADE,
    customer_id       text         NOT NULL,
    action            text         NOT NULL,
    status            text         NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'executed', 'failed')),
    result            jsonb,
    created_at        timestamptz  NOT NULL DEFAULT now()
);
CREATE INDEX ON bird.ai_actions (conversation_id);

CREATE TABLE bird.ai_recommendations (
    id                uuid         NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
    conversation_id   uuid         NOT NULL REFERENCES bird.conversations ON DELETE CASCADE,
    customer_id       text         NOT NULL,
    products          jsonb        NOT NULL,
    generated_at      timestamptz  NOT NULL DEFAULT now()
);
CREATE INDEX ON bird.ai_recommendations (conversation_id);

"""#,
        "bird/endpoints.sql": #"""
-- Who wants the events of bird: one endpoint for all of them.
--
--   psql -v endpoint_url=https://app.example/webhooks -f endpoints.sql
--
-- endpoint_url: default http://127.0.0.1:9400/bird. The endpoint's secret is taken from the environment variable
-- BIRD_WEBHOOK_SECRET; without it one is generated. Prints the id, and the secret for the only time. Running it again
-- adds nothing. The header names WEBHOOK_TOKEN, a setting or a variable that workers expose.
-- bird's retry_policy (max_attempts 3, exponential from 1000 ms, at most 30000 ms), without jitter; timeouts, connection
-- errors and 5xx are tried again, every 4xx is final.
\if :{?endpoint_url}
\else
    \set endpoint_url http://127.0.0.1:9400/bird
\endif
\set endpoint_secret ''
\getenv endpoint_secret BIRD_WEBHOOK_SECRET

INSERT INTO postrider.webhook_endpoints (name, url, events, profile, secret, headers, max_attempts, base_delay_ms,
                                         delay_factor, max_delay_ms, jitter, timeout_ms, final_statuses)
SELECT 'bird', :'endpoint_url', '{conversation.*,ai.*}', 'bird', nullif(:'endpoint_secret', ''),
       '{"Authorization": "Bearer ${WEBHOOK_TOKEN}"}', 3, 1000, 2, 30000, 0, 30000, '4xx'
WHERE NOT EXISTS (SELECT FROM postrider.webhook_endpoints WHERE name = 'bird')
RETURNING id, name, url, secret;

"""#,
        "companion/activity.sql": #"""
-- An evening at companion: one companion is made, talks, costs too much and is taken down. Can be run again and again:
-- the companion is a new one each time. Makes 18 events, and none of what does not concern receivers (a glance, the
-- first words of a quota).
--
--    1 companion.created       1 companion.updated      1 companion.activated   1 companion.deactivated
--    1 companion.deleted       1 chat.started           1 chat.ended            2 message.received
--    1 message.sent            1 stream.started         3 stream.chunk          1 error.occurred
--    1 quota.warning           1 quota.exceeded         1 performance.degraded
\set ON_ERROR_STOP on
SELECT 'comp-' || substr(gen_random_uuid()::text, 1, 8) AS companion, 'user-' || substr(gen_random_uuid()::text, 1, 8) AS person \gset

INSERT INTO companion.companions ("companionId", "userId", name, "systemPrompt")
VALUES (:'companion', :'person', 'Lia', 'Be kind, which no event shows.');
UPDATE companion.companions SET persona = 'a patient listener' WHERE "companionId" = :'companion';
UPDATE companion.companions SET "isActive" = true WHERE "companionId" = :'companion';
-- A glance makes no event.
UPDATE companion.companions SET "lastSeenAt" = now() WHERE "companionId" = :'companion';

-- A chat with its messages; the answer is streamed first and becomes a message afterwards.
INSERT INTO companion.chats ("companionId", "userId") VALUES (:'companion', :'person');
INSERT INTO companion.messages ("chatId", "companionId", "userId", direction, content)
SELECT "chatId", "companionId", "userId", 'received', unnest('{Olá!,Tudo bem? 🌙}'::text[])
FROM companion.chats WHERE "companionId" = :'companion';
INSERT INTO companion.streams ("chatId", "companionId", "userId")
SELECT "chatId", "companionId", "userId" FROM companion.chats WHERE "companionId" = :'companion';
SELECT companion.stream_chunk(s, c.sequence, c.content) AS stream_chunk
FROM companion.streams AS s, (VALUES (1, 'Tudo '), (2, 'ótimo'), (3, '!')) AS c (sequence, content)
WHERE s."companionId" = :'companion' ORDER BY c.sequence;
INSERT INTO companion.messages ("chatId", "companionId", "userId", direction, content)
SELECT "chatId", "companionId", "userId", 'sent', 'Tudo ótimo!' FROM companion.chats WHERE "companionId" = :'companion';
UPDATE companion.chats SET "endedAt" = now() WHERE "companionId" = :'companion';

-- Half of the quota is no news, four fifths and all of it are.
INSERT INTO companion.quotas ("companionId", "userId", month, used, allowed)
VALUES (:'companion', :'person', date_trunc('month', now()), 50, 100);
UPDATE companion.quotas SET used = 80 WHERE "companionId" = :'companion';
UPDATE companion.quotas SET used = 101 WHERE "companionId" = :'companion';

-- Each window of measurement writes the same row; only the second one tells of something new.
INSERT INTO companion.performance ("companionId", "userId", "p95Ms") VALUES (:'companion', :'person', 80);
INSERT INTO companion.performance ("companionId", "userId", "p95Ms") VALUES (:'companion', :'person', 140)
ON CONFLICT ("companionId") DO UPDATE SET "p95Ms" = EXCLUDED."p95Ms", "measuredAt" = now();
INSERT INTO companion.performance ("companionId", "userId", "p95Ms") VALUES (:'companion', :'person', 150)
ON CONFLICT ("companionId") DO UPDATE SET "p95Ms" = EXCLUDED."p95Ms", "measuredAt" = now();

INSERT INTO companion.errors ("companionId", "userId", severity, code, message, "stackTrace")
VALUES (:'companion', :'person', 'critical', 'model_unavailable', 'The model did not answer.', 'which no event shows');
UPDATE companion.companions SET "isActive" = false WHERE "companionId" = :'companion';
DELETE FROM companion.companions WHERE "companionId" = :'companion';

"""#,
        "companion/attachments.sql": #"""
-- The events of companion. What is a change of a row is attached to its table; chunks of a stream, which no table keeps,
-- are emitted by companion.stream_chunk. Running this file again replaces everything in place.

SELECT postrider.attach('companion.companions', 'companion.created',
    except_columns => '{systemPrompt,lastSeenAt}', user_id => 'userId');
-- lastSeenAt changes with every message: it makes no event. isActive has event types of its own.
SELECT postrider.attach('companion.companions', 'companion.updated', '{update}',
    condition => $$ (NEW."userId", NEW.name, NEW.persona, NEW."systemPrompt")
        IS DISTINCT FROM (OLD."userId", OLD.name, OLD.persona, OLD."systemPrompt") $$,
    except_columns => '{systemPrompt,lastSeenAt}', user_id => 'userId');
SELECT postrider.attach('companion.companions', operations => '{update}',
    event_type_expression => $$ CASE WHEN NEW."isActive" THEN 'companion.activated' ELSE 'companion.deactivated' END $$,
    condition => $$ NEW."isActive" <> OLD."isActive" $$,
    except_columns => '{systemPrompt,lastSeenAt}', user_id => 'userId', name => 'companion.<activated or deactivated>');
SELECT postrider.attach('companion.companions', 'companion.deleted', '{delete}',
    columns => '{companionId,userId,name}', user_id => 'userId');

-- One chat is one ordering key: what happens in it is delivered in order to destinations that ask for order.
SELECT postrider.attach('companion.chats', 'chat.started', user_id => 'userId', ordering_key => 'chatId');
SELECT postrider.attach('companion.chats', 'chat.ended', '{update}',
    condition => 'NEW."endedAt" IS NOT NULL AND OLD."endedAt" IS NULL', user_id => 'userId', ordering_key => 'chatId');
SELECT postrider.attach('companion.messages', event_type_expression => $$ 'message.' || NEW.direction $$,
    user_id => 'userId', ordering_key => 'chatId', name => 'message.<direction>');
SELECT postrider.attach('companion.streams', 'stream.started', user_id => 'userId', ordering_key => 'chatId');

-- Somebody is woken by critical errors: they go first.
SELECT postrider.attach('companion.errors', 'error.occurred', except_columns => '{stackTrace}', user_id => 'userId',
    priority => $$ CASE NEW.severity WHEN 'critical' THEN 0 ELSE 1 END $$);

-- Once each time that four fifths, or all, of what is allowed is passed; only the worse of the two when a change passes both.
SELECT postrider.attach('companion.quotas', operations => '{insert,update}', event_type_expression => $$ CASE
        WHEN NEW.used > NEW.allowed
            THEN CASE WHEN (OLD.used > OLD.allowed) IS NOT TRUE THEN 'quota.exceeded' END
        WHEN NEW.used >= NEW.allowed * 0.8 AND (OLD.used >= OLD.allowed * 0.8) IS NOT TRUE THEN 'quota.warning'
    END $$, user_id => 'userId', name => 'quota.<warning or exceeded>');

-- When it becomes slow, not each time that it still is.
SELECT postrider.attach('companion.performance', 'performance.degraded', '{insert,update}',
    condition => $$ NEW."p95Ms" > NEW."limitMs" AND (OLD."p95Ms" > OLD."limitMs") IS NOT TRUE $$, user_id => 'userId');

CREATE OR REPLACE FUNCTION companion.stream_chunk(stream companion.streams, sequence integer, content text) RETURNS uuid
    LANGUAGE sql AS $$
    SELECT postrider.emit('stream.chunk', jsonb_build_object('streamId', stream."streamId", 'chatId', stream."chatId",
            'companionId', stream."companionId", 'sequence', sequence, 'content', content),
        user_id => stream."userId", record_id => stream."streamId"::text, ordering_key => stream."chatId"::text)
$$;
COMMENT ON FUNCTION companion.stream_chunk(companion.streams, integer, text) IS
    'Emits stream.chunk for one piece of an answer, numbered by the caller, and gives the event''s id.';

"""#,
        "companion/domain.sql": #"""
-- The tables of companion: companions, what they talk about, what they stream, what goes wrong, what they use up.
-- They know nothing of webhooks. Everything stands in schema companion; DROP SCHEMA companion CASCADE removes it.
--
-- Columns are written as the receivers of companion read them: a row becomes the event's data as it is, and every row
-- tells its companionId.

CREATE SCHEMA companion;

CREATE TABLE companion.companions (
    "companionId"  text        NOT NULL DEFAULT 'comp-' || gen_random_uuid() PRIMARY KEY,
    "userId"       text        NOT NULL,
    name           text        NOT NULL,
    persona        text        NOT NULL DEFAULT '',
    "systemPrompt" text        NOT NULL DEFAULT '',
    "isActive"     boolean     NOT NULL DEFAULT false,
    "createdAt"    timestamptz NOT NULL DEFAULT now(),
    "lastSeenAt"   timestamptz
);

CREATE TABLE companion.chats (
    "chatId"       uuid        NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
    "companionId"  text        NOT NULL REFERENCES companion.companions ON DELETE CASCADE,
    "userId"       text        NOT NULL,
    channel        text        NOT NULL DEFAULT 'web',
    "startedAt"    timestamptz NOT NULL DEFAULT now(),
    "endedAt"      timestamptz
);
CREATE INDEX ON companion.chats ("companionId", "startedAt");

CREATE TABLE companion.messages (
    "messageId"    uuid        NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
    "chatId"       uuid        NOT NULL REFERENCES companion.chats ON DELETE CASCADE,
    "companionId"  text        NOT NULL,
    "userId"       text        NOT NULL,
    -- As the companion sees it: sent by it, or received by it.
    direction      text        NOT NULL CHECK (direction IN ('sent', 'received')),
    content        text        NOT NULL,
    "createdAt"    timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX ON companion.messages ("chatId", "createdAt");

-- An answer while it is being written. Its chunks are not stored: the whole answer becomes a message.
CREATE TABLE companion.streams (
    "streamId"     uuid        NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
    "chatId"       uuid        NOT NULL REFERENCES companion.chats ON DELETE CASCADE,
    "companionId"  text        NOT NULL,
    "userId"       text        NOT NULL,
    "startedAt"    timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON companion.streams ("chatId");

CREATE TABLE companion.errors (
    "errorId"      uuid        NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
    "companionId"  text        NOT NULL,
    "userId"       text        NOT NULL,
    severity       text        NOT NULL DEFAULT 'error' CHECK (severity IN ('warning', 'error', 'critical')),
    code           text        NOT NULL,
    message        text        NOT NULL,
    "stackTrace"   text        NOT NULL DEFAULT '',
    "occurredAt"   timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON companion.errors ("companionId", "occurredAt");

CREATE TABLE companion.quotas (
    "companionId"  text        NOT NULL REFERENCES companion.companions ON DELETE CASCADE,
    "userId"       text        NOT NULL,
    month          date        NOT NULL,
    used           bigint      NOT NULL DEFAULT 0,
    allowed        bigint      NOT NULL CHECK (allowed > 0),
    PRIMARY KEY ("companionId", month)
);

-- One row for each companion, written again after each window of measurement.
CREATE TABLE companion.performance (
    "companionId"  text        NOT NULL REFERENCES companion.companions ON DELETE CASCADE PRIMARY KEY,
    "userId"       text        NOT NULL,
    "p95Ms"        integer     NOT NULL,
    "limitMs"      integer     NOT NULL DEFAULT 100,
    "measuredAt"   timestamptz NOT NULL DEFAULT now()
);

"""#,
        "companion/endpoints.sql": #"""
-- Who wants the events of companion: one endpoint for all of them.
--
--   psql -v endpoint_url=https://app.example/webhooks -f endpoints.sql
--
-- endpoint_url: default http://127.0.0.1:9400/companion. The endpoint's secret is taken from the environment variable
-- COMPANION_WEBHOOK_SECRET; without it one is generated. Prints the id, and the secret for the only time. Running it
-- again adds nothing. companion names no retry rule and no timeout: the defaults are used.
\if :{?endpoint_url}
\else
    \set endpoint_url http://127.0.0.1:9400/companion
\endif
\set endpoint_secret ''
\getenv endpoint_secret COMPANION_WEBHOOK_SECRET

INSERT INTO postrider.webhook_endpoints (name, url, events, profile, secret)
SELECT 'companion', :'endpoint_url',
       '{companion.*,message.*,chat.*,stream.*,error.occurred,quota.*,performance.degraded}', 'companion',
       nullif(:'endpoint_secret', '')
WHERE NOT EXISTS (SELECT FROM postrider.webhook_endpoints WHERE name = 'companion')
RETURNING id, name, url, secret;

"""#,
        "crm/activity.sql": #"""
-- A week at crm: a lead becomes a deal that is won, another one is lost. Can be run again and again: everything is new
-- each time. Makes 17 events, and none of what does not concern receivers (a look, a sync that is still running).
--
--    1 lead.created            1 lead.updated           1 lead.converted
--    2 deal.created            1 deal.updated           1 deal.stage_changed    1 deal.won   1 deal.lost
--    2 proposal.created        1 proposal.sent          1 proposal.accepted     1 proposal.rejected
--    1 integration.connected   1 integration.sync_completed                     1 integration.error
\set ON_ERROR_STOP on
SELECT gen_random_uuid() AS owner, gen_random_uuid() AS lead, gen_random_uuid() AS won, gen_random_uuid() AS lost \gset

INSERT INTO crm.leads (id, owner_id, name, email, company, internal_notes)
VALUES (:'lead', :'owner', 'João Conceição', 'joao@example.com', 'Café & Cia', 'which no event shows');
UPDATE crm.leads SET status = 'qualified', score = 80 WHERE id = :'lead';
-- A look makes no event.
UPDATE crm.leads SET last_viewed_at = now() WHERE id = :'lead';
UPDATE crm.leads SET status = 'converted' WHERE id = :'lead';

-- Two deals in one statement: one trigger call, two events.
INSERT INTO crm.deals (id, lead_id, owner_id, title, amount)
VALUES (:'won', :'lead', :'owner', 'Licenças', 1000.00), (:'lost', :'lead', :'owner', 'Treinamento', 250.50);
UPDATE crm.deals SET amount = 1200.00 WHERE id = :'won';
UPDATE crm.deals SET stage = 'proposal' WHERE id = :'won';
INSERT INTO crm.proposals (deal_id, owner_id, number, total) VALUES (:'won', :'owner', 'P-1', 1200.00);
UPDATE crm.proposals SET status = 'sent' WHERE deal_id = :'won';
UPDATE crm.proposals SET status = 'accepted' WHERE deal_id = :'won';
UPDATE crm.deals SET stage = 'won', probability = 1 WHERE id = :'won';
INSERT INTO crm.proposals (deal_id, owner_id, number, total) VALUES (:'lost', :'owner', 'P-2', 250.50);
UPDATE crm.proposals SET status = 'rejected' WHERE deal_id = :'lost';
UPDATE crm.deals SET stage = 'lost', lost_reason = 'price' WHERE id = :'lost';

INSERT INTO crm.integrations (owner_id, provider, status, credentials)
VALUES (:'owner', 'calendar', 'connected', '{"token": "which no event shows"}');
INSERT INTO crm.integration_syncs (integration_id, owner_id) SELECT id, owner_id FROM crm.integrations WHERE owner_id = :'owner';
UPDATE crm.integration_syncs SET status = 'completed', records_processed = 42, finished_at = now() WHERE owner_id = :'owner';
UPDATE crm.integrations SET status = 'error', last_error = 'token expired' WHERE owner_id = :'owner';

"""#,
        "crm/attachments.sql": #"""
-- The events of crm: every one of them is a change of a row. A change makes one event, of the type that says most: a deal
-- that is won has not also changed its stage. Running this file again replaces everything in place.

SELECT postrider.attach('crm.leads', 'lead.created',
    except_columns => '{internal_notes,last_viewed_at}', user_id => 'owner_id', ordering_key => 'id');
-- Being looked at is no change.
SELECT postrider.attach('crm.leads', operations => '{update}', event_type_expression => $$ CASE
        WHEN NEW.status = 'converted' AND OLD.status <> 'converted' THEN 'lead.converted'
        WHEN (NEW.owner_id, NEW.name, NEW.email, NEW.phone, NEW.company, NEW.source, NEW.score, NEW.status) IS DISTINCT FROM
             (OLD.owner_id, OLD.name, OLD.email, OLD.phone, OLD.company, OLD.source, OLD.score, OLD.status) THEN 'lead.updated'
    END $$, except_columns => '{internal_notes,last_viewed_at}', user_id => 'owner_id', ordering_key => 'id',
    name => 'lead.<converted or updated>');

SELECT postrider.attach('crm.deals', 'deal.created',
    except_columns => '{last_viewed_at}', user_id => 'owner_id', ordering_key => 'id');
SELECT postrider.attach('crm.deals', 'deal.updated', '{update}',
    condition => $$ NEW.stage = OLD.stage AND
        (NEW.lead_id, NEW.owner_id, NEW.title, NEW.amount, NEW.currency, NEW.probability, NEW.lost_reason) IS DISTINCT FROM
        (OLD.lead_id, OLD.owner_id, OLD.title, OLD.amount, OLD.currency, OLD.probability, OLD.lost_reason) $$,
    except_columns => '{last_viewed_at}', user_id => 'owner_id', ordering_key => 'id');
-- From which stage to which: data is {"old": …, "new": …}.
SELECT postrider.attach('crm.deals', 'deal.stage_changed', '{update}', include_old => true,
    condition => $$ NEW.stage <> OLD.stage AND NEW.stage NOT IN ('won', 'lost') $$,
    except_columns => '{last_viewed_at}', user_id => 'owner_id', ordering_key => 'id');
SELECT postrider.attach('crm.deals', operations => '{update}', event_type_expression => $$ 'deal.' || NEW.stage $$,
    condition => $$ NEW.stage <> OLD.stage AND NEW.stage IN ('won', 'lost') $$,
    except_columns => '{last_viewed_at}', user_id => 'owner_id', ordering_key => 'id', priority => 'high',
    name => 'deal.<won or lost>');

-- One deal is one ordering key, its proposals included.
SELECT postrider.attach('crm.proposals', 'proposal.created', user_id => 'owner_id', ordering_key => 'deal_id');
SELECT postrider.attach('crm.proposals', operations => '{update}',
    event_type_expression => $$ 'proposal.' || NEW.status $$,
    condition => $$ NEW.status <> OLD.status AND NEW.status <> 'draft' $$,
    user_id => 'owner_id', ordering_key => 'deal_id', name => 'proposal.<sent, accepted or rejected>');

-- When it becomes so, by an INSERT (OLD is null then) or an UPDATE. Credentials never leave the database.
SELECT postrider.attach('crm.integrations', operations => '{insert,update}',
    event_type_expression => $$ 'integration.' || NEW.status $$,
    condition => $$ NEW.status IN ('connected', 'error') AND NEW.status IS DISTINCT FROM OLD.status $$,
    except_columns => '{credentials}', user_id => 'owner_id', ordering_key => 'id', name => 'integration.<connected or error>');
SELECT postrider.attach('crm.integration_syncs', 'integration.sync_completed', '{insert,update}',
    condition => $$ NEW.status = 'completed' AND OLD.status IS DISTINCT FROM 'completed' $$,
    user_id => 'owner_id', ordering_key => 'integration_id');

"""#,
        "crm/domain.sql": #"""
-- The tables of crm: leads, the deals they become, proposals, and what is connected.
-- They know nothing of webhooks. Everything stands in schema crm; DROP SCHEMA crm CASCADE removes it.

CREATE SCHEMA crm;

CREATE TABLE crm.leads (
    id               uuid          NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
    owner_id         uuid          NOT NULL,
    name             text          NOT NULL,
    email            text          NOT NULL,
    phone            text,
    company          text,
    source           text          NOT NULL DEFAULT 'site',
    score            integer       NOT NULL DEFAULT 0,
    status           text          NOT NULL DEFAULT 'new' CHECK (status IN ('new', 'contacted', 'qualified', 'converted', 'lost')),
    internal_notes   text          NOT NULL DEFAULT '',
    created_at       timestamptz   NOT NULL DEFAULT now(),
    last_viewed_at   timestamptz
);
CREATE INDEX ON crm.leads (owner_id, created_at);

CREATE TABLE crm.deals (
    id               uuid          NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
    lead_id          uuid          REFERENCES crm.leads,
    owner_id         uuid          NOT NULL,
    title            text          NOT NULL,
    amount           numeric(12,2) NOT NULL,
    currency         text          NOT NULL DEFAULT 'BRL',
    probability      numeric(5,4)  NOT NULL DEFAULT 0.1,
    stage            text          NOT NULL DEFAULT 'prospecting'
                     CHECK (stage IN ('prospecting', 'proposal', 'negotiation', 'won', 'lost')),
    lost_reason      text,
    created_at       timestamptz   NOT NULL DEFAULT now(),
    last_viewed_at   timestamptz
);
CREATE INDEX ON crm.deals (lead_id);

CREATE TABLE crm.proposals (
    id               uuid          NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
    deal_id          uuid          NOT NULL REFERENCES crm.deals ON DELETE CASCADE,
    owner_id         uuid          NOT NULL,
    number           text          NOT NULL,
    total            numeric(12,2) NOT NULL,
    status           text          NOT NULL DEFAULT 'draft' CHECK (status IN ('draft', 'sent', 'accepted', 'rejected')),
    created_at       timestamptz   NOT NULL DEFAULT now()
);
CREATE INDEX ON crm.proposals (deal_id);

CREATE TABLE crm.integrations (
    id               uuid          NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
    owner_id         uuid          NOT NULL,
    provider         text          NOT NULL,
    status           text          NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'connected', 'error')),
    credentials      jsonb         NOT NULL DEFAULT '{}',
    last_error       text,
    UNIQUE (owner_id, provider)
);

CREATE TABLE crm.integration_syncs (
    id                uuid         NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
    integration_id    uuid         NOT NULL REFERENCES crm.integrations ON DELETE CASCADE,
    owner_id          uuid         NOT NULL,
    status            text         NOT NULL DEFAULT 'running' CHECK (status IN ('running', 'completed', 'failed')),
    records_processed integer      NOT NULL DEFAULT 0,
    started_at        timestamptz  NOT NULL DEFAULT now(),
    finished_at       timestamptz
);
CREATE INDEX ON crm.integration_syncs (integration_id, started_at);

"""#,
        "crm/endpoints.sql": #"""
-- Who wants the events of crm: one endpoint for all of them.
--
--   psql -v endpoint_url=https://app.example/webhooks -f endpoints.sql
--
-- endpoint_url: default http://127.0.0.1:9400/crm. The endpoint's secret is taken from the environment variable
-- CRM_WEBHOOK_SECRET; without it one is generated. Prints the id, and the secret for the only time. Running it again
-- adds nothing.
-- The retry rule of crm (retry_count 3, 2^attempt seconds) is four attempts in all, 2, 4 and 8 s apart, without jitter.
\if :{?endpoint_url}
\else
    \set endpoint_url http://127.0.0.1:9400/crm
\endif
\set endpoint_secret ''
\getenv endpoint_secret CRM_WEBHOOK_SECRET

INSERT INTO postrider.webhook_endpoints (name, url, events, profile, secret, headers,
                                         max_attempts, base_delay_ms, delay_factor, jitter)
SELECT 'crm', :'endpoint_url', '{lead.*,deal.*,proposal.*,integration.*}', 'crm', nullif(:'endpoint_secret', ''),
       '{"X-Team": "sales"}', 4, 2000, 2, 0
WHERE NOT EXISTS (SELECT FROM postrider.webhook_endpoints WHERE name = 'crm')
RETURNING id, name, url, secret;

"""#,
        "fenix/activity.sql": #"""
-- A month at fenix, of one company: -v company_id=… (default 00000000-0000-4000-8000-00000000fe01, as in endpoints.sql).
-- Can be run again and again: what belongs to the company is new each time. Makes 19 events, and none of what does not
-- concern receivers (a visit, a module that is only ordered).
--
--    2 client.created          1 client.updated         1 client.deleted
--    2 proposal.created        1 proposal.updated       2 proposal.sent         1 proposal.viewed
--    1 proposal.accepted       1 proposal.rejected
--    2 invoice.created         1 invoice.paid           1 invoice.overdue
--    1 user.created            1 subscription.updated   1 module.activated
\set ON_ERROR_STOP on
\if :{?company_id}
\else
    \set company_id 00000000-0000-4000-8000-00000000fe01
\endif
SELECT gen_random_uuid() AS client, gen_random_uuid() AS visitor, substr(gen_random_uuid()::text, 1, 8) AS tag \gset

INSERT INTO fenix.companies (id, name) VALUES (:'company_id', 'Fênix Ltda') ON CONFLICT DO NOTHING;
INSERT INTO fenix.users (company_id, name, email, password_hash)
VALUES (:'company_id', 'Inês', 'ines.' || :'tag' || '@example.com', 'hash, which no event shows');

INSERT INTO fenix.clients (id, company_id, name, email, tax_id)
VALUES (:'client', :'company_id', 'Padaria Açúcar', 'padaria@example.com', 'number, which no event shows'),
       (:'visitor', :'company_id', 'Visitante', 'visitante@example.com', NULL);
UPDATE fenix.clients SET phone = '+55 11 90000-0000' WHERE id = :'client';
-- A visit makes no event.
UPDATE fenix.clients SET last_seen_at = now() WHERE id = :'client';
DELETE FROM fenix.clients WHERE id = :'visitor';

INSERT INTO fenix.proposals (company_id, client_id, number, title, total)
VALUES (:'company_id', :'client', 'A-' || :'tag', 'Plano anual', 1000.00),
       (:'company_id', :'client', 'B-' || :'tag', 'Consultoria', 300.00);
UPDATE fenix.proposals SET total = 950.00 WHERE number = 'A-' || :'tag';
UPDATE fenix.proposals SET status = 'sent' WHERE client_id = :'client';
UPDATE fenix.proposals SET status = 'viewed' WHERE number = 'A-' || :'tag';
UPDATE fenix.proposals SET status = 'accepted' WHERE number = 'A-' || :'tag';
UPDATE fenix.proposals SET status = 'rejected' WHERE number = 'B-' || :'tag';

-- One is due tomorrow and paid; the other was due yesterday.
INSERT INTO fenix.invoices (company_id, client_id, number, total, due_on)
VALUES (:'company_id', :'client', 'F1-' || :'tag', 950.00, current_date + 1),
       (:'company_id', :'client', 'F2-' || :'tag', 120.00, current_date - 1);
UPDATE fenix.invoices SET status = 'paid' WHERE number = 'F1-' || :'tag';
SELECT fenix.mark_overdue_invoices() AS overdue_invoices;

INSERT INTO fenix.subscriptions (company_id, plan, renews_on) VALUES (:'company_id', 'pro', current_date + 30) ON CONFLICT DO NOTHING;
UPDATE fenix.subscriptions SET seats = seats + 1 WHERE company_id = :'company_id';
-- Ordered first, activated later.
INSERT INTO fenix.modules (company_id, module) VALUES (:'company_id', 'marketing-' || :'tag');
UPDATE fenix.modules SET is_active = true WHERE company_id = :'company_id' AND module = 'marketing-' || :'tag';

"""#,
        "fenix/attachments.sql": #"""
-- The events of fenix: every one of them is a change of a row, and belongs to the company of the row, so that an endpoint
-- hears of its own company alone. That an invoice is overdue is made a change of its row by fenix.mark_overdue_invoices,
-- which something calls each day. Running this file again replaces everything in place.

SELECT postrider.attach('fenix.clients', 'client.created',
    except_columns => '{tax_id,last_seen_at}', organization_id => 'company_id', ordering_key => 'id');
SELECT postrider.attach('fenix.clients', 'client.updated', '{update}',
    condition => $$ (NEW.name, NEW.email, NEW.phone, NEW.tax_id) IS DISTINCT FROM (OLD.name, OLD.email, OLD.phone, OLD.tax_id) $$,
    except_columns => '{tax_id,last_seen_at}', organization_id => 'company_id', ordering_key => 'id');
SELECT postrider.attach('fenix.clients', 'client.deleted', '{delete}',
    columns => '{id,company_id,name}', organization_id => 'company_id', ordering_key => 'id');

SELECT postrider.attach('fenix.proposals', 'proposal.created', organization_id => 'company_id', ordering_key => 'id');
-- A new status is that event; any other change, and one that goes back to draft, is an update.
SELECT postrider.attach('fenix.proposals', operations => '{update}', event_type_expression => $$ CASE
        WHEN NEW.status <> OLD.status AND NEW.status <> 'draft' THEN 'proposal.' || NEW.status
        WHEN NEW.* IS DISTINCT FROM OLD.* THEN 'proposal.updated'
    END $$, organization_id => 'company_id', ordering_key => 'id', name => 'proposal.<status or updated>');

SELECT postrider.attach('fenix.invoices', 'invoice.created', organization_id => 'company_id', ordering_key => 'id');
SELECT postrider.attach('fenix.invoices', operations => '{update}',
    event_type_expression => $$ 'invoice.' || NEW.status $$,
    condition => $$ NEW.status <> OLD.status AND NEW.status IN ('paid', 'overdue') $$,
    organization_id => 'company_id', ordering_key => 'id', priority => 'high', name => 'invoice.<paid or overdue>');

SELECT postrider.attach('fenix.users', 'user.created',
    except_columns => '{password_hash}', organization_id => 'company_id', user_id => 'id');
SELECT postrider.attach('fenix.subscriptions', 'subscription.updated', '{update}',
    condition => 'NEW.* IS DISTINCT FROM OLD.*', organization_id => 'company_id', ordering_key => 'company_id');
-- When it becomes active, by an INSERT (OLD is null then) or an UPDATE.
SELECT postrider.attach('fenix.modules', 'module.activated', '{insert,update}',
    condition => 'NEW.is_active AND OLD.is_active IS NOT TRUE', organization_id => 'company_id');

-- Time passing changes no row. One UPDATE for all of them: one trigger call, however many there are.
CREATE OR REPLACE FUNCTION fenix.mark_overdue_invoices(today date DEFAULT current_date) RETURNS bigint LANGUAGE sql AS $$
    WITH marked AS (
        UPDATE fenix.invoices SET status = 'overdue' WHERE status = 'open' AND due_on < today RETURNING id
    )
    SELECT count(*) FROM marked
$$;
COMMENT ON FUNCTION fenix.mark_overdue_invoices(date) IS
    'Marks open invoices that were due before today as overdue, which makes invoice.overdue of each; gives how many.';

"""#,
        "fenix/domain.sql": #"""
-- The tables of fenix, a CRM that many companies share: every row belongs to one of them.
-- They know nothing of webhooks. Everything stands in schema fenix; DROP SCHEMA fenix CASCADE removes it.

CREATE SCHEMA fenix;

CREATE TABLE fenix.companies (
    id               uuid          NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
    name             text          NOT NULL,
    created_at       timestamptz   NOT NULL DEFAULT now()
);

CREATE TABLE fenix.users (
    id               uuid          NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
    company_id       uuid          NOT NULL REFERENCES fenix.companies,
    name             text          NOT NULL,
    email            text          NOT NULL,
    role             text          NOT NULL DEFAULT 'seller',
    password_hash    text          NOT NULL,
    created_at       timestamptz   NOT NULL DEFAULT now(),
    UNIQUE (company_id, email)
);

CREATE TABLE fenix.clients (
    id               uuid          NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
    company_id       uuid          NOT NULL REFERENCES fenix.companies,
    name             text          NOT NULL,
    email            text          NOT NULL,
    phone            text,
    tax_id           text,
    created_at       timestamptz   NOT NULL DEFAULT now(),
    last_seen_at     timestamptz
);
CREATE INDEX ON fenix.clients (company_id);

CREATE TABLE fenix.proposals (
    id               uuid          NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
    company_id       uuid          NOT NULL REFERENCES fenix.companies,
    client_id        uuid          NOT NULL REFERENCES fenix.clients,
    number           text          NOT NULL,
    title            text          NOT NULL,
    total            numeric(12,2) NOT NULL,
    status           text          NOT NULL DEFAULT 'draft'
                     CHECK (status IN ('draft', 'sent', 'viewed', 'accepted', 'rejected')),
    created_at       timestamptz   NOT NULL DEFAULT now()
);
CREATE INDEX ON fenix.proposals (client_id);

CREATE TABLE fenix.invoices (
    id               uuid          NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
    company_id       uuid          NOT NULL REFERENCES fenix.companies,
    client_id        uuid          NOT NULL REFERENCES fenix.clients,
    number           text          NOT NULL,
    total            numeric(12,2) NOT NULL,
    due_on           date          NOT NULL,
    status           text          NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'overdue', 'paid')),
    created_at       timestamptz   NOT NULL DEFAULT now()
);
CREATE INDEX ON fenix.invoices (due_on) WHERE status = 'open';

CREATE TABLE fenix.subscriptions (
    company_id       uuid          NOT NULL REFERENCES fenix.companies PRIMARY KEY,
    plan             text          NOT NULL,
    seats            integer       NOT NULL DEFAULT 1,
    renews_on        date          NOT NULL
);

CREATE TABLE fenix.modules (
    company_id       uuid          NOT NULL REFERENCES fenix.companies,
    module           text          NOT NULL,
    is_active        boolean       NOT NULL DEFAULT false,
    PRIMARY KEY (company_id, module)
);

"""#,
        "fenix/endpoints.sql": #"""
-- Who wants the events of a company of fenix: one endpoint, which hears of that company alone.
--
--   psql -v endpoint_url=https://app.example/webhooks -v company_id=… -f endpoints.sql
--
-- endpoint_url: default http://127.0.0.1:9400/fenix; company_id: default the company of activity.sql. Run it once for each
-- company; again for the same one it adds nothing. The endpoint's secret is taken from the environment variable
-- FENIX_WEBHOOK_SECRET; without it one is generated. Prints the id, and the secret for the only time.
-- fenix's retry_attempts 3 is four attempts in all, on the default schedule; timeout_seconds 30 is the timeout.
\if :{?endpoint_url}
\else
    \set endpoint_url http://127.0.0.1:9400/fenix
\endif
\if :{?company_id}
\else
    \set company_id 00000000-0000-4000-8000-00000000fe01
\endif
\set endpoint_secret ''
\getenv endpoint_secret FENIX_WEBHOOK_SECRET

INSERT INTO postrider.webhook_endpoints (name, url, events, profile, secret, organization_id, max_attempts, timeout_ms)
SELECT 'fenix', :'endpoint_url', '{client.*,proposal.*,invoice.*,user.created,subscription.updated,module.activated}',
       'fenix', nullif(:'endpoint_secret', ''), :'company_id', 4, 30000
WHERE NOT EXISTS (SELECT FROM postrider.webhook_endpoints WHERE name = 'fenix' AND organization_id = :'company_id')
RETURNING id, name, url, organization_id, secret;

"""#,
    ]
}

/// The named statements of `sql/queries`, with the headings they have there.
enum Queries {
    /// `AdminLockTimeout`; rows: 1
    /// - params: none
    /// - index: none
    static let adminLockTimeout = Statement(
        name: "AdminLockTimeout",
        sql: #"""
SELECT set_config('lock_timeout', '30s', true)
"""#)

    /// `EndpointCreate`; rows: 1, with the secret when one was generated
    /// - params: $1 the endpoint's columns jsonb; what is left out gets the table's default
    /// - index: none
    static let endpointCreate = Statement(
        name: "EndpointCreate",
        sql: #"""
INSERT INTO postrider.webhook_endpoints (name, url, events, profile, secret, organization_id, user_id, headers,
    max_attempts, base_delay_ms, delay_factor, max_delay_ms, jitter, delays_ms, timeout_ms, final_statuses,
    max_concurrency, keep_response_bytes, disable_after_s, options)
SELECT p.* FROM jsonb_to_record($1::jsonb) AS p (name text, url text, events text[], profile text, secret text,
    organization_id text, user_id text, headers jsonb, max_attempts integer, base_delay_ms bigint, delay_factor float8,
    max_delay_ms bigint, jitter float8, delays_ms bigint[], timeout_ms integer, final_statuses text,
    max_concurrency integer, keep_response_bytes integer, disable_after_s integer, options jsonb)
RETURNING jsonb_build_object('id', id, 'name', name, 'url', url, 'events', events, 'profile', profile,
    'secret', secret, 'destination_id', destination_id)::text
"""#)

    /// `WorkflowCreate`; rows: 1
    /// - params: $1 the workflow's columns jsonb; what is left out gets the table's default
    /// - index: none
    static let workflowCreate = Statement(
        name: "WorkflowCreate",
        sql: #"""
INSERT INTO postrider.n8n_workflows (name, webhook_url, event_types, profile, secret, organization_id, user_id, headers,
    max_attempts, base_delay_ms, delay_factor, max_delay_ms, jitter, delays_ms, timeout_ms, final_statuses,
    max_concurrency, keep_response_bytes, disable_after_s, options, workflow_id, is_active, inactive_reason)
SELECT p.* FROM jsonb_to_record($1::jsonb) AS p (name text, url text, events text[], profile text, secret text,
    organization_id text, user_id text, headers jsonb, max_attempts integer, base_delay_ms bigint, delay_factor float8,
    max_delay_ms bigint, jitter float8, delays_ms bigint[], timeout_ms integer, final_statuses text,
    max_concurrency integer, keep_response_bytes integer, disable_after_s integer, options jsonb, workflow_id text,
    is_active boolean, inactive_reason text)
RETURNING jsonb_build_object('id', id, 'name', name, 'url', webhook_url, 'events', event_types, 'profile', profile,
    'secret', secret, 'destination_id', destination_id)::text
"""#)

    /// `EndpointList`; rows: endpoints by name; one when id (a uuid or a name) is given
    /// - params: $1 {"id"} jsonb
    /// - index: none: administration reads them all
    static let endpointList = Statement(
        name: "EndpointList",
        sql: #"""
SELECT (to_jsonb(e) || jsonb_build_object('headers', postrider.shown_headers(e.headers),
    'secret_expires_at', postrider.secret_expires_at(e.destination_id)))::text
FROM postrider.webhook_endpoints AS e
WHERE $1::jsonb ->> 'id' IS NULL OR e.id::text = $1::jsonb ->> 'id' OR e.name = $1::jsonb ->> 'id'
ORDER BY e.name, e.id
"""#)

    /// `WorkflowList`; rows: n8n workflows by name; one when id (a uuid or a name) is given
    /// - params: $1 {"id"} jsonb
    /// - index: none: administration reads them all
    static let workflowList = Statement(
        name: "WorkflowList",
        sql: #"""
SELECT (to_jsonb(w) - '{webhook_url,event_types}'::text[] || jsonb_build_object('url', w.webhook_url, 'events', w.event_types,
    'headers', postrider.shown_headers(w.headers),
    'secret_expires_at', postrider.secret_expires_at(w.destination_id)))::text
FROM postrider.n8n_workflows AS w
WHERE $1::jsonb ->> 'id' IS NULL OR w.id::text = $1::jsonb ->> 'id' OR w.name = $1::jsonb ->> 'id'
ORDER BY w.name, w.id
"""#)

    /// `EndpointUpdate`; rows: 0..1
    /// - params: $1 {"id": uuid, …columns to change} jsonb
    /// - index: webhook_destinations_public_id_key
    static let endpointUpdate = Statement(
        name: "EndpointUpdate",
        sql: #"""
UPDATE postrider.webhook_endpoints AS e
SET name = coalesce(p.name, e.name), url = coalesce(p.url, e.url), events = coalesce(p.events, e.events),
    profile = coalesce(p.profile, e.profile),
    -- Null lets the events of all through again.
    organization_id = CASE WHEN $1::jsonb ? 'organization_id' THEN p.organization_id ELSE e.organization_id END,
    user_id = CASE WHEN $1::jsonb ? 'user_id' THEN p.user_id ELSE e.user_id END,
    headers = coalesce(p.headers, e.headers),
    max_attempts = coalesce(p.max_attempts, e.max_attempts), base_delay_ms = coalesce(p.base_delay_ms, e.base_delay_ms),
    delay_factor = coalesce(p.delay_factor, e.delay_factor), max_delay_ms = coalesce(p.max_delay_ms, e.max_delay_ms),
    jitter = coalesce(p.jitter, e.jitter),
    -- A policy without a list of waits takes the list away.
    delays_ms = CASE WHEN $1::jsonb ? 'delays_ms' THEN p.delays_ms ELSE e.delays_ms END,
    timeout_ms = coalesce(p.timeout_ms, e.timeout_ms), final_statuses = coalesce(p.final_statuses, e.final_statuses),
    max_concurrency = coalesce(p.max_concurrency, e.max_concurrency),
    -- Each option that is given replaces the one of its name; null takes it away.
    options = (e.options || coalesce(p.options, '{}'))
        - ARRAY(SELECT o.key FROM jsonb_each(p.options) AS o WHERE o.value = 'null'),
    disable_after_s = coalesce(p.disable_after_s, e.disable_after_s), is_active = coalesce(p.is_active, e.is_active)
FROM jsonb_to_record($1::jsonb) AS p (id uuid, name text, url text, events text[], profile text,
    organization_id text, user_id text, headers jsonb, max_attempts integer, base_delay_ms bigint, delay_factor float8,
    max_delay_ms bigint, jitter float8, delays_ms bigint[], timeout_ms integer, final_statuses text,
    max_concurrency integer, disable_after_s integer, options jsonb, is_active boolean)
WHERE e.id = p.id
RETURNING jsonb_build_object('id', e.id, 'name', e.name, 'is_active', e.is_active)::text
"""#)

    /// `WorkflowUpdate`; rows: 0..1
    /// - params: $1 {"id": uuid, …columns to change} jsonb
    /// - index: webhook_destinations_public_id_key
    static let workflowUpdate = Statement(
        name: "WorkflowUpdate",
        sql: #"""
UPDATE postrider.n8n_workflows AS e
SET name = coalesce(p.name, e.name), webhook_url = coalesce(p.url, e.webhook_url),
    event_types = coalesce(p.events, e.event_types), profile = coalesce(p.profile, e.profile),
    -- Null lets the events of all through again.
    organization_id = CASE WHEN $1::jsonb ? 'organization_id' THEN p.organization_id ELSE e.organization_id END,
    user_id = CASE WHEN $1::jsonb ? 'user_id' THEN p.user_id ELSE e.user_id END,
    headers = coalesce(p.headers, e.headers), max_attempts = coalesce(p.max_attempts, e.max_attempts),
    base_delay_ms = coalesce(p.base_delay_ms, e.base_delay_ms), delay_factor = coalesce(p.delay_factor, e.delay_factor),
    max_delay_ms = coalesce(p.max_delay_ms, e.max_delay_ms), jitter = coalesce(p.jitter, e.jitter),
    -- A policy without a list of waits takes the list away.
    delays_ms = CASE WHEN $1::jsonb ? 'delays_ms' THEN p.delays_ms ELSE e.delays_ms END,
    timeout_ms = coalesce(p.timeout_ms, e.timeout_ms),
    final_statuses = coalesce(p.final_statuses, e.final_statuses),
    max_concurrency = coalesce(p.max_concurrency, e.max_concurrency),
    -- Each option that is given replaces the one of its name; null takes it away.
    options = (e.options || coalesce(p.options, '{}'))
        - ARRAY(SELECT o.key FROM jsonb_each(p.options) AS o WHERE o.value = 'null'),
    disable_after_s = coalesce(p.disable_after_s, e.disable_after_s), is_active = coalesce(p.is_active, e.is_active),
    -- A person's word goes before an import's also when the import came first.
    inactive_reason = CASE WHEN $1::jsonb ? 'inactive_reason' THEN p.inactive_reason
                           WHEN NOT p.is_active AND NOT e.is_active THEN 'disabled by hand' ELSE e.inactive_reason END,
    workflow_id = coalesce(p.workflow_id, e.workflow_id)
FROM jsonb_to_record($1::jsonb) AS p (id uuid, name text, url text, events text[], profile text,
    organization_id text, user_id text, headers jsonb, max_attempts integer, base_delay_ms bigint, delay_factor float8,
    max_delay_ms bigint, jitter float8, delays_ms bigint[], timeout_ms integer, final_statuses text,
    max_concurrency integer, disable_after_s integer, options jsonb, is_active boolean, inactive_reason text,
    workflow_id text)
WHERE e.id = p.id
RETURNING jsonb_build_object('id', e.id, 'name', e.name, 'is_active', e.is_active)::text
"""#)

    /// `EndpointDelete`; rows: 0..1
    /// - params: $1 {"id": uuid} jsonb
    /// - index: webhook_destinations_public_id_key, webhook_dead_letters_destination_idx
    /// - Retries that went with it are counted by webhook_destination_switched, whose trigger ran before RETURNING.
    static let endpointDelete = Statement(
        name: "EndpointDelete",
        sql: #"""
DELETE FROM postrider.webhook_endpoints AS e WHERE e.id = ($1::jsonb ->> 'id')::uuid
RETURNING jsonb_build_object('id', e.id, 'name', e.name,
    'given_up', nullif(current_setting('postrider.given_up', true), '')::bigint,
    'dead_letters', (SELECT count(*) FROM postrider.webhook_dead_letters AS l
                     WHERE l.destination_id = e.destination_id AND l.archived_at IS NULL))::text
"""#)

    /// `WorkflowDelete`; rows: 0..1
    /// - params: $1 {"id": uuid} jsonb
    /// - index: webhook_destinations_public_id_key, webhook_dead_letters_destination_idx
    /// - Retries that went with it are counted by webhook_destination_switched, whose trigger ran before RETURNING.
    static let workflowDelete = Statement(
        name: "WorkflowDelete",
        sql: #"""
DELETE FROM postrider.n8n_workflows AS e WHERE e.id = ($1::jsonb ->> 'id')::uuid
RETURNING jsonb_build_object('id', e.id, 'name', e.name,
    'given_up', nullif(current_setting('postrider.given_up', true), '')::bigint,
    'dead_letters', (SELECT count(*) FROM postrider.webhook_dead_letters AS l
                     WHERE l.destination_id = e.destination_id AND l.archived_at IS NULL))::text
"""#)

    /// `DeletionPlan`; rows: 0..1
    /// - params: $1 {"id": uuid} jsonb
    /// - index: webhook_destinations_public_id_key, webhook_retries_due_idx, webhook_dead_letters_destination_idx
    static let deletionPlan = Statement(
        name: "DeletionPlan",
        sql: #"""
SELECT jsonb_build_object('id', d.public_id, 'name', d.name,
    'given_up', (SELECT count(*) FROM postrider.webhook_retries AS r WHERE r.destination_id = d.id),
    'dead_letters', (SELECT count(*) FROM postrider.webhook_dead_letters AS l
                     WHERE l.destination_id = d.id AND l.archived_at IS NULL))::text
FROM postrider.webhook_destinations AS d WHERE d.public_id = ($1::jsonb ->> 'id')::uuid AND d.deleted_at IS NULL
"""#)

    /// `SecretRotate`; rows: 1, with the new secret
    /// - params: $1 {"id": uuid, "secret": text or null, "overlap_ms": number} jsonb
    /// - index: webhook_secrets_pkey
    static let secretRotate = Statement(
        name: "SecretRotate",
        sql: #"""
SELECT jsonb_build_object('id', $1::jsonb ->> 'id', 'secret', postrider.rotate_secret(($1::jsonb ->> 'id')::uuid,
    $1::jsonb ->> 'secret', ($1::jsonb ->> 'overlap_ms')::float8 * interval '1 millisecond'))::text
"""#)

    /// `EventEmit`; rows: 1
    /// - params: $1 {"type", "data", "organization_id", "user_id", "record_id", "ordering_key", "priority"} jsonb
    /// - index: none
    static let eventEmit = Statement(
        name: "EventEmit",
        sql: #"""
SELECT jsonb_build_object('id', postrider.emit(p.type, p.data, p.organization_id, p.user_id, p.record_id,
    p.ordering_key, coalesce(p.priority, 1)))::text
FROM jsonb_to_record($1::jsonb) AS p (type text, data jsonb, organization_id text, user_id text, record_id text,
    ordering_key text, priority integer)
"""#)

    /// `EventList`; rows: events, newest first
    /// - params: $1 {"since_s", "type", "status", "organization_id", "limit"} jsonb
    /// - index: webhook_event_log_pkey
    static let eventList = Statement(
        name: "EventList",
        sql: #"""
SELECT jsonb_build_object('id', e.id, 'event_type', e.event_type, 'status', e.status, 'retry_count', e.retry_count,
    'created_at', e.created_at, 'organization_id', e.organization_id, 'error_message', e.error_message)::text
FROM postrider.webhook_events AS e
WHERE e.id >= postrider.event_id_at(now() - ($1::jsonb ->> 'since_s')::float8 * interval '1 second')
  AND ($1::jsonb ->> 'type' IS NULL OR postrider.matches(ARRAY[$1::jsonb ->> 'type'], e.event_type))
  AND ($1::jsonb ->> 'organization_id' IS NULL OR e.organization_id = $1::jsonb ->> 'organization_id')
  AND ($1::jsonb ->> 'status' IS NULL OR e.status = $1::jsonb ->> 'status')
ORDER BY e.id DESC
LIMIT ($1::jsonb ->> 'limit')::bigint
"""#)

    /// `EventShow`; rows: 0..1, with deliveries and attempts
    /// - params: $1 {"id": uuid} jsonb
    /// - index: webhook_event_log_pkey, webhook_attempts_delivery_idx
    static let eventShow = Statement(
        name: "EventShow",
        sql: #"""
SELECT (to_jsonb(e) || jsonb_build_object(
    'data_text', e.data::text,
    -- The words that lists have: the view's columns have names that applications know.
    'deliveries', (SELECT coalesce(jsonb_agg(to_jsonb(d) - '{payload,event_type,webhook_event_id,webhook_endpoint_id,destination_kind,
                              destination_name,attempt_number,response_status_code}'::text[] || jsonb_build_object(
                              'event_id', d.webhook_event_id, 'endpoint_id', d.webhook_endpoint_id, 'endpoint', d.destination_name,
                              'kind', d.destination_kind, 'attempts', d.attempt_number) ORDER BY d.destination_id), '[]')
                   FROM postrider.webhook_deliveries AS d WHERE d.webhook_event_id = e.id),
    'history', (SELECT coalesce(jsonb_agg(to_jsonb(a) - 'event_id' ORDER BY a.attempted_at), '[]')
                FROM postrider.webhook_attempts AS a WHERE a.event_id = e.id)))::text
FROM postrider.webhook_events AS e
WHERE e.id = ($1::jsonb ->> 'id')::uuid
"""#)

    /// `DeliveryList`; rows: deliveries, newest event first
    /// - params: $1 {"since_s", "event", "endpoint", "status", "limit"} jsonb
    /// - index: webhook_attempts_delivery_idx
    static let deliveryList = Statement(
        name: "DeliveryList",
        sql: #"""
SELECT jsonb_build_object('id', d.id, 'event_id', d.webhook_event_id, 'event_type', d.event_type,
    'endpoint', d.destination_name, 'status', d.status, 'attempts', d.attempt_number, 'status_code', d.status_code,
    'next_retry_at', d.next_retry_at, 'attempted_at', d.attempted_at, 'failure', d.failure)::text
FROM postrider.webhook_deliveries AS d
WHERE d.webhook_event_id >= coalesce(($1::jsonb ->> 'event')::uuid,
          postrider.event_id_at(now() - ($1::jsonb ->> 'since_s')::float8 * interval '1 second'))
  AND d.webhook_event_id <= coalesce(($1::jsonb ->> 'event')::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
  AND ($1::jsonb ->> 'endpoint' IS NULL OR d.webhook_endpoint_id::text = $1::jsonb ->> 'endpoint'
       OR d.destination_name = $1::jsonb ->> 'endpoint')
  AND ($1::jsonb ->> 'status' IS NULL OR d.status = $1::jsonb ->> 'status')
ORDER BY d.webhook_event_id DESC, d.destination_id
LIMIT ($1::jsonb ->> 'limit')::bigint
"""#)

    /// `DeliveryShow`; rows: 0..1, with its attempts
    /// - params: $1 {"id": uuid} jsonb
    /// - index: webhook_attempts_delivery_idx
    /// - A delivery's id begins with the first 8 bytes of its event's id.
    static let deliveryShow = Statement(
        name: "DeliveryShow",
        sql: #"""
SELECT (to_jsonb(d) - '{webhook_event_id,webhook_endpoint_id,destination_kind,destination_name,attempt_number,
        response_status_code}'::text[] || jsonb_build_object(
    'event_id', d.webhook_event_id, 'endpoint_id', d.webhook_endpoint_id, 'endpoint', d.destination_name,
    'kind', d.destination_kind, 'attempts', d.attempt_number,
    'history', (SELECT coalesce(jsonb_agg(to_jsonb(a) - 'event_id' - 'destination_id' ORDER BY a.attempted_at), '[]')
                FROM postrider.webhook_attempts AS a
                WHERE a.event_id = d.webhook_event_id AND a.destination_id = d.destination_id)))::text
FROM postrider.webhook_deliveries AS d
WHERE d.webhook_event_id >= (left($1::jsonb ->> 'id', 18) || '-0000-000000000000')::uuid
  AND d.webhook_event_id <= (left($1::jsonb ->> 'id', 18) || '-ffff-ffffffffffff')::uuid
  AND d.id = ($1::jsonb ->> 'id')::uuid
"""#)

    /// `RetentionShow`; rows: 1
    /// - params: $1 ignored jsonb
    /// - index: none: one row
    static let retentionShow = Statement(
        name: "RetentionShow",
        sql: #"""
SELECT jsonb_build_object('events', r.keep_events::text, 'attempts', r.keep_attempts::text, 'payloads', r.keep_payloads::text,
    'audit', r.keep_audit::text, 'upkeep_at', nullif(r.upkeep_at, '-infinity'))::text
FROM postrider.webhook_retention AS r WHERE $1::jsonb IS NOT NULL
"""#)

    /// `RetentionSet`; rows: 1
    /// - params: $1 {"events_s", "attempts_s", "payloads_s", "audit_s"} jsonb: seconds; 0 for ever; what is left out stays
    /// - index: none: one row
    static let retentionSet = Statement(
        name: "RetentionSet",
        sql: #"""
UPDATE postrider.webhook_retention AS r
SET keep_events = CASE WHEN p.events_s IS NULL THEN r.keep_events ELSE justify_hours(nullif(p.events_s, 0) * interval '1 second') END,
    -- Those that were not named follow when events are to be kept for less.
    keep_attempts = CASE WHEN p.attempts_s IS NULL THEN CASE WHEN p.events_s > 0 AND r.keep_attempts > p.events_s * interval '1 second'
                                                             THEN NULL ELSE r.keep_attempts END ELSE justify_hours(nullif(p.attempts_s, 0) * interval '1 second') END,
    keep_payloads = CASE WHEN p.payloads_s IS NULL THEN CASE WHEN p.events_s > 0 AND r.keep_payloads > p.events_s * interval '1 second'
                                                             THEN NULL ELSE r.keep_payloads END ELSE justify_hours(nullif(p.payloads_s, 0) * interval '1 second') END,
    keep_audit = CASE WHEN p.audit_s IS NULL THEN r.keep_audit ELSE justify_hours(nullif(p.audit_s, 0) * interval '1 second') END
FROM jsonb_to_record($1::jsonb) AS p (events_s float8, attempts_s float8, payloads_s float8, audit_s float8)
RETURNING jsonb_build_object('events', r.keep_events::text, 'attempts', r.keep_attempts::text,
    'payloads', r.keep_payloads::text)::text
"""#)

    /// `QueueStatus`; rows: 1
    /// - params: $1 ignored jsonb
    /// - index: none: reads the queue
    static let queueStatus = Statement(
        name: "QueueStatus",
        sql: #"""
SELECT to_jsonb(s)::text FROM postrider.webhook_queue_status AS s WHERE $1::jsonb IS NOT NULL
"""#)

    /// `AttachmentList`; rows: attachments
    /// - params: $1 ignored jsonb
    /// - index: none
    static let attachmentList = Statement(
        name: "AttachmentList",
        sql: #"""
SELECT to_jsonb(a)::text FROM postrider.webhook_attachments AS a WHERE $1::jsonb IS NOT NULL ORDER BY a.table_name, a.name
"""#)

    /// `AttachmentCreate`; rows: 1
    /// - params: $1 {"table", …options of postrider.attach} jsonb
    /// - index: none
    static let attachmentCreate = Statement(
        name: "AttachmentCreate",
        sql: #"""
SELECT jsonb_build_object('name', postrider.attach(p."table"::regclass, event_type => p.event_type,
    operations => coalesce(p.operations, '{insert}'), condition => p.condition,
    event_type_expression => p.event_type_expression, columns => p.columns, except_columns => p.except_columns,
    organization_id => p.organization_id, user_id => p.user_id, record_id => p.record_id,
    ordering_key => p.ordering_key, priority => p.priority, include_old => coalesce(p.include_old, false),
    name => p.name))::text
FROM jsonb_to_record($1::jsonb) AS p ("table" text, event_type text, operations text[], condition text,
    event_type_expression text, columns text[], except_columns text[], organization_id text, user_id text,
    record_id text, ordering_key text, priority text, include_old boolean, name text)
"""#)

    /// `AttachmentDelete`; rows: 1
    /// - params: $1 {"table", "name"} jsonb
    /// - index: none
    static let attachmentDelete = Statement(
        name: "AttachmentDelete",
        sql: #"""
SELECT jsonb_build_object('count', postrider.detach(($1::jsonb ->> 'table')::regclass, $1::jsonb ->> 'name'))::text
"""#)

    /// `RoleSetup`; rows: 1, the statements that make the roles which are missing; null when none is
    /// - params: none
    /// - index: none
    static let roleSetup = Statement(
        name: "RoleSetup",
        sql: #"""
SELECT postrider.role_setup()
"""#)

    /// `Diagnosis`; rows: 1, everything that doctor can learn with one question
    /// - params: $1 ignored jsonb
    /// - index: none
    static let diagnosis = Statement(
        name: "Diagnosis",
        sql: #"""
SELECT jsonb_build_object(
    'server_version', current_setting('server_version'),
    'now_s', extract(epoch FROM clock_timestamp()),
    'in_recovery', pg_is_in_recovery(),
    'queue', (SELECT to_jsonb(s) FROM postrider.webhook_queue_status AS s),
    'oldest_waiting_s', (SELECT extract(epoch FROM s.oldest_waiting_age) FROM postrider.webhook_queue_status AS s),
    'blocked_keys', (SELECT count(*) FROM postrider.webhook_keys AS k JOIN postrider.webhook_dead_letters AS l
                     ON l.event_id = k.head AND l.destination_id = k.destination_id),
    'replays_left', (SELECT count(*) FROM postrider.webhook_replays AS r
                     WHERE r.state = 'running' AND coalesce(r.driven_at, r.created_at)
                           < clock_timestamp() - interval '30 seconds'),
    'attachments', (SELECT count(*) FROM postrider.webhook_attachments),
    'faults', (SELECT coalesce(jsonb_agg(to_jsonb(c)), '[]') FROM postrider.webhook_attachment_check AS c),
    'enqueue_enabled', (SELECT tgenabled <> 'D' FROM pg_catalog.pg_trigger
                        WHERE tgrelid = 'postrider.webhook_event_log'::regclass AND tgname = 'webhook_enqueue'),
    'weeks_ahead', (SELECT count(*) FROM pg_catalog.pg_inherits AS i
                    JOIN pg_catalog.pg_class AS c ON c.oid = i.inhrelid
                    WHERE i.inhparent = 'postrider.webhook_event_log'::regclass
                      AND c.relname > 'webhook_event_log_' || to_char(now() AT TIME ZONE 'UTC', 'IYYY_IW')
                      AND c.relname !~ '_(earlier|later)$'),
    -- Not clock_timestamp(): the snapshot is of the statement's start, and a lease in it is over when the rest takes 1.5 s.
    'workers_alive', (SELECT count(*) FROM postrider.webhook_workers WHERE alive AND lease_until > statement_timestamp()),
    'workers_silent', (SELECT count(*) FROM postrider.webhook_workers WHERE alive AND lease_until <= statement_timestamp()),
    -- A snapshot of another database holds back nothing here. Whoever has written does, in whatever database: its id stands
    -- in every snapshot, also when it has none of its own.
    'oldest_transaction', (SELECT jsonb_build_object('pid', a.pid, 'age_s', extract(epoch FROM clock_timestamp() - a.xact_start))
                           FROM pg_catalog.pg_stat_activity AS a
                           WHERE num_nonnulls(a.backend_xmin, a.backend_xid) > 0 AND a.pid <> pg_backend_pid()
                             AND a.backend_type = 'client backend' AND (a.backend_xid IS NOT NULL OR a.datname = current_database())
                           ORDER BY a.xact_start LIMIT 1),
    'sees_sessions', pg_has_role('pg_read_all_stats', 'USAGE'),
    'role', (SELECT jsonb_build_object('name', r.rolname, 'superuser', r.rolsuper, 'bypasses', r.rolbypassrls,
                 'owner', pg_has_role(n.nspowner, 'USAGE'),
                 'member_of', (SELECT string_agg(m.rolname, ', ' ORDER BY m.rolname) FROM pg_catalog.pg_roles AS m
                               WHERE m.rolname IN (SELECT g.role_name FROM postrider.webhook_grants AS g)
                                 AND pg_has_role(m.oid, 'USAGE')))
             FROM pg_catalog.pg_roles AS r, pg_catalog.pg_namespace AS n
             WHERE r.rolname = current_user AND n.nspname = 'postrider'),
    'role_setup', postrider.role_setup(),
    'retention', (SELECT jsonb_build_object('events', r.keep_events::text, 'attempts', r.keep_attempts::text,
                      'payloads', r.keep_payloads::text,
                      'upkeep_age_s', extract(epoch FROM clock_timestamp() - nullif(r.upkeep_at, '-infinity')))
                  FROM postrider.webhook_retention AS r),
    'privacy', (SELECT jsonb_build_object('erasures', count(*),
                    'erasure_age_s', extract(epoch FROM clock_timestamp() - min(e.requested_at)),
                    'sealing_lag_s', (SELECT max(extract(epoch FROM clock_timestamp()
                                          - coalesce(postrider.event_id_time(t.sealed_to), t.created_at)))
                                      FROM postrider.webhook_sealed_types AS t))
                FROM postrider.webhook_erasures AS e WHERE e.finished_at IS NULL),
    'payload_keys', (SELECT coalesce(jsonb_agg(jsonb_build_object('name', k.key_name, 'payloads', k.payloads) ORDER BY k.first_id), '[]')
                     FROM postrider.webhook_payload_keys AS k
                     WHERE EXISTS (SELECT FROM postrider.webhook_event_log AS e WHERE e.id BETWEEN k.first_id AND k.last_id)),
    'prepared_transactions', (SELECT count(*) FROM pg_catalog.pg_prepared_xacts),
    'inactive_slots', (SELECT count(*) FROM pg_catalog.pg_replication_slots
                       WHERE NOT active AND num_nonnulls(xmin, catalog_xmin) > 0),
    'plain_http', (SELECT count(*) FROM postrider.webhook_destinations
                   WHERE deleted_at IS NULL AND is_active AND url ILIKE 'http://%'),
    'test_urls', (SELECT coalesce(jsonb_agg(name ORDER BY name), '[]') FROM postrider.webhook_destinations
                  WHERE deleted_at IS NULL AND is_active AND url ~ '^[^?]*/webhook-test/'),
    'unset', (SELECT coalesce(jsonb_agg(DISTINCT jsonb_build_object('name', n.name, 'organization_id', d.organization_id,
                                                                    'of_user', d.user_id IS NOT NULL)), '[]')
              FROM postrider.webhook_destinations AS d,
                   regexp_matches(replace(jsonb_build_array(d.options -> 'auth', d.options -> 'tls', d.options -> 'proxy')::text, '$${', ''), '\$\{([A-Za-z_][A-Za-z0-9_]*)\}', 'g') AS m,
                   LATERAL (SELECT m[1] AS name) AS n
              WHERE d.deleted_at IS NULL AND d.is_active AND d.options <> '{}'
                AND NOT EXISTS (SELECT FROM postrider.webhook_settings AS s WHERE s.name = n.name
                                AND (s.organization_id = d.organization_id OR s.organization_id IS NULL
                                     AND (s.is_shared OR d.organization_id IS NULL AND d.user_id IS NULL)))))::text
WHERE $1::jsonb IS NOT NULL
"""#)

    /// `ForgetPlan`; rows: 1, what forgetting a person would erase and drop
    /// - params: $1 {"user", "organization_id"} jsonb
    /// - index: none: reads the log
    static let forgetPlan = Statement(
        name: "ForgetPlan",
        sql: #"""
WITH mine AS MATERIALIZED (
    SELECT e.id, postrider.is_removed(e.data) AS is_removed FROM postrider.webhook_event_log AS e
    WHERE e.user_id = $1::jsonb ->> 'user'
      AND ($1::jsonb ->> 'organization_id' IS NULL OR e.organization_id = $1::jsonb ->> 'organization_id')
)
SELECT jsonb_build_object('events', (SELECT count(*) FROM mine WHERE NOT is_removed),
    'attempts', (SELECT count(*) FROM mine JOIN postrider.webhook_attempts AS a ON a.event_id = mine.id
                 WHERE a.failure IS DISTINCT FROM 'erased' AND num_nonnulls(a.response_body, a.error_message) > 0),
    'dropped', (SELECT count(*) FROM mine JOIN postrider.webhook_retries AS r ON r.event_id = mine.id))::text
"""#)

    /// `ForgetUser`; rows: 1
    /// - params: $1 {"user", "organization_id", "also_id": bool} jsonb
    /// - index: webhook_event_log_pkey
    static let forgetUser = Statement(
        name: "ForgetUser",
        sql: #"""
SELECT to_jsonb(f)::text FROM postrider.forget_user($1::jsonb ->> 'user', $1::jsonb ->> 'organization_id',
    coalesce(($1::jsonb ->> 'also_id')::boolean, false)) AS f
"""#)

    /// `ErasureGoOn`; rows: 1: one batch; nulls when it is finished or another session does it
    /// - params: $1 {"erasure"} jsonb
    /// - index: webhook_event_log_pkey
    static let erasureGoOn = Statement(
        name: "ErasureGoOn",
        sql: #"""
SELECT to_jsonb(b)::text FROM postrider.erase_batch(($1::jsonb ->> 'erasure')::integer) AS b
"""#)

    /// `ErasureShow`; rows: 0..1
    /// - params: $1 {"erasure"} jsonb
    /// - index: webhook_erasures_pkey
    static let erasureShow = Statement(
        name: "ErasureShow",
        sql: #"""
SELECT jsonb_build_object('erasure', e.id, 'subject', e.subject, 'events', e.events, 'attempts', e.attempts,
    'dropped', e.dropped, 'requested_at', e.requested_at, 'finished_at', e.finished_at)::text
FROM postrider.webhook_erasures AS e WHERE e.id = ($1::jsonb ->> 'erasure')::integer
"""#)

    /// `AuditLogList`; rows: lines of the audit log, newest first
    /// - params: $1 {"since_s", "object", "limit"} jsonb; object: a kind, an id, a name, or the id of a person who was forgotten
    /// - index: webhook_audit_log_pkey
    static let auditLogList = Statement(
        name: "AuditLogList",
        sql: #"""
SELECT to_jsonb(l)::text FROM postrider.webhook_audit_log AS l
WHERE l.at >= now() - ($1::jsonb ->> 'since_s')::float8 * interval '1 second'
  AND ($1::jsonb ->> 'object' IS NULL OR $1::jsonb ->> 'object' IN (l.object_kind, l.object_id, l.object_name)
       OR starts_with(l.object_name, ($1::jsonb ->> 'object') || ' ')
       OR l.object_id = encode(sha256(convert_to($1::jsonb ->> 'object', 'UTF8')), 'hex'))
ORDER BY l.id DESC
LIMIT ($1::jsonb ->> 'limit')::bigint
"""#)

    /// `DeniedColumnList`; rows: denied columns, those of every table first
    /// - params: $1 ignored jsonb
    /// - index: none
    static let deniedColumnList = Statement(
        name: "DeniedColumnList",
        sql: #"""
SELECT jsonb_build_object('table_name', coalesce(d.target::text, '*'),
    'column', array_to_string(d.column_name || d.path, '.'), 'created_by', d.created_by, 'created_at', d.created_at)::text
FROM postrider.webhook_denied_columns AS d WHERE $1::jsonb IS NOT NULL
ORDER BY d.target IS NOT NULL, d.target::text, d.column_name, d.path
"""#)

    /// `DeniedColumnAdd`; rows: 1, how many attachments were rebuilt
    /// - params: $1 {"table": text or null for every one, "column", "path": […]} jsonb
    /// - index: none
    static let deniedColumnAdd = Statement(
        name: "DeniedColumnAdd",
        sql: #"""
SELECT jsonb_build_object('rebuilt', postrider.deny_column(($1::jsonb ->> 'table')::regclass, $1::jsonb ->> 'column',
    VARIADIC ARRAY(SELECT jsonb_array_elements_text($1::jsonb -> 'path'))))::text
"""#)

    /// `DeniedColumnRemove`; rows: 1, how many attachments were rebuilt
    /// - params: as DeniedColumnAdd
    /// - index: none
    static let deniedColumnRemove = Statement(
        name: "DeniedColumnRemove",
        sql: #"""
SELECT jsonb_build_object('rebuilt', postrider.allow_column(($1::jsonb ->> 'table')::regclass, $1::jsonb ->> 'column',
    VARIADIC ARRAY(SELECT jsonb_array_elements_text($1::jsonb -> 'path'))))::text
"""#)

    /// `SealedTypeList`; rows: sealed types
    /// - params: $1 ignored jsonb
    /// - index: none
    static let sealedTypeList = Statement(
        name: "SealedTypeList",
        sql: #"""
SELECT jsonb_build_object('pattern', t.pattern, 'sealed_to', postrider.event_id_time(t.sealed_to), 'created_by', t.created_by,
    'created_at', t.created_at)::text
FROM postrider.webhook_sealed_types AS t WHERE $1::jsonb IS NOT NULL ORDER BY t.pattern
"""#)

    /// `SealedTypeAdd`; rows: 1
    /// - params: $1 {"pattern"} jsonb
    /// - index: webhook_sealed_types_pkey
    static let sealedTypeAdd = Statement(
        name: "SealedTypeAdd",
        sql: #"""
SELECT jsonb_build_object('pattern', $1::jsonb ->> 'pattern', 'done', postrider.seal_type($1::jsonb ->> 'pattern') IS NOT NULL)::text
"""#)

    /// `SealedTypeRemove`; rows: 1
    /// - params: $1 {"pattern"} jsonb
    /// - index: webhook_sealed_types_pkey
    static let sealedTypeRemove = Statement(
        name: "SealedTypeRemove",
        sql: #"""
SELECT jsonb_build_object('pattern', $1::jsonb ->> 'pattern', 'done', postrider.unseal_type($1::jsonb ->> 'pattern') IS NOT NULL)::text
"""#)

    /// `PayloadKeyList`; rows: keys that payloads which still exist may be sealed with
    /// - params: $1 ignored jsonb
    /// - index: webhook_event_log_pkey
    static let payloadKeyList = Statement(
        name: "PayloadKeyList",
        sql: #"""
SELECT jsonb_build_object('key', k.key_name, 'payloads', k.payloads, 'first_at', postrider.event_id_time(k.first_id),
    'last_at', postrider.event_id_time(k.last_id))::text
FROM postrider.webhook_payload_keys AS k
WHERE $1::jsonb IS NOT NULL AND EXISTS (SELECT FROM postrider.webhook_event_log AS e WHERE e.id BETWEEN k.first_id AND k.last_id)
ORDER BY k.first_id
"""#)

    /// `DestinationKnown`; rows: 1
    /// - params: $1 {"endpoint": id or name} jsonb
    /// - index: none: destinations are read whole
    /// - Deleted ones count: their deliveries and dead letters are there yet.
    static let destinationKnown = Statement(
        name: "DestinationKnown",
        sql: #"""
SELECT jsonb_build_object('known', EXISTS (
    SELECT FROM postrider.webhook_destinations AS d
    WHERE d.public_id::text = $1::jsonb ->> 'endpoint' OR d.name = $1::jsonb ->> 'endpoint'))::text
"""#)

    /// `OrderList`; rows: ordering keys with work, blocked ones first, then the oldest
    /// - params: $1 {"endpoint", "blocked": bool, "limit"} jsonb
    /// - index: none: keys with work are read whole
    static let orderList = Statement(
        name: "OrderList",
        sql: #"""
SELECT to_jsonb(k)::text FROM postrider.webhook_key_status AS k
WHERE ($1::jsonb ->> 'endpoint' IS NULL OR k.endpoint_id::text = $1::jsonb ->> 'endpoint' OR k.endpoint = $1::jsonb ->> 'endpoint')
  AND (NOT ($1::jsonb ->> 'blocked')::boolean OR k.state = 'blocked')
ORDER BY k.state <> 'blocked', k.headed_at
LIMIT ($1::jsonb ->> 'limit')::bigint
"""#)

    /// `OrderSkip`; rows: 0..1; a name that no destination has, or several, is an error
    /// - params: $1 {"endpoint", "key"} jsonb
    /// - index: webhook_keys_pkey
    static let orderSkip = Statement(
        name: "OrderSkip",
        sql: #"""
SELECT jsonb_build_object('event_id', postrider.skip_key(d.public_id, $1::jsonb ->> 'key'), 'endpoint', d.name)::text
FROM postrider.webhook_destinations AS d
WHERE d.id = (SELECT postrider.replay_destination($1::jsonb ->> 'endpoint'))
"""#)

    /// `SecretExpire`; rows: 1, with the date
    /// - params: $1 {"id": uuid, "expires_in_ms": number} jsonb
    /// - index: webhook_secrets_pkey
    static let secretExpire = Statement(
        name: "SecretExpire",
        sql: #"""
SELECT jsonb_build_object('id', $1::jsonb ->> 'id', 'expires_at', postrider.expire_secret(($1::jsonb ->> 'id')::uuid,
    ($1::jsonb ->> 'expires_in_ms')::float8 * interval '1 millisecond'))::text
"""#)

    /// `SecretExpiryList`; rows: 0..n destinations whose newest secret has a date, the earliest first
    /// - params: $1 ignored jsonb
    /// - index: none: administration reads them all
    static let secretExpiryList = Statement(
        name: "SecretExpiryList",
        sql: #"""
SELECT jsonb_build_object('name', d.name, 'kind', d.kind, 'expires_at', s.at,
    'left_s', extract(epoch FROM s.at - clock_timestamp()))::text
FROM postrider.webhook_destinations AS d, LATERAL (SELECT postrider.secret_expires_at(d.id) AS at) AS s
WHERE d.deleted_at IS NULL AND s.at IS NOT NULL AND $1::jsonb IS NOT NULL
ORDER BY s.at, d.id
"""#)

    /// `ProfileList`; rows: profiles that are rows or are used, by name; built-in ones have no profile
    /// - params: $1 ignored jsonb
    /// - index: none: administration reads them all
    static let profileList = Statement(
        name: "ProfileList",
        sql: #"""
SELECT jsonb_build_object('name', n.name, 'destinations', (
    SELECT count(*) FROM postrider.webhook_destinations AS d WHERE d.profile = n.name AND d.deleted_at IS NULL),
    'profile', (SELECT to_jsonb(p) FROM postrider.webhook_profiles AS p WHERE p.name = n.name))::text
FROM (SELECT p.name FROM postrider.webhook_profiles AS p
      UNION SELECT d.profile FROM postrider.webhook_destinations AS d WHERE d.deleted_at IS NULL) AS n
WHERE $1::jsonb IS NOT NULL
ORDER BY n.name
"""#)

    /// `ProfileCreate`; rows: 1
    /// - params: $1 all columns but the times jsonb
    /// - index: none
    static let profileCreate = Statement(
        name: "ProfileCreate",
        sql: #"""
INSERT INTO postrider.webhook_profiles (name, purpose, content_type, user_agent, envelope, headers, signs, encoding,
    prefix, ed25519_prefix, separator, secret_form)
SELECT p.* FROM jsonb_to_record($1::jsonb) AS p (name text, purpose text, content_type text, user_agent text,
    envelope text, headers text[], signs text, encoding text, prefix text, ed25519_prefix text, separator text,
    secret_form text)
RETURNING jsonb_build_object('name', name)::text
"""#)

    /// `ProfileUpdate`; rows: 0..1
    /// - params: $1 all columns but the times jsonb
    /// - index: webhook_profiles_pkey
    static let profileUpdate = Statement(
        name: "ProfileUpdate",
        sql: #"""
UPDATE postrider.webhook_profiles AS o
SET purpose = p.purpose, content_type = p.content_type, user_agent = p.user_agent, envelope = p.envelope,
    headers = p.headers, signs = p.signs, encoding = p.encoding, prefix = p.prefix, ed25519_prefix = p.ed25519_prefix,
    separator = p.separator, secret_form = p.secret_form
FROM jsonb_to_record($1::jsonb) AS p (name text, purpose text, content_type text, user_agent text, envelope text,
    headers text[], signs text, encoding text, prefix text, ed25519_prefix text, separator text, secret_form text)
WHERE o.name = p.name
RETURNING jsonb_build_object('name', o.name)::text
"""#)

    /// `ProfileDelete`; rows: 0..1
    /// - params: $1 {"name"} jsonb
    /// - index: webhook_profiles_pkey
    static let profileDelete = Statement(
        name: "ProfileDelete",
        sql: #"""
DELETE FROM postrider.webhook_profiles WHERE name = $1::jsonb ->> 'name' RETURNING jsonb_build_object('name', name)::text
"""#)

    /// `SettingSet`; rows: 1
    /// - params: $1 {"name", "organization_id", "is_shared", "value"} jsonb
    /// - index: webhook_settings_name_key
    /// - The value is taken from the parameter in both places: what an administrator may not read back cannot be taken from the row.
    static let settingSet = Statement(
        name: "SettingSet",
        sql: #"""
INSERT INTO postrider.webhook_settings AS s (organization_id, name, is_shared, value)
SELECT p.organization_id, p.name, coalesce(p.is_shared, false), p.value
FROM jsonb_to_record($1::jsonb) AS p (organization_id text, name text, is_shared boolean, value text)
ON CONFLICT (organization_id, name) DO UPDATE
SET value = $1::jsonb ->> 'value', is_shared = coalesce(($1::jsonb ->> 'is_shared')::boolean, s.is_shared),
    updated_at = clock_timestamp()
RETURNING jsonb_build_object('name', name, 'organization_id', organization_id, 'is_shared', is_shared)::text
"""#)

    /// `SettingList`; rows: settings by name, without their values
    /// - params: $1 ignored jsonb
    /// - index: none: reads them all
    static let settingList = Statement(
        name: "SettingList",
        sql: #"""
SELECT jsonb_build_object('name', name, 'organization_id', organization_id, 'is_shared', is_shared,
    'created_at', created_at, 'updated_at', updated_at)::text
FROM postrider.webhook_settings WHERE $1::jsonb IS NOT NULL ORDER BY name, organization_id NULLS FIRST
"""#)

    /// `SettingRemove`; rows: 0..1
    /// - params: $1 {"name", "organization_id"} jsonb
    /// - index: webhook_settings_name_key
    static let settingRemove = Statement(
        name: "SettingRemove",
        sql: #"""
DELETE FROM postrider.webhook_settings
WHERE name = $1::jsonb ->> 'name' AND organization_id IS NOT DISTINCT FROM $1::jsonb ->> 'organization_id'
RETURNING jsonb_build_object('name', name, 'organization_id', organization_id)::text
"""#)

    /// `SettlementBegin`; rows: 1; raises WH001 when the settlement is recorded already
    /// - params: $1 worker bigint, $2 number bigint, higher than that of the worker's settlements before, then one of its
    ///   attempts, all null when it holds none: $3 event uuid, $4 destination int, $5 attempt number smallint,
    ///   $6 duration in µs int
    /// - index: none of its own: the function probes the attempts by event and destination, or the settlements by worker
    static let settlementBegin = Statement(
        name: "SettlementBegin",
        sql: #"""
SELECT postrider.begin_settlement($1, $2, $3::uuid, $4::integer, $5::smallint, $6::integer)
"""#)

    /// `SettlementKeep`; rows: 1
    /// - params: none
    /// - index: none
    /// - For this transaction alone the commit waits for the disk: a crash of Postgres must not take what is not told again.
    static let settlementKeep = Statement(
        name: "SettlementKeep",
        sql: #"""
SELECT set_config('synchronous_commit', 'on', true)
"""#)

    /// `AttemptRecordDelivered`; rows: none
    /// - params: $1 worker bigint, then one element for each attempt: $2 events uuid[], $3 destinations int[],
    ///   $4 attempt numbers smallint[], $5 statuses smallint[], $6 durations in µs int[], $7 ages in µs int[],
    ///   $8 response bodies text[] with nulls
    /// - index: webhook_workers_pkey, once for all of them
    /// - Not fenced: the receiver did get the request, whoever holds the claim now. But of a worker that is dead nobody waits to hear what
    /// - was answered: the person of the event may have been erased meanwhile. Who dies while this runs is waited for by erasures.
    static let attemptRecordDelivered = Statement(
        name: "AttemptRecordDelivered",
        sql: #"""
INSERT INTO postrider.webhook_attempts (event_id, attempted_at, worker_id, destination_id, duration_us, attempt_number,
                                        outcome, status_code, response_body)
SELECT f.event_id, clock_timestamp() - f.age * interval '1 microsecond', $1, f.destination_id, f.duration, f.number,
       0, f.status, CASE WHEN (SELECT w.alive FROM postrider.webhook_workers AS w WHERE w.id = $1) THEN f.body END
FROM unnest($2::uuid[], $3::integer[], $4::smallint[], $5::smallint[], $6::integer[], $7::integer[], $8::text[])
    AS f (event_id, destination_id, number, status, duration, age, body)
"""#)

    /// `AttemptRecordFailed`; rows: one: how many were recorded, how many retries and dead letters they made
    /// - params: $1 worker bigint, then one element for each attempt: $2 events uuid[], $3 destinations int[],
    ///   $4 attempt numbers smallint[], $5 statuses smallint[] with nulls, $6 durations in µs int[],
    ///   $7 ages in µs int[], $8 response bodies text[] with nulls, $9 failures text[], $10 error messages text[],
    ///   $11 waits in ms bigint[]: null for a dead letter, -1 to park, -2 for nothing more, $12 claims bigint[],
    ///   $13 budgets smallint[] with nulls: a dead letter is none while fewer attempts than that counted,
    ///   $14 then its waits in ms bigint[] with nulls
    /// - index: webhook_claims_pkey
    /// - For a dead letter with a budget a function probes the attempts by event and destination, once.
    static let attemptRecordFailed = Statement(
        name: "AttemptRecordFailed",
        sql: #"""
WITH held AS MATERIALIZED (
    -- The fence: only claims that are still this worker's, locked until the commit, may change a delivery's state.
    SELECT id FROM postrider.webhook_claims WHERE id = ANY ($12) AND worker_id = $1 ORDER BY id FOR UPDATE
), facts AS MATERIALIZED (
    SELECT f.*, n.wait, held.id IS NOT NULL AS is_held,
           CASE WHEN n.wait = -1 THEN 'infinity' WHEN n.wait >= 0 THEN clock_timestamp() + n.wait * interval '1 millisecond'
           END AS due_at
    FROM unnest($2::uuid[], $3::integer[], $4::smallint[], $5::smallint[], $6::integer[], $7::integer[], $8::text[],
                $9::text[], $10::text[], $11::bigint[], $12::bigint[], $13::smallint[], $14::bigint[])
        AS f (event_id, destination_id, number, status, duration, age, body, failure, message, planned, claim_id, budget, grace)
    LEFT JOIN held ON held.id = f.claim_id,
    LATERAL (SELECT CASE WHEN f.planned IS NULL AND f.number >= f.budget
                              AND f.number - postrider.uncounted_attempts(f.event_id, f.destination_id) < f.budget
                         THEN f.grace ELSE f.planned END AS wait OFFSET 0) AS n
), attempt AS (
    INSERT INTO postrider.webhook_attempts (event_id, attempted_at, worker_id, destination_id, duration_us,
                                            attempt_number, outcome, status_code, failure, error_message,
                                            response_body, next_retry_at)
    SELECT event_id, clock_timestamp() - age * interval '1 microsecond', $1, destination_id, duration, number,
           CASE WHEN NOT is_held THEN 3 WHEN wait = -2 THEN 4 WHEN wait IS NULL THEN 2 ELSE 1 END, status, failure,
           -- What was answered may name a person who was erased since the claim was lost.
           CASE WHEN is_held THEN message ELSE 'told by a worker that had lost its claim' END, CASE WHEN is_held THEN body END,
           CASE WHEN is_held THEN due_at END
    FROM facts
    RETURNING 1
), retry AS (
    INSERT INTO postrider.webhook_retries (event_id, due_at, destination_id, attempt_number)
    SELECT event_id, due_at, destination_id, number + 1 FROM facts WHERE is_held AND wait >= -1
    ON CONFLICT (event_id, destination_id) DO NOTHING
    RETURNING 1
), letter AS (
    INSERT INTO postrider.webhook_dead_letters (event_id, destination_id, attempts, failure, error_message,
                                                is_critical, replays, archived_at)
    -- ON CONFLICT cannot change one row twice in a statement, so a pair that stands here twice counts once.
    SELECT d.event_id, d.destination_id, d.number, d.failure, d.message, m.is_critical, m.replays, m.archived_at
    FROM (SELECT DISTINCT ON (event_id, destination_id) event_id, destination_id, number, failure, message
          FROM facts WHERE is_held AND wait IS NULL ORDER BY event_id, destination_id, number DESC) AS d,
         LATERAL postrider.dead_letter_marks(d.event_id, d.destination_id) AS m
    ON CONFLICT (event_id, destination_id) DO UPDATE
        SET dead_at = excluded.dead_at, attempts = excluded.attempts, failure = excluded.failure,
            error_message = excluded.error_message, is_critical = excluded.is_critical, replays = excluded.replays,
            archived_at = excluded.archived_at
    RETURNING 1
)
SELECT (SELECT count(*) FROM attempt), (SELECT count(*) FROM retry), (SELECT count(*) FROM letter)
"""#)

    /// `DeliverySnooze`; rows: none
    /// - params: $1 worker bigint, then one element for each delivery: $2 events uuid[], $3 destinations int[],
    ///   $4 attempt numbers smallint[], $5 waits in ms bigint[] (-1 to park), $6 claims bigint[], $7 whether each is a
    ///   replay boolean[]
    /// - index: webhook_claims_pkey
    /// - Puts deliveries back that were not attempted: their attempt number stays, and replays stay behind first attempts.
    static let deliverySnooze = Statement(
        name: "DeliverySnooze",
        sql: #"""
WITH held AS MATERIALIZED (
    SELECT id FROM postrider.webhook_claims WHERE id = ANY ($6) AND worker_id = $1 ORDER BY id FOR UPDATE
)
INSERT INTO postrider.webhook_retries (event_id, due_at, destination_id, attempt_number, is_replay)
SELECT f.event_id,
       CASE f.wait WHEN -1 THEN 'infinity' ELSE clock_timestamp() + f.wait * interval '1 millisecond' END,
       f.destination_id, f.number, f.is_replay
FROM unnest($2::uuid[], $3::integer[], $4::smallint[], $5::bigint[], $6::bigint[], $7::boolean[])
    AS f (event_id, destination_id, number, wait, claim_id, is_replay)
JOIN held ON held.id = f.claim_id
ON CONFLICT (event_id, destination_id) DO NOTHING
"""#)

    /// `TallyAdd`; rows: none
    /// - params: one element for each destination: $1 destinations int[], $2 succeeded bigint[], $3 failed bigint[]
    /// - index: none: append only
    static let tallyAdd = Statement(
        name: "TallyAdd",
        sql: #"""
INSERT INTO postrider.webhook_tallies (destination_id, succeeded, failed)
SELECT * FROM unnest($1::integer[], $2::bigint[], $3::bigint[])
"""#)

    /// `TallyFold`; rows: 1: how many rows were folded into one for each destination
    /// - params: $1 how many rows to fold at most int
    /// - index: none: reads what was added since the last time
    static let tallyFold = Statement(
        name: "TallyFold",
        sql: #"""
WITH many AS MATERIALIZED (
    -- A row that stands alone is what folding makes: with many destinations a fold would do nothing else.
    SELECT destination_id FROM postrider.webhook_tallies GROUP BY destination_id HAVING count(*) > 1
), folded AS (
    DELETE FROM postrider.webhook_tallies
    WHERE ctid = ANY (ARRAY(SELECT t.ctid FROM postrider.webhook_tallies AS t
                            WHERE t.destination_id IN (SELECT m.destination_id FROM many AS m) LIMIT $1 FOR UPDATE SKIP LOCKED))
    RETURNING destination_id, succeeded, failed
), made AS (
    INSERT INTO postrider.webhook_tallies (destination_id, succeeded, failed)
    SELECT destination_id, sum(succeeded), sum(failed) FROM folded GROUP BY destination_id
)
SELECT count(*) FROM folded
"""#)

    /// `BreakerReport`; rows: one for each destination that is there at its URL: whether it is told of, whether it has failed for
    ///   as long as it may
    /// - params: one element for each destination: $1 destinations int[], $2 whether the breaker opens boolean[],
    ///   $3 pauses asked for in ms bigint[] (0 for none), $4 for how long it has failed in ms bigint[], $5 failures text[],
    ///   $6 the URLs that failed text[]
    /// - index: webhook_breakers_pkey, webhook_destinations_pkey
    static let breakerReport = Statement(
        name: "BreakerReport",
        sql: #"""
WITH said AS MATERIALIZED (
    SELECT f.id, f.opens, f.pause, f.failing, f.failure, f.url
    FROM unnest($1::integer[], $2::boolean[], $3::bigint[], $4::bigint[], $5::text[], $6::text[])
        AS f (id, opens, pause, failing, failure, url)
), there AS MATERIALIZED (
    -- A row that was deleted meanwhile has no breaker, and what failed at another URL says nothing of this one. A row that
    -- somebody changes or has locked is left for later: it may have another URL then, and to wait would hold up all others.
    -- Of one that is marked as deleted nobody would ever take the row away.
    SELECT d.id FROM said
    JOIN postrider.webhook_destinations AS d ON d.id = said.id AND d.url = said.url AND d.deleted_at IS NULL
    FOR SHARE OF d SKIP LOCKED
), known AS MATERIALIZED (
    SELECT b.destination_id AS id FROM there JOIN postrider.webhook_breakers AS b ON b.destination_id = there.id
    FOR UPDATE OF b SKIP LOCKED
), told AS (
    INSERT INTO postrider.webhook_breakers AS b (destination_id, failing_since, trips, open_until, failure)
    SELECT f.id, clock_timestamp() - f.failing * interval '1 millisecond', CASE WHEN f.opens THEN 1 ELSE 0 END,
           CASE WHEN f.opens THEN clock_timestamp() + greatest(postrider.breaker_wait(1), f.pause * interval '1 millisecond')
                WHEN f.pause > 0 THEN clock_timestamp() + f.pause * interval '1 millisecond'
                ELSE '-infinity' END,
           f.failure
    FROM said AS f JOIN there ON there.id = f.id
    WHERE EXISTS (SELECT FROM known WHERE known.id = f.id)
       OR NOT EXISTS (SELECT FROM postrider.webhook_breakers AS o WHERE o.destination_id = f.id)
    -- In order, so that two workers seldom wait for each other: for rows that are new to both.
    ORDER BY f.id
    ON CONFLICT (destination_id) DO UPDATE SET
        failing_since = least(b.failing_since, excluded.failing_since),
        -- Of several workers that see it fail at once one opens it; the others find it open.
        -- No pause is longer than a day: what is further ahead was set by a clock that has gone back since, and is over.
        trips = CASE WHEN excluded.trips > 0 AND b.open_until NOT BETWEEN clock_timestamp() AND clock_timestamp() + interval '25 hours'
                     THEN b.trips + 1 ELSE greatest(b.trips, excluded.trips) END,
        open_until = CASE WHEN b.open_until BETWEEN clock_timestamp() AND clock_timestamp() + interval '25 hours'
                          THEN greatest(b.open_until, excluded.open_until)
                          WHEN excluded.trips > 0
                          THEN greatest(excluded.open_until, clock_timestamp() + postrider.breaker_wait(b.trips + 1))
                          ELSE excluded.open_until END,
        failure = excluded.failure,
        -- A pause that another delivery was asked for does not end the probe of a worker.
        probe_worker_id = CASE WHEN excluded.trips = 0 THEN b.probe_worker_id END,
        probe_until = CASE WHEN excluded.trips = 0 THEN b.probe_until END
    RETURNING destination_id, failing_since
)
SELECT d.id, told.destination_id IS NOT NULL,
       coalesce(d.is_active AND d.disable_after_s > 0
                    AND told.failing_since < clock_timestamp() - d.disable_after_s * interval '1 second', false)
FROM said JOIN postrider.webhook_destinations AS d ON d.id = said.id AND d.url = said.url AND d.deleted_at IS NULL
LEFT JOIN told ON told.destination_id = d.id
"""#)

    /// `BreakerDisable`; rows: one for each destination that was made inactive
    /// - params: $1 destinations int[] that have failed for as long as they may
    /// - index: webhook_destinations_pkey, webhook_breakers_pkey
    /// - A statement of its own, which gives up soon (55P03): whoever changes any destination holds the version of all until the commit.
    static let breakerDisable = Statement(
        name: "BreakerDisable",
        sql: #"""
UPDATE postrider.webhook_destinations AS d
SET is_active = false, updated_at = clock_timestamp(),
    inactive_reason = 'nothing but failure since '
        || to_char(b.failing_since AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') || ' UTC'
FROM postrider.webhook_breakers AS b, (SELECT set_config('postrider.actor', 'worker', true), set_config('lock_timeout', '200ms', true)) AS said
WHERE d.id = ANY ($1) AND b.destination_id = d.id AND d.is_active AND d.disable_after_s > 0
  AND b.failing_since < clock_timestamp() - d.disable_after_s * interval '1 second'
RETURNING d.id
"""#)

    /// `BreakerClose`; rows: those of which somebody holds the row: nobody waits for them, and they are to be told again
    /// - params: $1 destinations int[]
    /// - index: webhook_breakers_pkey
    static let breakerClose = Statement(
        name: "BreakerClose",
        sql: #"""
WITH free AS MATERIALIZED (
    SELECT b.destination_id AS id FROM postrider.webhook_breakers AS b WHERE b.destination_id = ANY ($1::integer[])
    FOR UPDATE OF b SKIP LOCKED
), gone AS (
    DELETE FROM postrider.webhook_breakers AS b USING free WHERE b.destination_id = free.id RETURNING b.destination_id AS id
)
SELECT b.destination_id FROM postrider.webhook_breakers AS b
WHERE b.destination_id = ANY ($1::integer[]) AND NOT EXISTS (SELECT FROM gone WHERE gone.id = b.destination_id)
"""#)

    /// `BreakerLook`; rows: all breakers: how long each is closed to deliveries, its trips, whether this worker may probe it from
    ///   now on, whether it was told so before and still may
    /// - params: $1 worker bigint; $2 destinations int[] to which it cannot send, null when it can send to none
    /// - index: webhook_retries_due_idx; breakers are few: read whole
    static let breakerLook = Statement(
        name: "BreakerLook",
        sql: #"""
WITH chosen AS MATERIALIZED (
    -- An inactive destination is not chosen: fifty of them would leave no place to those behind.
    SELECT b.destination_id, b.probe_until FROM postrider.webhook_breakers AS b
    JOIN postrider.webhook_destinations AS d ON d.id = b.destination_id AND d.is_active
    WHERE b.trips > 0 AND b.open_until NOT BETWEEN clock_timestamp() AND clock_timestamp() + interval '25 hours'
      AND b.destination_id <> ALL ($2::integer[])
      -- A probe that never came back, or whose worker died, leaves the place to another.
      AND (b.probe_until IS NULL OR b.probe_until < clock_timestamp()
           OR NOT EXISTS (SELECT FROM postrider.webhook_workers AS w WHERE w.id = b.probe_worker_id AND w.alive))
      -- One probe of the index for each; as EXISTS it may become a join that reads every retry of a dead destination.
      AND (SELECT true FROM postrider.webhook_retries AS r
           WHERE r.destination_id = b.destination_id AND r.due_at <= statement_timestamp() LIMIT 1)
    ORDER BY b.destination_id LIMIT 50 FOR UPDATE OF b SKIP LOCKED
), probe AS (
    UPDATE postrider.webhook_breakers AS b
    SET probe_worker_id = $1, probe_until = clock_timestamp() + d.timeout_ms * interval '1 millisecond' + interval '5 seconds'
    FROM chosen, postrider.webhook_destinations AS d
    WHERE b.destination_id = chosen.destination_id AND d.id = b.destination_id AND d.is_active
    RETURNING b.destination_id
)
SELECT b.destination_id,
       greatest(0, CASE WHEN b.open_until BETWEEN clock_timestamp() AND clock_timestamp() + interval '25 hours'
                        THEN ceil(extract(epoch FROM b.open_until - clock_timestamp()) * 1000) ELSE 0 END)::bigint,
       b.trips, probe.destination_id IS NOT NULL, coalesce(b.probe_worker_id = $1 AND b.probe_until > clock_timestamp(), false)
FROM postrider.webhook_breakers AS b LEFT JOIN probe ON probe.destination_id = b.destination_id
"""#)

    /// `EventClaim`; rows: one for each event of at most one new claim that was read, then one for each that was not, with its id
    ///   alone (e.created_at is null); in no order within the two. Events that are gone have no row; a claim of nothing else
    ///   has one without an id. None when nothing waits
    /// - params: $1 worker bigint, $2 events wanted int, $3 queue rows looked at int, then one element for each priority, in the
    ///   order in which they are served: $4 ids from which on to look uuid[], $5 priorities smallint[]; then the first and
    ///   the last id of which to read the event: $6 uuid, $7 uuid
    /// - index: webhook_queue_pkey, webhook_event_log_pkey, webhook_workers_pkey; the plan is checked in ClaimPlanTests
    static let eventClaim = Statement(
        name: "EventClaim",
        sql: #"""
WITH picked AS MATERIALIZED (
    -- One range of the index after the other, so that dead rows in front of it are not read; see LowWater.
    SELECT waiting.* FROM unnest($4::uuid[], $5::smallint[]) AS low (id, priority), LATERAL (
        SELECT ctid AS tid, 1 + coalesce(cardinality(more), 0) AS events
        FROM postrider.webhook_queue
        WHERE webhook_queue.priority = low.priority AND webhook_queue.id >= low.id
        ORDER BY id
        LIMIT $3
        FOR UPDATE SKIP LOCKED
    ) AS waiting
    -- A worker that was paused past its lease claims before it hears of its death: what it took would lie until a sweep.
    WHERE EXISTS (SELECT FROM postrider.webhook_workers WHERE webhook_workers.id = $1 AND alive)
    LIMIT $3
), taken AS (
    -- The row lock and the DELETE are one statement on one row version, so the ctid cannot have moved. A row may hold 64
    -- events: stop at the row that reaches the wanted number, as they were picked. The commit unlocks the others.
    DELETE FROM postrider.webhook_queue WHERE ctid = ANY (ARRAY(
        SELECT tid FROM (SELECT tid, sum(events) OVER (ROWS UNBOUNDED PRECEDING) - events AS before FROM picked) AS counted
        WHERE before < $2))
    RETURNING id, more
), claim AS (
    INSERT INTO postrider.webhook_claims (worker_id, event_ids)
    SELECT $1, array_agg(e ORDER BY e)
    -- A function in FROM costs a tenth of a claim where each row has one event.
    FROM (SELECT id FROM taken
          UNION ALL
          SELECT u.e FROM taken AS t, LATERAL unnest(t.more) AS u (e) WHERE t.more IS NOT NULL) AS f (e)
    HAVING count(*) > 0
    RETURNING id, event_ids
)
SELECT claim.id, e.id, e.created_at, e.priority, e.event_type, e.organization_id, e.user_id, e.record_id,
       e.ordering_key, postrider.claimed_payload(e.data)
FROM claim
     -- One scan with all ids; a probe for each would look for its partition each time. OFFSET 0 forbids a join, whose plan, kept
     -- from when the log was empty and analyzed, hashed the log: 200,000 rows read for each claim (measured). Only the weeks between
     -- the two ids are opened at all: opening costs 1.7 µs each, for each claim (measured).
     LEFT JOIN LATERAL (
         SELECT * FROM postrider.webhook_event_log AS l
         WHERE l.id = ANY (claim.event_ids) AND l.id BETWEEN $6 AND $7
           AND l.id BETWEEN claim.event_ids[1] AND claim.event_ids[cardinality(claim.event_ids)] OFFSET 0
     ) AS e ON true
UNION ALL
SELECT claim.id, u.id, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
FROM claim, LATERAL unnest(claim.event_ids) AS u (id) WHERE u.id NOT BETWEEN $6 AND $7
"""#)

    /// `OrderLock`; rows: 1
    /// - params: none
    /// - index: none
    /// - First in every transaction that puts events of ordering keys in line or ends their turn, for as long as it lasts.
    static let orderLock = Statement(
        name: "OrderLock",
        sql: #"""
SELECT pg_advisory_xact_lock(7746, 1)
"""#)

    /// `OrderEnroll`; rows: one for each delivery that must wait behind an earlier event of its key
    /// - params: $1 worker bigint
    /// - index: webhook_destinations_ordered_idx, webhook_event_log_pkey
    /// - Directly behind EventClaim, under OrderLock: what was claimed is put in line in the order of ids. Who is first of its
    /// - key is not among the rows and is sent with the claim.
    static let orderEnroll = Statement(
        name: "OrderEnroll",
        sql: #"""
WITH made AS MATERIALIZED (
    -- The claim of this very transaction; a claim of retries has destinations.
    SELECT u.id FROM postrider.webhook_claims AS c, LATERAL unnest(c.event_ids) AS u (id)
    WHERE c.worker_id = $1 AND c.destination_ids IS NULL AND c.xmin = pg_current_xact_id()::xid
), wanted AS MATERIALIZED (
    SELECT d.id AS destination_id, e.ordering_key, e.id AS event_id,
           row_number() OVER (PARTITION BY d.id, e.ordering_key ORDER BY e.id) AS place
    FROM made,
         LATERAL (SELECT l.id, l.event_type, l.organization_id, l.user_id, postrider.order_key(l.ordering_key) AS ordering_key
                  FROM postrider.webhook_event_log AS l WHERE l.id = made.id OFFSET 0) AS e,
         postrider.webhook_destinations AS d
    WHERE e.ordering_key IS NOT NULL AND d.options @> '{"order": true}' AND d.deleted_at IS NULL
      AND (d.organization_id IS NULL OR d.organization_id = e.organization_id)
      AND (d.user_id IS NULL OR d.user_id = e.user_id)
      AND postrider.matches(d.event_types, e.event_type)
), headed AS (
    INSERT INTO postrider.webhook_keys (destination_id, ordering_key, head)
    SELECT destination_id, ordering_key, event_id FROM wanted WHERE place = 1
    ON CONFLICT (destination_id, ordering_key) DO NOTHING
    RETURNING destination_id, head
), waiting AS (
    INSERT INTO postrider.webhook_retries (event_id, due_at, destination_id, attempt_number, ordering_key)
    SELECT w.event_id, 'infinity', w.destination_id, 1, w.ordering_key FROM wanted AS w
    WHERE (w.destination_id, w.event_id) NOT IN (SELECT h.destination_id, h.head FROM headed AS h)
    ON CONFLICT (event_id, destination_id) DO NOTHING
    RETURNING event_id, destination_id
)
SELECT event_id, destination_id FROM waiting
"""#)

    /// `OrderRelease`; rows: 1: how many deliveries are due now
    /// - params: one element for each delivery whose turn ends: $1 destinations int[], $2 ordering keys text[], $3 events uuid[]
    /// - index: none of its own: the function probes the keys, and their lines by key and event
    static let orderRelease = Statement(
        name: "OrderRelease",
        sql: #"""
SELECT postrider.release_keys($1::integer[], $2::text[], $3::uuid[])
"""#)

    /// `RateTake`; rows: one for each destination: how many requests may be sent now, milliseconds until the next may
    /// - params: one element for each destination, ascending: $1 destinations int[], $2 wanted int[], $3 requests a second
    ///   float8[], $4 burst float8[]
    /// - index: none: inserts by the key
    /// - A token bucket by the database's clock; who comes second waits for the row and sees what is left. Nothing is refilled
    /// - before the clock reaches the last time again, unless it went back by more than a minute: then from now on.
    static let rateTake = Statement(
        name: "RateTake",
        sql: #"""
INSERT INTO postrider.webhook_rates AS r (destination_id, wanted, per_second, burst, refilled_at, granted, tokens)
SELECT f.id, f.wanted, f.per_second, f.burst, statement_timestamp(), least(f.wanted, floor(f.burst)),
       f.burst - least(f.wanted, floor(f.burst))
FROM unnest($1::integer[], $2::integer[], $3::float8[], $4::float8[]) AS f (id, wanted, per_second, burst)
ON CONFLICT (destination_id) DO UPDATE
    SET wanted = excluded.wanted, per_second = excluded.per_second, burst = excluded.burst,
        refilled_at = CASE WHEN r.refilled_at > excluded.refilled_at + interval '1 minute' THEN excluded.refilled_at
                           ELSE greatest(r.refilled_at, excluded.refilled_at) END,
        granted = least(excluded.wanted, floor(least(excluded.burst, r.tokens + excluded.per_second
            * greatest(0, extract(epoch FROM excluded.refilled_at - r.refilled_at)::float8)))),
        tokens = least(excluded.burst, r.tokens + excluded.per_second
                * greatest(0, extract(epoch FROM excluded.refilled_at - r.refilled_at)::float8))
            - least(excluded.wanted, floor(least(excluded.burst, r.tokens + excluded.per_second
                * greatest(0, extract(epoch FROM excluded.refilled_at - r.refilled_at)::float8))))
RETURNING destination_id, granted, ceil(greatest(0, 1 - tokens) / per_second * 1000)::bigint
"""#)

    /// `EventPayload`; rows: 0..1: the payload as text, null for a larger one
    /// - params: $1 event uuid, $2 most bytes as jsonb, uncompressed int
    /// - index: webhook_event_log_pkey
    /// - What is too large is not even printed: that takes as long as it is large, and fails behind 1 GB. An array takes a value as it
    /// - is without being compressed.
    static let eventPayload = Statement(
        name: "EventPayload",
        sql: #"""
SELECT CASE WHEN pg_column_size(data) <= $2 AND (pg_column_compression(data) IS NULL OR pg_column_size(ARRAY[data]) <= $2)
            THEN data::text END
FROM postrider.webhook_event_log WHERE id = $1
"""#)

    /// `RetryPeek`; rows: one for each destination that has retries, with the milliseconds until its first is due
    /// - params: none
    /// - index: webhook_retries_due_idx, read by jumping from one destination to the next
    static let retryPeek = Statement(
        name: "RetryPeek",
        sql: #"""
WITH RECURSIVE first AS (
    (SELECT destination_id, due_at FROM postrider.webhook_retries ORDER BY destination_id, due_at LIMIT 1)
    UNION ALL
    SELECT next.destination_id, next.due_at
    FROM first, LATERAL (
        SELECT destination_id, due_at FROM postrider.webhook_retries
        WHERE destination_id > first.destination_id ORDER BY destination_id, due_at LIMIT 1
    ) AS next
)
-- How long ago -infinity was, as which somebody may write that it is due, is an error before Postgres 17.
SELECT destination_id,
       greatest(0, ceil(extract(epoch FROM greatest(due_at, clock_timestamp()) - clock_timestamp()) * 1000))::bigint
FROM first WHERE due_at <> 'infinity'
"""#)

    /// `RetryClaim`; rows: one for each due retry of the destinations named, of at most one new claim; oldest due first
    /// - params: $1 worker bigint, $2 destinations int[], $3 how many of each int[], then as for EventClaim the first and the last
    ///   id of which to read the event: $4 uuid, $5 uuid
    /// - index: webhook_retries_due_idx, webhook_event_log_pkey, webhook_workers_pkey; the plan is checked in ClaimPlanTests
    static let retryClaim = Statement(
        name: "RetryClaim",
        sql: #"""
WITH picked AS MATERIALIZED (
    -- Each destination has its own range of the index, so a million retries of a dead one cost the others nothing.
    SELECT due.tid FROM unnest($2::integer[], $3::integer[]) AS d (id, most), LATERAL (
        SELECT ctid AS tid FROM postrider.webhook_retries
        -- A stable time is a condition of the index; clock_timestamp() would read on through what is not due yet.
        WHERE destination_id = d.id AND due_at <= statement_timestamp()
        ORDER BY due_at
        LIMIT d.most
        FOR UPDATE SKIP LOCKED
    ) AS due
    WHERE EXISTS (SELECT FROM postrider.webhook_workers AS w WHERE w.id = $1 AND w.alive)
), taken AS (
    DELETE FROM postrider.webhook_retries WHERE ctid = ANY (ARRAY(SELECT tid FROM picked))
    RETURNING event_id, destination_id, attempt_number, due_at, is_replay
), claim AS (
    INSERT INTO postrider.webhook_claims (worker_id, event_ids, destination_ids, attempt_numbers, are_replays)
    SELECT $1, array_agg(event_id ORDER BY due_at, event_id), array_agg(destination_id ORDER BY due_at, event_id),
           array_agg(attempt_number ORDER BY due_at, event_id), array_agg(is_replay ORDER BY due_at, event_id)
    FROM taken
    HAVING count(*) > 0
    RETURNING id, event_ids, destination_ids, attempt_numbers, are_replays
)
SELECT claim.id, u.id, e.created_at, e.priority, e.event_type, e.organization_id, e.user_id, e.record_id,
       e.ordering_key, postrider.claimed_payload(e.data),
       u.destination_id, u.attempt_number, u.is_replay
FROM claim,
     LATERAL unnest(claim.event_ids, claim.destination_ids, claim.attempt_numbers, claim.are_replays)
         WITH ORDINALITY AS u (id, destination_id, attempt_number, is_replay, place)
     LEFT JOIN LATERAL (
         SELECT * FROM postrider.webhook_event_log AS l WHERE l.id = u.id AND l.id BETWEEN $4 AND $5 OFFSET 0
     ) AS e ON true
ORDER BY u.place
"""#)

    /// `ClaimFinish`; rows: the claims that were still this worker's
    /// - params: $1 worker bigint, $2 claims bigint[]
    /// - index: webhook_claims_pkey
    static let claimFinish = Statement(
        name: "ClaimFinish",
        sql: #"""
DELETE FROM postrider.webhook_claims WHERE id = ANY ($2) AND worker_id = $1 RETURNING id
"""#)

    /// `ClaimShrink`; rows: none
    /// - params: $1 worker bigint, then one element for each delivery that is left: $2 claims bigint[], $3 events uuid[],
    ///   $4 destinations int[], $5 attempt numbers smallint[], $6 whether each is a replay boolean[]
    /// - index: webhook_claims_pkey
    /// - Most of the batch is recorded and a few deliveries take long: the claim is cut down to these.
    static let claimShrink = Statement(
        name: "ClaimShrink",
        sql: #"""
UPDATE postrider.webhook_claims AS c
SET event_ids = rest.events, destination_ids = rest.destinations, attempt_numbers = rest.numbers,
    are_replays = rest.replays
FROM (SELECT f.claim_id, array_agg(f.event_id ORDER BY f.place) AS events,
             array_agg(f.destination_id ORDER BY f.place) AS destinations,
             array_agg(f.number ORDER BY f.place) AS numbers, array_agg(f.is_replay ORDER BY f.place) AS replays
      -- While the server was away a claim may have been cut down more than once.
      FROM (SELECT DISTINCT ON (u.claim_id, u.event_id, u.destination_id) u.*
            FROM unnest($2::bigint[], $3::uuid[], $4::integer[], $5::smallint[], $6::boolean[]) WITH ORDINALITY
                 AS u (claim_id, event_id, destination_id, number, is_replay, place)
            ORDER BY u.claim_id, u.event_id, u.destination_id, u.place) AS f
      GROUP BY f.claim_id) AS rest
WHERE c.id = rest.claim_id AND c.id = ANY ($2) AND c.worker_id = $1
"""#)

    /// `ClaimTakeOver`; rows: 0..$4 claims that are this worker's now
    /// - params: $1 worker bigint, $2 dead worker bigint, $3 epoch it was seen with int, $4 most int
    /// - index: webhook_workers_pkey; claims are few, one for each batch in flight
    static let claimTakeOver = Statement(
        name: "ClaimTakeOver",
        sql: #"""
WITH dead AS (
    -- The guard is evaluated again here, under the row lock: of two rescuers, and of a rescuer and a heartbeat, one wins.
    UPDATE postrider.webhook_workers SET alive = false, epoch = epoch + 1
    WHERE id = $2 AND epoch = $3 AND alive
      AND (lease_until < clock_timestamp()
           OR has_lock AND heartbeat_at < clock_timestamp() - interval '300 milliseconds'
              AND NOT EXISTS (SELECT FROM pg_catalog.pg_locks
                              WHERE locktype = 'advisory' AND classid = 7742 AND objid = ($2 & 2147483647)::oid
                                AND objsubid = 2 AND granted
                                AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())))
    RETURNING id
), grabbed AS MATERIALIZED (
    -- What two workers died of is taken more carefully, by ClaimSuspect.
    SELECT c.id FROM postrider.webhook_claims AS c WHERE c.worker_id IN (SELECT id FROM dead) AND c.rescues < 2
    ORDER BY c.id LIMIT $4 FOR UPDATE OF c SKIP LOCKED
)
UPDATE postrider.webhook_claims AS c SET worker_id = $1, claimed_at = clock_timestamp(), rescues = rescues + 1
FROM grabbed WHERE c.id = grabbed.id
RETURNING c.id, c.event_ids, c.destination_ids, c.attempt_numbers, c.are_replays, c.rescues
"""#)

    /// `ClaimSweep`; rows: 0..$2 claims that are this worker's now, of workers that are dead or gone
    /// - params: $1 worker bigint, $2 most int
    /// - index: none: claims and workers are few
    static let claimSweep = Statement(
        name: "ClaimSweep",
        sql: #"""
WITH grabbed AS MATERIALIZED (
    -- Finds what a takeover missed: claims committed after its snapshot, more than it took at once, a rescuer that died.
    -- The holder is asked for in a subquery of its own, here and below. NOT EXISTS becomes an anti-join, and Postgres does
    -- not look again at its inner side when a row has changed under its lock: of two sweeps at once, the second took the
    -- claim from the first (seen: an event delivered by one worker and made a dead letter by another).
    SELECT c.id FROM postrider.webhook_claims AS c
    WHERE c.rescues < 2
      AND (SELECT w.alive FROM postrider.webhook_workers AS w WHERE w.id = c.worker_id) IS NOT TRUE
    ORDER BY c.id LIMIT $2 FOR UPDATE OF c SKIP LOCKED
)
UPDATE postrider.webhook_claims AS c SET worker_id = $1, claimed_at = clock_timestamp(), rescues = rescues + 1
FROM grabbed WHERE c.id = grabbed.id
RETURNING c.id, c.event_ids, c.destination_ids, c.attempt_numbers, c.are_replays, c.rescues
"""#)

    /// `ClaimIsolate`; rows: none
    /// - params: none
    /// - index: none: claims and workers are few
    /// - An event may kill every worker that touches it. A claim that three workers died of (the third is not in rescues yet) is cut
    /// - into pieces of 32, one that four died of into single events, so that the culprit is found and the others get through.
    /// - Worker 0 never lives.
    static let claimIsolate = Statement(
        name: "ClaimIsolate",
        sql: #"""
WITH suspect AS (
    DELETE FROM postrider.webhook_claims AS c
    WHERE c.rescues >= 2 AND cardinality(c.event_ids) > CASE c.rescues WHEN 2 THEN 32 ELSE 1 END
      AND (SELECT w.alive FROM postrider.webhook_workers AS w WHERE w.id = c.worker_id) IS NOT TRUE
    RETURNING c.*
)
INSERT INTO postrider.webhook_claims (worker_id, event_ids, destination_ids, attempt_numbers, are_replays, rescues)
SELECT 0, array_agg(u.event_id ORDER BY u.place),
       CASE WHEN s.destination_ids IS NOT NULL THEN array_agg(u.destination_id ORDER BY u.place) END,
       CASE WHEN s.attempt_numbers IS NOT NULL THEN array_agg(u.attempt_number ORDER BY u.place) END,
       CASE WHEN s.are_replays IS NOT NULL THEN array_agg(u.is_replay ORDER BY u.place) END, s.rescues
FROM suspect AS s, LATERAL unnest(s.event_ids, s.destination_ids, s.attempt_numbers, s.are_replays)
     WITH ORDINALITY AS u (event_id, destination_id, attempt_number, is_replay, place)
GROUP BY s.id, s.destination_ids, s.attempt_numbers, s.are_replays, s.rescues, (u.place - 1) / CASE s.rescues WHEN 2 THEN 32 ELSE 1 END
ORDER BY s.id, min(u.place)
"""#)

    /// `ClaimSuspect`; rows: 0..1 claims that are this worker's now, of which at least two workers have died
    /// - params: $1 worker bigint
    /// - index: none: claims and workers are few
    /// - One at a time: if this worker dies too, it is known of what. Those that fewer died of come first.
    static let claimSuspect = Statement(
        name: "ClaimSuspect",
        sql: #"""
WITH grabbed AS MATERIALIZED (
    SELECT c.id FROM postrider.webhook_claims AS c
    WHERE c.rescues >= 2 AND cardinality(c.event_ids) <= CASE c.rescues WHEN 2 THEN 32 ELSE 1 END
      AND (SELECT w.alive FROM postrider.webhook_workers AS w WHERE w.id = c.worker_id) IS NOT TRUE
      AND NOT EXISTS (SELECT FROM postrider.webhook_claims AS mine WHERE mine.worker_id = $1 AND mine.rescues > 2)
    ORDER BY c.rescues, c.id LIMIT 1 FOR UPDATE OF c SKIP LOCKED
)
UPDATE postrider.webhook_claims AS c SET worker_id = $1, claimed_at = clock_timestamp(), rescues = rescues + 1
FROM grabbed WHERE c.id = grabbed.id
RETURNING c.id, c.event_ids, c.destination_ids, c.attempt_numbers, c.are_replays, c.rescues
"""#)

    /// `ClaimForgotten`; rows: claims of this worker that it does not know
    /// - params: $1 worker bigint, $2 known claims bigint[], $3 at least so old interval
    /// - index: none: claims are few
    /// - A claim whose answer was lost with the connection: its worker lives, so nobody else would ever take it over.
    static let claimForgotten = Statement(
        name: "ClaimForgotten",
        sql: #"""
SELECT id, event_ids, destination_ids, attempt_numbers, are_replays, rescues FROM postrider.webhook_claims
WHERE worker_id = $1 AND NOT id = ANY ($2) AND claimed_at <= clock_timestamp() - $3::interval
"""#)

    /// `EventLoad`; rows: one for each of the events that still exists, in the order given
    /// - params: $1 events uuid[]
    /// - index: webhook_event_log_pkey
    static let eventLoad = Statement(
        name: "EventLoad",
        sql: #"""
SELECT e.id, e.created_at, e.priority, e.event_type, e.organization_id, e.user_id, e.record_id,
       e.ordering_key, postrider.claimed_payload(e.data)
FROM unnest($1::uuid[]) WITH ORDINALITY AS u (id, place),
     LATERAL (SELECT * FROM postrider.webhook_event_log AS l WHERE l.id = u.id OFFSET 0) AS e
ORDER BY u.place
"""#)

    /// `DeliverySettled`; rows: deliveries of these events that their claim need not make, with their highest attempt
    /// - params: $1 events uuid[], $2 the claim that they are in bigint
    /// - index: webhook_attempts_delivery_idx, webhook_retries_pkey, webhook_dead_letters_pkey; claims are few
    /// - Attempts with outcome 3 changed no state, so they settle nothing. What was put back while a first fan-out went on, or
    /// - waited in line, is a retry that another claim may hold by now: sent twice it could come behind what waits for it. Of two
    /// - claims of retries neither is asked for the other, so that they can never leave a delivery to each other.
    static let deliverySettled = Statement(
        name: "DeliverySettled",
        sql: #"""
SELECT event_id, destination_id, max(attempt_number)::smallint FROM (
    SELECT known.* FROM unnest($1::uuid[]) AS u (id), LATERAL (
        SELECT a.event_id, a.destination_id, a.attempt_number
        FROM postrider.webhook_attempts AS a WHERE a.event_id = u.id AND a.outcome <> 3 OFFSET 0
    ) AS known
    UNION ALL
    SELECT known.* FROM unnest($1::uuid[]) AS u (id), LATERAL (
        SELECT r.event_id, r.destination_id, r.attempt_number
        FROM postrider.webhook_retries AS r WHERE r.event_id = u.id OFFSET 0
    ) AS known
    UNION ALL
    SELECT known.* FROM unnest($1::uuid[]) AS u (id), LATERAL (
        SELECT l.event_id, l.destination_id, l.attempts
        FROM postrider.webhook_dead_letters AS l WHERE l.event_id = u.id OFFSET 0
    ) AS known
    UNION ALL
    SELECT held.event_id, held.destination_id, held.attempt_number
    FROM postrider.webhook_claims AS c,
         LATERAL unnest(c.event_ids, c.destination_ids, c.attempt_numbers) AS held (event_id, destination_id, attempt_number)
    WHERE c.destination_ids IS NOT NULL AND held.event_id = ANY ($1)
      AND (SELECT own.destination_ids IS NULL FROM postrider.webhook_claims AS own WHERE own.id = $2)
) AS settled
GROUP BY event_id, destination_id
"""#)

    /// `RoutingVersion`; rows: 1
    /// - params: none
    /// - index: none: one row
    static let routingVersion = Statement(
        name: "RoutingVersion",
        sql: #"""
SELECT version, statement_timestamp() FROM postrider.webhook_routing
"""#)

    /// `RoutingChanges`; rows: destinations that have changed since a version; one with id 0 when that is not known
    /// - params: $1 version bigint, $2 when the destinations were last loaded timestamptz
    /// - index: webhook_routing_changes_pkey, webhook_secrets_expiry_idx
    static let routingChanges = Statement(
        name: "RoutingChanges",
        sql: #"""
SELECT c.destination_id FROM postrider.webhook_routing_changes AS c WHERE c.version > $1
UNION
-- A secret that has expired signs no more, though no row was changed. + 0: from Postgres 17 on a UNION may be a merge, for
-- which the whole key of the secrets was read, because that has this order (seen in plans of small tables).
SELECT s.destination_id + 0 FROM postrider.webhook_secrets AS s
WHERE s.expires_at > $2 AND s.expires_at <= statement_timestamp()
UNION
SELECT 0 FROM postrider.webhook_routing AS r
-- Not that version's place in the order, but the version itself: a server that took the place of another does not know what was
-- lost with that one, however far it has counted since.
WHERE r.version > $1 AND NOT EXISTS (SELECT FROM postrider.webhook_routing_changes AS c WHERE c.version = $1)
"""#)

    /// `RoutingChangesPrune`; rows: none
    /// - params: $1 how many versions to keep at least bigint
    /// - index: webhook_routing_changes_pkey
    /// - Each is at most 1,048,576 above the one before: webhook_routing_changed.
    static let routingChangesPrune = Statement(
        name: "RoutingChangesPrune",
        sql: #"""
DELETE FROM postrider.webhook_routing_changes
WHERE version <= (SELECT version FROM postrider.webhook_routing) - $1::bigint * 1048576
"""#)

    /// `DestinationLoad`; rows: destinations that are not deleted: all, or those named; from one id on
    /// - params: $1 destinations int[], null for all; $2 the first id that may come int, $3 most rows int
    /// - index: none: read in the order of webhook_destinations_pkey, with WorkSettings for its transaction; see ClaimPlanTests
    static let destinationLoad = Statement(
        name: "DestinationLoad",
        sql: #"""
SELECT id, public_id, kind, name, url, event_types, profile, organization_id, user_id, is_active,
       -- Whatever stands in a row: one that is faulty must not keep the others from being loaded.
       ARRAY(SELECT h.key FROM jsonb_each(CASE jsonb_typeof(headers) WHEN 'object' THEN headers ELSE '{"headers": 0}' END) AS h
             ORDER BY h.key),
       ARRAY(SELECT CASE jsonb_typeof(h.value) WHEN 'string' THEN h.value #>> '{}' END
             FROM jsonb_each(CASE jsonb_typeof(headers) WHEN 'object' THEN headers ELSE '{"headers": 0}' END) AS h
             ORDER BY h.key),
       max_attempts, base_delay_ms, delay_factor, max_delay_ms, jitter, delays_ms, timeout_ms, final_statuses,
       max_concurrency, keep_response_bytes, nullif(options, '{}')::text
FROM postrider.webhook_destinations
WHERE deleted_at IS NULL AND ($1::integer[] IS NULL OR id = ANY ($1)) AND id >= $2
ORDER BY id
LIMIT $3
"""#)

    /// `SecretLoad`; rows: secrets that sign now, newest first for each destination; with the seconds to their expiry
    /// - params: $1 destinations int[]
    /// - index: webhook_secrets_pkey
    static let secretLoad = Statement(
        name: "SecretLoad",
        sql: #"""
SELECT s.destination_id, s.version, s.secret, extract(epoch FROM s.expires_at - clock_timestamp())::float8
FROM postrider.webhook_secrets AS s
WHERE s.destination_id = ANY ($1)
  AND (s.expires_at IS NULL OR s.expires_at > clock_timestamp()
       -- The newest signs whatever its date says: nothing goes out unsigned because nobody rotated in time.
       OR NOT EXISTS (SELECT FROM postrider.webhook_secrets AS n
                      WHERE n.destination_id = s.destination_id AND n.version > s.version))
ORDER BY s.destination_id, s.version DESC
"""#)

    /// `SecretNextExpiry`; rows: 1, the seconds until the next date of a secret passes; null when there is none
    /// - params: none
    /// - index: webhook_secrets_expiry_idx
    static let secretNextExpiry = Statement(
        name: "SecretNextExpiry",
        sql: #"""
SELECT extract(epoch FROM min(expires_at) - statement_timestamp())::float8
FROM postrider.webhook_secrets WHERE expires_at > statement_timestamp()
"""#)

    /// `DestinationHold`; rows: 0..1
    /// - params: $1 destination int
    /// - index: webhook_destinations_pkey
    /// - Gives up soon (55P03): whoever holds the row may be mending it.
    static let destinationHold = Statement(
        name: "DestinationHold",
        sql: #"""
SELECT FROM (SELECT set_config('lock_timeout', '200ms', true)) AS said, postrider.webhook_destinations AS d
WHERE d.id = $1 FOR NO KEY UPDATE OF d
"""#)

    /// `DestinationDisable`; rows: none
    /// - params: $1 destination int, $2 reason text, $3 the URL that was asked text, null for any; $4 the version of the load that found
    ///   the fault bigint, null when it was none
    /// - index: webhook_destinations_pkey, webhook_routing_changes_pkey
    /// - A statement of its own behind DestinationHold, so that it sees what was committed while that waited. The audit log tells that
    /// - nobody did it by hand. What the receiver behind an old URL answers says nothing of the new one, and what was changed since a
    /// - load may have been mended: the next load tells.
    static let destinationDisable = Statement(
        name: "DestinationDisable",
        sql: #"""
UPDATE postrider.webhook_destinations SET is_active = false, inactive_reason = $2, updated_at = clock_timestamp()
FROM (SELECT set_config('postrider.actor', 'worker', true)) AS said
WHERE id = $1 AND is_active AND ($3::text IS NULL OR url = $3)
  AND ($4::bigint IS NULL
       OR NOT EXISTS (SELECT FROM postrider.webhook_routing_changes AS c WHERE c.version > $4 AND c.destination_id IN ($1, 0)))
"""#)

    /// `ProfileLoad`; rows: all profiles that are rows, each as a JSON object
    /// - params: none
    /// - index: none: read whole
    static let profileLoad = Statement(
        name: "ProfileLoad",
        sql: #"""
SELECT name, (to_jsonb(p) - '{created_at,updated_at}'::text[])::text FROM postrider.webhook_profiles AS p ORDER BY name
"""#)

    /// `SettingLoad`; rows: all settings
    /// - params: none
    /// - index: none: read whole
    static let settingLoad = Statement(
        name: "SettingLoad",
        sql: #"""
SELECT organization_id, name, is_shared, value FROM postrider.webhook_settings
"""#)

    /// `UpkeepBegin`; rows: 1; none when a round began less than so long ago
    /// - params: $1 seconds float8
    /// - index: none: one row
    /// - A round of the future was begun by a clock that has gone back since.
    static let upkeepBegin = Statement(
        name: "UpkeepBegin",
        sql: #"""
UPDATE postrider.webhook_retention SET upkeep_at = clock_timestamp()
WHERE upkeep_at <= clock_timestamp() - make_interval(secs => $1) OR upkeep_at > clock_timestamp() RETURNING true
"""#)

    /// `RetentionPlan`; rows: one for each week that something is to be done with, in order
    /// - params: none
    /// - index: none: catalogs; what is unfinished is counted by the keys of its tables
    static let retentionPlan = Statement(
        name: "RetentionPlan",
        sql: #"""
SELECT task, partition, row_count, unfinished FROM postrider.retention_plan()
"""#)

    /// `PartitionEmpty`; rows: 1: rows that went; null when another session does upkeep
    /// - params: $1 partition text
    /// - index: none
    static let partitionEmpty = Statement(
        name: "PartitionEmpty",
        sql: #"""
SELECT postrider.empty_partition($1)
"""#)

    /// `PartitionThin`; rows: 1: rows that went, whether the week is through; nulls when another session does upkeep
    /// - params: $1 partition text, $2 most int
    /// - index: none
    static let partitionThin = Statement(
        name: "PartitionThin",
        sql: #"""
SELECT pruned, finished FROM postrider.thin_partition($1, $2)
"""#)

    /// `PayloadsRemove`; rows: 1, as PartitionThin
    /// - params: $1 partition text, $2 most int
    /// - index: none
    static let payloadsRemove = Statement(
        name: "PayloadsRemove",
        sql: #"""
SELECT pruned, finished FROM postrider.remove_payloads($1, $2)
"""#)

    /// `PartitionsFold`; rows: 1: weeks that were dropped; null when another session does upkeep
    /// - params: $1 parent text
    /// - index: none
    static let partitionsFold = Statement(
        name: "PartitionsFold",
        sql: #"""
SELECT postrider.fold_partitions($1)
"""#)

    /// `EraseBatch`; rows: 1: events that were erased, and how it stands; nulls when nothing is due
    /// - params: none
    /// - index: webhook_event_log_pkey, webhook_attempts_delivery_idx
    static let eraseBatch = Statement(
        name: "EraseBatch",
        sql: #"""
SELECT events, state FROM postrider.erase_batch()
"""#)

    /// `AuditLogPrune`; rows: 1: lines that went
    /// - params: none
    /// - index: none: the oldest come first
    static let auditLogPrune = Statement(
        name: "AuditLogPrune",
        sql: #"""
SELECT postrider.prune_audit_log()
"""#)

    /// `SealedTypeDue`; rows: one for each pattern, with the id below which payloads are to be sealed
    /// - params: none
    /// - index: none: few rows
    static let sealedTypeDue = Statement(
        name: "SealedTypeDue",
        sql: #"""
SELECT pattern, below FROM postrider.types_to_seal()
"""#)

    /// `PayloadTake`; rows: 0..$3 readable payloads, at most 16 MiB, ascending; then one without data: how far it looked
    /// - params: $1 pattern text, $2 below uuid, $3 most int
    /// - index: webhook_event_log_pkey
    static let payloadTake = Statement(
        name: "PayloadTake",
        sql: #"""
SELECT id, data FROM postrider.payloads_to_seal($1, $2, $3)
"""#)

    /// `PayloadReplace`; rows: 1: how many were replaced
    /// - params: $1 pattern text, $2 sealed up to uuid, $3 key name text, $4 events uuid[] ascending, $5 sealed texts text[]
    /// - index: webhook_event_log_pkey
    static let payloadReplace = Statement(
        name: "PayloadReplace",
        sql: #"""
SELECT postrider.seal_payloads($1, $2, $3, $4, $5)
"""#)

    /// `DeadRows`; rows: tables of the road of an event with many dead rows, which this login may vacuum
    /// - params: none
    /// - index: none: catalogs
    static let deadRows = Statement(
        name: "DeadRows",
        sql: #"""
SELECT s.relname::text FROM pg_catalog.pg_stat_user_tables AS s JOIN pg_catalog.pg_class AS c ON c.oid = s.relid
WHERE s.schemaname = 'postrider' AND s.n_dead_tup > 20000 AND pg_catalog.pg_has_role(c.relowner, 'USAGE')
  AND s.relname IN ('webhook_queue', 'webhook_claims', 'webhook_retries', 'webhook_tallies', 'webhook_settlements',
                    'webhook_workers', 'webhook_breakers')
ORDER BY 1
"""#)

    /// `KeySweep`; rows: 1: how many deliveries and keys were freed; with $1 there may be more
    /// - params: $1 how many of each kind at most int
    /// - index: webhook_keys_pkey, webhook_retries_order_idx; both are empty without destinations with strict order
    static let keySweep = Statement(
        name: "KeySweep",
        sql: #"""
SELECT postrider.sweep_keys($1)
"""#)

    /// `RetrySweep`; rows: 1: how many retries were made due or removed, and dead letters archived; with $1 there may be more
    /// - params: $1 how many of each kind at most int
    /// - index: webhook_retries_due_idx, read by jumping from one destination to the next; webhook_dead_letters_destination_idx
    static let retrySweep = Statement(
        name: "RetrySweep",
        sql: #"""
SELECT postrider.sweep_retries($1)
"""#)

    /// `ReplayPlan`; rows: 1: how many deliveries a replay would send, how many it cannot: no payload any more; its criteria
    /// - params: $1 the criteria of postrider.replay_plan jsonb
    /// - index: webhook_attempts_delivery_idx, webhook_dead_letters_pkey or webhook_event_log_pkey, within the function
    static let replayPlan = Statement(
        name: "ReplayPlan",
        sql: #"""
SELECT jsonb_build_object('count', c.count, 'without_payload', c.without_payload, 'criteria', (c.plan).criteria,
    'rate', (c.plan).per_second, 'endpoint', d.name, 'is_inactive', NOT d.is_active,
    'filter', CASE WHEN (c.plan).what = 'backfill' THEN (d.options -> 'filter')::text END)::text
FROM postrider.count_replay($1::jsonb) AS c
LEFT JOIN postrider.webhook_destinations AS d ON d.id = (c.plan).destination_id
"""#)

    /// `ReplayStart`; rows: 1
    /// - params: $1 {"criteria", "planned"} jsonb
    /// - index: none
    static let replayStart = Statement(
        name: "ReplayStart",
        sql: #"""
SELECT jsonb_build_object('id', postrider.start_replay($1::jsonb -> 'criteria', ($1::jsonb ->> 'planned')::bigint))::text
"""#)

    /// `ReplayBatch`; rows: 1: deliveries scheduled int, the replay's state, milliseconds to wait bigint
    /// - params: $1 replay bigint, $2 most int
    /// - index: as ReplayPlan
    static let replayBatch = Statement(
        name: "ReplayBatch",
        sql: #"""
SELECT scheduled, replay_state, wait_ms FROM postrider.replay_batch($1, $2)
"""#)

    /// `ReplayNext`; rows: 1, locked until the end of the transaction; with the payload filter of a backfill's destination as it is now
    /// - params: $1 replay bigint, $2 most int
    /// - index: as ReplayPlan
    static let replayNext = Statement(
        name: "ReplayNext",
        sql: #"""
SELECT state, wait_ms, events, destinations, attempts, without_payload, done_event, done_destination, is_last,
       (SELECT (d.options -> 'filter')::text
        FROM postrider.webhook_replays AS r JOIN postrider.webhook_destinations AS d ON d.id = r.destination_id
        WHERE r.id = $1 AND r.what = 'backfill')
FROM postrider.replay_next($1, $2)
"""#)

    /// `ReplaySchedule`; rows: 1, as ReplayBatch
    /// - params: $1 replay bigint, then of what ReplayNext gave, without what a filter left out: $2 events uuid[],
    ///   $3 destinations int[], $4 attempt numbers smallint[]; $5 without payload int, $6 left out by the filter int,
    ///   $7 the place: event uuid, $8 destination int, $9 whether it is the last boolean
    /// - index: webhook_event_log_pkey, webhook_retries_pkey, within the function
    static let replaySchedule = Statement(
        name: "ReplaySchedule",
        sql: #"""
SELECT scheduled, replay_state, wait_ms FROM postrider.replay_schedule($1, $2, $3, $4, $5, $6, $7, $8, $9)
"""#)

    /// `ReplayList`; rows: replays, newest first; one when id is given
    /// - params: $1 {"id", "limit"} jsonb
    /// - index: webhook_replays_pkey
    static let replayList = Statement(
        name: "ReplayList",
        sql: #"""
SELECT (jsonb_build_object('id', r.id, 'state', r.state, 'what', r.what, 'endpoint', d.name, 'criteria', r.criteria,
    'rate', r.per_second, 'planned', r.planned, 'scheduled', r.scheduled, 'without_payload', r.without_payload,
    'filtered', r.filtered, 'done_event_id', r.done_event_id, 'done_to', postrider.event_id_time(r.done_event_id),
    'created_at', r.created_at, 'created_by', r.created_by, 'driven_at', r.driven_at, 'ended_at', r.ended_at,
    'error', r.error,
    'filter', CASE WHEN r.what = 'backfill' THEN (d.options -> 'filter')::text END,
    -- A driver asks at least once a second.
    'is_driven', r.state = 'running' AND coalesce(r.driven_at, r.created_at) > clock_timestamp() - interval '30 seconds'))::text
FROM postrider.webhook_replays AS r
LEFT JOIN postrider.webhook_destinations AS d ON d.id = r.destination_id
WHERE $1::jsonb ->> 'id' IS NULL OR r.id = ($1::jsonb ->> 'id')::bigint
ORDER BY r.id DESC
LIMIT ($1::jsonb ->> 'limit')::bigint
"""#)

    /// `ReplaySwitch`; rows: 0..1, with the state before
    /// - params: $1 {"id", "state": running, paused or cancelled, "rate": number or null} jsonb
    /// - index: webhook_replays_pkey
    /// - What has ended stays as it is, but that what failed may be tried again: replay_next looks whether it can go on.
    static let replaySwitch = Statement(
        name: "ReplaySwitch",
        sql: #"""
UPDATE postrider.webhook_replays AS r
SET state = CASE WHEN b.turns THEN $1::jsonb ->> 'state' ELSE r.state END,
    per_second = CASE WHEN b.turns THEN coalesce(($1::jsonb ->> 'rate')::float8, r.per_second) ELSE r.per_second END,
    ended_at = CASE WHEN NOT b.turns THEN r.ended_at WHEN $1::jsonb ->> 'state' = 'cancelled' THEN clock_timestamp() END,
    error = CASE WHEN NOT b.turns THEN r.error END
FROM (SELECT id, state, state IN ('running', 'paused') OR state = 'failed' AND $1::jsonb ->> 'state' = 'running' AS turns
      FROM postrider.webhook_replays WHERE id = ($1::jsonb ->> 'id')::bigint FOR UPDATE) AS b
WHERE r.id = b.id
RETURNING jsonb_build_object('id', r.id, 'state', r.state, 'before', b.state, 'scheduled', r.scheduled,
    'planned', r.planned)::text
"""#)

    /// `DeadLetterList`; rows: dead letters, newest first
    /// - params: $1 {"endpoint", "type", "failure", "since_s", "limit", "archived": bool, "critical": bool} jsonb
    /// - index: none: dead letters are read whole
    static let deadLetterList = Statement(
        name: "DeadLetterList",
        sql: #"""
SELECT jsonb_build_object('id', postrider.delivery_id(l.event_id, l.destination_id), 'event_id', l.event_id,
    'event_type', e.event_type, 'endpoint', d.name, 'attempts', l.attempts, 'failure', l.failure,
    'error_message', l.error_message, 'dead_at', l.dead_at, 'is_critical', l.is_critical, 'replays', l.replays,
    'archived_at', l.archived_at, 'organization_id', e.organization_id)::text
FROM postrider.webhook_dead_letters AS l
JOIN postrider.webhook_event_log AS e ON e.id = l.event_id
JOIN postrider.webhook_destinations AS d ON d.id = l.destination_id
WHERE l.dead_at >= now() - ($1::jsonb ->> 'since_s')::float8 * interval '1 second'
  AND (l.archived_at IS NOT NULL) = coalesce(($1::jsonb ->> 'archived')::boolean, false)
  AND (l.is_critical OR NOT coalesce(($1::jsonb ->> 'critical')::boolean, false))
  AND ($1::jsonb ->> 'failure' IS NULL OR l.failure = $1::jsonb ->> 'failure')
  AND ($1::jsonb ->> 'endpoint' IS NULL OR d.public_id::text = $1::jsonb ->> 'endpoint'
       OR d.name = $1::jsonb ->> 'endpoint')
  AND ($1::jsonb ->> 'type' IS NULL OR postrider.matches(ARRAY[$1::jsonb ->> 'type'], e.event_type))
ORDER BY l.dead_at DESC
LIMIT ($1::jsonb ->> 'limit')::bigint
"""#)

    /// `DeadLetterShow`; rows: 0..1, with its attempts and how its destination is doing
    /// - params: $1 {"id": uuid of the delivery} jsonb
    /// - index: webhook_dead_letters_pkey, webhook_attempts_delivery_idx
    /// - A delivery's id begins with the first 8 bytes of its event's id.
    static let deadLetterShow = Statement(
        name: "DeadLetterShow",
        sql: #"""
SELECT jsonb_build_object('id', $1::jsonb ->> 'id', 'event_id', l.event_id, 'event_type', e.event_type,
    'priority', e.priority, 'organization_id', e.organization_id, 'created_at', e.created_at, 'endpoint', d.name,
    'attempts', l.attempts, 'failure', l.failure, 'error_message', l.error_message, 'dead_at', l.dead_at,
    'is_critical', l.is_critical, 'replays', l.replays, 'archived_at', l.archived_at,
    'has_payload', NOT postrider.is_removed(e.data),
    'is_deleted', d.deleted_at IS NOT NULL,
    'is_foreign', e.organization_id IS DISTINCT FROM coalesce(d.organization_id, e.organization_id)
                  OR e.user_id IS DISTINCT FROM coalesce(d.user_id, e.user_id), 'is_active', d.is_active, 'inactive_reason', d.inactive_reason,
    'failing_since', b.failing_since, 'failing_with', b.failure,
    'delivered_lately', lately.delivered, 'failed_lately', lately.failed,
    'history', (SELECT coalesce(jsonb_agg(to_jsonb(a) - 'event_id' - 'destination_id' ORDER BY a.attempted_at), '[]')
                FROM postrider.webhook_attempts AS a
                WHERE a.event_id = l.event_id AND a.destination_id = l.destination_id))::text
FROM postrider.webhook_dead_letters AS l
JOIN postrider.webhook_event_log AS e ON e.id = l.event_id
JOIN postrider.webhook_destinations AS d ON d.id = l.destination_id
LEFT JOIN postrider.webhook_breakers AS b ON b.destination_id = l.destination_id,
     -- The newest attempts of all destinations, of events of the last hour: a busy outbox may have millions of them.
     LATERAL (SELECT count(*) FILTER (WHERE n.outcome = 0) AS delivered, count(*) FILTER (WHERE n.outcome <> 0) AS failed
              FROM (SELECT a.destination_id, a.outcome FROM postrider.webhook_attempts AS a
                    WHERE a.event_id >= postrider.event_id_at(now() - interval '1 hour')
                    ORDER BY a.event_id DESC LIMIT 20000) AS n
              WHERE n.destination_id = l.destination_id) AS lately
WHERE l.event_id >= (left($1::jsonb ->> 'id', 18) || '-0000-000000000000')::uuid
  AND l.event_id <= (left($1::jsonb ->> 'id', 18) || '-ffff-ffffffffffff')::uuid
  AND postrider.delivery_id(l.event_id, l.destination_id) = ($1::jsonb ->> 'id')::uuid
"""#)

    /// `DeadLetterArchive`; rows: 1, how many were archived, or would be, and how many critical ones were left alone
    /// - params: $1 {"id", "endpoint", "type", "failure", "older_s", "critical": bool, "dry_run": bool} jsonb
    /// - index: webhook_dead_letters_pkey for one; several read all dead letters
    static let deadLetterArchive = Statement(
        name: "DeadLetterArchive",
        sql: #"""
WITH wanted AS MATERIALIZED (
    SELECT l.event_id, l.destination_id, l.is_critical
    FROM postrider.webhook_dead_letters AS l
    JOIN postrider.webhook_destinations AS d ON d.id = l.destination_id
    WHERE l.archived_at IS NULL
      AND l.event_id >= coalesce((left($1::jsonb ->> 'id', 18) || '-0000-000000000000')::uuid, '00000000-0000-0000-0000-000000000000')
      AND l.event_id <= coalesce((left($1::jsonb ->> 'id', 18) || '-ffff-ffffffffffff')::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
      AND ($1::jsonb ->> 'id' IS NULL OR postrider.delivery_id(l.event_id, l.destination_id) = ($1::jsonb ->> 'id')::uuid)
      AND ($1::jsonb ->> 'endpoint' IS NULL OR d.public_id::text = $1::jsonb ->> 'endpoint'
           OR d.name = $1::jsonb ->> 'endpoint')
      AND ($1::jsonb ->> 'failure' IS NULL OR l.failure = $1::jsonb ->> 'failure')
      AND ($1::jsonb ->> 'older_s' IS NULL
           OR l.dead_at < clock_timestamp() - ($1::jsonb ->> 'older_s')::float8 * interval '1 second')
      AND ($1::jsonb ->> 'type' IS NULL OR EXISTS (
          SELECT FROM postrider.webhook_event_log AS e
          WHERE e.id = l.event_id AND postrider.matches(ARRAY[$1::jsonb ->> 'type'], e.event_type)))
), chosen AS MATERIALIZED (
    SELECT event_id, destination_id FROM wanted
    WHERE NOT is_critical OR $1::jsonb ->> 'id' IS NOT NULL OR ($1::jsonb ->> 'critical')::boolean
), archived AS (
    UPDATE postrider.webhook_dead_letters AS l SET archived_at = clock_timestamp()
    FROM chosen AS c
    WHERE l.event_id = c.event_id AND l.destination_id = c.destination_id AND l.archived_at IS NULL
      AND NOT ($1::jsonb ->> 'dry_run')::boolean
    RETURNING 1
)
SELECT jsonb_build_object(
    'count', CASE WHEN ($1::jsonb ->> 'dry_run')::boolean THEN (SELECT count(*) FROM chosen) ELSE (SELECT count(*) FROM archived) END,
    'critical_left', (SELECT count(*) FROM wanted) - (SELECT count(*) FROM chosen))::text
"""#)

    /// `SealsBegin`; rows: 1
    /// - params: none
    /// - index: none
    /// - Until the transaction ends, changes of secrets and headers do not make workers load their destinations again.
    static let sealsBegin = Statement(
        name: "SealsBegin",
        sql: #"""
SELECT set_config('postrider.only_seals', 'on', true)
"""#)

    /// `SecretTake`; rows: 0..$4, ascending; locked until the transaction ends, those that others hold are left out
    /// - params: $1 destination int, $2 version int: to begin behind; $3 beginning text of those to leave; $4 most bigint
    /// - index: webhook_secrets_pkey
    static let secretTake = Statement(
        name: "SecretTake",
        sql: #"""
SELECT destination_id, version, secret FROM postrider.webhook_secrets
WHERE (destination_id, version) > ($1::integer, $2::integer) AND NOT starts_with(secret, $3)
ORDER BY destination_id, version LIMIT $4 FOR NO KEY UPDATE SKIP LOCKED
"""#)

    /// `SecretReplace`; rows: none
    /// - params: $1 destinations int[], $2 versions int[], $3 sealed secrets text[]
    /// - index: webhook_secrets_pkey
    static let secretReplace = Statement(
        name: "SecretReplace",
        sql: #"""
UPDATE postrider.webhook_secrets AS s SET secret = u.secret
FROM unnest($1::integer[], $2::integer[], $3::text[]) AS u (destination_id, version, secret)
WHERE s.destination_id = u.destination_id AND s.version = u.version
"""#)

    /// `HeaderTake`; rows: 0..$3 destinations, ascending, deleted ones too; locked until the transaction ends
    /// - params: $1 destination int to begin behind; $2 beginning text of values to leave; $3 most bigint
    /// - index: webhook_destinations_pkey
    /// - Headers are taken apart behind the lock. A join with them would keep what the snapshot shows, also where the row was
    /// - changed before it could be locked, and the old credential would be sealed over the new one.
    static let headerTake = Statement(
        name: "HeaderTake",
        sql: #"""
WITH held AS MATERIALIZED (
    SELECT d.id, d.headers FROM postrider.webhook_destinations AS d
    WHERE d.id > $1 AND EXISTS (
        SELECT FROM jsonb_each_text(d.headers) AS e
        WHERE (starts_with(e.value, 'sealed:') OR postrider.holds_credential(e.key))
          AND e.value <> '' AND NOT starts_with(e.value, $2))
    ORDER BY d.id LIMIT $3 FOR NO KEY UPDATE SKIP LOCKED
)
SELECT held.id, h.names, h.texts
FROM held, LATERAL (SELECT array_agg(e.key) AS names, array_agg(e.value) AS texts FROM jsonb_each_text(held.headers) AS e
                    WHERE (starts_with(e.value, 'sealed:') OR postrider.holds_credential(e.key))
                      AND e.value <> '' AND NOT starts_with(e.value, $2)) AS h
ORDER BY held.id
"""#)

    /// `HeaderReplace`; rows: none
    /// - params: $1 destinations int[], $2 names text[], $3 sealed values text[], an entry for each header
    /// - index: webhook_destinations_pkey
    static let headerReplace = Statement(
        name: "HeaderReplace",
        sql: #"""
UPDATE postrider.webhook_destinations AS d SET headers = d.headers || u.headers
FROM (SELECT e.id, jsonb_object_agg(e.name, e.value) AS headers
      FROM unnest($1::integer[], $2::text[], $3::text[]) AS e (id, name, value) GROUP BY e.id) AS u
WHERE d.id = u.id
"""#)

    /// `DestinationLock`; rows: 0..1
    /// - params: $1 public id uuid text
    /// - index: webhook_destinations_public_id_key
    /// - Whoever gives a destination a new secret holds this lock, so the next version stays the next until the transaction ends.
    static let destinationLock = Statement(
        name: "DestinationLock",
        sql: #"""
SELECT id FROM postrider.webhook_destinations WHERE public_id = $1::uuid AND deleted_at IS NULL FOR NO KEY UPDATE
"""#)

    /// `SecretNextVersion`; rows: 1
    /// - params: $1 destination int
    /// - index: webhook_secrets_pkey
    /// - A statement of its own behind the lock: one that waited for it would still see the versions from before.
    static let secretNextVersion = Statement(
        name: "SecretNextVersion",
        sql: #"""
SELECT coalesce(max(version), 0) + 1 FROM postrider.webhook_secrets WHERE destination_id = $1
"""#)

    /// `SecretCensus`; rows: one for each key, plain ones (null) first
    /// - params: none
    /// - index: none: reads all secrets
    static let secretCensus = Statement(
        name: "SecretCensus",
        sql: #"""
SELECT u.key_name, count(*) FILTER (WHERE u.place = 'secret'), count(*) FILTER (WHERE u.place = 'expired'),
       count(*) FILTER (WHERE u.place = 'header'), count(*) FILTER (WHERE u.place = 'setting')
FROM (SELECT CASE WHEN starts_with(secret, 'sealed:') THEN split_part(secret, ':', 3) END AS key_name,
             CASE WHEN expires_at <= clock_timestamp() AND version < max(version) OVER (PARTITION BY destination_id)
                  THEN 'expired' ELSE 'secret' END AS place
      FROM postrider.webhook_secrets
      UNION ALL
      SELECT CASE WHEN starts_with(h.value, 'sealed:') THEN split_part(h.value, ':', 3) END, 'header'
      FROM postrider.webhook_destinations AS d, jsonb_each_text(d.headers) AS h
      WHERE h.value <> '' AND (starts_with(h.value, 'sealed:') OR postrider.holds_credential(h.key))
      UNION ALL
      SELECT CASE WHEN starts_with(value, 'sealed:') THEN split_part(value, ':', 3) END, 'setting'
      FROM postrider.webhook_settings) AS u
GROUP BY u.key_name
ORDER BY u.key_name NULLS FIRST
"""#)

    /// `SettingTake`; rows: 0..$3, ascending; locked until the transaction ends, those that others hold are left out
    /// - params: $1 setting int to begin behind; $2 beginning text of values to leave; $3 most bigint
    /// - index: webhook_settings_pkey
    static let settingTake = Statement(
        name: "SettingTake",
        sql: #"""
SELECT id, organization_id, name, value FROM postrider.webhook_settings
WHERE id > $1 AND NOT starts_with(value, $2)
ORDER BY id LIMIT $3 FOR NO KEY UPDATE SKIP LOCKED
"""#)

    /// `SettingReplace`; rows: none
    /// - params: $1 settings int[], $2 sealed values text[]
    /// - index: webhook_settings_pkey
    static let settingReplace = Statement(
        name: "SettingReplace",
        sql: #"""
UPDATE postrider.webhook_settings AS s SET value = u.value
FROM unnest($1::integer[], $2::text[]) AS u (id, value) WHERE s.id = u.id
"""#)

    /// `KeyProofLoad`; rows: 0..1 for each name
    /// - params: $1 names text[]
    /// - index: webhook_secret_keys_pkey
    static let keyProofLoad = Statement(
        name: "KeyProofLoad",
        sql: #"""
SELECT name, proof FROM postrider.webhook_secret_keys WHERE name = ANY ($1::text[])
"""#)

    /// `KeyProofAdd`; rows: none
    /// - params: $1 name text, $2 proof text
    /// - index: webhook_secret_keys_pkey
    /// - Waits for a transaction that writes the same name, and leaves what that one wrote.
    static let keyProofAdd = Statement(
        name: "KeyProofAdd",
        sql: #"""
INSERT INTO postrider.webhook_secret_keys (name, proof) VALUES ($1, $2)
ON CONFLICT ON CONSTRAINT webhook_secret_keys_pkey DO NOTHING
"""#)

    /// `TransformCall`; rows: one for each payload, in order: what the function gave, and why it gave nothing
    /// - params: $1 function text, $2 payloads text[], $3 contexts text[]
    /// - index: webhook_transforms_pkey
    static let transformCall = Statement(
        name: "TransformCall",
        sql: #"""
SELECT t.result::text, t.fault
FROM unnest($2::text[], $3::text[]) WITH ORDINALITY AS u (data, context, place),
     LATERAL postrider.call_transform($1, u.data::jsonb, u.context::jsonb) AS t
ORDER BY u.place
"""#)

    /// `WorkerRegister`; rows: 1, the new worker's id
    /// - params: $1 host text, $2 process id int, $3 version text
    /// - index: none: append only
    static let workerRegister = Statement(
        name: "WorkerRegister",
        sql: #"""
INSERT INTO postrider.webhook_workers (host, process_id, version) VALUES ($1, $2, $3) RETURNING id
"""#)

    /// `WorkerLock`; rows: 1, whether the lock was taken
    /// - params: $1 worker bigint
    /// - index: webhook_workers_pkey
    /// - Held by the sessions of the control connection and of the work connection: both go when the process dies, long before
    /// - the lease runs out, and one of them stays when only the other is lost.
    static let workerLock = Statement(
        name: "WorkerLock",
        sql: #"""
WITH locked AS MATERIALIZED (SELECT pg_catalog.pg_try_advisory_lock_shared(7742, ($1 & 2147483647)::integer) AS taken)
UPDATE postrider.webhook_workers SET has_lock = locked.taken FROM locked WHERE id = $1 RETURNING has_lock
"""#)

    /// `WorkSettings`; rows: 1
    /// - params: $1 whether they hold for this transaction only boolean: behind a pooler, whose sessions are shared
    /// - index: none
    /// - A commit of a worker need not reach the disk: after a crash of Postgres the lost claims are in the queue again and the
    /// - lost outcomes are delivered again, and nothing else happens. Plans must follow the indexes whatever the statistics of a
    /// - queue that was empty a moment ago say. A plan for any parameters is kept, where a session is kept: with many weeks in the
    /// - log Postgres would plan each claim anew, because plans with fewer weeks look so much cheaper, and take longer for that
    /// - than for the claim.
    static let workSettings = Statement(
        name: "WorkSettings",
        sql: #"""
SELECT set_config('synchronous_commit', 'off', $1), set_config('enable_seqscan', 'off', $1),
       set_config('enable_bitmapscan', 'off', $1), set_config('jit', 'off', $1),
       set_config('plan_cache_mode', CASE WHEN $1 THEN 'auto' ELSE 'force_generic_plan' END, $1)
"""#)

    /// `SessionNature`; rows: 1: the id of the server process, whether the server is a standby
    /// - params: none
    /// - index: none
    static let sessionNature = Statement(
        name: "SessionNature",
        sql: #"""
SELECT pg_catalog.pg_backend_pid(), pg_catalog.pg_is_in_recovery()
"""#)

    /// `ProbeNotify`; rows: 1
    /// - params: $1 channel text, on which only the asker listens
    /// - index: none
    static let probeNotify = Statement(
        name: "ProbeNotify",
        sql: #"""
SELECT pg_catalog.pg_notify($1, '')
"""#)

    /// `WorkerHeartbeat`; rows: 1 with the version of the routing; none when the worker was declared dead
    /// - params: $1 worker bigint, $2 requests, $3 connections opened, $4 reused, $5 TLS handshakes, $6 of them resumed bigint
    /// - index: webhook_workers_pkey
    /// - The counts ride along: the row is written anyway.
    static let workerHeartbeat = Statement(
        name: "WorkerHeartbeat",
        sql: #"""
UPDATE postrider.webhook_workers
SET heartbeat_at = clock_timestamp(), lease_until = clock_timestamp() + interval '1500 milliseconds',
    requests = $2, connections_opened = $3, connections_reused = $4, tls_handshakes = $5, tls_resumed = $6
WHERE id = $1 AND alive
RETURNING (SELECT version FROM postrider.webhook_routing)
"""#)

    /// `WorkerWatch`; rows: the other workers that seem dead, with their epoch
    /// - params: $1 worker bigint
    /// - index: none: workers are few
    static let workerWatch = Statement(
        name: "WorkerWatch",
        sql: #"""
SELECT w.id, w.epoch FROM postrider.webhook_workers AS w
WHERE w.alive AND w.id <> $1
  AND (w.lease_until < clock_timestamp()
       OR w.has_lock AND w.heartbeat_at < clock_timestamp() - interval '300 milliseconds'
          AND NOT EXISTS (SELECT FROM pg_catalog.pg_locks AS l
                          WHERE l.locktype = 'advisory' AND l.classid = 7742
                            AND l.objid = (w.id & 2147483647)::oid AND l.objsubid = 2 AND l.granted
                            AND l.database = (SELECT oid FROM pg_catalog.pg_database
                                              WHERE datname = current_database())))
"""#)

    /// `WorkerFarewell`; rows: none
    /// - params: $1 worker bigint, $2 to $6 the counts of WorkerHeartbeat bigint
    /// - index: webhook_workers_pkey
    /// - What it still holds is found by the next sweep.
    static let workerFarewell = Statement(
        name: "WorkerFarewell",
        sql: #"""
UPDATE postrider.webhook_workers
SET alive = false, epoch = epoch + 1, lease_until = clock_timestamp(),
    requests = $2, connections_opened = $3, connections_reused = $4, tls_handshakes = $5, tls_resumed = $6
WHERE id = $1 AND alive
"""#)

    /// `WorkerPrune`; rows: none
    /// - params: none
    /// - index: none: workers are few
    /// - A worker's row must stay while claims name it, or the sweep could not tell whose they were.
    static let workerPrune = Statement(
        name: "WorkerPrune",
        sql: #"""
WITH pruned AS (
    DELETE FROM postrider.webhook_workers AS w
    WHERE NOT w.alive AND w.heartbeat_at < clock_timestamp() - interval '7 days'
      AND NOT EXISTS (SELECT FROM postrider.webhook_claims AS c WHERE c.worker_id = w.id)
    RETURNING w.id
)
DELETE FROM postrider.webhook_settlements WHERE worker_id IN (SELECT id FROM pruned)
"""#)

    /// `ServerUptime`; rows: 1, whether the server has been up for 5 seconds, and was no standby within the last hour
    /// - params: none
    /// - index: none
    /// - When a standby was promoted it does not tell, and it may have been up for weeks; but what it replayed last goes on standing
    /// - there, of the time when it lost its primary. A server that was started as none has nothing there.
    static let serverUptime = Statement(
        name: "ServerUptime",
        sql: #"""
SELECT clock_timestamp() - pg_catalog.pg_postmaster_start_time() > interval '5 seconds'
       AND coalesce(clock_timestamp() - pg_catalog.pg_last_xact_replay_timestamp() > interval '1 hour', true)
"""#)

    /// `BellHear`; rows: 1
    /// - params: none
    /// - index: none
    /// - Behind LISTEN, for as long as the session lives: while no worker holds it, producers do not notify. They hold it alone for
    /// - a moment when they ask, so this waits for it.
    static let bellHear = Statement(
        name: "BellHear",
        sql: #"""
SELECT pg_catalog.pg_advisory_lock_shared(7741, 2)
"""#)

    /// `BellHold`; rows: 1, whether the bell is held now
    /// - params: none
    /// - index: none
    /// - While any worker holds it, producers do not notify.
    static let bellHold = Statement(
        name: "BellHold",
        sql: #"""
SELECT pg_catalog.pg_try_advisory_lock_shared(7741, 1)
"""#)

    /// `BellRelease`; rows: 1
    /// - params: none
    /// - index: none
    static let bellRelease = Statement(
        name: "BellRelease",
        sql: #"""
SELECT pg_catalog.pg_advisory_unlock_shared(7741, 1)
"""#)

    /// `BellRelay`; rows: 1, whether somebody else looks after the queue, now or in a moment
    /// - params: $1 worker bigint, which holds the bell
    /// - index: none: workers and locks are few
    /// - When another worker holds the bell too, the asker may let go of it. Otherwise the next living worker is told to hold it, in
    /// - the order of ids and after the last the first: the work of a moment goes to one worker, and that of a second to all.
    static let bellRelay = Statement(
        name: "BellRelay",
        sql: #"""
WITH holders AS MATERIALIZED (
    -- Only workers hold it in shared mode.
    SELECT count(*) AS number FROM pg_catalog.pg_locks
    WHERE locktype = 'advisory' AND classid = 7741 AND objid = 1 AND objsubid = 2 AND granted AND mode = 'ShareLock'
      AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
), next AS MATERIALIZED (
    -- Deaf workers have no such lock.
    SELECT w.id FROM postrider.webhook_workers AS w, holders
    WHERE holders.number < 2 AND w.alive AND w.has_lock AND w.id <> $1
    ORDER BY w.id < $1, w.id LIMIT 1
), told AS MATERIALIZED (
    SELECT pg_catalog.pg_notify('postrider_wake', 'bell ' || next.id) FROM next
)
SELECT holders.number > 1 OR (SELECT count(*) FROM told) > 0 FROM holders
"""#)

    /// `PartitionsEnsure`; rows: 1, how many partitions were made
    /// - params: none
    /// - index: none
    /// - One worker is enough; whoever finds the lock taken leaves it to the other.
    static let partitionsEnsure = Statement(
        name: "PartitionsEnsure",
        sql: #"""
SELECT CASE WHEN pg_catalog.pg_try_advisory_xact_lock(7743, 1) THEN postrider.ensure_partitions() ELSE 0 END
"""#)
}
