-- A conversation at bird, from its first word to its end. Can be run again and again: the conversation is a new one each
-- time. Makes 9 events, and none of what does not concern receivers (an action that failed).
--
--    1 conversation.started    2 conversation.message.received    1 conversation.message.sent
--    1 conversation.escalated  1 conversation.ended
--    1 ai.intent.detected      1 ai.action.executed               1 ai.recommendation.generated
\set ON_ERROR_STOP on
SELECT gen_random_uuid() AS conversation, 'cust-' || substr(gen_random_uuid()::text, 1, 8) AS customer \gset

INSERT INTO bird.conversations (id, customer_id, channel) VALUES (:'conversation', :'customer', 'whatsapp');
INSERT INTO bird.messages (conversation_id, customer_id, direction, body)
VALUES (:'conversation', :'customer', 'received', 'Cadê meu pedido?');
INSERT INTO bird.ai_intents (conversation_id, customer_id, intent, confidence)
VALUES (:'conversation', :'customer', 'order_status', 0.9731);
-- One action works, the other does not, and nobody hears of that one.
INSERT INTO bird.ai_actions (conversation_id, customer_id, action)
VALUES (:'conversation', :'customer', 'find_order'), (:'conversation', :'customer', 'refund');
UPDATE bird.ai_actions SET status = CASE action WHEN 'find_order' THEN 'executed' ELSE 'failed' END, result = '{"order": 17}'
WHERE conversation_id = :'conversation';
INSERT INTO bird.messages (conversation_id, customer_id, direction, body)
VALUES (:'conversation', :'customer', 'sent', 'Ele chega amanhã. 📦');
INSERT INTO bird.ai_recommendations (conversation_id, customer_id, products)
VALUES (:'conversation', :'customer', '[{"sku": "A-1", "score": 0.5}]');
INSERT INTO bird.messages (conversation_id, customer_id, direction, body)
VALUES (:'conversation', :'customer', 'received', 'Quero falar com uma pessoa');
UPDATE bird.conversations SET status = 'escalated', escalation_reason = 'asked for' WHERE id = :'conversation';
UPDATE bird.conversations SET status = 'ended', ended_at = now() WHERE id = :'conversation';
