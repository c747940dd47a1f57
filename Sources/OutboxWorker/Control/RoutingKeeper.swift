// Keeps the destinations in memory as new as the claims. Asked by the work cycle before it routes, and told by
// notifications and heartbeats.

internal import Logging
internal import Outbox
internal import OutboxStore

/// Loads the routing when its version moves. An actor, so that two requests do not load it twice.
actor RoutingKeeper {
    private let links: Links
    private let keys: KeyRing?
    private let logger: Logger
    private var table: RoutingTable?
    private var loadedAt = ContinuousClock.now
    private var dispatcher: Dispatcher?
    private var isSealing = false
    /// What was told of secrets that do not open, so that it is told once and not with every load.
    private var toldFaults: Set<String> = []

    /// Secrets may expire without any change of a row; 60 s.
    static let longestAge = Duration.seconds(60)

    init(links: Links, keys: KeyRing?, logger: Logger) {
        self.links = links
        self.keys = keys
        self.logger = logger
    }

    /// Loads the destinations and gives them to the dispatcher from now on.
    ///
    /// - Parameter needsKeys: whether to refuse when a key is missing or is another one of the same name.
    /// - Throws: `PostgresError`; ``SecretKeyError``.
    func first(needsKeys: Bool) async throws -> RoutingTable {
        let (routing, table) = try await fetch()
        if needsKeys, let error = SecretKeyError(routing.census) { throw error }
        try await use(routing, table)
        return table
    }

    /// The dispatcher to keep up to date.
    func keep(_ dispatcher: Dispatcher) { self.dispatcher = dispatcher }

    /// Makes sure that the dispatcher's routing is at least of a version.
    ///
    /// - Throws: `PostgresError`.
    func ensure(version wanted: Int64) async throws {
        let isOld = ContinuousClock.now - loadedAt > Self.longestAge
        guard (table?.version ?? -1) < wanted || isOld else { return }
        let (routing, table) = try await fetch()
        try await use(routing, table)
        dispatcher?.setRouting(table)
    }

    /// Loads what has changed since the last time, or everything.
    ///
    /// Reading a hundred thousand destinations takes long: not on the thread on which heartbeats are answered.
    private func fetch() async throws -> (Routing, RoutingTable) {
        try await withTaskExecutorPreference(globalConcurrentExecutor) { [keys, links, table] in
            try await links.aside { connection in
                if let table,
                    let (ids, routing) = try await RoutingStore.loadChanges(
                        since: table.version, loadedAt: table.loadedAt, on: connection, keys: keys)
                {
                    return (routing, table.changed(routing, ids))
                }
                let routing = try await RoutingStore.load(on: connection, keys: keys)
                return (routing, RoutingTable(routing))
            }
        }
    }

    private func use(_ routing: Routing, _ table: RoutingTable) async throws {
        if table.version >= self.table?.version ?? -1 { self.table = table }
        loadedAt = .now
        tell(routing.faults.filter { $0.isLocal && $0.wasActive })
        if routing.census.plain > 0 { sealPlain() }
        for fault in routing.faults where fault.wasActive && !fault.isLocal {
            logger.error(
                "destination disabled: its row cannot be used",
                metadata: ["destination.id": "\(fault.destination)", "reason": "\(fault.reason)"])
            try await links.aside { connection in
                try await RoutingStore.disable(
                    destination: fault.destination, reason: fault.reason, on: connection)
            }
        }
    }

    // MARK: Secrets

    /// Logs what is left to other workers, each destination once; most ten of a load, since a missing key may be that of
    /// a hundred thousand.
    private func tell(_ faults: [Routing.Fault]) {
        let new = faults.filter { !toldFaults.contains("\($0.destination) \($0.reason)") }
        for fault in new.prefix(10) {
            logger.error(
                "deliveries wait for a worker that has the key",
                metadata: ["destination.id": "\(fault.destination)", "reason": "\(fault.reason)"])
        }
        if new.count > 10 {
            logger.error(
                "deliveries of more destinations wait", metadata: ["destinations": "\(new.count - 10)"])
        }
        toldFaults = Set(faults.map { "\($0.destination) \($0.reason)" })
    }

    /// Seals what stands readable: it came through plain SQL, or from before there were keys. Beside the road of events,
    /// since what was loaded signs as it is; what fails is tried again with the next load.
    private func sealPlain() {
        guard let keys, !isSealing else { return }
        isSealing = true
        Task {
            do {
                let done = try await links.aside { try await SecretStore.seal(.plain, with: keys, on: $0) }
                if done.sealed > 0 {
                    logger.info(
                        "sealed secrets that stood readable",
                        metadata: ["secrets": "\(done.sealed)", "key": "\(keys.first)"])
                }
            } catch {
                logger.warning("secrets not sealed", metadata: ["error": "\(error)"])
            }
            isSealing = false
        }
    }
}
