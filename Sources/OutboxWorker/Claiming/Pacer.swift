// When to look at the queue, and whether to hold the doorbell. Pure: times come in, in microseconds.

/// Paces claims. At low rates every commit rings the bell, which costs producers little and wakes within a
/// millisecond. At high rates the worker holds the bell, so nobody notifies, and looks often of its own accord.
struct Pacer: Sendable {
    /// Events a second above which the bell is held.
    static let busyRate = 400.0
    /// The rate is measured over windows of 100 ms.
    static let window: Int64 = 100_000
    /// How often a worker that holds the bell looks; 1 ms. Every look costs Postgres and the worker about 0.2 ms of
    /// CPU together, whatever it finds, and half of the pause is added to what an event waits.
    static let busyPoll: Int64 = 1_000
    /// How often it looks at high rates, where a look finds many; 2.5 ms.
    static let rushPoll: Int64 = 2_500
    /// Events a second of this worker from which on ``rushPoll`` counts.
    static let rushRate = 1_500.0
    /// After the bell is let go, somebody may have found it held and not rung: looks at these times find the event.
    static let followUps: [Int64] = [0, 2_000, 5_000, 15_000, 40_000]

    private let floorPoll: Int64
    private var windowStart: Int64 = 0
    private var windowEvents = 0
    private var lastClaimAt: Int64 = .min / 2
    private var releasedAt: Int64 = .min / 2
    private var isHungry = true
    /// How many queue rows the next claim looks at, when it is less than the events it wants: after a claim that shows
    /// rows of many events. Rows that are looked at are locked, and other workers pass over them.
    private var rowLimit: Int?

    /// Whether the bell should be held.
    private(set) var holdsBell = false
    private var isRush = false

    /// Makes a pacer.
    ///
    /// - Parameter floorPoll: the longest wait between looks, in microseconds.
    init(floorPoll: Int64) { self.floorPoll = floorPoll }

    /// Something rang: look at once.
    mutating func ring() { isHungry = true }

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
        if holdsBell { return lastClaimAt + (isRush ? Self.rushPoll : Self.busyPoll) }
        let followUp = Self.followUps.first { lastClaimAt < releasedAt + $0 }.map { releasedAt + $0 }
        return min(lastClaimAt + floorPoll, followUp ?? .max)
    }

    private mutating func roll(at now: Int64) {
        let elapsed = now - windowStart
        guard elapsed >= Self.window else { return }
        // A window that nobody looked at for long was a quiet one.
        let rate = Double(windowEvents) * 1_000_000 / Double(elapsed)
        windowStart = now
        windowEvents = 0
        isRush = rate > Self.rushRate
        if rate > Self.busyRate {
            holdsBell = true
        } else if holdsBell, rate < Self.busyRate / 2 {
            holdsBell = false
            releasedAt = now
        }
    }
}
