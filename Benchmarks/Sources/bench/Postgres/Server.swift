// The Postgres server under test: what it is, what it costs, and a fresh database for each measurement.

import Glibc

/// The server that DATABASE_URL names. The role must be a superuser, for it checkpoints and makes databases.
final class Server {
    /// A connection to the database that DATABASE_URL names; the benchmark changes nothing there.
    let admin: Database
    private let url: String
    private let postmaster: pid_t?
    private var made = 0

    /// - Throws: ``BenchError`` when it cannot be reached.
    init(url: String) throws {
        self.url = url
        admin = try Database(url)
        let parent = ProcessFigures.parent(of: admin.backend)
        // A server on another machine or in another container has no process here, or somebody else's.
        postmaster = parent.flatMap { readText("/proc/\($0)/comm")?.hasPrefix("postgres") == true ? $0 : nil }
    }

    /// CPU of all of the server's processes so far, in microseconds; 0 when they cannot be seen from here.
    var cpuMicroseconds: Double { postmaster.map(ProcessFigures.cpuOfFamilyMicroseconds) ?? 0 }

    /// Where the write-ahead log ends, in bytes.
    ///
    /// - Throws: ``BenchError`` with the server's message.
    func walBytes() throws -> Double { try admin.number(Statements.walPosition) }

    /// Makes a role that may log in and is a member of nothing, calls with its name, and drops it, whatever happens. What
    /// it owns must be gone by then.
    ///
    /// - Throws: ``BenchError`` of the server's, and whatever the body throws.
    func withRole<Result>(_ body: (String) throws -> Result) throws -> Result {
        let role = "postrider_bench_\(getpid())"
        try admin.run("CREATE ROLE \(role) LOGIN NOSUPERUSER")
        defer { try? admin.run("DROP ROLE \(role)") }
        return try body(role)
    }

    /// Makes an empty database, calls with it, and drops it, whatever happens: no measurement meets the dead rows, the
    /// statistics or the partitions of another.
    ///
    /// - Throws: ``BenchError`` of the server's, and whatever the body throws.
    func withDatabase<Result>(_ body: (_ url: String, _ database: Database) throws -> Result) throws -> Result {
        made += 1
        let name = "postrider_bench_\(getpid())_\(made)"
        try admin.run("CREATE DATABASE \(name)")
        defer { try? admin.run("DROP DATABASE \(name) WITH (FORCE)") }
        let url = try DatabaseURL.naming(name, like: url)
        return try body(url, Database(url))
    }
}
