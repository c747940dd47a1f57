// Endpoints of the five systems, copied by the statements of their pages: what arrives verifies with the old secret.

import Foundation
import Postgres
import TestSupport
import Testing

extension Scenarios {
    @Suite struct SourceSystemScenarios {
        /// One endpoint as the old system had it, and what must come of it.
        struct Case: Sendable, CustomTestStringConvertible {
            let system: String
            /// Rows of the old tables; URL stands for the receiver's.
            let rows: String
            /// Of the copied endpoint, in SQL, and their values.
            let settings: (columns: String, values: String)
            /// Custom headers that must arrive.
            var headers: [String: String] = [:]

            var testDescription: String { system }
        }

        private static let id = "018f6b1e-0000-4000-8000-00000000e001"
        private static let organization = "018f6b1e-0000-4000-8000-0000000000aa"
        private static let secret = "old secret, ção ✓"

        private static let cases = [
            Case(
                system: "companion",
                rows: """
                    INSERT INTO companion_webhooks VALUES
                    ('{"id": "\(id)", "url": "URL", "events": ["order.*"], "secret": "\(secret)", "filters": {}}'),
                    ('{"url": "URL", "events": ["none"], "secret": "y"}')
                    """,
                settings: ("name, events, max_attempts", "companion \(id)|{order.*}|6")),
            Case(
                system: "agentes",
                rows: """
                    INSERT INTO webhook_endpoints VALUES
                    ('\(id)', NULL, '\(organization)', 'painel', 'URL', '{order.paid}', '\(secret)', true),
                    (gen_random_uuid(), NULL, gen_random_uuid(), 'of another', 'URL', '{order.paid}', 'x', true),
                    (gen_random_uuid(), NULL, '\(organization)', 'off', 'URL', '{order.paid}', 'x', false);
                    INSERT INTO n8n_workflows VALUES (gen_random_uuid(), '42', 'agent-created', 'URL/n8n', '{agent.created}', true)
                    """,
                settings: (
                    "name, organization_id, max_attempts, base_delay_ms, delay_factor, max_delay_ms, timeout_ms",
                    "painel|\(organization)|6|30000|2|3600000|30000"
                )),
            Case(
                system: "crm",
                rows: """
                    INSERT INTO crm_webhooks VALUES
                    ('\(id)', 'sales', 'URL', '{order.paid}', '{"X-Team": "sales", "content-type": "application/json"}', '\(secret)', 3, true)
                    """,
                settings: ("max_attempts, base_delay_ms, delay_factor, max_delay_ms, jitter", "4|2000|2|31622400000|0"),
                headers: ["x-team": "sales"]),
            Case(
                system: "fenix",
                rows: """
                    INSERT INTO webhook_endpoints VALUES
                    ('\(id)', '\(organization)', 'erp', 'URL', '\(secret)', '{order.paid}', true, 3, 12)
                    """,
                settings: ("organization_id, max_attempts, base_delay_ms, timeout_ms", "\(organization)|4|30000|12000")),
            Case(
                system: "bird",
                rows: """
                    INSERT INTO bird_webhooks (id, name, url, events, headers, secret) VALUES
                    ('\(id)', 'inbox', 'URL', '{order.paid}', '{"Authorization": "Bearer ${WEBHOOK_TOKEN}", "X-Bird-Old": "1"}', '\(secret)');
                    INSERT INTO bird_webhooks (id, name, url, events, retry_policy, security) VALUES
                    (gen_random_uuid(), 'linear', 'URL', '{none}',
                     '{"max_attempts": 4, "backoff_type": "linear", "initial_delay": 1000, "max_delay": 2500}', '{"include_signature": false}')
                    """,
                settings: (
                    "max_attempts, base_delay_ms, max_delay_ms, delay_factor, jitter, final_statuses", "3|1000|30000|2|0|4xx"
                ),
                headers: ["authorization": "Bearer t0ken $1"]),
        ]

        @Test(arguments: cases) func deliveryOfACopiedEndpointVerifiesWithTheOldSecret(_ item: Case) async throws {
            let receiver = try Receiver()
            let outpost = try await Outpost()
            let page = try MigrationPage(item.system)
            try await page.run("old", on: outpost.url)
            try await Psql.run(item.rows.replacingOccurrences(of: "URL", with: receiver.url()), on: outpost.url)
            // The statement is run a second time for what came later, and adds nothing here.
            for _ in 1...2 { try await page.run("copy", on: outpost.url, environment: ["WEBHOOK_TOKEN": "t0ken $1"]) }
            #expect(
                try await outpost.text("SELECT concat_ws('|', \(item.settings.columns)) FROM postrider.webhook_endpoints WHERE id = '\(Self.id)'")
                    == item.settings.values)
            var event = ""
            try await outpost.withWorkers {
                event = try await outpost.text(
                    "SELECT postrider.emit('order.paid', '{\"total\": 1000.00, \"name\": \"Ção ✓\", \"n\": [1e3, -0]}', '\(Self.organization)')::text"
                )
                try await receiver.wait(for: 1)
                try await outpost.settled()
            }
            try #require(receiver.received.count == 1)
            let request = receiver.received[0]
            let delivery = try await outpost.text("SELECT id::text FROM postrider.webhook_deliveries WHERE webhook_event_id = '\(event)'")
            let known = PythonVerifier.Case.Known(id: event, type: "order.paid", delivery: delivery, destination: Self.id)
            let verdicts = try PythonVerifier.verify(
                [Self.secret, "another secret"].map { request.judged(as: item.system, secret: $0, event: known) })
            #expect(verdicts.first == "ok")
            #expect(verdicts.last?.hasPrefix("ValueError") == true)
            for (name, value) in item.headers { #expect(request.headers[name] == value) }
        }

        @Test func endpointsThatWereNotSignedAreNotSigned() async throws {
            let outpost = try await Outpost()
            let page = try MigrationPage("bird")
            let item = try #require(Self.cases.last)
            try await page.run("old", on: outpost.url)
            try await Psql.run(item.rows.replacingOccurrences(of: "URL", with: "https://example.org"), on: outpost.url)
            try await page.run("copy", on: outpost.url, environment: ["WEBHOOK_TOKEN": "t"])
            #expect(
                try await outpost.text("SELECT concat_ws('|', name, secret, delays_ms) FROM postrider.webhook_endpoints WHERE name = 'linear'")
                    == "linear|{1000,2000,2500}")
            #expect(try await outpost.count("postrider.webhook_secrets") == 1)
            // Somebody has it signed from now on, and runs the statement again for what came later.
            try await outpost.sql("UPDATE postrider.webhook_endpoints SET secret = 'given since' WHERE name = 'linear'")
            try await page.run("copy", on: outpost.url, environment: ["WEBHOOK_TOKEN": "t"])
            #expect(try await outpost.count("postrider.webhook_secrets WHERE secret = 'given since'") == 1)
        }

        @Test func filtersOfCompanionAreCopied() async throws {
            let receiver = try Receiver()
            let outpost = try await Outpost()
            let page = try MigrationPage("companion")
            try await page.run("old", on: outpost.url)
            let registration = """
                {"url": "\(receiver.url())", "events": ["message.*"], "secret": "s", "filters": {"companionId": ["comp-123"]}}
                """
            try await Psql.run("INSERT INTO companion_webhooks VALUES ('\(registration)')", on: outpost.url)
            try await page.run("copy", on: outpost.url)
            try await outpost.withWorkers {
                for companion in ["comp-7", "comp-123"] {
                    try await outpost.emit("message.sent", data: #"{"companionId": "\#(companion)"}"#)
                }
                try await receiver.wait(for: 1)
                try await outpost.settled()
            }
            #expect(receiver.received.map { ($0.json["data"] as? [String: Any])?["companionId"] as? String } == ["comp-123"])
        }

        /// NULL was not true where the old system asked for it; a view takes it for the default, which is active.
        @Test(arguments: [
            ("agentes", "webhook_endpoints (id, name, url, events, secret, is_active)", "'s', NULL", 6),
            ("crm", "crm_webhooks (id, name, url, events, secret_key, is_active, retry_count)", "'s', NULL, NULL", 4),
            ("fenix", "webhook_endpoints (company_id, id, name, url, events, secret_key, active, retry_attempts)", "'s', NULL, NULL", 4),
            ("bird", "bird_webhooks (id, name, url, events, secret, is_active)", "'s', NULL", 3),
        ])
        func whatTheOldSystemLeftUnsaidIsItsDefault(
            system: String, columns: String, values: String, attempts: Int
        ) async throws {
            let outpost = try await Outpost()
            let page = try MigrationPage(system)
            try await page.run("old", on: outpost.url)
            let company = system == "fenix" ? "'\(Self.organization)', " : ""
            try await Psql.run(
                "INSERT INTO \(columns) VALUES (\(company)'\(Self.id)', 'n', 'https://example.org', '{a.b}', \(values))", on: outpost.url)
            try await page.run("copy", on: outpost.url, environment: ["WEBHOOK_TOKEN": "t"])
            #expect(
                try await outpost.text("SELECT concat_ws('|', is_active, max_attempts) FROM postrider.webhook_endpoints")
                    == "f|\(attempts)")
        }

        @Test func agentesTellsWhatItHasNotSentYet() async throws {
            let outpost = try await Outpost()
            try await Psql.run(
                "CREATE TABLE webhook_events (status text); INSERT INTO webhook_events VALUES ('pending'), ('completed')", on: outpost.url)
            #expect(try await MigrationPage("agentes").run("pending", on: outpost.url) == "1\n")
        }
    }
}
