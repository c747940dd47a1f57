-- What keeps vacuum from cleaning the queue? (Long transactions are the first cause of a slow queue.)
--
--   psql -f 14_xmin_holders.sql
--
-- Columns: what, who, age_transactions, since, detail. Oldest first; no row is best.
-- Cost: catalog views. Text of other people's statements needs pg_read_all_stats.
SELECT x.what, x.who, x.age_transactions, x.since, x.detail
FROM (
    SELECT 'session ' || a.pid AS what, concat_ws(' ', a.usename, a.application_name, host(a.client_addr)) AS who,
           age(coalesce(a.backend_xmin, a.backend_xid)) AS age_transactions, a.xact_start AS since,
           a.state || ': ' || left(a.query, 80) AS detail
    FROM pg_stat_activity AS a
    WHERE coalesce(a.backend_xmin, a.backend_xid) IS NOT NULL AND a.pid <> pg_backend_pid()
    UNION ALL
    SELECT 'replication slot ' || s.slot_name, s.slot_type, age(coalesce(s.xmin, s.catalog_xmin)), NULL,
           CASE WHEN s.active THEN 'active' ELSE 'INACTIVE: drop it if nothing uses it' END
    FROM pg_replication_slots AS s WHERE coalesce(s.xmin, s.catalog_xmin) IS NOT NULL
    UNION ALL
    SELECT 'prepared transaction ' || p.gid, p.owner, age(p.transaction), p.prepared, 'COMMIT PREPARED or ROLLBACK PREPARED'
    FROM pg_prepared_xacts AS p
    UNION ALL
    SELECT 'standby ' || r.application_name, host(r.client_addr), age(r.backend_xmin), NULL, 'hot_standby_feedback'
    FROM pg_stat_replication AS r WHERE r.backend_xmin IS NOT NULL
) AS x
ORDER BY x.age_transactions DESC;
