-- Which workers are there, and what do they hold?
--
--   psql -f 13_workers.sql
--
-- Columns: worker_id, host, process_id, version, state (working, dead, stopped), started_at, heartbeat_age, claims,
--          in_flight, oldest_claim_age, requests, connections_opened, requests_per_connection, tls_handshakes, tls_resumed
--          (counted since started_at). Workers that stopped more than an hour ago are left out unless they hold claims.
-- Cost: two small tables.
SELECT w.id AS worker_id, w.host, w.process_id, w.version,
       CASE WHEN NOT w.alive THEN 'stopped' WHEN w.lease_until < statement_timestamp() THEN 'dead' ELSE 'working' END AS state,
       w.started_at, clock_timestamp() - w.heartbeat_at AS heartbeat_age, count(c.id) AS claims,
       coalesce(sum(cardinality(c.event_ids)), 0) AS in_flight, clock_timestamp() - min(c.claimed_at) AS oldest_claim_age,
       w.requests, w.connections_opened, round(w.requests::numeric / nullif(w.connections_opened, 0), 1) AS requests_per_connection,
       w.tls_handshakes, w.tls_resumed
FROM postrider.webhook_workers AS w
LEFT JOIN postrider.webhook_claims AS c ON c.worker_id = w.id
GROUP BY w.id
HAVING w.alive OR w.heartbeat_at > clock_timestamp() - interval '1 hour' OR count(c.id) > 0
ORDER BY w.id DESC;
