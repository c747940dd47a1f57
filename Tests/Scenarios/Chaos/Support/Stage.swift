// Where a chaos scenario plays: a database with an endpoint, the receiver behind it, witnesses in SQL, and the verdict.

import Foundation
import OutboxStore
import Postgres
import TestSupport

extension Outpost {
    /// An outpost on a database that exists, such as one of a cluster of the test's own.
    init(url: String) async throws {
        self.url = url
        connection = try await Connection.open(ConnectionSettings(url: url))
        try await Migrator(connection: connection).up()
    }
}

/// Waits until a server accepts connections; gives the instant.
@discardableResult
func accepts(_ url: String) async throws -> UInt64 {
    try await eventually("Postgres to accept connections") {
        guard let connection = try? await Connection.open(ConnectionSettings(url: url)) else { return false }
        await connection.close()
        return true
    }
    return MonotonicClock.now()
}

/// What was found at the end of a scenario.
struct Findings: Sendable {
    let ledger: Ledger
    let verdict: Ledger.Verdict
    let states: Witness.States
}

/// One database, one endpoint, one receiver.
struct Stage: Sendable {
    let outpost: Outpost
    let receiver: ArrivalReceiver

    /// Sets the stage.
    ///
    /// - Parameters:
    ///   - outpost: nil for a fresh database of the test cluster.
    ///   - address: where the receiver listens.
    ///   - settings: of the endpoint, as an UPDATE sets them.
    ///   - rule: what the receiver answers.
    init(
        _ outpost: Outpost? = nil, address: String = "127.0.0.1",
        settings: String = "max_attempts = 1000, base_delay_ms = 50, max_delay_ms = 200",
        rule: @escaping ArrivalReceiver.Rule = { _, _ in .status(200) }
    ) async throws {
        if let outpost { self.outpost = outpost } else { self.outpost = try await Outpost() }
        receiver = try ArrivalReceiver(on: address, rule: rule)
        try await self.outpost.endpoint(receiver.url(), settings: settings)
        try await self.outpost.connection.script(Witness.sql, name: "witness")
    }

    // MARK: Replicas

    func replica(_ name: String) throws -> Replica { try Replica(name, url: outpost.url) }

    /// The life that a process leads now; nil when it has none, or, unless that does not matter, not yet its lock.
    func life(of replica: Replica, hasLock: Bool = true) async throws -> Int? {
        let rows = try await outpost.sql(
            """
            SELECT id FROM postrider.webhook_workers
            WHERE alive AND (has_lock OR NOT \(hasLock)) AND process_id = \(replica.id) ORDER BY id DESC LIMIT 1
            """)
        return rows.isEmpty ? nil : try rows[0].int(0)
    }

    /// Waits until every replica lives, and gives their lives.
    @discardableResult
    func lives(of replicas: [Replica]) async throws -> [Int] {
        var lives: [Int] = []
        for replica in replicas {
            try await eventually("\(replica.name) to live: \(replica.text.suffix(500))") {
                guard let life = try await life(of: replica) else { return false }
                lives.append(life)
                return true
            }
        }
        return lives
    }

    /// Waits until a killed process has no session left: what it had sent has then taken effect or never will.
    func sessionsEnd(of name: String) async throws {
        try await eventually("the sessions of \(name) to end") {
            try await outpost.count("pg_stat_activity WHERE application_name = '\(name)' AND datname = current_database()") == 0
        }
    }

    /// Deliveries that a life holds and that nobody has recorded: what it may have sent without anyone knowing.
    func inFlight(of life: Int) async throws -> Int {
        try await outpost.count(
            """
            postrider.webhook_claims AS c, unnest(c.event_ids) AS event (id)
            WHERE c.worker_id = \(life) AND NOT EXISTS (
                SELECT FROM postrider.webhook_attempts AS a WHERE a.event_id = event.id AND a.outcome = 0)
            """)
    }

    // MARK: Load

    /// Starts producers and waits until what they make arrives.
    func load(_ plan: LoadPlan) async throws -> Load {
        let load = Load(url: outpost.url, plan: plan)
        try await eventually("the first events to arrive") { receiver.count > 50 }
        return load
    }

    /// How long after an instant the first event arrives that was committed after it: what was in memory at a fault, and
    /// what came of it, proves nothing about the way through Postgres.
    func resumption(of load: Load, after instant: UInt64, within limit: Duration = .seconds(60)) async throws -> UInt64 {
        var place = 0
        var newer: Set<Int64> = []
        var found: UInt64?
        try await eventually("deliveries to resume", within: limit) {
            let entries = load.entries
            newer.formUnion(entries.dropFirst(place).lazy.filter { $0.at > instant && $0.fate == .acknowledged }.map(\.mark))
            place = entries.count
            found = receiver.first { $0.at > instant && $0.mark.map(newer.contains) == true }?.at
            return found != nil
        }
        return (found ?? instant) - instant
    }

    // MARK: The verdict

    /// Waits until nothing is left to do, asks Postgres, and judges.
    ///
    /// - Parameters:
    ///   - load: already stopped.
    ///   - faults: instants; what was under way then counts as recovered too.
    ///   - other: where to ask, when the stage's own connection did not survive.
    func judge(_ load: Load, faults: [UInt64] = [], asking other: Outpost? = nil) async throws -> Findings {
        let outpost = other ?? self.outpost
        try await outpost.settled(within: .seconds(60))
        var ledger = Ledger()
        ledger.write(load.entries)
        ledger.write(receiver.arrivals)
        var standing = try await Witness.standing(outpost)
        for fault in faults { standing.recovered.formUnion(ledger.underWay(at: fault)) }
        return Findings(ledger: ledger, verdict: ledger.verdict(standing: standing), states: try await Witness.states(outpost))
    }
}
