// Other processes of this very program: workers, and receivers that stay after --keep.

internal import Foundation
internal import Glibc

/// A child process, its log beside it.
final class DemoProcess: @unchecked Sendable {
    // Process is not Sendable; it is started once in init and only asked for its id and its end afterwards.
    private let process = Process()
    /// For people: `worker-1`.
    let name: String
    /// What it writes.
    let log: URL
    private let pidFile: URL

    /// Starts this program again.
    ///
    /// - Parameters:
    ///   - name: names the log and the file with the process id.
    ///   - arguments: what to run; no secrets.
    ///   - environment: on top of this process's own.
    ///   - folder: where log and process id are written; the id for whoever has to end what stays.
    /// - Throws: when there is no such folder or no process can be made.
    init(_ name: String, _ arguments: [String], environment: [String: String], folder: URL) throws {
        self.name = name
        log = folder.appendingPathComponent("\(name).log")
        pidFile = folder.appendingPathComponent("\(name).pid")
        guard FileManager.default.createFile(atPath: log.path, contents: nil, attributes: [.posixPermissions: 0o600])
        else { throw DemoError("cannot write \(log.path)") }
        let output = try FileHandle(forWritingTo: log)
        // The path is looked up here: in the child the link would mean the child.
        let program = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = arguments
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = output
        process.standardError = output
        try process.run()
        try output.close()
        try Data("\(process.processIdentifier)\n".utf8).write(to: pidFile)
    }

    /// Its process id.
    var id: Int32 { process.processIdentifier }
    /// Whether it has not ended yet.
    var isRunning: Bool { process.isRunning }

    /// Ends it at once, without a chance to clean up.
    func kill() {
        Glibc.kill(id, SIGKILL)
        try? FileManager.default.removeItem(at: pidFile)
    }

    /// Asks it to end and waits ten seconds for it; then ends it.
    func stop() async {
        if isRunning { Glibc.kill(id, SIGTERM) }
        let end = ContinuousClock.now + .seconds(10)
        while isRunning, ContinuousClock.now < end {
            // Cleaning up goes on when the demo was cancelled, and then a sleep returns at once.
            await Task.detached { try? await Task.sleep(for: .milliseconds(5)) }.value
        }
        if isRunning { Glibc.kill(id, SIGKILL) }
        // A Process that nobody waited for keeps itself alive.
        process.waitUntilExit()
        try? FileManager.default.removeItem(at: pidFile)
    }

    /// The last lines of its log.
    var lastWords: String {
        let text = (try? String(contentsOf: log, encoding: .utf8)) ?? ""
        return text.split(separator: "\n").suffix(5).joined(separator: "\n")
    }
}
