// crm: its event types, and the statements of sql/examples/crm that make them. Driven by PackScenarios.

extension Pack {
    static let crm = Pack(
        name: "crm",
        types: [
            "lead.created", "lead.updated", "lead.converted", "deal.created", "deal.updated", "deal.stage_changed",
            "deal.won", "deal.lost", "proposal.created", "proposal.sent", "proposal.accepted", "proposal.rejected",
            "integration.connected", "integration.sync_completed", "integration.error",
        ],
        typeKey: "event_type", changes: ["deal.stage_changed"],
        headers: [
            "content-type": ["application/json"], "user-agent": ["Claude-MCP-Webhook/1.0"], "x-team": ["sales"],
        ],
        rules: "4|2000|2|3600000|0|30000|", firstDelay: 2000,
        steps: [
            .row(
                "lead.created",
                """
                INSERT INTO crm.leads (owner_id, name, email, internal_notes)
                VALUES (gen_random_uuid(), 'João Conceição ✓', 'joao@example.com', 'talks much')
                """, without: ["internal_notes", "last_viewed_at"]),
            .row(
                "lead.updated", "UPDATE crm.leads SET phone = '+55 11 90000-0000', score = 80",
                without: ["internal_notes", "last_viewed_at"]),
            .quiet("UPDATE crm.leads SET last_viewed_at = now(), internal_notes = 'talks less'"),
            .row(
                "lead.converted", "UPDATE crm.leads SET status = 'converted'",
                without: ["internal_notes", "last_viewed_at"]),
            // Two rows of one statement are two events; 1000.00 must survive the receiver's json.dumps.
            .row(
                "deal.created",
                """
                INSERT INTO crm.deals (lead_id, owner_id, title, amount)
                SELECT id, owner_id, title, 1000.00 FROM crm.leads, unnest('{Licenças,Treinamento}'::text[]) AS title
                """, without: ["last_viewed_at"]),
            .row(
                "deal.updated", "UPDATE crm.deals SET amount = 1200.50 WHERE title = 'Licenças'",
                without: ["last_viewed_at"]),
            .row(
                "deal.stage_changed", "UPDATE crm.deals SET stage = 'negotiation' WHERE title = 'Licenças'",
                without: ["last_viewed_at"]),
            .quiet("UPDATE crm.deals SET last_viewed_at = now()"),
            .row(
                "proposal.created",
                "INSERT INTO crm.proposals (deal_id, owner_id, number, total) SELECT id, owner_id, title, amount FROM crm.deals"),
            .row("proposal.sent", "UPDATE crm.proposals SET status = 'sent' WHERE number = 'Licenças'"),
            .row("proposal.accepted", "UPDATE crm.proposals SET status = 'accepted' WHERE number = 'Licenças'"),
            .row("proposal.rejected", "UPDATE crm.proposals SET status = 'rejected' WHERE number = 'Treinamento'"),
            .row(
                "deal.won", "UPDATE crm.deals SET stage = 'won', probability = 1 WHERE title = 'Licenças'",
                without: ["last_viewed_at"]),
            .row(
                "deal.lost", "UPDATE crm.deals SET stage = 'lost', lost_reason = 'price' WHERE title = 'Treinamento'",
                without: ["last_viewed_at"]),
            .quiet("INSERT INTO crm.integrations (owner_id, provider) SELECT owner_id, 'calendar' FROM crm.leads"),
            .row(
                "integration.connected",
                #"UPDATE crm.integrations SET status = 'connected', credentials = '{"token": "t"}'"#,
                without: ["credentials"]),
            .quiet("INSERT INTO crm.integration_syncs (integration_id, owner_id) SELECT id, owner_id FROM crm.integrations"),
            .row(
                "integration.sync_completed",
                "UPDATE crm.integration_syncs SET status = 'completed', records_processed = 42, finished_at = now()"),
            .row(
                "integration.error", "UPDATE crm.integrations SET status = 'error', last_error = 'token expired'",
                without: ["credentials"]),
        ])
}
