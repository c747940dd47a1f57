// What stands in a database before a measurement.

extension Stage {
    /// Writes events that were delivered before, each with its attempt.
    ///
    /// - Throws: ``BenchError`` with the server's message.
    func remember(_ events: Int) throws {
        try inPortions(events) { first, last in try quietly { try database.rows(Statements.fillHistory, first, last) } }
    }

    /// Writes events that wait, a queue row for each.
    ///
    /// - Throws: ``BenchError`` with the server's message.
    func leave(waiting events: Int) throws {
        try inPortions(events) { first, last in
            try quietly { try database.rows(Statements.fillRowForEach, first, last) }
        }
    }

    /// Without triggers: what they would do is part of the statement.
    ///
    /// - Throws: what the body throws, or ``BenchError`` with the server's message.
    func quietly(_ body: () throws -> Void) throws {
        try database.run("BEGIN; SET LOCAL session_replication_role = replica")
        try body()
        try database.run("COMMIT")
    }

    /// Statistics as a running system has them, and no checkpoint in the middle of the measurement.
    ///
    /// - Throws: ``BenchError`` with the server's message.
    func settle() throws {
        try database.run("ANALYZE")
        try database.run("CHECKPOINT")
    }

    /// Calls with the first and the last number of each ten thousand events.
    ///
    /// - Throws: what the body throws, or ``BenchError`` after Ctrl-C.
    func inPortions(_ events: Int, _ body: (_ first: String, _ last: String) throws -> Void) throws {
        for first in stride(from: 1, through: events, by: 10_000) {
            try Interruption.check()
            try body("\(first)", "\(min(events, first + 9_999))")
        }
    }
}
