-- The tables of bird: conversations with customers, and what its artificial intelligence makes of them.
-- They know nothing of webhooks. Everything stands in schema bird; DROP SCHEMA bird CASCADE removes it.

CREATE SCHEMA bird;

CREATE TABLE bird.conversations (
    id                uuid         NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
    customer_id       text         NOT NULL,
    channel           text         NOT NULL,
    status            text         NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'escalated', 'ended')),
    escalation_reason text,
    started_at        timestamptz  NOT NULL DEFAULT now(),
    ended_at          timestamptz
);
CREATE INDEX ON bird.conversations (customer_id, started_at);

CREATE TABLE bird.messages (
    id                uuid         NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
    conversation_id   uuid         NOT NULL REFERENCES bird.conversations ON DELETE CASCADE,
    customer_id       text         NOT NULL,
    direction         text         NOT NULL CHECK (direction IN ('received', 'sent')),
    body              text         NOT NULL,
    created_at        timestamptz  NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX ON bird.messages (conversation_id, created_at);

CREATE TABLE bird.ai_intents (
    id                uuid         NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
    conversation_id   uuid         NOT NULL REFERENCES bird.conversations ON DELETE CASCADE,
    customer_id       text         NOT NULL,
    intent            text         NOT NULL,
    confidence        numeric(5,4) NOT NULL,
    detected_at       timestamptz  NOT NULL DEFAULT now()
);
CREATE INDEX ON bird.ai_intents (conversation_id);

CREATE TABLE bird.ai_actions (
    id                uuid         NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
    conversation_id   uuid         NOT NULL REFERENCES bird.conversations ON DELETE CASCADE,
    customer_id       text         NOT NULL,
    action            text         NOT NULL,
    status            text         NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'executed', 'failed')),
    result            jsonb,
    created_at        timestamptz  NOT NULL DEFAULT now()
);
CREATE INDEX ON bird.ai_actions (conversation_id);

CREATE TABLE bird.ai_recommendations (
    id                uuid         NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
    conversation_id   uuid         NOT NULL REFERENCES bird.conversations ON DELETE CASCADE,
    customer_id       text         NOT NULL,
    products          jsonb        NOT NULL,
    generated_at      timestamptz  NOT NULL DEFAULT now()
);
CREATE INDEX ON bird.ai_recommendations (conversation_id);
