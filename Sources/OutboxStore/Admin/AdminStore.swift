// Questions and orders of administrators. Called by the command line.

public import Postgres

/// Runs requests of administrators.
public enum AdminStore {
    /// Runs a request.
    ///
    /// - Parameters:
    ///   - request: what to do.
    ///   - document: its JSON document.
    /// - Returns: one JSON text a row.
    /// - Throws: `PostgresError`; SQLSTATE 22023 with a hint for input that is not accepted.
    public static func run(
        _ request: AdminRequest, _ document: [UInt8], on connection: Connection
    ) async throws -> [[UInt8]] {
        let statement = Statement(name: request.statement.name, sql: request.statement.sql, prepare: false)
        var steps = [Step(statement, [.utf8(document)])]
        // The time is for what there is to do, and not to wait for somebody who changes the same.
        if request.timeout != nil { steps.insert(Step(Queries.adminLockTimeout.plannedAnew), at: 0) }
        let rows = try await connection.pipeline(steps, timeout: request.timeout)[steps.count - 1]
        return try (0..<rows.count).map { try rows[$0].bytes(0) }
    }
}
