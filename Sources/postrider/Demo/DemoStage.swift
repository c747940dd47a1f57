// What the demo sets up and takes down again: schema, example tables, endpoints, receivers, workers.
// Opened and closed by the command; the scenes play on it.

internal import FoundationEssentials
internal import Glibc
internal import OutboxStore
internal import Postgres
internal import Synchronization

/// The database, the receivers and the workers of a demo.
final class DemoStage: Sendable {
    private struct State {
        var workers: [DemoProcess] = []
        /// The version of the schema before the demo; nil until the demo changes anything.
        var versionBefore: Int?
        var ownsFolder = false
        var folder: URL?
    }

    let log: DemoLog
    let ledger: Ledger
    let receivers: DemoReceivers
    let connection: Connection
    private let settings: ConnectionSettings
    private let state = Mutex(State())
    /// Whether nobody but the demo uses the database, so that what an earlier demo left may go.
    private let isPrivate = ProcessInfo.processInfo.environment["POSTRIDER_DEMO_OWNED"] == "1"

    /// Connects; nothing is changed yet.
    ///
    /// - Throws: `PostgresError`.
    init(settings: ConnectionSettings, log: DemoLog) async throws {
        self.log = log
        self.settings = settings
        ledger = Ledger(log: log)
        receivers = DemoReceivers(ledger: ledger)
        connection = try await Connection.open(settings)
    }

    /// Brings everything up: schema, tables, triggers, receivers, endpoints, two workers.
    ///
    /// - Throws: ``DemoError`` when the database is not free for a demo; what a part throws.
    func open() async throws {
        let start = ContinuousClock.now
        try await checkDatabase()
        try await Migrator(connection: connection).up()
        let version = connection.serverVersion / 10_000
        log.success(
            "Postgres \(version), schema postrider: \(Migration.all.count) migrations, \(elapsed(since: start)) ms")
        try await receivers.start()
        try await install()
        log.success("example agentes: tables, triggers, 2 endpoints, 7 n8n workflows, receivers on loopback")
        try await startWorkers()
    }

    /// The workers, those that were killed too.
    var workers: [DemoProcess] { state.withLock { $0.workers } }

    /// Starts workers until two run, and waits until they are ready.
    func startWorkers() async throws {
        let start = ContinuousClock.now
        let folder = try folder()
        while workers.count(where: \.isRunning) < 2 {
            let worker = try DemoProcess(
                "worker-\(workers.count + 1)", ["worker"],
                environment: ["POSTRIDER_ALLOW_NETWORKS": "127.0.0.0/8,::1/128", "POSTRIDER_ALLOW_HTTP": "true"],
                folder: folder)
            state.withLock { $0.workers.append(worker) }
        }
        let running = workers.filter(\.isRunning)
        try await demoWait(for: "two workers to register") {
            if let dead = running.first(where: { !$0.isRunning }) {
                throw DemoError("\(dead.name) ended by itself:\n\(dead.lastWords)")
            }
            return try await connection.query(DemoSQL.workersAlive).one().int(0) >= 2
        }
        let ids = running.map { String($0.id) }.joined(separator: " and ")
        log.success("two workers, processes \(ids), ready after \(elapsed(since: start)) ms")
    }

    /// Ends everything and leaves the database as it was.
    ///
    /// - Returns: what could not be taken away again, for people; empty when all is gone.
    func close() async -> [String] {
        let workers = workers
        await withTaskGroup(of: Void.self) { group in
            for worker in workers { group.addTask { await worker.stop() } }
        }
        await receivers.stop()
        var left: [String] = []
        do {
            try await restoreDatabase()
        } catch {
            left.append("the database was not tidied up: \(error)")
        }
        await connection.close()
        let (folder, isOwn) = state.withLock { ($0.folder, $0.ownsFolder) }
        if let folder, isOwn { try? FileManager.default.removeItem(at: folder) }
        return left
    }

    /// Puts `postrider listen` in the place of the receivers and leaves it running with the workers.
    ///
    /// - Returns: the processes that stay, the folder with their logs, and whether the demo made that folder itself.
    func leaveRunning() async throws -> (processes: [DemoProcess], folder: URL, isOwnFolder: Bool) {
        let folder = try folder()
        await receivers.stop()
        var listeners: [DemoProcess] = []
        for role in DemoReceivers.Role.allCases {
            let port = receivers.url(role).split(separator: ":").last.map(String.init) ?? ""
            var arguments = ["listen", "--port", port]
            var environment: [String: String] = [:]
            if let secret = receivers.secret(role) {
                arguments += ["--secret-env", "POSTRIDER_DEMO_SECRET"]
                environment["POSTRIDER_DEMO_SECRET"] = secret
            }
            listeners.append(
                try DemoProcess("receiver-\(role.rawValue)", arguments, environment: environment, folder: folder))
        }
        if workers.count(where: \.isRunning) < 2 { try await startWorkers() }
        await connection.close()
        return (workers.filter(\.isRunning) + listeners, folder, state.withLock { $0.ownsFolder })
    }

    // MARK: Parts

    /// Where processes leave their ids and logs: given by `bin/demo`, else a new folder.
    private func folder() throws -> URL {
        if let folder = state.withLock({ $0.folder }) { return folder }
        let given = ProcessInfo.processInfo.environment["POSTRIDER_DEMO_FOLDER"]
        let folder =
            given.map { URL(fileURLWithPath: $0) }
            ?? FileManager.default.temporaryDirectory.appendingPathComponent("postrider-demo-\(getpid())")
        try FileManager.default.createDirectory(
            at: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        state.withLock { state in
            state.folder = folder
            state.ownsFolder = given == nil
        }
        return folder
    }

    /// Refuses a database in which somebody works.
    private func checkDatabase() async throws {
        let migrator = Migrator(connection: connection)
        let hasExample = try await isThere("agentes")
        var version = try await migrator.version()
        if isPrivate {
            if hasExample { try await script("DROP SCHEMA agentes CASCADE") }
            if version > 0 { try await migrator.down(to: 0) }
            version = 0
        } else if hasExample {
            throw DemoError("the database has a schema agentes already, which the demo would make: give it another one")
        } else if version > 0, let tables = try await connection.query(DemoSQL.used).one().stringOrNil(0) {
            throw DemoError("the database's schema postrider is in use (\(tables)): give the demo another database")
        }
        state.withLock { $0.versionBefore = version }
        if version > 0 { try await migrator.up() }
    }

    private func install() async throws {
        for file in ["domain.sql", "attachments.sql"] { try await example(file) }
        let results = try await example(
            "endpoints.sql",
            [
                "endpoint_url": receivers.url(.agentes) + "/agentes", "n8n_url": receivers.url(.n8n),
                "endpoint_secret": "",
            ])
        guard let row = results.first?.first, let column = results[0].column(named: "secret"),
            let secret = row.text(column)
        else { throw DemoError("the example's endpoint has no secret") }
        try receivers.give(secret, to: .agentes)
        let billing = try await connection.query(DemoSQL.billing, [.text(receivers.url(.billing) + "/payments")])
        try receivers.give(try billing.one().string(0), to: .billing)
        _ = try await connection.query(DemoSQL.hurryWhatsapp)
    }

    @discardableResult
    private func example(_ file: String, _ variables: [String: String] = [:]) async throws -> [Rows] {
        guard let text = Examples.script("agentes/\(file)", variables: variables) else {
            throw DemoError("this program was built without the example agentes/\(file)")
        }
        return try await script(text)
    }

    /// Removes the example and the schema, and brings back an empty schema of the version that was there.
    private func restoreDatabase() async throws {
        guard let version = state.withLock({ $0.versionBefore }) else { return }
        let isUsable = connection.isOpen && connection.isIdle
        let connection = isUsable ? connection : try await Connection.open(settings)
        _ = try await connection.script("DROP SCHEMA IF EXISTS agentes CASCADE", name: "demo removal")
        let migrator = Migrator(connection: connection)
        try await migrator.down(to: 0)
        if version > 0 { try await migrator.up(to: version) }
        if !isUsable { await connection.close() }
    }

    private func isThere(_ schema: String) async throws -> Bool {
        try await connection.query(DemoSQL.isThere, [.text(schema)]).one().bool(0)
    }

    @discardableResult
    private func script(_ sql: String) async throws -> [Rows] { try await connection.script(sql, name: "demo") }

    private func elapsed(since start: ContinuousClock.Instant) -> String { log.milliseconds(.now - start) }
}
