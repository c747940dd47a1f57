// Everything the dispatcher remembers, and its decisions. No locks, no I/O, no clock: the dispatcher brings those.

internal import DequeModule
internal import Outbox
internal import OutboxStore

/// The deliveries in memory: waiting in lanes, in flight, or settled and not yet recorded.
struct DispatchState: Sendable {
    /// So many lanes may stand without work before they are forgotten; 4,096.
    static let mostIdleLanes = 4096
    /// Deliveries to a destination whose secret this worker cannot open are due again for the others after this long.
    static let lockedDelay: Int64 = 1_000

    let maxInFlight: Int
    var routing: RoutingTable
    /// How often it was exchanged.
    var routingChanges = 0
    var lanes = LaneTable()
    /// Lanes that have work, in the order in which they get a turn.
    var turns = Ranked<Int32>()
    /// Lanes in which something waits for a permit of its rate or for the company of a batch.
    var timedLanes: Set<Int32> = []
    var flights = Flights()
    var openClaims = OpenClaims()
    var breakers = BreakerNews()
    var jitter = Jitter(seed: .random(in: .min ... .max))
    /// Requests in flight to destinations from which nothing comes back. They do not count against the others.
    var stalledFlights = 0
    /// What became of deliveries since it was last taken.
    var settlement = Settlement()
    /// When the first exchange ended of which it tells.
    var unrecordedSince: Int64?
    /// The finished claims of the settlement that was taken and is not confirmed.
    var beingRecorded: [Int64] = []
    /// Destinations to be disabled because their receivers said so.
    var disabled: [DisabledDestination] = []
    /// When retries that this worker made are due, in milliseconds from when they were made.
    var retryHints: [(destination: Int32, milliseconds: Int64)] = []
    /// Requests in flight.
    var inFlight = 0
    /// Deliveries that ride along in requests of batches, beside the first of each.
    var riding = 0
    var waiting = 0
    /// Deliveries that wait for their payload to be made.
    var transforming = 0
    /// Those of them that nobody has taken yet.
    var untransformed: [Delivery] = []
    /// Events that wait for somebody to load their payload, in order.
    var loads = Deque<HeavyLoad>()
    /// Events whose payload is being loaded.
    var loading = 0
    var payloadBytes = 0
    /// True when nothing more may start: the worker is stopping or is no longer sure of its lease.
    var isDraining = false

    init(maxInFlight: Int, routing: RoutingTable) {
        self.maxInFlight = maxInFlight
        self.routing = routing
    }

    /// Deliveries in memory that are not settled. An event whose payload is still to be loaded counts as one: without it a
    /// worker would see room for more, and take all there is.
    var outstanding: Int { inFlight + riding + waiting + transforming + loads.count + loading }

    /// Claims that are not finished.
    var openClaimCount: Int { openClaims.count }

    /// Claims that are not finished, or whose finish is not recorded.
    var knownClaims: [Int64] { openClaims.ids + settlement.finishedClaims + beingRecorded }

    // MARK: Work comes in

    /// Opens a claim whose work arrives by ``add(_:to:settled:now:)``; each opening is closed by ``close(claim:)``.
    mutating func open(claim: Int64, now: Int64) { openClaims.hold(claim, at: now) }

    /// Ends the hold of ``open(claim:now:)``; a claim without open deliveries is finished.
    mutating func close(claim: Int64) {
        if openClaims.unhold(claim) { settlement.finish(claim: claim) }
    }

    /// A delivery of a claim is settled or given back.
    mutating func leave(claim: Int64) {
        if openClaims.leave(claim) { settlement.finish(claim: claim) }
    }

    /// Puts an event's deliveries into the lanes of their destinations.
    mutating func add(_ work: Claim.Work, to claim: Int64, settled: Set<DeliveryKey>, now: Int64) {
        let deliveries = routing.deliveries(of: work, claim: claim, settled: settled, readsPayload: true)
        add(deliveries, now: now)
    }

    /// Puts deliveries into the lanes of their destinations.
    mutating func add(_ deliveries: [Delivery], now: Int64) {
        for delivery in deliveries { enqueue(delivery, now) }
    }

    /// Makes dead letters of an event's deliveries without sending them.
    mutating func bury(_ work: Claim.Work, in claim: Int64, settled: Set<DeliveryKey>, now: Int64) {
        for delivery in routing.deliveries(of: work, claim: claim, settled: settled, readsPayload: false) {
            let attempt = FinishedAttempt(
                event: work.event.id, destination: delivery.destination, number: delivery.attempt, duration: 0,
                endedAt: now, body: nil)
            settlement.fail(
                attempt, status: nil, failure: FailureClass.poison.rawValue,
                message: "\(RescueStore.mostRescues) workers died while they held it", next: .dead, claim: claim)
        }
    }

    /// Puts a delivery into its lane, aside while its payload is made, or back into Postgres.
    mutating func enqueue(_ delivery: Delivery, _ now: Int64) {
        let id = delivery.destination
        guard let destination = routing[id] else { return }
        let place = lanes.place(of: id) ?? openLane(destination)
        switch delivery.parcel.unready {
        case .erased: return drop(delivery, .erased, "not sent: the payload was erased", now)
        case .foreign:
            let reason = "not sent: the destination is of another organization or user now"
            return drop(delivery, .scope, reason, now)
        default: break
        }
        guard destination.isEnabled else { return snooze(delivery, rest(at: id)) }
        if isDraining { return snooze(delivery, .retry(afterMilliseconds: 0)) }
        if let wait = lanes.all[place].overflow(at: now) { return snooze(delivery, .retry(afterMilliseconds: wait)) }
        if let unready = delivery.parcel.unready { return setAside(delivery, unready, now) }
        lanes.all[place].append(delivery, at: now)
        waiting += 1
        payloadBytes += delivery.parcel.event.data.count
        openClaims.join(delivery.parcel.claim)
        list(id, at: place)
        if lanes.all[place].isTimed { timedLanes.insert(id) }
    }

    /// Makes the lane of a destination that has none, and gives its place.
    mutating func openLane(_ destination: Destination) -> Int {
        var lane = Lane(destination: destination, keptBytes: routing.keptBytes(of: destination.id))
        // News that could not be told yet are newer than the row.
        if !breakers.isUntold(destination.id), let row = breakers.rows[destination.id] {
            lane.learn(row, askedAt: breakers.askedAt)
        }
        return lanes.add(lane)
    }

    /// What becomes of deliveries to a destination that gets nothing: parked until it is active again, or, when only this
    /// worker lacks its key, left to the others.
    func rest(at id: Int32) -> NextStep {
        routing.locked.contains(id) ? .retry(afterMilliseconds: Self.lockedDelay) : .park
    }

    mutating func list(_ id: Int32) {
        if let place = lanes.place(of: id) { list(id, at: place) }
    }

    /// Gives a lane a turn, unless it waits for one already.
    mutating func list(_ id: Int32, at place: Int) {
        guard !lanes.all[place].isListed else { return }
        lanes.all[place].isListed = true
        turns.append(id, rank: lanes.all[place].destination.priority)
    }

    mutating func snooze(_ delivery: Delivery, _ next: NextStep) {
        settlement.snooze(
            event: delivery.parcel.event.id,
            target: Claim.Target(
                destination: delivery.destination, attempt: delivery.attempt, isReplay: delivery.isReplay),
            next: next, claim: delivery.parcel.claim)
        hint(delivery.destination, next)
    }

    mutating func hint(_ destination: Int32, _ next: NextStep) {
        // Of what is left to others this worker need not think again.
        guard !routing.locked.contains(destination) else { return }
        if case .retry(let milliseconds) = next { retryHints.append((destination, milliseconds)) }
    }
}

/// A destination whose receiver asked to be left alone.
struct DisabledDestination: Sendable {
    let destination: Int32
    let reason: String
    /// Where the receiver was asked, which may have been mended since.
    let url: String
}

/// What is known of an exchange that ended.
struct EndedExchange: Sendable {
    /// In microseconds.
    var duration: Int64
    /// Nil without an answer.
    var status: Int?
    var body: [UInt8]
    /// One line for people when it failed.
    var message: String
}
