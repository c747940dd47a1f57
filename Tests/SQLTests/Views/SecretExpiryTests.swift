// Dates of secrets: the newest signs on after its own, older ones end with the overlap, and auditors may know.

import Foundation
import Outbox
import OutboxStore
import Postgres
import Testing

@Suite struct SecretExpiryTests {
    private func signing(_ db: TestDatabase) async throws -> [String] {
        try await RoutingStore.load(on: db.connection).destinations[0].secrets.map { $0.reveal() }
    }

    private let first = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    private let second = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSx"

    private func made(_ db: TestDatabase) async throws {
        try await db.run(
            """
            INSERT INTO postrider.webhook_endpoints (name, url, events, secret)
            VALUES ('e', 'https://example.com/', '{*}', '\(first)')
            """)
    }

    private func rotate(_ db: TestDatabase, overlap: String) async throws {
        try await db.run("SELECT postrider.rotate_secret(id, '\(second)', '\(overlap)') FROM postrider.webhook_endpoints")
    }

    @Test func secretSignsOnAfterItsDate() async throws {
        try await withRollback { db in
            try await made(db)
            try await db.run("UPDATE postrider.webhook_secrets SET expires_at = now() - interval '1 day'")
            #expect(try await signing(db) == [first])
            let routing = try await RoutingStore.load(on: db.connection)
            #expect(routing.secretExpiries.count == 1 && routing.secretExpiries[0].seconds < -86_000)
            #expect(routing.secondsToExpiry == nil)
            #expect(try await db.line("SELECT secret FROM postrider.webhook_endpoints") == "••••LaSw")
        }
    }

    @Test(arguments: ["NULL", "now() - interval '3 days'", "now() + interval '1 minute'", "now() + interval '1 year'"])
    func replacedSecretSignsForTheWholeOverlap(date: String) async throws {
        try await withRollback { db in
            try await made(db)
            try await db.run("UPDATE postrider.webhook_secrets SET expires_at = \(date)")
            try await rotate(db, overlap: "1 hour")
            #expect(try await signing(db) == [second, first])
            let routing = try await RoutingStore.load(on: db.connection)
            #expect(routing.secretExpiries.isEmpty)
            let left = try #require(routing.secondsToExpiry)
            #expect((3500...3600).contains(left))
            // A second rotation at once does not bring the first one back, nor lengthen its time.
            try await db.run("SELECT postrider.rotate_secret(id, '\(first)', '2 hours') FROM postrider.webhook_endpoints")
            #expect(try await signing(db) == [first, second, first])
            #expect(try await RoutingStore.load(on: db.connection).secondsToExpiry ?? 9999 < 3601)
        }
    }

    /// Never is null: with a date that is none no worker could load its destinations.
    @Test(arguments: ["infinity", "-infinity"]) func dateOfASecretIsADate(date: String) async throws {
        try await withRollback { db in
            try await made(db)
            let refused = try await db.refusal("UPDATE postrider.webhook_secrets SET expires_at = '\(date)'")
            #expect(refused.constraint == "expiry_is_a_date_or_null")
            #expect(try await signing(db) == [first])
        }
    }

    @Test func withoutOverlapTheOldSecretEndsAtOnce() async throws {
        try await withRollback { db in
            try await made(db)
            try await rotate(db, overlap: "0")
            #expect(try await signing(db) == [second])
        }
    }

    @Test func dateIsSetAndTakenAway() async throws {
        try await withRollback { db in
            try await made(db)
            let set = "SELECT postrider.expire_secret(id, interval '90 days') FROM postrider.webhook_endpoints"
            #expect(try await db.line("SELECT (\(set)) - now() > interval '89 days'") == "t")
            let date = "SELECT postrider.secret_expires_at(destination_id) > now() FROM postrider.webhook_endpoints"
            #expect(try await db.line(date) == "t")
            try await db.run("SELECT postrider.expire_secret(id, NULL) FROM postrider.webhook_endpoints")
            #expect(try await db.line(date) == "∅")
            let past = try await db.refusal(
                "SELECT postrider.expire_secret(id, interval '-1 day') FROM postrider.webhook_endpoints")
            #expect(past.sqlState == "22023")
            #expect(try await db.refusal("SELECT postrider.expire_secret(gen_random_uuid(), interval '1 day')").sqlState == "P0002")
        }
    }

    @Test func auditFindsWhatExpiresSoonAsAnAuditor() async throws {
        try await withDatabase { db in
            for (name, days) in [("past", -2), ("soon", 5), ("later", 60)] {
                let id = try await db.endpoint(name)
                try await db.run(
                    "UPDATE postrider.webhook_secrets SET expires_at = now() + interval '\(days) days' WHERE destination_id = \(id)")
            }
            let file = try #require(
                try Shell.files(in: "sql/audits", suffix: ".sql").first { $0.lastPathComponent == "23_expiring_secrets.sql" })
            for (days, names) in [("14", ["past", "soon"]), ("90", ["past", "soon", "later"])] {
                let output = try await Shell.psql(db.url, [file], ["days": days])
                #expect(output.status == 0, "\(output.errors)")
                let lines = output.text.split(separator: "\n").dropFirst()
                #expect(lines.map { String($0.prefix { $0 != "|" }) } == names)
                #expect(lines.first?.hasSuffix("|-2.0|expired") == true, "\(output.text)")
            }
        }
        try await withMembers { db, members in
            try await db.endpoint("e")
            let auditor = try await members.connect(.auditor)
            let question = "SELECT count(postrider.secret_expires_at(id)) FROM postrider.webhook_destinations"
            #expect(try await auditor.lines(question) == ["0"])
        }
    }
}
