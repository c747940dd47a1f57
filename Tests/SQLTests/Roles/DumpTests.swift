// Dumps of a database that belongs to no superuser: what its owner's pg_dump needs, and who sees what was restored.

import Foundation
import OutboxStore
import Postgres
import Testing

@Suite struct DumpTests {
    /// A database whose owner may do nothing beyond it, with rows in most tables, and a login that is to own it later.
    private struct Estate {
        let db: TestDatabase
        let owner: String
        let heir: String

        /// The database's URL for a login.
        func url(_ login: String) -> String { db.url.replacing(/user=\w+/, with: "user=\(login)") }
    }

    /// Drops the logins afterwards, with all they own.
    private func withEstate(_ body: (Estate) async throws -> Void) async throws {
        try await withEmptyDatabase { db in
            let mark = UUID().uuidString.prefix(8).lowercased()
            let estate = Estate(db: db, owner: "test_owner_\(mark)", heir: "test_heir_\(mark)")
            let name = try await db.line("SELECT current_database()")
            try await db.run("CREATE ROLE \(estate.owner) LOGIN; CREATE ROLE \(estate.heir) LOGIN")
            try await db.run("ALTER DATABASE \(name) OWNER TO \(estate.owner)")
            let result: Result<Void, any Error>
            do {
                try await Migrator(connection: db.connect(as: estate.owner)).up()
                _ = try await Morning(db)
                try await db.run("INSERT INTO postrider.webhook_settings (name, value) VALUES ('TOKEN', 'open sesame')")
                result = .success(try await body(estate))
            } catch {
                result = .failure(error)
            }
            let logins = "\(estate.owner), \(estate.heir)"
            let connection = try await db.connect()
            try await connection.run(
                "REASSIGN OWNED BY \(logins) TO CURRENT_USER; DROP OWNED BY \(logins) CASCADE; DROP ROLE \(logins)")
            try result.get()
        }
    }

    @Test func ownersDumpNeedsRowSecurityEnabledAndHoldsEveryRowThen() async throws {
        try await withEstate { estate in
            let url = estate.url(estate.owner)
            // Refused, rather than a dump that lacks rows.
            let refused = try await Shell.run(["pg_dump", url])
            #expect(refused.status != 0 && refused.errors.contains("row-level security policy"), "\(refused.errors)")
            let whole = try await Shell.dump(estate.db.url, [])
            let own = try await Shell.dump(url, ["--enable-row-security"])
            func lines(_ dump: String) -> [Substring] {
                dump.split(separator: "\n").filter { !$0.hasPrefix("SET row_security =") }.sorted()
            }
            #expect(lines(own) == lines(whole))
            let secrets = try await estate.db.lines("SELECT secret FROM postrider.webhook_secrets")
            #expect(secrets.count >= 3)
            for text in secrets + ["lead.created", "open sesame"] { #expect(own.contains(text)) }
        }
    }

    @Test func restoreUnderAnotherOwnerIsWholeOnceRolesAreGranted() async throws {
        try await withEstate { estate in
            let db = estate.db
            let name = try await db.line("SELECT current_database()")
            let tables = try await db.lines(
                """
                SELECT oid::regclass FROM pg_class
                WHERE relnamespace = 'postrider'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
                """)
            #expect(tables.count > 20)
            let bound = try await db.lines("SELECT oid::regclass FROM pg_class WHERE relforcerowsecurity")
            #expect(bound.count >= 10)
            func content(_ table: String) -> String { "SELECT to_jsonb(t) FROM \(table) AS t ORDER BY 1" }
            var before: [String: [String]] = [:]
            for table in tables { before[table] = try await db.lines(content(table)) }
            let dump = try await Shell.dump(estate.url(estate.owner), ["--enable-row-security", "--no-owner"])

            try await db.run("DROP SCHEMA postrider, postrider_attached CASCADE")
            try await db.run("ALTER DATABASE \(name) OWNER TO \(estate.heir)")
            let file = FileManager.default.temporaryDirectory.appendingPathComponent("dump-\(UUID()).sql")
            defer { try? FileManager.default.removeItem(at: file) }
            try dump.write(to: file, atomically: true, encoding: .utf8)
            let restored = try await Shell.psql(estate.url(estate.heir), [file])
            #expect(restored.status == 0, "\(restored.errors)")

            let heir = try await db.connect(as: estate.heir)
            for table in bound { #expect(try await heir.lines(content(table)) == [], "\(table)") }
            try await heir.run("SELECT postrider.grant_roles()")
            for table in tables { #expect(try await heir.lines(content(table)) == before[table], "\(table)") }
            #expect(try await Migrator(connection: heir).pending().isEmpty)
            #expect(try await heir.lines("SELECT postrider.emit('a.b', '{}') IS NOT NULL") == ["t"])
        }
    }
}
