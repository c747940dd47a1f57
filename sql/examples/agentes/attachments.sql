-- The events of agentes. What is a change of a row is attached to its table; what no row tells is emitted by the function
-- that does it, in the same transaction.
-- Running this file again replaces everything in place.
-- event_source is supabase, api or manual in agentes, whose audits ask for it: what triggers write is supabase there.

-- High priority: somebody waits for these.
SELECT postrider.attach('agentes.users', 'user.registered',
    except_columns => '{password_hash}', user_id => 'id', organization_id => 'organization_id', priority => 'high',
    event_source => 'supabase');
SELECT postrider.attach('agentes.payments', operations => '{insert,update}',
    event_type_expression => $$ 'payment.' || NEW.status $$,
    condition => $$ NEW.status IN ('confirmed', 'failed') AND NEW.status IS DISTINCT FROM OLD.status $$,
    user_id => 'user_id', organization_id => 'organization_id', priority => 'high', name => 'payment.<status>',
    event_source => 'supabase');

-- last_seen_at changes with every click: it makes no event.
SELECT postrider.attach('agentes.users', 'user.updated', '{update}',
    condition => $$ (NEW.email, NEW.full_name, NEW.phone, NEW.plan) IS DISTINCT FROM (OLD.email, OLD.full_name, OLD.phone, OLD.plan) $$,
    except_columns => '{password_hash,last_seen_at}', user_id => 'id', organization_id => 'organization_id', event_source => 'supabase');

SELECT postrider.attach('agentes.agents', 'agent.created',
    user_id => 'user_id', organization_id => 'organization_id', event_source => 'supabase');
SELECT postrider.attach('agentes.agents', 'agent.updated', '{update}', condition => 'NEW.* IS DISTINCT FROM OLD.*',
    include_old => true, user_id => 'user_id', organization_id => 'organization_id', event_source => 'supabase');
SELECT postrider.attach('agentes.agents', 'agent.deleted', '{delete}',
    columns => '{id,name}', user_id => 'user_id', organization_id => 'organization_id', event_source => 'supabase');

-- One conversation is one ordering key: its messages are delivered in order to destinations that ask for order.
SELECT postrider.attach('agentes.conversations', 'conversation.created',
    user_id => 'user_id', organization_id => 'organization_id', ordering_key => 'id', event_source => 'supabase');
SELECT postrider.attach('agentes.conversations', 'conversation.ended', '{update}',
    condition => 'NEW.ended_at IS NOT NULL AND OLD.ended_at IS NULL',
    user_id => 'user_id', organization_id => 'organization_id', ordering_key => 'id', event_source => 'supabase');
SELECT postrider.attach('agentes.messages', 'conversation.message.added',
    user_id => 'user_id', organization_id => 'organization_id', ordering_key => 'conversation_id', event_source => 'supabase');

-- When it becomes connected, by an INSERT (OLD is null then) or an UPDATE. Credentials never leave the database.
SELECT postrider.attach('agentes.external_integrations', operations => '{insert,update}',
    event_type_expression => $$ 'integration.' || NEW.provider || '.connected' $$,
    condition => $$ NEW.status = 'connected' AND OLD.status IS DISTINCT FROM 'connected' $$,
    except_columns => '{credentials}', user_id => 'user_id', organization_id => 'organization_id',
    name => 'integration.<provider>.connected', event_source => 'supabase');
SELECT postrider.attach('agentes.external_integrations', 'integration.disconnected', '{update}',
    condition => $$ NEW.status = 'disconnected' AND OLD.status = 'connected' $$,
    columns => '{id,provider,status}', user_id => 'user_id', organization_id => 'organization_id', event_source => 'supabase');

-- One person is one ordering key: the last step comes before the end of the onboarding.
SELECT postrider.attach('agentes.onboarding_steps', 'onboarding.step.completed',
    user_id => 'user_id', organization_id => 'organization_id', ordering_key => 'user_id', event_source => 'supabase');
SELECT postrider.attach('agentes.users', 'onboarding.completed', '{update}',
    condition => 'NEW.onboarded_at IS NOT NULL AND OLD.onboarded_at IS NULL', columns => '{id,email,full_name,onboarded_at}',
    user_id => 'id', organization_id => 'organization_id', ordering_key => 'id', event_source => 'supabase');

-- Emitted: to apply a template again may change no row, and which template it was is in none.
CREATE OR REPLACE FUNCTION agentes.apply_template(agent agentes.agents, template text, prompt text) RETURNS uuid
    LANGUAGE plpgsql AS $$
BEGIN
    UPDATE agentes.agents AS a SET prompt = apply_template.prompt WHERE a.id = agent.id;
    RETURN postrider.emit('template.applied', jsonb_build_object('agent_id', agent.id, 'template', template),
        organization_id => agent.organization_id::text, user_id => agent.user_id::text, record_id => agent.id::text);
END
$$;
COMMENT ON FUNCTION agentes.apply_template(agentes.agents, text, text) IS
    'Gives an agent the prompt of a template and emits template.applied, with that template''s name; gives the event''s id.';

-- Emits nothing itself: the rows that it writes are events.
CREATE OR REPLACE FUNCTION agentes.complete_onboarding_step(person agentes.users, step text) RETURNS void
    LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO agentes.onboarding_steps (organization_id, user_id, step) VALUES (person.organization_id, person.id, step);
    UPDATE agentes.users AS u SET onboarded_at = now()
    WHERE u.id = person.id AND u.onboarded_at IS NULL
      AND (SELECT count(*) FROM agentes.onboarding_steps AS s WHERE s.user_id = u.id) = 3;
END
$$;
COMMENT ON FUNCTION agentes.complete_onboarding_step(agentes.users, text) IS
    'Notes a step of a person''s onboarding, and its end with the third one.';
