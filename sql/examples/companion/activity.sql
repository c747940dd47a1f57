-- An evening at companion: one companion is made, talks, costs too much and is taken down. Can be run again and again:
-- the companion is a new one each time. Makes 18 events, and none of what does not concern receivers (a glance, the
-- first words of a quota).
--
--    1 companion.created       1 companion.updated      1 companion.activated   1 companion.deactivated
--    1 companion.deleted       1 chat.started           1 chat.ended            2 message.received
--    1 message.sent            1 stream.started         3 stream.chunk          1 error.occurred
--    1 quota.warning           1 quota.exceeded         1 performance.degraded
\set ON_ERROR_STOP on
SELECT 'comp-' || substr(gen_random_uuid()::text, 1, 8) AS companion, 'user-' || substr(gen_random_uuid()::text, 1, 8) AS person \gset

INSERT INTO companion.companions ("companionId", "userId", name, "systemPrompt")
VALUES (:'companion', :'person', 'Lia', 'Be kind, which no event shows.');
UPDATE companion.companions SET persona = 'a patient listener' WHERE "companionId" = :'companion';
UPDATE companion.companions SET "isActive" = true WHERE "companionId" = :'companion';
-- A glance makes no event.
UPDATE companion.companions SET "lastSeenAt" = now() WHERE "companionId" = :'companion';

-- A chat with its messages; the answer is streamed first and becomes a message afterwards.
INSERT INTO companion.chats ("companionId", "userId") VALUES (:'companion', :'person');
INSERT INTO companion.messages ("chatId", "companionId", "userId", direction, content)
SELECT "chatId", "companionId", "userId", 'received', unnest('{Olá!,Tudo bem? 🌙}'::text[])
FROM companion.chats WHERE "companionId" = :'companion';
INSERT INTO companion.streams ("chatId", "companionId", "userId")
SELECT "chatId", "companionId", "userId" FROM companion.chats WHERE "companionId" = :'companion';
SELECT companion.stream_chunk(s, c.sequence, c.content) AS stream_chunk
FROM companion.streams AS s, (VALUES (1, 'Tudo '), (2, 'ótimo'), (3, '!')) AS c (sequence, content)
WHERE s."companionId" = :'companion' ORDER BY c.sequence;
INSERT INTO companion.messages ("chatId", "companionId", "userId", direction, content)
SELECT "chatId", "companionId", "userId", 'sent', 'Tudo ótimo!' FROM companion.chats WHERE "companionId" = :'companion';
UPDATE companion.chats SET "endedAt" = now() WHERE "companionId" = :'companion';

-- Half of the quota is no news, four fifths and all of it are.
INSERT INTO companion.quotas ("companionId", "userId", month, used, allowed)
VALUES (:'companion', :'person', date_trunc('month', now()), 50, 100);
UPDATE companion.quotas SET used = 80 WHERE "companionId" = :'companion';
UPDATE companion.quotas SET used = 101 WHERE "companionId" = :'companion';

-- Each window of measurement writes the same row; only the second one tells of something new.
INSERT INTO companion.performance ("companionId", "userId", "p95Ms") VALUES (:'companion', :'person', 80);
INSERT INTO companion.performance ("companionId", "userId", "p95Ms") VALUES (:'companion', :'person', 140)
ON CONFLICT ("companionId") DO UPDATE SET "p95Ms" = EXCLUDED."p95Ms", "measuredAt" = now();
INSERT INTO companion.performance ("companionId", "userId", "p95Ms") VALUES (:'companion', :'person', 150)
ON CONFLICT ("companionId") DO UPDATE SET "p95Ms" = EXCLUDED."p95Ms", "measuredAt" = now();

INSERT INTO companion.errors ("companionId", "userId", severity, code, message, "stackTrace")
VALUES (:'companion', :'person', 'critical', 'model_unavailable', 'The model did not answer.', 'which no event shows');
UPDATE companion.companions SET "isActive" = false WHERE "companionId" = :'companion';
DELETE FROM companion.companions WHERE "companionId" = :'companion';
