// Whose turn it is to look after the queue and to hold the doorbell meanwhile. Pure: times come in, in microseconds.

/// One worker's part in holding the doorbell.
///
/// One worker that looks is enough until it cannot keep up, and every further one costs as much again: eight that were
/// woken by each of 1,000 commits a second took 1.3 ms of Postgres an event (measured). So the rate that counts is that of
/// all events, as the bell tells it, and not one worker's share; and whoever holds the bell hands it on after a window, so
/// that over a second each has done its part.
struct BellDuty: Sendable {
    /// Events a second above which the bell is held; below half of it, it is let go.
    static let busyRate = 400.0
    /// A worker that found nobody to hand the bell to asks again after so long, and one that handed it on leaves it to the
    /// others for so long unless it rings; 1 s.
    static let relayPause: Int64 = 1_000_000
    /// Who handed the bell on keeps it for so long, without looking, until the other has it for certain: at 10,000 commits a
    /// second a moment in which nobody holds it is a dozen notifications, each of which wakes every worker; 20 ms.
    static let linger: Int64 = 20_000
    /// After the bell is let go, somebody may have found it held and not rung: looks at these times find the event.
    static let followUps: [Int64] = [0, 2_000, 5_000, 15_000, 40_000]

    private enum State {
        /// Whoever commits rings.
        case free(since: Int64)
        /// This worker looks after the queue; it asks for another one from a time on, once a window is over.
        case held(isRelayDue: Bool, asksAfter: Int64)
        /// Another one does since then.
        case relieved(since: Int64)
    }

    private var state = State.free(since: .min / 2)

    /// Whether this worker looks after the queue, so that nobody need ring.
    var isHolding: Bool { if case .held = state { true } else { false } }

    /// Whether the lock should be held: by one who looks after the queue or has just handed that on.
    func wantsLock(at now: Int64) -> Bool {
        switch state {
        case .free: false
        case .held: true
        case .relieved(let since): now < since + Self.linger
        }
    }

    /// Whether another one should be asked to take over.
    func wantsRelay(at now: Int64) -> Bool {
        guard case .held(isRelayDue: true, let asksAfter) = state else { return false }
        return now >= asksAfter
    }

    /// Whether events that this worker happens to find belong to another one who looks after them.
    func isRelieved(at now: Int64) -> Bool {
        guard case .relieved(let since) = state else { return false }
        return now < since + Self.relayPause
    }

    /// Another worker hands the bell over.
    mutating func take() { state = .held(isRelayDue: false, asksAfter: .min) }

    /// Another one was asked.
    ///
    /// - Parameter isRelieved: whether there is one.
    mutating func relayed(isRelieved: Bool, at now: Int64) {
        // No looks follow, as they do when nobody holds it: at 10,000 events a second each would find dozens.
        state = isRelieved ? .relieved(since: now) : .held(isRelayDue: false, asksAfter: now + Self.relayPause)
    }

    /// A window is over in which so many events a second came.
    mutating func assess(rate: Double, at now: Int64) {
        switch state {
        case .held(_, let asksAfter):
            let isBusy = rate >= Self.busyRate / 2
            state = isBusy ? .held(isRelayDue: true, asksAfter: asksAfter) : .free(since: now)
        case .free, .relieved:
            if rate > Self.busyRate { take() }
        }
    }

    /// A look that the way in which the bell changed hands asks for, after one at that time; `.max` when none.
    func nextLook(after last: Int64) -> Int64 {
        switch state {
        case .free(let since): Self.followUps.first { last < since + $0 }.map { since + $0 } ?? .max
        case .held: .max
        // The other one may not have come.
        case .relieved(let since): last < since + Self.linger ? since + Self.linger : .max
        }
    }
}
