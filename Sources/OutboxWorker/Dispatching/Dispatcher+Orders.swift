// What the work cycle asks of the dispatcher and tells it, between claims.

internal import Outbox
internal import OutboxStore
internal import Synchronization

extension Dispatcher {
    /// A look at the numbers.
    struct Gauge: Sendable {
        /// How many more deliveries may be claimed.
        var room: Int
        var inFlight: Int
        var outstanding: Int
        /// Attempts and snoozes that wait to be recorded.
        var unrecorded: Int
        /// Since when the first of them waits; nil when there is none, or when it stems from no exchange.
        var unrecordedSince: Int64?
        /// True when something waits to be written, finished claims included.
        var hasSettlement: Bool
        /// True when attempts wait to be recorded.
        var hasAttempts: Bool
        /// True when something waits behind what is to be recorded.
        var releasesOrder: Bool
        var openClaims: Int
        /// When something goes that a rate or a batch holds back; never, mostly.
        var nextTimed: Int64

        /// Whether a claim is worth it: there is room for many, or so little in memory that a few count.
        var hasRoom: Bool { Self.hasRoom(room, outstanding: outstanding) }

        /// The same, of numbers.
        static func hasRoom(_ room: Int, outstanding: Int) -> Bool {
            room > 0 && (room >= WorkCycle.smallestClaim || outstanding < WorkCycle.smallestClaim)
        }
    }

    /// The numbers as they are now.
    func gauge() -> Gauge {
        state.withLock { state in
            let isFull = state.payloadBytes >= maxPayloadBytes
            return Gauge(
                room: isFull ? 0 : max(0, maxOutstanding - state.outstanding), inFlight: state.inFlight,
                outstanding: state.outstanding, unrecorded: state.settlement.count,
                unrecordedSince: state.unrecordedSince,
                hasSettlement: !state.settlement.isEmpty, hasAttempts: state.settlement.hasAttempts,
                releasesOrder: state.settlement.releasesOrder, openClaims: state.openClaimCount,
                nextTimed: state.timedLanes.isEmpty ? .max : state.nextTimed(at: WorkerClock.now()))
        }
    }

    /// Takes everything that is to be recorded; ``recorded()`` follows before the next.
    func takeSettlement() -> Settlement { state.withLock { $0.takeSettlement() } }

    /// What was taken is in the database.
    func recorded() { state.withLock { $0.recorded() } }

    /// Takes the due times of retries made since the last call, in milliseconds from then.
    func takeRetryHints() -> [(destination: Int32, milliseconds: Int64)] { state.withLock { $0.takeRetryHints() } }

    /// Takes the destinations to be disabled.
    func takeDisabled() -> [DisabledDestination] { state.withLock { $0.takeDisabled() } }

    /// The claims in memory: adopted and open ones, and finished ones whose finish is not confirmed.
    func knownClaims() -> [Int64] { state.withLock { $0.knownClaims } }

    /// How many retries of each destination could start soon.
    func retryRoom(of destinations: [Int32]) -> [Int] {
        let now = WorkerClock.now()
        return state.withLock { state in destinations.map { state.retryRoom(of: $0, at: now) } }
    }

    /// The destinations whose deliveries are left to other workers.
    var locked: Set<Int32> { state.withLock { $0.routing.locked } }

    /// Takes what the other workers should know of destinations.
    func takeBreakerReports() -> (failing: [BreakerReport], recovered: [Int32]) {
        let now = WorkerClock.now()
        return state.withLock { $0.takeBreakerReports(at: now) }
    }

    /// Takes back what ``takeBreakerReports()`` gave and could not be told.
    func giveBack(_ failing: [BreakerReport], _ recovered: [Int32]) {
        state.withLock { $0.breakers.giveBack(failing, recovered) }
    }

    /// Learns what Postgres knows of destinations that fail, and starts what may start.
    ///
    /// - Returns: whether a destination may be probed, so that its retries should be fetched.
    func learn(_ rows: [BreakerRow], askedAt: Int64) -> Bool {
        let mayProbe = state.withLock { $0.learn(rows, askedAt: askedAt) }
        depart()
        return mayProbe
    }

    /// The permits that could be used now of destinations with a rate.
    func ratesWanted() -> [RateDemand] { state.withLock { $0.ratesWanted(at: WorkerClock.now()) } }

    /// Takes permits that Postgres gave, and starts what may start.
    func grant(_ grants: [RateGrant]) {
        state.withLock { $0.grant(grants, at: WorkerClock.now()) }
        depart()
    }

    /// Starts what a batch or a rate has held back until now.
    func departTimed() {
        state.withLock { $0.listTimed(at: WorkerClock.now()) }
        depart()
    }

    // MARK: Large payloads

    /// Takes the next event whose payload should be loaded; nil when there is none, or no room, or when nothing may start.
    func takeLoad() -> HeavyLoad? {
        guard fence.isOpen else { return nil }
        return state.withLock { $0.takeLoad(maxOutstanding: maxOutstanding, maxPayloadBytes: maxPayloadBytes) }
    }

    /// Whether an event waits for its payload.
    var hasLoads: Bool { state.withLock { $0.hasLoads } }

    /// What was taken has been handed in by ``accept(_:settled:)``, or its event is gone.
    func endLoad(_ load: HeavyLoad) {
        let isDraining = state.withLock { state in
            state.endLoad(load)
            return state.isDraining
        }
        settled(isDraining ? 0 : WorkCycle.flushDelay)
    }

    /// What was taken goes back to Postgres: at once when nothing more may start, else later, because it cannot be loaded.
    func giveBack(_ load: HeavyLoad) {
        state.withLock { state in
            state.giveBack(load, afterMilliseconds: state.isDraining ? 0 : DispatchState.unloadedDelay)
        }
        settled(0)
    }

    /// Whether a destination keeps order.
    var keepsOrder: Bool { state.withLock { $0.routing.keepsOrder } }

    /// Gives back what waits behind stalled or paused destinations and starts what may start.
    func relieve() {
        state.withLock { $0.relieve(at: WorkerClock.now()) }
        depart()
    }

    /// Starts nothing more, and gives back everything that has not started.
    func drain() {
        state.withLock { state in
            state.isDraining = true
            state.relieve(at: WorkerClock.now())
        }
        settled(0)
    }

    /// The version of the routing in use.
    var routingVersion: Int64 { state.withLock { $0.routing.version } }

    /// Exchanges the routing.
    func setRouting(_ table: RoutingTable) { state.withLock { $0.setRouting(table) } }
}
