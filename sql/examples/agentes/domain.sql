-- The tables of agentes: people, their agents, what they talk about, what they pay, what they connect.
-- They know nothing of webhooks. Everything stands in schema agentes; DROP SCHEMA agentes CASCADE removes it.

CREATE SCHEMA agentes;

CREATE TABLE agentes.users (
    id              uuid        NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
    organization_id uuid        NOT NULL,
    email           text        NOT NULL UNIQUE,
    full_name       text        NOT NULL,
    phone           text,
    password_hash   text        NOT NULL,
    plan            text        NOT NULL DEFAULT 'free',
    created_at      timestamptz NOT NULL DEFAULT now(),
    onboarded_at    timestamptz,
    last_seen_at    timestamptz
);

CREATE TABLE agentes.agents (
    id              uuid        NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
    organization_id uuid        NOT NULL,
    user_id         uuid        NOT NULL REFERENCES agentes.users ON DELETE CASCADE,
    name            text        NOT NULL,
    model           text        NOT NULL DEFAULT 'default',
    prompt          text        NOT NULL DEFAULT '',
    is_active       boolean     NOT NULL DEFAULT true,
    created_at      timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON agentes.agents (user_id);

CREATE TABLE agentes.conversations (
    id              uuid        NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
    organization_id uuid        NOT NULL,
    user_id         uuid        NOT NULL REFERENCES agentes.users ON DELETE CASCADE,
    agent_id        uuid        NOT NULL REFERENCES agentes.agents ON DELETE CASCADE,
    channel         text        NOT NULL,
    started_at      timestamptz NOT NULL DEFAULT now(),
    ended_at        timestamptz
);
CREATE INDEX ON agentes.conversations (agent_id, started_at);

CREATE TABLE agentes.messages (
    id              uuid        NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
    organization_id uuid        NOT NULL,
    user_id         uuid        NOT NULL,
    conversation_id uuid        NOT NULL REFERENCES agentes.conversations ON DELETE CASCADE,
    sender          text        NOT NULL CHECK (sender IN ('person', 'agent')),
    body            text        NOT NULL,
    sent_at         timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX ON agentes.messages (conversation_id, sent_at);

CREATE TABLE agentes.external_integrations (
    id              uuid        NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
    organization_id uuid        NOT NULL,
    user_id         uuid        NOT NULL REFERENCES agentes.users ON DELETE CASCADE,
    provider        text        NOT NULL CHECK (provider IN ('whatsapp', 'openai')),
    status          text        NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'connected', 'disconnected')),
    credentials     jsonb       NOT NULL DEFAULT '{}',
    connected_at    timestamptz,
    UNIQUE (user_id, provider)
);

CREATE TABLE agentes.payments (
    id              uuid          NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
    organization_id uuid          NOT NULL,
    user_id         uuid          NOT NULL REFERENCES agentes.users ON DELETE CASCADE,
    amount          numeric(12,2) NOT NULL,
    currency        text          NOT NULL DEFAULT 'BRL',
    status          text          NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'confirmed', 'failed')),
    created_at      timestamptz   NOT NULL DEFAULT now()
);
CREATE INDEX ON agentes.payments (user_id, created_at);

CREATE TABLE agentes.onboarding_steps (
    organization_id uuid        NOT NULL,
    user_id         uuid        NOT NULL REFERENCES agentes.users ON DELETE CASCADE,
    step            text        NOT NULL,
    completed_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, step)
);
