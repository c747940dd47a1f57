// A worker as operators run it: a process of the built program, which can be stopped, paused, killed and cut off.

import Foundation
import Glibc
import TestSupport

/// One replica: a running `postrider worker`, known to Postgres by its name (`application_name`).
final class Replica: Sendable {
    let name: String
    let process: ChildProcess
    private let log: String

    /// The program that runs in scenarios without failpoints: the one of `bin/chaos`, or the tests' own.
    static let program = ProcessInfo.processInfo.environment["POSTRIDER_CHAOS_PROGRAM"] ?? debugProgram

    /// The program built with the tests: it knows failpoints.
    static let debugProgram = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
        .appendingPathComponent("postrider").path

    /// Starts a worker.
    ///
    /// - Parameters:
    ///   - url: its database, with a query part.
    ///   - wrapper: a program that becomes the worker, such as one that enters a namespace.
    init(
        _ name: String, url: String, program: String = Replica.program, environment extra: [String: String] = [:], wrapper: [String] = [],
        input: Int32? = nil
    ) throws {
        self.name = name
        log = NSTemporaryDirectory() + "postrider-\(name)-\(UUID()).log"
        var environment = ProcessInfo.processInfo.environment
        environment["DATABASE_URL"] = url + "&application_name=\(name)"
        environment["POSTRIDER_ALLOW_NETWORKS"] = "127.0.0.0/8,10.213.0.0/16"
        environment["POSTRIDER_ALLOW_HTTP"] = "true"
        environment.merge(extra) { $1 }
        process = try ChildProcess(wrapper + [program, "worker"], environment: environment, input: input, log: log)
    }

    deinit { try? FileManager.default.removeItem(atPath: log) }

    var id: Int32 { process.id }

    /// What it has written so far.
    var text: String { (try? String(contentsOfFile: log, encoding: .utf8)) ?? "" }

    func signal(_ signal: Int32) { process.signal(signal) }

    /// Kills it; true when the signal is what ended it.
    func kill() async throws -> Bool {
        process.signal(SIGKILL)
        return try await process.waitForEnd(within: .seconds(10)) == .killed(SIGKILL)
    }

    /// Asks it to stop; true when it ended in order.
    func stop(within limit: Duration = .seconds(30)) async throws -> Bool {
        process.signal(SIGTERM)
        return try await process.waitForEnd(within: limit) == .exited(0)
    }
}
