// fenix: its event types, and the statements of sql/examples/fenix that make them. Driven by PackScenarios.

extension Pack {
    static let fenix = Pack(
        name: "fenix",
        types: [
            "client.created", "client.updated", "client.deleted", "proposal.created", "proposal.updated",
            "proposal.sent", "proposal.viewed", "proposal.accepted", "proposal.rejected", "invoice.created",
            "invoice.paid", "invoice.overdue", "user.created", "subscription.updated", "module.activated",
        ],
        typeKey: "event",
        headers: ["content-type": ["application/json"], "user-agent": ["Fenix-CRM-Webhooks/1.0"]],
        rules: "4|30000|2|3600000|0.1|30000|", firstDelay: 30_000,
        organization: company,
        steps: [
            .quiet("INSERT INTO fenix.companies (id, name) VALUES ('\(company)', 'Fênix'), ('\(another)', 'Another')"),
            .row(
                "user.created",
                """
                INSERT INTO fenix.users (company_id, name, email, password_hash)
                VALUES ('\(company)', 'Inês ✓', 'ines@example.com', 'hash')
                """, without: ["password_hash"]),
            .row(
                "client.created",
                """
                INSERT INTO fenix.clients (company_id, name, email, tax_id)
                SELECT '\(company)', name, 'a@example.com', '00.000' FROM unnest('{Padaria,Visitante}'::text[]) AS name
                """, without: ["tax_id", "last_seen_at"]),
            // The endpoint hears of its own company alone.
            .quiet("INSERT INTO fenix.clients (company_id, name, email) VALUES ('\(another)', 'Foreign', 'b@example.com')"),
            .row(
                "client.updated", "UPDATE fenix.clients SET tax_id = '11.111' WHERE name = 'Padaria'",
                without: ["tax_id", "last_seen_at"]),
            .quiet("UPDATE fenix.clients SET last_seen_at = now()"),
            .row("client.deleted", "DELETE FROM fenix.clients WHERE name = 'Visitante'", only: ["id", "company_id", "name"]),
            .row("proposal.created", proposals),
            .row("proposal.updated", "UPDATE fenix.proposals SET total = 950.00 WHERE number = 'A'"),
            .row("proposal.sent", "UPDATE fenix.proposals SET status = 'sent'"),
            .row("proposal.viewed", "UPDATE fenix.proposals SET status = 'viewed' WHERE number = 'A'"),
            .quiet("UPDATE fenix.proposals SET status = 'viewed' WHERE number = 'A'"),
            .row("proposal.accepted", "UPDATE fenix.proposals SET status = 'accepted' WHERE number = 'A'"),
            .row("proposal.rejected", "UPDATE fenix.proposals SET status = 'rejected' WHERE number = 'B'"),
            .row("invoice.created", invoices),
            .row("invoice.paid", "UPDATE fenix.invoices SET status = 'paid' WHERE number = 'A'"),
            .call(
                "invoice.overdue", "SELECT fenix.mark_overdue_invoices('2026-02-02')",
                records: "SELECT to_jsonb(i)::text FROM fenix.invoices AS i WHERE number = 'B'"),
            .quiet("SELECT fenix.mark_overdue_invoices('2026-02-02')"),
            .quiet("INSERT INTO fenix.subscriptions (company_id, plan, renews_on) VALUES ('\(company)', 'pro', '2026-03-01')"),
            .row("subscription.updated", "UPDATE fenix.subscriptions SET seats = 5"),
            .quiet("INSERT INTO fenix.modules (company_id, module) VALUES ('\(company)', 'marketing')"),
            .row("module.activated", "UPDATE fenix.modules SET is_active = true"),
            .quiet("UPDATE fenix.modules SET is_active = true"),
        ])

    /// The company of the pack's endpoint, where no other is named.
    private static let company = "00000000-0000-4000-8000-00000000fe01"
    private static let another = "00000000-0000-4000-8000-00000000fe02"

    private static let proposals = """
        INSERT INTO fenix.proposals (company_id, client_id, number, title, total)
        SELECT company_id, id, number, 'Plano', 1000.00 FROM fenix.clients, unnest('{A,B}'::text[]) AS number
        WHERE name = 'Padaria'
        """

    private static let invoices = """
        INSERT INTO fenix.invoices (company_id, client_id, number, total, due_on)
        SELECT company_id, id, number, 120.00, '2026-02-01' FROM fenix.clients, unnest('{A,B}'::text[]) AS number
        WHERE name = 'Padaria'
        """
}
