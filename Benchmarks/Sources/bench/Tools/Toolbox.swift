// Where the programs are and what they get to see of the environment. Every tool is started through it.

import Glibc

/// The programs of the benchmark, the product under test, and a folder for their files.
struct Toolbox {
    /// Path of the `postrider` binary.
    let postrider: String

    /// Folder for records and for the standard error of children; removed at the end.
    let folder: String

    private let programs: String

    /// - Parameter postrider: path of the product's binary.
    /// - Throws: ``BenchError`` when the folder cannot be made.
    init(postrider: String) throws {
        self.postrider = postrider
        var buffer = [CChar](repeating: 0, count: 4096)
        let count = readlink("/proc/self/exe", &buffer, buffer.count - 1)
        let own = String(decoding: buffer.prefix(max(0, count)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
        programs = own.split(separator: "/").dropLast().reduce("") { $0 + "/" + $1 }
        var template = Array("\(Toolbox.variable("TMPDIR") ?? "/tmp")/postrider-bench.XXXXXX".utf8CString)
        guard let made = mkdtemp(&template) else { throw BenchError("There is no room for temporary files.") }
        folder = String(cString: made)
    }

    /// Removes the folder and what is in it.
    func remove() {
        guard let entries = opendir(folder) else { return }
        while let entry = readdir(entries) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            unlink("\(folder)/\(name)")
        }
        closedir(entries)
        rmdir(folder)
    }

    /// Starts one of the programs that lie beside the driver.
    ///
    /// - Throws: ``BenchError`` when it cannot be started.
    func start(
        _ name: String, _ arguments: [String], databaseURL: String? = nil, preloading library: Preload? = nil
    ) throws -> Child {
        let environment = environment(databaseURL, preloading: library)
        return try Child("\(programs)/\(name)", arguments, environment: environment, folder: folder)
    }

    /// Starts a program of the system, which PATH finds.
    ///
    /// - Throws: ``BenchError`` when it cannot be started.
    func startProgram(_ name: String, _ arguments: [String]) throws -> Child {
        try Child("/usr/bin/env", [name] + arguments, environment: environment(nil, preloading: nil), folder: folder)
    }

    /// A library that is loaded before all others, and variables for it.
    typealias Preload = (path: String, variables: [String: String])

    /// Starts the product, with more settings than the caller's environment has if asked.
    ///
    /// - Parameters:
    ///   - arguments: its arguments.
    ///   - databaseURL: its database.
    ///   - wrapper: another program to start, with the arguments that come before these; nil for the product itself.
    ///   - library: a library that is loaded before all others; nil for none.
    /// - Throws: ``BenchError`` when it cannot be started.
    func startPostrider(
        _ arguments: [String], databaseURL: String, adding settings: [String: String] = [:],
        under wrapper: (program: String, arguments: [String])? = nil, preloading library: Preload? = nil
    ) throws -> Child {
        var environment = environment(databaseURL, preloading: library).merging(settings) { $1 }
        environment["POSTRIDER_ALLOW_NETWORKS"] = "127.0.0.0/8,::1/128"
        environment["POSTRIDER_ALLOW_HTTP"] = "true"
        guard let wrapper else { return try Child(postrider, arguments, environment: environment, folder: folder) }
        return try Child(
            wrapper.program, wrapper.arguments + arguments, environment: environment, folder: folder)
    }

    /// The path of a library that lies beside the driver.
    func library(_ name: String) -> String { "\(programs)/lib\(name).so" }

    /// The path of a program that PATH leads to; nil when it does not.
    static func find(_ name: String) -> String? {
        (variable("PATH") ?? "").split(separator: ":").map { "\($0)/\(name)" }.first { access($0, X_OK) == 0 }
    }

    /// Runs a command of the product to its end, within a minute.
    ///
    /// - Throws: ``BenchError`` with what it said when it fails.
    func runPostrider(_ arguments: [String], databaseURL: String) throws {
        let child = try startPostrider(arguments, databaseURL: databaseURL)
        defer { child.end() }
        _ = try child.finish(within: 60)
    }

    /// A variable of the environment, if set and not empty.
    static func variable(_ name: String) -> String? {
        getenv(name).map { String(cString: $0) }.flatMap { $0.isEmpty ? nil : $0 }
    }

    // The caller's environment, so that settings of the product can be tried (POSTRIDER_…), without what would lead
    // libpq elsewhere or curl through a proxy.
    private func environment(_ databaseURL: String?, preloading library: Preload?) -> [String: String] {
        var result: [String: String] = [:]
        var entry = environ
        while let text = entry.pointee {
            let parts = String(cString: text).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            entry += 1
            let name = String(parts[0])
            guard parts.count == 2, !name.hasPrefix("PG"), !name.lowercased().hasSuffix("_proxy") else { continue }
            result[name] = String(parts[1])
        }
        result["DATABASE_URL"] = databaseURL
        if let library {
            result["LD_PRELOAD"] = library.path
            result.merge(library.variables) { $1 }
        }
        return result
    }
}
