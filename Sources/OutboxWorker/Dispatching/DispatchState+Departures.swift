// Which deliveries go out, in whose turn, and what a rate or a batch holds back. Called by the dispatcher.

internal import Outbox
internal import OutboxStore

extension DispatchState {
    /// Takes the deliveries that may start now: one of each lane in turn, within the limits of lanes and of the whole.
    mutating func depart(at now: Int64) -> [Departure] {
        guard !isDraining else { return [] }
        var departures: [Departure] = []
        // A lane that cannot start now leaves the list; an exchange that ends, or a new delivery, lists it again.
        let most = maxInFlight + min(stalledFlights, maxInFlight)
        while inFlight < most, let id = turns.popFirst() {
            guard let place = lanes.place(of: id) else { continue }
            guard lanes.all[place].capacity(at: now) > 0, let delivery = lanes.all[place].start(at: now) else {
                lanes.all[place].isListed = false
                continue
            }
            turns.append(id, rank: lanes.all[place].destination.priority)
            waiting -= 1
            inFlight += 1
            departures.append(board(delivery, at: place, now))
        }
        return departures
    }

    private mutating func board(_ delivery: Delivery, at place: Int, _ now: Int64) -> Departure {
        let destination = lanes.all[place].destination
        let needsID = lanes.all[place].sendsDeliveryID
        let more = lanes.all[place].companions(of: delivery)
        waiting -= more.count
        riding += more.count
        let flight = Flight(
            delivery: delivery, more: more, isBatch: destination.batch != nil, url: destination.url.text,
            startedAt: now)
        return Departure(
            token: flights.board(flight), delivery: delivery, more: more, destination: destination,
            deliveryID: needsID ? DeliveryID.text(event: delivery.parcel.event.id, destination: destination.id) : "",
            route: destination.access == nil ? nil : routing.route(to: destination.id))
    }

    // MARK: Rates and batches

    /// The permits that lanes of destinations with a rate could use now.
    func ratesWanted(at now: Int64) -> [RateDemand] {
        timedLanes.isEmpty
            ? []
            : timedLanes.sorted().compactMap { id in
                guard let lane = lanes[id], let rate = lane.destination.options.rate else { return nil }
                let wanted = lane.permitsWanted(at: now)
                return wanted > 0 ? RateDemand(destination: id, wanted: Int32(wanted), rate: rate) : nil
            }
    }

    /// Takes permits that Postgres gave, and lists the lanes that have some.
    mutating func grant(_ grants: [RateGrant], at now: Int64) {
        for grant in grants {
            guard let place = lanes.place(of: grant.destination) else { continue }
            lanes.all[place].grant(Int(grant.permits), nextIn: grant.nextIn, at: now)
            list(grant.destination, at: place)
        }
    }

    /// When something that is held back may go; never, mostly.
    func nextTimed(at now: Int64) -> Int64 {
        timedLanes.reduce(Int64.max) { min($0, lanes[$1]?.nextTime(at: now) ?? .max) }
    }

    /// Lists the lanes whose time has come.
    mutating func listTimed(at now: Int64) {
        for id in timedLanes where lanes[id]?.nextTime(at: now) ?? .max <= now { list(id) }
    }
}
