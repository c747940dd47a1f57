-- Upkeep: what any one worker does for all once a minute, and `postrider maintain` at once.

-- name: UpkeepBegin   rows: 1; none when a round began less than so long ago
-- params: $1 seconds float8
-- index: none: one row
-- A round of the future was begun by a clock that has gone back since.
UPDATE postrider.webhook_retention SET upkeep_at = clock_timestamp()
WHERE upkeep_at <= clock_timestamp() - make_interval(secs => $1) OR upkeep_at > clock_timestamp() RETURNING true;

-- name: RetentionPlan   rows: one for each week that something is to be done with, in order
-- params: none
-- index: none: catalogs; what is unfinished is counted by the keys of its tables
SELECT task, partition, row_count, unfinished FROM postrider.retention_plan();

-- name: PartitionEmpty   rows: 1: rows that went; null when another session does upkeep
-- params: $1 partition text
-- index: none
SELECT postrider.empty_partition($1);

-- name: PartitionThin   rows: 1: rows that went, whether the week is through; nulls when another session does upkeep
-- params: $1 partition text, $2 most int
-- index: none
SELECT pruned, finished FROM postrider.thin_partition($1, $2);

-- name: PayloadsRemove   rows: 1, as PartitionThin
-- params: $1 partition text, $2 most int
-- index: none
SELECT pruned, finished FROM postrider.remove_payloads($1, $2);

-- name: PartitionsFold   rows: 1: weeks that were dropped; null when another session does upkeep
-- params: $1 parent text
-- index: none
SELECT postrider.fold_partitions($1);

-- name: EraseBatch   rows: 1: events that were erased, and how it stands; nulls when nothing is due
-- params: none
-- index: webhook_event_log_pkey, webhook_attempts_delivery_idx
SELECT events, state FROM postrider.erase_batch();

-- name: AuditLogPrune   rows: 1: lines that went
-- params: none
-- index: none: the oldest come first
SELECT postrider.prune_audit_log();

-- name: SealedTypeDue   rows: one for each pattern, with the id below which payloads are to be sealed
-- params: none
-- index: none: few rows
SELECT pattern, below FROM postrider.types_to_seal();

-- name: PayloadTake   rows: 0..$3 readable payloads, at most 16 MiB, ascending; then one without data: how far it looked
-- params: $1 pattern text, $2 below uuid, $3 most int
-- index: webhook_event_log_pkey
SELECT id, data FROM postrider.payloads_to_seal($1, $2, $3);

-- name: PayloadReplace   rows: 1: how many were replaced
-- params: $1 pattern text, $2 sealed up to uuid, $3 key name text, $4 events uuid[] ascending, $5 sealed texts text[]
-- index: webhook_event_log_pkey
SELECT postrider.seal_payloads($1, $2, $3, $4, $5);

-- name: DeadRows   rows: tables of the road of an event with many dead rows, which this login may vacuum
-- params: none
-- index: none: catalogs
SELECT s.relname::text FROM pg_catalog.pg_stat_user_tables AS s JOIN pg_catalog.pg_class AS c ON c.oid = s.relid
WHERE s.schemaname = 'postrider' AND s.n_dead_tup > 20000 AND pg_catalog.pg_has_role(c.relowner, 'USAGE')
  AND s.relname IN ('webhook_queue', 'webhook_claims', 'webhook_retries', 'webhook_tallies', 'webhook_settlements',
                    'webhook_workers', 'webhook_breakers')
ORDER BY 1;

-- name: KeySweep   rows: 1: how many deliveries and keys were freed; with $1 there may be more
-- params: $1 how many of each kind at most int
-- index: webhook_keys_pkey, webhook_retries_order_idx; both are empty without destinations with strict order
SELECT postrider.sweep_keys($1);

-- name: RetrySweep   rows: 1: how many retries were made due or removed, and dead letters archived; with $1 there may be more
-- params: $1 how many of each kind at most int
-- index: webhook_retries_due_idx, read by jumping from one destination to the next; webhook_dead_letters_destination_idx
SELECT postrider.sweep_retries($1);
