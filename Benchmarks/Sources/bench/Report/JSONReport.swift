// The report as JSON for machines.

import FoundationEssentials
import Glibc

/// Writes reports as JSON.
enum JSONReport {
    /// Writes a report into a file, or to standard output when the path is "-".
    ///
    /// - Throws: ``BenchError`` when the file cannot be written.
    static func write(_ report: Report, to path: String) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        let text = Array(try encoder.encode(report)) + [UInt8(ascii: "\n")]
        let file = path == "-" ? dup(STDOUT_FILENO) : open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard file >= 0 else { throw BenchError("\(path) cannot be written: \(String(cString: strerror(errno)))") }
        defer { close(file) }
        var done = 0
        while done < text.count {
            let count = text[done...].withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
            guard count > 0 else { throw BenchError("\(path) cannot be written.") }
            done += count
        }
    }
}
