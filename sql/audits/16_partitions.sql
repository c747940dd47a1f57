-- Which partitions are there, from when to when, how large?
--
--   psql -f 16_partitions.sql
--
-- Columns: parent, partition, from_time, to_time (null: open), estimated_rows, size, total_size (with indexes and TOAST).
-- Cost: catalogs and file sizes only.
SELECT i.inhparent::regclass::text AS parent, c.relname AS partition,
       postrider.event_id_time(substring(pg_get_expr(c.relpartbound, c.oid) FROM 'FROM \(''([^'']*)''')::uuid) AS from_time,
       postrider.event_id_time(substring(pg_get_expr(c.relpartbound, c.oid) FROM 'TO \(''([^'']*)''')::uuid) AS to_time,
       greatest(c.reltuples, 0)::bigint AS estimated_rows, pg_size_pretty(pg_relation_size(c.oid)) AS size,
       pg_size_pretty(pg_total_relation_size(c.oid)) AS total_size
FROM pg_inherits AS i
JOIN pg_class AS c ON c.oid = i.inhrelid
WHERE i.inhparent IN ('postrider.webhook_event_log'::regclass, 'postrider.webhook_attempts'::regclass)
ORDER BY 1, 3 NULLS FIRST;
