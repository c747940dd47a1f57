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
