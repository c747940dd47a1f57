-- Postrider 0005: settlements. What a worker records is recorded once, also when the answer to its COMMIT is lost.
--
-- A transaction that records begins with the question whether it has been here before. Sent again after a lost
-- connection, a settlement that was committed is refused; one that is still on its way in an old session is waited for,
-- or refused itself when it comes late. A settlement is one transaction, so one of its attempts tells of all of it: the
-- question is one probe of an index, and nothing is written. Only what holds no attempt, such as deliveries that were
-- put back unsent, leaves its number in a table.

CREATE TABLE postrider.webhook_settlements (
    worker_id bigint NOT NULL,
    number    bigint NOT NULL,
    CONSTRAINT webhook_settlements_pkey PRIMARY KEY (worker_id)
) WITH (fillfactor = 20, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
COMMENT ON TABLE postrider.webhook_settlements IS
    'The last settlement of each worker that held no attempt: a batch that it recorded in one transaction.';
COMMENT ON COLUMN postrider.webhook_settlements.worker_id IS 'The worker.';
COMMENT ON COLUMN postrider.webhook_settlements.number IS 'The number of that settlement, from 1.';

CREATE FUNCTION postrider.begin_settlement(
    worker bigint, this_number bigint, event uuid, destination integer, attempt smallint, duration integer
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    is_recorded boolean;
BEGIN
    -- An earlier transaction of this worker, whose answer was lost, ends first. What follows sees what it left: in a
    -- volatile function each statement has a snapshot of its own.
    PERFORM pg_catalog.pg_advisory_xact_lock(7744, (worker & 2147483647)::integer);
    IF event IS NULL THEN
        INSERT INTO postrider.webhook_settlements AS s (worker_id, number) VALUES (worker, this_number)
        ON CONFLICT (worker_id) DO UPDATE SET number = excluded.number WHERE s.number < excluded.number;
        is_recorded := NOT FOUND;
    ELSE
        -- The duration in microseconds tells apart two attempts of one number, such as an event that a replay and its
        -- own retry sent at once.
        is_recorded := EXISTS (
            SELECT FROM postrider.webhook_attempts AS a
            WHERE a.event_id = event AND a.destination_id = destination AND a.attempt_number = attempt
              AND a.worker_id = worker AND a.duration_us = duration);
    END IF;
    IF is_recorded THEN
        RAISE EXCEPTION 'settlement % of worker % is recorded already', this_number, worker USING ERRCODE = 'WH001';
    END IF;
END
$$;
COMMENT ON FUNCTION postrider.begin_settlement(bigint, bigint, uuid, integer, smallint, integer) IS
    'Begins the transaction that records a settlement; raises WH001 when it is recorded already.';

INSERT INTO postrider.webhook_migrations (version, name) VALUES (5, 'settlements');
