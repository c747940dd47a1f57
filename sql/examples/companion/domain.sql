-- The tables of companion: companions, what they talk about, what they stream, what goes wrong, what they use up.
-- They know nothing of webhooks. Everything stands in schema companion; DROP SCHEMA companion CASCADE removes it.
--
-- Columns are written as the receivers of companion read them: a row becomes the event's data as it is, and every row
-- tells its companionId.

CREATE SCHEMA companion;

CREATE TABLE companion.companions (
    "companionId"  text        NOT NULL DEFAULT 'comp-' || gen_random_uuid() PRIMARY KEY,
    "userId"       text        NOT NULL,
    name           text        NOT NULL,
    persona        text        NOT NULL DEFAULT '',
    "systemPrompt" text        NOT NULL DEFAULT '',
    "isActive"     boolean     NOT NULL DEFAULT false,
    "createdAt"    timestamptz NOT NULL DEFAULT now(),
    "lastSeenAt"   timestamptz
);

CREATE TABLE companion.chats (
    "chatId"       uuid        NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
    "companionId"  text        NOT NULL REFERENCES companion.companions ON DELETE CASCADE,
    "userId"       text        NOT NULL,
    channel        text        NOT NULL DEFAULT 'web',
    "startedAt"    timestamptz NOT NULL DEFAULT now(),
    "endedAt"      timestamptz
);
CREATE INDEX ON companion.chats ("companionId", "startedAt");

CREATE TABLE companion.messages (
    "messageId"    uuid        NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
    "chatId"       uuid        NOT NULL REFERENCES companion.chats ON DELETE CASCADE,
    "companionId"  text        NOT NULL,
    "userId"       text        NOT NULL,
    -- As the companion sees it: sent by it, or received by it.
    direction      text        NOT NULL CHECK (direction IN ('sent', 'received')),
    content        text        NOT NULL,
    "createdAt"    timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX ON companion.messages ("chatId", "createdAt");

-- An answer while it is being written. Its chunks are not stored: the whole answer becomes a message.
CREATE TABLE companion.streams (
    "streamId"     uuid        NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
    "chatId"       uuid        NOT NULL REFERENCES companion.chats ON DELETE CASCADE,
    "companionId"  text        NOT NULL,
    "userId"       text        NOT NULL,
    "startedAt"    timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON companion.streams ("chatId");

CREATE TABLE companion.errors (
    "errorId"      uuid        NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
    "companionId"  text        NOT NULL,
    "userId"       text        NOT NULL,
    severity       text        NOT NULL DEFAULT 'error' CHECK (severity IN ('warning', 'error', 'critical')),
    code           text        NOT NULL,
    message        text        NOT NULL,
    "stackTrace"   text        NOT NULL DEFAULT '',
    "occurredAt"   timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON companion.errors ("companionId", "occurredAt");

CREATE TABLE companion.quotas (
    "companionId"  text        NOT NULL REFERENCES companion.companions ON DELETE CASCADE,
    "userId"       text        NOT NULL,
    month          date        NOT NULL,
    used           bigint      NOT NULL DEFAULT 0,
    allowed        bigint      NOT NULL CHECK (allowed > 0),
    PRIMARY KEY ("companionId", month)
);

-- One row for each companion, written again after each window of measurement.
CREATE TABLE companion.performance (
    "companionId"  text        NOT NULL REFERENCES companion.companions ON DELETE CASCADE PRIMARY KEY,
    "userId"       text        NOT NULL,
    "p95Ms"        integer     NOT NULL,
    "limitMs"      integer     NOT NULL DEFAULT 100,
    "measuredAt"   timestamptz NOT NULL DEFAULT now()
);
