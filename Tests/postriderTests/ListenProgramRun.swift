// `postrider` as people run it: a process of the built program. Used by the tests of `listen` and `demo`.

import Foundation
import TestSupport
import Testing

/// A run of the program.
final class ProgramRun {
    private let process = Process()
    private let output = Pipe()
    private let errors = Pipe()

    /// Starts the program.
    ///
    /// - Parameter script: for the shell, in which `"$0" "$@"` stands for the program and its arguments; nil for no shell.
    init(_ arguments: [String], environment: [String: String] = [:], script: String? = nil) throws {
        let products = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
        let program = products.appendingPathComponent("postrider")
        process.executableURL = script == nil ? program : URL(fileURLWithPath: "/bin/sh")
        process.arguments = (script.map { ["-c", $0, program.path] } ?? []) + arguments
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        process.standardOutput = output
        process.standardError = errors
        try process.run()
    }

    deinit { if process.isRunning { process.terminate() } }

    /// The port of a listener, from the line that it writes when it is ready.
    func port() throws -> String {
        var line = ""
        try process.limited {
            while !line.hasSuffix("\n") {
                let data = errors.fileHandleForReading.availableData
                try #require(!data.isEmpty, "the listener ended before it listened: \(line)")
                line += String(decoding: data, as: UTF8.self)
            }
        }
        return try #require(line.split(separator: "\n")[0].split(separator: ":").last.map(String.init))
    }

    /// Its process id.
    var id: Int32 { process.processIdentifier }

    /// Sends a signal.
    func signal(_ signal: Int32) { kill(process.processIdentifier, signal) }

    /// Waits for its end, which comes in time or by force: exit status, what it printed, and what it said of errors.
    func finish(within limit: Duration = .seconds(60)) -> (status: Int32, output: String, errors: String) {
        let (printed, said) = process.limited(to: limit) {
            let printed = output.fileHandleForReading.readDataToEndOfFile()
            let said = errors.fileHandleForReading.readDataToEndOfFile()
            process.waitUntilExit()
            return (printed, said)
        }
        return (
            process.terminationStatus, String(decoding: printed, as: UTF8.self), String(decoding: said, as: UTF8.self)
        )
    }
}

/// Runs a Python script and gives what it printed.
func runPython(_ script: String, _ arguments: [String]) throws -> String {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = ["python3", "-c", script] + arguments
    let output = Pipe()
    process.standardOutput = output
    try process.run()
    let data = process.limited {
        let data = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return data
    }
    try #require(process.terminationStatus == 0, "the Python script failed")
    return String(decoding: data, as: UTF8.self)
}

/// The JSON objects of a text that holds one in each line.
func jsonLines(_ text: String) throws -> [[String: Any]] {
    try text.split(separator: "\n").map {
        try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
    }
}
