// A program that the driver started: its lines of output, its end. Tools wrap it.

import Glibc
import Support

/// A running child. It cannot outlive the driver: see `bench_spawn`.
///
/// Used by one thread. Whoever starts one calls ``end(within:)`` on every way out.
final class Child {
    /// The process; no longer valid after its end was seen.
    let pid: pid_t
    private let name: String
    private let output: Int32
    private let errorPath: String
    private var unread: [UInt8] = []
    private var status: Int32?

    /// Starts a program.
    ///
    /// - Parameters:
    ///   - program: its path.
    ///   - arguments: what follows its name.
    ///   - environment: all of its environment.
    ///   - folder: where its standard error is kept, to be shown when it fails.
    /// - Throws: ``BenchError`` when it cannot be started.
    init(_ program: String, _ arguments: [String], environment: [String: String], folder: String) throws {
        name = program.split(separator: "/").last.map(String.init) ?? program
        errorPath = "\(folder)/\(name).\(Clock.microsecondsSince1970).log"
        var ends: [Int32] = [-1, -1]
        let error = open(errorPath, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard bench_pipe(&ends) == 0, error >= 0 else {
            throw BenchError("\(program) cannot be started: \(String(cString: strerror(errno)))")
        }
        defer {
            close(ends[1])
            close(error)
        }
        output = ends[0]
        pid = withTextVector([program] + arguments) { arguments in
            withTextVector(environment.map { "\($0.key)=\($0.value)" }) { environment in
                bench_spawn(program, arguments, environment, ends[1], error)
            }
        }
        guard pid > 0 else { throw BenchError("\(program) cannot be started: \(String(cString: strerror(errno)))") }
    }

    /// The next line of its standard output, without the line feed.
    ///
    /// - Parameter seconds: how long to wait for it.
    /// - Throws: ``BenchError`` when none came in time, the child ended, or the driver was interrupted.
    func line(within seconds: Double) throws -> String {
        let deadline = Clock.seconds + seconds
        while true {
            if let line = try lineNow() { return line }
            if Clock.seconds > deadline { throw failure("said nothing for \(Int(seconds)) s") }
        }
    }

    /// The next line if it comes within a twentieth of a second.
    ///
    /// - Throws: ``BenchError`` when the child ended without one or the driver was interrupted.
    func lineNow() throws -> String? {
        if let line = takeLine() { return line }
        try Interruption.check()
        var poll = pollfd(fd: output, events: Int16(POLLIN), revents: 0)
        guard Glibc.poll(&poll, 1, 50) > 0 else { return nil }
        var buffer = [UInt8](repeating: 0, count: 65536)
        let count = read(output, &buffer, buffer.count)
        if count == 0 { throw failure("ended") }
        if count > 0 { unread += buffer[..<count] }
        return takeLine()
    }

    private func takeLine() -> String? {
        guard let end = unread.firstIndex(of: UInt8(ascii: "\n")) else { return nil }
        let line = String(decoding: unread[..<end], as: UTF8.self)
        unread.removeSubrange(...end)
        return line
    }

    /// Sends a signal, unless its end was already seen.
    func signal(_ number: Int32) {
        if status == nil { kill(pid, number) }
    }

    /// Whether it has ended.
    var hasEnded: Bool {
        if status != nil { return true }
        var status: Int32 = 0
        if waitpid(pid, &status, WNOHANG) == pid { self.status = status }
        return self.status != nil
    }

    /// Waits for its end and gives the rest of its lines.
    ///
    /// - Throws: ``BenchError`` when it takes longer, ends with another status than 0, or the driver is interrupted.
    func finish(within seconds: Double) throws -> [String] {
        let deadline = Clock.seconds + seconds
        var lines: [String] = []
        while true {
            while let line = try? lineNow() { lines.append(line) }
            try Interruption.check()
            if hasEnded { break }
            if Clock.seconds > deadline { throw failure("did not end within \(Int(seconds)) s") }
            usleep(1000)
        }
        guard status == 0 else { throw failure("failed") }
        return lines
    }

    /// Asks it to end, insists after the time given, and waits until it is gone. Does nothing when it already is.
    func end(within seconds: Double = 10) {
        let deadline = Clock.seconds + seconds
        signal(SIGTERM)
        while !hasEnded {
            // Its pipe is emptied, for it may wait for room there before it can end.
            _ = try? lineNow()
            if Clock.seconds > deadline { signal(SIGKILL) }
            usleep(2000)
        }
    }

    deinit {
        end(within: 1)
        close(output)
    }

    private func failure(_ what: String) -> BenchError {
        let said = String(decoding: (try? readFile(errorPath))?.suffix(2000) ?? [], as: UTF8.self)
        return BenchError("\(name) \(what)." + (said.isEmpty ? "" : " It said:\n\(said)"))
    }
}

/// Calls with a null-terminated array of C strings, as `execve` takes it.
private func withTextVector<Result>(
    _ texts: [String], _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> Result
) -> Result {
    var copies = texts.map { strdup($0) }
    copies.append(nil)
    defer { copies.forEach { free($0) } }
    return copies.withUnsafeBufferPointer { buffer in
        // A buffer that holds at least the final null has an address.
        guard let address = buffer.baseAddress else { preconditionFailure("empty vector") }
        return body(address)
    }
}
