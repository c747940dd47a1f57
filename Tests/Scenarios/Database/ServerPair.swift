// A primary and its standby, for failovers: two servers of one test, with sockets in folders of their own.

import Foundation
import Glibc
import OutboxStore
import Postgres
import TestSupport

/// Two servers that stream from one to the other. Stopped and removed by ``remove()``.
struct ServerPair {
    private let folder: String
    private let binaries: String
    private let runner = getuid() == 0 ? "runuser -u postgres -- " : ""

    /// Starts both.
    init() throws {
        let versions = try FileManager.default.contentsOfDirectory(atPath: "/usr/lib/postgresql")
        guard let newest = versions.max(by: { (Int($0) ?? 0) < (Int($1) ?? 0) }) else { throw Timeout(what: "a server") }
        binaries = "/usr/lib/postgresql/\(newest)/bin"
        folder = "/tmp/postrider-pair-\(UUID().uuidString.prefix(8).lowercased())"
        try Command.run("mkdir -m 0777 -p \(folder) && \(runner)mkdir \(folder)/first \(folder)/second")
        try run("initdb -D \(folder)/first/data -U postgres -A trust -E UTF8 --locale=C.UTF-8")
        try start("first")
        try run("pg_basebackup -D \(folder)/second/data -R -X stream -c fast -h \(folder)/first -U postgres")
        try start("second")
    }

    /// A URL that names both servers.
    var url: String { "postgresql:///postgres?host=\(folder)/first,\(folder)/second&port=5432,5432&user=postgres" }
    /// A URL of the server that is the primary at first.
    var first: String { "postgresql:///postgres?host=\(folder)/first&user=postgres" }
    /// A URL of the standby.
    var second: String { "postgresql:///postgres?host=\(folder)/second&user=postgres" }

    /// Ends the primary as a crash would.
    func crash() throws { try run("pg_ctl -D \(folder)/first/data -m immediate -w stop") }

    /// Makes the standby the primary.
    func promote() throws { try run("pg_ctl -D \(folder)/second/data -w promote") }

    func remove() {
        for server in ["first", "second"] {
            // The crashed one is stopped already.
            do { try run("pg_ctl -D \(folder)/\(server)/data -m immediate -w stop") } catch {}
        }
        do { try Command.run("rm -rf \(folder)") } catch { print("not removed: \(error)") }
    }

    private func start(_ server: String) throws {
        let options = "-k \(folder)/\(server) -c listen_addresses= -c fsync=off -c max_connections=100"
        try run("pg_ctl -D \(folder)/\(server)/data -l \(folder)/\(server)/log -w -o '\(options)' start")
    }

    private func run(_ command: String) throws { try Command.run("cd / && \(runner)\(binaries)/\(command)") }
}

extension Outpost {
    /// A database that has been migrated already, anywhere.
    init(migrated url: String) async throws {
        self.url = url
        connection = try await Connection.open(ConnectionSettings(url: url))
    }

    /// An empty database somewhere else than in the cluster of the tests.
    init(empty url: String) async throws {
        try await self.init(migrated: url)
        try await Migrator(connection: connection).up()
    }
}
