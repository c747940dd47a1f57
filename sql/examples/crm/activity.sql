-- A week at crm: a lead becomes a deal that is won, another one is lost. Can be run again and again: everything is new
-- each time. Makes 17 events, and none of what does not concern receivers (a look, a sync that is still running).
--
--    1 lead.created            1 lead.updated           1 lead.converted
--    2 deal.created            1 deal.updated           1 deal.stage_changed    1 deal.won   1 deal.lost
--    2 proposal.created        1 proposal.sent          1 proposal.accepted     1 proposal.rejected
--    1 integration.connected   1 integration.sync_completed                     1 integration.error
\set ON_ERROR_STOP on
SELECT gen_random_uuid() AS owner, gen_random_uuid() AS lead, gen_random_uuid() AS won, gen_random_uuid() AS lost \gset

INSERT INTO crm.leads (id, owner_id, name, email, company, internal_notes)
VALUES (:'lead', :'owner', 'João Conceição', 'joao@example.com', 'Café & Cia', 'which no event shows');
UPDATE crm.leads SET status = 'qualified', score = 80 WHERE id = :'lead';
-- A look makes no event.
UPDATE crm.leads SET last_viewed_at = now() WHERE id = :'lead';
UPDATE crm.leads SET status = 'converted' WHERE id = :'lead';

-- Two deals in one statement: one trigger call, two events.
INSERT INTO crm.deals (id, lead_id, owner_id, title, amount)
VALUES (:'won', :'lead', :'owner', 'Licenças', 1000.00), (:'lost', :'lead', :'owner', 'Treinamento', 250.50);
UPDATE crm.deals SET amount = 1200.00 WHERE id = :'won';
UPDATE crm.deals SET stage = 'proposal' WHERE id = :'won';
INSERT INTO crm.proposals (deal_id, owner_id, number, total) VALUES (:'won', :'owner', 'P-1', 1200.00);
UPDATE crm.proposals SET status = 'sent' WHERE deal_id = :'won';
UPDATE crm.proposals SET status = 'accepted' WHERE deal_id = :'won';
UPDATE crm.deals SET stage = 'won', probability = 1 WHERE id = :'won';
INSERT INTO crm.proposals (deal_id, owner_id, number, total) VALUES (:'lost', :'owner', 'P-2', 250.50);
UPDATE crm.proposals SET status = 'rejected' WHERE deal_id = :'lost';
UPDATE crm.deals SET stage = 'lost', lost_reason = 'price' WHERE id = :'lost';

INSERT INTO crm.integrations (owner_id, provider, status, credentials)
VALUES (:'owner', 'calendar', 'connected', '{"token": "which no event shows"}');
INSERT INTO crm.integration_syncs (integration_id, owner_id) SELECT id, owner_id FROM crm.integrations WHERE owner_id = :'owner';
UPDATE crm.integration_syncs SET status = 'completed', records_processed = 42, finished_at = now() WHERE owner_id = :'owner';
UPDATE crm.integrations SET status = 'error', last_error = 'token expired' WHERE owner_id = :'owner';
