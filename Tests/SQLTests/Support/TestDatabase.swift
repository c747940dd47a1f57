// A migrated database for one test, and the shortest ways to ask it things.

import Postgres
import Synchronization
import TestSupport

/// A database that one test has to itself. Made by ``withDatabase(_:)`` and its sisters.
struct TestDatabase: Sendable {
    /// A superuser's URL of it.
    let url: String
    /// The connection that all helpers use.
    let connection: Connection
    private let others = ConnectionList()

    init(url: String) async throws {
        self.url = url
        connection = try await Connection.open(ConnectionSettings(url: url))
    }

    /// Another connection to the same database, closed with it.
    func connect() async throws -> Connection {
        let connection = try await Connection.open(ConnectionSettings(url: url))
        others.add(connection)
        return connection
    }

    /// Another connection that logs in as a role, closed with the database.
    func connect(as role: String) async throws -> Connection {
        let connection = try await Connection.open(ConnectionSettings(url: url, parameters: ["user": role]))
        others.add(connection)
        return connection
    }

    /// Closes its connections.
    func close() async {
        for connection in others.take() + [connection] { await connection.close() }
    }

    // MARK: SQL

    /// Runs any number of statements in one transaction; gives the rows of each.
    @discardableResult
    func run(_ sql: String) async throws -> [Rows] { try await connection.run(sql) }

    /// Runs one statement with parameters.
    @discardableResult
    func query(_ sql: String, _ values: [Value]) async throws -> Rows {
        try await connection.query(Statement(name: "test", sql: sql, prepare: false), values)
    }

    /// The rows of the last statement as `psql -At` prints them: columns joined by a bar, NULL as ∅.
    func lines(_ sql: String) async throws -> [String] { try await connection.lines(sql) }

    /// The first row as ``lines(_:)`` gives it; empty when there is none.
    func line(_ sql: String) async throws -> String { try await connection.lines(sql).first ?? "" }

    /// How many rows there are: `count("postrider.webhook_queue WHERE …")`.
    func count(_ query: String) async throws -> Int { Int(try await line("SELECT count(*) FROM \(query)")) ?? -1 }

    /// Runs statements that must fail, undoes them, and gives the server's error.
    func refusal(_ sql: String) async throws -> PostgresError { try await connection.refusal(sql) }

    /// The events in the order they were written, as ``lines(_:)`` gives them.
    func events(_ columns: String) async throws -> [String] {
        try await lines("SELECT \(columns) FROM postrider.webhook_event_log ORDER BY id")
    }

    /// The same, and removes them and what waits of them: what comes next begins with nothing.
    func takeEvents(_ columns: String) async throws -> [String] {
        let taken = try await events(columns)
        try await run("TRUNCATE postrider.webhook_event_log, postrider.webhook_queue")
        return taken
    }
}

extension Connection {
    /// Runs any number of statements in one transaction; gives the rows of each.
    @discardableResult
    func run(_ sql: String) async throws -> [Rows] { try await script(sql, name: "test") }

    /// The rows of the last statement as `psql -At` prints them, NULL as ∅.
    func lines(_ sql: String) async throws -> [String] {
        guard let rows = try await run(sql).last else { return [] }
        let columns = rows.columns.count
        return rows.map { row in (0..<columns).map { row.text($0) ?? "∅" }.joined(separator: "|") }
    }

    /// Runs statements that must fail, undoes them, and gives the server's error. A transaction goes on afterwards.
    func refusal(_ sql: String) async throws -> PostgresError {
        let isInTransaction = try await lines("SELECT now() <> statement_timestamp()") == ["t"]
        if isInTransaction { try await run("SAVEPOINT refusal") }
        do {
            try await run(sql)
        } catch let error as PostgresError {
            if isInTransaction { try await run("ROLLBACK TO refusal") }
            return error
        }
        throw Unexpected(what: "was not refused: \(sql)")
    }
}

/// Something happened that should not have.
struct Unexpected: Error, CustomStringConvertible {
    let what: String
    var description: String { what }
}

/// Connections of one test beside its first.
private final class ConnectionList: Sendable {
    private let list = Mutex<[Connection]>([])

    func add(_ connection: Connection) { list.withLock { $0.append(connection) } }

    func take() -> [Connection] {
        list.withLock { list in
            defer { list = [] }
            return list
        }
    }
}
