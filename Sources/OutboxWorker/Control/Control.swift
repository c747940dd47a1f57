// The direct connection of a worker: heartbeats, the watch over the others, notifications, the doorbell.

internal import Logging
internal import Outbox
internal import OutboxStore
internal import Postgres

/// Keeps one life of a worker known to the others, and tells the work cycle when to look.
///
/// ``run()`` ends only by throwing: a ``LifeEnd``, or `CancellationError`.
struct Control: Sendable {
    /// Between heartbeats; 200 ms, which is also how often the others are looked at.
    static let interval = Duration.milliseconds(200)
    /// A heartbeat must be answered within this time.
    static let deadline = Duration.milliseconds(1_000)
    /// Nobody is rescued before this worker has been connected for as long as a lease lasts: after a restart of
    /// Postgres all leases look expired, and their owners need this long to renew them.
    static let patience = Duration.milliseconds(1_500)
    /// Most claims of one takeover; the sweep takes the rest.
    static let claimsAtOnce: Int32 = 50

    /// How often the bell is tried again at once; 20.
    static let bellAttempts = 20

    let context: LifeContext
    let cycle: WorkCycle
    private let rescues = Rescues()

    init(context: LifeContext, cycle: WorkCycle) {
        self.context = context
        self.cycle = cycle
    }

    /// Runs, on one connection after another.
    func run() async throws {
        var isFirst = true
        var trouble = Trouble()
        while true {
            let connection = try await context.links.control()
            let start = ContinuousClock.now
            do {
                try await serve(connection, isFirst: isFirst)
            } catch is PostgresError where Task.isCancelled {
                await connection.close()
                throw CancellationError()
            } catch let error as PostgresError {
                // A new trouble after a good time is worth a line again.
                if ContinuousClock.now - start > Self.patience { _ = trouble.end() }
                if trouble.isNews(error) {
                    context.logger.warning("control connection lost", metadata: ["error": "\(error)"])
                }
                // A server that is full lets us in and refuses the heartbeat.
                if !error.isConnectionFailure { try await Task.sleep(for: trouble.pause) }
            } catch {
                await connection.close()
                throw error
            }
            await connection.close()
            isFirst = false
        }
    }

    private func serve(_ connection: Connection, isFirst: Bool) async throws {
        // First of all the lease: until it is renewed nothing may be sent.
        try await beat(connection, mayRescue: false)
        if !context.links.isDeaf {
            _ = try await WorkerStore.lock(worker: context.worker, on: connection)
            try await connection.listen("postrider_wake")
            try await connection.listen("postrider_routing")
            try await WorkerStore.hearBell(on: connection)
        }
        let rescuesFrom = try await rescueTime(connection, isFirst: isFirst)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await beatForever(connection, rescuesFrom: rescuesFrom) }
            if !context.links.isDeaf {
                group.addTask { try await hear(connection) }
                group.addTask { try await tendBell(connection) }
            }
            defer { group.cancelAll() }
            try await group.next()
            // They end too when the worker stops.
            try Task.checkCancellation()
            // The notifications have ended, and with them the connection.
            throw PostgresError(code: .connectionLost, message: "the control connection has ended")
        }
    }

    /// When this worker may begin to rescue others: at once when it has just been started beside a server that has been
    /// up for a while, so that a worker restarted by its supervisor finds its former life. Not soon after a failover: the others
    /// may be on their way to the new primary.
    private func rescueTime(_ connection: Connection, isFirst: Bool) async throws -> ContinuousClock.Instant {
        let now = ContinuousClock.now
        guard isFirst, try await WorkerStore.serverHasBeenUp(on: connection) else { return now + Self.patience }
        return now
    }

    // MARK: Heartbeat and watch

    private func beatForever(_ connection: Connection, rescuesFrom: ContinuousClock.Instant) async throws {
        while true {
            try await ConnectionThread.sleep(for: Self.interval * Double.random(in: 0.9...1.1))
            try await beat(connection, mayRescue: ContinuousClock.now >= rescuesFrom)
        }
    }

    private func beat(_ connection: Connection, mayRescue: Bool) async throws {
        let start = WorkerClock.now()
        let pulse = try await WorkerStore.heartbeat(
            worker: context.worker, counts: context.counts(), within: Self.deadline, on: connection)
        guard pulse.isAlive else {
            context.fence.close()
            throw LifeEnd.declaredDead
        }
        context.fence.confirm(heartbeatStartedAt: start)
        context.dispatcher.depart()
        Task(executorPreference: ConnectionThread.executor) {
            await context.routingKeeper.refresh(version: pulse.routingVersion)
        }
        guard mayRescue else { return }
        for suspect in pulse.suspects where rescues.begin(suspect.id) { Task { await rescue(suspect) } }
    }

    /// A task beside the heartbeat, which must not wait for it. What fails here is found by the next look or sweep.
    private func rescue(_ suspect: SuspectedWorker) async {
        do {
            try await context.takeIn { try await seize(suspect, on: $0) }
            rescues.end(suspect.id)
        } catch {
            let isNews = rescues.fail(suspect.id, error)
            // Closed: the worker stops, and somebody else rescues.
            guard isNews, (error as? PostgresError)?.code != .closed else { return }
            context.logger.error(
                "rescue failed", metadata: ["worker.dead": "\(suspect.id)", "error": "\(error)"])
        }
    }

    private func seize(_ suspect: SuspectedWorker, on connection: Connection) async throws -> [SeizedClaim] {
        let claims = try await RescueStore.seize(
            worker: context.worker, dead: suspect, most: Self.claimsAtOnce, on: connection)
        guard !claims.isEmpty else { return [] }
        context.logger.warning(
            "took over from a dead worker",
            metadata: ["worker.dead": "\(suspect.id)", "claims": "\(claims.count)"])
        return claims
    }

    /// Looks after claims that no living worker holds, once a second, and after claims of this worker's own that it does
    /// not know, because the answer to a claim was lost.
    func sweepForever() async throws {
        // Soon at the start: a former life of this worker may have left something a moment ago.
        var isSuspicious = true
        var trouble = Trouble()
        while true {
            // While suspects are taken one at a time, the next should not wait for long.
            let wait = isSuspicious ? 0.05 : Double.random(in: 0.8...1.2)
            try await ConnectionThread.sleep(for: .seconds(wait))
            isSuspicious = false
            // Not while this worker itself may have been cut off.
            guard context.fence.isOpen else { continue }
            try await trouble.attempt("sweep failed", context.logger) { isSuspicious = try await sweep() }
        }
    }

    /// One sweep; true when it took a claim that workers may have died of.
    private func sweep() async throws -> Bool {
        let (claims, _) = try await context.takeIn { connection in
            try await RescueStore.seizeOrphans(worker: context.worker, most: Self.claimsAtOnce, on: connection)
        }
        try await context.acceptForgotten(olderThan: .seconds(5))
        return claims.contains { $0.rescues > 2 }
    }

    // MARK: Notifications and the doorbell

    private func hear(_ connection: Connection) async throws {
        let notifications = connection.notifications()
        // Whatever was written before this session listened rang for nobody here.
        cycle.ringForRetries()
        for await notification in notifications {
            switch notification.channel {
            case "postrider_wake":
                switch notification.payload {
                case "retries": cycle.ringForRetries()
                case "bell \(context.worker)": cycle.takeBell()
                case let payload where payload.hasPrefix("bell "): break
                default: cycle.ring()
                }
            case "postrider_routing": await context.routingKeeper.refresh(version: nil)
            default: break
            }
        }
    }

    private func tendBell(_ connection: Connection) async throws {
        var isHeld = false
        for await wish in context.bell.wishes() where wish != isHeld {
            isHeld = try await WorkerStore.setBell(held: wish, on: connection)
            // A producer that probed it in this very moment was in the way.
            for _ in 0..<Self.bellAttempts where wish && !isHeld {
                isHeld = try await WorkerStore.setBell(held: true, on: connection)
            }
            // Somebody may have found the bell held just before it was let go.
            if !isHeld { cycle.ring() }
        }
    }
}

/// Why a life of a worker ended before its time.
enum LifeEnd: Error {
    /// Others have taken over what it held: everything in memory is void.
    case declaredDead
    /// A pooler stands before Postgres where none did, or none any more, as after a failover: what may be asked of a connection
    /// is found out anew.
    case otherWay
}
