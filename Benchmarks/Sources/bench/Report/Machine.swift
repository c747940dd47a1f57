// Where it was measured: no figure means anything without it.

import FoundationEssentials
import Glibc

/// The machine, the server and the program under test.
struct Machine: Encodable {
    /// When, as ISO 8601 in UTC.
    let date: String
    /// Version of the source that was measured, as given by `--commit`.
    let commit: String
    /// Model of the processor.
    let processor: String
    /// Cores that are online; everything shares them.
    let cores: Int
    /// Memory in bytes.
    let memory: Int
    /// Name and release of the kernel.
    let kernel: String
    /// Postgres: version, and the settings that decide what a commit costs.
    let postgres: [String: String]
    /// Runs of each measurement; tables show their median.
    let runs: Int

    /// Looks at this machine and at the server.
    ///
    /// - Throws: ``BenchError`` when the server does not answer.
    init(server: Server, commit: String, runs: Int) throws {
        self.commit = commit
        self.runs = runs
        date = Date(timeIntervalSince1970: Double(time(nil))).formatted(.iso8601)
        processor = Machine.value("model name", in: "/proc/cpuinfo")
        cores = sysconf(Int32(_SC_NPROCESSORS_ONLN))
        memory = sysconf(Int32(_SC_PHYS_PAGES)) * sysconf(Int32(_SC_PAGESIZE))
        let release = readText("/proc/sys/kernel/osrelease") ?? "unknown\n"
        kernel = "Linux " + release.dropLast()
        postgres = try server.admin.rows(Statements.settings).reduce(into: [:]) { settings, row in
            if let name = row[0], let value = row[1] { settings[name] = value }
        }
    }

    /// The lines at the head of a table.
    var lines: [String] {
        let settings = postgres.filter { $0.key != "server_version" }.sorted { $0.key < $1.key }
        return [
            "Postrider benchmark, \(date), commit \(commit)",
            "\(processor), \(cores) cores, \(memory >> 30) GiB, \(kernel)",
            "Postgres \(postgres["server_version"] ?? "?"): "
                + settings.map { "\($0.key) \($0.value)" }.joined(separator: ", "),
            "Postgres, workers, producers and receiver share the cores. Medians of \(runs).",
        ]
    }

    private static func value(_ name: String, in path: String) -> String {
        let line = (readText(path) ?? "").split(separator: "\n").first { $0.hasPrefix(name) }
        return line?.split(separator: ":").last.map { String($0.drop { $0 == " " }) } ?? "unknown"
    }
}
