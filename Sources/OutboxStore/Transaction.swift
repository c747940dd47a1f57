// A transaction of several round trips, for what must be asked before it can be written.

public import Postgres

/// Runs something in one transaction. The connection must be the caller's alone meanwhile.
public enum Transaction {
    /// Begins, runs, commits; undoes everything when `body` throws. Each statement sees what was committed before it, whatever
    /// the isolation of the session is.
    ///
    /// - Throws: what `body` throws; `PostgresError`.
    public static func run<Result>(
        on connection: Connection, _ body: () async throws -> Result
    ) async throws -> Result {
        try await connection.script("BEGIN ISOLATION LEVEL READ COMMITTED", name: "TransactionBegin")
        let result = try await undoing(on: connection, body)
        try await connection.script("COMMIT", name: "TransactionCommit")
        return result
    }

    /// Reads several things as they were at one moment, whatever is committed meanwhile.
    ///
    /// - Throws: what `body` throws; `PostgresError`.
    public static func snapshot<Result>(
        on connection: Connection, _ body: () async throws -> Result
    ) async throws -> Result {
        try await connection.script(
            "BEGIN ISOLATION LEVEL REPEATABLE READ", name: "TransactionBeginSnapshot")
        let result = try await undoing(on: connection, body)
        try await connection.script("COMMIT", name: "TransactionCommit")
        return result
    }

    /// Runs something that only reads and undoes everything, whatever the outcome: what it set in the session too.
    ///
    /// - Parameter limit: the longest time for each of its statements.
    /// - Throws: what `body` throws; `PostgresError`.
    public static func readAndUndo<Result>(
        within limit: Duration, on connection: Connection, _ body: () async throws -> Result
    ) async throws -> Result {
        let milliseconds = limit.components.seconds * 1000 + limit.components.attoseconds / 1_000_000_000_000_000
        try await connection.script(
            "BEGIN READ ONLY; SET LOCAL statement_timeout = \(milliseconds)", name: "TransactionBeginReading")
        let result = try await undoing(on: connection, body)
        try await connection.script("ROLLBACK", name: "TransactionUndo")
        return result
    }

    /// Rolls back when `body` throws.
    private static func undoing<Result>(
        on connection: Connection, _ body: () async throws -> Result
    ) async throws -> Result {
        do {
            return try await body()
        } catch {
            // The first error is the one to tell; a connection that is gone rolls back by itself.
            if connection.isOpen { _ = try? await connection.script("ROLLBACK", name: "TransactionUndo") }
            throw error
        }
    }
}
