// What is here: another program in a process of its own, over posix_spawn. Called by: Certificates, TLS receivers.
// Foundation's Process crashed now and then in its own run() when several tests started programs at once.

internal import Glibc

/// A program could not be started, or did not do what it is for.
public struct ProgramError: Error, CustomStringConvertible {
    /// What was tried.
    public let description: String

    /// Makes an error of what was tried.
    public init(_ description: String) { self.description = description }
}

/// A running program; ended and reaped with the value.
public final class Program {
    private var process = pid_t()
    private let output: Int32
    private let keptOpen: Int32
    private var status: Int32?

    /// Starts a program found in the search path, with its errors thrown away and `folder` as its working directory.
    ///
    /// - Throws: ``ProgramError``.
    public init(_ command: [String], in folder: String = "/") throws {
        var outputs: [Int32] = [0, 0]
        var inputs: [Int32] = [0, 0]
        guard pipe(&outputs) == 0, pipe(&inputs) == 0 else { throw ProgramError("no pipe: \(errno)") }
        for end in [outputs[0], inputs[1]] { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        posix_spawn_file_actions_adddup2(&actions, inputs[0], 0)
        posix_spawn_file_actions_adddup2(&actions, outputs[1], 1)
        posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0)
        // A socket that another process keeps open is not closed for its peer.
        guard let closeFrom = Self.closeFrom, closeFrom(&actions, 3) == 0 else {
            throw ProgramError("needs glibc 2.34")
        }
        let whole = ["sh", "-c", #"cd "$0" && exec "$@""#, folder] + command
        var arguments = whole.map { strdup($0) } + [nil]
        let code = posix_spawn(&process, "/bin/sh", &actions, nil, &arguments, environ)
        posix_spawn_file_actions_destroy(&actions)
        arguments.forEach { free($0) }
        close(outputs[1])
        close(inputs[0])
        output = outputs[0]
        // The program may take its end for ours.
        keptOpen = inputs[1]
        guard code == 0 else { throw ProgramError("cannot start \(command[0]): \(code)") }
    }

    private typealias CloseFrom = @convention(c) (UnsafeMutablePointer<posix_spawn_file_actions_t>, Int32) -> Int32

    /// `posix_spawn_file_actions_addclosefrom_np(3)`, which Swift's Glibc module does not carry.
    private static let closeFrom = dlsym(nil, "posix_spawn_file_actions_addclosefrom_np")
        .map { unsafeBitCast($0, to: CloseFrom.self) }

    /// The next line of its output, without its end; what there is when the output ends, or when nothing more comes for a
    /// minute.
    public func readLine() -> String {
        var line: [UInt8] = []
        var byte: UInt8 = 0
        var entry = pollfd(fd: output, events: Int16(POLLIN), revents: 0)
        let limit = Int32(60_000 * slowness)
        while poll(&entry, 1, limit) == 1, read(output, &byte, 1) == 1, byte != 10 { line.append(byte) }
        return String(decoding: line, as: UTF8.self)
    }

    /// Waits for its end; 0 when it ended well.
    public func wait() -> Int32 {
        if let status { return status }
        var code: Int32 = 0
        while waitpid(process, &code, 0) < 0, errno == EINTR {}
        status = code
        return code
    }

    /// Whether it has not ended yet.
    public var isRunning: Bool {
        guard status == nil else { return false }
        var code: Int32 = 0
        guard waitpid(process, &code, WNOHANG) == process else { return true }
        status = code
        return false
    }

    /// Ends it.
    public func stop() {
        if isRunning {
            kill(process, SIGKILL)
            _ = wait()
        }
    }

    deinit {
        stop()
        close(output)
        close(keptOpen)
    }
}
