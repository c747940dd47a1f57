-- The registry of workers: who lives, who is to be rescued.

-- name: WorkerRegister   rows: 1, the new worker's id
-- params: $1 host text, $2 process id int, $3 version text
-- index: none: append only
INSERT INTO postrider.webhook_workers (host, process_id, version) VALUES ($1, $2, $3) RETURNING id;

-- name: WorkerLock   rows: 1, whether the lock was taken
-- params: $1 worker bigint
-- index: webhook_workers_pkey
-- Held by the sessions of the control connection and of the work connection: both go when the process dies, long before
-- the lease runs out, and one of them stays when only the other is lost.
WITH locked AS MATERIALIZED (SELECT pg_catalog.pg_try_advisory_lock_shared(7742, ($1 & 2147483647)::integer) AS taken)
UPDATE postrider.webhook_workers SET has_lock = locked.taken FROM locked WHERE id = $1 RETURNING has_lock;

-- name: WorkSettings   rows: 1
-- params: $1 whether they hold for this transaction only boolean: behind a pooler, whose sessions are shared
-- index: none
-- A commit of a worker need not reach the disk: after a crash of Postgres the lost claims are in the queue again and the
-- lost outcomes are delivered again, and nothing else happens. Plans must follow the indexes whatever the statistics of a
-- queue that was empty a moment ago say. A plan for any parameters is kept, where a session is kept: with many weeks in the
-- log Postgres would plan each claim anew, because plans with fewer weeks look so much cheaper, and take longer for that
-- than for the claim.
SELECT set_config('synchronous_commit', 'off', $1), set_config('enable_seqscan', 'off', $1),
       set_config('enable_bitmapscan', 'off', $1), set_config('jit', 'off', $1),
       set_config('plan_cache_mode', CASE WHEN $1 THEN 'auto' ELSE 'force_generic_plan' END, $1);

-- name: SessionNature   rows: 1: the id of the server process, whether the server is a standby
-- params: none
-- index: none
SELECT pg_catalog.pg_backend_pid(), pg_catalog.pg_is_in_recovery();

-- name: ProbeNotify   rows: 1
-- params: $1 channel text, on which only the asker listens
-- index: none
SELECT pg_catalog.pg_notify($1, '');

-- name: WorkerHeartbeat   rows: 1 with the version of the routing; none when the worker was declared dead
-- params: $1 worker bigint, $2 requests, $3 connections opened, $4 reused, $5 TLS handshakes, $6 of them resumed bigint
-- index: webhook_workers_pkey
-- The counts ride along: the row is written anyway.
UPDATE postrider.webhook_workers
SET heartbeat_at = clock_timestamp(), lease_until = clock_timestamp() + interval '1500 milliseconds',
    requests = $2, connections_opened = $3, connections_reused = $4, tls_handshakes = $5, tls_resumed = $6
WHERE id = $1 AND alive
RETURNING (SELECT version FROM postrider.webhook_routing);

-- name: WorkerWatch   rows: the other workers that seem dead, with their epoch
-- params: $1 worker bigint
-- index: none: workers are few
SELECT w.id, w.epoch FROM postrider.webhook_workers AS w
WHERE w.alive AND w.id <> $1
  AND (w.lease_until < clock_timestamp()
       OR w.has_lock AND w.heartbeat_at < clock_timestamp() - interval '300 milliseconds'
          AND NOT EXISTS (SELECT FROM pg_catalog.pg_locks AS l
                          WHERE l.locktype = 'advisory' AND l.classid = 7742
                            AND l.objid = (w.id & 2147483647)::oid AND l.objsubid = 2 AND l.granted
                            AND l.database = (SELECT oid FROM pg_catalog.pg_database
                                              WHERE datname = current_database())));

-- name: WorkerFarewell   rows: none
-- params: $1 worker bigint, $2 to $6 the counts of WorkerHeartbeat bigint
-- index: webhook_workers_pkey
-- What it still holds is found by the next sweep.
UPDATE postrider.webhook_workers
SET alive = false, epoch = epoch + 1, lease_until = clock_timestamp(),
    requests = $2, connections_opened = $3, connections_reused = $4, tls_handshakes = $5, tls_resumed = $6
WHERE id = $1 AND alive;

-- name: WorkerPrune   rows: none
-- params: none
-- index: none: workers are few
-- A worker's row must stay while claims name it, or the sweep could not tell whose they were.
WITH pruned AS (
    DELETE FROM postrider.webhook_workers AS w
    WHERE NOT w.alive AND w.heartbeat_at < clock_timestamp() - interval '7 days'
      AND NOT EXISTS (SELECT FROM postrider.webhook_claims AS c WHERE c.worker_id = w.id)
    RETURNING w.id
)
DELETE FROM postrider.webhook_settlements WHERE worker_id IN (SELECT id FROM pruned);

-- name: ServerUptime   rows: 1, whether the server has been up for 5 seconds, and was no standby within the last hour
-- params: none
-- index: none
-- When a standby was promoted it does not tell, and it may have been up for weeks; but what it replayed last goes on standing
-- there, of the time when it lost its primary. A server that was started as none has nothing there.
SELECT clock_timestamp() - pg_catalog.pg_postmaster_start_time() > interval '5 seconds'
       AND coalesce(clock_timestamp() - pg_catalog.pg_last_xact_replay_timestamp() > interval '1 hour', true);

-- name: BellHear   rows: 1
-- params: none
-- index: none
-- Behind LISTEN, for as long as the session lives: while no worker holds it, producers do not notify. They hold it alone for
-- a moment when they ask, so this waits for it.
SELECT pg_catalog.pg_advisory_lock_shared(7741, 2);

-- name: BellHold   rows: 1, whether the bell is held now
-- params: none
-- index: none
-- While any worker holds it, producers do not notify.
SELECT pg_catalog.pg_try_advisory_lock_shared(7741, 1);

-- name: BellRelease   rows: 1
-- params: none
-- index: none
SELECT pg_catalog.pg_advisory_unlock_shared(7741, 1);

-- name: BellRelay   rows: 1, whether somebody else looks after the queue, now or in a moment
-- params: $1 worker bigint, which holds the bell
-- index: none: workers and locks are few
-- When another worker holds the bell too, the asker may let go of it. Otherwise the next living worker is told to hold it, in
-- the order of ids and after the last the first: the work of a moment goes to one worker, and that of a second to all.
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
SELECT holders.number > 1 OR (SELECT count(*) FROM told) > 0 FROM holders;

-- name: PartitionsEnsure   rows: 1, how many partitions were made
-- params: none
-- index: none
-- One worker is enough; whoever finds the lock taken leaves it to the other.
SELECT CASE WHEN pg_catalog.pg_try_advisory_xact_lock(7743, 1) THEN postrider.ensure_partitions() ELSE 0 END;
