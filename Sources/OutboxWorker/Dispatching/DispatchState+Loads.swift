// Events whose payload is still in Postgres: they count like deliveries and are given back like them. Called by the
// dispatcher.

internal import DequeModule
internal import Outbox
internal import OutboxStore

/// An event of a claim whose payload was left in Postgres because it is large.
struct HeavyLoad: Sendable {
    let claim: Int64
    let work: Claim.Work
    /// Deliveries of it that are not made.
    let settled: Set<DeliveryKey>
}

extension DispatchState {
    /// A payload that could not be loaded is due again after this long, in milliseconds; 60 s. Each round of attempts holds
    /// up the other large payloads.
    static let unloadedDelay: Int64 = 60_000

    /// Whether an event waits for somebody to load its payload.
    var hasLoads: Bool { !loads.isEmpty }

    /// Keeps an event of a claim that is open until its payload is loaded, with the claim held, or gives it back.
    mutating func add(_ load: HeavyLoad, now: Int64) {
        guard !isDraining else { return snooze(load, afterMilliseconds: 0) }
        open(claim: load.claim, now: now)
        loads.append(load)
    }

    /// Takes the next event whose payload should be loaded; ``endLoad(_:)`` or ``giveBack(_:afterMilliseconds:)`` follows.
    ///
    /// - Parameters:
    ///   - maxOutstanding: no more when so many deliveries are in memory. What is still to be loaded does not count here:
    ///     it would wait for itself.
    ///   - maxPayloadBytes: no more when their payloads take so much.
    mutating func takeLoad(maxOutstanding: Int, maxPayloadBytes: Int) -> HeavyLoad? {
        let loaded = outstanding - loads.count - loading
        guard !isDraining, loaded < maxOutstanding, payloadBytes < maxPayloadBytes, let load = loads.popFirst() else {
            return nil
        }
        loading += 1
        return load
    }

    /// The deliveries of an event that was taken are in their lanes, or there is nothing to deliver.
    mutating func endLoad(_ load: HeavyLoad) {
        loading -= 1
        close(claim: load.claim)
    }

    /// Puts an event that was taken back into Postgres, unread.
    mutating func giveBack(_ load: HeavyLoad, afterMilliseconds wait: Int64) {
        snooze(load, afterMilliseconds: wait)
        endLoad(load)
    }

    /// Puts everything that nobody has taken back into Postgres, unread.
    mutating func giveBackLoads() {
        let all = loads
        loads.removeAll()
        for load in all {
            snooze(load, afterMilliseconds: 0)
            close(claim: load.claim)
        }
    }

    /// Filters are asked when somebody has read the payload (``RoutingTable/deliveries(of:claim:settled:readsPayload:)``).
    private mutating func snooze(_ load: HeavyLoad, afterMilliseconds wait: Int64) {
        let deliveries = routing.deliveries(
            of: load.work, claim: load.claim, settled: load.settled, readsPayload: false)
        for delivery in deliveries {
            let isEnabled = routing[delivery.destination]?.isEnabled == true
            snooze(delivery, isEnabled ? .retry(afterMilliseconds: wait) : rest(at: delivery.destination))
        }
    }
}
