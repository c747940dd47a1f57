// Where a secret could leak: dumps, logs, errors, statistics, arguments, the server's log, crashes. Each place is read
// while or after the whole program has used a secret that is looked for.

import Foundation
import Glibc
import Outbox
import OutboxStore
import OutboxWorker
import Postgres
import TestSupport
import Testing

/// Secrets of a kind that stands nowhere by chance, in the forms in which they could leak.
private struct Marker {
    let secret: String
    let bearer: String
    let key: String

    init() {
        let bytes = (0..<24).map { _ in UInt8.random(in: .min ... .max) }
        secret = "whsec_" + Data(bytes).base64EncodedString()
        bearer = "bearer-\(UUID())"
        key = "marked:" + Data((0..<32).map { _ in UInt8.random(in: .min ... .max) }).base64EncodedString()
    }

    /// What was found of them in a text: the whole, and long parts of it.
    func leaks(in text: String) -> [String] {
        let forms: [(name: String, text: Substring)] = [
            ("secret", secret.dropFirst(6)), ("bearer", bearer.dropFirst(7)), ("key", key.dropFirst(7)),
        ]
        return forms.filter { form in
            text.contains(String(form.text.prefix(16))) || text.contains(String(form.text.suffix(16)))
        }.map(\.name)
    }
}

/// Runs a program found in PATH to its end.
private func run(
    _ words: [String], environment: [String: String] = [:], input: String = ""
) async throws -> (status: Int32, text: String) {
    let base = FileManager.default.temporaryDirectory.appendingPathComponent("secrecy-\(UUID())").path
    defer { for end in ["in", "out"] { unlink("\(base).\(end)") } }
    try Data(input.utf8).write(to: URL(fileURLWithPath: base + ".in"))
    let file = open(base + ".in", O_RDONLY | O_CLOEXEC)
    defer { close(file) }
    let merged = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    let child = try ChildProcess(words, environment: merged, input: file, log: base + ".out")
    guard case .exited(let status) = try await child.waitForEnd(within: .seconds(60)) else {
        throw Timeout(what: "an orderly end of \(words.prefix(3))")
    }
    return (status, String(decoding: try Data(contentsOf: URL(fileURLWithPath: base + ".out")), as: UTF8.self))
}

extension Scenarios {
    @Suite struct SecrecyScenarios {
        private var program: String {
            URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent().appendingPathComponent("postrider").path
        }

        /// The file that the server writes its log to, and its length now.
        private func serverLog(_ outpost: Outpost) async throws -> URL {
            let backend = outpost.connection.processID
            return URL(fileURLWithPath: try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(backend)/fd/2"))
        }

        @Test func nothingTellsASecretThatIsSealed() async throws {
            let outpost = try await Outpost()
            let receiver = try Receiver()
            let marker = Marker()
            let log = try await serverLog(outpost)
            let name = try await outpost.text("SELECT current_database()")
            for setting in [
                "log_statement = 'all'", "log_parameter_max_length = -1", "log_parameter_max_length_on_error = -1",
                "log_min_duration_statement = 0", "log_min_messages = 'debug1'",
            ] {
                try await outpost.sql("ALTER DATABASE \"\(name)\" SET \(setting)")
            }
            let logBegins = try Data(contentsOf: log).count
            let environment = [
                "DATABASE_URL": outpost.url, "POSTRIDER_SECRET_KEYS": marker.key, "THE_SECRET": marker.secret,
                "POSTRIDER_LOG_LEVEL": "trace", "POSTRIDER_ALLOW_HTTP": "true", "POSTRIDER_ALLOW_NETWORKS": "127.0.0.0/8",
            ]
            func command(_ words: [String], status: Int32 = 0, input: String = "") async throws -> String {
                let result = try await run([program] + words, environment: environment, input: input)
                #expect(result.status == status, "\(words): \(result.text)")
                return result.text
            }
            let header = ["--header", "Authorization=\(marker.bearer)"]
            var told = try await command(
                ["endpoints", "create", "--name", "e", "--url", receiver.url(), "--events", "*", "--secret-env", "THE_SECRET"])
            told += try await command(["endpoints", "update", "e"] + header)
            told += try await command(["endpoints", "rotate-secret", "e", "--secret-stdin"], input: marker.secret + "\n")
            for words in [
                ["endpoints", "show", "e"], ["endpoints", "list", "--json"], ["keys", "status", "--json"], ["keys", "rotate"], ["doctor"],
            ] {
                told += try await command(words)
            }
            // Refused by the program, and by the server behind the statement that holds the secret.
            told += try await command(
                ["endpoints", "create", "--name", "f", "--url", "ftp://x/", "--events", "*", "--secret-env", "THE_SECRET"], status: 1)
            told += try await command(
                [
                    "endpoints", "create", "--name", "g", "--url", receiver.url(), "--events", "*", "--timeout", "20m", "--secret-env",
                    "THE_SECRET",
                ] + header, status: 1)
            told += try await command(["endpoints", "rotate-secret", "nobody", "--secret-env", "THE_SECRET"], status: 3)
            told += try await command(["endpoints", "test", "e"])
            #expect(marker.leaks(in: told) == [])

            let worker = try WorkerProcess(outpost, environment: environment)
            for number in 0..<50 { try await outpost.emit("a.b", data: "{\"n\": \(number)}") }
            try await receiver.wait(for: 51)
            #expect(receiver.received.allSatisfy { $0.headers["authorization"] == marker.bearer }, "the header was opened")
            #expect(try receiver.unsigned([marker.secret]) == 0, "the secret was opened")
            let statements = try await outpost.sql("SELECT query FROM pg_stat_activity WHERE datname = current_database()")
            #expect(statements.count >= 3)
            for row in statements { #expect(marker.leaks(in: try row.stringOrNil(0) ?? "") == []) }
            let arguments = try Data(contentsOf: URL(fileURLWithPath: "/proc/\(worker.id)/cmdline"))
            #expect(String(decoding: arguments, as: UTF8.self).contains("worker"))
            #expect(marker.leaks(in: String(decoding: arguments, as: UTF8.self)) == [])
            #expect(worker.stop() == 0)
            let written = try String(contentsOf: worker.log, encoding: .utf8)
            #expect(written.contains("worker started"))
            #expect(marker.leaks(in: written) == [])

            let dump = try await run(["pg_dump", "--dbname", outpost.url])
            #expect(dump.status == 0 && dump.text.contains("sealed:v1:marked:"))
            #expect(marker.leaks(in: dump.text) == [])
            let logged = String(decoding: try Data(contentsOf: log).dropFirst(logBegins), as: UTF8.self)
            #expect(logged.contains("sealed:v1:marked:"), "the server logged the parameters that held a secret")
            #expect(marker.leaks(in: logged) == [])
        }

        @Test(arguments: [SIGSEGV, SIGABRT])
        func crashTellsNothing(crash: Int32) async throws {
            let outpost = try await Outpost()
            let receiver = try Receiver()
            let marker = Marker()
            let id = try await outpost.endpoint(receiver.url(), secret: marker.secret)
            try await outpost.seal(marker.secret, id, with: marker.key)
            let worker = try WorkerProcess(
                outpost,
                environment: ["POSTRIDER_SECRET_KEYS": marker.key, "SWIFT_BACKTRACE": "enable=yes,interactive=no,color=no"])
            try await outpost.emit("a.b")
            try await receiver.wait(for: 1)
            let limits = try String(contentsOfFile: "/proc/\(worker.id)/limits", encoding: .utf8)
            let coreLimit = try #require(limits.split(separator: "\n").first { $0.hasPrefix("Max core file size") })
            #expect(coreLimit.split(separator: " ").dropFirst(4).prefix(2) == ["0", "0"])
            #expect(worker.killAndWait(crash), "the fault was injected")
            let written = try String(contentsOf: worker.log, encoding: .utf8)
            #expect(written.contains("worker started"))
            #expect(!written.contains("Crashed") && !written.contains("Registers"))
            #expect(marker.leaks(in: written) == [])
        }
    }
}
