// What the work cycle asks of the dispatcher's memory beside sending: recording, giving back, new routing.

internal import Outbox
internal import OutboxStore

extension DispatchState {
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
    mutating func takeDisabled() -> [DisabledDestination] {
        defer { disabled = [] }
        return disabled
    }

    /// Takes what the other workers should know of destinations; of a pause what is left of it.
    mutating func takeBreakerReports(at now: Int64) -> (failing: [BreakerReport], recovered: [Int32]) {
        var reports = breakers.take()
        for index in reports.failing.indices where reports.failing[index].pause > .zero {
            let left = (lanes[reports.failing[index].destination]?.askedUntil ?? now) - now
            reports.failing[index].pause = min(reports.failing[index].pause, .microseconds(max(0, left)))
        }
        return reports
    }

    /// Learns what Postgres knows of destinations that fail.
    ///
    /// - Parameters:
    ///   - rows: all there are; a destination without a row is well.
    ///   - askedAt: when Postgres was asked.
    /// - Returns: whether a destination may be probed, so that its retries should be fetched.
    mutating func learn(_ rows: [BreakerRow], askedAt: Int64) -> Bool {
        breakers.learn(rows, askedAt: askedAt)
        for place in lanes.all.indices {
            let id = lanes.all[place].destination.id
            let row = breakers.rows[id]
            // What could not be told yet is newer. A probe is this worker's all the same, where there is something to find out.
            if !breakers.isUntold(id) || (row?.mayProbe == true && !breakers.hasRecovered(id)) {
                lanes.all[place].learn(row, askedAt: askedAt)
            }
            if lanes.all[place].waiting > 0 { list(id, at: place) }
        }
        for row in rows where row.mayProbe && !lanes.contains(row.destination) {
            if let destination = routing[row.destination] { _ = openLane(destination) }
        }
        return rows.contains(where: \.mayProbe)
    }

    /// Gives back to Postgres what waits behind stalled or paused destinations, lists lanes whose pause has ended, and
    /// lets go of claims of which little is left.
    mutating func relieve(at now: Int64) {
        if isDraining { giveBackLoads() }
        if lanes.all.count > Self.mostIdleLanes { forgetIdleLanes(at: now) }
        stalledFlights = lanes.all.reduce(0) { $0 + ($1.isStalled(at: now) ? $1.inFlight : 0) }
        if waiting > 0 {
            for place in lanes.all.indices where lanes.all[place].waiting > 0 {
                let destination = lanes.all[place].destination
                let isGone = routing[destination.id] == nil
                giveBack(from: place, at: now, all: isDraining || !destination.isEnabled || isGone)
                if lanes.all[place].waiting > 0 { list(lanes.all[place].destination.id, at: place) }
            }
        }
        timedLanes = timedLanes.filter { lanes[$0]?.isTimed == true }
        releaseStragglers(at: now)
    }

    private mutating func giveBack(from place: Int, at now: Int64, all: Bool) {
        guard let wait = all ? 0 : lanes.all[place].overflow(at: now) else { return }
        let out = all ? lanes.all[place].takeAll() : lanes.all[place].relieve(at: now)
        giveBack(out, of: lanes.all[place].destination, afterMilliseconds: wait)
    }

    private mutating func giveBack(_ out: [Delivery], of destination: Destination, afterMilliseconds wait: Int64) {
        let id = destination.id
        waiting -= out.count
        for delivery in out {
            payloadBytes -= delivery.parcel.event.data.count
            // What waits for a deleted destination is given up, here as in Postgres.
            if routing[id] != nil {
                snooze(delivery, destination.isEnabled ? .retry(afterMilliseconds: wait) : rest(at: id))
            }
            leave(claim: delivery.parcel.claim)
        }
    }

    /// A claim whose last deliveries take long is cut down to these, so that little has to be looked through should this
    /// worker die.
    private mutating func releaseStragglers(at now: Int64) {
        let claims = openClaims.takeStragglers(at: now)
        guard !claims.isEmpty else { return }
        for delivery in flights.deliveries + lanes.all.flatMap(\.waitingDeliveries)
        where claims.contains(delivery.parcel.claim) {
            let target = Claim.Target(
                destination: delivery.destination, attempt: delivery.attempt, isReplay: delivery.isReplay)
            settlement.keep(event: delivery.parcel.event.id, target: target, claim: delivery.parcel.claim)
        }
    }

    /// How many retries of a destination could start soon; 0 for one that is inactive, paused, deleted or stalled.
    func retryRoom(of id: Int32, at now: Int64) -> Int {
        guard let destination = routing[id], destination.isEnabled else { return 0 }
        if let place = lanes.place(of: id) { return lanes.all[place].retryRoom(at: now) }
        // A row alone does not shut it: one of a pause that has passed, or of failures that open no breaker, stays until the
        // next success.
        if let row = breakers.rows[id], row.isOpen || row.pause > .zero { return 0 }
        return Breaker().limit(of: destination.maxConcurrency)
    }

    /// Exchanges the routing; lanes of changed destinations follow.
    mutating func setRouting(_ table: RoutingTable) {
        // Two loads may end in the wrong order.
        guard !table.isOlder(than: routing) else { return }
        routing = table
        routingChanges += 1
        for place in lanes.all.indices {
            let id = lanes.all[place].destination.id
            guard let destination = table[id] else { continue }
            let wasRouted = destination.isRouted(like: lanes.all[place].destination)
            if destination.isEnabled, !lanes.all[place].destination.isEnabled { breakers.begin(id) }
            lanes.all[place].destination = destination
            lanes.all[place].keptBytes = table.keptBytes(of: id)
            // Claimed again, what waits is filtered and made as the destination is now, or told to be for somebody else.
            if !wasRouted { giveBack(lanes.all[place].takeAll(), of: destination, afterMilliseconds: 0) }
            if lanes.all[place].isTimed { timedLanes.insert(id) }
        }
        // A pause that has passed is forgotten when there are too many lanes.
        lanes.keep { $0.hasWork || $0.isWorthKeeping(at: 0) && table[$0.destination.id] != nil }
    }

    /// Keeps lanes as many as destinations with work, not as destinations. A pause asked for by a receiver is kept too.
    private mutating func forgetIdleLanes(at now: Int64) {
        lanes.keep { $0.hasWork || $0.isWorthKeeping(at: now) }
    }
}
