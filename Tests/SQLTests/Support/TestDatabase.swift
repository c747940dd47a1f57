// A migrated database of its own for one test, and the shortest ways to ask it things.

import Outbox
import OutboxStore
import Postgres
import Synchronization
import TestSupport

/// A copy of the migrated template. Made by ``withDatabase(_:)``, which drops it again.
struct TestDatabase: Sendable {
    /// A superuser's URL of it.
    let url: String
    /// The connection that all helpers use.
    let connection: Connection
    private let others = ConnectionList()

    fileprivate init(url: String) async throws {
        self.url = url
        connection = try await Connection.open(ConnectionSettings(url: url))
    }

    /// Another connection to the same database, closed with it.
    func connect() async throws -> Connection {
        let connection = try await Connection.open(ConnectionSettings(url: url))
        others.add(connection)
        return connection
    }

    fileprivate func close() async throws {
        for other in others.take() + [connection] { await other.close() }
        try await TestCluster.drop(url)
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

    /// Runs statements that must fail and gives the server's error.
    func refusal(_ sql: String) async throws -> PostgresError { try await connection.refusal(sql) }
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

    /// Runs statements that must fail and gives the server's error.
    func refusal(_ sql: String) async throws -> PostgresError {
        do {
            try await run(sql)
        } catch let error as PostgresError {
            return error
        }
        throw NotRefused(sql: sql)
    }
}

/// Something worked that should not have.
struct NotRefused: Error, CustomStringConvertible {
    let sql: String
    var description: String { "was not refused: \(sql)" }
}

/// Runs a test in a migrated database of its own. A few at a time, because every one costs connections.
func withDatabase(_ body: (TestDatabase) async throws -> Void) async throws {
    try await withFreshDatabase(from: Template.shared.url(), body)
}

/// Runs a test in an empty database of its own.
func withEmptyDatabase(_ body: (TestDatabase) async throws -> Void) async throws {
    try await withFreshDatabase(from: nil, body)
}

private func withFreshDatabase(from template: String?, _ body: (TestDatabase) async throws -> Void) async throws {
    await Gate.shared.enter()
    defer { Gate.shared.leave() }
    let database = try await TestDatabase(url: TestCluster.freshDatabase(from: template))
    do {
        try await body(database)
    } catch {
        try? await database.close()
        throw error
    }
    try await database.close()
}

/// The migrated database that all others are copies of.
private actor Template {
    static let shared = Template()
    private var making: Task<String, any Error>?

    func url() async throws -> String {
        if making == nil {
            making = Task {
                let url = try await TestCluster.freshDatabase()
                let connection = try await Connection.open(ConnectionSettings(url: url))
                try await Migrator(connection: connection).up()
                await connection.close()
                return url
            }
        }
        guard let making else { throw NotRefused(sql: "unreachable") }
        return try await making.value
    }
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

extension TestDatabase {
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
