-- The tables of crm: leads, the deals they become, proposals, and what is connected.
-- They know nothing of webhooks. Everything stands in schema crm; DROP SCHEMA crm CASCADE removes it.

CREATE SCHEMA crm;

CREATE TABLE crm.leads (
    id               uuid          NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
    owner_id         uuid          NOT NULL,
    name             text          NOT NULL,
    email            text          NOT NULL,
    phone            text,
    company          text,
    source           text          NOT NULL DEFAULT 'site',
    score            integer       NOT NULL DEFAULT 0,
    status           text          NOT NULL DEFAULT 'new' CHECK (status IN ('new', 'contacted', 'qualified', 'converted', 'lost')),
    internal_notes   text          NOT NULL DEFAULT '',
    created_at       timestamptz   NOT NULL DEFAULT now(),
    last_viewed_at   timestamptz
);
CREATE INDEX ON crm.leads (owner_id, created_at);

CREATE TABLE crm.deals (
    id               uuid          NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
    lead_id          uuid          REFERENCES crm.leads,
    owner_id         uuid          NOT NULL,
    title            text          NOT NULL,
    amount           numeric(12,2) NOT NULL,
    currency         text          NOT NULL DEFAULT 'BRL',
    probability      numeric(5,4)  NOT NULL DEFAULT 0.1,
    stage            text          NOT NULL DEFAULT 'prospecting'
                     CHECK (stage IN ('prospecting', 'proposal', 'negotiation', 'won', 'lost')),
    lost_reason      text,
    created_at       timestamptz   NOT NULL DEFAULT now(),
    last_viewed_at   timestamptz
);
CREATE INDEX ON crm.deals (lead_id);

CREATE TABLE crm.proposals (
    id               uuid          NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
    deal_id          uuid          NOT NULL REFERENCES crm.deals ON DELETE CASCADE,
    owner_id         uuid          NOT NULL,
    number           text          NOT NULL,
    total            numeric(12,2) NOT NULL,
    status           text          NOT NULL DEFAULT 'draft' CHECK (status IN ('draft', 'sent', 'accepted', 'rejected')),
    created_at       timestamptz   NOT NULL DEFAULT now()
);
CREATE INDEX ON crm.proposals (deal_id);

CREATE TABLE crm.integrations (
    id               uuid          NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
    owner_id         uuid          NOT NULL,
    provider         text          NOT NULL,
    status           text          NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'connected', 'error')),
    credentials      jsonb         NOT NULL DEFAULT '{}',
    last_error       text,
    UNIQUE (owner_id, provider)
);

CREATE TABLE crm.integration_syncs (
    id                uuid         NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
    integration_id    uuid         NOT NULL REFERENCES crm.integrations ON DELETE CASCADE,
    owner_id          uuid         NOT NULL,
    status            text         NOT NULL DEFAULT 'running' CHECK (status IN ('running', 'completed', 'failed')),
    records_processed integer      NOT NULL DEFAULT 0,
    started_at        timestamptz  NOT NULL DEFAULT now(),
    finished_at       timestamptz
);
CREATE INDEX ON crm.integration_syncs (integration_id, started_at);
