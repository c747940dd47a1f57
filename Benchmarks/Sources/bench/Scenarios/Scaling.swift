// More and more worker processes on the same cores: what becomes of the rate, and does each get its share of the work?

/// Drains and steady runs with so many workers.
struct Scaling {
    /// How many workers, one after the other.
    static let counts = [1, 2, 4, 8]
    /// How the name of the variant begins.
    static let bare = "drain by the bare C program, "
    /// Name of the figure.
    static let deviation = "largest deviation from an equal share"

    private static let rate = 1000

    let workers: Int
    let events: Int
    let clients: Int
    let seconds: Int

    /// The name of a variant: "drain", "1,000 events/s" or "flat out", with so many workers.
    static func variant(_ load: String, _ workers: Int) -> String {
        "\(load), \(workers) worker\(workers > 1 ? "s" : "")"
    }

    /// Three loads on the same workers: 1,000 events/s, clients that commit as fast as they can, and a queue that is full
    /// all at once. The workers have started before, so that eight processes that come up on two cores are no part of it.
    ///
    /// - Throws: ``BenchError`` when deliveries stay away.
    func measure(_ stage: Stage) throws -> (paced: [Sample], flatOut: [Sample], drain: [Sample]) {
        let receiver = try Receiver(stage.toolbox)
        defer { receiver.end() }
        try stage.createEndpoints(receiver.urls)
        try stage.createDomainTable(attached: true)
        let running = try stage.startWorkers(workers, receiver)
        defer { running.end() }
        // All of them, not only the one that delivered the first event.
        let deadline = Clock.seconds + 20
        while try stage.database.number(Statements.workersAlive) < Double(workers) {
            try running.check()
            guard Clock.seconds < deadline else { throw BenchError("Not all workers came up within 20 s.") }
            try Interruption.sleep(seconds: 0.02)
        }
        let paced = try produce(stage, receiver, running, first: 1, rate: Self.rate)
        let flatOut = try produce(stage, receiver, running, first: 1 + Self.rate * seconds, rate: nil)
        return (paced, flatOut, try drain(stage, receiver, running))
    }

    private func drain(_ stage: Stage, _ receiver: Receiver, _ running: Workers) throws -> [Sample] {
        let before = try receiver.figures().distinct
        try stage.database.run("BEGIN")
        try stage.inPortions(events) { first, last in
            try stage.database.rows(Statements.fill, first, last, "1")
        }
        let (start, cpu, serverCPU) = (Clock.seconds, running.cpuMicroseconds, stage.server.cpuMicroseconds)
        try stage.database.run("COMMIT")
        guard try receiver.waits(for: before + events, within: 60 + Double(events) / 500) else {
            throw BenchError("The queue was not drained in time.")
        }
        try waitUntilRecorded(stage)
        let seconds = Clock.seconds - start
        guard try stage.database.number(Statements.openClaims) == 0 else {
            throw BenchError("What was delivered was not recorded within ten seconds.")
        }
        return [
            Sample("deliveries", Double(events) / seconds, "/s from commit to last record"),
            Sample("worker CPU per delivery", (running.cpuMicroseconds - cpu) / Double(events), "µs"),
            Sample(
                "Postgres CPU per delivery", (stage.server.cpuMicroseconds - serverCPU) / Double(events), "µs"),
        ] + (try shares(stage, after: before))
    }

    private func produce(
        _ stage: Stage, _ receiver: Receiver, _ running: Workers, first: Int, rate: Int?
    ) throws -> [Sample] {
        let before = try receiver.figures().distinct
        let (cpu, serverCPU) = (running.cpuMicroseconds, stage.server.cpuMicroseconds)
        let producer = try Producer(
            stage.toolbox, databaseURL: stage.url, statement: Statements.insertLead, clients: clients, rate: rate,
            seconds: seconds, first: first)
        defer { producer.end() }
        let produced = try producer.finish()
        let delivered = Double(try receiver.figures().distinct - before)
        let costs = [
            Sample("commits", produced.rate, "/s"),
            Sample("delivered meanwhile", delivered * 1_000_000 / produced.elapsed_us, "/s"),
            Sample("worker CPU per delivery", (running.cpuMicroseconds - cpu) / max(1, delivered), "µs"),
            Sample("Postgres CPU per delivery", (stage.server.cpuMicroseconds - serverCPU) / max(1, delivered), "µs"),
        ]
        let expected = before + produced.commits
        let isComplete = try receiver.waits(for: expected, within: 10)
        let missing = isComplete ? 0 : expected - (try receiver.figures().distinct)
        try waitUntilRecorded(stage)
        return costs + (try shares(stage, after: before)) + [Sample("not delivered after 10 s", Double(missing))]
    }

    private func waitUntilRecorded(_ stage: Stage) throws {
        let deadline = Clock.seconds + 10
        while try stage.database.number(Statements.openClaims) > 0, Clock.seconds < deadline {
            try Interruption.sleep(seconds: 0.01)
        }
    }

    /// By how much the worker that did most, or least, is away from an equal share of the attempts.
    private func shares(_ stage: Stage, after first: Int) throws -> [Sample] {
        let counts = try stage.database.rows(Statements.shares, "\(first)").compactMap { $0[0].flatMap { Double($0) } }
        return [Sample(Self.deviation, Self.deviation(of: counts, workers: workers), "%")]
    }

    /// The largest distance from the mean, in percent of it. Workers that are not among the counts did nothing.
    static func deviation(of counts: [Double], workers: Int) -> Double {
        let mean = counts.reduce(0, +) / Double(max(1, workers))
        guard mean > 0 else { return 0 }
        let idle = [Double](repeating: 0, count: max(0, workers - counts.count))
        return (counts + idle).map { abs($0 - mean) / mean * 100 }.max() ?? 0
    }
}
