// A queue that is full before the workers start: how fast is it delivered and recorded, and at what cost.

/// The drain of a filled queue.
struct Drain {
    /// How the variant's name begins.
    static let variant = "Postrider"
    /// How it begins when the receiver speaks TLS.
    static let secure = "over TLS:"
    /// Unit of the rate in steady state.
    static let sinceFirst = "/s from first request to last record"
    /// Unit of the rate that counts the start of the processes in.
    static let sinceStart = "/s from start of the processes"

    /// The figure of ``reloads``.
    static let loadedMemory = "peak memory after loads of everything"

    let events: Int
    let workers: Int
    var destinations = 1
    var fanOut = 1
    /// A queue row for each event, as single inserts make them; otherwise 64 events share one.
    var isRowForEach = false
    /// Events that were delivered before and stand in the log with their attempts.
    var history = 0
    /// Whether a transaction stays open from before the queue is filled, so that no dead row can be cleaned up.
    var isPinned = false
    /// Statements that change the endpoints before the queue is filled.
    var setup: [String] = []
    /// Ordering keys among which the events are shared out; 0 for none.
    var keys = 0
    /// Whether the receiver speaks TLS.
    var isSecure = false
    /// Requests after which the receiver closes a connection; nil for never.
    var closeAfter: Int?
    /// What a proxy with TLS in front of the receiver speaks; nil for none. For one destination.
    var front: Front.Version?

    /// How often, after the drain, something changes for which workers load all destinations.
    var reloads = 0

    private var deliveries: Int { events * fanOut }

    /// Fills, starts workers, waits until everything is recorded.
    ///
    /// - Throws: ``BenchError`` when the workers fail or do not come to an end.
    func measure(_ stage: Stage) throws -> [Sample] {
        let authority = isSecure || front != nil ? try Authority(stage.toolbox) : nil
        let receiver = try Receiver(
            stage.toolbox, ports: destinations, count: deliveries, authority: isSecure ? authority : nil,
            closeAfter: closeAfter)
        defer { receiver.end() }
        let proxy = try authority.flatMap { authority in
            try front.map { try Front(stage.toolbox, $0, authority: authority, backend: receiver.ports[0]) }
        }
        defer { proxy?.end() }
        try stage.createEndpoints(proxy.map { [$0.url] } ?? receiver.urls, fanOut: fanOut)
        for statement in setup { try stage.database.run(statement) }
        if history > 0 { try stage.remember(history) }
        let pin = try Database(stage.url)
        if isPinned { try pin.run(Statements.holdTransaction) }
        let filled = try fill(stage)
        let start = Clock.microsecondsSince1970
        let (wal, serverCPU) = (try stage.server.walBytes(), stage.server.cpuMicroseconds)
        let workers = try Workers(
            stage.toolbox, count: workers, databaseURL: stage.url, authority: authority?.file,
            offersHTTP2: front == .http2)
        defer { workers.end() }
        let end = try waitUntilRecorded(stage, receiver, workers)
        let costs = [
            Sample("worker CPU per delivery", workers.cpuMicroseconds / Double(deliveries), "µs"),
            Sample("Postgres CPU per delivery", (stage.server.cpuMicroseconds - serverCPU) / Double(deliveries), "µs"),
            Sample("peak memory of a worker", workers.peakMemory / 1_000_000, "MB"),
            Sample("WAL of an insert", filled.wal / Double(events), "B/event"),
            Sample("WAL of the rest", (try stage.server.walBytes() - wal) / Double(deliveries), "B/delivery"),
        ]
        // Late duplicates, of a request that was repeated after all, would still come in now.
        try Interruption.sleep(seconds: 0.3)
        let arrived = try receiver.figures()
        let rates = [
            Sample("deliveries", rate(since: arrived.first_us, until: end), Drain.sinceFirst),
            Sample("deliveries with start", rate(since: start, until: end), Drain.sinceStart),
            Sample("first request after", Double(arrived.first_us - start) / 1000, "ms from start"),
        ]
        let proxies = proxy.map {
            [Sample("proxy CPU per delivery", $0.cpuMicroseconds / Double(deliveries), "µs")]
        }
        let figures = rates + costs + (try losses(stage, arrived)) + connections(arrived) + (proxies ?? [])
        return figures + (try memoryAfterReloads(stage, workers))
    }

    // Nothing is claimed with destinations older than the claim, so each event proves a load.
    private func memoryAfterReloads(_ stage: Stage, _ workers: Workers) throws -> [Sample] {
        guard reloads > 0 else { return [] }
        let deadline = Clock.seconds + 60
        for number in 1...reloads {
            try stage.database.rows(Statements.changeSetting, "BENCH_\(number)")
            while try !isDrained(stage) {
                try Interruption.sleep(seconds: 0.01)
                try workers.check()
                if Clock.seconds > deadline { throw BenchError("The destinations were not loaded in time.") }
            }
        }
        return [Sample(Drain.loadedMemory, workers.peakMemory / 1_000_000, "MB")]
    }

    private func fill(_ stage: Stage) throws -> (wal: Double, seconds: Double) {
        let (wal, start) = (try stage.server.walBytes(), Clock.seconds)
        if isRowForEach {
            try stage.leave(waiting: events)
        } else {
            try stage.inPortions(events) { first, last in
                if keys > 0 {
                    try stage.database.rows(Statements.fillKeys, first, last, "\(keys)")
                } else {
                    try stage.database.rows(Statements.fill, first, last, "\(destinations)")
                }
            }
        }
        let filled = (try stage.server.walBytes() - wal, Clock.seconds - start)
        try stage.settle()
        return filled
    }

    // The receiver says when the last request came; only then is Postgres asked, each millisecond, whether it is
    // recorded. Asking all the time would take CPU from what is measured.
    private func waitUntilRecorded(_ stage: Stage, _ receiver: Receiver, _ workers: Workers) throws -> Int64 {
        let deadline = Clock.seconds + 60 + Double(deliveries) / 500
        var nextLook = Clock.seconds + 5
        while try !receiver.reachedCount() {
            try workers.check()
            if Clock.seconds > deadline { throw BenchError("The queue was not drained in time.") }
            // Everything recorded and yet not everything arrived: deliveries failed or were lost. The figures tell.
            if Clock.seconds > nextLook {
                if try isDrained(stage) { break }
                nextLook = Clock.seconds + 1
            }
        }
        while try !isDrained(stage) {
            try Interruption.sleep(seconds: 0.001)
            if Clock.seconds > deadline { throw BenchError("All was delivered, but not all was recorded in time.") }
        }
        return Clock.microsecondsSince1970
    }

    private func isDrained(_ stage: Stage) throws -> Bool { try stage.database.number(Statements.isDrained) == 1 }

    private func rate(since start: Int64, until end: Int64) -> Double {
        Double(deliveries) * 1_000_000 / Double(max(1, end - start))
    }

    // What stands as a retry or as a dead letter is neither lost nor unrecorded.
    private func losses(_ stage: Stage, _ arrived: ReceiverFigures) throws -> [Sample] {
        let failed = try stage.database.number(Statements.failed)
        let recorded = try stage.database.number(Statements.delivered) - Double(history)
        return [
            Sample("lost", max(0, Double(deliveries - arrived.distinct) - failed)),
            Sample("duplicates", Double(arrived.duplicates)),
            Sample("not recorded", max(0, Double(deliveries) - recorded - failed)),
            Sample("failed", failed),
        ]
    }

    private func connections(_ arrived: ReceiverFigures) -> [Sample] {
        let figures = [
            Sample("connections", Double(arrived.connections)),
            Sample("requests per connection", Double(arrived.requests) / Double(max(1, arrived.connections))),
            Sample("receiver CPU per delivery", Double(arrived.cpu_us) / Double(deliveries), "µs"),
        ]
        guard isSecure else { return figures }
        return figures + [
            Sample("full TLS handshakes", Double(arrived.handshakes)),
            Sample("resumed TLS handshakes", Double(arrived.resumed)),
            Sample("failed TLS handshakes", Double(arrived.handshakes_failed)),
        ]
    }
}
