-- Who changed what, when, from which value to which?
--
--   psql [-v hours=24] -f 24_administrative_changes.sql
--
-- Columns: at, login, role_name, application, actor, action, object_kind, object_name, object_id, before, after.
-- Cost: reads the audit log.
\if :{?hours}
\else
    \set hours 24
\endif
SELECT l.at, l.login, l.role_name, l.application, l.actor, l.action, l.object_kind, l.object_name, l.object_id, l.before, l.after
FROM postrider.webhook_audit_log AS l
WHERE l.at >= now() - :'hours'::float8 * interval '1 hour'
ORDER BY l.id DESC;
