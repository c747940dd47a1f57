// Keeps the destinations in memory as new as the claims. Asked by the work cycle before it routes, and told by
// notifications and heartbeats.

internal import Logging
internal import OutboxStore

/// Loads the routing when its version moves. An actor, so that two requests do not load it twice.
actor RoutingKeeper {
    private let links: Links
    private let logger: Logger
    private var version: Int64 = -1
    private var loadedAt = ContinuousClock.now
    private var dispatcher: Dispatcher?

    /// Secrets may expire without any change of a row; 60 s.
    static let longestAge = Duration.seconds(60)

    init(links: Links, logger: Logger) {
        self.links = links
        self.logger = logger
    }

    /// Loads the destinations and gives them to the dispatcher from now on.
    ///
    /// - Throws: `PostgresError`.
    func first() async throws -> RoutingTable { try await load() }

    /// The dispatcher to keep up to date.
    func keep(_ dispatcher: Dispatcher) { self.dispatcher = dispatcher }

    /// Makes sure that the dispatcher's routing is at least of a version.
    ///
    /// - Throws: `PostgresError`.
    func ensure(version wanted: Int64) async throws {
        let isOld = ContinuousClock.now - loadedAt > Self.longestAge
        guard version < wanted || isOld else { return }
        let table = try await load()
        dispatcher?.setRouting(table)
    }

    private func load() async throws -> RoutingTable {
        let routing = try await links.aside { connection in try await RoutingStore.load(on: connection) }
        version = max(version, routing.version)
        loadedAt = .now
        for fault in routing.faults where fault.wasActive {
            logger.error(
                "destination disabled: its row cannot be used",
                metadata: ["destination.id": "\(fault.destination)", "reason": "\(fault.reason)"])
            try await links.aside { connection in
                try await RoutingStore.disable(
                    destination: fault.destination, reason: fault.reason, on: connection)
            }
        }
        return RoutingTable(routing)
    }
}
