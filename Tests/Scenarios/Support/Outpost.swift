// A migrated database of its own with everything a scenario does to it: endpoints, events, workers, questions.

import Foundation
import HTTPExchange
import Logging
import OutboxStore
import OutboxWorker
import Postgres
import ServiceLifecycle
import TestSupport

/// One database, empty but for the schema, dropped with the cluster.
struct Outpost: Sendable {
    let url: String
    let connection: Connection

    init() async throws {
        url = try await TestCluster.freshDatabase()
        connection = try await Connection.open(ConnectionSettings(url: url))
        try await Migrator(connection: connection).up()
    }

    // MARK: SQL

    @discardableResult
    func sql(_ text: String, _ values: [Value] = []) async throws -> Rows {
        try await connection.query(Statement(name: "scenario", sql: text, prepare: false), values)
    }

    func count(_ query: String) async throws -> Int { try await sql("SELECT count(*) FROM \(query)")[0].int(0) }

    /// How many batches a worker process holds.
    func claims(of worker: WorkerProcess) async throws -> Int {
        try await count(
            """
            postrider.webhook_claims AS c JOIN postrider.webhook_workers AS w ON w.id = c.worker_id
            WHERE w.process_id = \(worker.id)
            """)
    }

    func text(_ query: String) async throws -> String { try await sql(query)[0].stringOrNil(0) ?? "" }

    /// Makes an endpoint and gives its `destination_id`.
    @discardableResult
    func endpoint(
        _ url: String, events: String = "*", profile: String = "standard", secret: String? = nil, settings: String = ""
    ) async throws -> Int {
        try await sql(
            """
            INSERT INTO postrider.webhook_endpoints (name, url, events, profile, secret)
            VALUES ($1, $2, string_to_array($3, ','), $4, $5)
            """,
            [.text("endpoint \(UUID())"), .text(url), .text(events), .text(profile), secret.map { .text($0) } ?? .null])
        let id = try await sql("SELECT max(id) FROM postrider.webhook_destinations")[0].int(0)
        if !settings.isEmpty { try await sql("UPDATE postrider.webhook_destinations SET \(settings) WHERE id = \(id)") }
        return id
    }

    /// Emits events of one type, each its own statement, and gives their ids.
    @discardableResult
    func emit(_ type: String, count: Int = 1, data: String = "{\"x\": 1}") async throws -> [String] {
        var ids: [String] = []
        for _ in 0..<count {
            let rows = try await sql("SELECT postrider.emit($1, $2::jsonb)::text", [.text(type), .text(data)])
            ids.append(try rows[0].string(0))
        }
        return ids
    }

    /// Inserts events of type n.n in one statement.
    func insert(_ count: Int) async throws {
        try await sql(
            "INSERT INTO postrider.webhook_events (event_type, data) SELECT 'n.n', jsonb_build_object('n', i) FROM generate_series(1, \(count)) AS i"
        )
    }

    /// Waits until nothing waits, is in flight or is going to be retried.
    func settled(within limit: Duration = .seconds(60)) async throws {
        try await eventually("everything to be settled", within: limit) {
            try await sql(
                """
                SELECT NOT EXISTS (SELECT FROM postrider.webhook_queue) AND NOT EXISTS (SELECT FROM postrider.webhook_claims)
                   AND NOT EXISTS (SELECT FROM postrider.webhook_retries WHERE due_at <> 'infinity')
                """)[0].bool(0)
        }
    }

    // MARK: Workers

    /// Settings for workers of scenarios: loopback and plain http allowed.
    func settings() throws -> WorkerSettings {
        var settings = WorkerSettings(database: ConnectionSettings(url: url))
        settings.allowsHTTP = true
        settings.exchanger.addressGuard = AddressGuard(allowing: try Network.list("127.0.0.0/8,::1/128"))
        return settings
    }

    /// Runs workers in this process while `body` runs, then stops them in order.
    func withWorkers(
        _ count: Int = 1, _ change: (inout WorkerSettings) -> Void = { _ in }, _ body: () async throws -> Void
    ) async throws {
        var settings = try settings()
        change(&settings)
        var logger = Logger(label: "scenario", factory: { _ in SwiftLogNoOpLogHandler() })
        logger.logLevel = .warning
        let workers = (0..<count).map { index in
            Worker(
                settings: settings,
                identity: WorkerIdentity(host: "scenario", processID: Int32(index), version: "test"), logger: logger)
        }
        let group = ServiceGroup(services: workers, gracefulShutdownSignals: [], logger: logger)
        let running = Task { try await group.run() }
        do {
            try await eventually("\(count) workers to register") {
                try await self.count("postrider.webhook_workers WHERE alive") >= count
            }
            try await body()
        } catch {
            await group.triggerGracefulShutdown()
            // Why the workers ended, if they did, tells more than what was waited for in vain.
            do { try await end(of: running) } catch is Timeout {}
            throw error
        }
        await group.triggerGracefulShutdown()
        try await end(of: running)
    }

    private func end(of running: Task<Void, any Error>) async throws {
        try await withDeadline(.seconds(60), "the workers to stop") {
            try await withTaskCancellationHandler {
                try await running.value
            } onCancel: {
                running.cancel()
            }
        }
    }
}
