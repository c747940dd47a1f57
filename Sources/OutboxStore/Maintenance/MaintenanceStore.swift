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
    /// - Parameters:
    ///   - rest: how many seconds ago the last round must have begun, whoever began it; 0. Nothing is done otherwise.
    ///   - connection: a session of one's own: a round may take minutes, and vacuum stands in no transaction.
    /// - Returns: what was done; empty when there was nothing to do.
    /// - Throws: `PostgresError`.
    public static func round(after rest: Double = 0, on connection: Connection) async throws -> [Step] {
        guard try await !connection.query(Queries.upkeepBegin, [.float8(rest)]).isEmpty else { return [] }
        var steps: [Step] = []
        try await leaveBusy(&steps, "partitions") { _ in try await WorkerStore.maintain(on: connection) }
        for planned in try await plan(on: connection) {
            try await leaveBusy(&steps, planned.table) { steps in
                guard let rows = try await carryOut(planned, on: connection) else {
                    return steps.append(Step(task: "busy", table: planned.table, rows: 0))
                }
                if rows > 0 { steps.append(Step(task: planned.task, table: planned.table, rows: rows)) }
            }
        }
        for parent in ["webhook_attempts", "webhook_event_log"] {
            try await leaveBusy(&steps, parent) { steps in
                let rows = try await connection.query(Queries.partitionsFold, [.text(parent)])
                let dropped = try rows[0].isNull(0) ? 0 : rows[0].int64(0)
                if dropped > 0 { steps.append(Step(task: "drop", table: parent, rows: dropped)) }
            }
        }
        try await leaveBusy(&steps, "webhook_erasures") { steps in
            let rows = try await erase(on: connection)
            if rows > 0 { steps.append(Step(task: "erase", table: "webhook_event_log", rows: rows)) }
        }
        let lines = try await connection.query(Queries.auditLogPrune)[0].int64(0)
        if lines > 0 { steps.append(Step(task: "audit", table: "webhook_audit_log", rows: lines)) }
        let freed = try await connection.query(Queries.keySweep)[0].int64(0)
        if freed > 0 { steps.append(Step(task: "order", table: "webhook_keys", rows: freed)) }
        let swept = try await connection.query(Queries.retrySweep)[0].int64(0)
        if swept > 0 { steps.append(Step(task: "retries", table: "webhook_retries", rows: swept)) }
        _ = try await connection.query(Queries.routingChangesPrune, [.int8(RoutingStore.keptVersions)])
        for row in try await connection.query(Queries.deadRows) {
            let table = try row.string(0)
            // A name from the catalog, out of a list that stands in the statement.
            _ = try await connection.script("VACUUM postrider.\(table)", name: "Vacuum")
            steps.append(Step(task: "vacuum", table: table, rows: 0))
        }
        return steps
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

    private static func leaveBusy(
        _ steps: inout [Step], _ table: String, _ body: (inout [Step]) async throws -> Void
    ) async throws {
        do {
            try await body(&steps)
        } catch let error as PostgresError where error.sqlState == "55P03" {
            steps.append(Step(task: "busy", table: table, rows: 0))
        }
    }
}
