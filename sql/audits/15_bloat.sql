-- Are the tables that churn being cleaned?
--
--   psql -f 15_bloat.sql
--
-- Columns: table_name, size, indexes_size, live_rows, dead_rows, dead_percent, last_vacuum, last_analyze. A queue that is
-- large and mostly dead means that vacuum cannot clean: see 14_xmin_holders.sql.
-- Cost: statistics only.
SELECT s.relname AS table_name, pg_size_pretty(pg_table_size(s.relid)) AS size,
       pg_size_pretty(pg_indexes_size(s.relid)) AS indexes_size, s.n_live_tup AS live_rows, s.n_dead_tup AS dead_rows,
       round(100.0 * s.n_dead_tup / nullif(s.n_live_tup + s.n_dead_tup, 0), 1) AS dead_percent,
       greatest(s.last_vacuum, s.last_autovacuum) AS last_vacuum, greatest(s.last_analyze, s.last_autoanalyze) AS last_analyze
FROM pg_stat_user_tables AS s
WHERE s.schemaname = 'postrider'
  AND s.relname IN ('webhook_queue', 'webhook_claims', 'webhook_retries', 'webhook_tallies', 'webhook_workers',
                    'webhook_dead_letters', 'webhook_routing')
ORDER BY pg_total_relation_size(s.relid) DESC;
