// What is here: counters of an Exchanger, as a value to read and as the atomics behind it.
// Called by: the heartbeat of a worker, which shows them in webhook_workers, and tests; written by the loop alone.

import Synchronization

/// Counts since the exchanger was made, except the two that describe the moment.
public struct ExchangeCounters: Sendable, Hashable {
    /// Requests that were taken in, including those that failed at once.
    public var started = 0
    /// Exchanges that were handed back.
    public var finished = 0
    /// Requests that are neither waiting for a name nor finished, at this moment.
    public var inFlight = 0
    /// Sockets opened, each to be dialed once.
    public var connectionsOpened = 0
    /// Sockets open at this moment, idle ones included.
    public var connectionsOpen = 0
    /// Exchanges that used a connection already open.
    public var connectionsReused = 0
    /// Exchanges that made a TLS handshake.
    public var tlsHandshakes = 0
    /// Those of them that resumed an earlier session.
    public var tlsSessionsReused = 0
    /// Name lookups started.
    public var lookups = 0
    /// Addresses refused at the dial, behind the check of all answers: expected to stay 0.
    public var refusedAtDial = 0
}

/// The counters while they run. Relaxed: each is exact, a reading of several is not one instant.
final class RunningCounters: Sendable {
    let started = Atomic(0)
    let finished = Atomic(0)
    let inFlight = Atomic(0)
    let connectionsOpened = Atomic(0)
    let connectionsOpen = Atomic(0)
    let connectionsReused = Atomic(0)
    let tlsHandshakes = Atomic(0)
    let tlsSessionsReused = Atomic(0)
    let lookups = Atomic(0)
    let refusedAtDial = Atomic(0)

    /// The values now.
    var reading: ExchangeCounters {
        ExchangeCounters(
            started: started.load(ordering: .relaxed), finished: finished.load(ordering: .relaxed),
            inFlight: inFlight.load(ordering: .relaxed),
            connectionsOpened: connectionsOpened.load(ordering: .relaxed),
            connectionsOpen: connectionsOpen.load(ordering: .relaxed),
            connectionsReused: connectionsReused.load(ordering: .relaxed),
            tlsHandshakes: tlsHandshakes.load(ordering: .relaxed),
            tlsSessionsReused: tlsSessionsReused.load(ordering: .relaxed),
            lookups: lookups.load(ordering: .relaxed), refusedAtDial: refusedAtDial.load(ordering: .relaxed))
    }
}

extension Atomic where Value == Int {
    /// Adds without the bus lock of an atomic addition: the loop's thread is the only writer.
    func increment(by amount: Int = 1) {
        store(load(ordering: .relaxed) &+ amount, ordering: .relaxed)
    }
}
