-- What is kept for how long, how old is the oldest of it, and what would go now?
--
--   psql -f 21_retention.sql
--
-- Columns: kept (events, attempts, payloads), age (null: for ever), oldest_week (end of the oldest partition with rows),
-- weeks_due (weeks that upkeep would empty or thin now), rows_due (estimated), unfinished (events that keep such weeks from
-- going whole), last_upkeep.
-- Cost: catalogs, and what is unfinished in the weeks that are due, by index.
SELECT w.kept, CASE w.kept WHEN 'events' THEN r.keep_events WHEN 'attempts' THEN coalesce(r.keep_attempts, r.keep_events)
                           ELSE coalesce(r.keep_payloads, r.keep_events) END AS age,
       (SELECT min(postrider.event_id_time(substring(pg_get_expr(c.relpartbound, c.oid) FROM 'TO \(''([^'']*)''')::uuid))
        FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
        WHERE i.inhparent = ('postrider.' || w.parent)::regclass AND pg_relation_size(c.oid) > 0) AS oldest_week,
       count(p.partition) AS weeks_due, coalesce(sum(p.row_count), 0) AS rows_due, coalesce(sum(p.unfinished), 0) AS unfinished,
       nullif(r.upkeep_at, '-infinity') AS last_upkeep
FROM postrider.webhook_retention AS r
CROSS JOIN (VALUES (1, 'events', 'webhook_event_log'), (2, 'attempts', 'webhook_attempts'), (3, 'payloads', 'webhook_event_log'))
    AS w (place, kept, parent)
LEFT JOIN postrider.retention_plan() AS p ON p.parent = w.parent AND (p.task = 'payloads') = (w.kept = 'payloads')
GROUP BY w.place, w.kept, w.parent, r.keep_events, r.keep_attempts, r.keep_payloads, r.upkeep_at
ORDER BY w.place;
