// What the outbox costs those who write: commits a second of clients that insert one row each time.

/// What stands between the clients and their commits.
enum ProducerVariant: String, CaseIterable {
    /// A table without triggers: the baseline.
    case plain = "no trigger"
    /// Attached, and no worker runs: nothing is delivered, and the doorbell is silent.
    case silent = "attached, doorbell silent"
    /// Attached, and workers deliver on the same cores.
    case workers = "attached, workers running"
    /// No domain row: each commit is one call of `emit`, as an insert into a job queue is, and workers deliver on the
    /// same cores.
    case emitting = "emit, workers running"
    /// Attached, and nobody is awake but somebody listens: every commit notifies. What others do always.
    case ringing = "attached, every commit rings"
}

/// The closed loop of clients against one variant.
struct Producers {
    let variant: ProducerVariant
    let clients: Int
    let seconds: Int
    let workers: Int

    /// Runs the clients flat out.
    ///
    /// - Throws: ``BenchError`` when one of them fails.
    func measure(_ stage: Stage) throws -> [Sample] {
        try stage.createDomainTable(attached: variant != .plain)
        // A session of its own: the lock goes with it.
        let listener = try Database(stage.url)
        if variant == .ringing { try listener.rows(Statements.hearDoorbell) }
        guard variant == .workers || variant == .emitting else { return try produce(stage).samples }
        let receiver = try Receiver(stage.toolbox)
        defer { receiver.end() }
        try stage.createEndpoints(receiver.urls)
        let running = try stage.startWorkers(workers, receiver)
        defer { running.end() }
        let before = try receiver.figures().distinct
        let cpu = running.cpuMicroseconds
        let produced = try produce(stage)
        let delivered = Double(try receiver.figures().distinct - before)
        let backlog = try stage.database.number(Statements.backlog)
        return produced.samples + [
            Sample("delivered meanwhile", delivered / produced.seconds, "/s"),
            Sample("waiting at the end", backlog),
            Sample("worker CPU per delivery", (running.cpuMicroseconds - cpu) / max(1, delivered), "µs"),
        ]
    }

    private var statement: String {
        switch variant {
        case .emitting: Statements.emitLead
        case .plain, .silent, .workers, .ringing: Statements.insertLead
        }
    }

    private func produce(_ stage: Stage) throws -> (samples: [Sample], seconds: Double) {
        try stage.database.run("CHECKPOINT")
        let cpu = stage.server.cpuMicroseconds
        let producer = try Producer(
            stage.toolbox, databaseURL: stage.url, statement: statement, clients: clients,
            seconds: seconds)
        defer { producer.end() }
        let figures = try producer.finish()
        let serverCPU = stage.server.cpuMicroseconds - cpu
        return (
            [
                Sample("commits", figures.rate, "/s"),
                Sample("commit p50", figures.commit_p50_us / 1000, "ms"),
                Sample("commit p99", figures.commit_p99_us / 1000, "ms"),
                Sample("Postgres CPU per commit", serverCPU / Double(max(1, figures.commits)), "µs"),
            ], figures.elapsed_us / 1_000_000
        )
    }
}
