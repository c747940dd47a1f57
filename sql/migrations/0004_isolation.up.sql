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
