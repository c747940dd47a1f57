-- Who wants the events of companion: one endpoint for all of them.
--
--   psql -v endpoint_url=https://app.example/webhooks -f endpoints.sql
--
-- endpoint_url: default http://127.0.0.1:9400/companion. The endpoint's secret is taken from the environment variable
-- COMPANION_WEBHOOK_SECRET; without it one is generated. Prints the id, and the secret for the only time. Running it
-- again adds nothing. companion names no retry rule and no timeout: the defaults are used.
\if :{?endpoint_url}
\else
    \set endpoint_url http://127.0.0.1:9400/companion
\endif
\set endpoint_secret ''
\getenv endpoint_secret COMPANION_WEBHOOK_SECRET

INSERT INTO postrider.webhook_endpoints (name, url, events, profile, secret)
SELECT 'companion', :'endpoint_url',
       '{companion.*,message.*,chat.*,stream.*,error.occurred,quota.*,performance.degraded}', 'companion',
       nullif(:'endpoint_secret', '')
WHERE NOT EXISTS (SELECT FROM postrider.webhook_endpoints WHERE name = 'companion')
RETURNING id, name, url, secret;
