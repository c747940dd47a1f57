// The report as JSON for machines.

import FoundationEssentials

/// Writes reports as JSON.
enum JSONReport {
    /// Writes a report into a file, or to standard output when the path is "-".
    ///
    /// - Throws: ``BenchError`` when the file cannot be written.
    static func write(_ report: Report, to path: String) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        let text = Array(try encoder.encode(report)) + [UInt8(ascii: "\n")]
        try writeFile(path, text)
    }
}
