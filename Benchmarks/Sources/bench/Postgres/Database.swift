// A plain, blocking connection of the driver. Stages and scenarios use it.

import CLibPQ

/// A connection to one database. Used by one thread.
final class Database {
    private let connection: OpaquePointer

    /// Connects.
    ///
    /// - Parameter url: a URL or conninfo string of libpq.
    /// - Throws: ``BenchError`` when that fails.
    init(_ url: String) throws {
        guard let connection = PQconnectdb(url) else { throw BenchError("libpq has no memory.") }
        self.connection = connection
        guard PQstatus(connection) == CONNECTION_OK else {
            throw BenchError("Postgres cannot be reached: \(String(cString: PQerrorMessage(connection)))")
        }
    }

    deinit { PQfinish(connection) }

    /// Process id of the server's process for this connection.
    var backend: Int32 { PQbackendPID(connection) }

    /// Runs one statement and gives its rows, every value as text. `$1` and so on take the values.
    ///
    /// - Throws: ``BenchError`` with the server's message.
    @discardableResult
    func rows(_ statement: String, _ values: String...) throws -> [[String?]] {
        let result = withCStrings(values) {
            PQexecParams(connection, statement, Int32(values.count), nil, $0, nil, nil, 0)
        }
        return try take(result)
    }

    /// Runs statements without values, several of them if separated by semicolons.
    ///
    /// - Throws: ``BenchError`` with the server's message.
    func run(_ statements: String) throws {
        try take(PQexec(connection, statements))
    }

    /// Runs one statement without values and tells how many rows it gave and how long it took, until they had arrived.
    ///
    /// - Throws: ``BenchError`` with the server's message.
    func time(_ statement: String) throws -> (rows: Int, seconds: Double) {
        let start = Clock.seconds
        let result = PQexec(connection, statement)
        let seconds = Clock.seconds - start
        defer { PQclear(result) }
        try check(result)
        return (Int(PQntuples(result)), seconds)
    }

    /// The first value of the first row as a number; 0 when there is none.
    ///
    /// - Throws: ``BenchError`` with the server's message.
    func number(_ statement: String, _ value: String? = nil) throws -> Double {
        let rows = try value.map { try self.rows(statement, $0) } ?? rows(statement)
        return rows.first?.first?.flatMap { Double($0) } ?? 0
    }

    @discardableResult
    private func take(_ result: OpaquePointer?) throws -> [[String?]] {
        defer { PQclear(result) }
        try check(result)
        return (0..<PQntuples(result)).map { row in
            (0..<PQnfields(result)).map { column in
                PQgetisnull(result, row, column) == 1 ? nil : String(cString: PQgetvalue(result, row, column))
            }
        }
    }

    private func check(_ result: OpaquePointer?) throws {
        let status = PQresultStatus(result)
        guard status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK else {
            throw BenchError("Postgres: \(String(cString: PQerrorMessage(connection)))")
        }
    }
}

/// Calls with an array of C strings that live as long as the call.
private func withCStrings<Result>(_ texts: [String], _ body: ([UnsafePointer<CChar>?]) -> Result) -> Result {
    func step(_ rest: ArraySlice<String>, _ done: [UnsafePointer<CChar>?]) -> Result {
        guard let first = rest.first else { return body(done) }
        return first.withCString { step(rest.dropFirst(), done + [$0]) }
    }
    return step(texts[...], [])
}
