-- Postrider 0005: settlements. What a worker records is recorded once, also when the answer to its COMMIT is lost.
--
-- A worker numbers its settlements and begins each transaction with the number. Sent again after a lost connection, a
-- settlement that was committed is refused by its number; one that is still on its way in an old session is waited for,
-- or refused itself when it comes late. One narrow row for each worker, updated in place once a batch.

CREATE TABLE postrider.webhook_settlements (
    worker_id bigint NOT NULL,
    number    bigint NOT NULL,
    CONSTRAINT webhook_settlements_pkey PRIMARY KEY (worker_id)
) WITH (fillfactor = 20, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
COMMENT ON TABLE postrider.webhook_settlements IS
    'The last settlement of each worker: a batch of outcomes that it recorded in one transaction.';
COMMENT ON COLUMN postrider.webhook_settlements.worker_id IS 'The worker.';
COMMENT ON COLUMN postrider.webhook_settlements.number IS 'Number of its last settlement, from 1.';

CREATE FUNCTION postrider.begin_settlement(worker bigint, this_number bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO postrider.webhook_settlements AS s (worker_id, number) VALUES (worker, this_number)
    ON CONFLICT (worker_id) DO UPDATE SET number = excluded.number WHERE s.number < excluded.number;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'settlement % of worker % is recorded already', this_number, worker USING ERRCODE = 'WH001';
    END IF;
END
$$;
COMMENT ON FUNCTION postrider.begin_settlement(bigint, bigint) IS
    'Begins the transaction that records a settlement; raises WH001 when it is recorded already.';

INSERT INTO postrider.webhook_migrations (version, name) VALUES (5, 'settlements');
