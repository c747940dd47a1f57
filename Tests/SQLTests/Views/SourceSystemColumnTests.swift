// The relations and columns that the SQL of the systems to be replaced names: all of them answer.

import Postgres
import Testing

@Suite struct SourceSystemColumnTests {
    @Test(arguments: [
        ("webhook_endpoints", "id, user_id, organization_id, name, url, events, secret, is_active, success_count, failure_count"),
        (
            "webhook_events",
            "id, event_type, event_source, table_name, record_id, user_id, data, status, retry_count, error_message"
        ),
        (
            "webhook_deliveries",
            "id, webhook_event_id, webhook_endpoint_id, status_code, response_body, delivery_duration_ms, attempt_number"
        ),
        (
            "n8n_workflows",
            "id, workflow_id, name, webhook_url, event_types, is_active, success_count, failure_count"
        ),
        // fenix
        (
            "webhook_deliveries",
            "event_type, payload, status, response_status_code, response_body, attempt_count, next_retry_at, delivered_at"
        ),
    ])
    func columnsCanBeSelected(relation: String, columns: String) async throws {
        try await withRollback { db in
            try await db.endpoint()
            let id = try await db.emit()[0]
            try await db.run(
                """
                INSERT INTO postrider.n8n_workflows (name, webhook_url, event_types) VALUES ('w', 'https://n8n.example', '{*}');
                INSERT INTO postrider.webhook_attempts (event_id, attempted_at, worker_id, destination_id, duration_us, attempt_number, outcome)
                SELECT '\(id)', now(), 1, id, 1, 1, 0 FROM postrider.webhook_destinations WHERE kind = 'endpoint'
                """)
            #expect(try await db.lines("SELECT \(columns) FROM postrider.\(relation)").count == 1)
        }
    }

    @Test func typesAreThoseTheAuditsExpect() async throws {
        try await withRollback { db in
            let types = try await db.lines(
                """
                SELECT table_name || '.' || column_name || ' ' || CASE data_type WHEN 'ARRAY' THEN udt_name ELSE data_type END
                FROM information_schema.columns WHERE table_schema = 'postrider' AND table_name || '.' || column_name IN (
                    'webhook_endpoints.id', 'webhook_endpoints.events', 'webhook_events.id', 'webhook_events.data',
                    'webhook_deliveries.id', 'n8n_workflows.id', 'n8n_workflows.event_types')
                ORDER BY 1
                """)
            #expect(
                types == [
                    "n8n_workflows.event_types _text", "n8n_workflows.id uuid", "webhook_deliveries.id uuid",
                    "webhook_endpoints.events _text", "webhook_endpoints.id uuid", "webhook_events.data jsonb",
                    "webhook_events.id uuid",
                ])
        }
    }
}
