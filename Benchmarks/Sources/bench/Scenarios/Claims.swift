// How long one claim takes, as a worker makes it, whatever stands in the database.

/// Claims of 500 events by one session, one after the other, with the statement of the product and the session settings of
/// a worker. Nothing else happens meanwhile, and nothing is delivered.
struct Claims {
    /// Names of the variants.
    static let (bare, full) = ("new database", "much history, much waiting")
    private static let (size, claims) = (500, 400)
    private static let queries = "sql/queries/claims.sql"

    /// Events that were delivered before.
    let history: Int
    /// Events that wait; at least as many as are claimed.
    let waiting: Int

    /// What claims meet.
    static func variants(history: Int, waiting: Int) -> [(name: String, claims: Claims)] {
        let claimed = min(waiting, size * claims)
        return [
            ("\(bare), \(Table.number(Double(claimed))) events wait", Claims(history: 0, waiting: claimed)),
            (
                "\(full): \(Table.number(Double(history))) delivered, \(Table.number(Double(waiting))) wait",
                Claims(history: history, waiting: waiting)
            ),
        ]
    }

    /// Fills the database and claims.
    ///
    /// - Throws: ``BenchError`` when the statement is not found or claims less than it should.
    func measure(_ stage: Stage) throws -> [Sample] {
        let statement = try Self.statement()
        if history > 0 { try stage.remember(history) }
        try stage.leave(waiting: waiting)
        try stage.settle()
        let session = try Database(stage.url)
        try session.run(Statements.workSettings)
        let worker = try session.number(Statements.claimant)
        try session.run("PREPARE claim (\(Self.parameters)) AS \(statement)")
        let values = "\(Statements.fromTheFront), \(Statements.idsOfToday)"
        let claim = "EXECUTE claim (\(Int(worker)), \(Self.size), \(Self.size), \(values))"
        var times: [Double] = []
        for number in 0..<min(Self.claims, waiting / Self.size) {
            try Interruption.check()
            let (rows, seconds) = try session.time(claim)
            guard rows == Self.size else { throw BenchError("Claim \(number) gave \(rows) events, not \(Self.size).") }
            // The first ones make the plan.
            if number >= 10 { times.append(seconds * 1000) }
        }
        times.sort()
        return [
            Sample("claim of \(Self.size) p50", Statistics.percentile(0.5, of: times), "ms"),
            Sample("claim of \(Self.size) p99", Statistics.percentile(0.99, of: times), "ms"),
            Sample("claim of \(Self.size) maximum", times.last ?? 0, "ms"),
        ]
    }

    /// Types of the statement's parameters.
    static let parameters = "bigint, integer, integer, uuid[], smallint[], uuid, uuid"

    /// The statement as it stands in the file of the product.
    ///
    /// - Throws: ``BenchError`` when it is not found.
    static func statement() throws -> String {
        guard let file = readText(queries) else {
            throw BenchError("\(queries) cannot be read: run bench in the repository.")
        }
        let marker = "-- name: "
        for part in file.split(separator: marker) where part.hasPrefix("EventClaim ") {
            return String(part.drop { $0 != "\n" }.reversed().drop { $0 != ";" }.dropFirst().reversed())
        }
        throw BenchError("\(queries) has no EventClaim.")
    }
}
