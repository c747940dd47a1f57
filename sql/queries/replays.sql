-- Replays and dead letters, as the command line asks and orders them: JSON documents in and out as in administration.sql,
-- but for what a driver of a replay sends, batch after batch.

-- name: ReplayPlan   rows: 1: how many deliveries a replay would send, how many it cannot: no payload any more; its criteria
-- params: $1 the criteria of postrider.replay_plan jsonb
-- index: webhook_attempts_delivery_idx, webhook_dead_letters_pkey or webhook_event_log_pkey, within the function
SELECT jsonb_build_object('count', c.count, 'without_payload', c.without_payload, 'criteria', (c.plan).criteria,
    'rate', (c.plan).per_second, 'endpoint', d.name, 'is_inactive', NOT d.is_active,
    'filter', CASE WHEN (c.plan).what = 'backfill' THEN (d.options -> 'filter')::text END)::text
FROM postrider.count_replay($1::jsonb) AS c
LEFT JOIN postrider.webhook_destinations AS d ON d.id = (c.plan).destination_id;

-- name: ReplayStart   rows: 1
-- params: $1 {"criteria", "planned"} jsonb
-- index: none
SELECT jsonb_build_object('id', postrider.start_replay($1::jsonb -> 'criteria', ($1::jsonb ->> 'planned')::bigint))::text;

-- name: ReplayBatch   rows: 1: deliveries scheduled int, the replay's state, milliseconds to wait bigint
-- params: $1 replay bigint, $2 most int
-- index: as ReplayPlan
SELECT scheduled, replay_state, wait_ms FROM postrider.replay_batch($1, $2);

-- name: ReplayNext   rows: 1, locked until the end of the transaction; with the payload filter of a backfill's destination as it is now
-- params: $1 replay bigint, $2 most int
-- index: as ReplayPlan
SELECT state, wait_ms, events, destinations, attempts, without_payload, done_event, done_destination, is_last,
       (SELECT (d.options -> 'filter')::text
        FROM postrider.webhook_replays AS r JOIN postrider.webhook_destinations AS d ON d.id = r.destination_id
        WHERE r.id = $1 AND r.what = 'backfill')
FROM postrider.replay_next($1, $2);

-- name: ReplaySchedule   rows: 1, as ReplayBatch
-- params: $1 replay bigint, then of what ReplayNext gave, without what a filter left out: $2 events uuid[],
--         $3 destinations int[], $4 attempt numbers smallint[]; $5 without payload int, $6 left out by the filter int,
--         $7 the place: event uuid, $8 destination int, $9 whether it is the last boolean
-- index: webhook_event_log_pkey, webhook_retries_pkey, within the function
SELECT scheduled, replay_state, wait_ms FROM postrider.replay_schedule($1, $2, $3, $4, $5, $6, $7, $8, $9);

-- name: ReplayList   rows: replays, newest first; one when id is given
-- params: $1 {"id", "limit"} jsonb
-- index: webhook_replays_pkey
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
LIMIT ($1::jsonb ->> 'limit')::bigint;

-- name: ReplaySwitch   rows: 0..1, with the state before
-- params: $1 {"id", "state": running, paused or cancelled, "rate": number or null} jsonb
-- index: webhook_replays_pkey
-- What has ended stays as it is, but that what failed may be tried again: replay_next looks whether it can go on.
UPDATE postrider.webhook_replays AS r
SET state = CASE WHEN b.turns THEN $1::jsonb ->> 'state' ELSE r.state END,
    per_second = CASE WHEN b.turns THEN coalesce(($1::jsonb ->> 'rate')::float8, r.per_second) ELSE r.per_second END,
    ended_at = CASE WHEN NOT b.turns THEN r.ended_at WHEN $1::jsonb ->> 'state' = 'cancelled' THEN clock_timestamp() END,
    error = CASE WHEN NOT b.turns THEN r.error END
FROM (SELECT id, state, state IN ('running', 'paused') OR state = 'failed' AND $1::jsonb ->> 'state' = 'running' AS turns
      FROM postrider.webhook_replays WHERE id = ($1::jsonb ->> 'id')::bigint FOR UPDATE) AS b
WHERE r.id = b.id
RETURNING jsonb_build_object('id', r.id, 'state', r.state, 'before', b.state, 'scheduled', r.scheduled,
    'planned', r.planned)::text;

-- name: DeadLetterList   rows: dead letters, newest first
-- params: $1 {"endpoint", "type", "failure", "since_s", "limit", "archived": bool, "critical": bool} jsonb
-- index: none: dead letters are read whole
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
LIMIT ($1::jsonb ->> 'limit')::bigint;

-- name: DeadLetterShow   rows: 0..1, with its attempts and how its destination is doing
-- params: $1 {"id": uuid of the delivery} jsonb
-- index: webhook_dead_letters_pkey, webhook_attempts_delivery_idx
-- A delivery's id begins with the first 8 bytes of its event's id.
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
  AND postrider.delivery_id(l.event_id, l.destination_id) = ($1::jsonb ->> 'id')::uuid;

-- name: DeadLetterArchive   rows: 1, how many were archived, or would be, and how many critical ones were left alone
-- params: $1 {"id", "endpoint", "type", "failure", "older_s", "critical": bool, "dry_run": bool} jsonb
-- index: webhook_dead_letters_pkey for one; several read all dead letters
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
    'critical_left', (SELECT count(*) FROM wanted) - (SELECT count(*) FROM chosen))::text;
