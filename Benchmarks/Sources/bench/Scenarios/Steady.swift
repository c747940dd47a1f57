// Workers with nothing to do, and the same workers at 1,000 events a second: what do they cost.

/// CPU, memory and wake-ups.
struct Steady {
    private static let rate = 1000

    let seconds: Int
    let workers: Int

    /// Measures both, one after the other, on the same workers.
    ///
    /// - Throws: ``BenchError`` when the workers do not deliver.
    func measure(_ stage: Stage) throws -> (idle: [Sample], busy: [Sample]) {
        let receiver = try Receiver(stage.toolbox)
        defer { receiver.end() }
        try stage.createEndpoints(receiver.urls)
        try stage.createDomainTable(attached: true)
        let running = try stage.startWorkers(workers, receiver)
        defer { running.end() }
        // The workers linger awake for a moment after the first event, do their first upkeep within three seconds, and
        // Postgres has a migration to clean up after.
        try Interruption.sleep(seconds: seconds > 2 ? 6 : 1)
        return (try idle(stage, running), try busy(stage, receiver, running))
    }

    private func idle(_ stage: Stage, _ running: Workers) throws -> [Sample] {
        let (start, cpu, wakeUps) = (Clock.seconds, running.cpuMicroseconds, running.wakeUps)
        let serverCPU = stage.server.cpuMicroseconds
        try Interruption.sleep(seconds: Double(seconds))
        let elapsed = Clock.seconds - start
        let count = Double(workers)
        return [
            Sample("CPU of a worker", (running.cpuMicroseconds - cpu) / elapsed / 10_000 / count, "% of a core"),
            Sample("wake-ups of a worker", (running.wakeUps - wakeUps) / elapsed, "/s, all threads"),
            Sample("memory of a worker", running.memory / 1_000_000, "MB"),
            Sample(
                "Postgres CPU of a worker", (stage.server.cpuMicroseconds - serverCPU) / elapsed / 10_000 / count,
                "% of a core"),
        ]
    }

    private func busy(_ stage: Stage, _ receiver: Receiver, _ running: Workers) throws -> [Sample] {
        let before = try receiver.figures().distinct
        let (cpu, serverCPU) = (running.cpuMicroseconds, stage.server.cpuMicroseconds)
        let producer = try Producer(
            stage.toolbox, databaseURL: stage.url, statement: Statements.insertLead, clients: 16, rate: Steady.rate,
            seconds: seconds)
        defer { producer.end() }
        let produced = try producer.finish()
        guard try receiver.waits(for: before + produced.commits, within: 10) else {
            throw BenchError("Of \(produced.commits) events not all were delivered.")
        }
        let events = Double(max(1, produced.commits))
        return [
            Sample("worker CPU per delivery", (running.cpuMicroseconds - cpu) / events, "µs"),
            Sample(
                "Postgres CPU per event", (stage.server.cpuMicroseconds - serverCPU) / events, "µs, insert included"),
            Sample("peak memory of a worker", running.peakMemory / 1_000_000, "MB"),
        ]
    }
}
