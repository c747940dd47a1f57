// How long a look at the queue takes that finds nothing, with few weeks in the event log and with many.

/// Looks of one session, one after the other, with the statement of the product and the session settings of a worker.
struct Looks {
    /// Names of the variants and of their figure.
    static let (bare, years) = ("looks, new database", "looks, two years of weeks")
    static let reading = "look that reads events of today p50"
    private static let count = 4_000

    /// How many weeks of the past have a partition of their own; at least 0.
    let weeks: Int

    /// What looks meet.
    static let variants: [(name: String, looks: Looks)] = [(bare, Looks(weeks: 0)), (years, Looks(weeks: 104))]

    /// Makes the weeks and looks.
    ///
    /// - Throws: ``BenchError`` when the statement is not found or a look finds something.
    func measure(_ stage: Stage) throws -> [Sample] {
        if weeks > 0 { try stage.database.run(Statements.pastWeeks(weeks)) }
        try stage.settle()
        let session = try Database(stage.url)
        try session.run(Statements.workSettings)
        let worker = Int(try session.number(Statements.claimant))
        try session.run("PREPARE claim (\(Claims.parameters)) AS \(try Claims.statement())")
        let spans = try [Statements.everyID, Statements.idsOfToday].map { span in
            try session.rows("SELECT \(span)")[0].map { "'\($0 ?? "")'" }.joined(separator: ", ")
        }
        var times: [[Double]] = [[], []]
        for number in 0..<Self.count {
            try Interruption.check()
            for (place, span) in spans.enumerated() {
                let (rows, seconds) = try session.time(
                    "EXECUTE claim (\(worker), 500, 500, \(Statements.fromTheFront), \(span))")
                guard rows == 0 else { throw BenchError("A look found \(rows) events, not 0.") }
                // The first ones make the plan.
                if number >= 10 { times[place].append(seconds * 1_000_000) }
            }
        }
        let opened = try session.number(Statements.weeks)
        return [
            Sample("weeks in the event log", opened, ""),
            Sample("look that reads all events p50", Statistics.percentile(0.5, of: times[0].sorted()), "µs"),
            Sample(Self.reading, Statistics.percentile(0.5, of: times[1].sorted()), "µs"),
        ]
    }
}
