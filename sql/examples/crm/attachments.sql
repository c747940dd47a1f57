-- The events of crm: every one of them is a change of a row. A change makes one event, of the type that says most: a deal
-- that is won has not also changed its stage. Running this file again replaces everything in place.

SELECT postrider.attach('crm.leads', 'lead.created',
    except_columns => '{internal_notes,last_viewed_at}', user_id => 'owner_id', ordering_key => 'id');
-- Being looked at is no change.
SELECT postrider.attach('crm.leads', operations => '{update}', event_type_expression => $$ CASE
        WHEN NEW.status = 'converted' AND OLD.status <> 'converted' THEN 'lead.converted'
        WHEN (NEW.owner_id, NEW.name, NEW.email, NEW.phone, NEW.company, NEW.source, NEW.score, NEW.status) IS DISTINCT FROM
             (OLD.owner_id, OLD.name, OLD.email, OLD.phone, OLD.company, OLD.source, OLD.score, OLD.status) THEN 'lead.updated'
    END $$, except_columns => '{internal_notes,last_viewed_at}', user_id => 'owner_id', ordering_key => 'id',
    name => 'lead.<converted or updated>');

SELECT postrider.attach('crm.deals', 'deal.created',
    except_columns => '{last_viewed_at}', user_id => 'owner_id', ordering_key => 'id');
SELECT postrider.attach('crm.deals', 'deal.updated', '{update}',
    condition => $$ NEW.stage = OLD.stage AND
        (NEW.lead_id, NEW.owner_id, NEW.title, NEW.amount, NEW.currency, NEW.probability, NEW.lost_reason) IS DISTINCT FROM
        (OLD.lead_id, OLD.owner_id, OLD.title, OLD.amount, OLD.currency, OLD.probability, OLD.lost_reason) $$,
    except_columns => '{last_viewed_at}', user_id => 'owner_id', ordering_key => 'id');
-- From which stage to which: data is {"old": …, "new": …}.
SELECT postrider.attach('crm.deals', 'deal.stage_changed', '{update}', include_old => true,
    condition => $$ NEW.stage <> OLD.stage AND NEW.stage NOT IN ('won', 'lost') $$,
    except_columns => '{last_viewed_at}', user_id => 'owner_id', ordering_key => 'id');
SELECT postrider.attach('crm.deals', operations => '{update}', event_type_expression => $$ 'deal.' || NEW.stage $$,
    condition => $$ NEW.stage <> OLD.stage AND NEW.stage IN ('won', 'lost') $$,
    except_columns => '{last_viewed_at}', user_id => 'owner_id', ordering_key => 'id', priority => 'high',
    name => 'deal.<won or lost>');

-- One deal is one ordering key, its proposals included.
SELECT postrider.attach('crm.proposals', 'proposal.created', user_id => 'owner_id', ordering_key => 'deal_id');
SELECT postrider.attach('crm.proposals', operations => '{update}',
    event_type_expression => $$ 'proposal.' || NEW.status $$,
    condition => $$ NEW.status <> OLD.status AND NEW.status <> 'draft' $$,
    user_id => 'owner_id', ordering_key => 'deal_id', name => 'proposal.<sent, accepted or rejected>');

-- When it becomes so, by an INSERT (OLD is null then) or an UPDATE. Credentials never leave the database.
SELECT postrider.attach('crm.integrations', operations => '{insert,update}',
    event_type_expression => $$ 'integration.' || NEW.status $$,
    condition => $$ NEW.status IN ('connected', 'error') AND NEW.status IS DISTINCT FROM OLD.status $$,
    except_columns => '{credentials}', user_id => 'owner_id', ordering_key => 'id', name => 'integration.<connected or error>');
SELECT postrider.attach('crm.integration_syncs', 'integration.sync_completed', '{insert,update}',
    condition => $$ NEW.status = 'completed' AND OLD.status IS DISTINCT FROM 'completed' $$,
    user_id => 'owner_id', ordering_key => 'integration_id');
