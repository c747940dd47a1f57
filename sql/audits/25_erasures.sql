-- Which persons were forgotten, and is it finished? Was this one?
--
--   psql [-v user_id=u-3] -f 25_erasures.sql
--
-- Columns: id, subject (SHA-256 of the user's id), organization_id, requested_at, requested_by, events, attempts, dropped,
-- looked_back_to (of an unfinished one: how far the pass is), finished_at (null: not yet).
-- Cost: reads the erasures.
\if :{?user_id}
\else
    \set user_id ''
\endif
SELECT e.id, e.subject, e.organization_id, e.requested_at, e.requested_by, e.events, e.attempts, e.dropped,
       postrider.event_id_time(e.done_to) AS looked_back_to, e.finished_at
FROM postrider.webhook_erasures AS e
WHERE :'user_id' = '' OR e.subject = encode(sha256(convert_to(:'user_id', 'UTF8')), 'hex')
ORDER BY e.id DESC;
