// What waits for one destination and what is in flight to it. Pure: times come in as arguments, in microseconds.

internal import DequeModule
internal import Outbox
internal import OutboxStore

/// The lane of one destination. It decides how much may be in flight and when waiting work is better given back to
/// Postgres, so that a slow or dead destination takes neither connections nor memory from the others.
struct Lane: Sendable {
    /// The destination as it is now.
    var destination: Destination {
        didSet {
            learnOptions()
            // Whoever makes it active, or gives it another address, says that what was known of it has ended.
            if destination.isEnabled && !oldValue.isEnabled || destination.url != oldValue.url {
                breaker = Breaker()
                pausedUntil = 0
                askedUntil = 0
            }
        }
    }
    /// Its options that the lane asks for with every delivery.
    private var rate: RateLimit?
    private var batch: BatchLimits?
    /// Bytes of an answer's body kept with the attempt.
    var keptBytes: Int
    /// True when the profile sends the delivery's id, which costs a hash.
    private(set) var sendsDeliveryID = false
    /// Whether the destination is to be left alone, and how much it gets.
    private(set) var breaker = Breaker()
    /// First attempts that wait, by the priority of their events.
    private var firsts = Ranked<Delivery>()
    /// Further attempts and replays that wait, in order: behind the first ones, which must not wait for what has failed before.
    private var retries = Deque<Delivery>()
    /// How many starts ago a retry had its turn.
    private var startsSinceRetry = 0
    /// Requests in flight.
    private(set) var inFlight = 0
    /// What the options `rate` and `batch` hold back.
    private var valve = Valve()
    /// True while the lane stands in the dispatcher's list of lanes with work.
    var isListed = false
    /// Nothing is sent before this time: the receiver asked for a pause, or this worker lacks something.
    private(set) var pausedUntil: Int64 = 0
    /// Until when the receiver asked for a pause, which concerns every worker.
    private(set) var askedUntil: Int64 = 0
    /// How long exchanges take.
    private var pace = Pace()
    /// When an exchange last ended, or when the first of those in flight began.
    private var lastProgress: Int64 = 0

    /// After this long without any exchange ending, a destination counts as stalled; 1 s.
    static let stallLimit: Int64 = 1_000_000
    /// One start in so many is a retry, when both wait: behind does not mean never; 4.
    static let retryShare = 4
    /// A shorter time without any exchange ending tells nothing: this process may have waited for a core; 250 ms.
    static let pauseLimit: Int64 = 250_000
    /// How many exchanges a stalled destination may have in flight.
    static let stalledConcurrency = 4
    /// Work that would wait longer than this goes back to Postgres; 3 s.
    static let patience: Int64 = 3_000_000

    init(destination: Destination, keptBytes: Int) {
        self.destination = destination
        self.keptBytes = keptBytes
        learnOptions()
    }

    private mutating func learnOptions() {
        sendsDeliveryID =
            destination.profile.headers.contains { $0.contains("{delivery.id}") }
            || destination.profile.signature?.signs.contains("{delivery.id}") == true
            || destination.access?.sendsDeliveryID == true
        if rate != destination.options.rate {
            rate = destination.options.rate
            valve.renewRate()
        }
        guard batch != destination.options.batch else { return }
        batch = destination.options.batch
        valve.restart(batch == nil ? [] : waitingDeliveries.map(\.parcel.event.data.count))
    }

    /// How many deliveries wait.
    var waiting: Int { firsts.count + retries.count }

    /// All deliveries that wait.
    var waitingDeliveries: [Delivery] { firsts.all + Array(retries) }

    /// Whether something waits for a permit or for company rather than for its turn.
    var isTimed: Bool { waiting > 0 && (rate != nil || batch != nil) }

    /// Whether something is done in the lane or waits in it.
    var hasWork: Bool { waiting > 0 || inFlight > 0 || isListed }

    /// Whether forgetting the lane would forget something of its destination that matters.
    func isWorthKeeping(at now: Int64) -> Bool { pausedUntil > now || breaker.isWorthKeeping }

    /// How long the lane has been without progress.
    func stall(at now: Int64) -> Int64 { inFlight == 0 ? 0 : max(0, now - lastProgress) }

    /// Whether nothing has come back for so long that little more should be sent.
    func isStalled(at now: Int64) -> Bool { stall(at: now) > Self.stallLimit }

    /// How many requests may be in flight at once.
    private func limit(at now: Int64) -> Int {
        let most = breaker.limit(of: destination.maxConcurrency)
        return isStalled(at: now) ? min(most, Self.stalledConcurrency) : most
    }

    /// How many more requests the destination could take now, permits aside.
    private func openings(at now: Int64) -> Int {
        guard now >= pausedUntil, destination.isEnabled else { return 0 }
        return max(0, limit(at: now) - inFlight)
    }

    /// How many more requests may start now.
    func capacity(at now: Int64) -> Int {
        let openings = openings(at: now)
        guard isTimed, openings > 0 else { return openings }
        // A probe waits for no company: its right to be sent would end before.
        if let batch, breaker.state != .probing, !valve.isReady(batch, waiting: waiting, at: now) { return 0 }
        return rate == nil ? openings : min(openings, valve.permits)
    }

    /// Events that one request takes.
    private var eventsPerRequest: Int { batch?.events ?? 1 }

    /// How many deliveries should wait here rather than in Postgres, for each one in flight at most: as many as may be in
    /// flight at once, and no more than a rate lets out in a second.
    private func hold(at now: Int64) -> Int {
        let requests = limit(at: now)
        return eventsPerRequest * (rate.map { min(requests, $0.perSecondRoundedUp) } ?? requests)
    }

    /// How many retries should be fetched from Postgres: those that could start, and under load of first attempts enough
    /// for the retries' share. None that would go back, at once or soon.
    func retryRoom(at now: Int64) -> Int {
        guard overflow(at: now) == nil, waiting < 2 * hold(at: now) || expectedWait(at: now) < Self.patience / 2 else {
            return 0
        }
        let capacity = min(openings(at: now) * eventsPerRequest, hold(at: now))
        guard breaker.state != .probing else { return max(0, capacity - waiting) }
        let share =
            now >= pausedUntil && destination.isEnabled ? (hold(at: now) + Self.retryShare - 1) / Self.retryShare : 0
        return max(0, capacity - waiting, share - retries.count)
    }

    /// How long a delivery that joins now would wait, as far as the past tells.
    private func expectedWait(at now: Int64) -> Int64 {
        let stall = stall(at: now)
        let each = max(pace.mean ?? 0, stall > Self.pauseLimit ? stall : 0)
        // A breaker that ramps gets to the whole within a few answers, unless the receiver asked for less.
        let requests = stall > Self.stallLimit || breaker.isEased ? limit(at: now) : destination.maxConcurrency
        let wait = Int64(waiting) * each / Int64(max(1, requests * eventsPerRequest))
        guard let rate else { return wait }
        return max(wait, Int64(Double(waiting / eventsPerRequest) / rate.perSecond * 1_000_000))
    }

    /// Whether work that arrives now should go back to Postgres, and for how many milliseconds.
    func overflow(at now: Int64) -> Int64? {
        if now < pausedUntil { return (pausedUntil - now + 999) / 1000 }
        switch breaker.state {
        // Due at once, and fetched when a probe may be sent.
        case .open: return 0
        case .probing: return waiting + inFlight > 0 ? 0 : nil
        case .closed, .ramping: break
        }
        // Nobody knows when one that stands still goes on, nor how many workers share what waits: due at once too, and fetched as
        // soon as it would not go back again.
        return waiting >= 2 * hold(at: now) && expectedWait(at: now) > Self.patience ? 0 : nil
    }

    mutating func append(_ delivery: Delivery, at now: Int64) {
        if delivery.attempt > 1 || delivery.isReplay {
            retries.append(delivery)
        } else {
            firsts.append(delivery, rank: Int(delivery.parcel.event.priority))
        }
        if batch != nil { valve.join(bytes: delivery.parcel.event.data.count, at: now) }
    }

    /// Takes the next delivery to send.
    mutating func start(at now: Int64) -> Delivery? {
        let isRetry = firsts.isEmpty || !retries.isEmpty && startsSinceRetry + 1 >= Self.retryShare
        guard let next = isRetry ? retries.popFirst() : firsts.popFirst() else { return nil }
        startsSinceRetry = isRetry ? 0 : startsSinceRetry + 1
        if inFlight == 0 { lastProgress = now }
        inFlight += 1
        if rate != nil { valve.spend() }
        return next
    }

    /// Takes what goes into one request with a delivery that ``start(at:)`` gave: events of the same attempt, so that one
    /// answer means the same for each. Empty for destinations without batches.
    mutating func companions(of first: Delivery) -> [Delivery] {
        guard let batch else { return [] }
        valve.leave(bytes: first.parcel.event.data.count)
        var bytes = first.parcel.event.data.count
        let most = batch.events(attempt: first.attempt)
        var companions: [Delivery] = []
        while companions.count + 1 < most, let next = popCompanion(of: first, within: batch.bytes - bytes) {
            bytes += next.parcel.event.data.count
            valve.leave(bytes: next.parcel.event.data.count)
            companions.append(next)
        }
        return companions
    }

    private mutating func popCompanion(of first: Delivery, within bytes: Int) -> Delivery? {
        if first.attempt == 1, !first.isReplay { return firsts.popFirst { $0.parcel.event.data.count <= bytes } }
        guard let next = retries.first, next.attempt == first.attempt, next.parcel.event.data.count <= bytes else {
            return nil
        }
        return retries.popFirst()
    }

    // MARK: Rate and batches

    /// How many permits of its rate the lane could use now, or within a hundredth of a second; 0 when it should not ask yet.
    ///
    /// A worker that is behind asks no oftener than that: with one permit for each place that is free, a fast rate would
    /// wait for its turns.
    func permitsWanted(at now: Int64) -> Int {
        let openings = openings(at: now)
        guard let rate, waiting > 0, openings > 0, now >= valve.askAt else { return 0 }
        let requests = (waiting + eventsPerRequest - 1) / eventsPerRequest
        let soon = min(rate.perSecondRoundedUp / 100, Int(rate.burst))
        return max(0, min(requests, max(openings, soon), rate.perSecondRoundedUp) - valve.permits)
    }

    /// Takes permits that Postgres gave.
    ///
    /// - Parameter nextIn: when there will be another one, in milliseconds.
    mutating func grant(_ permits: Int, nextIn milliseconds: Int64, at now: Int64) {
        let isShut = now < pausedUntil || breaker.state == .open
        valve.grant(isShut ? 0 : permits, askAt: now + milliseconds * 1000)
    }

    /// When something that is held back may go: a batch that has waited long enough, or the next permit.
    func nextTime(at now: Int64) -> Int64 {
        guard isTimed, openings(at: now) > 0 else { return .max }
        var time = Int64.max
        if let batch { time = valve.batchDue(batch) }
        if rate != nil, valve.permits == 0 { time = min(time, valve.askAt) }
        return time
    }

    /// Counts an exchange that ended.
    mutating func end(duration: Int64, at now: Int64) {
        inFlight -= 1
        lastProgress = now
        pace.add(duration, at: now)
    }

    /// Lets the breaker learn from a verdict.
    ///
    /// - Parameter start: when the exchange began.
    /// - Returns: what the other workers should learn; nil for nothing.
    mutating func judge(_ verdict: Verdict, startedAt start: Int64, at now: Int64) -> Breaker.Report? {
        let most = destination.maxConcurrency
        if case .delivered = verdict.action { return breaker.succeed(limit: most) }
        guard let failure = verdict.failure else { return nil }
        if verdict.blamesDestination {
            let isEased = failure.asksForLess && breaker.ease(limit: most, startedAt: start, at: now)
            let report = breaker.fail(strains: failure.isStrain, eased: isEased, at: now)
            if report == .opened { valve.forfeit() }
            return report
        }
        return failure.isBlamelessAnswer ? breaker.answer() : nil
    }

    /// Learns what Postgres knows of the destination; nil for nothing, which means that it is well.
    ///
    /// - Parameter askedAt: when Postgres was asked: what happened here since then is newer.
    mutating func learn(_ row: BreakerRow?, askedAt: Int64) {
        guard breaker.openedAt <= askedAt else { return }
        guard let row else { return breaker.learnRecovery() }
        breaker.learn(isOpen: row.isOpen, mayProbe: row.mayProbe, holdsProbe: row.holdsProbe)
        if breaker.state == .open { valve.forfeit() }
        if row.pause > .zero, !row.isOpen { pause(until: askedAt + row.pause.microseconds) }
    }

    /// Sends nothing for a time.
    ///
    /// - Parameter isAsked: whether the receiver asked for it; otherwise this worker rests by itself.
    mutating func pause(until time: Int64, isAsked: Bool = true) {
        if isAsked { askedUntil = max(askedUntil, time) }
        guard time > pausedUntil else { return }
        pausedUntil = time
        valve.forfeit()
    }

    /// Takes out what overflows. Retries go first, then the youngest.
    mutating func relieve(at now: Int64) -> [Delivery] {
        guard overflow(at: now) != nil else { return [] }
        return takeAll(but: now < pausedUntil ? 0 : 2 * hold(at: now))
    }

    /// Takes out all that waits but so many: retries first, then the youngest.
    mutating func takeAll(but kept: Int = 0) -> [Delivery] {
        var out: [Delivery] = []
        while waiting > kept, let last = retries.popLast() ?? firsts.popLast() {
            if batch != nil { valve.leave(bytes: last.parcel.event.data.count) }
            out.append(last)
        }
        return out.reversed()
    }
}
