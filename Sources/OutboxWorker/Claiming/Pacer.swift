// When to look at the queue, and whether to hold the doorbell. Pure: times come in, in microseconds.

/// Paces claims. At low rates every commit rings the bell, which costs producers little and wakes within a
/// millisecond. At high rates a worker holds the bell, so nobody notifies, and looks often of its own accord.
struct Pacer: Sendable {
    /// The rate is measured over windows of 100 ms. Of workers that do not hold the bell they differ: of all that hear it
    /// ring one is first to hold it.
    static let window: Int64 = 100_000
    /// The bell rings when it rang so short a time ago; 5 ms. Later somebody holds it.
    static let ringing: Int64 = 5_000
    /// How long a worker that holds the bell rests between two turns; 0.7 ms. Every look costs Postgres and the worker about
    /// 0.3 ms of CPU together, whatever it finds, and half of the time between two looks is added to what an event waits.
    static let busyPoll: Int64 = 700
    /// The same at high rates, where a look finds many; 1.5 ms: as long as an event waits for the first of two workers that
    /// look each 2.5 ms, at less cost.
    static let rushPoll: Int64 = 1_500
    /// Events a second of this worker from which on ``rushPoll`` counts.
    static let rushRate = 1_500.0
    /// The same while turns take longer than ``rushPoll``; 10 ms. There is no core free for them then, and more looks would
    /// only take the cores from those who commit.
    static let stormPoll: Int64 = 10_000
    /// So long after the last event or ring it is calm; 5 s.
    static let calm: Int64 = 5_000_000

    private let floorPoll: Int64
    private let calmPoll: Int64
    private let idleWindow: Int64
    private var duty = BellDuty()
    private var windowStart: Int64 = 0
    private var windowEvents = 0
    private var windowRings = 0
    private var rangAt: Int64 = .min / 2
    private var foundAt: Int64 = .min / 2
    private var lastClaimAt: Int64 = .min / 2
    private var isHungry = true
    /// How many queue rows the next claim looks at, when it is less than the events it wants: after a claim that shows
    /// rows of many events. Rows that are looked at are locked, and other workers pass over them.
    private var rowLimit: Int?
    private var pollWhileHolding = Pacer.busyPoll
    /// What a turn takes, smoothed over eight.
    private var turnTime: Int64 = 0

    /// Makes a pacer.
    ///
    /// - Parameters:
    ///   - floorPoll: the longest wait between looks, in microseconds.
    ///   - calmPoll: the same once nothing has come for ``calm``; `nil` for no other.
    ///   - windowShare: how long this worker's windows are while it does not hold the bell, as a part of ``window``.
    init(floorPoll: Int64, calmPoll: Int64? = nil, windowShare: Double = 1) {
        self.floorPoll = floorPoll
        self.calmPoll = calmPoll ?? floorPoll
        idleWindow = Int64(Double(Self.window) * windowShare)
    }

    /// Whether this worker looks after the queue, so that nobody need ring.
    var holdsBell: Bool { duty.isHolding }

    /// Something rang, once or several times: look at once.
    mutating func ring(_ count: Int = 1, at now: Int64) {
        isHungry = true
        windowRings += count
        rangAt = now
    }

    /// Another worker hands the bell over.
    mutating func takeBell(at now: Int64) {
        isHungry = true
        duty.take()
        beginWindow(at: now)
    }

    /// Whether the bell should be handed on with the next look. Not while there is more than this worker can take at once:
    /// then all look anyway.
    func wantsRelay(at now: Int64) -> Bool { !isHungry && duty.wantsRelay(at: now) }

    /// Whether the bell should be held, by one who looks after the queue or has just handed that on.
    func wantsBell(at now: Int64) -> Bool { duty.wantsLock(at: now) }

    /// The bell was to be handed on.
    ///
    /// - Parameter isRelieved: whether another worker looks after the queue.
    mutating func relayed(isRelieved: Bool, at now: Int64) {
        duty.relayed(isRelieved: isRelieved, at: now)
        if isRelieved { beginWindow(at: now) }
    }

    /// How many queue rows a claim should look at.
    func rows(forEvents wanted: Int) -> Int { min(wanted, rowLimit ?? wanted) }

    /// A claim was answered.
    ///
    /// - Parameters:
    ///   - events: how many events came.
    ///   - wanted: how many were asked for; each row looked at has at least one, unless its events are gone.
    ///   - took: how long the turn took, in microseconds.
    mutating func claimed(_ events: Int, wanted: Int, at now: Int64, took: Int64 = 0) {
        let rows = rows(forEvents: wanted)
        lastClaimAt = now
        if events > 0 { foundAt = now }
        turnTime += (took - turnTime) / 8
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
        let isCalm = lastClaimAt - max(foundAt, rangAt) > Self.calm
        return min(lastClaimAt + (isCalm ? calmPoll : floorPoll), duty.nextLook(after: lastClaimAt))
    }

    private mutating func roll(at now: Int64) {
        let elapsed = now - windowStart
        guard elapsed >= (holdsBell ? Self.window : idleWindow) else { return }
        let found = Double(windowEvents) * 1_000_000 / Double(elapsed)
        // A window that nobody looked at for long was a quiet one. Each ring is a commit; whoever is faster takes its events.
        let heard = now - rangAt < Self.ringing ? Double(windowRings) * 1_000_000 / Double(elapsed) : 0
        // Kept from one time that it holds the bell to the next.
        if holdsBell { pollWhileHolding = Self.poll(at: found, turnTime: turnTime) }
        duty.assess(rate: max(duty.isRelieved(at: now) ? 0 : found, heard), at: now)
        beginWindow(at: now)
    }

    private static func poll(at rate: Double, turnTime: Int64) -> Int64 {
        guard rate > rushRate else { return busyPoll }
        return turnTime > rushPoll ? stormPoll : rushPoll
    }

    private mutating func beginWindow(at now: Int64) {
        (windowStart, windowEvents, windowRings) = (now, 0, 0)
    }
}
