// A pack of sql/examples as PackScenarios drives it: what its source system promises, and statements that make it happen.

import Foundation
import Postgres
import TestSupport
import Testing

/// One source system: the folder of sql/examples, the profile and the endpoint of the same name.
struct Pack: Sendable, CustomTestStringConvertible {
    let name: String
    /// Every event type that the system sends, as its own documentation lists them.
    let types: [String]
    /// The member of the body that holds the event type.
    let typeKey: String
    /// Types whose data is `{"old": …, "new": …}`.
    var changes: Set<String> = []
    /// What every request carries beside what the signature needs; several values when either will do.
    let headers: [String: [String]]
    /// Attempts, first delay, factor, longest delay, jitter, timeout, final statuses: as the endpoint's row has them.
    let rules: String
    /// Milliseconds from a failed first attempt to the second, jitter not counted.
    let firstDelay: Int
    /// Whether an answer of 404 ends a delivery.
    var refusalIsFinal = false
    /// The organization whose events the endpoint wants; nil for all.
    var organization: String?
    /// Paths of n8n workflows, and the one event type that each of them gets.
    var workflows: [String: String] = [:]
    /// What the source system calls the source of events that triggers write.
    var triggerSource = "trigger"
    let steps: [PackStep]

    static let all = [companion, agentes, crm, fenix, bird]

    var testDescription: String { name }
    var secret: String { "the secret of \(name)" }

    /// Runs the files of the pack with psql, as their README says; attachments and endpoints twice, which adds nothing.
    func load(into outpost: Outpost, for receiver: Receiver) async throws {
        let folder = URL(fileURLWithPath: #filePath).appendingPathComponent("../../../../sql/examples/\(name)").standardized
        let files = ["domain", "attachments", "attachments", "endpoints", "endpoints"]
        let log = FileManager.default.temporaryDirectory.appendingPathComponent("psql-\(UUID()).log").path
        defer { try? FileManager.default.removeItem(atPath: log) }
        var environment = ProcessInfo.processInfo.environment
        environment["\(name.uppercased())_WEBHOOK_SECRET"] = secret
        let psql = try ChildProcess(
            ["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-v", "endpoint_url=\(receiver.url("/\(name)"))"]
                + ["-v", "n8n_url=\(receiver.url(""))"] + files.flatMap { ["-f", "\(folder.path)/\($0).sql"] } + [outpost.url],
            environment: environment, log: log)
        let end = try await psql.waitForEnd(within: .seconds(20))
        let words = try String(contentsOfFile: log, encoding: .utf8)
        try #require(end == .exited(0), "\(words)")
    }
}

/// A statement on the tables of a pack, and the one event that each row of it makes.
struct PackStep: Sendable {
    /// Nil when it makes none.
    let type: String?
    let sql: String
    /// Gives the data of its events as jsonb; nil for a statement without events.
    let records: String?

    /// An INSERT, UPDATE or DELETE whose rows become data: all columns but some, or only some.
    static func row(
        _ type: String, _ sql: String, without: [String] = [], only: [String]? = nil
    ) -> PackStep {
        let choice = only.map { "key = ANY ('{\($0.joined(separator: ","))}')" } ?? "true"
        return PackStep(
            type: type,
            sql: """
                WITH made AS (\(sql) RETURNING *)
                SELECT (SELECT jsonb_object_agg(key, value) FROM jsonb_each(to_jsonb(made) - '{\(without.joined(separator: ","))}'::text[])
                        WHERE \(choice))::text FROM made
                """, records: nil)
    }

    /// A call of one of the pack's own functions; `records` selects what its events must carry.
    static func call(_ type: String, _ sql: String, records: String) -> PackStep {
        PackStep(type: type, sql: sql, records: records)
    }

    /// A statement that nobody hears of.
    static func quiet(_ sql: String) -> PackStep { PackStep(type: nil, sql: sql, records: nil) }

    /// Runs it, and gives a line for each event that must come.
    func run(on outpost: Outpost) async throws -> [String] {
        let rows = try await outpost.sql(sql)
        guard let type else { return [] }
        let records = if let records { try await outpost.sql(records) } else { rows }
        try #require(records.count > 0, "the step for \(type) touched no row")
        return try records.map { row in
            eventLine(type, try JSONSerialization.jsonObject(with: Data(row.string(0).utf8)))
        }
    }
}

/// An event type and its data as one line that can be compared.
func eventLine(_ type: String, _ data: Any) -> String {
    let json = try? JSONSerialization.data(withJSONObject: data, options: [.sortedKeys, .fragmentsAllowed])
    return "\(type) \(json.map { String(decoding: $0, as: UTF8.self) } ?? "without data")"
}
