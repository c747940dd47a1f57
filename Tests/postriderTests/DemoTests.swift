// `postrider demo` as a process on a real Postgres.

import Foundation
import OutboxStore
import Postgres
import TestSupport
import Testing

@Suite(.serialized) struct DemoTests {
    @Test(.timeLimit(.minutes(20))) func demoShowsTheMainJobAndLeavesNothingBehind() async throws {
        let url = try await TestCluster.freshDatabase()
        let (status, output, errors) = try ProgramRun(["demo"], environment: ["DATABASE_URL": url]).finish(within: .seconds(240))
        #expect(status == 0, "\(output)\(errors)")
        for line in [
            "✓ lost: 0", "✓ unexpected: 0", "✓ bad signatures: 0", "next_retry_at in", "kill -9", "cleaned up",
        ] {
            #expect(output.contains(line), "\(line) is missing in:\n\(output)")
        }
        #expect(!output.contains("\u{1B}"), "no colours without a terminal")
        #expect(try await schemas(url) == [])
    }

    @Test(.timeLimit(.minutes(20))) func interruptedDemoCleansUp() async throws {
        let url = try await TestCluster.freshDatabase()
        let run = try ProgramRun(["demo"], environment: ["DATABASE_URL": url])
        let connection = try await Connection.open(ConnectionSettings(url: url))
        try await eventually("the example to be there", within: .seconds(120)) {
            try await connection.query(Self.exampleIsThere).one().bool(0)
        }
        await connection.close()
        run.signal(SIGINT)
        let (status, output, _) = run.finish()
        #expect(status == 130)
        #expect(output.contains("cleaned up"))
        #expect(try await schemas(url) == [])
    }

    @Test func databaseInUseIsLeftAlone() async throws {
        let url = try await TestCluster.freshDatabase()
        let connection = try await Connection.open(ConnectionSettings(url: url))
        _ = try await connection.script("CREATE SCHEMA agentes", name: "test")
        await connection.close()
        let (status, output, _) = try ProgramRun(["demo"], environment: ["DATABASE_URL": url]).finish()
        #expect(status == 1)
        #expect(output.contains("has a schema agentes already"))
        #expect(try await schemas(url) == ["agentes"])
    }

    @Test func schemaWithNothingButAListOfColumnsIsInUse() async throws {
        let url = try await TestCluster.freshDatabase()
        let connection = try await Connection.open(ConnectionSettings(url: url))
        try await Migrator(connection: connection).up()
        _ = try await connection.script("SELECT postrider.deny_column(NULL, 'password_hash')", name: "test")
        let (status, output, _) = try ProgramRun(["demo"], environment: ["DATABASE_URL": url]).finish()
        #expect(status == 1)
        #expect(output.contains("is in use (webhook_audit_log, webhook_denied_columns)"), "\(output)")
        let rows = try await connection.query(
            Statement(name: "test", sql: "SELECT count(*) FROM postrider.webhook_denied_columns", prepare: false))
        #expect(try rows[0].int(0) == 1)
        await connection.close()
    }

    private static let exampleIsThere = Statement(
        name: "test example", sql: "SELECT to_regnamespace('agentes') IS NOT NULL", prepare: false)

    /// The schemas of a database that are not Postgres' own.
    private func schemas(_ url: String) async throws -> [String] {
        let connection = try await Connection.open(ConnectionSettings(url: url))
        let rows = try await connection.query(
            Statement(
                name: "test schemas",
                sql:
                    "SELECT nspname::text FROM pg_namespace WHERE nspname !~ '^(pg_|information_schema|public)' ORDER BY 1",
                prepare: false))
        await connection.close()
        return try rows.map { try $0.string(0) }
    }
}
