// One life of a worker, from registration to farewell. Run by Worker, again after a death.

internal import HTTPExchange
internal import Logging
internal import OutboxStore
internal import Postgres
internal import Synchronization

/// The tasks of one life and their order of end.
struct Life: Sendable {
    private let context: LifeContext
    private let cycle: WorkCycle
    private let exchanger: Exchanger
    private let box: DispatcherBox

    /// Registers a worker and loads the destinations.
    ///
    /// - Parameter needsKeys: whether to refuse to begin when a secret is sealed with a key that this worker lacks.
    /// - Throws: `PostgresError`; `ExchangerError` when no exchanger can be made; ``SecretKeyError``.
    static func begin(
        _ settings: WorkerSettings, identity: WorkerIdentity, needsKeys: Bool, logger: Logger
    ) async throws -> Life {
        let links = try await Links.open(settings: settings, logger: logger)
        do {
            return try await begin(settings, links: links, identity: identity, needsKeys: needsKeys, logger: logger)
        } catch {
            await links.close()
            throw error
        }
    }

    private static func begin(
        _ settings: WorkerSettings, links: Links, identity: WorkerIdentity, needsKeys: Bool, logger: Logger
    ) async throws -> Life {
        let start = WorkerClock.now()
        let worker = try await links.aside { connection in
            try await WorkerStore.register(
                host: identity.host, processID: identity.processID, version: identity.version, on: connection)
        }
        links.register(worker: worker)
        var logger = logger
        logger[metadataKey: "worker.id"] = "\(worker)"
        let provenKeys = ProvenKeys()
        let keeper = RoutingKeeper(
            links: links, keys: settings.secretKeys, provenKeys: provenKeys, grants: settings.grants,
            fileAge: settings.fileAge, secretWarning: settings.secretWarning, logger: logger)
        let table: RoutingTable
        do {
            table = try await keeper.first(needsKeys: needsKeys)
        } catch let error as SecretKeyError {
            try await links.aside { try await WorkerStore.farewell(worker: worker, on: $0) }
            throw error
        }
        return try await Life(
            settings, links: links, worker: worker, fence: Fence(registeredAt: start), keeper: keeper,
            provenKeys: provenKeys, table: table, logger: logger)
    }

    private init(
        _ settings: WorkerSettings, links: Links, worker: Int64, fence: Fence, keeper: RoutingKeeper,
        provenKeys: ProvenKeys, table: RoutingTable, logger: Logger
    ) async throws {
        let signal = Signal()
        box = DispatcherBox()
        var exchanging = settings.exchanger
        // Requests from which nothing comes back hold a connection beside those of the others.
        exchanging.maxConnections = max(exchanging.maxConnections, 2 * settings.maxInFlight)
        let exchanger = try Exchanger(settings: exchanging) { [box] in box.dispatcher?.completed($0) }
        let transformer = Transformer()
        let dispatcher = Dispatcher(
            settings: settings, routing: table, fence: fence, send: { exchanger.submit($0) },
            transform: { transformer.take($0) },
            settled: { within in
                if within == 0 { return signal.raise() }
                signal.raise(by: WorkerClock.now() + within)
            })
        box.dispatcher = dispatcher
        await keeper.keep(dispatcher)
        context = LifeContext(
            worker: worker, settings: settings, links: links, dispatcher: dispatcher, routingKeeper: keeper,
            bell: Bell(), heavyLoader: HeavyLoader(), transformer: transformer, provenKeys: provenKeys, fence: fence,
            counts: { WorkerCounts(exchanger.counters) }, logger: logger)
        cycle = WorkCycle(context: context, signal: signal)
        self.exchanger = exchanger
    }

    /// Lives until ``stop()`` has been followed to its end.
    ///
    /// - Throws: ``LifeEnd`` when another life must begin; whatever made going on impossible.
    func run() async throws {
        // The exchanger is gone by then, and with the knot between them both would stay in memory.
        defer { box.dispatcher = nil }
        context.logger.info("worker started")
        do {
            try await runTasks()
        } catch {
            let holdsClaims = (error as? LifeEnd) == .otherWay
            if holdsClaims { await land() }
            await exchanger.shutdown()
            // What the server refused with a claim it may take by itself.
            if !(error is CancellationError) { await cycle.recordFacts(holdsClaims: holdsClaims) }
            if holdsClaims { await resign() }
            await context.links.close()
            throw error
        }
        await exchanger.shutdown()
        await sayGoodbye()
    }

    /// How long what is in flight may take to end when a life ends that has its claims yet; 500 ms, less when its lease ends.
    private static let landingTime: Int64 = 500_000
    /// How long a farewell is worth a try, and giving back; 1.5 s, as long as the lease that runs out without it.
    static let farewellTime = Duration.milliseconds(1_500)

    /// Starts nothing more, gives back what has not started, and lets end what ends soon: it need not be sent again.
    private func land() async {
        context.dispatcher.drain()
        // The old way may lead to a server that is not the primary any more, or nowhere.
        await context.links.abandonWork()
        guard context.dispatcher.gauge().inFlight > 0 else { return }
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await stayAlive() }
            let end = WorkerClock.now() + Self.landingTime
            while context.fence.isOpen, WorkerClock.now() < end, context.dispatcher.gauge().inFlight > 0 {
                do { try await Task.sleep(for: .milliseconds(10)) } catch { break }
            }
            group.cancelAll()
        }
    }

    /// Goes on with heartbeats by the new way. The sessions that held this worker's locks are gone: 300 ms after the last heartbeat
    /// others miss them, take over, and send again what is in flight.
    private func stayAlive() async {
        do {
            while true {
                let start = WorkerClock.now()
                let pulse = try await WorkerStore.heartbeat(
                    worker: context.worker, counts: context.counts(), within: Control.deadline,
                    on: context.links.lastWork())
                guard pulse.isAlive else { return context.fence.close() }
                context.fence.confirm(heartbeatStartedAt: start)
                try await Task.sleep(for: Control.interval)
            }
        } catch {
            // Landed, or nobody answers: the fence and the lease stand as the last heartbeat left them.
        }
    }

    /// Says farewell by the new way, so that what is left here is found by the next sweep, and not when the lease has run out.
    private func resign() async {
        do {
            try await context.links.lastWork(within: Self.farewellTime) { [context] connection in
                try await WorkerStore.farewell(worker: context.worker, counts: context.counts(), on: connection)
            }
        } catch {
            context.logger.warning("no farewell: the lease runs out instead", metadata: ["error": "\(error)"])
        }
    }

    /// Runs everything that a life consists of until the work cycle ends, or one of the others throws.
    private func runTasks() async throws {
        let control = Control(context: context, cycle: cycle)
        let companions: [@Sendable () async throws -> Void] = [
            { try await control.run() },
            { try await control.sweepForever() },
            { await context.heavyLoader.run(context) },
            { await context.transformer.run(context) },
            { try await Upkeep(context: context).run() },
            { try await BreakerKeeper(context: context, cycle: cycle).run() },
        ]
        try await withThrowingTaskGroup(of: Bool.self) { group in
            group.addTask {
                try await cycle.run()
                return true
            }
            for companion in companions {
                group.addTask {
                    try await companion()
                    return false
                }
            }
            defer { group.cancelAll() }
            while let isDone = try await group.next(), !isDone {}
        }
    }

    /// Claims nothing more, lets exchanges in flight end within the grace time, and gives back the rest.
    func stop() {
        context.logger.info("worker stopping", metadata: ["in_flight": "\(context.dispatcher.gauge().inFlight)"])
        context.dispatcher.drain()
        cycle.stop()
        let grace = context.settings.shutdownGrace
        // Outlives nothing: when the process ends before it, there was nothing left to cancel.
        Task { [exchanger] in
            try await Task.sleep(for: grace)
            exchanger.cancelAll()
        }
    }

    private func sayGoodbye() async {
        let counts = context.counts()
        do {
            try await context.links.aside { connection in
                try await WorkerStore.farewell(worker: context.worker, counts: counts, on: connection)
            }
        } catch {
            context.logger.warning("no farewell: the lease runs out instead", metadata: ["error": "\(error)"])
        }
        await context.links.close()
        context.logger.info(
            "worker stopped",
            metadata: [
                "requests": "\(counts.requests)", "connections.opened": "\(counts.connectionsOpened)",
                "connections.reused": "\(counts.connectionsReused)", "tls.handshakes": "\(counts.tlsHandshakes)",
                "tls.resumed": "\(counts.tlsResumed)",
            ])
    }
}

extension WorkerCounts {
    /// What is shown of an exchanger's counters.
    fileprivate init(_ counters: ExchangeCounters) {
        self.init()
        requests = counters.finished
        connectionsOpened = counters.connectionsOpened
        connectionsReused = counters.connectionsReused
        tlsHandshakes = counters.tlsHandshakes
        tlsResumed = counters.tlsSessionsReused
    }
}

/// Ties the knot between exchanger and dispatcher, each of which needs the other.
private final class DispatcherBox: Sendable {
    private let box = Mutex<Dispatcher?>(nil)

    var dispatcher: Dispatcher? {
        get { box.withLock { $0 } }
        set { box.withLock { $0 = newValue } }
    }
}
