-- How is it going, on one page?
--
--   psql -f 20_overview.sql
--
-- First the queue (one row), then every destination (one row each, the busiest troubles first).
-- Cost: reads the queue, the claims, the retries and the dead letters.
SELECT waiting, oldest_waiting_age, in_flight, retries_due, retries_later, retries_parked, next_retry_at, dead_letters,
       critical_dead_letters,
       workers_alive
FROM postrider.webhook_queue_status;
SELECT name, kind, is_active, inactive_reason, success_count, failure_count, retries_due, retries_later, retries_parked,
       next_retry_at, dead_letters
FROM postrider.webhook_destination_status
ORDER BY dead_letters DESC, retries_due + retries_later + retries_parked DESC, name;
