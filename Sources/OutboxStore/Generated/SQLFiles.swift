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

CREATE FUNCTION postrider.event_id_at(at timestamptz) RETURNS uuid
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT (lpad(to_hex(floor(extract(epoch FROM at) * 1000)::bigint), 12, '0') || '70008000000000000000')::uuid
$$;
COMMENT ON FUNCTION postrider.event_id_at(timestamptz) IS
    'The smallest event id of that millisecond. WHERE id >= postrider.event_id_at(now() - interval ''1 hour'') reads only that hour.';

CREATE FUNCTION postrider.event_id_time(id uuid) RETURNS timestamptz
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT to_timestamp((('x0000' || substr(replace(id::text, '-', ''), 1, 12))::bit(64)::bigint) / 1000.0)
$$;
COMMENT ON FUNCTION postrider.event_id_time(uuid) IS
    'The millisecond in which an event id was made. Meaningless for ids that Postrider did not make.';

-- UUIDv7 (RFC 9562, section 5.7, method 3): 48 bits of milliseconds, 12 bits of the microseconds within it, 62 random
-- bits. Ids of one session ascend, because making one takes longer than a microsecond.
CREATE FUNCTION postrider.next_event_id() RETURNS uuid
    LANGUAGE plpgsql VOLATILE PARALLEL SAFE AS $$
DECLARE
    micros bigint := extract(epoch FROM clock_timestamp()) * 1000000;
BEGIN
    RETURN encode(overlay(uuid_send(gen_random_uuid())
        PLACING int8send((micros / 1000 << 16) | 28672 | ((micros % 1000) * 4096 / 1000)) FROM 1 FOR 8), 'hex')::uuid;
END
$$;
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

CREATE TABLE postrider.webhook_event_log (
    id              uuid        NOT NULL DEFAULT postrider.next_event_id(),
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    priority        smallint    NOT NULL DEFAULT 1,
    event_type      text        NOT NULL,
    event_source    text        NOT NULL DEFAULT 'manual',
    table_name      text,
    record_id       text,
    user_id         text,
    organization_id text,
    ordering_key    text,
    data            jsonb       NOT NULL,
    CONSTRAINT webhook_event_log_pkey PRIMARY KEY (id),
    CONSTRAINT id_is_uuid_version_7 CHECK (get_byte(uuid_send(id), 6) >> 4 = 7),
    CONSTRAINT event_type_is_dotted_words CHECK (event_type ~ '^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$' AND length(event_type) <= 128),
    CONSTRAINT priority_is_0_high_1_normal_2_low CHECK (priority BETWEEN 0 AND 2)
) PARTITION BY RANGE (id);
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
    more     uuid[],
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
    CONSTRAINT webhook_workers_pkey PRIMARY KEY (id)
) WITH (fillfactor = 50);
COMMENT ON TABLE postrider.webhook_workers IS
    'One row for each start of a worker process; ids are never used again. The lease decides who is alive.';
COMMENT ON COLUMN postrider.webhook_workers.id IS 'Identity of one life of a worker, and the fence token of its claims.';
COMMENT ON COLUMN postrider.webhook_workers.epoch IS 'Raised by whoever declares the worker dead, so that only one takes over.';
COMMENT ON COLUMN postrider.webhook_workers.alive IS 'False once the worker said good-bye or was declared dead; never true again.';
COMMENT ON COLUMN postrider.webhook_workers.started_at IS 'When the process registered.';
COMMENT ON COLUMN postrider.webhook_workers.heartbeat_at IS 'Last heartbeat, by the database''s clock; one each 250 ms.';
COMMENT ON COLUMN postrider.webhook_workers.lease_until IS 'Until when the worker may change the state of its claims.';
COMMENT ON COLUMN postrider.webhook_workers.host IS 'Host name of the worker, for people.';
COMMENT ON COLUMN postrider.webhook_workers.process_id IS 'Process id on that host, for people.';
COMMENT ON COLUMN postrider.webhook_workers.version IS 'Version of the program.';
COMMENT ON COLUMN postrider.webhook_workers.has_lock IS
    'True when it holds the session advisory lock (7742, id): its absence then tells of a crash before the lease runs out.';

CREATE TABLE postrider.webhook_claims (
    id              bigint      GENERATED ALWAYS AS IDENTITY,
    worker_id       bigint      NOT NULL,
    claimed_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    event_ids       uuid[]      NOT NULL,
    destination_ids integer[],
    attempt_numbers smallint[],
    rescues         smallint    NOT NULL DEFAULT 0,
    CONSTRAINT webhook_claims_pkey PRIMARY KEY (id)
) WITH (fillfactor = 50, vacuum_truncate = off, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
COMMENT ON TABLE postrider.webhook_claims IS
    'One row for each batch that a worker took from the queue or from the retries; deleted when all of it is recorded.';
COMMENT ON COLUMN postrider.webhook_claims.id IS 'The claim.';
COMMENT ON COLUMN postrider.webhook_claims.worker_id IS 'Who holds it. Every change of state names this worker, so one that lost its claim changes nothing.';
COMMENT ON COLUMN postrider.webhook_claims.claimed_at IS 'When it was taken, or taken over.';
COMMENT ON COLUMN postrider.webhook_claims.event_ids IS 'Events of the batch.';
COMMENT ON COLUMN postrider.webhook_claims.destination_ids IS 'For retries: the destination of each event; null for first fan-outs, which go to every subscriber.';
COMMENT ON COLUMN postrider.webhook_claims.attempt_numbers IS 'For retries: the number of the attempt that is due for each event; null for first fan-outs.';
COMMENT ON COLUMN postrider.webhook_claims.rescues IS 'How many workers died holding it.';

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
    CONSTRAINT outcome_is_known CHECK (outcome BETWEEN 0 AND 3)
) PARTITION BY RANGE (event_id);
-- A crash may write one attempt twice (both requests did happen), so this index is not unique.
CREATE INDEX webhook_attempts_delivery_idx ON postrider.webhook_attempts (event_id, destination_id);
COMMENT ON TABLE postrider.webhook_attempts IS
    'One row for each HTTP request that was made, append-only, partitioned like the events.';
COMMENT ON COLUMN postrider.webhook_attempts.event_id IS 'The event.';
COMMENT ON COLUMN postrider.webhook_attempts.attempted_at IS 'When its outcome was known, by the database''s clock at recording less the time waited.';
COMMENT ON COLUMN postrider.webhook_attempts.worker_id IS 'The worker that made the request.';
COMMENT ON COLUMN postrider.webhook_attempts.destination_id IS 'The destination, webhook_destinations.id.';
COMMENT ON COLUMN postrider.webhook_attempts.duration_us IS 'From the start of the exchange to its end, in microseconds.';
COMMENT ON COLUMN postrider.webhook_attempts.attempt_number IS '1 for the first attempt of a delivery.';
COMMENT ON COLUMN postrider.webhook_attempts.outcome IS '0 delivered, 1 failed and will be retried, 2 failed and is a dead letter, 3 not sent (snoozed or refused before sending).';
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
    CONSTRAINT webhook_retries_pkey PRIMARY KEY (event_id, destination_id)
) WITH (vacuum_truncate = off, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
CREATE INDEX webhook_retries_due_idx ON postrider.webhook_retries (destination_id, due_at);
COMMENT ON TABLE postrider.webhook_retries IS
    'Deliveries that will be attempted at due_at: failed ones that are tried again, and replays. Deleted when claimed.';
COMMENT ON COLUMN postrider.webhook_retries.event_id IS 'The event.';
COMMENT ON COLUMN postrider.webhook_retries.due_at IS 'Not before this time, by the database''s clock; infinity: parked until the destination is active again.';
COMMENT ON COLUMN postrider.webhook_retries.destination_id IS 'The destination.';
COMMENT ON COLUMN postrider.webhook_retries.attempt_number IS 'Number of the attempt that is due.';
COMMENT ON COLUMN postrider.webhook_retries.is_replay IS 'True when an operator asked for it.';

CREATE TABLE postrider.webhook_dead_letters (
    event_id       uuid        NOT NULL,
    dead_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    destination_id integer     NOT NULL,
    attempts       smallint    NOT NULL,
    failure        text,
    error_message  text,
    CONSTRAINT webhook_dead_letters_pkey PRIMARY KEY (event_id, destination_id)
);
CREATE INDEX webhook_dead_letters_destination_idx ON postrider.webhook_dead_letters (destination_id, dead_at);
COMMENT ON TABLE postrider.webhook_dead_letters IS
    'Deliveries that will not be tried again by themselves. A replay takes the row away.';
COMMENT ON COLUMN postrider.webhook_dead_letters.event_id IS 'The event.';
COMMENT ON COLUMN postrider.webhook_dead_letters.dead_at IS 'When the last attempt was recorded.';
COMMENT ON COLUMN postrider.webhook_dead_letters.destination_id IS 'The destination.';
COMMENT ON COLUMN postrider.webhook_dead_letters.attempts IS 'Attempts that were made.';
COMMENT ON COLUMN postrider.webhook_dead_letters.failure IS 'Class of the last failure.';
COMMENT ON COLUMN postrider.webhook_dead_letters.error_message IS 'One line for people about the last failure.';

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
    created_at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    deleted_at          timestamptz,
    CONSTRAINT webhook_destinations_pkey PRIMARY KEY (id),
    CONSTRAINT webhook_destinations_public_id_key UNIQUE (public_id),
    CONSTRAINT kind_is_endpoint_or_n8n CHECK (kind IN ('endpoint', 'n8n')),
    CONSTRAINT name_is_not_empty CHECK (name <> '' AND length(name) <= 200),
    CONSTRAINT url_is_http CHECK (url ~* '^https?://[^[:cntrl:][:space:]@%/?#]+([/?#][^[:cntrl:][:space:]]*)?$' AND length(url) <= 2048),
    CONSTRAINT event_types_are_patterns CHECK (cardinality(event_types) > 0 AND array_position(event_types, NULL) IS NULL),
    CONSTRAINT headers_are_an_object CHECK (jsonb_typeof(headers) = 'object'),
    CONSTRAINT attempts_are_1_to_1000 CHECK (max_attempts BETWEEN 1 AND 1000),
    CONSTRAINT delays_are_not_negative CHECK (base_delay_ms >= 0 AND max_delay_ms >= 0 AND delay_factor >= 1 AND 0 <= ALL (delays_ms)),
    CONSTRAINT jitter_is_a_fraction CHECK (jitter BETWEEN 0 AND 1),
    CONSTRAINT timeout_is_up_to_10_minutes CHECK (timeout_ms BETWEEN 1 AND 600000),
    CONSTRAINT concurrency_is_1_to_10000 CHECK (max_concurrency BETWEEN 1 AND 10000),
    CONSTRAINT kept_response_is_up_to_64_kib CHECK (keep_response_bytes BETWEEN 0 AND 65536)
);
COMMENT ON TABLE postrider.webhook_destinations IS
    'Where events go: webhook endpoints and n8n workflows. People use the views webhook_endpoints and n8n_workflows.';
COMMENT ON COLUMN postrider.webhook_destinations.id IS 'Short id used by the tables of the road of an event; never used again.';
COMMENT ON COLUMN postrider.webhook_destinations.public_id IS 'The id that people and programs see.';
COMMENT ON COLUMN postrider.webhook_destinations.kind IS 'endpoint or n8n.';
COMMENT ON COLUMN postrider.webhook_destinations.name IS 'Name for people, 1 to 200 characters.';
COMMENT ON COLUMN postrider.webhook_destinations.url IS 'http or https URL without user information; plain http is sent to only when the worker allows it.';
COMMENT ON COLUMN postrider.webhook_destinations.event_types IS 'Patterns: an exact type, message.* for every type below message, * for all.';
COMMENT ON COLUMN postrider.webhook_destinations.profile IS 'Wire format: standard, companion, agentes, crm, fenix, bird, github, stripe, n8n.';
COMMENT ON COLUMN postrider.webhook_destinations.organization_id IS 'Only events of this organization; null for all.';
COMMENT ON COLUMN postrider.webhook_destinations.user_id IS 'Only events of this user; null for all.';
COMMENT ON COLUMN postrider.webhook_destinations.workflow_id IS 'n8n''s own id of the workflow, for people; null for endpoints.';
COMMENT ON COLUMN postrider.webhook_destinations.is_active IS 'False: its deliveries are parked as retries and sent when it is active again.';
COMMENT ON COLUMN postrider.webhook_destinations.inactive_reason IS 'Why it is inactive: disabled by hand, gone (410), …; null when active.';
COMMENT ON COLUMN postrider.webhook_destinations.headers IS 'Extra request headers, a JSON object of names and strings.';
COMMENT ON COLUMN postrider.webhook_destinations.max_attempts IS 'Attempts of one delivery in all, the first included; default 6.';
COMMENT ON COLUMN postrider.webhook_destinations.base_delay_ms IS 'Wait before the second attempt, in milliseconds; default 30000.';
COMMENT ON COLUMN postrider.webhook_destinations.delay_factor IS 'Each wait is the one before times this; default 2.';
COMMENT ON COLUMN postrider.webhook_destinations.max_delay_ms IS 'No wait is longer than this, in milliseconds; default 3600000.';
COMMENT ON COLUMN postrider.webhook_destinations.jitter IS 'Random part of each wait, as a fraction of it; default 0.1.';
COMMENT ON COLUMN postrider.webhook_destinations.delays_ms IS 'The waits themselves, in milliseconds; when given, base, factor and maximum do not count.';
COMMENT ON COLUMN postrider.webhook_destinations.timeout_ms IS 'Longest time of one exchange, in milliseconds; default 30000.';
COMMENT ON COLUMN postrider.webhook_destinations.final_statuses IS 'Statuses that are not retried: a comma list such as 400-407,410 or 4xx; empty for the default rule.';
COMMENT ON COLUMN postrider.webhook_destinations.max_concurrency IS 'Requests in flight at once from one worker; default 64.';
COMMENT ON COLUMN postrider.webhook_destinations.keep_response_bytes IS 'How much of an answer''s body is kept with the attempt; default 4096.';
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
    CONSTRAINT secret_is_not_empty CHECK (secret <> '')
);
COMMENT ON TABLE postrider.webhook_secrets IS 'Signing secrets. All that have not expired sign together, the newest first.';
COMMENT ON COLUMN postrider.webhook_secrets.destination_id IS 'The destination.';
COMMENT ON COLUMN postrider.webhook_secrets.version IS '1 for the first; raised by each rotation.';
COMMENT ON COLUMN postrider.webhook_secrets.secret IS 'The secret. Only workers and administrators may read this table.';
COMMENT ON COLUMN postrider.webhook_secrets.created_at IS 'When it was made.';
COMMENT ON COLUMN postrider.webhook_secrets.expires_at IS 'Until when it signs; null for no end.';

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
COMMENT ON COLUMN postrider.webhook_routing.version IS 'Raised in the transaction of each change of destinations or secrets.';
COMMENT ON COLUMN postrider.webhook_routing.one_row IS 'Always true: there is one row.';

CREATE FUNCTION postrider.webhook_routing_changed() RETURNS trigger LANGUAGE plpgsql AS $$
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
        WHERE destination_id = NEW.id AND due_at = 'infinity';
        PERFORM pg_notify('postrider_wake', '');
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
COMMENT ON TABLE postrider.webhook_tallies IS 'Parts of the success and failure counts of destinations; their sum is the count.';
COMMENT ON COLUMN postrider.webhook_tallies.destination_id IS 'The destination.';
COMMENT ON COLUMN postrider.webhook_tallies.succeeded IS 'Attempts that delivered.';
COMMENT ON COLUMN postrider.webhook_tallies.failed IS 'Attempts that failed.';

-- The enqueue trigger and the doorbell ----------------------------------------------------------------------------------

-- Rings only when no worker is awake: an awake worker holds (7741, 1) in shared mode, so the exclusive probe fails and
-- nothing is sent. A NOTIFY on every commit takes a cluster-wide lock and costs three quarters of the commit rate.
-- Lock and unlock stand in one expression, so a transaction pooler cannot separate them.
CREATE FUNCTION postrider.ring_doorbell() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF (CASE WHEN pg_catalog.pg_try_advisory_lock(7741, 1)
             THEN pg_catalog.pg_advisory_unlock(7741, 1) ELSE false END) THEN
        PERFORM pg_catalog.pg_notify('postrider_wake', '');
    END IF;
END
$$;
COMMENT ON FUNCTION postrider.ring_doorbell() IS 'Wakes the workers when all of them sleep; otherwise does nothing, in a microsecond.';

CREATE FUNCTION postrider.webhook_enqueue() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    ids     uuid[] := ARRAY(SELECT id FROM added);
    events  integer := cardinality(ids);
BEGIN
    IF events = 0 THEN
        RETURN NULL;
    ELSIF events = 1 THEN
        INSERT INTO postrider.webhook_queue (id, priority) SELECT id, priority FROM added;
    ELSE
        -- Up to 64 events of one priority share a row: a statement of 10,000 rows makes 157 rows, not 10,000.
        INSERT INTO postrider.webhook_queue (id, priority, more)
        SELECT chunk.ids[1], chunk.priority, nullif(chunk.ids[2:], '{}')
        FROM (SELECT priority, array_agg(id ORDER BY id) AS ids
              FROM (SELECT id, priority, (row_number() OVER (PARTITION BY priority ORDER BY id) - 1) / 64 AS part
                    FROM added) AS numbered
              GROUP BY priority, part) AS chunk;
    END IF;
    PERFORM postrider.ring_doorbell();
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION postrider.webhook_enqueue() IS 'Trigger: puts the events of one statement into the queue and rings the doorbell.';
CREATE TRIGGER webhook_enqueue AFTER INSERT ON postrider.webhook_event_log
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION postrider.webhook_enqueue();

-- Partitions --------------------------------------------------------------------------------------------------------------

-- Each partition holds one week. The first is open to the past and the last ("later") to the future, so that a producer
-- never fails for want of a partition, however long no worker has run. There is no DEFAULT partition, because that would
-- forbid DETACH … CONCURRENTLY.
CREATE FUNCTION postrider.add_partition(parent text, suffix text, lower_bound uuid, upper_bound uuid) RETURNS void
    LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE TABLE postrider.%I PARTITION OF postrider.%I FOR VALUES FROM (%s) TO (%s)',
        parent || '_' || suffix, parent,
        coalesce(quote_literal(lower_bound), 'MINVALUE'), coalesce(quote_literal(upper_bound), 'MAXVALUE'));
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
    EXECUTE format('ALTER TABLE postrider.%I ATTACH PARTITION postrider.%I FOR VALUES FROM (%L) TO (%L)',
        parent, closed, lower, postrider.week_start(week));
    RETURN week;
END
$$;
COMMENT ON FUNCTION postrider.close_later_partition(text, text) IS
    'Part of ensure_partitions: takes the open-ended last partition away and tells from which week on new ones are needed.';

-- Making a partition locks its parent against producers. Behind a long transaction that would queue them all, so the
-- lock is given up after 200 ms and the next worker tries again.
CREATE FUNCTION postrider.ensure_partitions(weeks_ahead integer DEFAULT 8) RETURNS integer
    LANGUAGE plpgsql SET lock_timeout = '200ms' AS $$
DECLARE
    this_week date := date_trunc('week', now() AT TIME ZONE 'UTC')::date;
    last_week date := this_week + 7 * weeks_ahead;
    week      date;
    parent    text;
    id_column text;
    made      integer := 0;
BEGIN
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
-- Every view is security_invoker: it opens nothing that the tables below it do not. No view is materialised and no
-- status is stored: status is worked out from the tables of the road of an event, so it cannot disagree with them.

-- Events --------------------------------------------------------------------------------------------------------------

-- One table and no join, so that Postgres rewrites INSERT … INTO webhook_events to a plain insert into the log: the
-- trigger is called once for a statement, and defaults are the table's own. The status stands in scalar subqueries for
-- that reason. They are asked in this order:
-- * The claims are compared by IN over all claimed ids: one hash for the whole query, small because claims are short.
-- * An event that is not the first id of a queue row stands in the array of the nearest row before it, or, when
--   statements of several sessions interleaved, a few rows before that. The backward walk stops at the first hit. It
--   cannot become long for events that left the queue, since what is left in the queue is younger than they are.
-- * The probe of the log itself tells INSERT … RETURNING status: the row is not visible yet to its own statement, and
--   its queue row is written only at the end of it.
CREATE VIEW postrider.webhook_events WITH (security_invoker = true) AS
SELECT e.id, e.event_type, e.event_source, e.table_name, e.record_id, e.user_id, e.organization_id, e.ordering_key,
       e.priority, e.data, e.created_at,
       CASE
           WHEN EXISTS (SELECT FROM postrider.webhook_dead_letters AS l WHERE l.event_id = e.id) THEN 'failed'
           WHEN EXISTS (SELECT FROM postrider.webhook_retries AS r WHERE r.event_id = e.id) THEN 'processing'
           WHEN e.id IN (SELECT unnest(c.event_ids) FROM postrider.webhook_claims AS c) THEN 'processing'
           WHEN EXISTS (SELECT FROM postrider.webhook_attempts AS a WHERE a.event_id = e.id) THEN 'completed'
           WHEN EXISTS (SELECT FROM postrider.webhook_queue AS q WHERE q.priority = e.priority AND q.id = e.id)
               THEN 'pending'
           WHEN (SELECT true FROM postrider.webhook_queue AS q
                 WHERE q.priority = e.priority AND q.id < e.id AND e.id = ANY (q.more)
                 ORDER BY q.id DESC LIMIT 1) THEN 'pending'
           WHEN EXISTS (SELECT FROM postrider.webhook_event_log AS s WHERE s.id = e.id) THEN 'completed'
           ELSE 'pending'
       END AS status,
       greatest(0, (SELECT max(a.attempt_number) - 1 FROM postrider.webhook_attempts AS a
                    WHERE a.event_id = e.id)) AS retry_count,
       (SELECT coalesce(a.error_message, a.failure) FROM postrider.webhook_attempts AS a
        WHERE a.event_id = e.id AND a.outcome <> 0 ORDER BY a.attempted_at DESC LIMIT 1) AS error_message
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
    'pending: waits for its first fan-out. processing: in flight, or a delivery will be tried again. failed: a delivery is a dead letter. completed: delivered to every subscriber (or there was none). Read-only.';
COMMENT ON COLUMN postrider.webhook_events.retry_count IS 'Highest number of retries among its deliveries, 0 when none. Read-only.';
COMMENT ON COLUMN postrider.webhook_events.error_message IS 'Error of its latest failed attempt, also after a later attempt delivered; null when none failed. Read-only.';

-- Deliveries ----------------------------------------------------------------------------------------------------------

-- The latest attempt is found by DISTINCT ON: filters on the event (one id, or a range of time) reach the index of the
-- attempts through it. An anti-join for "no later attempt" read all attempts of all time for a range of five minutes
-- (measured). Without such a filter every attempt is read, also with a LIMIT.
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
               SELECT u.event_id, u.destination_id FROM postrider.webhook_claims AS c,
                   ROWS FROM (unnest(c.event_ids), unnest(c.destination_ids)) AS u (event_id, destination_id)
               WHERE c.destination_ids IS NOT NULL) THEN 'pending'
           WHEN p.outcome = 0 THEN 'success'
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
       r.due_at AS next_retry_at,
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
     ORDER BY a.event_id DESC, a.destination_id DESC, a.attempted_at DESC)
    UNION ALL
    SELECT w.event_id, w.destination_id, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, NULL
    FROM (
        SELECT event_id, destination_id FROM postrider.webhook_retries WHERE attempt_number = 1
        UNION ALL
        SELECT u.event_id, u.destination_id FROM postrider.webhook_claims AS c,
            ROWS FROM (unnest(c.event_ids), unnest(c.destination_ids), unnest(c.attempt_numbers))
                AS u (event_id, destination_id, attempt_number)
        WHERE c.destination_ids IS NOT NULL AND u.attempt_number = 1
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
COMMENT ON COLUMN postrider.webhook_deliveries.status IS 'pending: an attempt is scheduled or in flight. success: the last attempt delivered. failed: dead letter.';
COMMENT ON COLUMN postrider.webhook_deliveries.status_code IS 'HTTP status of the latest attempt; null when there was no answer or no attempt.';
COMMENT ON COLUMN postrider.webhook_deliveries.response_status_code IS 'The same as status_code.';
COMMENT ON COLUMN postrider.webhook_deliveries.response_body IS 'Beginning of the latest answer; null when empty or not kept.';
COMMENT ON COLUMN postrider.webhook_deliveries.delivery_duration_ms IS 'Time of the latest attempt, in milliseconds with three decimals.';
COMMENT ON COLUMN postrider.webhook_deliveries.attempt_number IS 'Number of the latest attempt; 0 when there was none yet.';
COMMENT ON COLUMN postrider.webhook_deliveries.attempt_count IS 'Attempts recorded, repeats after a crash included.';
COMMENT ON COLUMN postrider.webhook_deliveries.failure IS 'Failure class of the latest attempt; null when it delivered.';
COMMENT ON COLUMN postrider.webhook_deliveries.error_message IS 'One line about the latest failure; null when it delivered.';
COMMENT ON COLUMN postrider.webhook_deliveries.next_retry_at IS 'When the next attempt is due; null when none is scheduled.';
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
    SELECT CASE WHEN profile = 'standard' THEN 'whsec_' || encode(postrider.random_bytes_32(), 'base64')
                ELSE encode(postrider.random_bytes_32(), 'hex') END
$$;
COMMENT ON FUNCTION postrider.new_secret(text) IS 'A new secret in the form of a profile: whsec_ and base64 for standard, 64 hex digits for all others.';

-- Runs as its owner, because those who may see endpoints need not read the secrets: they see the last four characters,
-- and of a secret shorter than 16 none, since four would be too large a part of it.
CREATE FUNCTION postrider.secret_hint(destination_id integer) RETURNS text
    LANGUAGE sql STABLE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT '••••' || CASE WHEN length(s.secret) >= 16 THEN right(s.secret, 4) ELSE '' END
    FROM postrider.webhook_secrets AS s
    WHERE s.destination_id = secret_hint.destination_id AND (s.expires_at IS NULL OR s.expires_at > clock_timestamp())
    ORDER BY s.version DESC LIMIT 1
$$;
COMMENT ON FUNCTION postrider.secret_hint(integer) IS
    'The end of a destination''s newest secret, to recognise it by; null when it has none.';

CREATE FUNCTION postrider.set_secret(destination integer, new_secret text, overlap interval) RETURNS void
    LANGUAGE sql VOLATILE AS $$
    UPDATE postrider.webhook_secrets SET expires_at = clock_timestamp() + overlap
    WHERE destination_id = destination AND (expires_at IS NULL OR expires_at > clock_timestamp() + overlap);
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

-- The table's constraints refuse the same things; this says which, and what to do.
CREATE FUNCTION postrider.check_destination(d postrider.webhook_destinations) RETURNS void LANGUAGE plpgsql AS $$
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
COMMENT ON FUNCTION postrider.check_destination(postrider.webhook_destinations) IS
    'Raises an error that names the fault when the name, URL, patterns or headers of a destination are not valid.';

-- Destinations: the views ---------------------------------------------------------------------------------------------

CREATE VIEW postrider.webhook_endpoints WITH (security_invoker = true) AS
SELECT d.public_id AS id, d.user_id, d.organization_id, d.name, d.url, d.event_types AS events,
       postrider.secret_hint(d.id) AS secret, d.is_active,
       coalesce((SELECT sum(t.succeeded) FROM postrider.webhook_tallies AS t WHERE t.destination_id = d.id), 0)::bigint
           AS success_count,
       coalesce((SELECT sum(t.failed) FROM postrider.webhook_tallies AS t WHERE t.destination_id = d.id), 0)::bigint
           AS failure_count,
       d.inactive_reason, d.profile, d.headers, d.max_attempts, d.base_delay_ms, d.delay_factor, d.max_delay_ms,
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
       d.inactive_reason, d.profile, d.headers, d.max_attempts, d.base_delay_ms, d.delay_factor, d.max_delay_ms,
       d.jitter, d.delays_ms, d.timeout_ms, d.final_statuses, d.max_concurrency, d.keep_response_bytes, d.created_at,
       d.updated_at, d.id AS destination_id
FROM postrider.webhook_destinations AS d
WHERE d.kind = 'n8n' AND d.deleted_at IS NULL;
COMMENT ON VIEW postrider.n8n_workflows IS
    'n8n workflows that receive events. INSERT, UPDATE and DELETE work. They have a secret only when one is given, since n8n checks none by itself.';

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
            ('profile', 'Wire format: standard, companion, agentes, crm, fenix, bird, github, stripe, n8n.'),
            ('headers', 'Extra request headers, a JSON object of names and strings.'),
            ('max_attempts', 'Attempts of one delivery in all, the first included; default 6.'),
            ('base_delay_ms', 'Wait before the second attempt, in milliseconds; default 30000.'),
            ('delay_factor', 'Each wait is the one before times this; default 2.'),
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
    stored       postrider.webhook_destinations;
BEGIN
    PERFORM postrider.refuse_read_only(ARRAY(
        SELECT f FROM unnest(ARRAY['success_count', 'failure_count', 'created_at', 'updated_at', 'public_id', 'id']) AS f
        WHERE f = ANY (changed)));
    IF 'is_active' = ANY (changed) AND NOT 'inactive_reason' = ANY (changed) THEN
        after := after || jsonb_build_object('inactive_reason',
            CASE WHEN NOT coalesce(NEW.is_active, true) THEN 'disabled by hand' END);
        changed := changed || 'inactive_reason'::text;
    END IF;
    EXECUTE format('UPDATE postrider.webhook_destinations AS d SET %s updated_at = clock_timestamp()
                    FROM jsonb_populate_record(NULL::postrider.webhook_destinations, $1) AS r
                    WHERE d.id = $2 AND d.deleted_at IS NULL RETURNING d.*',
                   (SELECT string_agg(format(CASE WHEN jsonb_typeof(after -> f) = 'null' THEN '%1$I = DEFAULT, '
                                                  ELSE '%1$I = r.%1$I, ' END, f), '')
                    FROM unnest(changed) AS f WHERE f <> 'secret'))
        INTO stored USING after, OLD.destination_id;
    IF stored.id IS NULL THEN
        RETURN NULL;
    END IF;
    PERFORM postrider.check_destination(stored);
    IF 'secret' = ANY (changed) THEN
        new_secret := coalesce(NEW.secret, postrider.new_secret(stored.profile));
        PERFORM postrider.set_secret(stored.id, new_secret, interval '0');
    END IF;
    RETURN postrider.view_row(NEW, stored, coalesce(new_secret, OLD.secret));
END
$$;
COMMENT ON FUNCTION postrider.update_destination() IS
    'Trigger of webhook_endpoints and n8n_workflows: changes settings; writing secret adds a version and ends the old one, NULL generates it.';

-- Its parked and failed deliveries become dead letters: no worker would ever take them, and none may vanish unseen.
CREATE FUNCTION postrider.delete_destination() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE postrider.webhook_destinations
    SET deleted_at = clock_timestamp(), updated_at = clock_timestamp(), is_active = false, inactive_reason = 'deleted'
    WHERE id = OLD.destination_id AND deleted_at IS NULL;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    DELETE FROM postrider.webhook_secrets WHERE destination_id = OLD.destination_id;
    WITH given_up AS (
        DELETE FROM postrider.webhook_retries WHERE destination_id = OLD.destination_id
        RETURNING event_id, destination_id, attempt_number
    )
    INSERT INTO postrider.webhook_dead_letters (event_id, destination_id, attempts, failure, error_message)
    SELECT event_id, destination_id, attempt_number - 1, 'deleted', 'the destination was deleted' FROM given_up
    ON CONFLICT DO NOTHING;
    RETURN OLD;
END
$$;
COMMENT ON FUNCTION postrider.delete_destination() IS
    'Trigger of webhook_endpoints and n8n_workflows: marks it deleted, removes its secrets, and makes dead letters of what waits for it.';

CREATE TRIGGER insert_endpoint INSTEAD OF INSERT ON postrider.webhook_endpoints
    FOR EACH ROW EXECUTE FUNCTION postrider.insert_destination('endpoint');
CREATE TRIGGER update_endpoint INSTEAD OF UPDATE ON postrider.webhook_endpoints
    FOR EACH ROW EXECUTE FUNCTION postrider.update_destination();
CREATE TRIGGER delete_endpoint INSTEAD OF DELETE ON postrider.webhook_endpoints
    FOR EACH ROW EXECUTE FUNCTION postrider.delete_destination();
CREATE TRIGGER insert_workflow INSTEAD OF INSERT ON postrider.n8n_workflows
    FOR EACH ROW EXECUTE FUNCTION postrider.insert_destination('n8n');
CREATE TRIGGER update_workflow INSTEAD OF UPDATE ON postrider.n8n_workflows
    FOR EACH ROW EXECUTE FUNCTION postrider.update_destination();
CREATE TRIGGER delete_workflow INSTEAD OF DELETE ON postrider.n8n_workflows
    FOR EACH ROW EXECUTE FUNCTION postrider.delete_destination();

-- Summaries -----------------------------------------------------------------------------------------------------------

CREATE VIEW postrider.webhook_queue_status WITH (security_invoker = true) AS
SELECT q.waiting, q.waiting_high, q.waiting_normal, q.waiting_low,
       postrider.event_id_time(q.oldest) AS oldest_waiting_at,
       clock_timestamp() - postrider.event_id_time(q.oldest) AS oldest_waiting_age,
       c.claims, c.events AS in_flight, c.oldest_at AS oldest_claim_at,
       r.due AS retries_due, r.later AS retries_later, r.next_at AS next_retry_at,
       (SELECT count(*) FROM postrider.webhook_dead_letters) AS dead_letters,
       (SELECT count(*) FROM postrider.webhook_workers
        WHERE alive AND lease_until >= clock_timestamp()) AS workers_alive
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
             count(*) FILTER (WHERE due_at > clock_timestamp()) AS later, min(due_at) AS next_at
      FROM postrider.webhook_retries) AS r;
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
COMMENT ON COLUMN postrider.webhook_queue_status.next_retry_at IS 'The earliest due time of all; null when there is none.';
COMMENT ON COLUMN postrider.webhook_queue_status.dead_letters IS 'Deliveries that will not be tried again by themselves.';
COMMENT ON COLUMN postrider.webhook_queue_status.workers_alive IS 'Workers whose lease holds.';

CREATE VIEW postrider.webhook_destination_status WITH (security_invoker = true) AS
SELECT d.public_id AS id, d.kind, d.name, d.is_active, d.inactive_reason,
       coalesce(t.succeeded, 0)::bigint AS success_count, coalesce(t.failed, 0)::bigint AS failure_count,
       coalesce(r.due, 0) AS retries_due, coalesce(r.later, 0) AS retries_later, r.next_at AS next_retry_at,
       coalesce(l.dead, 0) AS dead_letters, l.last_dead_at, d.id AS destination_id
FROM postrider.webhook_destinations AS d
LEFT JOIN (SELECT destination_id, sum(succeeded) AS succeeded, sum(failed) AS failed
           FROM postrider.webhook_tallies GROUP BY destination_id) AS t ON t.destination_id = d.id
LEFT JOIN (SELECT destination_id, count(*) FILTER (WHERE due_at <= clock_timestamp()) AS due,
                  count(*) FILTER (WHERE due_at > clock_timestamp()) AS later, min(due_at) AS next_at
           FROM postrider.webhook_retries GROUP BY destination_id) AS r ON r.destination_id = d.id
LEFT JOIN (SELECT destination_id, count(*) AS dead, max(dead_at) AS last_dead_at
           FROM postrider.webhook_dead_letters GROUP BY destination_id) AS l ON l.destination_id = d.id
WHERE d.deleted_at IS NULL;
COMMENT ON VIEW postrider.webhook_destination_status IS 'One row for each endpoint and n8n workflow: its counts and what waits for it.';
COMMENT ON COLUMN postrider.webhook_destination_status.id IS 'The id that people and programs use.';
COMMENT ON COLUMN postrider.webhook_destination_status.kind IS 'endpoint or n8n.';
COMMENT ON COLUMN postrider.webhook_destination_status.name IS 'Name for people.';
COMMENT ON COLUMN postrider.webhook_destination_status.is_active IS 'False when its deliveries are parked.';
COMMENT ON COLUMN postrider.webhook_destination_status.inactive_reason IS 'Why it is inactive; null when active.';
COMMENT ON COLUMN postrider.webhook_destination_status.success_count IS 'Attempts that delivered.';
COMMENT ON COLUMN postrider.webhook_destination_status.failure_count IS 'Attempts that failed.';
COMMENT ON COLUMN postrider.webhook_destination_status.retries_due IS 'Deliveries due now, parked ones included.';
COMMENT ON COLUMN postrider.webhook_destination_status.retries_later IS 'Deliveries due later.';
COMMENT ON COLUMN postrider.webhook_destination_status.next_retry_at IS 'Earliest due time; null when nothing waits.';
COMMENT ON COLUMN postrider.webhook_destination_status.dead_letters IS 'Dead letters.';
COMMENT ON COLUMN postrider.webhook_destination_status.last_dead_at IS 'When the latest dead letter was made; null when none.';
COMMENT ON COLUMN postrider.webhook_destination_status.destination_id IS 'Short id in the tables of the road of an event.';

"""#, down: #"""
-- Undoes 0002. No data is lost: views and functions only.
DROP VIEW postrider.webhook_destination_status, postrider.webhook_queue_status;
DROP VIEW postrider.n8n_workflows, postrider.webhook_endpoints, postrider.webhook_deliveries, postrider.webhook_events;
DROP FUNCTION postrider.delete_destination(), postrider.update_destination(), postrider.insert_destination(),
    postrider.view_row(anyelement, postrider.webhook_destinations, text), postrider.refuse_read_only(text[]),
    postrider.destination_row(jsonb), postrider.check_destination(postrider.webhook_destinations),
    postrider.rotate_secret(uuid, text, interval), postrider.set_secret(integer, text, interval),
    postrider.secret_hint(integer), postrider.new_secret(text), postrider.random_bytes_32(),
    postrider.matches(text[], text);

"""#),
    ]

    /// The example systems, by path below `sql/examples`: `agentes/domain.sql`.
    static let examples: [String: String] = [:]

    /// Ready-made questions of a DBA, by path below `sql/audits`.
    static let audits: [String: String] = [:]
}

/// The named statements of `sql/queries`, with the headings they have there.
enum Queries {
    /// `AttemptRecordDelivered`; rows: none
    /// - params: $1 worker bigint, then one element for each attempt: $2 events uuid[], $3 destinations int[],
    ///          $4 attempt numbers smallint[], $5 statuses smallint[], $6 durations in µs int[], $7 ages in µs int[],
    ///          $8 response bodies text[] with nulls
    /// - index: none: append only
    /// - Not fenced: the receiver did get the request, whoever holds the claim now.
    static let attemptRecordDelivered = Statement(
        name: "AttemptRecordDelivered",
        sql: #"""
INSERT INTO postrider.webhook_attempts (event_id, attempted_at, worker_id, destination_id, duration_us, attempt_number,
                                        outcome, status_code, response_body)
SELECT f.event_id, clock_timestamp() - f.age * interval '1 microsecond', $1, f.destination_id, f.duration, f.number,
       0, f.status, f.body
FROM unnest($2::uuid[], $3::integer[], $4::smallint[], $5::smallint[], $6::integer[], $7::integer[], $8::text[])
    AS f (event_id, destination_id, number, status, duration, age, body)
"""#)

    /// `AttemptRecordFailed`; rows: one: how many were recorded, how many retries and dead letters they made
    /// - params: $1 worker bigint, then one element for each attempt: $2 events uuid[], $3 destinations int[],
    ///          $4 attempt numbers smallint[], $5 statuses smallint[] with nulls, $6 durations in µs int[],
    ///          $7 ages in µs int[], $8 response bodies text[] with nulls, $9 failures text[], $10 error messages text[],
    ///          $11 waits in ms bigint[]: null for a dead letter, -1 to park, $12 claims bigint[]
    /// - index: webhook_claims_pkey
    static let attemptRecordFailed = Statement(
        name: "AttemptRecordFailed",
        sql: #"""
WITH held AS MATERIALIZED (
    -- The fence: only claims that are still this worker's, locked until the commit, may change a delivery's state.
    SELECT id FROM postrider.webhook_claims WHERE id = ANY ($12) AND worker_id = $1 ORDER BY id FOR UPDATE
), facts AS MATERIALIZED (
    SELECT f.*, held.id IS NOT NULL AS is_held,
           CASE f.wait WHEN -1 THEN 'infinity' ELSE clock_timestamp() + f.wait * interval '1 millisecond' END AS due_at
    FROM unnest($2::uuid[], $3::integer[], $4::smallint[], $5::smallint[], $6::integer[], $7::integer[], $8::text[],
                $9::text[], $10::text[], $11::bigint[], $12::bigint[])
        AS f (event_id, destination_id, number, status, duration, age, body, failure, message, wait, claim_id)
    LEFT JOIN held ON held.id = f.claim_id
), attempt AS (
    INSERT INTO postrider.webhook_attempts (event_id, attempted_at, worker_id, destination_id, duration_us,
                                            attempt_number, outcome, status_code, failure, error_message,
                                            response_body, next_retry_at)
    SELECT event_id, clock_timestamp() - age * interval '1 microsecond', $1, destination_id, duration, number,
           CASE WHEN NOT is_held THEN 3 WHEN wait IS NULL THEN 2 ELSE 1 END, status, failure, message, body,
           CASE WHEN is_held THEN due_at END
    FROM facts
    RETURNING 1
), retry AS (
    INSERT INTO postrider.webhook_retries (event_id, due_at, destination_id, attempt_number)
    SELECT event_id, due_at, destination_id, number + 1 FROM facts WHERE is_held AND wait IS NOT NULL
    ON CONFLICT (event_id, destination_id) DO NOTHING
    RETURNING 1
), letter AS (
    INSERT INTO postrider.webhook_dead_letters (event_id, destination_id, attempts, failure, error_message)
    -- ON CONFLICT cannot change one row twice in a statement, so a pair that stands here twice counts once.
    SELECT DISTINCT ON (event_id, destination_id) event_id, destination_id, number, failure, message
    FROM facts WHERE is_held AND wait IS NULL ORDER BY event_id, destination_id, number DESC
    ON CONFLICT (event_id, destination_id) DO UPDATE
        SET dead_at = excluded.dead_at, attempts = excluded.attempts, failure = excluded.failure,
            error_message = excluded.error_message
    RETURNING 1
)
SELECT (SELECT count(*) FROM attempt), (SELECT count(*) FROM retry), (SELECT count(*) FROM letter)
"""#)

    /// `DeliverySnooze`; rows: none
    /// - params: $1 worker bigint, then one element for each delivery: $2 events uuid[], $3 destinations int[],
    ///          $4 attempt numbers smallint[], $5 waits in ms bigint[] (-1 to park), $6 claims bigint[]
    /// - index: webhook_claims_pkey
    /// - Puts deliveries back that were not attempted: their attempt number stays.
    static let deliverySnooze = Statement(
        name: "DeliverySnooze",
        sql: #"""
WITH held AS MATERIALIZED (
    SELECT id FROM postrider.webhook_claims WHERE id = ANY ($6) AND worker_id = $1 ORDER BY id FOR UPDATE
)
INSERT INTO postrider.webhook_retries (event_id, due_at, destination_id, attempt_number)
SELECT f.event_id,
       CASE f.wait WHEN -1 THEN 'infinity' ELSE clock_timestamp() + f.wait * interval '1 millisecond' END,
       f.destination_id, f.number
FROM unnest($2::uuid[], $3::integer[], $4::smallint[], $5::bigint[], $6::bigint[])
    AS f (event_id, destination_id, number, wait, claim_id)
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

    /// `TallyFold`; rows: none
    /// - params: $1 how many rows to fold at most int
    /// - index: none: reads what was added since the last time
    static let tallyFold = Statement(
        name: "TallyFold",
        sql: #"""
WITH folded AS (
    DELETE FROM postrider.webhook_tallies
    WHERE ctid = ANY (ARRAY(SELECT ctid FROM postrider.webhook_tallies LIMIT $1 FOR UPDATE SKIP LOCKED))
    RETURNING destination_id, succeeded, failed
)
INSERT INTO postrider.webhook_tallies (destination_id, succeeded, failed)
SELECT destination_id, sum(succeeded), sum(failed) FROM folded GROUP BY destination_id
"""#)

    /// `EventClaim`; rows: one for each event of at most one new claim; none when nothing waits
    /// - params: $1 worker bigint, $2 events wanted int, $3 queue rows looked at int
    /// - index: webhook_queue_pkey, webhook_event_log_pkey; the plan is checked in ClaimPlanTests
    static let eventClaim = Statement(
        name: "EventClaim",
        sql: #"""
WITH picked AS MATERIALIZED (
    SELECT ctid AS tid, 1 + coalesce(cardinality(more), 0) AS events, priority, id
    FROM postrider.webhook_queue
    ORDER BY priority, id
    LIMIT $3
    FOR UPDATE SKIP LOCKED
), chosen AS MATERIALIZED (
    -- A row may hold 64 events: stop at the row that reaches the wanted number. The others are unlocked by the commit.
    SELECT tid FROM (
        SELECT tid, sum(events) OVER (ORDER BY priority, id) - events AS before FROM picked
    ) AS counted
    WHERE before < $2
), taken AS (
    -- The row lock and the DELETE are one statement on one row version, so the ctid cannot have moved.
    DELETE FROM postrider.webhook_queue WHERE ctid = ANY (ARRAY(SELECT tid FROM chosen)) RETURNING id, priority, more
), claim AS (
    INSERT INTO postrider.webhook_claims (worker_id, event_ids)
    SELECT $1, array_agg(e ORDER BY taken.priority, e)
    FROM taken, LATERAL unnest(taken.id || coalesce(taken.more, '{}')) AS u (e)
    HAVING count(*) > 0
    RETURNING id, event_ids
)
-- A payload that is large as stored is left out here and loaded one by one, so that a batch fits into memory.
SELECT claim.id, e.id, e.created_at, e.priority, e.event_type, e.organization_id, e.user_id, e.record_id,
       e.ordering_key, CASE WHEN pg_column_size(e.data) <= 16384 THEN e.data::text END
FROM claim, LATERAL unnest(claim.event_ids) WITH ORDINALITY AS u (id, place)
JOIN postrider.webhook_event_log AS e ON e.id = u.id
ORDER BY u.place
"""#)

    /// `EventPayload`; rows: 0..1
    /// - params: $1 event uuid
    /// - index: webhook_event_log_pkey
    static let eventPayload = Statement(
        name: "EventPayload",
        sql: #"""
SELECT data::text FROM postrider.webhook_event_log WHERE id = $1
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
SELECT destination_id, greatest(0, ceil(extract(epoch FROM due_at - clock_timestamp()) * 1000))::bigint
FROM first WHERE due_at <> 'infinity'
"""#)

    /// `RetryClaim`; rows: one for each due retry of the destinations named, of at most one new claim; oldest due first
    /// - params: $1 worker bigint, $2 destinations int[], $3 how many of each int[]
    /// - index: webhook_retries_due_idx; the plan is checked in ClaimPlanTests
    static let retryClaim = Statement(
        name: "RetryClaim",
        sql: #"""
WITH picked AS MATERIALIZED (
    -- Each destination has its own range of the index, so a million retries of a dead one cost the others nothing.
    SELECT due.tid FROM unnest($2::integer[], $3::integer[]) AS d (id, most), LATERAL (
        SELECT ctid AS tid FROM postrider.webhook_retries
        WHERE destination_id = d.id AND due_at <= clock_timestamp()
        ORDER BY due_at
        LIMIT d.most
        FOR UPDATE SKIP LOCKED
    ) AS due
), taken AS (
    DELETE FROM postrider.webhook_retries WHERE ctid = ANY (ARRAY(SELECT tid FROM picked))
    RETURNING event_id, destination_id, attempt_number, due_at
), claim AS (
    INSERT INTO postrider.webhook_claims (worker_id, event_ids, destination_ids, attempt_numbers)
    SELECT $1, array_agg(event_id ORDER BY due_at, event_id), array_agg(destination_id ORDER BY due_at, event_id),
           array_agg(attempt_number ORDER BY due_at, event_id)
    FROM taken
    HAVING count(*) > 0
    RETURNING id, event_ids, destination_ids, attempt_numbers
)
SELECT claim.id, e.id, e.created_at, e.priority, e.event_type, e.organization_id, e.user_id, e.record_id,
       e.ordering_key, CASE WHEN pg_column_size(e.data) <= 16384 THEN e.data::text END,
       u.destination_id, u.attempt_number
FROM claim,
     LATERAL unnest(claim.event_ids, claim.destination_ids, claim.attempt_numbers)
         WITH ORDINALITY AS u (id, destination_id, attempt_number, place)
JOIN postrider.webhook_event_log AS e ON e.id = u.id
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
           OR has_lock AND heartbeat_at < clock_timestamp() - interval '600 milliseconds'
              AND NOT EXISTS (SELECT FROM pg_catalog.pg_locks
                              WHERE locktype = 'advisory' AND classid = 7742 AND objid = ($2 & 2147483647)::oid
                                AND objsubid = 2 AND granted
                                AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())))
    RETURNING id
), grabbed AS MATERIALIZED (
    SELECT c.id FROM postrider.webhook_claims AS c WHERE c.worker_id IN (SELECT id FROM dead)
    ORDER BY c.id LIMIT $4 FOR UPDATE OF c SKIP LOCKED
)
UPDATE postrider.webhook_claims AS c SET worker_id = $1, claimed_at = clock_timestamp(), rescues = rescues + 1
FROM grabbed WHERE c.id = grabbed.id
RETURNING c.id, c.event_ids, c.destination_ids, c.attempt_numbers, c.rescues
"""#)

    /// `ClaimSweep`; rows: 0..$2 claims that are this worker's now, of workers that are dead or gone
    /// - params: $1 worker bigint, $2 most int
    /// - index: none: claims and workers are few
    static let claimSweep = Statement(
        name: "ClaimSweep",
        sql: #"""
WITH grabbed AS MATERIALIZED (
    -- Finds what a takeover missed: claims committed after its snapshot, more than it took at once, a rescuer that died.
    SELECT c.id FROM postrider.webhook_claims AS c
    WHERE NOT EXISTS (SELECT FROM postrider.webhook_workers AS w WHERE w.id = c.worker_id AND w.alive)
    ORDER BY c.id LIMIT $2 FOR UPDATE OF c SKIP LOCKED
)
UPDATE postrider.webhook_claims AS c SET worker_id = $1, claimed_at = clock_timestamp(), rescues = rescues + 1
FROM grabbed WHERE c.id = grabbed.id
RETURNING c.id, c.event_ids, c.destination_ids, c.attempt_numbers, c.rescues
"""#)

    /// `EventLoad`; rows: one for each of the events that still exists, in the order given
    /// - params: $1 events uuid[]
    /// - index: webhook_event_log_pkey
    static let eventLoad = Statement(
        name: "EventLoad",
        sql: #"""
SELECT e.id, e.created_at, e.priority, e.event_type, e.organization_id, e.user_id, e.record_id,
       e.ordering_key, CASE WHEN pg_column_size(e.data) <= 16384 THEN e.data::text END
FROM unnest($1::uuid[]) WITH ORDINALITY AS u (id, place)
JOIN postrider.webhook_event_log AS e ON e.id = u.id
ORDER BY u.place
"""#)

    /// `DeliverySettled`; rows: deliveries of these events whose state is already recorded, with their highest attempt
    /// - params: $1 events uuid[]
    /// - index: webhook_attempts_delivery_idx, webhook_retries_pkey, webhook_dead_letters_pkey
    /// - Attempts with outcome 3 changed no state, so they settle nothing.
    static let deliverySettled = Statement(
        name: "DeliverySettled",
        sql: #"""
SELECT event_id, destination_id, max(attempt_number)::smallint FROM (
    SELECT a.event_id, a.destination_id, a.attempt_number
    FROM unnest($1::uuid[]) AS u (id) JOIN postrider.webhook_attempts AS a ON a.event_id = u.id WHERE a.outcome <= 2
    UNION ALL
    SELECT r.event_id, r.destination_id, r.attempt_number
    FROM unnest($1::uuid[]) AS u (id) JOIN postrider.webhook_retries AS r ON r.event_id = u.id
    UNION ALL
    SELECT l.event_id, l.destination_id, l.attempts
    FROM unnest($1::uuid[]) AS u (id) JOIN postrider.webhook_dead_letters AS l ON l.event_id = u.id
) AS settled
GROUP BY event_id, destination_id
"""#)

    /// `RoutingVersion`; rows: 1
    /// - params: none
    /// - index: webhook_routing_pkey
    static let routingVersion = Statement(
        name: "RoutingVersion",
        sql: #"""
SELECT version FROM postrider.webhook_routing
"""#)

    /// `DestinationLoad`; rows: all destinations that are not deleted
    /// - params: none
    /// - index: none: read whole
    static let destinationLoad = Statement(
        name: "DestinationLoad",
        sql: #"""
SELECT id, public_id, kind, name, url, event_types, profile, organization_id, user_id, is_active,
       ARRAY(SELECT h.key FROM jsonb_each_text(headers) AS h ORDER BY h.key),
       ARRAY(SELECT h.value FROM jsonb_each_text(headers) AS h ORDER BY h.key),
       max_attempts, base_delay_ms, delay_factor, max_delay_ms, jitter, delays_ms, timeout_ms, final_statuses,
       max_concurrency, keep_response_bytes
FROM postrider.webhook_destinations
WHERE deleted_at IS NULL
ORDER BY id
"""#)

    /// `SecretLoad`; rows: all secrets that sign now, newest first for each destination
    /// - params: none
    /// - index: webhook_secrets_pkey
    static let secretLoad = Statement(
        name: "SecretLoad",
        sql: #"""
SELECT s.destination_id, s.secret FROM postrider.webhook_secrets AS s
JOIN postrider.webhook_destinations AS d ON d.id = s.destination_id AND d.deleted_at IS NULL
WHERE s.expires_at IS NULL OR s.expires_at > clock_timestamp()
ORDER BY s.destination_id, s.version DESC
"""#)

    /// `DestinationDisable`; rows: none
    /// - params: $1 destination int, $2 reason text
    /// - index: webhook_destinations_pkey
    static let destinationDisable = Statement(
        name: "DestinationDisable",
        sql: #"""
UPDATE postrider.webhook_destinations SET is_active = false, inactive_reason = $2, updated_at = clock_timestamp()
WHERE id = $1 AND is_active
"""#)

    /// `WorkerRegister`; rows: 1, the new worker's id
    /// - params: $1 host text, $2 process id int, $3 version text
    /// - index: webhook_workers_pkey
    static let workerRegister = Statement(
        name: "WorkerRegister",
        sql: #"""
INSERT INTO postrider.webhook_workers (host, process_id, version) VALUES ($1, $2, $3) RETURNING id
"""#)

    /// `WorkerLock`; rows: 1, whether the lock was taken
    /// - params: $1 worker bigint
    /// - index: webhook_workers_pkey
    /// - Held by the session of the control connection: it goes when the process dies, long before the lease runs out.
    static let workerLock = Statement(
        name: "WorkerLock",
        sql: #"""
WITH locked AS MATERIALIZED (SELECT pg_catalog.pg_try_advisory_lock(7742, ($1 & 2147483647)::integer) AS taken)
UPDATE postrider.webhook_workers SET has_lock = locked.taken FROM locked WHERE id = $1 RETURNING has_lock
"""#)

    /// `WorkerHeartbeat`; rows: 1 with the version of the routing; none when the worker was declared dead
    /// - params: $1 worker bigint
    /// - index: webhook_workers_pkey
    static let workerHeartbeat = Statement(
        name: "WorkerHeartbeat",
        sql: #"""
UPDATE postrider.webhook_workers
SET heartbeat_at = clock_timestamp(), lease_until = clock_timestamp() + interval '1500 milliseconds'
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
       OR w.has_lock AND w.heartbeat_at < clock_timestamp() - interval '600 milliseconds'
          AND NOT EXISTS (SELECT FROM pg_catalog.pg_locks AS l
                          WHERE l.locktype = 'advisory' AND l.classid = 7742
                            AND l.objid = (w.id & 2147483647)::oid AND l.objsubid = 2 AND l.granted
                            AND l.database = (SELECT oid FROM pg_catalog.pg_database
                                              WHERE datname = current_database())))
"""#)

    /// `WorkerFarewell`; rows: none
    /// - params: $1 worker bigint
    /// - index: webhook_workers_pkey
    /// - What it still holds is found by the next sweep.
    static let workerFarewell = Statement(
        name: "WorkerFarewell",
        sql: #"""
UPDATE postrider.webhook_workers SET alive = false, epoch = epoch + 1, lease_until = clock_timestamp()
WHERE id = $1 AND alive
"""#)

    /// `WorkerPrune`; rows: none
    /// - params: none
    /// - index: none: workers are few
    /// - A worker's row must stay while claims name it, or the sweep could not tell whose they were.
    static let workerPrune = Statement(
        name: "WorkerPrune",
        sql: #"""
DELETE FROM postrider.webhook_workers AS w
WHERE NOT w.alive AND w.heartbeat_at < clock_timestamp() - interval '7 days'
  AND NOT EXISTS (SELECT FROM postrider.webhook_claims AS c WHERE c.worker_id = w.id)
"""#)

    /// `ServerUptime`; rows: 1, whether the server has been up for 5 seconds
    /// - params: none
    /// - index: none
    static let serverUptime = Statement(
        name: "ServerUptime",
        sql: #"""
SELECT clock_timestamp() - pg_catalog.pg_postmaster_start_time() > interval '5 seconds'
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
