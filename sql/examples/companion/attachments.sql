-- The events of companion. What is a change of a row is attached to its table; chunks of a stream, which no table keeps,
-- are emitted by companion.stream_chunk. Running this file again replaces everything in place.

SELECT postrider.attach('companion.companions', 'companion.created',
    except_columns => '{systemPrompt,lastSeenAt}', user_id => 'userId');
-- lastSeenAt changes with every message: it makes no event. isActive has event types of its own.
SELECT postrider.attach('companion.companions', 'companion.updated', '{update}',
    condition => $$ (NEW."userId", NEW.name, NEW.persona, NEW."systemPrompt")
        IS DISTINCT FROM (OLD."userId", OLD.name, OLD.persona, OLD."systemPrompt") $$,
    except_columns => '{systemPrompt,lastSeenAt}', user_id => 'userId');
SELECT postrider.attach('companion.companions', operations => '{update}',
    event_type_expression => $$ CASE WHEN NEW."isActive" THEN 'companion.activated' ELSE 'companion.deactivated' END $$,
    condition => $$ NEW."isActive" <> OLD."isActive" $$,
    except_columns => '{systemPrompt,lastSeenAt}', user_id => 'userId', name => 'companion.<activated or deactivated>');
SELECT postrider.attach('companion.companions', 'companion.deleted', '{delete}',
    columns => '{companionId,userId,name}', user_id => 'userId');

-- One chat is one ordering key: what happens in it is delivered in order to destinations that ask for order.
SELECT postrider.attach('companion.chats', 'chat.started', user_id => 'userId', ordering_key => 'chatId');
SELECT postrider.attach('companion.chats', 'chat.ended', '{update}',
    condition => 'NEW."endedAt" IS NOT NULL AND OLD."endedAt" IS NULL', user_id => 'userId', ordering_key => 'chatId');
SELECT postrider.attach('companion.messages', event_type_expression => $$ 'message.' || NEW.direction $$,
    user_id => 'userId', ordering_key => 'chatId', name => 'message.<direction>');
SELECT postrider.attach('companion.streams', 'stream.started', user_id => 'userId', ordering_key => 'chatId');

-- Somebody is woken by critical errors: they go first.
SELECT postrider.attach('companion.errors', 'error.occurred', except_columns => '{stackTrace}', user_id => 'userId',
    priority => $$ CASE NEW.severity WHEN 'critical' THEN 0 ELSE 1 END $$);

-- Once each time that four fifths, or all, of what is allowed is passed; only the worse of the two when a change passes both.
SELECT postrider.attach('companion.quotas', operations => '{insert,update}', event_type_expression => $$ CASE
        WHEN NEW.used > NEW.allowed
            THEN CASE WHEN (OLD.used > OLD.allowed) IS NOT TRUE THEN 'quota.exceeded' END
        WHEN NEW.used >= NEW.allowed * 0.8 AND (OLD.used >= OLD.allowed * 0.8) IS NOT TRUE THEN 'quota.warning'
    END $$, user_id => 'userId', name => 'quota.<warning or exceeded>');

-- When it becomes slow, not each time that it still is.
SELECT postrider.attach('companion.performance', 'performance.degraded', '{insert,update}',
    condition => $$ NEW."p95Ms" > NEW."limitMs" AND (OLD."p95Ms" > OLD."limitMs") IS NOT TRUE $$, user_id => 'userId');

CREATE OR REPLACE FUNCTION companion.stream_chunk(stream companion.streams, sequence integer, content text) RETURNS uuid
    LANGUAGE sql AS $$
    SELECT postrider.emit('stream.chunk', jsonb_build_object('streamId', stream."streamId", 'chatId', stream."chatId",
            'companionId', stream."companionId", 'sequence', sequence, 'content', content),
        user_id => stream."userId", record_id => stream."streamId"::text, ordering_key => stream."chatId"::text)
$$;
COMMENT ON FUNCTION companion.stream_chunk(companion.streams, integer, text) IS
    'Emits stream.chunk for one piece of an answer, numbered by the caller, and gives the event''s id.';
