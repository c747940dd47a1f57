-- Who wants the events of bird: one endpoint for all of them.
--
--   psql -v endpoint_url=https://app.example/webhooks -f endpoints.sql
--
-- endpoint_url: default http://127.0.0.1:9400/bird. The endpoint's secret is taken from the environment variable
-- BIRD_WEBHOOK_SECRET; without it one is generated. Prints the id, and the secret for the only time. Running it again
-- adds nothing. The header names WEBHOOK_TOKEN, a setting or a variable that workers expose.
-- bird's retry_policy (max_attempts 3, exponential from 1000 ms, at most 30000 ms), without jitter; timeouts, connection
-- errors and 5xx are tried again, every 4xx is final.
\if :{?endpoint_url}
\else
    \set endpoint_url http://127.0.0.1:9400/bird
\endif
\set endpoint_secret ''
\getenv endpoint_secret BIRD_WEBHOOK_SECRET

INSERT INTO postrider.webhook_endpoints (name, url, events, profile, secret, headers, max_attempts, base_delay_ms,
                                         delay_factor, max_delay_ms, jitter, timeout_ms, final_statuses)
SELECT 'bird', :'endpoint_url', '{conversation.*,ai.*}', 'bird', nullif(:'endpoint_secret', ''),
       '{"Authorization": "Bearer ${WEBHOOK_TOKEN}"}', 3, 1000, 2, 30000, 0, 30000, '4xx'
WHERE NOT EXISTS (SELECT FROM postrider.webhook_endpoints WHERE name = 'bird')
RETURNING id, name, url, secret;
