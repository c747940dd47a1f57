// Upkeep of the tables: partitions ahead, retention, erasures, counts, dead rows. Called by workers once a minute and by
// `postrider maintain`.

public import Postgres

/// The statements of `sql/queries/maintenance.sql`.
public enum MaintenanceStore {
    /// One thing that was done, or that would be.
    public struct Step: Sendable, Equatable {
        /// empty, thin, payloads, drop, erase, audit, order, retries, vacuum; or busy, when somebody else was at it.
        public let task: String
        /// The table it was done to.
        public let table: String
        /// Rows that went, or that would be looked at.
        public let rows: Int64

        /// Makes a step.
        public init(task: String, table: String, rows: Int64) {
            self.task = task
            self.table = table
            self.rows = rows
        }
    }

    /// Rows of one batch; 2,000.
    static let batch: Int32 = 2_000
    /// Retries and lines of ordering keys that are freed in one batch, of each kind; 10,000.
    static let sweptAtOnce: Int32 = 10_000
    /// Batches of one week in one round, so that a round ends; 50.
    static let batchesAtOnce = 50

    /// What retention would do now (`RetentionPlan`). Changes nothing.
    ///
    /// - Throws: `PostgresError`.
    public static func plan(on connection: Connection) async throws -> [Step] {
        try await connection.query(Queries.retentionPlan).map { row in
            Step(task: try row.string(0), table: try row.string(1), rows: try row.int64(2))
        }
    }

    /// One round of everything. A lock that is not to be had within 200 ms is left to the next round.
    ///
    /// A step that the server refuses keeps no other from its turn, and the sweeps come first: nothing else frees what they
    /// free.
    ///
    /// - Parameters:
    ///   - rest: how many seconds ago the last round must have begun, whoever began it; 0. Nothing is done otherwise.
    ///   - connection: a session of one's own: a round may take minutes, and vacuum stands in no transaction.
    /// - Returns: what was done; empty when there was nothing to do.
    /// - Throws: `PostgresError`, that of the first step that failed, when all others have had their turn.
    public static func round(after rest: Double = 0, on connection: Connection) async throws -> [Step] {
        guard try await !connection.query(Queries.upkeepBegin, [.float8(rest)]).isEmpty else { return [] }
        var round = Round()
        try await sweep(&round, on: connection)
        try await round.take("partitions") { _ in try await WorkerStore.ensurePartitions(on: connection) }
        try await round.take("webhook_tallies") { _ in try await WorkerStore.foldTallies(on: connection) }
        try await round.take("webhook_workers") { _ in try await WorkerStore.prune(on: connection) }
        try await retain(&round, on: connection)
        try await round.take("webhook_erasures") { steps in
            let rows = try await erase(on: connection)
            if rows > 0 { steps.append(Step(task: "erase", table: "webhook_event_log", rows: rows)) }
        }
        try await round.take("webhook_audit_log") { steps in
            let rows = try await connection.query(Queries.auditLogPrune)[0].int64(0)
            if rows > 0 { steps.append(Step(task: "audit", table: "webhook_audit_log", rows: rows)) }
        }
        try await round.take("webhook_routing_changes") { _ in
            _ = try await connection.query(Queries.routingChangesPrune, [.int8(RoutingStore.keptVersions)])
        }
        try await vacuum(&round, on: connection)
        if let failure = round.failure { throw failure }
        return round.steps
    }

    /// Frees what no transaction should leave waiting.
    private static func sweep(_ round: inout Round, on connection: Connection) async throws {
        for (task, table, statement) in [
            ("order", "webhook_keys", Queries.keySweep), ("retries", "webhook_retries", Queries.retrySweep),
        ] {
            try await round.take(table) { steps in
                let rows = try await sweep(statement, on: connection)
                if rows > 0 { steps.append(Step(task: task, table: table, rows: rows)) }
            }
        }
    }

    /// Frees what waits for nothing any more; how many rows. Each batch is a transaction of its own, because claims wait for
    /// what it holds.
    private static func sweep(_ statement: Statement, on connection: Connection) async throws -> Int64 {
        var swept: Int64 = 0
        for _ in 0..<batchesAtOnce {
            let rows = try await connection.query(statement, [.int4(sweptAtOnce)])[0].int64(0)
            swept += rows
            if rows < Int64(sweptAtOnce) { break }
        }
        return swept
    }

    /// Removes what is kept long enough.
    private static func retain(_ round: inout Round, on connection: Connection) async throws {
        let due = try await round.take("webhook_retention") { _ in try await plan(on: connection) }
        for planned in due ?? [] {
            try await round.take(planned.table) { steps in
                let rows = try await carryOut(planned, on: connection)
                let task = rows == nil ? "busy" : planned.task
                if rows != 0 { steps.append(Step(task: task, table: planned.table, rows: rows ?? 0)) }
            }
        }
        for parent in ["webhook_attempts", "webhook_event_log"] {
            try await round.take(parent) { steps in
                let rows = try await connection.query(Queries.partitionsFold, [.text(parent)])
                let dropped = try rows[0].isNull(0) ? 0 : rows[0].int64(0)
                if dropped > 0 { steps.append(Step(task: "drop", table: parent, rows: dropped)) }
            }
        }
    }

    private static func vacuum(_ round: inout Round, on connection: Connection) async throws {
        let tables = try await round.take("vacuum") { _ in
            try await connection.query(Queries.deadRows).map { try $0.string(0) }
        }
        for table in tables ?? [] {
            try await round.take(table) { steps in
                // A name from the catalog, out of a list that stands in the statement.
                _ = try await connection.script("VACUUM postrider.\(table)", name: "Vacuum")
                steps.append(Step(task: "vacuum", table: table, rows: 0))
            }
        }
    }

    /// Does one planned thing; the rows that went, nil when another session does upkeep.
    private static func carryOut(_ step: Step, on connection: Connection) async throws -> Int64? {
        if step.task == "empty" {
            let rows = try await connection.query(Queries.partitionEmpty, [.text(step.table)])
            return try rows[0].isNull(0) ? nil : rows[0].int64(0)
        }
        let statement = step.task == "thin" ? Queries.partitionThin : Queries.payloadsRemove
        var removed: Int64 = 0
        for _ in 0..<batchesAtOnce {
            let rows = try await connection.query(statement, [.text(step.table), .int4(batch)])
            if try rows[0].isNull(0) { return nil }
            removed += try rows[0].int64(0)
            if try rows[0].bool(1) { break }
        }
        return removed
    }

    /// Goes on with erasures that are due; the events that were erased. One that has to wait is due again later.
    private static func erase(on connection: Connection) async throws -> Int64 {
        var erased: Int64 = 0
        for _ in 0..<batchesAtOnce {
            let row = try await connection.query(Queries.eraseBatch)[0]
            if try row.isNull(1) { break }
            erased += try row.int64(0)
        }
        return erased
    }

    /// A round under way.
    private struct Round {
        var steps: [Step] = []
        /// Why the first step failed that did.
        var failure: (any Error)?

        /// Does one step; nil when it is busy or the server refused it.
        ///
        /// - Throws: the first failure, when the connection is lost or a deadline passes: nothing more can be done then.
        @discardableResult
        mutating func take<Result>(
            _ table: String, _ body: (inout [Step]) async throws -> Result
        ) async throws -> Result? {
            do {
                return try await body(&steps)
            } catch let error as PostgresError where error.sqlState == "55P03" {
                steps.append(Step(task: "busy", table: table, rows: 0))
            } catch let error as PostgresError where error.code == .server {
                failure = failure ?? error
            } catch {
                throw failure ?? error
            }
            return nil
        }
    }
}
