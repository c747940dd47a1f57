// When outcomes are recorded: soon, and not one by one. Decisions only; the work cycle and the dispatcher ask.

extension WorkCycle {
    /// A settlement waits for company at most this long; 5 ms.
    static let flushDelay: Int64 = 5_000
    /// And at most this long when events of an ordering key wait behind it; 1 ms.
    static let orderFlushDelay: Int64 = 1_000
    /// And so long when the worker is behind, so that settlements are large however many workers share the cores; 20 ms.
    static let backlogFlushDelay: Int64 = 20_000
    /// With so many deliveries in memory a worker is behind; 1,024.
    static let backlog = 1_024
    /// A settlement of so many attempts does not wait; 128.
    static let flushCount = 128
    /// The same when the worker is behind; 512.
    static let backlogFlushCount = 512

    /// How long a settlement waits for company.
    static func flushDelay(releasesOrder: Bool, outstanding: Int) -> Int64 {
        releasesOrder ? orderFlushDelay : outstanding >= backlog ? backlogFlushDelay : flushDelay
    }

    /// A settlement of so many attempts does not wait for more.
    static func flushCount(outstanding: Int) -> Int { outstanding >= backlog ? backlogFlushCount : flushCount }
}
