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
