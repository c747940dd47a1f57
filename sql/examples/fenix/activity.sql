-- A month at fenix, of one company: -v company_id=… (default 00000000-0000-4000-8000-00000000fe01, as in endpoints.sql).
-- Can be run again and again: what belongs to the company is new each time. Makes 19 events, and none of what does not
-- concern receivers (a visit, a module that is only ordered).
--
--    2 client.created          1 client.updated         1 client.deleted
--    2 proposal.created        1 proposal.updated       2 proposal.sent         1 proposal.viewed
--    1 proposal.accepted       1 proposal.rejected
--    2 invoice.created         1 invoice.paid           1 invoice.overdue
--    1 user.created            1 subscription.updated   1 module.activated
\set ON_ERROR_STOP on
\if :{?company_id}
\else
    \set company_id 00000000-0000-4000-8000-00000000fe01
\endif
SELECT gen_random_uuid() AS client, gen_random_uuid() AS visitor, substr(gen_random_uuid()::text, 1, 8) AS tag \gset

INSERT INTO fenix.companies (id, name) VALUES (:'company_id', 'Fênix Ltda') ON CONFLICT DO NOTHING;
INSERT INTO fenix.users (company_id, name, email, password_hash)
VALUES (:'company_id', 'Inês', 'ines.' || :'tag' || '@example.com', 'hash, which no event shows');

INSERT INTO fenix.clients (id, company_id, name, email, tax_id)
VALUES (:'client', :'company_id', 'Padaria Açúcar', 'padaria@example.com', 'number, which no event shows'),
       (:'visitor', :'company_id', 'Visitante', 'visitante@example.com', NULL);
UPDATE fenix.clients SET phone = '+55 11 90000-0000' WHERE id = :'client';
-- A visit makes no event.
UPDATE fenix.clients SET last_seen_at = now() WHERE id = :'client';
DELETE FROM fenix.clients WHERE id = :'visitor';

INSERT INTO fenix.proposals (company_id, client_id, number, title, total)
VALUES (:'company_id', :'client', 'A-' || :'tag', 'Plano anual', 1000.00),
       (:'company_id', :'client', 'B-' || :'tag', 'Consultoria', 300.00);
UPDATE fenix.proposals SET total = 950.00 WHERE number = 'A-' || :'tag';
UPDATE fenix.proposals SET status = 'sent' WHERE client_id = :'client';
UPDATE fenix.proposals SET status = 'viewed' WHERE number = 'A-' || :'tag';
UPDATE fenix.proposals SET status = 'accepted' WHERE number = 'A-' || :'tag';
UPDATE fenix.proposals SET status = 'rejected' WHERE number = 'B-' || :'tag';

-- One is due tomorrow and paid; the other was due yesterday.
INSERT INTO fenix.invoices (company_id, client_id, number, total, due_on)
VALUES (:'company_id', :'client', 'F1-' || :'tag', 950.00, current_date + 1),
       (:'company_id', :'client', 'F2-' || :'tag', 120.00, current_date - 1);
UPDATE fenix.invoices SET status = 'paid' WHERE number = 'F1-' || :'tag';
SELECT fenix.mark_overdue_invoices() AS overdue_invoices;

INSERT INTO fenix.subscriptions (company_id, plan, renews_on) VALUES (:'company_id', 'pro', current_date + 30) ON CONFLICT DO NOTHING;
UPDATE fenix.subscriptions SET seats = seats + 1 WHERE company_id = :'company_id';
-- Ordered first, activated later.
INSERT INTO fenix.modules (company_id, module) VALUES (:'company_id', 'marketing-' || :'tag');
UPDATE fenix.modules SET is_active = true WHERE company_id = :'company_id' AND module = 'marketing-' || :'tag';
