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
