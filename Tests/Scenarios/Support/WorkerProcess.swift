// A worker as operators run it: a process of the built program, which can be stopped, paused and killed.

import Foundation
import Glibc
import TestSupport

/// A running `postrider worker`.
final class WorkerProcess: @unchecked Sendable {
    // Process is not Sendable; it is started once in init and only asked for its id and its end afterwards.
    private let process = Process()
    /// What the worker writes.
    let log: URL

    /// Starts a worker on a database.
    init(_ outpost: Outpost, environment extra: [String: String] = [:]) throws {
        let products = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
        log = FileManager.default.temporaryDirectory.appendingPathComponent("worker-\(UUID()).log")
        _ = FileManager.default.createFile(atPath: log.path, contents: nil)
        // bin/chaos measures with a release build.
        process.executableURL =
            ProcessInfo.processInfo.environment["POSTRIDER_CHAOS_PROGRAM"].map { URL(fileURLWithPath: $0) }
            ?? products.appendingPathComponent("postrider")
        process.arguments = ["worker"]
        var environment = ProcessInfo.processInfo.environment
        environment["DATABASE_URL"] = outpost.url
        environment["POSTRIDER_ALLOW_NETWORKS"] = "127.0.0.0/8,::1/128"
        environment["POSTRIDER_ALLOW_HTTP"] = "true"
        environment.merge(extra) { $1 }
        process.environment = environment
        process.standardError = try FileHandle(forWritingTo: log)
        process.standardOutput = FileHandle.nullDevice
        try process.run()
    }

    deinit {
        if process.isRunning { Glibc.kill(process.processIdentifier, SIGKILL) }
        // A Process that nobody waited for keeps itself alive.
        process.waitUntilExit()
        try? FileManager.default.removeItem(at: log)
    }

    var id: Int32 { process.processIdentifier }
    var isRunning: Bool { process.isRunning }
    /// The exit status of one that has ended by itself.
    var status: Int32 { process.terminationStatus }

    /// Sends a signal.
    func signal(_ signal: Int32) { Glibc.kill(process.processIdentifier, signal) }

    /// Kills it and waits for its end; true when the signal is what ended it.
    func killAndWait(_ deadly: Int32 = SIGKILL) -> Bool {
        signal(deadly)
        process.limited { process.waitUntilExit() }
        return process.terminationReason == .uncaughtSignal && process.terminationStatus == deadly
    }

    /// Asks it to stop and waits; its exit status, not 0 when it had to be killed.
    func stop() -> Int32 {
        signal(SIGTERM)
        process.limited { process.waitUntilExit() }
        return process.terminationStatus
    }
}
