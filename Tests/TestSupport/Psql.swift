// psql as a DBA runs it, in the folder of the package. Called by tests of documents and of SQL files.

internal import Foundation

/// Runs scripts with psql.
public enum Psql {
    /// A script failed.
    public struct Failure: Error, CustomStringConvertible {
        /// What psql said.
        public let description: String
    }

    /// The folder of the package.
    static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../..")
        .standardizedFileURL

    /// Runs a script, stopping at its first error.
    ///
    /// - Parameter environment: what psql gets beside this process's own environment.
    /// - Returns: the rows it printed, unaligned, without headings.
    /// - Throws: ``Failure``, ``ChildProcess/Failure``.
    @discardableResult
    public static func run(_ script: String, on url: String, environment: [String: String] = [:]) async throws -> String {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("psql-\(UUID())")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let file = folder.appendingPathComponent("script.sql")
        let log = folder.appendingPathComponent("output")
        try Data(script.utf8).write(to: file)
        let command = #"cd "$0" && exec psql -X -q -A -t -v ON_ERROR_STOP=1 -f "$1" "$2""#
        let process = try ChildProcess(
            ["sh", "-c", command, root.path, file.path, url],
            environment: ProcessInfo.processInfo.environment.merging(environment) { $1 }, log: log.path)
        let end = try await process.waitForEnd(within: .seconds(30))
        let output = try String(contentsOf: log, encoding: .utf8)
        guard end == .exited(0) else { throw Failure(description: "psql: \(output)") }
        return output
    }
}

/// A page of `docs/migrating`, whose SQL is run as it stands there.
public struct MigrationPage: Sendable {
    private let name: String
    private let lines: [String]

    /// Reads a page, such as `supabase`.
    ///
    /// - Throws: when it is not there.
    public init(_ name: String) throws {
        self.name = name
        let file = Psql.root.appendingPathComponent("docs/migrating/\(name).md")
        lines = try String(contentsOf: file, encoding: .utf8).components(separatedBy: "\n")
    }

    /// The SQL after `<!-- runs: name -->`.
    ///
    /// - Throws: ``Psql/Failure`` when there is none.
    public func sql(_ block: String) throws -> String {
        guard let mark = lines.firstIndex(of: "<!-- runs: \(block) -->"), lines[mark + 1] == "```sql" else {
            throw Psql.Failure(description: "docs/migrating/\(name).md has no SQL called \(block)")
        }
        return lines[(mark + 2)...].prefix { $0 != "```" }.joined(separator: "\n") + "\n"
    }

    /// Runs it with psql; gives what it printed.
    ///
    /// - Throws: ``Psql/Failure``.
    @discardableResult
    public func run(_ block: String, on url: String, environment: [String: String] = [:]) async throws -> String {
        try await Psql.run(try sql(block), on: url, environment: environment)
    }
}
