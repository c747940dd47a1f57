// A receiver that stops for a moment while much waits for it, as one does that is restarted or collects garbage: what does it
// cost beyond the moment?

/// A drain during which the receiver stands still once.
struct Pause {
    /// How long it stands still, in seconds: not at all, as garbage is collected, as a program is restarted, as a machine is.
    static let lengths = [0, 0.4, 1.5, 5]
    /// Name of the figure.
    static let excess = "beyond the pause"

    let seconds: Double
    let events: Int
    let workers: Int

    /// The name of the variant.
    var variant: String {
        (seconds == 0 ? "no pause" : "a pause of \(Int(seconds * 1000)) ms") + ", \(workers) workers"
    }

    /// Fills the queue, starts workers, stops the receiver when a fifth has come, and waits until all is recorded.
    ///
    /// - Throws: ``BenchError`` when the workers fail or do not come to an end, or when the receiver did not stop.
    func measure(_ stage: Stage) throws -> [Sample] {
        let receiver = try Receiver(stage.toolbox, count: events)
        defer { receiver.end() }
        try stage.createEndpoints(receiver.urls)
        try stage.inPortions(events) { first, last in try stage.database.rows(Statements.fill, first, last, "1") }
        try stage.settle()
        let workers = try Workers(stage.toolbox, count: workers, databaseURL: stage.url)
        defer { workers.end() }
        let deadline = Clock.seconds + 60 + seconds + Double(events) / 500
        while try receiver.figures().distinct < events / 5 {
            try workers.check()
            if Clock.seconds > deadline { throw BenchError("The queue was not drained in time.") }
        }
        if seconds > 0 { try receiver.standStill(seconds) }
        try waitUntilRecorded(stage, receiver, workers, until: deadline)
        let end = Clock.microsecondsSince1970
        let arrived = try receiver.figures()
        let lost = events - arrived.distinct
        // What a session did is counted when it ends, or a second later.
        workers.end()
        return [
            Sample(
                Self.excess, Double(end - arrived.first_us) / 1_000_000 - seconds, "s from first request to last record"
            ),
            Sample("put back", try stage.database.number(Statements.putBack), "deliveries"),
            Sample("lost", Double(lost)),
            Sample("duplicates", Double(arrived.duplicates)),
        ]
    }

    private func waitUntilRecorded(_ stage: Stage, _ receiver: Receiver, _ workers: Workers, until deadline: Double)
        throws
    {
        while try !receiver.reachedCount() {
            try workers.check()
            if Clock.seconds > deadline { throw BenchError("The queue was not drained in time.") }
        }
        while try stage.database.number(Statements.isDrained) != 1 {
            try Interruption.sleep(seconds: 0.001)
            if Clock.seconds > deadline { throw BenchError("All was delivered, but not all was recorded in time.") }
        }
    }
}
