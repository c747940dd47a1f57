// Commands as people run them: the built program, a real database, right and wrong input.

import Foundation
import OutboxStore
import OutboxWorker
import Postgres
import TestSupport
import Testing

@testable import postrider

/// What a command said and how it ended.
struct CommandResult: Sendable {
    let status: Int32
    let output: String
    let errors: String

    /// Output without the last line end.
    var text: String { output.trimmingCharacters(in: .newlines) }
}

/// Runs the built program.
func postrider(
    _ arguments: [String], database: String, input: String = "", environment extra: [String: String] = [:]
) throws -> CommandResult {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
        .appendingPathComponent("postrider")
    process.arguments = arguments
    var environment = ProcessInfo.processInfo.environment
    environment["DATABASE_URL"] = database
    environment.merge(extra) { $1 }
    process.environment = environment
    let files = (0..<3).map { _ in FileManager.default.temporaryDirectory.appendingPathComponent("command-\(UUID())") }
    defer { for file in files { try? FileManager.default.removeItem(at: file) } }
    for file in files { try Data(input.utf8).write(to: file) }
    process.standardInput = try FileHandle(forReadingFrom: files[0])
    try Data().write(to: files[1])
    try Data().write(to: files[2])
    process.standardOutput = try FileHandle(forWritingTo: files[1])
    process.standardError = try FileHandle(forWritingTo: files[2])
    try process.run()
    process.limited { process.waitUntilExit() }
    return CommandResult(
        status: process.terminationStatus, output: try String(contentsOf: files[1], encoding: .utf8),
        errors: try String(contentsOf: files[2], encoding: .utf8))
}

@Suite struct CommandTests {
    @Test func newDatabaseGoesFromNothingToAnEvent() async throws {
        let database = try await TestCluster.freshDatabase()
        #expect(try postrider(["endpoints", "list"], database: database).status == 5)
        #expect(try postrider(["worker"], database: database).status == 5)
        #expect(try postrider(["migrate"], database: database).status == 0)
        let created = try postrider(
            [
                "endpoints", "create", "--name", "billing", "--url", "https://billing.example.com/", "--events",
                "invoice.*", "--profile", "standard", "--header", "X-Team=billing", "--json",
            ], database: database)
        #expect(created.status == 0)
        let endpoint = try Record(Array(created.text.utf8))
        #expect(UUID(uuidString: endpoint["id"]) != nil)
        #expect(endpoint["secret"].hasPrefix("whsec_"))
        let event = try postrider(
            ["emit", "invoice.paid", "--data", #"{"total": 10.50, "n": 123456789012345678901234567890}"#],
            database: database)
        #expect(event.status == 0)
        let connection = try await Connection.open(ConnectionSettings(url: database))
        let rows = try await connection.query(
            Statement(name: "Data", sql: "SELECT id::text, data::text, status FROM postrider.webhook_events"))
        #expect(try rows[0].string(0) == event.text)
        #expect(try rows[0].string(1) == #"{"n": 123456789012345678901234567890, "total": 10.50}"#)
        #expect(try rows[0].string(2) == "pending")
        await connection.close()
        let shown = try postrider(["events", "show", event.text], database: database)
        #expect(shown.output.contains("status: pending"))
        #expect(shown.output.contains(#""total": 10.50"#))
        #expect(
            !(try postrider(["endpoints", "list", "--json"], database: database)).output.contains(endpoint["secret"]))
    }

    @Test func wrongInputIsToldAndStoresNothing() async throws {
        let database = try await TestCluster.freshDatabase()
        _ = try postrider(["migrate"], database: database)
        let good = ["--name", "n", "--url", "https://example.com/", "--events", "a.b"]
        let wrong: [[String]] = [
            ["--name", "n", "--url", "ftp://example.com/", "--events", "a"],
            ["--name", "n", "--url", "https://user:word@example.com/", "--events", "a"],
            ["--name", "n", "--url", "https://example.com/", "--events", "a..b"],
            ["--name", "n", "--url", "https://example.com/", "--events", ""],
            good + ["--profile", "none"], good + ["--secret-env", "NO_SUCH_VARIABLE"], good + ["--header", "Host=x"],
            good + ["--header", "X=a\nb"], good + ["--jitter", "2"], good + ["--max-attempts", "0"],
            good + ["--final-statuses", "abc"], good + ["--delays", "soon"], good + ["--timeout", "20m"],
            good + ["--concurrency", "0"], ["--name", "", "--url", "https://example.com/", "--events", "a"],
        ]
        for arguments in wrong {
            let result = try postrider(["endpoints", "create"] + arguments, database: database)
            #expect(result.status == (arguments.contains("--profile") ? 3 : 1), "\(arguments)")
            #expect(result.errors.hasPrefix("postrider: "), "\(arguments): \(result.errors)")
            #expect(result.output.isEmpty)
        }
        #expect(try postrider(["emit", "bad type", "--data", "{}"], database: database).status == 1)
        #expect(try postrider(["emit", "a.b", "--data", "{"], database: database).status == 1)
        for option in ["organization", "user", "record-id", "ordering-key"] {
            let empty = try postrider(["emit", "a.b", "--data", "{}", "--\(option)", ""], database: database)
            #expect(empty.status == 1 && empty.errors.contains("--\(option) must not be empty"), "\(empty)")
        }
        #expect(try postrider(["events", "show", "7"], database: database).status == 1)
        #expect(try postrider(["endpoints", "show", "nobody"], database: database).status == 3)
        #expect(try postrider(["replay"], database: database).status == 64)
        let connection = try await Connection.open(ConnectionSettings(url: database))
        let counts = try await connection.query(
            Statement(
                name: "Count",
                sql:
                    "SELECT (SELECT count(*) FROM postrider.webhook_destinations) + (SELECT count(*) FROM postrider.webhook_event_log)"
            ))
        #expect(try counts[0].int(0) == 0)
        await connection.close()
    }

    @Test func secretsComeFromFileEnvironmentOrInput() async throws {
        let database = try await TestCluster.freshDatabase()
        _ = try postrider(["migrate"], database: database)
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("secret-\(UUID())")
        try Data((secret + "\n").utf8).write(to: file)
        defer { try? FileManager.default.removeItem(at: file) }
        for (name, options) in [
            ("f", ["--secret-file", file.path]), ("e", ["--secret-env", "THE_SECRET"]), ("i", ["--secret-stdin"]),
        ] {
            let result = try postrider(
                ["endpoints", "create", "--name", name, "--url", "https://example.com/", "--events", "*"] + options,
                database: database, input: secret + "\n", environment: ["THE_SECRET": secret])
            #expect(result.status == 0)
            #expect(!(result.output + result.errors).contains(secret))
        }
        let connection = try await Connection.open(ConnectionSettings(url: database))
        let stored = try await connection.query(
            Statement(name: "Secrets", sql: "SELECT count(*) FROM postrider.webhook_secrets WHERE secret = $1"),
            [.text(secret)])
        #expect(try stored[0].int(0) == 3)
        await connection.close()
    }

    @Test func twentyMigratorsAtOnceApplyEachMigrationOnce() async throws {
        let database = try await TestCluster.freshDatabase()
        let results = try await withThrowingTaskGroup(of: [Int].self) { group in
            for _ in 0..<20 {
                group.addTask {
                    let connection = try await Connection.open(ConnectionSettings(url: database))
                    nonisolated(unsafe) var applied: [Int] = []
                    // The closure is called by this task, before `up` returns.
                    try await Migrator(connection: connection).up { applied.append($0.version) }
                    await connection.close()
                    return applied
                }
            }
            return try await group.reduce(into: []) { $0 += $1 }
        }
        #expect(results.sorted() == Migration.all.map(\.version))
    }

    @Test func newerSchemaIsRefused() async throws {
        let database = try await TestCluster.freshDatabase()
        _ = try postrider(["migrate"], database: database)
        let connection = try await Connection.open(ConnectionSettings(url: database))
        _ = try await connection.script(
            "INSERT INTO postrider.webhook_migrations (version, name) VALUES (9999, 'future')", name: "future")
        await connection.close()
        for command in [["migrate"], ["worker"], ["migrate", "down", "--to", "0", "--yes"]] {
            let result = try postrider(command, database: database)
            #expect(result.status == 5, "\(command)")
            #expect(result.errors.contains("9999"))
        }
        let diagnosis = try postrider(["doctor"], database: database)
        #expect(diagnosis.status == 1)
        #expect(diagnosis.output.contains("version 9999") && diagnosis.output.contains("a newer postrider"))
        let found = try jsonLines(try postrider(["doctor", "--json"], database: database).text)
        let failed = try #require(found.first { $0["level"] as? String == "fail" })
        #expect(failed["check"] as? String == "schema" && (failed["remark"] as? String ?? "").contains("version 9999"), "\(failed)")
        #expect(try postrider(["migrate", "status"], database: database).output.contains("future"))
    }

    @Test func dryRunsChangeNothing() async throws {
        let database = try await TestCluster.freshDatabase()
        let plan = try postrider(["migrate", "--dry-run"], database: database)
        #expect(plan.output.contains("CREATE TABLE postrider.webhook_event_log"))
        #expect(try postrider(["endpoints", "list"], database: database).status == 5)
        _ = try postrider(["migrate"], database: database)
        #expect(
            try postrider(["migrate", "down", "--to", "0", "--dry-run"], database: database).output.contains(
                "DROP SCHEMA"))
        #expect(try postrider(["migrate", "down", "--to", "0"], database: database).status == 1)
        #expect(try postrider(["endpoints", "list"], database: database).status == 0)
        #expect(try postrider(["migrate", "down", "--to", "0", "--yes"], database: database).status == 0)
        #expect(try postrider(["endpoints", "list"], database: database).status == 5)
    }

    @Test func deadLettersAreListedAndReplayed() async throws {
        let database = try await TestCluster.freshDatabase()
        _ = try postrider(["migrate"], database: database)
        _ = try postrider(
            ["endpoints", "create", "--name", "dead", "--url", "https://example.com/", "--events", "*"],
            database: database)
        let event = try postrider(["emit", "a.b", "--data", "{}"], database: database).text
        let connection = try await Connection.open(ConnectionSettings(url: database))
        _ = try await connection.script(
            """
            DELETE FROM postrider.webhook_queue;
            INSERT INTO postrider.webhook_attempts (event_id, attempted_at, worker_id, destination_id, duration_us, attempt_number, outcome, failure)
            VALUES ('\(event)', now(), 1, 1, 5, 1, 2, 'timeout');
            INSERT INTO postrider.webhook_dead_letters (event_id, destination_id, attempts, failure) VALUES ('\(event)', 1, 1, 'timeout');
            """, name: "dead letter")
        let listed = try postrider(["dead-letters", "list", "--json"], database: database)
        let letter = try Record(Array(listed.text.utf8))
        #expect(letter["event_id"] == event)
        #expect(letter["failure"] == "timeout")
        let delivery = letter["id"]
        #expect(try postrider(["deliveries", "show", delivery], database: database).output.contains("timeout"))
        #expect(
            try postrider(["replay", "--dead-letters", "--dry-run"], database: database).text
                == "1 delivery would be sent")
        #expect(
            try postrider(["replay", "--delivery", delivery], database: database).text == "1 delivery scheduled")
        let retry = try await connection.query(
            Statement(
                name: "Retry",
                sql: "SELECT attempt_number, is_replay, due_at <= clock_timestamp() FROM postrider.webhook_retries"))
        #expect(try retry[0].int(0) == 2)
        #expect(try retry[0].bool(1))
        #expect(try retry[0].bool(2))
        #expect(try postrider(["dead-letters", "list", "--json"], database: database).text.isEmpty)
        await connection.close()
    }

    @Test func doctorTellsWhatIsWrong() async throws {
        let database = try await TestCluster.freshDatabase()
        _ = try postrider(["migrate"], database: database)
        let healthy = try postrider(["doctor"], database: database)
        #expect(healthy.status == 0, "\(healthy.output)")
        #expect(healthy.output.contains("ok    notifications: arrive"))
        #expect(healthy.output.contains("is a superuser") && healthy.output.contains("ok    roles: all are there"))
        // As little as it needs; the role belongs to the whole server, so its name is this test's alone.
        let auditor = "doctor_\(UUID().uuidString.prefix(8).lowercased())"
        let administration = try await Connection.open(ConnectionSettings(url: database))
        _ = try await administration.script("CREATE ROLE \(auditor) LOGIN IN ROLE postrider_auditor", name: "auditor")
        let least = try postrider(["doctor"], database: database.replacing(/user=\w+/, with: "user=\(auditor)"))
        #expect(least.status == 0, "\(least.output)")
        #expect(least.output.contains("ok    rights: \(auditor) is a member of postrider_auditor"))
        _ = try await administration.script(
            "REVOKE postrider_auditor FROM \(auditor); GRANT postrider_worker TO \(auditor)", name: "worker")
        let blind = try postrider(["doctor"], database: database.replacing(/user=\w+/, with: "user=\(auditor)"))
        #expect(blind.status == 0 && blind.output.contains("warn  rights: this login may not read"), "\(blind.output)")
        _ = try await administration.script("DROP ROLE \(auditor)", name: "auditor")
        await administration.close()
        let connection = try await Connection.open(ConnectionSettings(url: database))
        _ = try await connection.script(
            "ALTER TABLE postrider.webhook_event_log DISABLE TRIGGER webhook_enqueue", name: "break it")
        await connection.close()
        let broken = try postrider(["doctor"], database: database)
        #expect(broken.status == 1)
        #expect(broken.output.contains("fail  enqueue trigger"))
        #expect(broken.output.contains("ENABLE TRIGGER webhook_enqueue"))
        #expect(try postrider(["doctor"], database: "postgres://nobody@127.0.0.1:1/none").status == 4)
    }

    @Test func serverThatDoesNotAnswerIsNoConnection() throws {
        let server = try LoopbackSocket(isListening: true)
        let database = "postgres://nobody@127.0.0.1:\(server.port)/none?connect_timeout=1"
        let result = try postrider(["stats"], database: database)
        #expect(result.status == 4 && result.errors.contains("connect timeout"), "\(result.errors)")
        withExtendedLifetime(server) {}
    }

    @Test func tableThatDoesNotExistIsNotFound() async throws {
        let database = try await TestCluster.freshDatabase()
        _ = try postrider(["migrate"], database: database)
        for table in ["nowhere", "nosuch.nowhere", "postrider_app.nowhere"] {
            for command in [["attach", table, "--event-type", "a.b"], ["detach", table]] {
                let result = try postrider(command, database: database)
                #expect(result.status == 3 && result.errors.contains("does not exist"), "\(command): \(result.errors)")
            }
        }
    }

    /// A transaction that wrote and then waits has no snapshot; its id holds vacuum back. On a server of its own: transactions
    /// of other tests may be older.
    @Test func doctorSeesATransactionThatWroteAndWaits() async throws {
        let cluster = try CrashableCluster()
        try cluster.start()
        let settings = ConnectionSettings(url: cluster.url)
        try await eventually("the server to be up") {
            guard let connection = try? await Connection.open(settings) else { return false }
            await connection.close()
            return true
        }
        let connection = try await Connection.open(settings)
        try await Migrator(connection: connection).up()
        let writer = try await Connection.open(settings)
        _ = try await writer.script("BEGIN; SELECT postrider.emit('a.b', '{}')", name: "write")
        func diagnosis() async throws -> Record {
            try Record(try #require(try await AdminStore.run(.diagnosis, Array("{}".utf8), on: connection).first))
        }
        #expect(try await diagnosis().record("oldest_transaction").number("pid") == Double(writer.processID))
        #expect(try await diagnosis().isTrue("sees_sessions"))
        _ = try await connection.script("SET ROLE postrider_auditor", name: "role")
        #expect(try await !diagnosis().isTrue("sees_sessions"))
        await writer.close()
        await connection.close()
        #expect(try await cluster.crash())
    }
}

@Suite struct SettingsTests {
    @Test func everyFaultIsToldAtOnce() async throws {
        let failure = await #expect(throws: CommandFailure.self) {
            try await Settings.load(environment: [
                "POSTRIDER_ALLOW_HTTP": "maybe", "POSTRIDER_ALLOW_NETWORKS": "10.0.0.1/8",
                "POSTRIDER_FLOOR_POLL": "soon",
                "POSTRIDER_MAX_IN_FLIGHT": "0", "POSTRIDER_LOG_LEVEL": "loud", "POSTRIDER_CA_FILE": "/nowhere.pem",
            ])
        }
        let text = failure?.description ?? ""
        for name in ["ALLOW_HTTP", "ALLOW_NETWORKS", "FLOOR_POLL", "MAX_IN_FLIGHT", "LOG_LEVEL", "CA_FILE"] {
            #expect(text.contains("POSTRIDER_\(name)"))
        }
        #expect(text.contains(#""soon" is no time, 1ms to 60s, written 500ms"#))
        #expect(text.contains(#""loud" is none of trace, debug"#))
    }

    @Test(arguments: [
        ("-----BEGIN CERTIFICATE-----\n", true), ("no certificate", false), ("", false), ("-----BEGIN PRIVATE KEY-----\n", false),
        // OpenSSL would ask for its password on the terminal, at the first request.
        ("-----BEGIN CERTIFICATE-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nx\n-----END CERTIFICATE-----\n", false),
    ])
    func fileOfAuthoritiesMustBePEM(text: String, isRight: Bool) async throws {
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("authorities-\(UUID()).pem")
        try Data(text.utf8).write(to: file)
        defer { try? FileManager.default.removeItem(at: file) }
        let settings = try? await Settings.load(environment: ["POSTRIDER_CA_FILE": file.path])
        #expect((settings != nil) == isRight)
    }

    @Test func environmentGoesBeforeTheFile() async throws {
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("config-\(UUID()).json")
        try Data(#"{"postrider": {"allow": {"http": "true"}, "max": {"outstanding": 77}}}"#.utf8).write(to: file)
        defer { try? FileManager.default.removeItem(at: file) }
        let settings = try await Settings.load(environment: [
            "POSTRIDER_CONFIG_FILE": file.path, "POSTRIDER_ALLOW_HTTP": "false", "POSTRIDER_SHUTDOWN_GRACE": "1.5s",
        ])
        #expect(!settings.worker.allowsHTTP)
        #expect(settings.worker.maxOutstanding == 77)
        #expect(settings.worker.shutdownGrace == .milliseconds(1500))
        #expect(settings.worker.maxInFlight == 512)
    }

    @Test(arguments: [
        ("{", "cannot be read as JSON"), ("[]", "cannot be read as JSON"),
        (#"{"postrider": {"expose": ["A"]}}"#, "postrider.expose is neither"),
    ])
    func faultyFileOfSettingsIsRefused(text: String, reason: String) async throws {
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("config-\(UUID()).json")
        try Data(text.utf8).write(to: file)
        defer { try? FileManager.default.removeItem(at: file) }
        let failure = await #expect(throws: CommandFailure.self) {
            _ = try await Settings.load(environment: ["POSTRIDER_CONFIG_FILE": file.path])
        }
        #expect(failure?.description.contains(reason) == true)
    }

    @Test func documentListsEverySetting() throws {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let document = try String(contentsOf: root.appendingPathComponent("docs/configuration.md"), encoding: .utf8)
        for setting in Setting.all {
            #expect(document.contains("| `\(setting.variable)` | \(setting.form) | \(setting.standard) |"))
        }
        let listed = document.matches(of: /\n\| `([A-Z0-9_]+)` \|/).map { String($0.1) }
        #expect(listed == Setting.all.map(\.variable))
    }

    @Test(arguments: [
        ("500ms", 500), ("30s", 30_000), ("1.5s", 1500), ("2m", 120_000), ("1h", 3_600_000), ("7d", 604_800_000),
    ])
    func timesAreRead(text: String, milliseconds: Int64) {
        #expect(TimeArgument(argument: text)?.milliseconds == milliseconds)
    }

    @Test(arguments: ["", "s", "5", "-1s", "1 s", "1e9s", "99999d", "１s", "1.2.3s", "5m30s"])
    func otherTimesAreRefused(text: String) {
        #expect(TimeArgument(argument: text) == nil)
    }

    @Test func tablesAlignWideCharacters() {
        var table = Table(headings: ["a", "b"])
        table.rows = [["日本", "x"], ["é", ""]]
        #expect(table.lines() == ["A     B", "日本  x", "é"])
    }
}
