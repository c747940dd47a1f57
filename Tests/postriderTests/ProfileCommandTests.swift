// Profiles and new secrets as people use them: the built program and a real database.

import Foundation
import Outbox
import OutboxStore
import Postgres
import TestSupport
import Testing

@testable import postrider

@Suite struct ProfileCommandTests {
    /// Nobody is asked there: these commands need no database.
    private static let nowhere = "postgres://nobody@127.0.0.1:1/none"
    private static let envelope = #"{"kind":"{event.type}","body":{data}}"#
    private static let own = [
        "--envelope", envelope, "--header", "X-Time: {timestamp.ms}", "--header", "X-Sig: {signature}", "--signs",
        "{timestamp.ms}:{body}", "--prefix", "v0=", "--encoding", "base64",
    ]

    private func migrated() async throws -> String {
        let database = try await TestCluster.freshDatabase()
        #expect(try postrider(["migrate"], database: database).status == 0)
        return database
    }

    private func temporary(_ text: String, suffix: String = ".json") throws -> URL {
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("profile-\(UUID())\(suffix)")
        try Data(text.utf8).write(to: file)
        return file
    }

    @Test func profileIsAddedUsedChangedAndRemoved() async throws {
        let database = try await migrated()
        let added = try postrider(["profiles", "add", "own", "--purpose", "for tests"] + Self.own, database: database)
        #expect(added.status == 0 && added.text == "own", "\(added.errors)")
        #expect(try postrider(["profiles", "add", "own"] + Self.own, database: database).status == 1)
        let endpoint = ["endpoints", "create", "--name", "e", "--url", "https://example.com/", "--events", "*", "--profile", "own"]
        #expect(try postrider(endpoint, database: database).status == 0)
        let list = try postrider(["profiles", "list"], database: database).output
        #expect(list.contains(/own +row +\{timestamp\.ms\}:\{body\} +1 +for tests/), "\(list)")
        #expect(list.contains(/standard +built in +\{event\.id\}\.\{timestamp\}\.\{body\} +0/))
        #expect(try postrider(["profiles", "list", "--json"], database: database).text.split(separator: "\n").count == 12)

        let planned = try postrider(["profiles", "update", "own", "--prefix", "v1=", "--dry-run"], database: database)
        #expect(planned.text == "1 destination uses profile own")
        let changed = try postrider(["profiles", "update", "own", "--prefix", "v1=", "--purpose", ""], database: database)
        #expect(changed.status == 0 && changed.errors.contains("1 destination sends in the new form"), "\(changed.errors)")
        let shown = try Profile(parsing: Array(postrider(["profiles", "show", "own"], database: database).output.utf8))
        #expect(shown.signature?.prefix == "v1=" && shown.purpose == nil && shown.envelope == Self.envelope)

        let refused = try postrider(["profiles", "remove", "own"], database: database)
        #expect(refused.status == 1 && refused.errors.contains("used by 1 destination:"))
        let moved = try postrider(["endpoints", "update", "e", "--profile", "fenix"], database: database)
        #expect(moved.status == 0 && moved.errors.isEmpty, "\(moved.errors)")
        #expect(try postrider(["profiles", "remove", "own"], database: database).text == "own")
        #expect(try postrider(["profiles", "remove", "own"], database: database).status == 3)
        #expect(try postrider(["endpoints", "update", "e", "--profile", "own"], database: database).status == 3)
        #expect(try postrider(["profiles", "show", "own"], database: database).status == 3)
    }

    @Test func firstLineOfAFileIsTheSecret() async throws {
        let database = try await migrated()
        let connection = try await Connection.open(ConnectionSettings(url: database))
        let create = ["endpoints", "create", "--name", "e", "--url", "https://example.com/", "--events", "*", "--profile", "github"]
        for text in ["one line\r\n# another\r\n", "one line\n\n", "one line", "one line\r", "\none line", "\r\none line\r\n", ""] {
            let file = try temporary(text, suffix: "")
            defer { try? FileManager.default.removeItem(at: file) }
            let result = try postrider(create + ["--secret-file", file.path], database: database)
            if text.hasPrefix("one") {
                #expect(result.status == 0, "\(text.debugDescription): \(result.errors)")
            } else {
                #expect(result.status == 1 && result.errors.contains("its first line is empty"), "\(result.errors)")
            }
        }
        let stored = try await connection.query(
            Statement(name: "test", sql: "SELECT secret FROM postrider.webhook_secrets", prepare: false))
        #expect(try stored.map { try $0.string(0) } == Array(repeating: "one line", count: 4))
        await connection.close()
    }

    /// What the note says happens, and its cure is one, with the overlap that rotate-secret has by itself.
    @Test func secretOfAnotherFormIsCuredByRotation() async throws {
        let database = try await migrated()
        let create = ["endpoints", "create", "--name", "e", "--url", "https://example.com/", "--events", "*", "--profile", "github"]
        #expect(try postrider(create + ["--secret-stdin"], database: database, input: "no base64 !\n").status == 0)
        let moved = try postrider(["endpoints", "update", "e", "--profile", "standard"], database: database)
        #expect(moved.status == 0 && moved.errors.contains("rotate-secret. A secret that does not fit"), "\(moved.errors)")
        let connection = try await Connection.open(ConnectionSettings(url: database))
        #expect(try await RoutingStore.load(on: connection).faults.count == 1)
        #expect(try postrider(["endpoints", "rotate-secret", "e"], database: database).status == 0)
        #expect(try await RoutingStore.load(on: connection).faults.isEmpty)
        await connection.close()
    }

    @Test func profileThatReadsSecretsOtherwiseIsToldOf() async throws {
        let database = try await migrated()
        #expect(try postrider(["profiles", "add", "own"] + Self.own, database: database).status == 0)
        let create = ["endpoints", "create", "--url", "https://example.com/", "--events", "*", "--name"]
        #expect(try postrider(create + ["e"], database: database).status == 0)
        let moved = try postrider(["endpoints", "update", "e", "--profile", "own"], database: database)
        #expect(moved.status == 0 && moved.errors.contains("reads secrets in another form than standard"), "\(moved.errors)")
        let changed = try postrider(["profiles", "update", "own", "--secret-form", "standard"], database: database)
        #expect(changed.status == 0 && changed.errors.contains("read in another form too"), "\(changed.errors)")
        #expect(changed.errors.contains("nothing is sent until it has a new one, and then enable it again"), "\(changed.errors)")
        // One that does not sign has no use for a secret.
        #expect(try postrider(["profiles", "add", "bare", "--envelope", "{data}"], database: database).status == 0)
        let bare = try postrider(create + ["b", "--profile", "bare"], database: database)
        #expect(bare.status == 0 && bare.errors.isEmpty, "\(bare.errors)")
        for command in [create + ["c", "--profile", "bare", "--expires-in", "9d"], ["endpoints", "rotate-secret", "b"]] {
            let refused = try postrider(command, database: database)
            #expect(refused.status == 1 && refused.errors.contains("does not sign"), "\(refused.errors)")
        }
    }

    @Test func profileComesFromAFile() async throws {
        let database = try await migrated()
        let stripe = try postrider(["profiles", "show", "stripe"], database: "unused").output
        let file = try temporary(stripe.replacingOccurrences(of: "\"stripe\"", with: "\"mine\""))
        defer { try? FileManager.default.removeItem(at: file) }
        let added = try postrider(
            ["profiles", "add", "mine", "--file", file.path, "--user-agent", "mine/1"], database: database)
        #expect(added.status == 0, "\(added.errors)")
        let connection = try await Connection.open(ConnectionSettings(url: database))
        let profile = try await ProfileStore.load(on: connection).profile("mine")
        #expect(profile.userAgent == "mine/1" && profile.secretForm == .prefixedText)
        #expect(profile.signature == Profile.builtIn["stripe"]?.signature)
        await connection.close()
        let fromInput = try postrider(["profiles", "add", "yours", "--file", "-"], database: database, input: "{}")
        #expect(fromInput.status == 1 && fromInput.errors.contains("envelope: it is missing"))
        #expect(try postrider(["profiles", "add", "other", "--file", file.path], database: database).errors.contains("mine"))
    }

    @Test(arguments: [
        (["add", "stripe", "--envelope", "{data}"], "built-in"), (["add", "A b", "--envelope", "{data}"], "no name"),
        (["add", "own", "--envelope", "{date}"], "unknown variable {date}"), (["add", "own"], "envelope: it is missing"),
        (["add", "own", "--file", "/nowhere.json"], "cannot read"), (["update", "stripe", "--prefix", "a"], "built in"),
        (["remove", "stripe"], "built in"), (["test", "./nowhere.json"], "cannot read"),
        (["test", "standard", "--event-type", "a b"], "U+20"), (["test", "standard", "--data", "{"], "no JSON"),
        (["test", "fenix", "--signature", "ed25519"], "no Ed25519"), (["test", "standard", "--url", "ftp://x/"], "URL"),
    ]) func mistakesAreTold(_ arguments: [String], _ word: String) throws {
        let result = try postrider(["profiles"] + arguments, database: Self.nowhere)
        #expect(result.status == 1 && result.errors.contains(word), "\(arguments): \(result.errors)")
        #expect(result.errors.hasPrefix("postrider: "))
    }

    /// The vector of Standard Webhooks cannot be had, since event ids are ours; the signature is checked by Python.
    @Test(arguments: Profile.builtIn.keys.sorted()) func testPrintsARequestThatAReceiverVerifies(_ name: String) throws {
        let result = try postrider(
            ["profiles", "test", name, "--data", #"{"total": 10.50, "π": 1e2}"#, "--event-type", "order.paid", "--json"],
            database: Self.nowhere)
        #expect(result.status == 0, "\(result.errors)")
        let members = try #require(
            try JSONSerialization.jsonObject(with: Data(result.output.utf8)) as? [String: Any])
        #expect(members["verified"] as? Bool == true)
        let body = try #require(members["body"] as? String)
        let secret = try #require(members["secret"] as? String)
        let headers = try #require(members["headers"] as? [String])
        #expect(body.contains(#"{"total": 10.50, "π": 1e2}"#))
        let id = try #require((headers.joined() + body).firstMatch(of: /[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f-]{21}/)?.output)
        let delivery = headers.first { $0.hasPrefix("X-Delivery-ID: ") }.map { String($0.dropFirst(15)) }
        let item = PythonVerifier.Case(
            profile: name, secret: secret, headers: headers, body: Array(body.utf8),
            unixSeconds: Int64(Date().timeIntervalSince1970),
            event: .init(
                id: String(id), type: "order.paid", delivery: delivery ?? "",
                destination: "00000000-0000-4000-8000-000000000001"))
        #expect(try PythonVerifier.verify([item]) == ["ok"], "\(result.output)")
    }

    @Test func testTellsWhatAReceiverCannotVerify() throws {
        let file = try temporary(
            #"{"name": "own", "envelope": "{data}", "headers": ["X: {signature}"], "signs": "{timestamp}.{body}"}"#)
        defer { try? FileManager.default.removeItem(at: file) }
        let result = try postrider(["profiles", "test", file.path, "--at", "1767225600"], database: "unused")
        #expect(result.status == 1 && result.errors.contains("cannot verify it: missing: timestamp"), "\(result.errors)")
        let again = try postrider(["profiles", "test", file.path, "--at", "1767225600"], database: "unused")
        #expect(result.output.contains("\n{\"test\": true}\n") && again.output.contains("verified: no"))
        for time in ["-1", "253402300800", "9223372036854775807"] {
            let refused = try postrider(["profiles", "test", file.path, "--at=\(time)"], database: "unused")
            #expect(refused.errors.contains("--at must be 0 to 253402300799"), "\(refused.errors)")
        }
    }

    @Test func testSendsToAListenerThatTakesTheSameFile() throws {
        let file = try temporary(
            """
            {"name": "own", "envelope": "{data}", "headers": ["X-At: {timestamp.iso}", "X: {signature}"],
             "signs": "{timestamp.iso}|{body}", "encoding": "base64"}
            """)
        defer { try? FileManager.default.removeItem(at: file) }
        let run = try ProgramRun(
            ["listen", "--port", "0", "--json", "--count", "2", "--profile", file.path, "--secret-env", "OWN_SECRET"],
            environment: ["OWN_SECRET": "shared"])
        let port = try run.port()
        let environment = ["POSTRIDER_ALLOW_HTTP": "true", "POSTRIDER_ALLOW_NETWORKS": "127.0.0.0/8", "OWN_SECRET": "shared"]
        let send = ["profiles", "test", file.path, "--url", "http://127.0.0.1:\(port)/hook"]
        let sent = try postrider(send + ["--secret-env", "OWN_SECRET"], database: Self.nowhere, environment: environment)
        // Otherwise the listener would be waited for in vain.
        try #require(sent.status == 0, "\(sent)")
        #expect(sent.output.contains("sent: status 200"))
        let stranger = try postrider(send, database: Self.nowhere, environment: environment)
        try #require(stranger.status == 0)
        let seen = try jsonLines(run.finish().output)
        #expect(seen.map { $0["signature"] as? String } == ["ok", "bad"])
        // Loopback is refused as it is by workers.
        let guarded = try postrider(send, database: Self.nowhere, environment: ["POSTRIDER_ALLOW_HTTP": "true"])
        #expect(guarded.status == 1 && guarded.output.contains("refused_address"), "\(guarded)")
        let told = try postrider(send + ["--json"], database: Self.nowhere, environment: ["POSTRIDER_ALLOW_HTTP": "true"])
        let record = try #require(try jsonLines(told.text).first)
        #expect(record["is_delivered"] as? Bool == false && record["failure"] as? String == "refused_address", "\(told)")
        #expect(record["verified"] as? Bool == true && record["status_code"] is NSNull)
    }

    @Test func listenerTakesAProfileThatWasAdded() async throws {
        let database = try await migrated()
        #expect(try postrider(["profiles", "add", "own"] + Self.own, database: database).status == 0)
        let environment = [
            "DATABASE_URL": database, "OWN_SECRET": "shared", "POSTRIDER_ALLOW_HTTP": "true",
            "POSTRIDER_ALLOW_NETWORKS": "127.0.0.0/8",
        ]
        let run = try ProgramRun(
            ["listen", "--port", "0", "--json", "--count", "1", "--profile", "own", "--secret-env", "OWN_SECRET"],
            environment: environment)
        let url = "http://127.0.0.1:\(try run.port())/hook"
        let create = ["endpoints", "create", "--name", "e", "--events", "*", "--profile", "own", "--url", url]
        #expect(try postrider(create + ["--secret-env", "OWN_SECRET"], database: database, environment: environment).status == 0)
        let test = try postrider(["endpoints", "test", "e"], database: database, environment: environment)
        try #require(test.status == 0, "\(test)")
        let seen = try jsonLines(run.finish().output)
        #expect(seen.first?["signature"] as? String == "ok" && seen.first?["profile"] as? String == "own")
    }
}

@Suite struct NewSecretTests {
    private let create = ["endpoints", "create", "--url", "https://example.com/", "--events", "*"]

    private func migrated() async throws -> String {
        let database = try await TestCluster.freshDatabase()
        #expect(try postrider(["migrate"], database: database).status == 0)
        return database
    }

    @Test(arguments: [nil, Rings.line]) func ed25519SecretsAreMadeWithTheirPublicKey(keys: String?) async throws {
        let database = try await migrated()
        let environment = keys.map { ["POSTRIDER_SECRET_KEYS": $0] } ?? [:]
        let made = try postrider(
            create + ["--name", "e", "--signature", "ed25519", "--json"], database: database, environment: environment)
        #expect(made.status == 0, "\(made.errors)")
        let record = try Record(Array(made.text.utf8))
        let secret = try Secret(record["secret"], form: .standard)
        #expect(secret.isAsymmetric && secret.publicKeyText == record["public_key"])
        let printed = try postrider(["endpoints", "public-key", "e"], database: database, environment: environment)
        #expect(printed.text == record["public_key"])
        // A rotation from one kind to the other, for people.
        let rotated = try postrider(["endpoints", "rotate-secret", "e"], database: database, environment: environment)
        #expect(rotated.status == 0 && rotated.errors.contains("shown this once: whsec_"), "\(rotated.errors)")
        #expect(!rotated.errors.contains("public key") && rotated.errors.contains("both secrets sign until 20"))
        let again = try postrider(
            ["endpoints", "rotate-secret", "e", "--signature", "ed25519"], database: database, environment: environment)
        #expect(again.errors.contains("public key, for the receiver: whpk_"))
        let keysNow = try postrider(["endpoints", "public-key", "e"], database: database, environment: environment)
        #expect(keysNow.text.split(separator: "\n").count == 2)
        let told = try jsonLines(
            postrider(["endpoints", "public-key", "e", "--json"], database: database, environment: environment).output)
        #expect(told.compactMap { $0["public_key"] as? String } == keysNow.text.split(separator: "\n").map(String.init))
        #expect(told.allSatisfy { $0["id"] as? String == record["id"] && $0["name"] as? String == "e" }, "\(told)")
    }

    /// The receiver has nothing but the public key, as it should.
    @Test func receiverVerifiesWithThePublicKeyAlone() async throws {
        let database = try await migrated()
        #expect(try postrider(create + ["--name", "e", "--signature", "ed25519"], database: database).status == 0)
        let key = try postrider(["endpoints", "public-key", "e"], database: database).text
        let stranger = try postrider(["profiles", "test", "standard", "--signature", "ed25519", "--json"], database: database)
        let another = try Record(Array(stranger.text.utf8))["public_key"]
        #expect(key.hasPrefix("whpk_") && another.hasPrefix("whpk_") && key != another)
        let allowed = ["POSTRIDER_ALLOW_HTTP": "true", "POSTRIDER_ALLOW_NETWORKS": "127.0.0.0/8"]
        for (known, verdict) in [(key, "ok"), (another, "bad")] {
            let run = try ProgramRun(
                ["listen", "--port", "0", "--json", "--count", "1", "--secret-env", "PUBLIC_KEY"],
                environment: ["PUBLIC_KEY": known])
            let url = "http://127.0.0.1:\(try run.port())/"
            let moved = try postrider(["endpoints", "update", "e", "--url", url], database: database, environment: allowed)
            try #require(moved.status == 0, "\(moved)")
            let test = try postrider(["endpoints", "test", "e"], database: database, environment: allowed)
            try #require(test.status == 0, "\(test)")
            #expect(try jsonLines(run.finish().output).first?["signature"] as? String == verdict)
        }
    }

    @Test func wrongKindsAreRefused() async throws {
        let database = try await migrated()
        let environment = ["S": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]
        for options in [
            ["--profile", "crm", "--signature", "ed25519"], ["--secret-env", "S", "--signature", "hmac"],
            ["--expires-in", "0s"],
        ] {
            let result = try postrider(create + ["--name", "e"] + options, database: database, environment: environment)
            #expect(result.status == 1, "\(options)")
        }
        let hmac = try postrider(create + ["--name", "e"], database: database)
        #expect(hmac.status == 0)
        #expect(try postrider(["endpoints", "public-key", "e"], database: database).status == 3)
        #expect(try postrider(["endpoints", "list", "--json"], database: database).text.split(separator: "\n").count == 1)
    }

    @Test func profilesWithRoomForOneSignatureSaySo() async throws {
        let database = try await migrated()
        #expect(try postrider(create + ["--name", "e", "--profile", "fenix"], database: database).status == 0)
        let rotated = try postrider(["endpoints", "rotate-secret", "e"], database: database)
        #expect(rotated.status == 0 && rotated.errors.contains("profile fenix has room for one signature"))
    }

    @Test func workflowsGetSecretsToo() async throws {
        let database = try await migrated()
        let base = ["n8n", "create", "--url", "https://n8n.example.com/webhook/x", "--events", "*", "--name"]
        #expect(try postrider(base + ["w"], database: database).errors.isEmpty)
        let first = try postrider(["n8n", "rotate-secret", "w"], database: database)
        #expect(first.status == 0 && first.errors.contains("from now on requests are signed"), "\(first.errors)")
        let second = try postrider(["n8n", "rotate-secret", "w", "--json"], database: database)
        #expect(second.errors.contains("room for one signature"))
        #expect(try Record(Array(second.text.utf8))["secret"].utf8.count == 64)
        // Asked for a date, it has a secret from the start.
        let dated = try postrider(base + ["v", "--expires-in", "90d"], database: database)
        #expect(dated.status == 0 && dated.errors.contains("shown this once"), "\(dated.errors)")
    }

    @Test(arguments: [nil, Rings.line]) func datesAreKeptAndWarnedOf(keys: String?) async throws {
        let database = try await migrated()
        let environment = keys.map { ["POSTRIDER_SECRET_KEYS": $0] } ?? [:]
        for (name, time) in [("soon", "5d"), ("later", "90d")] {
            let made = try postrider(
                create + ["--name", name, "--expires-in", time], database: database, environment: environment)
            #expect(made.status == 0, "\(made.errors)")
        }
        let list = try postrider(["endpoints", "list"], database: database)
        #expect(list.errors.contains("the secret of soon expires in 4 days") && !list.errors.contains("later"), "\(list.errors)")
        let doctor = try postrider(["doctor"], database: database, environment: environment)
        #expect(doctor.output.contains("warn  secret expiry: that of soon expires in 4 days"), "\(doctor.output)")
        let early = try postrider(
            ["doctor"], database: database, environment: environment.merging(["POSTRIDER_SECRET_WARNING": "100d"]) { $1 })
        #expect(early.output.contains("that of later expires in 89 days"))
        let connection = try await Connection.open(ConnectionSettings(url: database))
        _ = try await connection.script(
            "UPDATE postrider.webhook_secrets SET expires_at = now() - interval '73 hours'", name: "past")
        await connection.close()
        let past = try postrider(["doctor"], database: database, environment: environment)
        #expect(past.status == 1)
        #expect(past.output.contains("fail  secret expiry: that of soon expired 3 days ago and signs on → postrider endpoints rotate-secret 'soon'"))
        for name in ["soon", "later"] {
            let rotated = try postrider(
                ["endpoints", "rotate-secret", name, "--expires-in", "365d"], database: database, environment: environment)
            #expect(rotated.status == 0, "\(rotated.errors)")
        }
        let well = try postrider(["doctor"], database: database, environment: environment)
        #expect(well.status == 0 && well.output.contains("ok    secret expiry: 2 have a date, the next is 20"), "\(well.output)")
        #expect(try postrider(["endpoints", "list"], database: database).errors.isEmpty)
    }

    private enum Rings {
        static let line = "k1:" + String(repeating: "A", count: 43) + "="
    }
}
