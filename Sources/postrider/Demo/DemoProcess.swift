// Other processes of this very program: workers, and receivers that stay after --keep.

internal import CProcess
internal import FoundationEssentials
internal import Glibc
internal import Synchronization

/// A child process, its log beside it.
final class DemoProcess: Sendable {
    /// For people: `worker-1`.
    let name: String
    /// Its process id.
    let id: Int32
    /// What it writes.
    let log: URL
    private let pidFile: URL
    /// Whether the kernel has been asked for its end, after which its id may be another's.
    private let isReaped = Mutex(false)

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
        // The path is looked up here: in the child the link would mean the child.
        let program = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        let variables = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        id = try Self.spawn([program] + arguments, variables.map { "\($0)=\($1)" }, log: log.path)
        try Data("\(id)\n".utf8).write(to: pidFile)
    }

    /// Starts a process that reads nothing and writes into a log: in a group of its own, so that Ctrl-C reaches the demo
    /// alone, with no file of ours open but that, and with none of our ways with signals (posix_spawn(3)).
    private static func spawn(_ arguments: [String], _ environment: [String], log: String) throws -> Int32 {
        var files = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&files)
        defer { posix_spawn_file_actions_destroy(&files) }
        posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, log, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0o600)
        posix_spawn_file_actions_adddup2(&files, STDOUT_FILENO, STDERR_FILENO)
        posix_spawn_file_actions_addclosefrom_np(&files, STDERR_FILENO + 1)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var signals = sigset_t()
        sigfillset(&signals)
        posix_spawnattr_setsigdefault(&attributes, &signals)
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        posix_spawnattr_setflags(
            &attributes, Int16(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK))
        let (words, variables) = (arguments.map { strdup($0) }, environment.map { strdup($0) })
        defer { for text in words + variables { free(text) } }
        var id = pid_t()
        let fault = posix_spawn(&id, arguments[0], &files, &attributes, words + [nil], variables + [nil])
        guard fault == 0 else {
            throw DemoError("cannot start a process with log \(log): \(String(cString: strerror(fault)))")
        }
        return id
    }

    /// Whether it has not ended yet.
    var isRunning: Bool { isReaped.withLock { !reap(&$0, WNOHANG) } }

    /// Takes its end from the kernel, if it has ended or `options` are those of waiting; true when it is taken.
    private func reap(_ isReaped: inout Bool, _ options: Int32) -> Bool {
        while !isReaped {
            var status: Int32 = 0
            let found = waitpid(id, &status, options)
            if found == 0 { return false }
            isReaped = found == id || errno != EINTR
        }
        return true
    }

    /// Sends a signal, unless it has ended.
    private func signal(_ signal: Int32) {
        isReaped.withLock { if !reap(&$0, WNOHANG) { Glibc.kill(id, signal) } }
    }

    /// Ends it at once, without a chance to clean up.
    func kill() {
        signal(SIGKILL)
        try? FileManager.default.removeItem(at: pidFile)
    }

    /// Asks it to end and waits ten seconds for it; then ends it.
    func stop() async {
        signal(SIGTERM)
        let end = ContinuousClock.now + .seconds(10)
        while isRunning, ContinuousClock.now < end {
            // Cleaning up goes on when the demo was cancelled, and then a sleep returns at once.
            await Task.detached { try? await Task.sleep(for: .milliseconds(5)) }.value
        }
        signal(SIGKILL)
        // Nothing outlives that signal for long.
        _ = isReaped.withLock { reap(&$0, 0) }
        try? FileManager.default.removeItem(at: pidFile)
    }

    /// The last lines of its log.
    var lastWords: String {
        let text = (try? String(contentsOf: log, encoding: .utf8)) ?? ""
        return text.split(separator: "\n").suffix(5).joined(separator: "\n")
    }
}
