// The example of sql/examples/agentes, from its tables to a morning's events, with psql alone.

import Foundation
import Postgres
import Testing

@Suite struct ExampleTests {
    @Test func agentesMakesTheEventsOfItsHeadingAndNoOthers() async throws {
        try await withDatabase { db in
            let files = try ["domain", "attachments", "attachments", "endpoints", "endpoints", "activity"].map { name in
                try #require(try Shell.files(in: "sql/examples/agentes", suffix: "\(name).sql").first)
            }
            let output = try await Shell.psql(db.url, files)
            #expect(output.status == 0, "\(output.errors)")
            #expect(
                try await db.line("SELECT count(*), count(*) FILTER (WHERE data::text LIKE '%which no event shows%') FROM postrider.webhook_events")
                    == "27|0")
            #expect(
                try await db.lines("SELECT count(*), event_type FROM postrider.webhook_events GROUP BY 2 ORDER BY 2")
                    == [
                        "1|agent.deleted", "3|agent.created", "3|agent.updated", "1|conversation.created",
                        "1|conversation.ended", "5|conversation.message.added", "1|integration.disconnected",
                        "1|integration.openai.connected", "1|integration.whatsapp.connected", "1|onboarding.completed",
                        "3|onboarding.step.completed", "1|payment.confirmed", "1|payment.failed", "1|template.applied",
                        "2|user.registered", "1|user.updated",
                    ].sorted { $0.dropFirst(2) < $1.dropFirst(2) })
            #expect(
                try await db.line("SELECT (SELECT count(*) FROM postrider.webhook_endpoints), (SELECT count(*) FROM postrider.n8n_workflows)")
                    == "1|7")
            #expect(try await db.count("postrider.webhook_attachment_check") == 0)
        }
    }
}
