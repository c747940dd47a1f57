// A worker under valgrind, whose instructions are counted. The scenarios that count use it.

import Glibc

/// A running `postrider worker` under `valgrind --tool=callgrind`, some fifty times slower than by itself.
final class CallgrindWorker {
    private let child: Child
    private let toolbox: Toolbox
    private let remote: String
    private let profiles: String?
    private var parts = 0

    /// Whether the programs are there.
    static var isPossible: Bool { ["valgrind", "vgdb", "strip"].allSatisfy { Toolbox.find($0) != nil } }

    /// Starts one.
    ///
    /// - Parameter profiles: a folder that gets the files of callgrind; nil for none.
    /// - Throws: ``BenchError`` when it cannot be started.
    init(_ toolbox: Toolbox, databaseURL: String, profiles: String?) throws {
        guard let valgrind = Toolbox.find("valgrind"), let remote = Toolbox.find("vgdb"),
            let strip = Toolbox.find("strip")
        else {
            throw BenchError("valgrind is missing; on Debian it is the package valgrind.")
        }
        self.toolbox = toolbox
        self.remote = remote
        self.profiles = profiles
        // Valgrind 3.19 gives up over the line tables that Swift 6 writes (DWARF 5). Names of functions are enough.
        let program = "\(toolbox.folder)/postrider"
        let stripping = try Child(
            strip, ["--strip-debug", "-o", program, toolbox.postrider], environment: [:], folder: toolbox.folder)
        defer { stripping.end() }
        _ = try stripping.finish(within: 60)
        // Valgrind runs one thread at a time. Without fair scheduling the one that has work keeps the others out, and a
        // worker that cannot beat its heart stops sending.
        let options = [
            "--tool=callgrind", "--fair-sched=try", "--quiet", "--callgrind-out-file=\(toolbox.folder)/callgrind",
            "--vgdb-prefix=\(toolbox.folder)/vgdb",
        ]
        child = try toolbox.startPostrider(
            ["worker"], databaseURL: databaseURL, under: (valgrind, options + [program]),
            preloading: (toolbox.library("bench-valgrind"), [:]))
    }

    /// Fails when it has ended.
    ///
    /// - Throws: ``BenchError`` with what it said.
    func check() throws { if child.hasEnded { _ = try child.line(within: 0) } }

    /// The instructions since the last call, or since the start.
    ///
    /// - Throws: ``BenchError`` when valgrind does not answer.
    func instructions() throws -> CallgrindFile {
        let arguments = ["--pid=\(child.pid)", "--vgdb-prefix=\(toolbox.folder)/vgdb", "dump"]
        let order = try Child(remote, arguments, environment: [:], folder: toolbox.folder)
        defer { order.end() }
        _ = try order.finish(within: 60)
        parts += 1
        let path = "\(toolbox.folder)/callgrind.\(parts)"
        defer { unlink(path) }
        let bytes = try readFile(path)
        if let folder = profiles { try writeFile("\(folder)/callgrind.\(child.pid).\(parts)", bytes) }
        return try CallgrindFile(String(decoding: bytes, as: UTF8.self))
    }

    /// Ends it.
    func end() { child.end(within: 60) }
}
