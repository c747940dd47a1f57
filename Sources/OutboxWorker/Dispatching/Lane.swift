// What waits for one destination and what is in flight to it. Pure: times come in as arguments, in microseconds.

internal import DequeModule
internal import Outbox

/// The lane of one destination. It decides how much may be in flight and when waiting work is better given back to
/// Postgres, so that a slow or dead destination takes neither connections nor memory from the others.
struct Lane: Sendable {
    /// The destination as it is now.
    var destination: Destination
    /// Bytes of an answer's body kept with the attempt.
    var keptBytes: Int
    /// True when the profile sends the delivery's id, which costs a hash.
    let sendsDeliveryID: Bool
    /// Deliveries that wait, in order.
    private(set) var waiting = Deque<Delivery>()
    /// Requests in flight.
    private(set) var inFlight = 0
    /// True while the lane stands in the dispatcher's list of lanes with work.
    var isListed = false
    /// Nothing is sent before this time, because the receiver asked for a pause.
    private(set) var pausedUntil: Int64 = 0
    /// A smoothed duration of exchanges; 0 before the first ended.
    private var typicalDuration: Int64 = 0
    /// When an exchange last ended, or when the first of those in flight began.
    private var lastProgress: Int64 = 0

    /// After this long without any exchange ending, a destination counts as stalled; 1 s.
    static let stallLimit: Int64 = 1_000_000
    /// How many exchanges a stalled destination may have in flight.
    static let stalledConcurrency = 4
    /// Work that would wait longer than this goes back to Postgres; 1 s.
    static let patience: Int64 = 1_000_000

    init(destination: Destination, keptBytes: Int) {
        self.destination = destination
        self.keptBytes = keptBytes
        sendsDeliveryID =
            destination.profile.headers.contains { $0.contains("{delivery.id}") }
            || destination.profile.signature?.signs.contains("{delivery.id}") == true
    }

    /// Whether forgetting the lane would forget something that matters.
    var isInUse: Bool { !waiting.isEmpty || inFlight > 0 || isListed || pausedUntil > 0 }

    /// How long the lane has been without progress.
    func stall(at now: Int64) -> Int64 { inFlight == 0 ? 0 : max(0, now - lastProgress) }

    /// How many more requests may start now.
    func capacity(at now: Int64) -> Int {
        guard now >= pausedUntil, destination.isEnabled else { return 0 }
        let isStalled = stall(at: now) > Self.stallLimit
        let limit = isStalled ? min(destination.maxConcurrency, Self.stalledConcurrency) : destination.maxConcurrency
        return max(0, limit - inFlight)
    }

    /// How long a delivery that joins now would wait, as far as the past tells.
    func expectedWait(at now: Int64) -> Int64 {
        if now < pausedUntil { return pausedUntil - now }
        let each = max(typicalDuration, stall(at: now))
        return Int64(waiting.count) * each / Int64(max(1, destination.maxConcurrency))
    }

    /// Whether work that arrives now should go back to Postgres, and for how many milliseconds.
    func overflow(at now: Int64) -> Int64? {
        if now < pausedUntil { return (pausedUntil - now + 999) / 1000 }
        guard waiting.count >= 2 * destination.maxConcurrency else { return nil }
        let wait = expectedWait(at: now)
        return wait > Self.patience ? min(wait / 1000, 10_000) : nil
    }

    mutating func append(_ delivery: Delivery) { waiting.append(delivery) }

    /// Takes the next delivery to send.
    mutating func start(at now: Int64) -> Delivery? {
        guard let next = waiting.popFirst() else { return nil }
        if inFlight == 0 { lastProgress = now }
        inFlight += 1
        return next
    }

    /// Counts an exchange that ended.
    mutating func end(duration: Int64, at now: Int64) {
        inFlight -= 1
        lastProgress = now
        typicalDuration = typicalDuration == 0 ? duration : (typicalDuration * 7 + duration) / 8
    }

    /// Sends nothing for a time, because the receiver asked for it.
    mutating func pause(until time: Int64) { pausedUntil = max(pausedUntil, time) }

    /// Takes out what should not wait here any longer: all of it when `all`, else what overflows.
    mutating func relieve(at now: Int64, all: Bool) -> [Delivery] {
        let kept = all || now < pausedUntil ? 0 : 2 * destination.maxConcurrency
        guard waiting.count > kept, all || overflow(at: now) != nil else { return [] }
        let out = Array(waiting.suffix(waiting.count - kept))
        waiting.removeLast(waiting.count - kept)
        return out
    }
}
