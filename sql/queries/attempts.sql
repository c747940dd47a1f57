-- Recording: what became of deliveries. Always sent together with the finished claims, in one transaction.

-- name: SettlementBegin   rows: 1; raises WH001 when the settlement is recorded already
-- params: $1 worker bigint, $2 number bigint, higher than that of the worker's settlements before, then one of its
--         attempts, all null when it holds none: $3 event uuid, $4 destination int, $5 attempt number smallint,
--         $6 duration in µs int
-- index: none of its own: the function probes the attempts by event and destination, or the settlements by worker
SELECT postrider.begin_settlement($1, $2, $3::uuid, $4::integer, $5::smallint, $6::integer);

-- name: SettlementKeep   rows: 1
-- params: none
-- index: none
-- For this transaction alone the commit waits for the disk: a crash of Postgres must not take what is not told again.
SELECT set_config('synchronous_commit', 'on', true);

-- name: AttemptRecordDelivered   rows: none
-- params: $1 worker bigint, then one element for each attempt: $2 events uuid[], $3 destinations int[],
--         $4 attempt numbers smallint[], $5 statuses smallint[], $6 durations in µs int[], $7 ages in µs int[],
--         $8 response bodies text[] with nulls
-- index: webhook_workers_pkey, once for all of them
-- Not fenced: the receiver did get the request, whoever holds the claim now. But of a worker that is dead nobody waits to hear what
-- was answered: the person of the event may have been erased meanwhile. Who dies while this runs is waited for by erasures.
INSERT INTO postrider.webhook_attempts (event_id, attempted_at, worker_id, destination_id, duration_us, attempt_number,
                                        outcome, status_code, response_body)
SELECT f.event_id, clock_timestamp() - f.age * interval '1 microsecond', $1, f.destination_id, f.duration, f.number,
       0, f.status, CASE WHEN (SELECT w.alive FROM postrider.webhook_workers AS w WHERE w.id = $1) THEN f.body END
FROM unnest($2::uuid[], $3::integer[], $4::smallint[], $5::smallint[], $6::integer[], $7::integer[], $8::text[])
    AS f (event_id, destination_id, number, status, duration, age, body);

-- name: AttemptRecordFailed   rows: one: how many were recorded, how many retries and dead letters they made
-- params: $1 worker bigint, then one element for each attempt: $2 events uuid[], $3 destinations int[],
--         $4 attempt numbers smallint[], $5 statuses smallint[] with nulls, $6 durations in µs int[],
--         $7 ages in µs int[], $8 response bodies text[] with nulls, $9 failures text[], $10 error messages text[],
--         $11 waits in ms bigint[]: null for a dead letter, -1 to park, -2 for nothing more, $12 claims bigint[],
--         $13 budgets smallint[] with nulls: a dead letter is none while fewer attempts than that counted,
--         $14 then its waits in ms bigint[] with nulls
-- index: webhook_claims_pkey
-- For a dead letter with a budget a function probes the attempts by event and destination, once.
WITH held AS MATERIALIZED (
    -- The fence: only claims that are still this worker's, locked until the commit, may change a delivery's state.
    SELECT id FROM postrider.webhook_claims WHERE id = ANY ($12) AND worker_id = $1 ORDER BY id FOR UPDATE
), facts AS MATERIALIZED (
    SELECT f.*, n.wait, held.id IS NOT NULL AS is_held,
           CASE WHEN n.wait = -1 THEN 'infinity' WHEN n.wait >= 0 THEN clock_timestamp() + n.wait * interval '1 millisecond'
           END AS due_at
    FROM unnest($2::uuid[], $3::integer[], $4::smallint[], $5::smallint[], $6::integer[], $7::integer[], $8::text[],
                $9::text[], $10::text[], $11::bigint[], $12::bigint[], $13::smallint[], $14::bigint[])
        AS f (event_id, destination_id, number, status, duration, age, body, failure, message, planned, claim_id, budget, grace)
    LEFT JOIN held ON held.id = f.claim_id,
    LATERAL (SELECT CASE WHEN f.planned IS NULL AND f.number >= f.budget
                              AND f.number - postrider.uncounted_attempts(f.event_id, f.destination_id) < f.budget
                         THEN f.grace ELSE f.planned END AS wait OFFSET 0) AS n
), attempt AS (
    INSERT INTO postrider.webhook_attempts (event_id, attempted_at, worker_id, destination_id, duration_us,
                                            attempt_number, outcome, status_code, failure, error_message,
                                            response_body, next_retry_at)
    SELECT event_id, clock_timestamp() - age * interval '1 microsecond', $1, destination_id, duration, number,
           CASE WHEN NOT is_held THEN 3 WHEN wait = -2 THEN 4 WHEN wait IS NULL THEN 2 ELSE 1 END, status, failure,
           -- What was answered may name a person who was erased since the claim was lost.
           CASE WHEN is_held THEN message ELSE 'told by a worker that had lost its claim' END, CASE WHEN is_held THEN body END,
           CASE WHEN is_held THEN due_at END
    FROM facts
    RETURNING 1
), retry AS (
    INSERT INTO postrider.webhook_retries (event_id, due_at, destination_id, attempt_number)
    SELECT event_id, due_at, destination_id, number + 1 FROM facts WHERE is_held AND wait >= -1
    ON CONFLICT (event_id, destination_id) DO NOTHING
    RETURNING 1
), letter AS (
    INSERT INTO postrider.webhook_dead_letters (event_id, destination_id, attempts, failure, error_message,
                                                is_critical, replays, archived_at)
    -- ON CONFLICT cannot change one row twice in a statement, so a pair that stands here twice counts once.
    SELECT d.event_id, d.destination_id, d.number, d.failure, d.message, m.is_critical, m.replays, m.archived_at
    FROM (SELECT DISTINCT ON (event_id, destination_id) event_id, destination_id, number, failure, message
          FROM facts WHERE is_held AND wait IS NULL ORDER BY event_id, destination_id, number DESC) AS d,
         LATERAL postrider.dead_letter_marks(d.event_id, d.destination_id) AS m
    ON CONFLICT (event_id, destination_id) DO UPDATE
        SET dead_at = excluded.dead_at, attempts = excluded.attempts, failure = excluded.failure,
            error_message = excluded.error_message, is_critical = excluded.is_critical, replays = excluded.replays,
            archived_at = excluded.archived_at
    RETURNING 1
)
SELECT (SELECT count(*) FROM attempt), (SELECT count(*) FROM retry), (SELECT count(*) FROM letter);

-- name: DeliverySnooze   rows: none
-- params: $1 worker bigint, then one element for each delivery: $2 events uuid[], $3 destinations int[],
--         $4 attempt numbers smallint[], $5 waits in ms bigint[] (-1 to park), $6 claims bigint[], $7 whether each is a
--         replay boolean[]
-- index: webhook_claims_pkey
-- Puts deliveries back that were not attempted: their attempt number stays, and replays stay behind first attempts.
WITH held AS MATERIALIZED (
    SELECT id FROM postrider.webhook_claims WHERE id = ANY ($6) AND worker_id = $1 ORDER BY id FOR UPDATE
)
INSERT INTO postrider.webhook_retries (event_id, due_at, destination_id, attempt_number, is_replay)
SELECT f.event_id,
       CASE f.wait WHEN -1 THEN 'infinity' ELSE clock_timestamp() + f.wait * interval '1 millisecond' END,
       f.destination_id, f.number, f.is_replay
FROM unnest($2::uuid[], $3::integer[], $4::smallint[], $5::bigint[], $6::bigint[], $7::boolean[])
    AS f (event_id, destination_id, number, wait, claim_id, is_replay)
JOIN held ON held.id = f.claim_id
ON CONFLICT (event_id, destination_id) DO NOTHING;

-- name: TallyAdd   rows: none
-- params: one element for each destination: $1 destinations int[], $2 succeeded bigint[], $3 failed bigint[]
-- index: none: append only
INSERT INTO postrider.webhook_tallies (destination_id, succeeded, failed)
SELECT * FROM unnest($1::integer[], $2::bigint[], $3::bigint[]);

-- name: TallyFold   rows: 1: how many rows were folded into one for each destination
-- params: $1 how many rows to fold at most int
-- index: none: reads what was added since the last time
WITH many AS MATERIALIZED (
    -- A row that stands alone is what folding makes: with many destinations a fold would do nothing else.
    SELECT destination_id FROM postrider.webhook_tallies GROUP BY destination_id HAVING count(*) > 1
), folded AS (
    DELETE FROM postrider.webhook_tallies
    WHERE ctid = ANY (ARRAY(SELECT t.ctid FROM postrider.webhook_tallies AS t
                            WHERE t.destination_id IN (SELECT m.destination_id FROM many AS m) LIMIT $1 FOR UPDATE SKIP LOCKED))
    RETURNING destination_id, succeeded, failed
), made AS (
    INSERT INTO postrider.webhook_tallies (destination_id, succeeded, failed)
    SELECT destination_id, sum(succeeded), sum(failed) FROM folded GROUP BY destination_id
)
SELECT count(*) FROM folded;
