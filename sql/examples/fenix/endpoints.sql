-- Who wants the events of a company of fenix: one endpoint, which hears of that company alone.
--
--   psql -v endpoint_url=https://app.example/webhooks -v company_id=… -f endpoints.sql
--
-- endpoint_url: default http://127.0.0.1:9400/fenix; company_id: default the company of activity.sql. Run it once for each
-- company; again for the same one it adds nothing. The endpoint's secret is taken from the environment variable
-- FENIX_WEBHOOK_SECRET; without it one is generated. Prints the id, and the secret for the only time.
-- fenix's retry_attempts 3 is four attempts in all, on the default schedule; timeout_seconds 30 is the timeout.
\if :{?endpoint_url}
\else
    \set endpoint_url http://127.0.0.1:9400/fenix
\endif
\if :{?company_id}
\else
    \set company_id 00000000-0000-4000-8000-00000000fe01
\endif
\set endpoint_secret ''
\getenv endpoint_secret FENIX_WEBHOOK_SECRET

INSERT INTO postrider.webhook_endpoints (name, url, events, profile, secret, organization_id, max_attempts, timeout_ms)
SELECT 'fenix', :'endpoint_url', '{client.*,proposal.*,invoice.*,user.created,subscription.updated,module.activated}',
       'fenix', nullif(:'endpoint_secret', ''), :'company_id', 4, 30000
WHERE NOT EXISTS (SELECT FROM postrider.webhook_endpoints WHERE name = 'fenix' AND organization_id = :'company_id')
RETURNING id, name, url, organization_id, secret;
