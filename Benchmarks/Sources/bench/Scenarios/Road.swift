// A database with running workers into which events come in portions: how fast is each portion delivered?

/// A stage whose workers run all the time. Used by one thread; whoever makes one calls ``end()``.
final class Road {
    /// How fast one portion went, and at what cost.
    struct Portion {
        /// Deliveries a second from the commit of the events to the record of the last.
        let rate: Double
        /// CPU of Postgres per delivery in microseconds, of all databases of the server.
        let serverCPU: Double
    }

    private let stage: Stage
    private let receiver: Receiver
    private let workers: Workers
    /// What the receiver must have got by now; the first comes from the start of the workers.
    private var expected = 1

    /// Makes one endpoint and starts workers.
    ///
    /// - Throws: ``BenchError`` when they do not deliver.
    init(_ stage: Stage, workers count: Int) throws {
        self.stage = stage
        receiver = try Receiver(stage.toolbox)
        do {
            try stage.createEndpoints(receiver.urls)
            try stage.createDomainTable(attached: true)
            workers = try stage.startWorkers(count, receiver)
        } catch {
            receiver.end()
            throw error
        }
    }

    /// Commits events, a queue row for each, and waits until they are delivered and recorded.
    ///
    /// - Throws: ``BenchError`` when they are not within a minute and a hundredth of a second for each.
    func drain(_ events: Int) throws -> Portion {
        let database = stage.database
        try database.run("BEGIN; SET LOCAL session_replication_role = replica")
        try database.rows(Statements.fillRowForEach, "\(expected)", "\(expected + events - 1)")
        // The triggers, which would have rung, are off: what they do is part of the statement.
        try database.run(Statements.ring)
        let (start, cpu) = (Clock.seconds, stage.server.cpuMicroseconds)
        try database.run("COMMIT")
        expected += events
        let deadline = start + 60 + Double(events) / 100
        // That nothing is claimed any more is asked only when everything was sent: the queue, full of dead rows, is not
        // asked at all.
        while try receiver.figures().distinct < expected || database.number(Statements.openClaims) > 0 {
            try workers.check()
            guard Clock.seconds < deadline else {
                throw BenchError("Of a portion of \(events) events not all were delivered in time.")
            }
            try Interruption.sleep(seconds: 0.005)
        }
        let elapsed = Clock.seconds - start
        return Portion(
            rate: Double(events) / elapsed, serverCPU: (stage.server.cpuMicroseconds - cpu) / Double(events))
    }

    /// What is lost, doubled, not recorded or failed by now.
    ///
    /// - Throws: ``BenchError`` when the receiver is gone.
    func losses() throws -> [Sample] {
        let arrived = try receiver.figures()
        let failed = try stage.database.number(Statements.failed)
        let recorded = try stage.database.number(Statements.delivered)
        return [
            Sample("lost", max(0, Double(expected - arrived.distinct) - failed)),
            Sample("duplicates", Double(arrived.duplicates)),
            Sample("not recorded", max(0, Double(expected) - recorded - failed)),
            Sample("failed", failed),
        ]
    }

    /// How long one look at the queue from its front takes, in milliseconds. What it walks over are dead rows.
    ///
    /// - Throws: ``BenchError`` with the server's message.
    func lookMilliseconds() throws -> Double {
        let start = Clock.seconds
        try stage.database.rows(Statements.look)
        return (Clock.seconds - start) * 1000
    }

    /// Ends workers and receiver.
    func end() {
        workers.end()
        receiver.end()
    }
}
