// agentes: its event types, and the statements of sql/examples/agentes that make them. Driven by PackScenarios.

extension Pack {
    static let agentes = Pack(
        name: "agentes",
        types: [
            "user.registered", "user.updated", "payment.confirmed", "payment.failed",
            "integration.whatsapp.connected", "integration.openai.connected", "integration.disconnected",
            "agent.created", "agent.updated", "agent.deleted", "template.applied", "conversation.created",
            "conversation.message.added", "conversation.ended", "onboarding.step.completed", "onboarding.completed",
        ],
        typeKey: "event_type", changes: ["agent.updated"],
        headers: ["content-type": ["application/json"], "user-agent": ["AgentesDeConversao-Webhook/1.0"]],
        rules: "6|30000|2|3600000|0.1|30000|", firstDelay: 30_000,
        workflows: [
            "/webhook/user-registration": "user.registered", "/webhook/payment-processed": "payment.confirmed",
            "/webhook/whatsapp-connected": "integration.whatsapp.connected",
            "/webhook/openai-connected": "integration.openai.connected", "/webhook/agent-created": "agent.created",
            "/webhook/template-applied": "template.applied", "/webhook/onboarding-complete": "onboarding.completed",
        ],
        triggerSource: "supabase",
        steps: [
            .row(
                "user.registered",
                """
                INSERT INTO agentes.users (organization_id, email, full_name, password_hash)
                VALUES (gen_random_uuid(), 'ana@example.com', 'Ana Souza ✓', 'hash')
                """, without: ["password_hash"]),
            .row("user.updated", "UPDATE agentes.users SET plan = 'pro'", without: ["password_hash", "last_seen_at"]),
            .quiet("UPDATE agentes.users SET last_seen_at = now()"),
            .row(
                "integration.openai.connected", integration("'openai', 'connected'"),
                without: ["credentials"]),
            .quiet(integration("'whatsapp', 'pending'")),
            .row(
                "integration.whatsapp.connected",
                "UPDATE agentes.external_integrations SET status = 'connected' WHERE provider = 'whatsapp'",
                without: ["credentials"]),
            .row(
                "integration.disconnected",
                "UPDATE agentes.external_integrations SET status = 'disconnected' WHERE provider = 'whatsapp'",
                only: ["id", "provider", "status"]),
            .row(
                "agent.created",
                "INSERT INTO agentes.agents (organization_id, user_id, name) SELECT organization_id, id, 'vendas' FROM agentes.users"),
            .row("agent.updated", "UPDATE agentes.agents SET prompt = 'Você vende.'"),
            // The prompt is the agent's already: nothing but the event tells that the template was applied.
            .call(
                "template.applied", "SELECT agentes.apply_template(a, 'sales-pt-br', a.prompt) FROM agentes.agents AS a",
                records: "SELECT jsonb_build_object('agent_id', id, 'template', 'sales-pt-br')::text FROM agentes.agents"),
            .row(
                "conversation.created",
                """
                INSERT INTO agentes.conversations (organization_id, user_id, agent_id, channel)
                SELECT organization_id, user_id, id, 'whatsapp' FROM agentes.agents
                """),
            .row(
                "conversation.message.added",
                """
                INSERT INTO agentes.messages (organization_id, user_id, conversation_id, sender, body)
                SELECT organization_id, user_id, id, sender, body FROM agentes.conversations,
                    (VALUES ('person', 'Quanto custa?'), ('agent', 'R$ 99,90')) AS said (sender, body)
                """),
            .row("conversation.ended", "UPDATE agentes.conversations SET ended_at = now()"),
            .quiet("UPDATE agentes.conversations SET ended_at = now()"),
            .row(
                "onboarding.step.completed",
                """
                INSERT INTO agentes.onboarding_steps (organization_id, user_id, step)
                SELECT organization_id, id, 'profile' FROM agentes.users
                """),
            .row(
                "onboarding.completed", "UPDATE agentes.users SET onboarded_at = now()",
                only: ["id", "email", "full_name", "onboarded_at"]),
            .quiet(
                "INSERT INTO agentes.payments (organization_id, user_id, amount) SELECT organization_id, id, 99.90 FROM agentes.users"),
            .row("payment.failed", "UPDATE agentes.payments SET status = 'failed'"),
            .row("payment.confirmed", "UPDATE agentes.payments SET status = 'confirmed'"),
            .row("agent.deleted", "DELETE FROM agentes.agents", only: ["id", "name"]),
        ])

    private static func integration(_ providerAndStatus: String) -> String {
        """
        INSERT INTO agentes.external_integrations (organization_id, user_id, provider, status)
        SELECT organization_id, id, \(providerAndStatus) FROM agentes.users
        """
    }
}
