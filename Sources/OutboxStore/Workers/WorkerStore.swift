// The registry of workers: registration, heartbeat, watch. Called by the worker's control task.

public import Postgres

/// The statements of the worker registry. Each may be called from any task.
public enum WorkerStore {
    /// Registers a new life of a worker (`WorkerRegister`); its lease runs 1.5 s from now.
    ///
    /// - Returns: its id, never used before.
    /// - Throws: `PostgresError`.
    public static func register(
        host: String, processID: Int32, version: String, on connection: Connection
    ) async throws -> Int64 {
        let rows = try await connection.query(
            Queries.workerRegister, [.text(host), .int4(processID), .text(version)])
        return try rows[0].int64(0)
    }

    /// The step that sets what a work connection needs (`WorkSettings`).
    ///
    /// - Parameter isLocal: for the transaction of this pipeline only, as behind a pooler; otherwise for the session.
    public static func workSettings(isLocal: Bool) -> Step { Step(Queries.workSettings, [.bool(isLocal)]) }

    /// Whether a pooler stands between a connection and the server (`SessionNature`): then sessions are shared, and
    /// prepared statements, settings, locks and notifications cannot be relied on.
    ///
    /// A pooler tells its clients a process id of its own, because it has to pass on requests to cancel.
    ///
    /// - Throws: `PostgresError`.
    public static func isPooled(_ connection: Connection) async throws -> Bool {
        let rows = try await connection.query(Queries.sessionNature.plannedAnew)
        return Int32(try rows[0].int(0)) != connection.processID
    }

    /// Whether a notification of one connection arrives at another (`ProbeNotify`).
    ///
    /// - Parameters:
    ///   - mouth: who notifies.
    ///   - ear: who listens; it goes on listening to the channel of the probe.
    ///   - limit: how long it may take.
    /// - Throws: `PostgresError`.
    public static func isHeard(
        from mouth: Connection, on ear: Connection, within limit: Duration
    ) async throws -> Bool {
        let channel = "postrider_probe_\(UInt64.random(in: 0 ... .max))"
        let notifications = ear.notifications()
        try await ear.listen(channel)
        _ = try await mouth.query(Queries.probeNotify.plannedAnew, [.text(channel)])
        return await withTaskGroup(of: Bool.self) { group in
            group.addTask {
                for await one in notifications where one.channel == channel { return true }
                return false
            }
            group.addTask {
                // Ended before its time only when the other answer has come.
                try? await Task.sleep(for: limit)
                return false
            }
            defer { group.cancelAll() }
            return await group.next() ?? false
        }
    }

    /// Takes the advisory lock that tells of the worker's life (`WorkerLock`). The session must be a direct one; several
    /// sessions of one worker may hold it.
    ///
    /// - Returns: whether it was taken.
    /// - Throws: `PostgresError`.
    public static func lock(worker: Int64, on connection: Connection) async throws -> Bool {
        let rows = try await connection.query(Queries.workerLock, [.int8(worker)])
        return rows.count == 1 ? try rows[0].bool(0) : false
    }

    /// What a heartbeat found.
    public struct Pulse: Sendable {
        /// False when the worker was declared dead: it must stop at once.
        public let isAlive: Bool
        /// The version of the routing; 0 when not alive.
        public let routingVersion: Int64
        /// Other workers that seem dead.
        public let suspects: [SuspectedWorker]
    }

    /// Renews the lease for 1.5 s and looks at the other workers (`WorkerHeartbeat`, `WorkerWatch`).
    ///
    /// - Parameters:
    ///   - counts: what the worker's row shows from now on.
    ///   - limit: how long the server may take; after that the connection is not to be trusted.
    /// - Throws: `PostgresError`.
    public static func heartbeat(
        worker: Int64, counts: WorkerCounts = WorkerCounts(), within limit: Duration, on connection: Connection
    ) async throws -> Pulse {
        let steps = [
            Step(Queries.workerHeartbeat, [.int8(worker)] + counts.values), Step(Queries.workerWatch, [.int8(worker)]),
        ]
        let results = try await connection.pipeline(steps, timeout: limit)
        let suspects = try (0..<results[1].count).map { index in
            SuspectedWorker(id: try results[1][index].int64(0), epoch: Int32(try results[1][index].int(1)))
        }
        guard results[0].count == 1 else { return Pulse(isAlive: false, routingVersion: 0, suspects: suspects) }
        return Pulse(isAlive: true, routingVersion: try results[0][0].int64(0), suspects: suspects)
    }

    /// Whether the server has been up for longer than a lease lasts, and has not taken over from another within the last hour
    /// (`ServerUptime`), so that a lease that ran out tells of a dead worker and not of a restart or a failover.
    ///
    /// - Throws: `PostgresError`.
    public static func serverHasBeenUp(on connection: Connection) async throws -> Bool {
        try await connection.query(Queries.serverUptime)[0].bool(0)
    }

    /// Ends a life in order (`WorkerFarewell`): whatever it still holds may be taken over at once.
    ///
    /// - Parameter counts: what the worker's row shows from now on.
    /// - Throws: `PostgresError`.
    public static func farewell(
        worker: Int64, counts: WorkerCounts = WorkerCounts(), on connection: Connection
    ) async throws {
        _ = try await connection.query(Queries.workerFarewell, [.int8(worker)] + counts.values)
    }

    /// Tells producers that this session listens to the doorbell (`BellHear`): they do not notify when none does.
    ///
    /// - Throws: `PostgresError`.
    public static func hearBell(on connection: Connection) async throws {
        _ = try await connection.query(Queries.bellHear)
    }

    /// Holds or releases the doorbell lock of this session (`BellHold`, `BellRelease`): producers do not notify while
    /// any worker holds it.
    ///
    /// - Returns: whether the bell is held now.
    /// - Throws: `PostgresError`.
    public static func setBell(held: Bool, on connection: Connection) async throws -> Bool {
        let rows = try await connection.query(held ? Queries.bellHold : Queries.bellRelease)
        return held ? try rows[0].bool(0) : false
    }

    /// The step that hands the doorbell on (`BellRelay`), for ``readRelay(_:)``.
    public static func relayBell(worker: Int64) -> Step { Step(Queries.bellRelay, [.int8(worker)]) }

    /// Reads the row of ``relayBell(worker:)``: whether another worker looks after the queue, so that this one need not.
    ///
    /// - Throws: `PostgresError` when it is not of the expected shape.
    public static func readRelay(_ rows: Rows) throws -> Bool { try rows[0].bool(0) }

    /// Tallies that are folded together by one statement; 20,000.
    static let foldedAtOnce: Int32 = 20_000
    /// How many such statements a round has at most; 50.
    static let mostFolds = 50

    /// Folds tallies together (`TallyFold`). Any one worker does it for all from time to time, as the next two.
    ///
    /// - Throws: `PostgresError`.
    public static func foldTallies(on connection: Connection) async throws {
        // A worker adds a row for each destination of a settlement, up to 200 a second each.
        for _ in 0..<mostFolds {
            let folded = try await connection.query(Queries.tallyFold, [.int4(foldedAtOnce)])[0].int64(0)
            if folded < Int64(foldedAtOnce) { break }
        }
    }

    /// Forgets workers that died a week ago (`WorkerPrune`).
    ///
    /// - Throws: `PostgresError`.
    public static func prune(on connection: Connection) async throws {
        _ = try await connection.query(Queries.workerPrune)
    }

    /// Makes partitions ahead (`PartitionsEnsure`), unless another session is at it.
    ///
    /// - Throws: `PostgresError`; a lock that is busy is one.
    public static func ensurePartitions(on connection: Connection) async throws {
        _ = try await connection.query(Queries.partitionsEnsure)
    }
}
