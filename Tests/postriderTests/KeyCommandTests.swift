// Keys and sealed secrets as people use them: the built program, a real database, right and wrong keys.

import Foundation
import Outbox
import OutboxStore
import OutboxWorker
import Postgres
import TestSupport
import Testing

@testable import postrider

@Suite struct KeyCommandTests {
    private static let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

    /// A ring's line as the command prints it.
    private func line(_ name: String) throws -> String {
        let result = try postrider(["keys", "generate", "--name", name], database: "unused")
        #expect(result.status == 0)
        #expect(result.errors.isEmpty)
        return result.text
    }

    private func migrated() async throws -> (String, Connection) {
        let database = try await TestCluster.freshDatabase()
        #expect(try postrider(["migrate"], database: database).status == 0)
        return (database, try await Connection.open(ConnectionSettings(url: database)))
    }

    private func texts(_ sql: String, _ connection: Connection) async throws -> [String] {
        try await connection.query(Statement(name: "test", sql: sql, prepare: false)).map { try $0.string(0) }
    }

    private func create(_ name: String, _ options: [String], _ database: String, keys: String?) throws -> CommandResult {
        var environment = ["THE_SECRET": Self.secret]
        environment["POSTRIDER_SECRET_KEYS"] = keys
        return try postrider(
            ["endpoints", "create", "--name", name, "--url", "https://example.com/", "--events", "*", "--json"] + options,
            database: database, environment: environment)
    }

    @Test func generatedLineIsAKeyOfItsName() throws {
        let (first, second) = (try line("k1"), try line("k1"))
        #expect(first != second)
        #expect(try KeyRing(list: first).names == ["k1"])
        let today = try postrider(["keys", "generate"], database: "unused").text
        #expect(today.wholeMatch(of: /k20\d{6}:[A-Za-z0-9+\/]{43}=/) != nil)
        #expect(try postrider(["keys", "generate", "--name", "a:b"], database: "unused").status == 1)
    }

    @Test func commandsSealWhatTheyWrite() async throws {
        let (database, connection) = try await migrated()
        let keys = try line("k1")
        let given = try create(
            "given", ["--secret-env", "THE_SECRET", "--header", "Authorization=Bearer marker", "--header", "X-Team=a"],
            database, keys: keys)
        #expect(given.status == 0, "\(given.errors)")
        let generated = try create("generated", [], database, keys: keys)
        let made = try Record(Array(generated.text.utf8))
        #expect(made["secret"].hasPrefix("whsec_"))
        for secret in try await texts("SELECT secret FROM postrider.webhook_secrets", connection) {
            #expect(secret.hasPrefix("sealed:v1:k1:"))
        }
        let headers = try await texts(
            "SELECT headers::text FROM postrider.webhook_destinations WHERE name = 'given'", connection)[0]
        #expect(headers.contains(#""Authorization": "sealed:v1:k1:"#) && headers.contains(#""X-Team": "a""#))
        let ring = try KeyRing(list: keys)
        let loaded = try await RoutingStore.load(on: connection, keys: ring)
        #expect(loaded.faults.isEmpty)
        #expect(loaded.census.opened == ["k1": 3] && loaded.census.plain == 0)
        #expect(loaded.destinations[0].secrets.map { $0.reveal() } == [Self.secret])
        #expect(loaded.destinations[0].headers.first { $0.name == "Authorization" }?.value == "Bearer marker")
        #expect(loaded.destinations[1].secrets.map { $0.reveal() } == [made["secret"]])
        for command in [["show", "given"], ["list", "--json"]] {
            let shown = try postrider(["endpoints"] + command, database: database)
            #expect(shown.output.contains("sealed with k1"))
            #expect(!shown.output.contains("marker") && !shown.output.contains("sealed:v1"))
        }
        await connection.close()
    }

    @Test func rotatedSecretsAndChangedHeadersAreSealedForTheirPlace() async throws {
        let (database, connection) = try await migrated()
        let keys = try line("k1")
        #expect(try create("e", ["--secret-env", "THE_SECRET"], database, keys: keys).status == 0)
        let environment = ["POSTRIDER_SECRET_KEYS": keys]
        let rotated = try postrider(
            ["endpoints", "rotate-secret", "e", "--json"], database: database, environment: environment)
        #expect(rotated.status == 0, "\(rotated.errors)")
        let updated = try postrider(
            ["endpoints", "update", "e", "--header", "X-Api-Key=marker", "--header", "X-Team=b"], database: database,
            environment: environment)
        #expect(updated.status == 0, "\(updated.errors)")
        let loaded = try await RoutingStore.load(on: connection, keys: KeyRing(list: keys))
        #expect(loaded.faults.isEmpty && loaded.census.plain == 0 && loaded.census.opened == ["k1": 3])
        let new = try Record(Array(rotated.text.utf8))["secret"]
        #expect(loaded.destinations[0].secrets.map { $0.reveal() } == [new, Self.secret])
        #expect(loaded.destinations[0].headers.map(\.value).sorted() == ["b", "marker"])
        await connection.close()
    }

    @Test func workflowsAreSealedToo() async throws {
        let (database, connection) = try await migrated()
        let environment = ["POSTRIDER_SECRET_KEYS": try line("k1"), "THE_SECRET": "a plain secret of n8n"]
        let base = ["n8n", "create", "--url", "https://n8n.example.com/webhook/x", "--events", "*"]
        let unsigned = try postrider(
            base + ["--name", "unsigned", "--header", "Authorization=Basic marker"], database: database,
            environment: environment)
        #expect(unsigned.status == 0, "\(unsigned.errors)")
        let changed = try postrider(
            ["n8n", "update", "unsigned", "--header", "Authorization=Basic other"], database: database,
            environment: environment)
        #expect(changed.status == 0, "\(changed.errors)")
        #expect(try await texts("SELECT secret FROM postrider.webhook_secrets", connection).isEmpty)
        let uses = try await SecretStore.census(on: connection)
        #expect(uses.map(\.key) == ["k1"] && uses.map(\.headers) == [1] && uses.map(\.secrets) == [0])
        await connection.close()
    }

    @Test func rotationMovesEverythingToTheFirstKey() async throws {
        let (database, connection) = try await migrated()
        let (old, new) = (try line("old"), try line("new"))
        #expect(try create("plain", ["--secret-env", "THE_SECRET", "--header", "Cookie=marker"], database, keys: nil).status == 0)
        #expect(try create("old", ["--header", "Cookie=marker"], database, keys: old).status == 0)
        let both = ["POSTRIDER_SECRET_KEYS": "\(new),\(old)"]
        let status = try postrider(["keys", "status"], database: database, environment: both)
        #expect(status.output.contains("(readable)  -      1"))
        let planned = try postrider(["keys", "rotate", "--dry-run"], database: database, environment: both)
        #expect(planned.text == "4 would be sealed with key 'new'")
        let counted = try postrider(["keys", "rotate", "--dry-run", "--json"], database: database, environment: both)
        #expect(counted.status == 0 && counted.text == #"{"count":4,"key":"new"}"#, "\(counted)")
        #expect(try await SecretStore.census(on: connection).count == 2)
        let rotated = try postrider(["keys", "rotate"], database: database, environment: both)
        #expect(rotated.status == 0 && rotated.text == "4 sealed with key 'new'", "\(rotated)")
        #expect(try postrider(["keys", "rotate"], database: database, environment: both).text == "0 sealed with key 'new'")
        let again = try postrider(["keys", "rotate", "--json"], database: database, environment: both)
        #expect(again.status == 0 && again.text == #"{"count":0,"key":"new"}"#, "\(again)")
        let machine = try postrider(["keys", "status", "--json"], database: database, environment: both)
        #expect(
            machine.text.split(separator: "\n").map(String.init) == [
                #"{"expired":0,"headers":0,"key":"(readable)","proof":"-","secrets":0,"settings":0,"state":"-"}"#,
                #"{"expired":0,"headers":2,"key":"new","proof":"opens","secrets":2,"settings":0,"state":"seals"}"#,
                #"{"expired":0,"headers":0,"key":"old","proof":"opens","secrets":0,"settings":0,"state":"opens"}"#,
            ])
        let loaded = try await RoutingStore.load(on: connection, keys: KeyRing(list: new))
        #expect(loaded.faults.isEmpty && loaded.destinations.count == 2)
        #expect(loaded.destinations[0].secrets.map { $0.reveal() } == [Self.secret])
        await connection.close()
    }

    @Test func rotationTellsWhatItCannotOpen() async throws {
        let (database, connection) = try await migrated()
        let (lost, new) = (try line("lost"), try line("new"))
        #expect(try create("a", [], database, keys: lost).status == 0)
        #expect(try create("b", [], database, keys: new).status == 0)
        let environment = ["POSTRIDER_SECRET_KEYS": new]
        let rotated = try postrider(["keys", "rotate"], database: database, environment: environment)
        #expect(rotated.status == 1)
        #expect(rotated.errors.contains("1 is sealed with key 'lost', which is not in POSTRIDER_SECRET_KEYS"))
        // One that has expired still signs, and needs its key; one that expired behind a newer secret needs none.
        _ = try await connection.script("UPDATE postrider.webhook_secrets SET expires_at = now() WHERE destination_id = 1", name: "expire")
        #expect(try postrider(["keys", "rotate"], database: database, environment: environment).status == 1)
        let replaced = try postrider(
            ["endpoints", "rotate-secret", "a", "--overlap", "0s"], database: database, environment: environment)
        #expect(replaced.status == 0, "\(replaced.errors)")
        #expect(try postrider(["keys", "rotate"], database: database, environment: environment).status == 0)
        #expect(try postrider(["keys", "rotate"], database: database).errors.contains("there are no keys"))
        await connection.close()
    }

    @Test func workerRefusesToStartWithoutAKeyThatSigns() async throws {
        let (database, connection) = try await migrated()
        let (k1, k2, impostor) = (try line("k1"), try line("k2"), try line("k2"))
        #expect(try create("a", [], database, keys: k1).status == 0)
        #expect(try create("b", [], database, keys: k2).status == 0)
        let cases: [(String?, String)] = [
            (nil, "1 secret is sealed with key 'k1', which is not in POSTRIDER_SECRET_KEYS; 1 secret is sealed with key 'k2'"),
            (k1, "1 secret is sealed with key 'k2', which is not in POSTRIDER_SECRET_KEYS"),
            ("\(k1),\(impostor)", "key 'k2' is another key than the one that seals under its name"),
        ]
        for (keys, reason) in cases {
            var environment: [String: String] = [:]
            environment["POSTRIDER_SECRET_KEYS"] = keys
            let result = try postrider(["worker"], database: database, environment: environment)
            #expect(result.status == 1)
            #expect(result.errors.contains("postrider: ") && result.errors.contains(reason), "\(result.errors)")
            for key in [k1, k2, impostor] { #expect(!result.errors.contains(key.dropFirst(3))) }
        }
        #expect(try await texts("SELECT count(*)::text FROM postrider.webhook_workers WHERE alive", connection) == ["0"])
        #expect(try await texts("SELECT count(*)::text FROM postrider.webhook_destinations WHERE is_active", connection) == ["2"])
        await connection.close()
    }

    /// Both would seal, and neither could open what the other sealed.
    @Test func anotherKeyOfTheSameNameSealsNothing() async throws {
        let (database, connection) = try await migrated()
        let (k1, impostor, k2) = (try line("k1"), try line("k1"), try line("k2"))
        let set = ["settings", "set", "TOKEN", "--secret-env", "THE_SECRET"]
        func run(_ words: [String], _ keys: String) throws -> CommandResult {
            try postrider(words, database: database, environment: ["POSTRIDER_SECRET_KEYS": keys, "THE_SECRET": Self.secret])
        }
        #expect(try run(["keys", "status", "--json"], k1).text.contains(#""key":"k1","proof":"none""#))
        #expect(try run(set, k1).status == 0)
        let proofs = "SELECT name || ' ' || created_by || ' ' || proof FROM postrider.webhook_secret_keys"
        let written = try await texts(proofs, connection)
        #expect(written.count == 1 && written.allSatisfy { $0.contains("sealed:v1:k1:") })
        // Nothing is left that could be tried with the key.
        _ = try await connection.script("DELETE FROM postrider.webhook_settings", name: "empty")
        let create = ["endpoints", "create", "--name", "a", "--url", "https://example.com/", "--events", "*"]
        for words in [set, ["keys", "rotate"], ["keys", "rotate", "--dry-run"], ["worker"], create] {
            let refused = try run(words, impostor)
            #expect(refused.status == 1 && refused.errors.contains("key 'k1'"), "\(words): \(refused)")
            #expect(!refused.errors.contains(impostor.dropFirst(3)))
        }
        #expect(try await texts("SELECT count(*)::text FROM postrider.webhook_settings", connection) == ["0"])
        #expect(try await texts("SELECT count(*)::text FROM postrider.webhook_destinations", connection) == ["0"])
        #expect(try run(["keys", "status", "--json"], impostor).text.contains(#""key":"k1","proof":"wrong""#))
        let doctor = try run(["doctor"], impostor)
        #expect(doctor.status == 1 && doctor.output.contains("fail  secrets: key 'k1' is another key"), "\(doctor)")
        // One who may not read the secrets is told all the same. The role belongs to the whole server.
        let auditor = "keys_\(UUID().uuidString.prefix(8).lowercased())"
        _ = try await connection.script("CREATE ROLE \(auditor) LOGIN IN ROLE postrider_auditor", name: "auditor")
        let told = try postrider(
            ["doctor"], database: database.replacing(/user=\w+/, with: "user=\(auditor)"),
            environment: ["POSTRIDER_SECRET_KEYS": impostor])
        _ = try await connection.script("DROP ROLE \(auditor)", name: "auditor")
        #expect(told.status == 1 && told.output.contains("fail  secrets: key 'k1' is another key"), "\(told)")
        #expect(told.output.contains("ok    secrets: not looked at"), "\(told)")
        #expect(try run(set, "\(k2),\(k1)").status == 0)
        #expect(try run(set, k1).status == 0)
        let after = try await texts(proofs + " ORDER BY name", connection)
        #expect(after.count == 2 && after.first == written.first)
        await connection.close()
    }

    @Test func doctorTellsHowSecretsStand() async throws {
        let (database, connection) = try await migrated()
        await connection.close()
        let (k1, k2) = (try line("k1"), try line("k2"))
        func doctor(_ keys: String?) throws -> String {
            var environment: [String: String] = [:]
            environment["POSTRIDER_SECRET_KEYS"] = keys
            return try postrider(["doctor"], database: database, environment: environment).output
        }
        #expect(try doctor(nil).contains("ok    secrets: none"))
        #expect(try create("a", [], database, keys: nil).status == 0)
        #expect(try doctor(nil).contains("warn  secrets: 1 stands readable in the database → postrider keys generate"))
        #expect(try doctor(k1).contains("warn  secrets: 1 stands readable in the database → postrider keys rotate"))
        #expect(try postrider(["keys", "rotate"], database: database, environment: ["POSTRIDER_SECRET_KEYS": k1]).status == 0)
        #expect(try doctor(k1).contains("ok    secrets: 1 sealed with key 'k1'"))
        #expect(try doctor("\(k2),\(k1)").contains("1 sealed with key 'k1' (keys rotate moves them to the first)"))
        #expect(try doctor(k2).contains("warn  secrets: 1 is sealed with key 'k1', which is not among the keys here"))
    }

    @Test func secretsThatLookSealedAreRefused() async throws {
        let (database, connection) = try await migrated()
        await connection.close()
        let result = try postrider(
            ["endpoints", "create", "--name", "n", "--url", "https://example.com/", "--events", "*", "--profile", "crm", "--secret-stdin"],
            database: database, input: "sealed:v1:marker\n")
        #expect(result.status == 1 && !result.errors.contains("marker"))
    }
}

@Suite struct KeySettingsTests {
    private static let key = "k1:" + String(repeating: "A", count: 43) + "="

    private func withFile(_ text: String, mode: Int, _ body: (String) async throws -> Void) async throws {
        // Under the folder of the sources, which is on a disk: temporary folders may be in memory.
        // In lower case, because faults name the file, and tests look for what looks like a key in them.
        let name = "keys-\(UUID().uuidString.lowercased()).tmp"
        let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent(name)
        _ = FileManager.default.createFile(
            atPath: file.path, contents: Data(text.utf8), attributes: [.posixPermissions: mode])
        defer { try? FileManager.default.removeItem(at: file) }
        try await body(file.path)
    }

    private func load(_ environment: [String: String]) async throws -> Settings {
        try await Settings.load(environment: environment)
    }

    @Test func ringComesFromVariableOrFile() async throws {
        #expect(try await load([:]).worker.secretKeys == nil)
        #expect(try await load(["POSTRIDER_SECRET_KEYS": Self.key]).worker.secretKeys?.names == ["k1"])
        for mode in [0o600, 0o400] {
            try await withFile("# mine\n\(Self.key)\n", mode: mode) { path in
                let settings = try await load(["POSTRIDER_SECRET_KEYS_FILE": path])
                #expect(settings.worker.secretKeys?.names == ["k1"])
            }
        }
    }

    @Test(arguments: [0o644, 0o640, 0o604, 0o660, 0o620, 0o610])
    func fileThatOthersMayReadIsRefused(mode: Int) async throws {
        try await withFile(Self.key, mode: mode) { path in
            let failure = await #expect(throws: CommandFailure.self) {
                try await load(["POSTRIDER_SECRET_KEYS_FILE": path])
            }
            #expect(failure?.description.contains("can be read by others (mode \(String(mode, radix: 8)))") == true)
        }
    }

    @Test func rightsOfAFileAreJudgedByOwnerAndPlace() {
        func fault(_ mode: mode_t, owner: uid_t, user: uid_t, memory: Bool = false) -> String? {
            KeyFile.fault(mode: mode, owner: owner, user: user, isInMemory: memory)
        }
        #expect(fault(0o600, owner: 7, user: 7) == nil)
        #expect(fault(0o600, owner: 0, user: 7) == nil)
        #expect(fault(0o600, owner: 8, user: 7) == "belongs to another user")
        #expect(fault(0o444, owner: 0, user: 7, memory: true) == nil)
        #expect(fault(0o640, owner: 0, user: 7, memory: true) == nil)
        #expect(fault(0o664, owner: 0, user: 7, memory: true) != nil)
        #expect(fault(0o666, owner: 0, user: 7, memory: true) != nil)
        #expect(fault(0o444, owner: 0, user: 7) != nil)
        #expect(fault(0o444, owner: 7, user: 7, memory: true) != nil)
    }

    @Test func faultsNeverRepeatAKey() async throws {
        let marker = "TWFya2VyTWFya2VyTWFya2Vy"
        var faults: [String] = []
        for list in [marker, "k1:\(marker)", "\(marker)\(marker):k1", "\(Self.key),\(Self.key)", ":\(marker)"] {
            let failure = await #expect(throws: CommandFailure.self) {
                _ = try await load(["POSTRIDER_SECRET_KEYS": list])
            }
            faults.append(failure?.description ?? "")
            try await withFile(list.replacingOccurrences(of: ",", with: "\n"), mode: 0o600) { path in
                let failure = await #expect(throws: CommandFailure.self) {
                    try await load(["POSTRIDER_SECRET_KEYS_FILE": path])
                }
                faults.append(failure?.description ?? "")
            }
        }
        let both = await #expect(throws: CommandFailure.self) {
            try await load(["POSTRIDER_SECRET_KEYS": Self.key, "POSTRIDER_SECRET_KEYS_FILE": "/nowhere"])
        }
        faults.append(both?.description ?? "")
        let none = await #expect(throws: CommandFailure.self) {
            _ = try await load(["POSTRIDER_SECRET_KEYS_FILE": "/nowhere"])
        }
        faults.append(none?.description ?? "")
        for fault in faults {
            #expect(fault.hasPrefix("POSTRIDER_SECRET_KEYS"), "\(fault)")
            #expect(!fault.contains(marker) && !fault.contains("AAAA"), "\(fault)")
        }
    }
}
