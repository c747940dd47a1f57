-- Who wants the events of crm: one endpoint for all of them.
--
--   psql -v endpoint_url=https://app.example/webhooks -f endpoints.sql
--
-- endpoint_url: default http://127.0.0.1:9400/crm. The endpoint's secret is taken from the environment variable
-- CRM_WEBHOOK_SECRET; without it one is generated. Prints the id, and the secret for the only time. Running it again
-- adds nothing.
-- The retry rule of crm (retry_count 3, 2^attempt seconds) is four attempts in all, 2, 4 and 8 s apart, without jitter.
\if :{?endpoint_url}
\else
    \set endpoint_url http://127.0.0.1:9400/crm
\endif
\set endpoint_secret ''
\getenv endpoint_secret CRM_WEBHOOK_SECRET

INSERT INTO postrider.webhook_endpoints (name, url, events, profile, secret, headers,
                                         max_attempts, base_delay_ms, delay_factor, jitter)
SELECT 'crm', :'endpoint_url', '{lead.*,deal.*,proposal.*,integration.*}', 'crm', nullif(:'endpoint_secret', ''),
       '{"X-Team": "sales"}', 4, 2000, 2, 0
WHERE NOT EXISTS (SELECT FROM postrider.webhook_endpoints WHERE name = 'crm')
RETURNING id, name, url, secret;
