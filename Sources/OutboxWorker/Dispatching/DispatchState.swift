// Everything the dispatcher remembers, and its decisions. No locks, no I/O, no clock: the dispatcher brings those.

internal import DequeModule
internal import Outbox
internal import OutboxStore

/// The deliveries in memory: waiting in lanes, in flight, or settled and not yet recorded.
struct DispatchState: Sendable {
    /// A delivery in flight.
    struct Flight: Sendable {
        let delivery: Delivery
        let deliveryID: String
    }

    /// A delivery that may start now.
    struct Departure: Sendable {
        let token: UInt64
        let delivery: Delivery
        let destination: Destination
        let deliveryID: String
    }

    /// So many lanes may stand without work before they are forgotten; 4,096.
    static let mostIdleLanes = 4096
    /// Deliveries to a destination whose secret this worker cannot open are due again for the others after this long.
    static let lockedDelay: Int64 = 1_000

    private let maxInFlight: Int
    private(set) var routing: RoutingTable
    private var lanes: [Int32: Lane] = [:]
    /// Lanes that have work, in the order in which they get a turn.
    private var turns = Deque<Int32>()
    private var flights: [Flight?] = []
    private var freeTokens: [UInt64] = []
    private var openClaims = OpenClaims()
    /// What Postgres last said of destinations that fail, and when it was asked.
    private var breakers: [Int32: BreakerRow] = [:]
    private var breakersAskedAt: Int64 = .min
    private var reports: [Int32: BreakerReport] = [:]
    private var recoveries: Set<Int32> = []
    /// Requests in flight to destinations from which nothing comes back. They do not count against the others.
    private var stalledFlights = 0
    /// What became of deliveries since it was last taken.
    private(set) var settlement = Settlement()
    /// When the first exchange ended of which it tells.
    private(set) var unrecordedSince: Int64?
    /// The finished claims of the settlement that was taken and is not confirmed.
    private var beingRecorded: [Int64] = []
    /// Destinations to be disabled because their receivers said so, with the reason.
    private(set) var disabled: [(destination: Int32, reason: String)] = []
    /// When retries that this worker made are due, in milliseconds from when they were made.
    private(set) var retryHints: [(destination: Int32, milliseconds: Int64)] = []
    private(set) var inFlight = 0
    private(set) var waiting = 0
    private(set) var payloadBytes = 0
    /// True when nothing more may start: the worker is stopping or is no longer sure of its lease.
    var isDraining = false

    init(maxInFlight: Int, routing: RoutingTable) {
        self.maxInFlight = maxInFlight
        self.routing = routing
    }

    /// Deliveries in memory that are not settled.
    var outstanding: Int { inFlight + waiting }

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
    private mutating func leave(claim: Int64) {
        if openClaims.leave(claim) { settlement.finish(claim: claim) }
    }

    /// Puts an event's deliveries into the lanes of their destinations.
    mutating func add(_ work: Claim.Work, to claim: Int64, settled: Set<DeliveryKey>, now: Int64) {
        for delivery in deliveries(of: work, claim: claim, settled: settled) { enqueue(delivery, now) }
    }

    /// Makes dead letters of an event's deliveries without sending them.
    mutating func bury(_ work: Claim.Work, in claim: Int64, settled: Set<DeliveryKey>, now: Int64) {
        for delivery in deliveries(of: work, claim: claim, settled: settled) {
            let attempt = FinishedAttempt(
                event: work.event.id, destination: delivery.destination, number: delivery.attempt, duration: 0,
                endedAt: now, body: nil)
            settlement.fail(
                attempt, status: nil, failure: FailureClass.poison.rawValue,
                message: "\(RescueStore.mostRescues) workers died while they held it", next: .dead, claim: claim)
        }
    }

    /// The deliveries of one event that are still to be made.
    private func deliveries(of work: Claim.Work, claim: Int64, settled: Set<DeliveryKey>) -> [Delivery] {
        let parcel = Parcel(event: work.event, claim: claim)
        if let target = work.target {
            // A destination that was deleted meanwhile gets nothing more.
            guard let destination = routing[target.destination] else { return [] }
            return [Delivery(parcel: parcel, destination: destination.id, attempt: target.attempt)]
        }
        return routing.destinations(for: work.event).lazy.map(\.id)
            .filter { settled.isEmpty || !settled.contains(DeliveryKey(event: work.event.id, destination: $0)) }
            .map { Delivery(parcel: parcel, destination: $0, attempt: 1) }
    }

    private mutating func enqueue(_ delivery: Delivery, _ now: Int64) {
        let id = delivery.destination
        guard let destination = routing[id] else { return }
        if lanes[id] == nil { openLane(destination) }
        guard destination.isEnabled else { return snooze(delivery, rest(at: id)) }
        if isDraining { return snooze(delivery, .retry(afterMilliseconds: 0)) }
        if let wait = lanes[id]?.overflow(at: now) { return snooze(delivery, .retry(afterMilliseconds: wait)) }
        lanes[id]?.append(delivery)
        waiting += 1
        payloadBytes += delivery.parcel.event.data.count
        openClaims.join(delivery.parcel.claim)
        list(id)
    }

    private mutating func openLane(_ destination: Destination) {
        var lane = Lane(destination: destination, keptBytes: routing.keptBytes(of: destination.id))
        if let row = breakers[destination.id] { lane.learn(row, askedAt: breakersAskedAt) }
        lanes[destination.id] = lane
    }

    /// What becomes of deliveries to a destination that gets nothing: parked until it is active again, or, when only this
    /// worker lacks its key, left to the others.
    private func rest(at id: Int32) -> NextStep {
        routing.locked.contains(id) ? .retry(afterMilliseconds: Self.lockedDelay) : .park
    }

    private mutating func list(_ id: Int32) {
        guard lanes[id]?.isListed == false else { return }
        lanes[id]?.isListed = true
        turns.append(id)
    }

    private mutating func snooze(_ delivery: Delivery, _ next: NextStep) {
        settlement.snooze(
            event: delivery.parcel.event.id,
            target: Claim.Target(destination: delivery.destination, attempt: delivery.attempt), next: next,
            claim: delivery.parcel.claim)
        hint(delivery.destination, next)
    }

    private mutating func hint(_ destination: Int32, _ next: NextStep) {
        // Of what is left to others this worker need not think again.
        guard !routing.locked.contains(destination) else { return }
        if case .retry(let milliseconds) = next { retryHints.append((destination, milliseconds)) }
    }

    // MARK: Work goes out

    /// Takes the deliveries that may start now: one of each lane in turn, within the limits of lanes and of the whole.
    mutating func depart(at now: Int64) -> [Departure] {
        guard !isDraining else { return [] }
        var departures: [Departure] = []
        // A lane that cannot start now leaves the list; an exchange that ends, or a new delivery, lists it again.
        let most = maxInFlight + min(stalledFlights, maxInFlight)
        while inFlight < most, let id = turns.popFirst() {
            guard lanes[id]?.capacity(at: now) ?? 0 > 0, let delivery = lanes[id]?.start(at: now),
                let destination = lanes[id]?.destination
            else {
                lanes[id]?.isListed = false
                continue
            }
            turns.append(id)
            waiting -= 1
            inFlight += 1
            departures.append(board(delivery, destination, needsID: lanes[id]?.sendsDeliveryID == true))
        }
        return departures
    }

    private mutating func board(_ delivery: Delivery, _ destination: Destination, needsID: Bool) -> Departure {
        let deliveryID = needsID ? DeliveryID.text(event: delivery.parcel.event.id, destination: destination.id) : ""
        let flight = Flight(delivery: delivery, deliveryID: deliveryID)
        let token: UInt64
        if let free = freeTokens.popLast() {
            token = free
            flights[Int(token)] = flight
        } else {
            token = UInt64(flights.count)
            flights.append(flight)
        }
        return Departure(token: token, delivery: delivery, destination: destination, deliveryID: deliveryID)
    }

    // MARK: Outcomes come back

    /// Settles the delivery that was in flight under a token.
    ///
    /// - Parameters:
    ///   - token: from ``depart(at:)``.
    ///   - outcome: what came of it.
    ///   - attempt: what is recorded; its event, destination and number are filled in here.
    ///   - random: 0 ..< 1, for the jitter of a retry.
    mutating func settle(token: UInt64, _ outcome: Outcome, _ ended: EndedExchange, random: Double, now: Int64) {
        guard token < flights.count, let flight = flights[Int(token)] else { return }
        flights[Int(token)] = nil
        freeTokens.append(token)
        inFlight -= 1
        unrecordedSince = unrecordedSince ?? now
        let delivery = flight.delivery
        payloadBytes -= delivery.parcel.event.data.count
        let id = delivery.destination
        lanes[id]?.end(duration: ended.duration, at: now)
        if lanes[id]?.waiting ?? 0 > 0 { list(id) }
        guard let lane = lanes[id] else { return }
        let verdict = Verdict.judge(
            outcome, destination: lane.destination, attempt: Int(delivery.attempt), random: random,
            duration: .microseconds(ended.duration))
        report(verdict, of: id, now)
        apply(verdict, to: delivery, ended, kept: lane.keptBytes, now: now)
        leave(claim: delivery.parcel.claim)
    }

    private mutating func report(_ verdict: Verdict, of id: Int32, _ now: Int64) {
        let report = lanes[id]?.judge(verdict, at: now)
        let pause = verdict.pausesDestination ?? .zero
        if report == .recovered {
            reports[id] = nil
            recoveries.insert(id)
        } else if report != nil || pause > .zero {
            recoveries.remove(id)
            let opens = report == .opened || reports[id]?.opens == true
            let since = lanes[id]?.breaker.failingSince ?? now
            reports[id] = BreakerReport(
                destination: id, opens: opens, pause: pause, failingFor: .microseconds(now - since),
                failure: verdict.failure?.rawValue)
        }
    }

    private mutating func apply(
        _ verdict: Verdict, to delivery: Delivery, _ ended: EndedExchange, kept: Int, now: Int64
    ) {
        let attempt = FinishedAttempt(
            event: delivery.parcel.event.id, destination: delivery.destination, number: delivery.attempt,
            duration: Int32(clamping: ended.duration), endedAt: now,
            body: AnswerBody.kept(ended.body, limit: kept))
        if let pause = verdict.pausesDestination {
            lanes[delivery.destination]?.pause(until: now + pause.microseconds)
        }
        if verdict.disablesDestination {
            disabled.append((delivery.destination, verdict.failure?.rawValue ?? "disabled by receiver"))
        }
        let next: NextStep
        switch verdict.action {
        case .delivered:
            settlement.touch(claim: delivery.parcel.claim)
            return settlement.deliver(attempt, status: Int16(clamping: ended.status ?? 0))
        case .retry(let delay): next = .retry(afterMilliseconds: delay.millisecondsRoundedUp)
        case .park: next = .park
        case .dead: next = .dead
        }
        hint(delivery.destination, next)
        settlement.fail(
            attempt, status: ended.status.map { Int16(clamping: $0) },
            failure: verdict.failure?.rawValue ?? "unknown", message: ended.message, next: next,
            claim: delivery.parcel.claim)
    }

    // MARK: Upkeep

    /// Takes what is to be recorded, and what was learnt beside it.
    mutating func takeSettlement() -> Settlement {
        defer {
            settlement = Settlement()
            unrecordedSince = nil
        }
        beingRecorded = settlement.finishedClaims
        return settlement
    }

    /// What was taken last is recorded.
    mutating func recorded() { beingRecorded = [] }

    /// Takes the due times of retries made since the last call.
    mutating func takeRetryHints() -> [(destination: Int32, milliseconds: Int64)] {
        defer { retryHints.removeAll(keepingCapacity: true) }
        return retryHints
    }

    /// Takes the destinations whose receivers asked to be left alone.
    mutating func takeDisabled() -> [(destination: Int32, reason: String)] {
        defer { disabled = [] }
        return disabled
    }

    /// Takes what the other workers should know of destinations: those that fail and those that work again.
    mutating func takeBreakerReports() -> (failing: [BreakerReport], recovered: [Int32]) {
        defer {
            reports = [:]
            recoveries = []
        }
        return (Array(reports.values), Array(recoveries))
    }

    /// Learns what Postgres knows of destinations that fail.
    ///
    /// - Parameters:
    ///   - rows: all there are; a destination without a row is well.
    ///   - askedAt: when Postgres was asked.
    /// - Returns: whether a destination may be probed, so that its retries should be fetched.
    mutating func learn(_ rows: [BreakerRow], askedAt: Int64) -> Bool {
        breakers = Dictionary(rows.map { ($0.destination, $0) }) { $1 }
        breakersAskedAt = askedAt
        for id in lanes.keys {
            lanes[id]?.learn(breakers[id], askedAt: askedAt)
            if lanes[id]?.waiting ?? 0 > 0 { list(id) }
        }
        for row in rows where row.mayProbe && lanes[row.destination] == nil {
            if let destination = routing[row.destination] { openLane(destination) }
        }
        return rows.contains(where: \.mayProbe)
    }

    /// Gives back to Postgres what waits behind stalled or paused destinations, lists lanes whose pause has ended, and
    /// lets go of claims of which little is left.
    mutating func relieve(at now: Int64) {
        if lanes.count > Self.mostIdleLanes { forgetIdleLanes() }
        stalledFlights = lanes.values.reduce(0) { $0 + ($1.isStalled(at: now) ? $1.inFlight : 0) }
        if waiting > 0 {
            for id in lanes.keys where lanes[id]?.waiting ?? 0 > 0 {
                giveBack(from: id, at: now, all: isDraining || lanes[id]?.destination.isEnabled == false)
                if lanes[id]?.waiting ?? 0 > 0 { list(id) }
            }
        }
        releaseStragglers(at: now)
    }

    private mutating func giveBack(from id: Int32, at now: Int64, all: Bool) {
        guard let wait = all ? 0 : lanes[id]?.overflow(at: now), let out = lanes[id]?.relieve(at: now, all: all)
        else { return }
        let isEnabled = lanes[id]?.destination.isEnabled == true
        waiting -= out.count
        for delivery in out {
            payloadBytes -= delivery.parcel.event.data.count
            snooze(delivery, isEnabled ? .retry(afterMilliseconds: wait) : rest(at: id))
            leave(claim: delivery.parcel.claim)
        }
    }

    /// A claim whose last deliveries take long is cut down to these, so that little has to be looked through should this
    /// worker die.
    private mutating func releaseStragglers(at now: Int64) {
        let claims = openClaims.takeStragglers(at: now)
        guard !claims.isEmpty else { return }
        for delivery in flights.lazy.compactMap({ $0?.delivery }) + lanes.values.flatMap(\.waitingDeliveries)
        where claims.contains(delivery.parcel.claim) {
            let target = Claim.Target(destination: delivery.destination, attempt: delivery.attempt)
            settlement.keep(event: delivery.parcel.event.id, target: target, claim: delivery.parcel.claim)
        }
    }

    /// How many retries of a destination could start soon; 0 for one that is inactive, paused, deleted or stalled.
    func retryRoom(of id: Int32, at now: Int64) -> Int {
        guard let destination = routing[id], destination.isEnabled else { return 0 }
        if let lane = lanes[id] { return lane.retryRoom(at: now) }
        return breakers[id] == nil ? Breaker().limit(of: destination.maxConcurrency) : 0
    }

    /// Exchanges the routing; lanes of changed destinations follow.
    mutating func setRouting(_ table: RoutingTable) {
        // Two loads may end in the wrong order.
        guard table.version >= routing.version else { return }
        routing = table
        for id in lanes.keys {
            guard let destination = table[id] else { continue }
            lanes[id]?.destination = destination
            lanes[id]?.keptBytes = table.keptBytes(of: id)
        }
        forgetIdleLanes()
    }

    /// Keeps lanes as many as destinations with work, not as destinations. A pause asked for by a receiver is kept too.
    private mutating func forgetIdleLanes() {
        lanes = lanes.filter { $0.value.isInUse }
    }
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
