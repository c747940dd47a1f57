// PgBouncer in transaction mode before the server of a test.

import Foundation
import Glibc
import TestSupport

/// A running pooler of two server sessions for each database, reached by a socket in a folder of its own. Stopped by
/// ``stop()``.
struct Pooler {
    static let isInstalled: Bool = {
        let paths: [String] = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer", "/usr/local/bin/pgbouncer"]
        return paths.contains { FileManager.default.isExecutableFile(atPath: $0) }
    }()

    private let folder: String
    private let database: String
    private let user: String

    /// Starts a pooler for the database of a URL as tests have them.
    init(_ outpost: Outpost) async throws {
        let server = try SocketAddress(url: outpost.url)
        (database, user) = (server.database, server.user)
        folder = "/tmp/postrider-pooler-\(UUID().uuidString.prefix(8).lowercased())"
        let text = """
            [databases]
            * = host=\(server.folder) port=\(server.port) user=\(user)
            [pgbouncer]
            listen_addr =
            listen_port = 6432
            unix_socket_dir = \(folder)
            auth_type = any
            pool_mode = transaction
            default_pool_size = 2
            server_idle_timeout = 60
            logfile = \(folder)/log
            pidfile = \(folder)/pid
            """
        try Command.run("mkdir -m 0777 \(folder)")
        try text.write(toFile: "\(folder)/pooler.ini", atomically: true, encoding: .utf8)
        // It refuses to run as root.
        let runner = getuid() == 0 ? "runuser -u postgres -- " : ""
        try Command.run("cd / && \(runner)pgbouncer -d \(folder)/pooler.ini")
        let socket = "\(folder)/.s.PGSQL.6432"
        try await eventually("the pooler to listen") { access(socket, F_OK) == 0 }
    }

    /// The way through the pooler, for clients of a name.
    func url(_ name: String) -> String {
        "postgresql:///\(database)?host=\(folder)&port=6432&user=\(user)&application_name=\(name)"
    }

    /// Ends it at once and removes its folder.
    func stop() {
        do { try Command.run("kill -TERM $(cat \(folder)/pid) && rm -rf \(folder)") } catch { print("not stopped: \(error)") }
    }
}

/// The parts of a URL as tests have them: a folder of the socket, a database.
struct SocketAddress {
    let folder: String
    let port: String
    let user: String
    let database: String

    init(url: String) throws {
        guard let parts = URLComponents(string: url) else { throw Timeout(what: "a URL that can be read") }
        func item(_ name: String) -> String? { parts.queryItems?.first { $0.name == name }?.value }
        guard let folder = item("host") else { throw Timeout(what: "a URL with a socket's folder") }
        self.folder = folder
        port = item("port") ?? "5432"
        user = item("user") ?? "postgres"
        database = String(parts.path.dropFirst())
    }
}
