// The programs of Postgres itself, for what a DBA does without us.

import Foundation
import TestSupport

/// Runs psql and pg_dump, which come with every Postgres.
enum Shell {
    /// What a program said.
    struct Output {
        let status: Int32
        let text: String
        let errors: String
    }

    /// The folder of the package.
    static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../../..")
        .standardizedFileURL

    /// Every file of a folder of the package and of its folders, by path.
    static func files(in folder: String, suffix: String) throws -> [URL] {
        let folder = root.appendingPathComponent(folder)
        return try FileManager.default.subpathsOfDirectory(atPath: folder.path).filter { $0.hasSuffix(suffix) }.sorted()
            .map { folder.appendingPathComponent($0) }
    }

    /// Runs a program found in `PATH`, off the threads that tasks run on, and waits for its end.
    static func run(_ arguments: [String]) async throws -> Output {
        try await withCheckedThrowingContinuation { continuation in
            Thread.detachNewThread { continuation.resume(with: Result { try runAndWait(arguments) }) }
        }
    }

    private static func runAndWait(_ arguments: [String]) throws -> Output {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = arguments
        let errors = FileManager.default.temporaryDirectory.appendingPathComponent("sqltests-\(UUID()).err")
        _ = FileManager.default.createFile(atPath: errors.path, contents: nil)
        defer { try? FileManager.default.removeItem(at: errors) }
        let output = Pipe()
        process.standardOutput = output
        process.standardError = try FileHandle(forWritingTo: errors)
        try process.run()
        let text = try process.limited {
            let text = try output.fileHandleForReading.readToEnd() ?? Data()
            process.waitUntilExit()
            return text
        }
        return Output(
            status: process.terminationStatus, text: String(decoding: text, as: UTF8.self),
            errors: try String(contentsOf: errors, encoding: .utf8))
    }

    /// Runs files with psql as a DBA would, stopping at the first error; unaligned, without footers.
    static func psql(_ url: String, _ files: [URL], _ variables: [String: String] = [:]) async throws -> Output {
        let settings = variables.sorted { $0.key < $1.key }.flatMap { ["-v", "\($0.key)=\($0.value)"] }
        let form = ["-X", "-q", "-A", "-P", "footer=off", "-P", "null=∅", "-v", "ON_ERROR_STOP=1"]
        return try await run(["psql"] + form + settings + files.flatMap { ["-f", $0.path] } + [url])
    }

    /// What `pg_dump` writes of a database: the schema alone, unless told otherwise.
    static func dump(_ url: String, _ options: [String] = ["--schema-only", "--no-owner"]) async throws -> String {
        let output = try await run(["pg_dump"] + options + [url])
        guard output.status == 0 else { throw Unexpected(what: output.errors) }
        // Newer versions write a key of their own into every dump.
        return output.text.split(separator: "\n", omittingEmptySubsequences: false)
            .filter { !$0.hasPrefix("\\restrict") && !$0.hasPrefix("\\unrestrict") }.joined(separator: "\n")
    }
}
