// When to look at the queue, and whether to hold the doorbell. Pure: times come in, in microseconds.

/// Paces claims. At low rates every commit rings the bell, which costs producers little and wakes within a
/// millisecond. At high rates a worker holds the bell, so nobody notifies, and looks often of its own accord.
///
/// One worker that looks is enough until it cannot keep up, and every further one costs as much again: eight that were
/// woken by each of 1,000 commits a second took 1.3 ms of Postgres an event (measured). So the rate is that of all events,
/// as the bell tells it, and not of one worker's share; and whoever holds the bell hands it on after a window, so that
/// over a second each has done its part.
struct Pacer: Sendable {
    /// Events a second above which the bell is held.
    static let busyRate = 400.0
    /// The rate is measured over windows of 100 ms. Of workers that do not hold the bell they differ: of all that hear it
    /// ring one is first to hold it.
    static let window: Int64 = 100_000
    /// The bell rings when it rang so short a time ago; 5 ms. Later somebody holds it.
    static let ringing: Int64 = 5_000
    /// A worker that found nobody to hand the bell to asks again after so long, and one that handed it on leaves it to the
    /// others for so long unless it rings; 1 s.
    static let relayPause: Int64 = 1_000_000
    /// Who handed the bell on keeps it for so long, without looking, until the other has it for certain: at 10,000 commits a
    /// second a moment in which nobody holds it is a dozen notifications, each of which wakes every worker; 20 ms.
    static let linger: Int64 = 20_000
    /// How often a worker that holds the bell looks; 1 ms. Every look costs Postgres and the worker about 0.2 ms of
    /// CPU together, whatever it finds, and half of the pause is added to what an event waits.
    static let busyPoll: Int64 = 1_000
    /// How often it looks at high rates, where a look finds many; 1.5 ms: as long as an event waits for the first of two
    /// workers that look each 2.5 ms, at less cost.
    static let rushPoll: Int64 = 1_500
    /// Events a second of this worker from which on ``rushPoll`` counts.
    static let rushRate = 1_500.0
    /// How often it looks when a turn a millisecond would take the cores from those who commit; 5 ms.
    static let stormPoll: Int64 = 5_000
    /// Events a second of this worker from which on ``stormPoll`` counts.
    static let stormRate = 6_000.0
    /// After the bell is let go, somebody may have found it held and not rung: looks at these times find the event.
    static let followUps: [Int64] = [0, 2_000, 5_000, 15_000, 40_000]

    private let floorPoll: Int64
    private let idleWindow: Int64
    private var windowStart: Int64 = 0
    private var windowEvents = 0
    private var windowRings = 0
    private var rangAt: Int64 = .min / 2
    private var lastClaimAt: Int64 = .min / 2
    private var releasedAt: Int64 = .min / 2
    private var isHungry = true
    /// How many queue rows the next claim looks at, when it is less than the events it wants: after a claim that shows
    /// rows of many events. Rows that are looked at are locked, and other workers pass over them.
    private var rowLimit: Int?

    /// Whether this worker looks after the queue, so that nobody need ring.
    private(set) var holdsBell = false
    private var isRelayDue = false
    private var relayAfter: Int64 = .min
    private var relievedUntil: Int64 = .min
    private var lingersUntil: Int64 = .min
    private var pollWhileHolding = Pacer.busyPoll

    /// Makes a pacer.
    ///
    /// - Parameters:
    ///   - floorPoll: the longest wait between looks, in microseconds.
    ///   - windowShare: how long this worker's windows are while it does not hold the bell, as a part of ``window``.
    init(floorPoll: Int64, windowShare: Double = 1) {
        self.floorPoll = floorPoll
        idleWindow = Int64(Double(Self.window) * windowShare)
    }

    /// Something rang, once or several times: look at once.
    mutating func ring(_ count: Int = 1, at now: Int64) {
        isHungry = true
        windowRings += count
        rangAt = now
    }

    /// Another worker hands the bell over.
    mutating func takeBell(at now: Int64) {
        isHungry = true
        holdsBell = true
        beginWindow(at: now)
    }

    /// Whether the bell should be handed on with the next look. Not while there is more than this worker can take at once:
    /// then all look anyway.
    func wantsRelay(at now: Int64) -> Bool { holdsBell && isRelayDue && !isHungry && now >= relayAfter }

    /// Whether the bell should be held, by one who looks after the queue or has just handed that on.
    func wantsBell(at now: Int64) -> Bool { holdsBell || now < lingersUntil }

    /// The bell was to be handed on.
    ///
    /// - Parameter isRelieved: whether another worker looks after the queue.
    mutating func relayed(isRelieved: Bool, at now: Int64) {
        isRelayDue = false
        guard isRelieved else { return relayAfter = now + Self.relayPause }
        // No looks follow, as they do when nobody holds it: at 10,000 events a second each would find dozens.
        holdsBell = false
        lingersUntil = now + Self.linger
        relievedUntil = now + Self.relayPause
        beginWindow(at: now)
    }

    /// How many queue rows a claim should look at.
    func rows(forEvents wanted: Int) -> Int { min(wanted, rowLimit ?? wanted) }

    /// A claim was answered.
    ///
    /// - Parameters:
    ///   - events: how many events came.
    ///   - wanted: how many were asked for; each row looked at has at least one.
    mutating func claimed(_ events: Int, wanted: Int, at now: Int64) {
        let rows = rows(forEvents: wanted)
        lastClaimAt = now
        isHungry = events >= rows
        if events > wanted {
            rowLimit = max(4, wanted / 16)
        } else if events < wanted, events >= rows {
            rowLimit = rows * 4
        } else if events < rows {
            rowLimit = nil
        }
        windowEvents += events
        roll(at: now)
    }

    /// When the next look is due; not after now when it is due already.
    func nextClaim(at now: Int64) -> Int64 {
        if isHungry { return now }
        if holdsBell { return lastClaimAt + pollWhileHolding }
        let followUp = Self.followUps.first { lastClaimAt < releasedAt + $0 }.map { releasedAt + $0 }
        let farewell = lastClaimAt < lingersUntil ? lingersUntil : .max
        return min(lastClaimAt + floorPoll, followUp ?? .max, farewell)
    }

    private mutating func roll(at now: Int64) {
        let elapsed = now - windowStart
        guard elapsed >= (holdsBell ? Self.window : idleWindow) else { return }
        // A window that nobody looked at for long was a quiet one. Each ring is a commit; whoever is faster takes its events.
        let heard = now - rangAt < Self.ringing ? windowRings : 0
        let events = holdsBell || now >= relievedUntil ? windowEvents : 0
        let rate = Double(max(events, heard)) * 1_000_000 / Double(elapsed)
        // Kept from one time that it holds the bell to the next.
        if holdsBell { pollWhileHolding = Self.poll(at: Double(windowEvents) * 1_000_000 / Double(elapsed)) }
        beginWindow(at: now)
        if rate > Self.busyRate {
            isRelayDue = holdsBell
            holdsBell = true
        } else if holdsBell, rate >= Self.busyRate / 2 {
            isRelayDue = true
        } else if holdsBell, rate < Self.busyRate / 2 {
            holdsBell = false
            releasedAt = now
        }
    }

    private static func poll(at rate: Double) -> Int64 {
        rate > stormRate ? stormPoll : rate > rushRate ? rushPoll : busyPoll
    }

    private mutating func beginWindow(at now: Int64) {
        (windowStart, windowEvents, windowRings) = (now, 0, 0)
    }
}
