-- Breakers: what workers tell each other about destinations that fail. Aside from the road of events.

-- name: BreakerReport   rows: one for each destination that is there at its URL: whether it is told of, whether it has failed for
--         as long as it may
-- params: one element for each destination: $1 destinations int[], $2 whether the breaker opens boolean[],
--         $3 pauses asked for in ms bigint[] (0 for none), $4 for how long it has failed in ms bigint[], $5 failures text[],
--         $6 the URLs that failed text[]
-- index: webhook_breakers_pkey, webhook_destinations_pkey
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
LEFT JOIN told ON told.destination_id = d.id;

-- name: BreakerDisable   rows: one for each destination that was made inactive
-- params: $1 destinations int[] that have failed for as long as they may
-- index: webhook_destinations_pkey, webhook_breakers_pkey
-- A statement of its own, which gives up soon (55P03): whoever changes any destination holds the version of all until the commit.
UPDATE postrider.webhook_destinations AS d
SET is_active = false, updated_at = clock_timestamp(),
    inactive_reason = 'nothing but failure since '
        || to_char(b.failing_since AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') || ' UTC'
FROM postrider.webhook_breakers AS b, (SELECT set_config('postrider.actor', 'worker', true), set_config('lock_timeout', '200ms', true)) AS said
WHERE d.id = ANY ($1) AND b.destination_id = d.id AND d.is_active AND d.disable_after_s > 0
  AND b.failing_since < clock_timestamp() - d.disable_after_s * interval '1 second'
RETURNING d.id;

-- name: BreakerClose   rows: those of which somebody holds the row: nobody waits for them, and they are to be told again
-- params: $1 destinations int[]
-- index: webhook_breakers_pkey
WITH free AS MATERIALIZED (
    SELECT b.destination_id AS id FROM postrider.webhook_breakers AS b WHERE b.destination_id = ANY ($1::integer[])
    FOR UPDATE OF b SKIP LOCKED
), gone AS (
    DELETE FROM postrider.webhook_breakers AS b USING free WHERE b.destination_id = free.id RETURNING b.destination_id AS id
)
SELECT b.destination_id FROM postrider.webhook_breakers AS b
WHERE b.destination_id = ANY ($1::integer[]) AND NOT EXISTS (SELECT FROM gone WHERE gone.id = b.destination_id);

-- name: BreakerLook   rows: all breakers: how long each is closed to deliveries, its trips, whether this worker may probe it from
--         now on, whether it was told so before and still may
-- params: $1 worker bigint; $2 destinations int[] to which it cannot send, null when it can send to none
-- index: webhook_retries_due_idx; breakers are few: read whole
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
FROM postrider.webhook_breakers AS b LEFT JOIN probe ON probe.destination_id = b.destination_id;
