-- Who wants the events of agentes: one endpoint for everything, and seven n8n workflows of one event type each.
--
--   psql -v endpoint_url=https://app.example/webhooks -v n8n_url=https://n8n.example -f endpoints.sql
--
-- endpoint_url: default http://127.0.0.1:9400/agentes; n8n_url: what stands before /webhook/<name>, default
-- http://127.0.0.1:9400. The endpoint's secret is taken from the environment variable AGENTES_WEBHOOK_SECRET; without it
-- one is generated. Prints the ids, and the secret for the only time. Running it again adds nothing.
-- The retry rule of agentes (5 retries at 30, 60, 120, 240, 480 s, at most 3600 s, jitter, timeout 30 s) is the default.
\if :{?endpoint_url}
\else
    \set endpoint_url http://127.0.0.1:9400/agentes
\endif
\if :{?n8n_url}
\else
    \set n8n_url http://127.0.0.1:9400
\endif
\set endpoint_secret ''
\getenv endpoint_secret AGENTES_WEBHOOK_SECRET

INSERT INTO postrider.webhook_endpoints (name, url, events, profile, secret)
SELECT 'agentes', :'endpoint_url', '{*}', 'agentes', nullif(:'endpoint_secret', '')
WHERE NOT EXISTS (SELECT FROM postrider.webhook_endpoints WHERE name = 'agentes')
RETURNING id, name, url, secret;

INSERT INTO postrider.n8n_workflows (name, webhook_url, event_types)
SELECT w.name, :'n8n_url' || '/webhook/' || w.name, ARRAY[w.event_type]
FROM (VALUES
    ('user-registration', 'user.registered'),
    ('payment-processed', 'payment.confirmed'),
    ('whatsapp-connected', 'integration.whatsapp.connected'),
    ('openai-connected', 'integration.openai.connected'),
    ('agent-created', 'agent.created'),
    ('template-applied', 'template.applied'),
    ('onboarding-complete', 'onboarding.completed')
) AS w (name, event_type)
WHERE NOT EXISTS (SELECT FROM postrider.n8n_workflows AS n WHERE n.name = w.name)
RETURNING id, name, webhook_url;
