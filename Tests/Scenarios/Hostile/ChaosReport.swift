// What the long forms of scenarios found out, for bin/chaos: one line of JSON for each bar.

import Foundation

/// Writes to the file that POSTRIDER_CHAOS_REPORT names; without it nothing is written.
enum ChaosReport {
    /// Whether the long forms are asked for: POSTRIDER_CHAOS=long.
    static var isLong: Bool { ProcessInfo.processInfo.environment["POSTRIDER_CHAOS"] == "long" }

    private struct Line: Encodable {
        let bar: String
        let goal: String
        let result: String
        let pass: Bool
        let lost: Int
        let unexpected: Int
        let duplicated: Int
        let recovered: Int
        let injections: Int
        let seconds: Double
    }

    /// Adds a line.
    static func add(
        bar: String, goal: String, result: String, pass: Bool, lost: Int = 0, unexpected: Int = 0, duplicated: Int = 0,
        recovered: Int = 0, injections: Int, since start: ContinuousClock.Instant
    ) throws {
        guard let path = ProcessInfo.processInfo.environment["POSTRIDER_CHAOS_REPORT"] else { return }
        let took = start.duration(to: .now).components
        let seconds = Double(took.seconds) + (Double(took.attoseconds) / 1e17).rounded() / 10
        let line = Line(
            bar: bar, goal: goal, result: result, pass: pass, lost: lost, unexpected: unexpected,
            duplicated: duplicated, recovered: recovered, injections: injections, seconds: seconds)
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        var data = try encoder.encode(line)
        data.append(10)
        if !FileManager.default.fileExists(atPath: path) {
            _ = FileManager.default.createFile(atPath: path, contents: nil)
        }
        let file = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
        defer { try? file.close() }
        try file.seekToEnd()
        try file.write(contentsOf: data)
    }
}
