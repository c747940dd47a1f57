// The statements of the demo's application: plain SQL, as programs in any language would send it. It plays the part of
// an application that knows nothing of webhooks, which is why its statements stand here and not among the product's.

internal import Postgres

/// Statements of the example application and the demo's questions.
enum DemoSQL {
    static let people = text(
        "people",
        """
        INSERT INTO agentes.users (organization_id, email, full_name, password_hash)
        VALUES ($1, 'ana@example.com', 'Ana Souza', 'never sent'), ($1, 'joao@example.com', 'João Lima', 'never sent')
        RETURNING id
        """)
    static let ghost = text(
        "ghost",
        """
        INSERT INTO agentes.users (organization_id, email, full_name, password_hash)
        VALUES ($1, 'nobody@example.com', 'Nobody', 'never sent')
        """)
    static let agent = text(
        "agent", "INSERT INTO agentes.agents (organization_id, user_id, name) VALUES ($1, $2, 'vendas') RETURNING id")
    static let conversation = text(
        "conversation",
        """
        INSERT INTO agentes.conversations (organization_id, user_id, agent_id, channel)
        VALUES ($1, $2, $3, 'whatsapp') RETURNING id
        """)
    static let messages = text(
        "messages",
        """
        INSERT INTO agentes.messages (organization_id, user_id, conversation_id, sender, body)
        VALUES ($1, $2, $3, 'person', 'Olá! Quanto custa?'), ($1, $2, $3, 'agent', 'R$ 99,90 por mês.')
        """)
    static let message = Statement(
        name: "message",
        sql: """
            INSERT INTO agentes.messages (id, organization_id, user_id, conversation_id, sender, body)
            VALUES ($1, $2, $3, $4, 'person', 'Obrigada!')
            """)
    static let manyMessages = text(
        "many messages",
        """
        INSERT INTO agentes.messages (organization_id, user_id, conversation_id, sender, body)
        SELECT $1, $2, $3, 'person', 'message ' || n FROM generate_series(1, $4::integer) AS n
        """)
    static let template = text(
        "template",
        "SELECT agentes.apply_template(a, 'sales-pt-br', 'Você vende com gentileza.') FROM agentes.agents AS a")
    static let onboarding = text(
        "onboarding",
        """
        SELECT agentes.complete_onboarding_step(u, step)
        FROM agentes.users AS u, unnest('{profile,first agent,first integration}'::text[]) AS step
        WHERE u.id = $1
        """)
    static let openai = text(
        "openai",
        """
        INSERT INTO agentes.external_integrations (organization_id, user_id, provider, status, connected_at)
        VALUES ($1, $2, 'openai', 'connected', now())
        """)
    static let whatsappWaits = text(
        "whatsapp waits",
        """
        INSERT INTO agentes.external_integrations (organization_id, user_id, provider, credentials)
        VALUES ($1, $2, 'whatsapp', '{"token": "never sent"}')
        """)
    static let whatsappConnects = text(
        "whatsapp connects",
        """
        UPDATE agentes.external_integrations SET status = 'connected', connected_at = now() WHERE provider = 'whatsapp'
        """)
    static let payment = text(
        "payment",
        """
        SELECT postrider.emit('payment.confirmed',
                   jsonb_build_object('amount', 99.90, 'currency', 'BRL', 'user_id', $2::uuid),
                   organization_id => $1::text, user_id => $2::text, priority => 0)
        """)

    /// Billing is the second endpoint: Standard Webhooks, payments only, short delays so that people see retries.
    static let billing = text(
        "billing",
        """
        INSERT INTO postrider.webhook_endpoints (name, url, events, profile, base_delay_ms, delay_factor, jitter)
        VALUES ('billing', $1, '{payment.*}', 'standard', 500, 2, 0) RETURNING secret
        """)
    static let hurryWhatsapp = text(
        "hurry whatsapp",
        "UPDATE postrider.n8n_workflows SET base_delay_ms = 500, jitter = 0 WHERE name = 'whatsapp-connected'")

    static let isThere = text("schema", "SELECT to_regnamespace($1) IS NOT NULL")
    /// The tables that hold what somebody put there, whatever the schema's version; null for none.
    static let used = text(
        "contents",
        """
        SELECT string_agg(c.relname, ', ' ORDER BY c.relname) FROM pg_catalog.pg_class AS c
        WHERE c.relnamespace = to_regnamespace('postrider') AND c.relkind IN ('r', 'p') AND NOT c.relispartition
          AND c.relname <> ALL ('{webhook_migrations,webhook_grants,webhook_routing,webhook_routing_changes,webhook_retention,
              webhook_retention_progress,webhook_settlements,webhook_workers}')
          AND query_to_xml(format('SELECT 1 AS x FROM postrider.%I LIMIT 1', c.relname), false, false, '')::text LIKE '%<row%'
        """)
    static let workersAlive = text("workers", "SELECT count(*) FROM postrider.webhook_workers WHERE alive AND has_lock")
    static let waiting = text(
        "waiting",
        """
        SELECT d.attempt_number, d.failure, d.status_code,
               (extract(epoch FROM d.next_retry_at - clock_timestamp()) * 1000)::integer
        FROM postrider.webhook_events AS e JOIN postrider.webhook_deliveries AS d ON d.webhook_event_id = e.id
        WHERE e.event_type = $1 AND d.destination_name = $2 AND d.status = 'pending' AND d.next_retry_at IS NOT NULL
        """)
    static let isSettled = text(
        "settled",
        """
        SELECT NOT EXISTS (SELECT FROM postrider.webhook_queue) AND NOT EXISTS (SELECT FROM postrider.webhook_claims)
           AND NOT EXISTS (SELECT FROM postrider.webhook_retries)
        """)
    /// Every event with its type and the id of its row.
    static let events = text("events", "SELECT id::text, event_type, record_id FROM postrider.webhook_events")
    static let audit = text(
        "audit",
        """
        SELECT event_type, count(DISTINCT webhook_event_id), count(*), sum(attempt_count)::bigint,
               count(*) FILTER (WHERE status = 'success'), count(*) FILTER (WHERE status = 'failed'),
               count(*) FILTER (WHERE status = 'pending')
        FROM postrider.webhook_deliveries GROUP BY event_type ORDER BY event_type
        """)

    private static func text(_ name: String, _ sql: String) -> Statement {
        Statement(name: "demo \(name)", sql: sql, prepare: false)
    }
}
