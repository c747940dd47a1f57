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
