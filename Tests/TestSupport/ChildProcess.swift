// Programs that tests start. Over posix_spawn: Foundation's Process takes a child for ended when its end of a socket
// closes, and crashed beside tests with many sockets.

internal import Foundation
internal import Glibc
internal import Synchronization

/// A program in a process of its own, killed when the value goes away.
public final class ChildProcess: Sendable {
    /// The program could not be started.
    public struct Failure: Error, CustomStringConvertible {
        /// What was tried and what came of it.
        public let description: String
    }

    /// Its process id.
    public let id: Int32
    /// The wait status once it has been reaped. Signals are sent under the same lock: never to an id used again.
    private let status = Mutex<Int32?>(nil)

    /// Starts a program with nothing open but its three standard files.
    ///
    /// - Parameters:
    ///   - command: the program, found in PATH, and its arguments.
    ///   - environment: all of its environment; nil for this process's own.
    ///   - input: a descriptor for its standard input; nil for `/dev/null`.
    ///   - log: a file to which its output and errors are appended; nil for `/dev/null`.
    /// - Throws: ``Failure``.
    public init(
        _ command: [String], environment: [String: String]? = nil, input: Int32? = nil, log: String? = nil
    ) throws(Failure) {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        if let input {
            posix_spawn_file_actions_adddup2(&actions, input, 0)
        } else {
            posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        }
        posix_spawn_file_actions_addopen(&actions, 1, log ?? "/dev/null", O_WRONLY | O_CREAT | O_APPEND, 0o666)
        posix_spawn_file_actions_adddup2(&actions, 1, 2)
        // A socket that a child keeps open is not closed for its peer.
        guard let closeFrom = Self.closeFrom, closeFrom(&actions, 3) == 0 else {
            throw Failure(description: "posix_spawn cannot close files: needs glibc 2.34")
        }
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        // Whatever the test runner blocks, the program must hear SIGTERM.
        var nothing = sigset_t()
        sigemptyset(&nothing)
        posix_spawnattr_setsigmask(&attributes, &nothing)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
        var arguments = command.map { strdup($0) } + [nil]
        var variables = (environment ?? ProcessInfo.processInfo.environment).map { strdup("\($0)=\($1)") } + [nil]
        defer { for text in arguments + variables { free(text) } }
        var child: pid_t = 0
        let code = posix_spawnp(&child, command[0], &actions, &attributes, &arguments, &variables)
        guard code == 0 else { throw Failure(description: "cannot start \(command[0]): \(String(cString: strerror(code)))") }
        id = child
    }

    deinit {
        guard end == nil else { return }
        kill(id, SIGKILL)
        var code: Int32 = 0
        while waitpid(id, &code, 0) < 0, errno == EINTR {}
    }

    private typealias CloseFrom = @convention(c) (UnsafeMutablePointer<posix_spawn_file_actions_t>, Int32) -> Int32

    /// `posix_spawn_file_actions_addclosefrom_np(3)`, which Swift's Glibc module does not carry.
    private static let closeFrom = dlsym(nil, "posix_spawn_file_actions_addclosefrom_np")
        .map { unsafeBitCast($0, to: CloseFrom.self) }

    /// How a process ended.
    public enum End: Sendable, Equatable {
        /// It returned this status.
        case exited(Int32)
        /// This signal ended it.
        case killed(Int32)
    }

    /// How it ended; nil while it runs or is stopped.
    public var end: End? {
        status.withLock { status -> End? in
            if status == nil {
                var code: Int32 = 0
                guard waitpid(id, &code, WNOHANG) == id else { return nil }
                status = code
            }
            return status.map { $0 & 0x7f == 0 ? .exited($0 >> 8 & 0xff) : .killed($0 & 0x7f) }
        }
    }

    /// Sends a signal; nothing happens when it has ended.
    public func signal(_ signal: Int32) {
        _ = end
        status.withLock { if $0 == nil { kill(id, signal) } }
    }

    /// Waits for its end; nil when it does not come in time.
    public func waitForEnd(within limit: Duration) async throws -> End? {
        let deadline = ContinuousClock.now + limit
        while ContinuousClock.now < deadline {
            if let end { return end }
            try await Task.sleep(for: .milliseconds(2))
        }
        return end
    }

    /// Runs a program to its end.
    ///
    /// - Returns: its status; nil when a signal ended it or 20 s were not enough.
    /// - Throws: ``Failure``, `CancellationError`.
    public static func run(_ command: [String], log: String? = nil) async throws -> Int32? {
        let child = try ChildProcess(command, log: log)
        guard case .exited(let status) = try await child.waitForEnd(within: .seconds(20)) else { return nil }
        return status
    }
}
