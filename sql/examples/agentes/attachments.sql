-- The events of agentes. What is a change of one table is attached to that table; what is a decision of the application
-- is emitted by the function that takes it, in the same transaction as its rows.
-- Running this file again replaces everything in place.

-- High priority: somebody waits for these.
SELECT postrider.attach('agentes.users', 'user.registered',
    except_columns => '{password_hash}', user_id => 'id', organization_id => 'organization_id', priority => 'high');
SELECT postrider.attach('agentes.payments', operations => '{insert,update}',
    event_type_expression => $$ 'payment.' || NEW.status $$,
    condition => $$ NEW.status IN ('confirmed', 'failed') AND NEW.status IS DISTINCT FROM OLD.status $$,
    user_id => 'user_id', organization_id => 'organization_id', priority => 'high', name => 'payment.<status>');

-- last_seen_at changes with every click: it makes no event.
SELECT postrider.attach('agentes.users', 'user.updated', '{update}',
    condition => $$ (NEW.email, NEW.full_name, NEW.phone, NEW.plan) IS DISTINCT FROM (OLD.email, OLD.full_name, OLD.phone, OLD.plan) $$,
    except_columns => '{password_hash,last_seen_at}', user_id => 'id', organization_id => 'organization_id');

SELECT postrider.attach('agentes.agents', 'agent.created', user_id => 'user_id', organization_id => 'organization_id');
SELECT postrider.attach('agentes.agents', 'agent.updated', '{update}', condition => 'NEW.* IS DISTINCT FROM OLD.*',
    include_old => true, user_id => 'user_id', organization_id => 'organization_id');
SELECT postrider.attach('agentes.agents', 'agent.deleted', '{delete}',
    columns => '{id,name}', user_id => 'user_id', organization_id => 'organization_id');

-- One conversation is one ordering key: its messages are delivered in order to destinations that ask for order.
SELECT postrider.attach('agentes.conversations', 'conversation.created',
    user_id => 'user_id', organization_id => 'organization_id', ordering_key => 'id');
SELECT postrider.attach('agentes.conversations', 'conversation.ended', '{update}',
    condition => 'NEW.ended_at IS NOT NULL AND OLD.ended_at IS NULL',
    user_id => 'user_id', organization_id => 'organization_id', ordering_key => 'id');
SELECT postrider.attach('agentes.messages', 'conversation.message.added',
    user_id => 'user_id', organization_id => 'organization_id', ordering_key => 'conversation_id');

-- When it becomes connected, by an INSERT (OLD is null then) or an UPDATE. Credentials never leave the database.
SELECT postrider.attach('agentes.external_integrations', operations => '{insert,update}',
    event_type_expression => $$ 'integration.' || NEW.provider || '.connected' $$,
    condition => $$ NEW.status = 'connected' AND OLD.status IS DISTINCT FROM 'connected' $$,
    except_columns => '{credentials}', user_id => 'user_id', organization_id => 'organization_id',
    name => 'integration.<provider>.connected');
SELECT postrider.attach('agentes.external_integrations', 'integration.disconnected', '{update}',
    condition => $$ NEW.status = 'disconnected' AND OLD.status = 'connected' $$,
    columns => '{id,provider,status}', user_id => 'user_id', organization_id => 'organization_id');

-- Emitted: the application decides, and tells more than one row knows.
CREATE OR REPLACE FUNCTION agentes.apply_template(agent agentes.agents, template text, prompt text) RETURNS uuid
    LANGUAGE plpgsql AS $$
BEGIN
    UPDATE agentes.agents AS a SET prompt = apply_template.prompt WHERE a.id = agent.id;
    RETURN postrider.emit('template.applied', jsonb_build_object('agent_id', agent.id, 'template', template),
        organization_id => agent.organization_id::text, user_id => agent.user_id::text, record_id => agent.id::text);
END
$$;

CREATE OR REPLACE FUNCTION agentes.complete_onboarding_step(person agentes.users, step text) RETURNS void
    LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO agentes.onboarding_steps (user_id, step) VALUES (person.id, step);
    PERFORM postrider.emit('onboarding.step.completed', jsonb_build_object('user_id', person.id, 'step', step),
        organization_id => person.organization_id::text, user_id => person.id::text, ordering_key => person.id::text);
    IF (SELECT count(*) FROM agentes.onboarding_steps AS s WHERE s.user_id = person.id) = 3 THEN
        PERFORM postrider.emit('onboarding.completed', jsonb_build_object('user_id', person.id, 'email', person.email),
            organization_id => person.organization_id::text, user_id => person.id::text, ordering_key => person.id::text);
    END IF;
END
$$;
