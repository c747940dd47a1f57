// Settings, credentials and retry policies as people set them: the built program and a real database.

import Foundation
import Outbox
import OutboxStore
import OutboxWorker
import Postgres
import TestSupport
import Testing

@testable import postrider

@Suite struct AccessCommandTests {
    private func migrated() async throws -> (String, Connection) {
        let database = try await TestCluster.freshDatabase()
        #expect(try postrider(["migrate"], database: database).status == 0)
        return (database, try await Connection.open(ConnectionSettings(url: database)))
    }

    private func lines(_ sql: String, _ connection: Connection) async throws -> [String] {
        try await connection.query(Statement(name: "test", sql: sql, prepare: false)).map { try $0.string(0) }
    }

    private static let keys = "k1:" + Data(repeating: 7, count: 32).base64EncodedString()

    @Test func settingsAreSealedListedAndRemoved() async throws {
        let (database, connection) = try await migrated()
        let environment = ["POSTRIDER_SECRET_KEYS": Self.keys, "TOKEN": "marker one"]
        let set = { (arguments: [String], input: String) in
            try postrider(["settings", "set"] + arguments, database: database, input: input, environment: environment)
        }
        #expect(try set(["TOKEN", "--secret-env", "TOKEN"], "").text == "TOKEN")
        // Lines and all, as keys in PEM have them.
        #expect(try set(["PEM", "--organization", "acme", "--secret-stdin"], "marker two\nline\n").status == 0)
        #expect(try set(["ALL", "--shared", "--secret-stdin"], "marker three").status == 0)
        let stored = try await lines("SELECT value FROM postrider.webhook_settings", connection)
        #expect(stored.count == 3 && stored.allSatisfy { $0.hasPrefix("sealed:v1:k1:") })
        let ring = try KeyRing(list: Self.keys)
        let pem = try #require(try await lines("SELECT value FROM postrider.webhook_settings WHERE name = 'PEM'", connection).first)
        #expect(try SealedSecret(pem).open(at: .setting("PEM", organization: "acme"), with: ring) == "marker two\nline")
        #expect(throws: SealingError.self) { try SealedSecret(pem).open(at: .setting("PEM", organization: nil), with: ring) }
        // Again: the value is another one, the rest stays.
        #expect(try set(["ALL", "--secret-stdin"], "marker four").status == 0)
        #expect(try await lines("SELECT is_shared::text FROM postrider.webhook_settings WHERE name = 'ALL'", connection) == ["true"])
        let listed = try postrider(["settings", "list"], database: database)
        #expect(listed.output.contains("PEM") && listed.output.contains("acme") && !listed.output.contains("marker"))
        #expect(!(try postrider(["settings", "list", "--json"], database: database)).output.contains("sealed"))
        #expect(try postrider(["keys", "status", "--json"], database: database, environment: environment).output.contains(#""settings":3"#))
        #expect(try postrider(["settings", "remove", "PEM"], database: database).status == 3)
        #expect(try postrider(["settings", "remove", "PEM", "--organization", "acme"], database: database).text == "PEM")
        for wrong in [["1A", "--secret-stdin"], ["A", "--organization", "", "--secret-stdin"], ["A"]] {
            #expect(try set(wrong, "x").status == 1, "\(wrong)")
        }
        #expect(try set(["1A", "--secret-stdin"], "x").errors.contains("letters, digits and _, the first no digit"))
        #expect(try set(["_A", "--secret-stdin"], "x").text == "_A")
        #expect(try set(["A", "--secret-stdin"], "").status == 1)
        #expect(try set(["A", "--secret-stdin"], "sealed:v1:x").status == 1)
        #expect(try set(["A", "--shared", "--organization", "x", "--secret-stdin"], "x").status == 64)
        await connection.close()
    }

    @Test func keysRotateSettingsToo() async throws {
        let (database, connection) = try await migrated()
        #expect(try postrider(["settings", "set", "A", "--secret-stdin"], database: database, input: "marker").status == 0)
        #expect(try await lines("SELECT value FROM postrider.webhook_settings", connection) == ["marker"])
        let rotated = try postrider(["keys", "rotate"], database: database, environment: ["POSTRIDER_SECRET_KEYS": Self.keys])
        #expect(rotated.text == "1 sealed with key 'k1'", "\(rotated.errors)")
        let loaded = try await RoutingStore.load(on: connection, keys: KeyRing(list: Self.keys))
        #expect(loaded.census.opened == ["k1": 1] && loaded.census.plain == 0)
        await connection.close()
    }

    /// An administrator sets values and cannot read them back.
    @Test func administratorsSetAndAuditorsListSettings() async throws {
        let (database, connection) = try await migrated()
        let name = "settings_\(UUID().uuidString.prefix(8).lowercased())"
        _ = try await connection.script("CREATE ROLE \(name) LOGIN IN ROLE postrider_admin", name: "admin")
        let admin = database.replacing(/user=\w+/, with: "user=\(name)")
        for value in ["one", "two"] {
            let result = try postrider(["settings", "set", "A", "--secret-stdin"], database: admin, input: value)
            #expect(result.status == 0, "\(result.errors)")
        }
        #expect(try await lines("SELECT value FROM postrider.webhook_settings", connection) == ["two"])
        let reader = try await Connection.open(ConnectionSettings(url: admin))
        await #expect(throws: PostgresError.self) { try await lines("SELECT value FROM postrider.webhook_settings", reader) }
        await reader.close()
        _ = try await connection.script("REVOKE postrider_admin FROM \(name); GRANT postrider_auditor TO \(name)", name: "auditor")
        #expect(try postrider(["settings", "list"], database: admin).output.contains("A"))
        #expect(try postrider(["settings", "remove", "A"], database: admin).status == 1)
        _ = try await connection.script("DROP ROLE \(name)", name: "drop")
        await connection.close()
    }

    @Test func optionsAreCheckedAndDoctorTellsWhatIsMissing() async throws {
        let (database, connection) = try await migrated()
        let create = ["endpoints", "create", "--url", "https://example.com/", "--events", "*"]
        for (option, reason) in [
            (#"auth={"bearer": "hunter2"}"#, "must be a reference"), (#"proxy="http://u:hunter2@p.example:1""#, "must be a reference"),
            (#"tls={"key": "x"}"#, "the key must be"), (#"auth={"jwt": {"algorithm": "RS256", "key": "${K}"}}"#, "algorithm must be"),
        ] {
            let result = try postrider(create + ["--name", "x", "--option", option], database: database)
            #expect(result.status == 1 && result.errors.contains(reason) && !result.errors.contains("hunter2"), "\(result.errors)")
        }
        #expect(try postrider(create + ["--name", "x", "--header", "X-A=${"], database: database).status == 1)
        let options = ["--name", "x", "--option", #"auth={"bearer": "${TOKEN}"}"#, "--header", "X-A=${B}"]
        #expect(try postrider(create + options, database: database).status == 0)
        #expect(try postrider(["doctor"], database: database).output.contains("warn  settings: options name what is no setting for them: TOKEN"))
        #expect(try postrider(["settings", "set", "TOKEN", "--secret-stdin"], database: database, input: "x").status == 0)
        #expect(try postrider(["doctor"], database: database).output.contains("ok    settings"))
        // What an endpoint cannot use is told by its test.
        let test = try postrider(["endpoints", "test", "x"], database: database)
        #expect(test.status == 1 && test.errors.contains("${B} has no value: postrider settings set B"), "\(test.errors)")
        await connection.close()
    }

    @Test func doctorTellsWhoseSettingsAreMissingBesideWhatIsExposed() async throws {
        let (database, connection) = try await migrated()
        for (name, narrowing) in [("own", []), ("acmes", ["--organization", "acme"]), ("somebodys", ["--user", "u"])] {
            let created = try postrider(
                ["endpoints", "create", "--name", name, "--url", "https://example.com/", "--events", "*"]
                    + ["--option", #"auth={"bearer": "${TOKEN}"}"#] + narrowing, database: database)
            #expect(created.status == 0, "\(created.errors)")
        }
        func doctor(_ exposed: String) throws -> String {
            try postrider(["doctor"], database: database, environment: ["POSTRIDER_EXPOSE": exposed, "TOKEN": "x"]).output
        }
        let missing = "warn  settings: options name what is no setting for them: TOKEN"
        let (operators, others) = (missing + " → postrider settings set NAME, or", missing + " of organization acme, TOKEN of users → ")
        let nothing = try doctor("")
        #expect(nothing.contains(operators) && nothing.contains(others + "postrider settings set NAME with --organization or --shared"))
        // What the worker's environment gives is not missing, where it may be used.
        let own = try doctor("TOKEN")
        #expect(!own.contains(operators) && own.contains(others), "\(own)")
        #expect(try doctor("TOKEN:shared").contains("ok    settings"))
        #expect(try postrider(["settings", "set", "TOKEN", "--shared", "--secret-stdin"], database: database, input: "x").status == 0)
        #expect(try doctor("").contains("ok    settings"))
        await connection.close()
    }

    @Test(arguments: [
        (#"{"max_attempts":3,"backoff_type":"exponential","initial_delay":1000,"max_delay":30000}"#, "3 1000 2 30000 0 -"),
        (#"{"max_attempts":4,"backoff_type":"linear","initial_delay":1000,"max_delay":2500}"#, "4 1000 1 2500 0 {1000,2000,2500}"),
        (#"{"max_attempts":3,"backoff_type":"fixed","initial_delay":700,"max_delay":30000}"#, "3 700 1 30000 0 -"),
        (#"{"retry_count":3}"#, "4 2000 2 31622400000 0 -"), (#"{"retry_attempts":3}"#, "4 30000 2 3600000 0.1 -"),
        (#"{"max_attempts":5,"base_delay":10,"factor":3}"#, "5 10000 3 3600000 0.1 -"),
        (#"{"delays":[5,300],"jitter":0}"#, "3 0 1 600000 0 {5000,300000}"),
    ])
    func policiesOfTheSourceSystemsBecomeColumns(policy: String, columns: String) async throws {
        let (database, connection) = try await migrated()
        let url = ["--url", "https://example.com/", "--events", "*"]
        #expect(try postrider(["endpoints", "create", "--name", "new", "--retry-policy", policy] + url, database: database).status == 0)
        // And in the place of another one, of which nothing is left.
        #expect(try postrider(["endpoints", "create", "--name", "old", "--delays", "1s,2s"] + url, database: database).status == 0)
        #expect(try postrider(["endpoints", "update", "old", "--retry-policy", policy], database: database).status == 0)
        let stored = try await lines(
            """
            SELECT concat_ws(' ', max_attempts, base_delay_ms, delay_factor, max_delay_ms, jitter, coalesce(delays_ms::text, '-'))
            FROM postrider.webhook_destinations
            """, connection)
        #expect(stored == [columns, columns])
        // The worker reads the same policy out of them.
        let expected = try RetryPolicy(json: policy)
        for destination in try await RoutingStore.load(on: connection).destinations {
            #expect(destination.retry.maxAttempts == expected.maxAttempts)
            for attempt in 1...5 {
                #expect(destination.retry.delay(afterAttempt: attempt, random: 0.5) == expected.delay(afterAttempt: attempt, random: 0.5))
            }
        }
        await connection.close()
    }

    @Test func policiesThatAreNoneAreRefused() async throws {
        let (database, connection) = try await migrated()
        let base = ["endpoints", "create", "--name", "x", "--url", "https://example.com/", "--events", "*", "--retry-policy"]
        for (arguments, reason) in [
            ([#"{"retries":3}"#], "unknown key"), (["3"], "expected a JSON object"),
            ([#"{"retry_count":3}"#, "--max-attempts", "2"], "give it alone"),
            ([#"{"max_attempts":0}"#], "must be 1 to 1000"),
        ] {
            let result = try postrider(base + arguments, database: database)
            #expect(result.status == 1 && result.errors.contains(reason), "\(result.errors)")
        }
        await connection.close()
    }

    @Test func waitsAreComparedWhenBothAreGiven() async throws {
        let (database, connection) = try await migrated()
        let url = ["--url", "https://example.com/", "--events", "*"]
        #expect(try postrider(["endpoints", "create", "--name", "x", "--max-delay", "10s"] + url, database: database).status == 0)
        let loaded = try await RoutingStore.load(on: connection)
        #expect(loaded.faults.isEmpty && loaded.destinations.first?.retry.baseDelay == .seconds(10))
        for options in [["--max-delay", "1d"], ["--base-delay", "2h"]] {
            let result = try postrider(["endpoints", "update", "x"] + options, database: database)
            #expect(result.status == 0, "\(result.errors)")
        }
        #expect(try await RoutingStore.load(on: connection).destinations.first?.retry.baseDelay == .seconds(7200))
        for (options, reason) in [
            (["--base-delay", "2h", "--max-delay", "1h"], "base_delay must not exceed max_delay"),
            (["--delays", "1s,400d"], "0 s to 366 days"), (["--base-delay", "400d"], "0 s to 366 days"),
            (["--factor", "101"], "1 to 100"),
        ] {
            let result = try postrider(["endpoints", "update", "x"] + options, database: database)
            #expect(result.status == 1 && result.errors.contains(reason), "\(options): \(result.errors)")
        }
        await connection.close()
    }

    @Test func workersExposeOnlyWhatTheyAreTold() async throws {
        let good = try await Settings.load(environment: [
            "POSTRIDER_EXPOSE": "TOKEN, OPEN:shared,NOWHERE", "TOKEN": "a", "OPEN": "b", "HIDDEN": "c",
            "POSTRIDER_ALLOW_PROXY": "Proxy.example:3128,10.0.0.1:1080:shared", "POSTRIDER_TLS_FOLDER": NSTemporaryDirectory(),
        ])
        #expect(good.worker.grants.variables.keys.sorted() == ["OPEN", "TOKEN"])
        #expect(good.unsetVariables == ["NOWHERE"])
        #expect(good.worker.fileAge < .seconds(60))
        #expect(good.worker.grants.proxies == ["proxy.example:3128": false, "10.0.0.1:1080": true])
        let failure = await #expect(throws: CommandFailure.self) {
            try await Settings.load(environment: [
                "POSTRIDER_EXPOSE": "DATABASE_URL,PGPASSWORD,A B,OPEN:all", "PGPASSWORD": "w", "DATABASE_URL": "postgres://x@y/z",
                "POSTRIDER_ALLOW_PROXY": "proxy.example,p:1:all", "POSTRIDER_TLS_FOLDER": "/nowhere",
            ])
        }
        let text = failure?.description ?? ""
        for reason in [
            "DATABASE_URL is the worker's own secret", "PGPASSWORD is the worker's own secret", #""A B" is neither"#, #""OPEN:all" is neither"#,
            #""proxy.example" is neither host:port"#, #""p:1:all" is neither host:port"#, "/nowhere is no folder",
        ] {
            #expect(text.contains(reason), "\(text)")
        }
    }

    @Test func filesAreReadFromTheFolderAlone() throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("tls-\(UUID())")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try Data("text".utf8).write(to: folder.appendingPathComponent("a.pem"))
        try Data(repeating: 65, count: CertificateFolder.longestFile + 1).write(to: folder.appendingPathComponent("long"))
        let files = CertificateFolder(path: folder.path)
        #expect(try files.read("a.pem") == "text")
        try Data("another".utf8).write(to: folder.appendingPathComponent("a.pem"))
        #expect(try files.read("a.pem") == "another")
        for name in ["none.pem", "long"] { #expect(throws: SettingFault.self) { try files.read(name) } }
    }
}
