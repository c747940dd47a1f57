-- A morning at agentes: two people arrive, connect, talk and pay. Can be run again and again: e-mail addresses are new
-- each time. Makes 27 events, and none of what does not concern receivers (a click, a pending payment, a rolled-back
-- conversation).
--
--    2 user.registered               1 user.updated
--    1 integration.whatsapp.connected  1 integration.openai.connected  1 integration.disconnected
--    3 agent.created                 3 agent.updated                  1 agent.deleted
--    1 template.applied              3 onboarding.step.completed      1 onboarding.completed
--    1 conversation.created          5 conversation.message.added     1 conversation.ended
--    1 payment.confirmed             1 payment.failed
\set ON_ERROR_STOP on
SELECT gen_random_uuid() AS organization, substr(gen_random_uuid()::text, 1, 8) AS tag \gset

-- Two people sign up in one statement: one trigger call, two events.
INSERT INTO agentes.users (organization_id, email, full_name, password_hash)
VALUES (:'organization', 'ana.' || :'tag' || '@example.com', 'Ana Souza', 'hash, which no event shows'),
       (:'organization', 'joao.' || :'tag' || '@example.com', 'João Lima', 'hash, which no event shows');
SELECT id AS ana FROM agentes.users WHERE email = 'ana.' || :'tag' || '@example.com' \gset
SELECT id AS joao FROM agentes.users WHERE email = 'joao.' || :'tag' || '@example.com' \gset

-- A click makes no event; another telephone number does.
UPDATE agentes.users SET last_seen_at = now() WHERE organization_id = :'organization';
UPDATE agentes.users SET phone = '+55 11 90000-0000' WHERE id = :'ana';

-- WhatsApp waits for its confirmation first; OpenAI is connected at once; later WhatsApp goes.
INSERT INTO agentes.external_integrations (organization_id, user_id, provider, credentials)
VALUES (:'organization', :'ana', 'whatsapp', '{"token": "which no event shows"}');
UPDATE agentes.external_integrations SET status = 'connected', connected_at = now()
WHERE user_id = :'ana' AND provider = 'whatsapp';
INSERT INTO agentes.external_integrations (organization_id, user_id, provider, status, connected_at)
VALUES (:'organization', :'ana', 'openai', 'connected', now());

INSERT INTO agentes.agents (organization_id, user_id, name)
SELECT :'organization', :'ana', name FROM unnest('{vendas,suporte,cobrança}'::text[]) AS name;
SELECT agentes.apply_template(a, 'sales-pt-br', 'Você vende com gentileza.') IS NOT NULL AS template_applied
FROM agentes.agents AS a WHERE a.user_id = :'ana' AND a.name = 'vendas';
UPDATE agentes.agents SET is_active = false WHERE user_id = :'ana' AND name IN ('suporte', 'cobrança');
UPDATE agentes.agents SET is_active = false WHERE user_id = :'ana' AND name = 'suporte';
DELETE FROM agentes.agents WHERE user_id = :'ana' AND name = 'cobrança';

-- The application's own function writes a row for each step, and the end of the onboarding into the person's row.
SELECT agentes.complete_onboarding_step(u, step)
FROM agentes.users AS u, unnest('{profile,first agent,first integration}'::text[]) AS step WHERE u.id = :'ana';

-- A conversation with its messages is one transaction: receivers hear of all of it or of nothing.
BEGIN;
INSERT INTO agentes.conversations (organization_id, user_id, agent_id, channel)
SELECT organization_id, user_id, id, 'whatsapp' FROM agentes.agents WHERE user_id = :'ana' AND name = 'vendas';
INSERT INTO agentes.messages (organization_id, user_id, conversation_id, sender, body)
SELECT c.organization_id, c.user_id, c.id, m.sender, m.body
FROM agentes.conversations AS c,
     (VALUES (1, 'person', 'Olá! Quanto custa o plano?'), (2, 'agent', 'R$ 99,90 por mês. Quer começar hoje?'),
             (3, 'person', 'Quero 🚀'), (4, 'agent', 'Perfeito, aqui está o link.'), (5, 'person', 'Obrigada!')) AS m (n, sender, body)
WHERE c.user_id = :'ana' ORDER BY m.n;
COMMIT;
UPDATE agentes.conversations SET ended_at = now() WHERE user_id = :'ana';

-- This one never happened, and nobody hears of it.
BEGIN;
INSERT INTO agentes.conversations (organization_id, user_id, agent_id, channel)
SELECT organization_id, user_id, id, 'whatsapp' FROM agentes.agents WHERE user_id = :'ana' AND name = 'vendas';
ROLLBACK;

INSERT INTO agentes.payments (organization_id, user_id, amount)
VALUES (:'organization', :'ana', 99.90), (:'organization', :'joao', 99.90);
UPDATE agentes.payments SET status = CASE user_id WHEN :'ana' THEN 'confirmed' ELSE 'failed' END
WHERE organization_id = :'organization';
UPDATE agentes.external_integrations SET status = 'disconnected' WHERE user_id = :'ana' AND provider = 'whatsapp';
