// The bare C program on the same machine in the same run: what the drain is compared with.

/// The drain of a bare queue by bench-bare.
struct Ceiling {
    /// How the variant's name begins.
    static let variant = "bare C program"

    let events: Int
    let processes: Int

    /// Fills, starts the processes, waits for their end.
    ///
    /// - Throws: ``BenchError`` when one of them fails.
    func measure(_ toolbox: Toolbox, _ server: Server) throws -> [Sample] {
        try server.withDatabase { url, database in
            try fill(database)
            let receiver = try Receiver(toolbox)
            defer { receiver.end() }
            let (start, serverCPU) = (Clock.microsecondsSince1970, server.cpuMicroseconds)
            let programs = try (0..<processes).map { _ in
                try toolbox.start("bench-bare", ["--url", receiver.url()], databaseURL: url)
            }
            defer { programs.forEach { $0.end() } }
            struct Done: Decodable { let cpu_us: Double }
            let limit = 60 + Double(events) / 1000
            let done = try programs.map { try decode(Done.self, $0.finish(within: limit).last ?? "") }
            let end = Clock.microsecondsSince1970
            let arrived = try receiver.figures()
            let delivered = Double(events)
            let rate = { (since: Int64) in delivered * 1_000_000 / Double(end - since) }
            return [
                Sample("deliveries", rate(arrived.first_us), Drain.sinceFirst),
                Sample("deliveries with start", rate(start), Drain.sinceStart),
                Sample("program CPU per delivery", done.reduce(0) { $0 + $1.cpu_us } / delivered, "µs"),
                Sample("Postgres CPU per delivery", (server.cpuMicroseconds - serverCPU) / delivered, "µs"),
                Sample("lost", delivered - Double(arrived.distinct)),
                Sample("not recorded", delivered - (try database.number(Statements.bareDelivered))),
            ]
        }
    }

    private func fill(_ database: Database) throws {
        try database.run(Statements.bareTables)
        for first in stride(from: 1, through: events, by: 10_000) {
            try Interruption.check()
            try database.rows(Statements.bareFill, "\(first)", "\(min(events, first + 9_999))")
        }
        try database.run("ANALYZE")
        try database.run("CHECKPOINT")
    }
}
