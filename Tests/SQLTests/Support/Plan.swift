// Plans as EXPLAIN tells them, read from JSON.

import Foundation

/// One node of a plan.
struct Plan {
    let kind: String
    let relation: String?
    let index: String?
    let condition: String?
    let sharedBlocks: Int
    /// What the planner expects it to cost, with all below it.
    let cost: Double
    let parts: [Plan]

    private init(_ node: [String: Any]) {
        kind = node["Node Type"] as? String ?? ""
        relation = node["Relation Name"] as? String
        index = node["Index Name"] as? String
        condition = node["Index Cond"] as? String
        sharedBlocks = (node["Shared Hit Blocks"] as? Int ?? 0) + (node["Shared Read Blocks"] as? Int ?? 0)
        cost = (node["Total Cost"] as? NSNumber)?.doubleValue ?? .infinity
        parts = (node["Plans"] as? [[String: Any]] ?? []).map(Plan.init)
    }

    /// This node and all below it.
    var all: [Plan] { [self] + parts.flatMap(\.all) }

    /// Asks for the plan of a statement: `EXECUTE q(1)`.
    static func of(_ statement: String, running: Bool = false, in db: TestDatabase) async throws -> Plan {
        let options = running ? "ANALYZE, BUFFERS, " : ""
        let text = try await db.lines("EXPLAIN (\(options)FORMAT JSON) \(statement)").joined()
        let parsed = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [[String: Any]]
        guard let root = parsed?.first?["Plan"] as? [String: Any] else { throw Unexpected(what: text) }
        return Plan(root)
    }
}
