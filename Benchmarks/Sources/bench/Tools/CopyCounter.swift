// The counters of large allocations and copies in another process: see Sources/Copies.

import CopyCounters
import Glibc

/// A file of counters. The process that is counted is started with ``preload``.
struct CopyCounter {
    private let path: String
    private let library: String

    /// Makes the file.
    ///
    /// - Parameter least: bytes from which on an allocation or a copy counts.
    /// - Throws: ``BenchError`` when it cannot be made.
    init(_ toolbox: Toolbox, least: Int) throws {
        path = "\(toolbox.folder)/copies.\(Clock.microsecondsSince1970)"
        library = toolbox.library("bench-copies")
        let counters = bench_copies(
            least: UInt64(least), allocations: 0, allocated_bytes: 0, copies: 0, copied_bytes: 0, received_bytes: 0,
            sent_bytes: 0)
        try writeFile(path, withUnsafeBytes(of: counters) { Array($0) })
    }

    /// What the process is to be started with.
    var preload: (path: String, variables: [String: String]) { (library, ["BENCH_COPIES_FILE": path]) }

    /// The counters as they are now.
    ///
    /// - Throws: ``BenchError`` when they cannot be read.
    func read() throws -> bench_copies {
        guard let counters = try readRecords(path, as: bench_copies.self).first else {
            throw BenchError("The counters of copies are gone.")
        }
        return counters
    }
}
