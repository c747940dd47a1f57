// A real Postgres for tests. Used by every suite that needs a database.

internal import Foundation
internal import Glibc
internal import Postgres
internal import Synchronization

/// The Postgres server of a test run: the one of `POSTRIDER_TEST_DATABASE_URL`, which `bin/test` sets, or a private
/// cluster that is started at first use and removed at exit.
///
/// On a server that outlives the run the databases that are left are dropped at exit. `POSTRIDER_TEST_CLUSTER=private`
/// says that the server goes with the run.
public enum TestCluster {
    /// What goes wrong before a test can begin.
    public struct Failure: Error, CustomStringConvertible {
        /// What was tried and what came of it.
        public let description: String
    }

    private static let started = Mutex<Result<PrivateCluster, Failure>?>(nil)
    /// The databases that were made and not yet dropped, on a server that outlives the run.
    private static let left = Mutex<Set<String>>([])

    /// A superuser's URL of the server's maintenance database.
    ///
    /// - Throws: ``Failure`` when there is no server and none can be started.
    public static func url() throws -> String {
        if let url = ProcessInfo.processInfo.environment["POSTRIDER_TEST_DATABASE_URL"] { return url }
        let result = started.withLock { started in
            if let started { return started }
            let result = Result { () throws(Failure) in try PrivateCluster() }
            started = result
            atexit { TestCluster.stop() }
            return result
        }
        return try result.get().url
    }

    /// Creates an empty database, or a copy of another one, and gives a superuser's URL of it.
    ///
    /// - Parameter template: the URL of the database to copy, to which nobody may be connected; nil for an empty one.
    /// - Throws: ``Failure``, `PostgresError`.
    public static func freshDatabase(from template: String? = nil) async throws -> String {
        let name = "test_" + UUID().uuidString.lowercased().replacingOccurrences(of: "-", with: "")
        let source = template.map { " TEMPLATE \(database(of: $0))" } ?? ""
        remember(name)
        try await administer("CREATE DATABASE \(name)\(source)")
        return replacingDatabase(of: try url(), with: name)
    }

    /// Drops a database that ``freshDatabase(from:)`` made, with the connections to it.
    ///
    /// - Throws: ``Failure``, `PostgresError`.
    public static func drop(_ url: String) async throws {
        let name = database(of: url)
        try await administer("DROP DATABASE IF EXISTS \(name) WITH (FORCE)")
        left.withLock { _ = $0.remove(name) }
    }

    private static func remember(_ name: String) {
        let environment = ProcessInfo.processInfo.environment
        guard environment["POSTRIDER_TEST_DATABASE_URL"] != nil, environment["POSTRIDER_TEST_CLUSTER"] != "private"
        else { return }
        let isFirst = left.withLock { left in
            defer { left.insert(name) }
            return left.isEmpty
        }
        if isFirst { atexit { TestCluster.dropLeft() } }
    }

    /// Drops what is left, from a process that is about to end.
    private static func dropLeft() {
        let names = left.withLock { left in
            defer { left = [] }
            return left
        }
        guard !names.isEmpty else { return }
        let done = DispatchSemaphore(value: 0)
        Task.detached {
            for name in names.sorted() {
                do {
                    try await administer("DROP DATABASE IF EXISTS \(name) WITH (FORCE)")
                } catch {
                    FileHandle.standardError.write(Data("the database \(name) stays: \(error)\n".utf8))
                }
            }
            done.signal()
        }
        if done.wait(timeout: .now() + 120) == .timedOut {
            FileHandle.standardError.write(Data("databases test_… stay on the server: dropping them took too long\n".utf8))
        }
    }

    private static func administer(_ sql: String) async throws {
        let connection = try await Connection.open(ConnectionSettings(url: try url()))
        _ = try await connection.script(sql, name: "administer test databases")
        await connection.close()
    }

    /// The database's name in a URL that this type made.
    private static func database(of url: String) -> String {
        let path = url.split(separator: "?", maxSplits: 1)[0]
        return String(path[path.index(after: path.lastIndex(of: "/") ?? path.startIndex)...])
    }

    /// The same URL with another database name in its path.
    static func replacingDatabase(of url: String, with name: String) -> String {
        let parts = url.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        let scheme = parts[0].range(of: "://")?.upperBound ?? parts[0].startIndex
        let slash = parts[0][scheme...].firstIndex(of: "/") ?? parts[0].endIndex
        return parts[0][..<slash] + "/\(name)" + (parts.count > 1 ? "?\(parts[1])" : "")
    }

    private static func stop() {
        let cluster = started.withLock { started in
            defer { started = nil }
            return started
        }
        if case .success(let cluster) = cluster { cluster.remove() }
    }
}

/// A cluster in a temporary folder. Postgres refuses to run as root, so root starts it as the user `postgres`.
struct PrivateCluster: Sendable {
    let url: String
    private let folder: String
    private let binaries: String

    init() throws(TestCluster.Failure) {
        binaries = try Self.findBinaries()
        folder = NSTemporaryDirectory() + "postrider-test-\(getpid())"
        url = "postgresql:///postgres?host=\(folder)&user=postgres"
        try Self.initialize(folder)
        // Only a socket in the folder: a port could be taken by somebody else.
        let options = "-k \(folder) -c listen_addresses= -c fsync=off -c max_connections=200"
        try Self.runAsServer("\(binaries)/pg_ctl -D \(folder)/data -l \(folder)/log -w -o '\(options)' start")
    }

    func remove() {
        try? Self.runAsServer("\(binaries)/pg_ctl -D \(folder)/data -m immediate -w stop")
        try? FileManager.default.removeItem(atPath: folder)
    }

    /// Makes an empty cluster in `data` of a new folder that belongs to the server's user.
    static func initialize(_ folder: String) throws(TestCluster.Failure) {
        try run("mkdir -p \(folder)" + (getuid() == 0 ? " && chown postgres \(folder)" : ""))
        let binaries = try findBinaries()
        try runAsServer("\(binaries)/initdb -D \(folder)/data -U postgres -A trust -E UTF8 --locale=C.UTF-8 --no-sync")
    }

    /// The folder of the newest server programs.
    static func findBinaries() throws(TestCluster.Failure) -> String {
        let versions = (try? FileManager.default.contentsOfDirectory(atPath: "/usr/lib/postgresql")) ?? []
        guard let newest = versions.max(by: { (Int($0) ?? 0) < (Int($1) ?? 0) }) else {
            throw TestCluster.Failure(description: "no Postgres server: apt-get install postgresql")
        }
        return "/usr/lib/postgresql/\(newest)/bin"
    }

    private static func runAsServer(_ command: String) throws(TestCluster.Failure) {
        try run(getuid() == 0 ? "cd / && runuser -u postgres -- \(command)" : command)
    }

    /// Runs a shell command and waits for its end.
    ///
    /// Not Foundation's `Process`: that takes a child for ended when its end of a socket closes, and a server that is
    /// started here inherits the socket and keeps it open.
    private static func run(_ command: String) throws(TestCluster.Failure) {
        let words = ["/bin/sh", "-c", "\(command) >/dev/null 2>&1 </dev/null"]
        var arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
        defer { for argument in arguments { free(argument) } }
        var child: pid_t = 0
        var status: Int32 = 0
        guard posix_spawn(&child, "/bin/sh", nil, nil, &arguments, environ) == 0 else {
            throw TestCluster.Failure(description: "cannot run \(command)")
        }
        while waitpid(child, &status, 0) < 0, errno == EINTR {}
        guard status == 0 else { throw TestCluster.Failure(description: "wait status \(status) of \(command)") }
    }
}
