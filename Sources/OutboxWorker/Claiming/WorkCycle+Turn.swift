// What the work cycle remembers between its turns. Used by the work cycle alone.

internal import OutboxStore

extension WorkCycle {
    /// What one turn remembers for the next.
    struct Turn {
        var pacer: Pacer
        var agenda = RetryAgenda()
        var lowWater = LowWater()
        /// Of which ids claims of events, and of retries, read the events.
        var span = ReadSpan()
        var retrySpan = ReadSpan()
        /// Kept until the server has confirmed it.
        var settlement = Settlement()
        /// The number of the settlement, and of the last one when there is none.
        var number: Int64 = 0
        var deadline = WorkCycle.shortestDeadline
        /// Claims of events so far, by which every priority gets its turn.
        var claims = 0
        /// When something was last claimed.
        var claimedAt: Int64 = .min / 2
        var relievedAt: Int64 = 0
        /// True after a turn whose answer was lost: it may have claimed something.
        var isInDoubt = false

        /// The longest wait between looks at the queue of a worker that hears notifications; 100 ms. It finds what rang while
        /// a worker was awake and was committed when it slept: transactions that last longer than a worker stays awake.
        private static let hearingPoll = Duration.milliseconds(100)
        /// The same once it is calm, when only transactions can have rung before that last longer still; 250 ms.
        private static let calmPoll = Duration.milliseconds(250)

        /// The first turn of a worker with these looks at the queue; one that hears needs fewer.
        init(floorPoll: Duration, isDeaf: Bool) {
            let poll = isDeaf ? floorPoll : max(floorPoll, Self.hearingPoll)
            let calm = isDeaf ? floorPoll : max(floorPoll, Self.calmPoll)
            pacer = Pacer(
                floorPoll: poll.microseconds, calmPoll: calm.microseconds, windowShare: Double.random(in: 0.8...1.2))
        }

        /// High before normal before low, and now and then another one first, so that none waits forever.
        mutating func nextPriorities() -> [Int16] {
            claims += 1
            switch claims % 16 {
            case 0: return [2, 0, 1]
            case 4, 8, 12: return [1, 0, 2]
            default: return [0, 1, 2]
            }
        }

        /// All that the turn asked for was answered, what its claims had left unread included.
        mutating func succeed(after time: Int64) {
            deadline = min(max(WorkCycle.shortestDeadline, .microseconds(4 * time)), WorkCycle.longestDeadline)
        }

        /// The turn was not answered as it should.
        ///
        /// - Parameter isSlow: the server obeyed when it was asked to stop: it does not hang, it needs more time.
        mutating func fail(isSlow: Bool) {
            isInDoubt = true
            if isSlow { deadline = min(deadline * 2, WorkCycle.longestDeadline) }
        }
    }
}
