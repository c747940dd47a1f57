// Every statement of sql/queries against the role that sends it: a new statement, or a new table in an old one, that its
// role has no right to fails here and not in a running worker.

import Postgres
import Testing

@Suite struct StatementRightsTests {
    /// Statements of the command line that write events or attach tables.
    private static let producing: Set = ["EventEmit", "AttachmentCreate", "AttachmentDelete"]

    /// Who sends a statement: workers everything but what the command line asks.
    private func sender(_ query: NamedQuery) -> Role {
        guard query.file == "administration" || query.file == "replays" else { return .worker }
        return Self.producing.contains(query.name) ? .producer : .admin
    }

    /// Explains a statement with nulls for parameters, which checks the rights to all it touches and runs nothing.
    private func isDenied(_ query: NamedQuery, _ connection: Connection) async throws -> String? {
        do {
            try await connection.run("BEGIN; PREPARE asked AS \(query.sql)")
            let count = try await connection.lines(
                "SELECT cardinality(parameter_types) FROM pg_prepared_statements WHERE name = 'asked'")[0]
            let nulls = Array(repeating: "NULL", count: Int(count) ?? 0).joined(separator: ", ")
            try await connection.run("SET LOCAL plan_cache_mode = force_generic_plan")
            try await connection.run("EXPLAIN EXECUTE asked" + (nulls.isEmpty ? "" : "(\(nulls))"))
        } catch let error as PostgresError {
            try await connection.run("ROLLBACK; DEALLOCATE ALL")
            guard error.sqlState == "42501" else { throw error }
            return error.message
        }
        try await connection.run("ROLLBACK; DEALLOCATE ALL")
        return nil
    }

    @Test func everyStatementIsAllowedToWhoSendsIt() async throws {
        let queries = try NamedQuery.all().values.sorted { $0.name < $1.name }
        #expect(queries.count > 45)
        try await withMembers { db, members in
            var connections: [Role: Connection] = [:]
            for role in Role.allCases { connections[role] = try await members.connect(role) }
            for query in queries {
                let role = sender(query)
                let connection = try #require(connections[role])
                let denial = try await isDenied(query, connection)
                #expect(denial == nil, "\(query.name) as \(role)")
            }
        }
    }

    /// What one use may the others may not, so that the test above says something.
    @Test(arguments: [
        ("SecretLoad", Role.auditor), ("SecretLoad", .producer), ("EventClaim", .auditor), ("EventClaim", .admin),
        ("ReplayBatch", .auditor), ("EndpointCreate", .worker), ("EndpointList", .producer), ("EventEmit", .worker),
        ("PartitionsEnsure", .producer), ("SecretRotate", .worker), ("DestinationDisable", .auditor),
    ]) func statementsOfOthersAreDenied(name: String, role: Role) async throws {
        let query = try #require(try NamedQuery.all()[name])
        try await withMembers { _, members in
            let connection = try await members.connect(role)
            let denial = try await isDenied(query, connection)
            #expect(denial != nil)
        }
    }
}
