-- The events of bird: every one of them is a change of a row. One conversation is one ordering key, so that destinations
-- that ask for order hear of it in order. Running this file again replaces everything in place.
--
-- inventory.updated, price.changed and their like come from outside to bird: they are no events of these tables.

SELECT postrider.attach('bird.conversations', 'conversation.started', user_id => 'customer_id', ordering_key => 'id');
-- Somebody waits for a person when it is escalated: those go first.
SELECT postrider.attach('bird.conversations', operations => '{update}',
    event_type_expression => $$ 'conversation.' || NEW.status $$,
    condition => $$ NEW.status <> OLD.status AND NEW.status IN ('escalated', 'ended') $$,
    user_id => 'customer_id', ordering_key => 'id',
    priority => $$ CASE NEW.status WHEN 'escalated' THEN 0 ELSE 1 END $$, name => 'conversation.<escalated or ended>');
SELECT postrider.attach('bird.messages', event_type_expression => $$ 'conversation.message.' || NEW.direction $$,
    user_id => 'customer_id', ordering_key => 'conversation_id', name => 'conversation.message.<direction>');

SELECT postrider.attach('bird.ai_intents', 'ai.intent.detected', user_id => 'customer_id', ordering_key => 'conversation_id');
-- When it becomes executed, by an INSERT (OLD is null then) or an UPDATE.
SELECT postrider.attach('bird.ai_actions', 'ai.action.executed', '{insert,update}',
    condition => $$ NEW.status = 'executed' AND OLD.status IS DISTINCT FROM 'executed' $$,
    user_id => 'customer_id', ordering_key => 'conversation_id');
SELECT postrider.attach('bird.ai_recommendations', 'ai.recommendation.generated',
    user_id => 'customer_id', ordering_key => 'conversation_id');
