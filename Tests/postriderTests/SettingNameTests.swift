// Names of settings: which are known, and what is told of the others.

import Foundation
import OutboxWorker
import TestSupport
import Testing

@testable import postrider

@Suite struct SettingNameTests {
    @Test(arguments: [
        ("POSTRIDER_ALOW_HTTP", "POSTRIDER_ALOW_HTTP (POSTRIDER_ALLOW_HTTP?)"),
        ("POSTRIDER_MAX_INFLIGHT", "POSTRIDER_MAX_INFLIGHT (POSTRIDER_MAX_IN_FLIGHT?)"),
        ("POSTRIDER_DATABASE_URL", "POSTRIDER_DATABASE_URL (DATABASE_URL?)"), ("POSTRIDER_WHATEVER", "POSTRIDER_WHATEVER"),
    ])
    func misspelledVariableIsToldWithWhatMayBeMeant(name: String, told: String) async throws {
        let settings = try await Settings.load(environment: [name: "value", "DATABASE_URL": "postgres://u@h/d", "PATH": "/bin"])
        #expect(settings.ignoredNames == [told])
    }

    @Test(arguments: [
        ["POSTRIDER_ALLOW_HTTP": "true", "POSTRIDER_SECRET_KEYS": ""], ["POSTRIDER_ALOW_HTTP": ""], ["POSTRIDERS": "x"],
        ["POSTRIDER_EXPOSE": "POSTRIDER_TOKEN", "POSTRIDER_TOKEN": "x"],
        ["POSTRIDER_TEST_DATABASE_URL": "x", "POSTRIDER_CHAOS": "long", "POSTRIDER_DEMO_OWNED": "1"],
        // What Kubernetes sets for a service of our name.
        ["POSTRIDER_SERVICE_HOST": "10.0.0.1", "POSTRIDER_PORT": "tcp://10.0.0.1:80", "POSTRIDER_PORT_80_TCP_ADDR": "10.0.0.1"],
    ])
    func othersAreNot(environment: [String: String]) async throws {
        #expect(try await Settings.load(environment: environment).ignoredNames == [])
    }

    @Test func membersOfTheFileAreLookedAtToo() async throws {
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("config-\(UUID()).json")
        let text = #"""
            {"postrider": {"alow": {"http": "true"}, "allow": {"http": "true"}}, "other": {"a": "b"}, "POSTRIDER_HTTP2": "false",
             "databse": {"url": "x"}, "postrider.max.inflight": 3}
            """#
        try Data(text.utf8).write(to: file)
        defer { try? FileManager.default.removeItem(at: file) }
        let settings = try await Settings.load(environment: ["POSTRIDER_CONFIG_FILE": file.path])
        #expect(
            settings.ignoredNames == [
                "POSTRIDER_HTTP2 (postrider.http2?)", "databse.url (database.url?)", "other.a",
                "postrider.alow.http (postrider.allow.http?)", "postrider.max.inflight (postrider.max.in.flight?)",
            ])
    }

    @Test func membersWithDotsAreAsGoodAsObjects() async throws {
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("config-\(UUID()).json")
        defer { try? FileManager.default.removeItem(at: file) }
        try Data(#"{"postrider.allow.http": true, "postrider": {"max.in": {"flight": 7}}}"#.utf8).write(to: file)
        let settings = try await Settings.load(environment: ["POSTRIDER_CONFIG_FILE": file.path])
        #expect(settings.worker.allowsHTTP && settings.worker.maxInFlight == 7 && settings.ignoredNames == [])
        try Data(#"{"postrider.allow.http": true, "postrider": {"allow": {"http": false}}}"#.utf8).write(to: file)
        await #expect(throws: CommandFailure.self) { _ = try await Settings.load(environment: ["POSTRIDER_CONFIG_FILE": file.path]) }
    }

    /// Doctor reads the settings for itself and for its connection.
    @Test func commandsTellOnceAndNoValue() async throws {
        let told = "POSTRIDER_ALOW_HTTP (POSTRIDER_ALLOW_HTTP?)"
        let database = try await TestCluster.freshDatabase()
        #expect(try postrider(["migrate"], database: database).status == 0)
        let doctor = try postrider(["doctor"], database: database, environment: ["POSTRIDER_ALOW_HTTP": "marker"])
        #expect(doctor.errors.components(separatedBy: told).count == 2, "\(doctor.errors)")
        #expect(doctor.output.contains("warn  names of settings: ignored: \(told) → "), "\(doctor.output)")
        #expect(!(doctor.errors + doctor.output).contains("marker"))
        #expect(try postrider(["doctor"], database: database).output.contains("ok    names of settings: all are known"))
        for option in [["--secret-env", "POSTRIDER_PARTNER"], ["--secret-env=POSTRIDER_PARTNER"]] {
            let set = try postrider(
                ["settings", "set", "A"] + option, database: database, environment: ["POSTRIDER_PARTNER": "marker"])
            #expect(set.status == 0 && !set.errors.contains("POSTRIDER_PARTNER"), "\(set)")
        }
    }

    /// One that is read and not in the table would be told of as ignored; so would one that tests hand on to the program.
    @Test func everyNameThatIsUsedIsKnown() throws {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        var names: Set<String> = []
        for (folder, form) in [
            ("Sources", #/(POSTRIDER_[A-Z0-9_]+)/#), ("bin", #/(POSTRIDER_[A-Z0-9_]+)/#),
            ("Tests", #/nvironment\["(POSTRIDER_[A-Z0-9_]+)"\]/#), ("Benchmarks/Sources", #/settings\["(POSTRIDER_[A-Z0-9_]+)"\]/#),
        ] {
            for path in try FileManager.default.subpathsOfDirectory(atPath: root.appendingPathComponent(folder).path) {
                guard !path.hasSuffix(".h"), !path.contains("Generated/") else { continue }
                let file = root.appendingPathComponent(folder).appendingPathComponent(path)
                guard let text = try? String(contentsOf: file, encoding: .utf8) else { continue }
                names.formUnion(text.matches(of: form).map { String($0.1) })
            }
        }
        #expect(names.isSuperset(of: ["POSTRIDER_ALLOW_HTTP", "POSTRIDER_CHAOS", "POSTRIDER_HTTP2", "POSTRIDER_TEST_CLUSTER"]))
        #expect(names.filter { !IgnoredNames.isKnown($0) } == [])
    }
}
