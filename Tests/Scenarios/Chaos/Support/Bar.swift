// One bar of docs/reliability.md: what was to be reached, what was measured, and whether it was.

import Foundation
import Testing

/// Gathers what a scenario finds, tells the test, and in the long form writes the line for the report.
struct Bar {
    private struct Requirement {
        let text: String
        let isMet: Bool
    }

    /// A line of the report.
    private struct Line: Encodable {
        let bar, goal, result: String
        let pass: Bool
        let lost, unexpected, duplicated, recovered, injections: Int
        let seconds: Double
    }

    let name: String
    let goal: String
    private let startedAt = MonotonicClock.now()
    private var requirements: [Requirement] = []

    init(_ name: String, goal: String) {
        self.name = name
        self.goal = goal
    }

    /// What must hold in both forms: that nothing is lost, that faults were injected.
    mutating func require(_ isMet: Bool, _ text: String) { requirements.append(Requirement(text: text, isMet: isMet)) }

    /// What must hold in the long form alone: times, which mean nothing beside other tests on two cores.
    mutating func requireInLongForm(_ isMet: Bool, _ text: String) {
        if Form.current == .long { require(isMet, text) }
    }

    /// What every scenario under load must find: nothing lost, nothing unexpected, every delivery in one state, and
    /// producers that met every fate, or the ledger would prove less than it says.
    mutating func requireTruth(of findings: Findings) {
        require(findings.verdict.lost == 0, "lost 0")
        require(findings.verdict.unexpected == 0, "unexpected 0")
        require(findings.states.areClean, "every delivery in one state (\(findings.states))")
        require(findings.ledger.count(of: .unknown) > 0, "some COMMITs without an answer")
        require(findings.ledger.count(of: .rolledBack) > 0, "some events rolled back")
    }

    /// Judges.
    ///
    /// - Parameters:
    ///   - findings: at the end.
    ///   - injections: how often the fault was injected.
    ///   - result: what was measured, for people.
    func close(_ findings: Findings, injections: Int, result: String) throws {
        let verdict = findings.verdict
        let result = "\(result); \(findings.ledger)"
        for requirement in requirements {
            #expect(requirement.isMet, "\(requirement.text); \(result); \(verdict.examples.joined(separator: "; "))")
        }
        let failures = requirements.filter { !$0.isMet }.map(\.text)
        let line = Line(
            bar: name, goal: goal, result: result + (failures.isEmpty ? "" : ". Not met: " + failures.joined(separator: ", ")),
            pass: failures.isEmpty, lost: verdict.lost, unexpected: verdict.unexpected, duplicated: verdict.duplicated,
            recovered: verdict.recovered, injections: injections, seconds: Double((MonotonicClock.now() - startedAt) / 10_000_000) / 100)
        print("chaos: \(name): \(line.result) (lost \(verdict.lost), unexpected \(verdict.unexpected),", terminator: " ")
        print("duplicated \(verdict.duplicated), recovered \(verdict.recovered), injections \(injections), \(line.seconds) s)")
        try append(line)
    }

    private func append(_ line: Line) throws {
        guard Form.current == .long, let path = ProcessInfo.processInfo.environment["POSTRIDER_CHAOS_REPORT"] else { return }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        if !FileManager.default.fileExists(atPath: path) { _ = FileManager.default.createFile(atPath: path, contents: nil) }
        let file = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
        try file.seekToEnd()
        try file.write(contentsOf: encoder.encode(line) + Data([10]))
        try file.close()
    }
}

/// Whole milliseconds as people read them.
func text(_ nanoseconds: UInt64) -> String { "\(milliseconds(nanoseconds)) ms" }
