-- Claiming: how a worker takes work, finishes it, and takes it over from the dead.

-- name: EventClaim   rows: one for each event of at most one new claim that was read, then one for each that was not, with its id
--         alone (e.created_at is null); in no order within the two. Events that are gone have no row; a claim of nothing else
--         has one without an id. None when nothing waits
-- params: $1 worker bigint, $2 events wanted int, $3 queue rows looked at int, then one element for each priority, in the
--         order in which they are served: $4 ids from which on to look uuid[], $5 priorities smallint[]; then the first and
--         the last id of which to read the event: $6 uuid, $7 uuid
-- index: webhook_queue_pkey, webhook_event_log_pkey, webhook_workers_pkey; the plan is checked in ClaimPlanTests
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
FROM claim, LATERAL unnest(claim.event_ids) AS u (id) WHERE u.id NOT BETWEEN $6 AND $7;

-- name: OrderLock   rows: 1
-- params: none
-- index: none
-- First in every transaction that puts events of ordering keys in line or ends their turn, for as long as it lasts.
SELECT pg_advisory_xact_lock(7746, 1);

-- name: OrderEnroll   rows: one for each delivery that must wait behind an earlier event of its key
-- params: $1 worker bigint
-- index: webhook_destinations_ordered_idx, webhook_event_log_pkey
-- Directly behind EventClaim, under OrderLock: what was claimed is put in line in the order of ids. Who is first of its
-- key is not among the rows and is sent with the claim.
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
SELECT event_id, destination_id FROM waiting;

-- name: OrderRelease   rows: 1: how many deliveries are due now
-- params: one element for each delivery whose turn ends: $1 destinations int[], $2 ordering keys text[], $3 events uuid[]
-- index: none of its own: the function probes the keys, and their lines by key and event
SELECT postrider.release_keys($1::integer[], $2::text[], $3::uuid[]);

-- name: RateTake   rows: one for each destination: how many requests may be sent now, milliseconds until the next may
-- params: one element for each destination, ascending: $1 destinations int[], $2 wanted int[], $3 requests a second
--         float8[], $4 burst float8[]
-- index: none: inserts by the key
-- A token bucket by the database's clock; who comes second waits for the row and sees what is left. Nothing is refilled
-- before the clock reaches the last time again, unless it went back by more than a minute: then from now on.
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
RETURNING destination_id, granted, ceil(greatest(0, 1 - tokens) / per_second * 1000)::bigint;

-- name: EventPayload   rows: 0..1: the payload as text, null for a larger one
-- params: $1 event uuid, $2 most bytes as jsonb, uncompressed int
-- index: webhook_event_log_pkey
-- What is too large is not even printed: that takes as long as it is large, and fails behind 1 GB. An array takes a value as it
-- is without being compressed.
SELECT CASE WHEN pg_column_size(data) <= $2 AND (pg_column_compression(data) IS NULL OR pg_column_size(ARRAY[data]) <= $2)
            THEN data::text END
FROM postrider.webhook_event_log WHERE id = $1;

-- name: RetryPeek   rows: one for each destination that has retries, with the milliseconds until its first is due
-- params: none
-- index: webhook_retries_due_idx, read by jumping from one destination to the next
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
FROM first WHERE due_at <> 'infinity';

-- name: RetryClaim   rows: one for each due retry of the destinations named, of at most one new claim; oldest due first
-- params: $1 worker bigint, $2 destinations int[], $3 how many of each int[], then as for EventClaim the first and the last
--         id of which to read the event: $4 uuid, $5 uuid
-- index: webhook_retries_due_idx, webhook_event_log_pkey, webhook_workers_pkey; the plan is checked in ClaimPlanTests
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
ORDER BY u.place;

-- name: ClaimFinish   rows: the claims that were still this worker's
-- params: $1 worker bigint, $2 claims bigint[]
-- index: webhook_claims_pkey
DELETE FROM postrider.webhook_claims WHERE id = ANY ($2) AND worker_id = $1 RETURNING id;

-- name: ClaimShrink   rows: none
-- params: $1 worker bigint, then one element for each delivery that is left: $2 claims bigint[], $3 events uuid[],
--         $4 destinations int[], $5 attempt numbers smallint[], $6 whether each is a replay boolean[]
-- index: webhook_claims_pkey
-- Most of the batch is recorded and a few deliveries take long: the claim is cut down to these.
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
WHERE c.id = rest.claim_id AND c.id = ANY ($2) AND c.worker_id = $1;

-- name: ClaimTakeOver   rows: 0..$4 claims that are this worker's now
-- params: $1 worker bigint, $2 dead worker bigint, $3 epoch it was seen with int, $4 most int
-- index: webhook_workers_pkey; claims are few, one for each batch in flight
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
RETURNING c.id, c.event_ids, c.destination_ids, c.attempt_numbers, c.are_replays, c.rescues;

-- name: ClaimSweep   rows: 0..$2 claims that are this worker's now, of workers that are dead or gone
-- params: $1 worker bigint, $2 most int
-- index: none: claims and workers are few
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
RETURNING c.id, c.event_ids, c.destination_ids, c.attempt_numbers, c.are_replays, c.rescues;

-- name: ClaimIsolate   rows: none
-- params: none
-- index: none: claims and workers are few
-- An event may kill every worker that touches it. A claim that three workers died of (the third is not in rescues yet) is cut
-- into pieces of 32, one that four died of into single events, so that the culprit is found and the others get through.
-- Worker 0 never lives.
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
ORDER BY s.id, min(u.place);

-- name: ClaimSuspect   rows: 0..1 claims that are this worker's now, of which at least two workers have died
-- params: $1 worker bigint
-- index: none: claims and workers are few
-- One at a time: if this worker dies too, it is known of what. Those that fewer died of come first.
WITH grabbed AS MATERIALIZED (
    SELECT c.id FROM postrider.webhook_claims AS c
    WHERE c.rescues >= 2 AND cardinality(c.event_ids) <= CASE c.rescues WHEN 2 THEN 32 ELSE 1 END
      AND (SELECT w.alive FROM postrider.webhook_workers AS w WHERE w.id = c.worker_id) IS NOT TRUE
      AND NOT EXISTS (SELECT FROM postrider.webhook_claims AS mine WHERE mine.worker_id = $1 AND mine.rescues > 2)
    ORDER BY c.rescues, c.id LIMIT 1 FOR UPDATE OF c SKIP LOCKED
)
UPDATE postrider.webhook_claims AS c SET worker_id = $1, claimed_at = clock_timestamp(), rescues = rescues + 1
FROM grabbed WHERE c.id = grabbed.id
RETURNING c.id, c.event_ids, c.destination_ids, c.attempt_numbers, c.are_replays, c.rescues;

-- name: ClaimForgotten   rows: claims of this worker that it does not know
-- params: $1 worker bigint, $2 known claims bigint[], $3 at least so old interval
-- index: none: claims are few
-- A claim whose answer was lost with the connection: its worker lives, so nobody else would ever take it over.
SELECT id, event_ids, destination_ids, attempt_numbers, are_replays, rescues FROM postrider.webhook_claims
WHERE worker_id = $1 AND NOT id = ANY ($2) AND claimed_at <= clock_timestamp() - $3::interval;

-- name: EventLoad   rows: one for each of the events that still exists, in the order given
-- params: $1 events uuid[]
-- index: webhook_event_log_pkey
SELECT e.id, e.created_at, e.priority, e.event_type, e.organization_id, e.user_id, e.record_id,
       e.ordering_key, postrider.claimed_payload(e.data)
FROM unnest($1::uuid[]) WITH ORDINALITY AS u (id, place),
     LATERAL (SELECT * FROM postrider.webhook_event_log AS l WHERE l.id = u.id OFFSET 0) AS e
ORDER BY u.place;

-- name: DeliverySettled   rows: deliveries of these events that their claim need not make, with their highest attempt
-- params: $1 events uuid[], $2 the claim that they are in bigint
-- index: webhook_attempts_delivery_idx, webhook_retries_pkey, webhook_dead_letters_pkey; claims are few
-- Attempts with outcome 3 changed no state, so they settle nothing. What was put back while a first fan-out went on, or
-- waited in line, is a retry that another claim may hold by now: sent twice it could come behind what waits for it. Of two
-- claims of retries neither is asked for the other, so that they can never leave a delivery to each other.
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
GROUP BY event_id, destination_id;
