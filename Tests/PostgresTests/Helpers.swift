// Short forms for the tests of this module.

import Postgres
import Synchronization
import TestSupport
import Testing

/// A connection to the test server, with settings of the test's choice.
func connect(_ adjust: (inout ConnectionSettings) -> Void = { _ in }) async throws -> Connection {
    var settings = ConnectionSettings(url: try TestCluster.url())
    adjust(&settings)
    return try await Connection.open(settings)
}

extension Connection {
    /// Runs SQL that is used once.
    @discardableResult
    func run(_ sql: String, _ parameters: [Value] = [], name: String = "test", timeout: Duration? = nil) async throws
        -> Rows
    {
        try await query(Statement(name: name, sql: sql, prepare: false), parameters, timeout: timeout)
    }

    /// The only row of a query.
    func row(_ sql: String, _ parameters: [Value] = []) async throws -> Row {
        try await run(sql, parameters).one()
    }
}

/// The PostgresError a closure throws; fails the test when it throws nothing or something else.
func failure<Result>(
    _ body: () async throws -> Result, sourceLocation: SourceLocation = #_sourceLocation
) async -> PostgresError? {
    do {
        _ = try await body()
        Issue.record("no error was thrown", sourceLocation: sourceLocation)
    } catch let error as PostgresError {
        return error
    } catch {
        Issue.record("unexpected error \(error)", sourceLocation: sourceLocation)
    }
    return nil
}

extension Connection {
    /// Returns once another connection's server process runs a query holding a text.
    func waitUntilRunning(_ text: String, in process: Int32) async throws {
        try await waitUntil(
            "SELECT count(*) FROM pg_stat_activity WHERE pid = $1 AND state = 'active' AND query LIKE $2",
            [.int4(process), .text("%\(text)%")], is: 1)
    }

    /// Returns once another connection's server process runs nothing.
    func waitUntilIdle(_ process: Int32) async throws {
        try await waitUntil(
            "SELECT count(*) FROM pg_stat_activity WHERE pid = $1 AND state = 'active'", [.int4(process)], is: 0)
    }

    /// Returns once a server process has ended.
    func waitUntilGone(_ process: Int32) async throws {
        try await waitUntil("SELECT count(*) FROM pg_stat_activity WHERE pid = $1", [.int4(process)], is: 0)
    }

    /// Asks the server again until it gives the number, at most twenty seconds.
    private func waitUntil(_ sql: String, _ parameters: [Value], is wanted: Int) async throws {
        let end = ContinuousClock.now.advanced(by: .seconds(20))
        while try await row(sql, parameters).int(0) != wanted {
            if ContinuousClock.now > end { throw Timeout(what: "\(wanted) from \(sql)") }
        }
    }
}

/// Values that several tasks note down.
final class Noted<Element: Sendable>: Sendable {
    private let elements = Mutex<[Element]>([])
    /// Everything noted so far, in order.
    var all: [Element] { elements.withLock { $0 } }
    /// Notes one value.
    func add(_ element: Element) { elements.withLock { $0.append(element) } }
}
