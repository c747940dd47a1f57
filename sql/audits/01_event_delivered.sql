-- Was an event delivered, to whom, when, after how many attempts?
--
--   psql -v event_id=<uuid> -f 01_event_delivered.sql      (without event_id: the newest event)
--
-- One row for each destination; no row when nobody was subscribed or the event still waits (see event_status).
-- Columns: event_id, event_type, event_status, destination, delivery_status, delivered_at, attempts, status_code,
--          duration_ms, next_retry_at, error_message.
-- Cost: index probes in one partition; milliseconds.
\if :{?event_id}
\else
    SELECT coalesce((SELECT id FROM postrider.webhook_events WHERE id >= postrider.event_id_at(now() - interval '1 day')
                     ORDER BY id DESC LIMIT 1), '00000000-0000-0000-0000-000000000000') AS event_id \gset
\endif
SELECT e.id AS event_id, e.event_type, e.status AS event_status, d.destination_name AS destination,
       d.status AS delivery_status, d.delivered_at, d.attempt_count AS attempts, d.status_code,
       d.delivery_duration_ms AS duration_ms, d.next_retry_at, d.error_message
FROM postrider.webhook_events AS e
LEFT JOIN postrider.webhook_deliveries AS d ON d.webhook_event_id = :'event_id'
WHERE e.id = :'event_id'
ORDER BY d.destination_name;
