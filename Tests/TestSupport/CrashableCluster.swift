// A Postgres of a test's own that can be crashed and started again, which no server shared by tests may be.

internal import Foundation
internal import Glibc
internal import Synchronization

/// A private cluster whose postmaster is a child of this process.
///
/// fsync is off: an immediate stop kills processes, not the machine, so what was written is still in the page cache.
public final class CrashableCluster: Sendable {
    /// A superuser's URL of its maintenance database.
    public let url: String
    /// The server's log file.
    public let log: String
    private let folder: String
    private let postmaster = Mutex<ChildProcess?>(nil)

    /// Makes a cluster; ``start()`` starts it.
    ///
    /// - Throws: ``TestCluster/Failure`` when there is no server program or `initdb` fails.
    public init() throws(TestCluster.Failure) {
        folder = NSTemporaryDirectory() + "postrider-crash-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
        url = "postgresql:///postgres?host=\(folder)&user=postgres"
        log = folder + "/log"
        try PrivateCluster.initialize(folder)
    }

    deinit {
        postmaster.withLock { $0 = nil }
        try? FileManager.default.removeItem(atPath: folder)
    }

    /// Starts the server; it accepts connections some time after this returns.
    ///
    /// - Throws: `Error` when the program cannot be started.
    public func start() throws {
        let server = try PrivateCluster.findBinaries() + "/postgres"
        var command = [server, "-D", folder + "/data", "-k", folder, "-c", "listen_addresses=", "-c", "fsync=off"]
        command += ["-c", "max_connections=100"]
        // Postgres refuses to run as root. setpriv becomes the server, so that the child is the postmaster itself.
        if getuid() == 0 { command = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", "--"] + command }
        let child = try ChildProcess(command, environment: ["LC_ALL": "C", "PATH": "/usr/bin:/bin"], log: log)
        postmaster.withLock { $0 = child }
    }

    /// Stops the server at once, as `pg_ctl stop -m immediate` does: no checkpoint, sessions cut off.
    ///
    /// - Returns: whether it was running and the signal ended it.
    /// - Throws: `CancellationError`.
    public func crash() async throws -> Bool {
        guard let child = postmaster.withLock({ $0 }), child.end == nil else { return false }
        child.signal(SIGQUIT)
        let end = try await child.waitForEnd(within: .seconds(10))
        postmaster.withLock { $0 = nil }
        return end != nil
    }
}
