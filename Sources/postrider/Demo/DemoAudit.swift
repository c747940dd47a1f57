// The end of the demo: what the database says, what the receivers say, and whether both say what was to be expected.

internal import Postgres

/// Compares the books.
struct DemoAudit {
    let stage: DemoStage
    let scenes: DemoScenes

    private var log: DemoLog { stage.log }

    /// Shows the audit and the comparison.
    ///
    /// - Returns: whether everything is as it must be.
    /// - Throws: `PostgresError`.
    func run() async throws -> Bool {
        log.title("Audit: SELECT … FROM postrider.webhook_deliveries GROUP BY event_type")
        let isDelivered = try await showTable()
        let isSame = try await compare()
        return isDelivered && isSame
    }

    /// The table by event type; false when a delivery failed or is open.
    private func showTable() async throws -> Bool {
        let heads = ["events", "deliveries", "attempts", "success", "failed", "pending"]
        log.result(Self.line("event type", heads))
        var totals = [0, 0, 0, 0, 0, 0]
        for row in try await stage.connection.query(DemoSQL.audit) {
            let numbers = try (1...6).map { try row.int($0) }
            totals = zip(totals, numbers).map { $0 + $1 }
            log.result(Self.line(try row.string(0), numbers.map(String.init)))
        }
        log.result(Self.line("all", totals.map(String.init)))
        return totals[1] == totals[3]
    }

    private static func line(_ first: String, _ rest: [String]) -> String {
        let name = first + String(repeating: " ", count: max(0, 31 - first.count))
        return name + zip(rest, [6, 11, 9, 8, 7, 8]).map { DemoLog.padded($0, to: $1) }.joined()
    }

    private func compare() async throws -> Bool {
        var events: [String: Int] = [:]
        var pairs: Set<Pair> = []
        for row in try await stage.connection.query(DemoSQL.events) {
            let (id, type) = (try row.string(0), try row.string(1))
            events[type, default: 0] += 1
            for destination in DemoScenes.destinations(of: type) {
                pairs.insert(Pair(eventID: id, destination: destination))
            }
        }
        let accepted = stage.ledger.accepted
        let lost = pairs.count { accepted[$0] == nil }
        let unexpected = accepted.keys.count { !pairs.contains($0) }
        let repeated = accepted.values.reduce(0) { $0 + $1 - 1 }
        log.title("Receivers against database")
        var isRight = true
        func check(_ holds: Bool, _ text: String) {
            if holds { log.success(text) } else { log.failure(text) }
            isRight = isRight && holds
        }
        let total = events.values.reduce(0, +)
        check(events == scenes.expected, "events: \(total) as made; of the rolled-back transaction: none")
        check(lost == 0, "lost: \(lost)")
        check(unexpected == 0, "unexpected: \(unexpected)")
        check(stage.ledger.badSignatures == 0, "bad signatures: \(stage.ledger.badSignatures)")
        let reason = repeated > 0 ? " (in flight when the worker was killed; same ids)" : ""
        check(repeated == 0 || scenes.killedWorker, "duplicated: \(repeated)\(reason)")
        return isRight
    }
}
