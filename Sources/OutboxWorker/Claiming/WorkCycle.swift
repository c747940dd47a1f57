// The heart of a worker: one connection on which outcomes are recorded and work is claimed, in one transaction a turn.

internal import Logging
internal import Outbox
internal import OutboxStore
internal import Postgres
internal import Synchronization

/// Records and claims until it is told to stop and everything in memory is recorded, or at least every attempt when the
/// server is away.
///
/// A turn sends the settlement of what ended and the next claim through one pipeline: one round trip and one commit for
/// hundreds of events. Run by one task.
final class WorkCycle: Sendable {
    /// Claims smaller than this wait for room, unless little is in memory; 256.
    static let smallestClaim = 256
    /// How often lanes that are paused or stalled are looked after; 100 ms.
    static let reliefInterval: Int64 = 100_000
    /// The longest rest without any work; 1 s.
    static let idleInterval: Int64 = 1_000_000
    /// A server that could not be reached for so long is away; 1 s. One lost session is no absence.
    static let absence = Duration.seconds(1)
    /// How often a pipeline may be refused by a working server before the life is given up; 5.
    static let patience = 5
    /// How long the server may take for a turn before its link is not trusted any more; 3 s, doubled by each turn that
    /// took longer, up to 30 s, and never less than four times the turn before: a server that is only slow must get to
    /// its end. At the deadline the server is asked to stop; the connection is closed when it does not within a second.
    static let shortestDeadline = Duration.seconds(3)
    static let longestDeadline = Duration.seconds(30)

    let context: LifeContext
    private let signal: Signal
    private let isStopping = Atomic(false)
    private let rings = Atomic(0)
    private let isBellOffered = Atomic(false)
    private let isRungForRetries = Atomic(false)
    /// What has been sent, or is to be sent again, until the server has confirmed it: for ``recordFacts(holdsClaims:)``.
    private let unconfirmed = Mutex((settlement: Settlement(), number: Int64(0)))

    /// Makes a cycle.
    init(context: LifeContext, signal: Signal) {
        self.context = context
        self.signal = signal
    }

    /// Looks at the queue at once. Called when the doorbell rang.
    func ring() {
        rings.add(1, ordering: .releasing)
        signal.raise()
    }

    /// Holds the bell and looks after the queue for a while. Called when another worker hands it over.
    func takeBell() {
        isBellOffered.store(true, ordering: .releasing)
        signal.raise()
    }

    /// Looks at the retries too. Called when a destination may be tried again, or somebody made retries due: every event
    /// rings the doorbell, and none should wait for a look at the retries of all destinations.
    func ringForRetries() {
        isRungForRetries.store(true, ordering: .releasing)
        ring()
    }

    /// Claims nothing more; ``run()`` returns when everything is recorded.
    func stop() {
        isStopping.store(true, ordering: .releasing)
        signal.raise()
    }

    /// Runs until stopped, or until the server refuses what is sent.
    ///
    /// - Throws: `CancellationError` when cancelled; ``LifeEnd/otherWay``; `PostgresError` when the server refused the same
    ///   settlement ``patience`` times. A lost connection is no reason: it is opened again, and nothing is forgotten meanwhile.
    func run() async throws {
        var turn = Turn(floorPoll: context.settings.floorPoll, isDeaf: context.links.isDeaf)
        var trouble = Trouble()
        while true {
            try Task.checkCancellation()
            guard let connection = try await connection(for: turn) else { return }
            do {
                if try await takeTurn(&turn, connection) { return }
                if let lasted = trouble.end() {
                    context.logger.notice("work goes on", metadata: ["after": "\(lasted)"])
                }
            } catch let error as PostgresError where Settlement.isRecordedAlready(error) {
                context.logger.notice("what was sent before its answer was lost had been recorded")
                didRecord(&turn)
                // With it a claim, perhaps after the last look for claims whose answer was lost.
                turn.isInDoubt = true
            } catch let error as PostgresError {
                turn.fail(isSlow: error.code == .timedOut && connection.isOpen)
                if error.isReadOnly { await context.links.abandonWork() }
                if trouble.isNews(error) {
                    context.logger.error("work waits for Postgres", metadata: ["error": "\(error)"])
                }
                guard !trouble.isHopeless(error, patience: Self.patience) else { throw error }
                await signal.wait(atMost: trouble.pause)
            }
        }
    }

    /// The connection for a turn; nil when the worker is to stop, the server is away and there is nothing to tell it.
    private func connection(for turn: Turn) async throws -> Connection? {
        if let connection = context.links.openWork { return connection }
        return try await withThrowingTaskGroup(of: Connection?.self) { group in
            defer { group.cancelAll() }
            group.addTask { try await self.context.links.work() }
            group.addTask {
                try await ConnectionThread.sleep(for: Self.absence)
                while !self.mayEndUnheard(turn) {
                    try Task.checkCancellation()
                    await self.signal.wait(atMost: .microseconds(Self.reliefInterval))
                }
                return nil
            }
            return try await group.next() ?? nil
        }
    }

    /// Whether the worker is to stop and no attempt would be forgotten. What it holds otherwise is taken over when its lease
    /// has run out.
    private func mayEndUnheard(_ turn: Turn) -> Bool {
        guard isStopping.load(ordering: .acquiring), !turn.settlement.hasAttempts else { return false }
        let gauge = context.dispatcher.gauge()
        return gauge.outstanding == 0 && !gauge.hasAttempts
    }

    /// Records what is known of requests that were made, when this life has ended before its time and ``run()`` with it.
    ///
    /// Where a claim is another's by now, no state of a delivery changes; but whoever has it need not send again what is
    /// known to be delivered. Attempts wait for a server that is away, as they do in ``run()``: nobody else knows of them. What
    /// is only given back does so no longer than its lease.
    ///
    /// - Parameter holdsClaims: whether the claims are this life's yet, so that what is given back counts too.
    func recordFacts(holdsClaims: Bool) async {
        let (sent, number) = unconfirmed.withLock { $0 }
        for (settlement, number) in [(sent, number), (context.dispatcher.takeSettlement(), number + 1)]
        where settlement.hasAttempts || holdsClaims && !settlement.isEmpty {
            let record: @Sendable (Connection) async throws -> Void = { [context] connection in
                let steps = settlement.steps(worker: context.worker, number: number, now: WorkerClock.now())
                try await connection.pipeline(Links.settingsOfOne + steps, timeout: Self.shortestDeadline)
            }
            do {
                if settlement.hasAttempts {
                    try await record(context.links.lastWork())
                } else {
                    try await context.links.lastWork(within: Life.farewellTime, record)
                }
            } catch let error as PostgresError where Settlement.isRecordedAlready(error) {
                continue
            } catch {
                context.logger.error(
                    "attempts not recorded", metadata: ["attempts": "\(settlement.count)", "error": "\(error)"])
            }
        }
    }

    /// One turn; true when all is done.
    private func takeTurn(_ turn: inout Turn, _ connection: Connection) async throws -> Bool {
        let now = WorkerClock.now()
        if now - turn.relievedAt > Self.reliefInterval {
            context.dispatcher.relieve()
            turn.relievedAt = now
        }
        if turn.isInDoubt {
            // Asked here, because this connection works again, and those aside may hang yet.
            try await context.acceptForgotten(olderThan: .zero, on: connection, timeout: turn.deadline)
            turn.isInDoubt = false
        }
        let gauge = takeCalls(&turn, now)
        let stops = isStopping.load(ordering: .acquiring)
        if stops, gauge.outstanding == 0, !gauge.hasSettlement, gauge.openClaims == 0, turn.settlement.isEmpty {
            return true
        }
        var plan = stops ? Plan() : makePlan(&turn, gauge, now)
        context.bell.want(held: turn.pacer.wantsBell(at: now) && !stops)
        if shouldFlush(gauge, plan, now), turn.settlement.isEmpty {
            turn.settlement = context.dispatcher.takeSettlement()
            turn.number += 1
            unconfirmed.withLock { [turn] in $0 = (turn.settlement, turn.number) }
        }
        if !stops, turn.settlement.releasesOrder { claimReleased(&plan, turn) }
        if plan.isEmpty, turn.settlement.isEmpty {
            await signal.wait(atMost: .microseconds(rest(turn, gauge, stops: stops, now)))
            return false
        }
        try await execute(plan, &turn, connection)
        return false
    }

    /// Takes up what other tasks called for since the last turn, and sends what was held back until now.
    ///
    /// - Returns: how things stand afterwards.
    private func takeCalls(_ turn: inout Turn, _ now: Int64) -> Dispatcher.Gauge {
        let heard = rings.exchange(0, ordering: .acquiring)
        if heard > 0 { turn.pacer.ring(heard, at: now) }
        if isRungForRetries.exchange(false, ordering: .acquiring) { turn.agenda.lookSoon(at: now) }
        var gauge = context.dispatcher.gauge()
        if gauge.nextTimed <= now {
            context.dispatcher.departTimed()
            gauge = context.dispatcher.gauge()
        }
        // One without room lets others find the events: it does not hold the bell, so the next commit rings.
        if isBellOffered.exchange(false, ordering: .acquiring), gauge.room > 0 { turn.pacer.takeBell(at: now) }
        return gauge
    }

    // MARK: Deciding

    private func makePlan(_ turn: inout Turn, _ gauge: Dispatcher.Gauge, _ now: Int64) -> Plan {
        var plan = Plan(room: gauge.room)
        if gauge.hasRoom, turn.pacer.nextClaim(at: now) <= now {
            plan.events = min(gauge.room, context.settings.maxClaim)
            plan.relaysBell = !context.links.isDeaf && turn.pacer.wantsRelay(at: now)
        }
        plan.looksAtRetries = turn.agenda.wantsLook(at: now)
        let due = turn.agenda.dueDestinations(at: now)
        if !due.isEmpty, gauge.room > 0 {
            // From another place on each time: where room is short, those in front take all of it.
            let first = Int.random(in: 0..<due.count)
            let ids = Array(due[first...] + due[..<first])
            for id in plan.addRetries(of: ids, having: context.dispatcher.retryRoom(of: ids)) {
                turn.agenda.postpone(destination: id, until: now + Self.reliefInterval)
            }
        }
        if gauge.nextTimed < .max { plan.rates = context.dispatcher.ratesWanted() }
        return plan
    }

    /// Claims in the same transaction what the settlement makes due: the next events of ordering keys.
    private func claimReleased(_ plan: inout Plan, _ turn: Turn) {
        let planned = Set(plan.retries.map(\.id))
        let released = turn.settlement.releasedDestinations.subtracting(planned).sorted()
        // What finds no room is due once this is recorded, and is planned for or postponed then.
        _ = plan.addRetries(of: released, having: context.dispatcher.retryRoom(of: released))
    }

    private func shouldFlush(_ gauge: Dispatcher.Gauge, _ plan: Plan, _ now: Int64) -> Bool {
        guard gauge.hasSettlement else { return false }
        // What stems from no exchange has no company to wait for, and nobody knows since when it waits.
        let age = gauge.unrecordedSince.map { now - $0 } ?? .max
        let delay = Self.flushDelay(releasesOrder: gauge.releasesOrder, outstanding: gauge.outstanding)
        return age >= (plan.isEmpty ? delay : delay / 2)
            || gauge.unrecorded >= Self.flushCount(outstanding: gauge.outstanding)
            || isStopping.load(ordering: .acquiring)
    }

    /// How long nothing needs to be done, in microseconds.
    private func rest(_ turn: Turn, _ gauge: Dispatcher.Gauge, stops: Bool, _ now: Int64) -> Int64 {
        // Without work in memory nothing is paused or stalled.
        var until = now + (gauge.outstanding > 0 ? Self.reliefInterval : Self.idleInterval)
        if gauge.nextTimed < .max { until = min(until, max(gauge.nextTimed, now + 500)) }
        if let first = gauge.unrecordedSince {
            let delay = Self.flushDelay(releasesOrder: gauge.releasesOrder, outstanding: gauge.outstanding)
            until = min(until, first + delay)
        } else if gauge.inFlight > 0, now - turn.claimedAt < 2 * Self.flushDelay {
            // Most receivers answer within this: one look records them, and none of them wakes the cycle.
            until = min(until, now + Self.flushDelay)
        }
        if !stops {
            if gauge.hasRoom { until = min(until, max(turn.pacer.nextClaim(at: now), now + 200)) }
            until = min(until, max(turn.agenda.nextTime(), now + 1_000))
        }
        return max(0, until - now)
    }

    // MARK: Doing

    private func execute(_ plan: Plan, _ turn: inout Turn, _ connection: Connection) async throws {
        let sentAt = WorkerClock.now()
        var steps = context.links.workSettings
        let keepsOrder = context.dispatcher.keepsOrder && (plan.events > 0 || turn.settlement.releasesOrder)
        if keepsOrder { steps.append(ClaimStore.lockOrder()) }
        let unrecorded = steps.count
        steps += turn.settlement.steps(worker: context.worker, number: turn.number, now: sentAt)
        let recorded = steps.count
        steps += claimSteps(plan, &turn, keepsOrder: keepsOrder, at: sentAt)
        if recorded > unrecorded { Failpoint.beforeRecord.pass() }
        let results = try await connection.pipeline(steps, timeout: turn.deadline)
        if recorded > unrecorded { Failpoint.afterRecord.pass() }
        warnOfLostClaims(turn, results, recorded)
        didRecord(&turn)
        try await didClaim(plan, &turn, results[recorded...], askedAt: sentAt, keepsOrder: keepsOrder, connection)
    }

    private func warnOfLostClaims(_ turn: Turn, _ results: [Rows], _ recorded: Int) {
        let finished = turn.settlement.finishedClaims
        guard !finished.isEmpty, results[recorded - 1].count < finished.count else { return }
        context.logger.warning(
            "claims were taken over before they were recorded",
            metadata: ["claims": "\(finished.count - results[recorded - 1].count)"])
    }

    private func didRecord(_ turn: inout Turn) {
        let released = turn.settlement.releasedDestinations
        turn.settlement = Settlement()
        unconfirmed.withLock { $0.settlement = Settlement() }
        context.dispatcher.recorded()
        let now = WorkerClock.now()
        for hint in context.dispatcher.takeRetryHints() {
            turn.agenda.add(destination: hint.destination, milliseconds: hint.milliseconds, at: now)
        }
        for destination in released { turn.agenda.release(destination: destination, at: now) }
        let disabled = context.dispatcher.takeDisabled()
        if !disabled.isEmpty { context.disable(disabled) }
    }
}
