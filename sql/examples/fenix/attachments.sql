-- The events of fenix: every one of them is a change of a row, and belongs to the company of the row, so that an endpoint
-- hears of its own company alone. That an invoice is overdue is made a change of its row by fenix.mark_overdue_invoices,
-- which something calls each day. Running this file again replaces everything in place.

SELECT postrider.attach('fenix.clients', 'client.created',
    except_columns => '{tax_id,last_seen_at}', organization_id => 'company_id', ordering_key => 'id');
SELECT postrider.attach('fenix.clients', 'client.updated', '{update}',
    condition => $$ (NEW.name, NEW.email, NEW.phone, NEW.tax_id) IS DISTINCT FROM (OLD.name, OLD.email, OLD.phone, OLD.tax_id) $$,
    except_columns => '{tax_id,last_seen_at}', organization_id => 'company_id', ordering_key => 'id');
SELECT postrider.attach('fenix.clients', 'client.deleted', '{delete}',
    columns => '{id,company_id,name}', organization_id => 'company_id', ordering_key => 'id');

SELECT postrider.attach('fenix.proposals', 'proposal.created', organization_id => 'company_id', ordering_key => 'id');
-- A new status is that event; any other change, and one that goes back to draft, is an update.
SELECT postrider.attach('fenix.proposals', operations => '{update}', event_type_expression => $$ CASE
        WHEN NEW.status <> OLD.status AND NEW.status <> 'draft' THEN 'proposal.' || NEW.status
        WHEN NEW.* IS DISTINCT FROM OLD.* THEN 'proposal.updated'
    END $$, organization_id => 'company_id', ordering_key => 'id', name => 'proposal.<status or updated>');

SELECT postrider.attach('fenix.invoices', 'invoice.created', organization_id => 'company_id', ordering_key => 'id');
SELECT postrider.attach('fenix.invoices', operations => '{update}',
    event_type_expression => $$ 'invoice.' || NEW.status $$,
    condition => $$ NEW.status <> OLD.status AND NEW.status IN ('paid', 'overdue') $$,
    organization_id => 'company_id', ordering_key => 'id', priority => 'high', name => 'invoice.<paid or overdue>');

SELECT postrider.attach('fenix.users', 'user.created',
    except_columns => '{password_hash}', organization_id => 'company_id', user_id => 'id');
SELECT postrider.attach('fenix.subscriptions', 'subscription.updated', '{update}',
    condition => 'NEW.* IS DISTINCT FROM OLD.*', organization_id => 'company_id', ordering_key => 'company_id');
-- When it becomes active, by an INSERT (OLD is null then) or an UPDATE.
SELECT postrider.attach('fenix.modules', 'module.activated', '{insert,update}',
    condition => 'NEW.is_active AND OLD.is_active IS NOT TRUE', organization_id => 'company_id');

-- Time passing changes no row. One UPDATE for all of them: one trigger call, however many there are.
CREATE OR REPLACE FUNCTION fenix.mark_overdue_invoices(today date DEFAULT current_date) RETURNS bigint LANGUAGE sql AS $$
    WITH marked AS (
        UPDATE fenix.invoices SET status = 'overdue' WHERE status = 'open' AND due_on < today RETURNING id
    )
    SELECT count(*) FROM marked
$$;
COMMENT ON FUNCTION fenix.mark_overdue_invoices(date) IS
    'Marks open invoices that were due before today as overdue, which makes invoice.overdue of each; gives how many.';
