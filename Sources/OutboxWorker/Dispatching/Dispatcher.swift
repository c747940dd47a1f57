// Sends deliveries and settles their outcomes. Fed by the work cycle, called back on the exchanger's thread; batches
// cross this border, single deliveries do not.

internal import HTTPExchange
internal import Outbox
internal import OutboxStore
internal import Synchronization

/// The dispatcher of one life of a worker. Any thread may call it; it never waits for I/O.
final class Dispatcher: Sendable {
    /// What every call works on; Dispatcher+Orders too.
    let state: Mutex<DispatchState>
    private let builder = Mutex(RequestBuilder())
    let fence: Fence
    private let allowsHTTP: Bool
    let maxOutstanding: Int
    let maxPayloadBytes: Int
    private let send: @Sendable ([Request]) -> Void
    private let transform: @Sendable ([Delivery]) -> [Delivery]
    let settled: @Sendable (_ within: Int64) -> Void

    /// Makes a dispatcher.
    ///
    /// - Parameters:
    ///   - settings: the limits.
    ///   - routing: the destinations as they are now.
    ///   - fence: whether a request may still be sent.
    ///   - send: hands requests to the exchanger; must not block.
    ///   - transform: takes deliveries whose payload a function makes, for ``transformed(_:)``, and gives back those that
    ///     should wait in Postgres; must not block.
    ///   - settled: called after outcomes came in, with the microseconds within which the work cycle should look; 0: at once.
    ///     Must not block.
    init(
        settings: WorkerSettings, routing: RoutingTable, fence: Fence,
        send: @escaping @Sendable ([Request]) -> Void, transform: @escaping @Sendable ([Delivery]) -> [Delivery],
        settled: @escaping @Sendable (_ within: Int64) -> Void
    ) {
        state = Mutex(DispatchState(maxInFlight: settings.maxInFlight, routing: routing))
        self.fence = fence
        allowsHTTP = settings.allowsHTTP
        maxOutstanding = settings.maxOutstanding
        maxPayloadBytes = settings.maxPayloadBytes
        self.send = send
        self.transform = transform
        self.settled = settled
    }

    /// Takes a claim: routes its events and starts what may start. What is heavy waits for ``takeLoad()``. One that too many
    /// workers died of becomes dead letters.
    func accept(_ claim: Claim, settled: Set<DeliveryKey> = []) {
        let now = WorkerClock.now()
        let isPoison = claim.rescues >= RescueStore.mostRescues
        let routed = isPoison ? nil : routed(claim, settled)
        let untransformed = state.withLock { state in
            state.open(claim: claim.id, now: now)
            for (index, work) in claim.work.enumerated() {
                if isPoison {
                    state.bury(work, in: claim.id, settled: settled, now: now)
                } else if work.isHeavy {
                    state.add(HeavyLoad(claim: claim.id, work: work, settled: settled), now: now)
                } else if let routed, routed.changes == state.routingChanges {
                    state.add(routed.deliveries[index], now: now)
                } else {
                    state.add(work, to: claim.id, settled: settled, now: now)
                }
            }
            state.close(claim: claim.id)
            return state.takeUntransformed()
        }
        if !untransformed.isEmpty {
            let refused = transform(untransformed)
            if !refused.isEmpty { transformed(refused.map { ($0, .later(Transformer.timeoutPause)) }) }
        }
        depart()
    }

    /// The deliveries of each event of a claim when payloads have to be read for them, which must not happen under the lock;
    /// nil when none is read.
    ///
    /// With them how often the routing had changed: a destination that has a transform by now must not get a payload that
    /// was made when it had none.
    private func routed(
        _ claim: Claim, _ settled: Set<DeliveryKey>
    ) -> (deliveries: [[Delivery]], changes: Int)? {
        let (routing, changes) = state.withLock { ($0.routing, $0.routingChanges) }
        guard routing.readsPayloads else { return nil }
        let deliveries = claim.work.map { work -> [Delivery] in
            guard !work.isHeavy else { return [] }
            return routing.deliveries(of: work, claim: claim.id, settled: settled, readsPayload: true)
        }
        return (deliveries, changes)
    }

    /// Goes on with deliveries whose payload was to be made.
    func transformed(_ results: [(delivery: Delivery, result: Transformed)]) {
        let now = WorkerClock.now()
        state.withLock { state in
            for (delivery, result) in results {
                state.transformed(delivery, result, random: Double.random(in: 0..<1), now: now)
            }
        }
        depart()
        settled(WorkCycle.flushDelay)
    }

    /// Whether routing an event may mean to read its payload.
    var readsPayloads: Bool { state.withLock { $0.routing.readsPayloads } }

    /// Whether nothing more may start.
    var isDraining: Bool { state.withLock { $0.isDraining } }

    /// Holds a claim for the caller alone, to be loaded; ``adopted(claim:)`` follows once it is accepted, or
    /// ``abandon(claim:)``.
    ///
    /// - Returns: false when the claim is known already: it must be left alone.
    func adopt(claim: Int64) -> Bool {
        let now = WorkerClock.now()
        return state.withLock { $0.adopt(claim: claim, now: now) }
    }

    /// Ends the hold of ``adopt(claim:)``: the claim has been accepted, and is open as long as something of it is.
    func adopted(claim: Int64) { state.withLock { $0.close(claim: claim) } }

    /// Ends the hold of ``adopt(claim:)`` for a claim that could not be loaded.
    func abandon(claim: Int64) { state.withLock { $0.abandon(claim: claim) } }

    /// Settles exchanges that ended, and starts what can start now. Called on the exchanger's thread.
    func completed(_ exchanges: [Exchange]) {
        Failpoint.afterSend.pass()
        let now = WorkerClock.now()
        let unixSeconds = WorkerClock.unixSeconds()
        let endings = exchanges.map { ($0.token, Outcome($0, unixSeconds: unixSeconds), EndedExchange($0)) }
        let within: Int64 = state.withLock { state in
            let before = (hasRoom: hasRoom(state), unrecorded: state.settlement.count)
            for (token, outcome, ended) in endings {
                let random = state.jitter.next()
                state.settle(token: token, outcome, ended, random: random, now: now)
            }
            // Told once, when it comes to that: a cycle that is woken for every answer takes a core from the others.
            let hasNewRoom = !before.hasRoom && hasRoom(state)
            let enough = WorkCycle.flushCount(outstanding: state.outstanding)
            let isEnough = before.unrecorded < enough && state.settlement.count >= enough
            let isUrgent = hasNewRoom || isEnough || state.isDraining
            guard !isUrgent else { return 0 }
            return WorkCycle.flushDelay(
                releasesOrder: state.settlement.releasesOrder, outstanding: state.outstanding)
        }
        depart()
        settled(within)
    }

    /// Whether a claim is worth it.
    private func hasRoom(_ state: DispatchState) -> Bool {
        Gauge.hasRoom(maxOutstanding - state.outstanding, outstanding: state.outstanding)
    }

    /// Starts what may start now.
    func depart() {
        guard fence.isOpen else { return }
        let departures = state.withLock { $0.depart(at: WorkerClock.now()) }
        guard !departures.isEmpty else { return }
        let unixSeconds = WorkerClock.unixSeconds()
        var requests: [Request] = []
        requests.reserveCapacity(departures.count)
        var refused: [(UInt64, String)] = []
        builder.withLock { builder in
            for departure in departures {
                do {
                    requests.append(try request(departure, &builder, unixSeconds))
                } catch {
                    refused.append((departure.token, "\(error)"))
                }
            }
        }
        if !requests.isEmpty {
            Failpoint.beforeSend.pass()
            send(requests)
        }
        if !refused.isEmpty { refuse(refused) }
    }

    private func request(
        _ departure: Departure, _ builder: inout RequestBuilder, _ unixSeconds: Int64
    ) throws -> Request {
        let destination = departure.destination
        let event = departure.delivery.parcel.event
        let prepared =
            destination.batch == nil
            ? try builder.request(
                event: event, destination: destination, deliveryID: departure.deliveryID,
                attempt: Int(departure.delivery.attempt), unixSeconds: unixSeconds)
            : try builder.batch(
                events: [event] + departure.more.map(\.parcel.event), destination: destination,
                deliveryID: departure.deliveryID, attempt: Int(departure.delivery.attempt), unixSeconds: unixSeconds)
        return Request(
            token: departure.token, url: destination.url.text, headers: prepared.headers, body: prepared.body,
            timeout: destination.timeout, responseLimit: destination.batch == nil ? 65_536 : 262_144,
            allowsHTTP: allowsHTTP, route: departure.route)
    }

    /// A request that cannot be built is an outcome like any other: recorded, and final.
    private func refuse(_ refused: [(token: UInt64, reason: String)]) {
        let now = WorkerClock.now()
        state.withLock { state in
            for (token, reason) in refused {
                let ended = EndedExchange(duration: 0, status: nil, body: [], message: reason)
                state.settle(token: token, .failed(.invalidRequest), ended, random: 0, now: now)
            }
        }
        settled(WorkCycle.flushDelay)
    }
}

extension EndedExchange {
    /// What is kept of an exchange.
    init(_ exchange: Exchange) {
        duration = Int64(exchange.timings.total)
        switch exchange.result {
        case .response(let response):
            status = response.status
            body = response.body
            message = (200...299).contains(response.status) ? "" : "the receiver answered \(response.status)"
        case .failure(let failure):
            status = exchange.partial?.status
            body = exchange.partial?.body ?? []
            message = failure.message
        }
    }
}
