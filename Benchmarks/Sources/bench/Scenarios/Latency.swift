// From the acknowledgement of a commit to the request at the receiver, while domain rows are inserted at a steady rate.

import Support

/// Latency at one rate.
struct Latency {
    /// What happens in the first second does not count: connections and caches are still being filled.
    private static let warmUpSeconds = 1

    /// Events a second of a system that is idle between one and the next.
    static let single = 5

    let rate: Int
    let seconds: Int
    let workers: Int
    /// Events that were never sent and are replayed meanwhile at the default rate; none by default.
    var replayed = 0
    /// Whether the workers hear no notifications, as behind a pooler.
    var isDeaf = false

    /// Inserts on schedule while workers deliver, and joins both records by event id.
    ///
    /// - Throws: ``BenchError`` when deliveries stay away.
    func measure(_ stage: Stage) throws -> [Sample] {
        let receiver = try Receiver(stage.toolbox, records: true)
        defer { receiver.end() }
        try stage.createEndpoints(receiver.urls)
        try stage.createDomainTable(attached: true)
        if replayed > 0 {
            try stage.database.rows(Statements.fillUnsent, "1", "\(replayed)")
            try stage.database.run(Statements.emptyQueue)
        }
        let workers = try stage.startWorkers(workers, receiver, isDeaf: isDeaf)
        defer { workers.end() }
        let replay = replayed > 0 ? try stage.startReplay() : nil
        defer { replay?.end() }
        let producer = try Producer(
            stage.toolbox, databaseURL: stage.url, statement: Statements.insertLead, clients: 16, rate: rate,
            seconds: seconds + Latency.warmUpSeconds)
        defer { producer.end() }
        let produced = try producer.finish()
        replay?.end()
        let expected = produced.commits + 1 + Int(try stage.database.number(Statements.replayed))
        _ = try receiver.waits(for: expected, within: 10)
        let arrived = try receiver.figures()
        let samples = try join(stage, producer.commits(), receiver.arrivals())
        let planned = rate * (seconds + Latency.warmUpSeconds)
        return percentiles(samples) + [
            Sample("commit p50", produced.commit_p50_us / 1000, "ms"),
            Sample("sent late p99", produced.late_p99_us / 1000, "ms"),
            Sample("kept of the schedule", Double(produced.commits) / Double(planned) * 100, "%"),
            Sample("not delivered after 10 s", Double(expected - arrived.distinct)),
            Sample("duplicates", Double(arrived.duplicates)),
        ]
    }

    private func join(_ stage: Stage, _ commits: [bench_commit], _ arrivals: [bench_arrival]) throws -> [Double] {
        let now = Clock.microsecondsSince1970
        var arrivedAt: [String: Int64] = [:]
        for arrival in arrivals where arrivedAt[text(arrival)] == nil { arrivedAt[text(arrival)] = arrival.arrived_us }
        var events: [Int64: String] = [:]
        for row in try stage.database.rows(Statements.eventsByLead) {
            if let id = row[0], let lead = row[1].flatMap({ Int64($0) }) { events[lead] = id }
        }
        let begin = (commits.map(\.due_us).min() ?? 0) + Int64(Latency.warmUpSeconds) * 1_000_000
        let samples: [Double] = commits.compactMap { commit in
            guard commit.due_us >= begin, let id = events[commit.sequence] else { return nil }
            // What has not arrived by now counts as arriving now: leaving it out would flatter workers that lag.
            return Double((arrivedAt[id] ?? now) - commit.acknowledged_us) / 1000
        }
        return samples.sorted()
    }

    // A request can be there before the client knows of its commit; such a sample is negative and stays so.
    private func percentiles(_ sorted: [Double]) -> [Sample] {
        [
            Sample("commit to request p50", Statistics.percentile(0.5, of: sorted), "ms"),
            Sample("commit to request p95", Statistics.percentile(0.95, of: sorted), "ms"),
            Sample("commit to request p99", Statistics.percentile(0.99, of: sorted), "ms"),
            Sample("commit to request max", sorted.last ?? 0, "ms"),
            Sample("samples", Double(sorted.count)),
        ]
    }

    private func text(_ arrival: bench_arrival) -> String {
        withUnsafeBytes(of: arrival.id) { String(decoding: $0.prefix(Int(arrival.id_length)), as: UTF8.self) }
    }
}
