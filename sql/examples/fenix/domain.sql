-- The tables of fenix, a CRM that many companies share: every row belongs to one of them.
-- They know nothing of webhooks. Everything stands in schema fenix; DROP SCHEMA fenix CASCADE removes it.

CREATE SCHEMA fenix;

CREATE TABLE fenix.companies (
    id               uuid          NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
    name             text          NOT NULL,
    created_at       timestamptz   NOT NULL DEFAULT now()
);

CREATE TABLE fenix.users (
    id               uuid          NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
    company_id       uuid          NOT NULL REFERENCES fenix.companies,
    name             text          NOT NULL,
    email            text          NOT NULL,
    role             text          NOT NULL DEFAULT 'seller',
    password_hash    text          NOT NULL,
    created_at       timestamptz   NOT NULL DEFAULT now(),
    UNIQUE (company_id, email)
);

CREATE TABLE fenix.clients (
    id               uuid          NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
    company_id       uuid          NOT NULL REFERENCES fenix.companies,
    name             text          NOT NULL,
    email            text          NOT NULL,
    phone            text,
    tax_id           text,
    created_at       timestamptz   NOT NULL DEFAULT now(),
    last_seen_at     timestamptz
);
CREATE INDEX ON fenix.clients (company_id);

CREATE TABLE fenix.proposals (
    id               uuid          NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
    company_id       uuid          NOT NULL REFERENCES fenix.companies,
    client_id        uuid          NOT NULL REFERENCES fenix.clients,
    number           text          NOT NULL,
    title            text          NOT NULL,
    total            numeric(12,2) NOT NULL,
    status           text          NOT NULL DEFAULT 'draft'
                     CHECK (status IN ('draft', 'sent', 'viewed', 'accepted', 'rejected')),
    created_at       timestamptz   NOT NULL DEFAULT now()
);
CREATE INDEX ON fenix.proposals (client_id);

CREATE TABLE fenix.invoices (
    id               uuid          NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
    company_id       uuid          NOT NULL REFERENCES fenix.companies,
    client_id        uuid          NOT NULL REFERENCES fenix.clients,
    number           text          NOT NULL,
    total            numeric(12,2) NOT NULL,
    due_on           date          NOT NULL,
    status           text          NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'overdue', 'paid')),
    created_at       timestamptz   NOT NULL DEFAULT now()
);
CREATE INDEX ON fenix.invoices (due_on) WHERE status = 'open';

CREATE TABLE fenix.subscriptions (
    company_id       uuid          NOT NULL REFERENCES fenix.companies PRIMARY KEY,
    plan             text          NOT NULL,
    seats            integer       NOT NULL DEFAULT 1,
    renews_on        date          NOT NULL
);

CREATE TABLE fenix.modules (
    company_id       uuid          NOT NULL REFERENCES fenix.companies,
    module           text          NOT NULL,
    is_active        boolean       NOT NULL DEFAULT false,
    PRIMARY KEY (company_id, module)
);
