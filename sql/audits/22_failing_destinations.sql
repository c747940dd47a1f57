-- Which destinations fail now, since when, and when are they tried again?
--
--   psql -f 22_failing_destinations.sql
--
-- Columns: destination, kind, breaker (open, half-open or closed), failing_for, failure, trips, next_try_in (seconds; 0
-- when it may be tried now), probing_worker, waiting (deliveries put by), disabled_in (until it is made inactive; null for
-- never or already).
-- Cost: reads webhook_breakers whole, and what waits for each of its destinations by index.
SELECT d.name AS destination, d.kind,
       CASE WHEN b.open_until > clock_timestamp() THEN 'open' WHEN b.trips > 0 THEN 'half-open' ELSE 'closed' END AS breaker,
       date_trunc('second', clock_timestamp() - b.failing_since) AS failing_for, b.failure, b.trips,
       CASE WHEN b.open_until > clock_timestamp()
            THEN round(extract(epoch FROM b.open_until - clock_timestamp())::numeric, 1) ELSE 0 END AS next_try_in,
       CASE WHEN b.probe_until > clock_timestamp() THEN b.probe_worker_id END AS probing_worker,
       (SELECT count(*) FROM postrider.webhook_retries AS r WHERE r.destination_id = b.destination_id) AS waiting,
       CASE WHEN d.is_active AND d.disable_after_s > 0 THEN date_trunc('second', greatest(interval '0',
            b.failing_since + d.disable_after_s * interval '1 second' - clock_timestamp())) END AS disabled_in
FROM postrider.webhook_breakers AS b JOIN postrider.webhook_destinations AS d ON d.id = b.destination_id
ORDER BY b.failing_since;
