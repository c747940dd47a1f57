// What auditors and administrators can do, and that neither reads a secret.

import Foundation
import Outbox
import OutboxStore
import Postgres
import Testing

@Suite struct ReaderTests {
    private static let token = "Bearer c2VjcmV0IG9mIHRoZSByZWNlaXZlcg"

    /// A database after a morning of work, with a header that is a secret.
    private func morning(_ db: TestDatabase) async throws -> Morning {
        let morning = try await Morning(db)
        try await db.run(
            "UPDATE postrider.webhook_endpoints SET headers = jsonb_build_object('Authorization', '\(Self.token)') WHERE name = 'sales'")
        return morning
    }

    @Test(arguments: [Role.auditor, .admin]) func everyAuditAnswersAsItDoesForTheOwner(role: Role) async throws {
        try await withMembers { db, members in
            _ = try await morning(db)
            let files = try Shell.files(in: "sql/audits", suffix: ".sql")
            #expect(files.count >= 21)
            let secrets = try await db.lines("SELECT secret FROM postrider.webhook_secrets")
            for file in files {
                let url = try await connectionURL(db, members[role])
                let output = try await Shell.psql(url, [file])
                let own = try await Shell.psql(db.url, [file])
                #expect(output.status == 0 && output.errors.isEmpty, "\(file.lastPathComponent): \(output.errors)")
                // Ages, and sessions of this very moment, differ from one look to the next.
                if !["14", "13", "20", "05", "06"].contains(file.lastPathComponent.prefix(2)) { #expect(output.text == own.text) }
                #expect(output.text.split(separator: "\n").count == own.text.split(separator: "\n").count || file.lastPathComponent.hasPrefix("14"))
                for secret in secrets { #expect(!output.text.contains(secret)) }
            }
        }
    }

    /// The URL of the database with another user.
    private func connectionURL(_ db: TestDatabase, _ user: String) async throws -> String {
        let host = try await db.line("SHOW unix_socket_directories")
        let port = try await db.line("SHOW port")
        let name = try await db.line("SELECT current_database()")
        return "postgresql:///\(name)?host=\(host)&port=\(port)&user=\(user)"
    }

    @Test(arguments: [Role.auditor, .admin]) func everyViewIsReadWholeAndHoldsNoSecret(role: Role) async throws {
        try await withMembers { db, members in
            _ = try await morning(db)
            let secrets = try await db.lines("SELECT secret FROM postrider.webhook_secrets")
            #expect(secrets.count >= 3)
            let reader = try await members.connect(role)
            let views = try await db.lines(
                "SELECT oid::regclass FROM pg_class WHERE relnamespace = 'postrider'::regnamespace AND relkind = 'v'")
            #expect(views.count >= 9)
            for view in views {
                let own = try await db.count(view)
                let text = try await reader.lines("SELECT to_jsonb(v) FROM \(view) AS v")
                #expect(text.count == own, "\(view)")
                for secret in secrets { #expect(!text.contains { $0.contains(secret) }, "\(view)") }
                if role == .auditor { #expect(!text.contains { $0.contains(Self.token.suffix(12)) }, "\(view)") }
            }
            let headers = try await reader.lines("SELECT headers ->> 'Authorization' FROM postrider.webhook_endpoints WHERE name = 'sales'")
            #expect(headers == [role == .auditor ? "••••" : Self.token])
        }
    }

    @Test(arguments: [Role.auditor, .admin], ["secret", "*", "right(secret, 4)", "length(secret)"])
    func secretsAreNotRead(role: Role, what: String) async throws {
        try await withMembers { db, members in
            try await db.endpoint()
            let reader = try await members.connect(role)
            #expect(try await reader.refusal("SELECT \(what) FROM postrider.webhook_secrets").sqlState == "42501")
            #expect(try await reader.refusal("UPDATE postrider.webhook_secrets SET secret = 'mine' WHERE secret LIKE 'a%'").sqlState == "42501")
        }
    }

    /// The statements of the command line, as an administrator.
    @Test func administratorRunsTheCommandsOfEndpoints() async throws {
        try await withMembers { db, members in
            let admin = try await members.connect(.admin)
            let queries = try NamedQuery.all()
            func ask(_ name: String, _ document: String) async throws -> [String] {
                let query = try #require(queries[name])
                let rows = try await admin.query(Statement(name: "test", sql: query.sql, prepare: false), [.text(document)])
                return try (0..<rows.count).map { try rows[$0].string(0) }
            }
            func id(_ document: String) throws -> String {
                let object = try JSONSerialization.jsonObject(with: Data(document.utf8)) as? [String: Any]
                return try #require(object?["id"] as? String)
            }
            for (create, list, update, delete) in [
                ("EndpointCreate", "EndpointList", "EndpointUpdate", "EndpointDelete"),
                ("WorkflowCreate", "WorkflowList", "WorkflowUpdate", "WorkflowDelete"),
            ] {
                let made = try await ask(
                    create, #"{"name": "e", "url": "https://example.com/", "events": ["*"], "headers": {"X-Team": "a"}, "profile": "standard"}"#)
                let id = try id(made[0])
                #expect(made[0].contains("whsec_"))
                #expect(try await ask(list, "{}").count == 1)
                #expect(try await ask(update, #"{"id": "\#(id)", "url": "https://example.com/2", "is_active": false}"#).count == 1)
                #expect(try await ask(update, #"{"id": "\#(id)", "is_active": true}"#).count == 1)
                let rotated = try await ask("SecretRotate", #"{"id": "\#(id)", "secret": null, "overlap_ms": 60000}"#)
                #expect(rotated[0].contains("whsec_"))
                #expect(try await db.count("postrider.webhook_secrets WHERE expires_at IS NULL") == 1)
                #expect(try await db.count("postrider.webhook_secrets") == 2)
                #expect(try await ask(delete, #"{"id": "\#(id)"}"#).count == 1)
                #expect(try await db.count("postrider.webhook_secrets") == 0)
            }
            #expect(try await ask("Diagnosis", "{}").count == 1)
            #expect(try await ask("QueueStatus", "{}").count == 1)
            #expect(try await ask("AttachmentList", "{}").count == 0)
        }
    }

    @Test func administratorReplaysWhatWasGivenUp() async throws {
        try await withMembers { db, members in
            let morning = try await morning(db)
            let admin = try await members.connect(.admin)
            let queries = try NamedQuery.all()
            let criteria = #"{"event": "\#(morning.dead)", "what": "dead_letters"}"#
            for (name, document, answer) in [
                ("ReplayPlan", criteria, "\"count\": 1"), ("ReplayStart", #"{"criteria": \#(criteria), "planned": 1}"#, "\"id\": 1"),
            ] {
                let query = try #require(queries[name])
                let rows = try await admin.query(Statement(name: "test", sql: query.sql, prepare: false), [.text(document)])
                #expect(try rows[0].string(0).contains(answer))
            }
            let step = try await ReplayStore.next(1, on: admin)
            #expect(step == ReplayStore.Step(scheduled: 1, state: "done", wait: .zero))
            #expect(try await db.count("postrider.webhook_dead_letters") == 0)
            #expect(try await db.count("postrider.webhook_retries WHERE is_replay") == 1)
        }
    }

    @Test func auditorAnswersTheQuestionsOfTheCommandLine() async throws {
        try await withMembers { db, members in
            let morning = try await morning(db)
            let auditor = try await members.connect(.auditor)
            let queries = try NamedQuery.all()
            for (name, document, rows) in [
                ("EndpointList", "{}", 3), ("WorkflowList", "{}", 1), ("EventList", #"{"since_s": 3600, "limit": 99}"#, 10),
                ("EventShow", #"{"id": "\#(morning.retried)"}"#, 1), ("DeliveryList", #"{"since_s": 3600, "limit": 99}"#, 7),
                ("DeadLetterList", #"{"since_s": 3600, "limit": 99}"#, 1), ("QueueStatus", "{}", 1), ("Diagnosis", "{}", 1),
            ] {
                let query = try #require(queries[name])
                let found = try await auditor.query(Statement(name: "test", sql: query.sql, prepare: false), [.text(document)])
                #expect(found.count == rows, "\(name)")
            }
        }
    }
}
