// What the triggers of an attachment cost one session: a statement of one row, and one of 10,000.

/// Domain rows inserted with and without an attachment, in turn, by one session that commits once for many statements:
/// what is measured is the work of the server and not its disk.
struct Inserts {
    private static let singles = 2_000
    private static let rows = 10_000
    /// The least of so many turns counts: what else the machine does can only add.
    private static let turns = 9

    /// Measures both kinds of statement on both tables.
    ///
    /// - Returns: microseconds for each row.
    /// - Throws: ``BenchError`` with the server's message.
    func measure(_ stage: Stage) throws -> [Sample] {
        try stage.createDomainTable(attached: true)
        try stage.database.run(Statements.plainTable)
        try stage.database.run(Statements.linkedTables)
        try stage.database.rows(Statements.attachLinked)
        let single = try pair(stage, Statements.singleInserts, rows: Inserts.singles)
        let bulk = try pair(stage, Statements.bulkInsert, rows: Inserts.rows)
        let linked = try pair(
            stage, Statements.bulkInsert, rows: Inserts.rows, plain: "bench.linked_plain", attached: "bench.linked")
        let emit = try least(stage, [Statements.emits(Inserts.singles)], rows: Inserts.singles)[0]
        return [
            Sample("one row, no trigger", single.plain, "µs"),
            Sample("one row, attached", single.attached, "µs"),
            Sample("an attachment adds", single.attached - single.plain, "µs"),
            Sample("emit", emit, "µs"),
            Sample("10,000 rows at once, no trigger", bulk.plain, "µs a row"),
            Sample("10,000 rows at once, attached", bulk.attached, "µs a row"),
            Sample("10,000 rows: attached / no trigger", bulk.attached / bulk.plain, "times"),
            Sample("10,000 rows with a foreign key and two more indexes, no trigger", linked.plain, "µs a row"),
            Sample("10,000 rows with a foreign key and two more indexes, attached", linked.attached, "µs a row"),
        ]
    }

    private func pair(
        _ stage: Stage, _ statement: (String, Int) -> String, rows: Int, plain: String = "bench.plain",
        attached: String = "bench.leads"
    ) throws -> (plain: Double, attached: Double) {
        let times = try least(stage, [statement(plain, rows), statement(attached, rows)], rows: rows)
        return (times[0], times[1])
    }

    private func least(_ stage: Stage, _ statements: [String], rows: Int) throws -> [Double] {
        var times = [Double](repeating: .infinity, count: statements.count)
        for _ in 0..<Inserts.turns {
            for (place, statement) in statements.enumerated() {
                try Interruption.check()
                try stage.database.run("BEGIN")
                let start = Clock.seconds
                try stage.database.run(statement)
                times[place] = min(times[place], (Clock.seconds - start) * 1_000_000 / Double(rows))
                try stage.database.run("COMMIT")
            }
        }
        return times
    }
}
