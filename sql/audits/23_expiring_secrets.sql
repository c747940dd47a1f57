-- Which secrets should be replaced soon, or should have been?
--
--   psql [-v days=14] -f 23_expiring_secrets.sql
--
-- Columns: destination, kind, profile, is_active, secret_expires_at, days_left (negative: overdue; it signs on), state.
-- Cost: one look at the secrets of each destination.
\if :{?days}
\else
    \set days 14
\endif
SELECT d.name AS destination, d.kind, d.profile, d.is_active, s.at AS secret_expires_at,
       round((extract(epoch FROM s.at - clock_timestamp()) / 86400)::numeric, 1) AS days_left,
       CASE WHEN s.at <= clock_timestamp() THEN 'expired' ELSE 'expires soon' END AS state
FROM postrider.webhook_destinations AS d, LATERAL (SELECT postrider.secret_expires_at(d.id) AS at) AS s
WHERE d.deleted_at IS NULL AND s.at < clock_timestamp() + :'days'::float8 * interval '1 day'
ORDER BY s.at, d.name;
