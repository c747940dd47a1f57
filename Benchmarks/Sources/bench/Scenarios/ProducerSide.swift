// One of two ways to produce that are measured in turns on one database, so that both see the same mood of the machine.

/// What clients that work flat out did in all turns of one side.
struct ProducerSide {
    let url: String
    let statement: String
    private var commits = 0
    private var elapsed = 0.0
    private var serverCPU = 0.0

    /// Makes a side that has not produced yet.
    ///
    /// - Parameter statement: takes `$1`, a number that ascends.
    init(url: String, statement: String) {
        self.url = url
        self.statement = statement
    }

    /// Commits a second and their cost.
    var samples: [Sample] {
        [
            Sample("commits", Double(commits) / max(0.001, elapsed), "/s"),
            Sample("Postgres CPU per commit", serverCPU / Double(max(1, commits)), "µs"),
        ]
    }

    /// One turn.
    ///
    /// - Parameter first: the first number of the turn.
    /// - Returns: how many were committed.
    /// - Throws: ``BenchError`` when a client fails.
    mutating func produce(_ stage: Stage, clients: Int, seconds: Int, first: Int) throws -> Int {
        let cpu = stage.server.cpuMicroseconds
        let producer = try Producer(
            stage.toolbox, databaseURL: url, statement: statement, clients: clients, seconds: seconds, first: first)
        defer { producer.end() }
        let figures = try producer.finish()
        commits += figures.commits
        elapsed += figures.elapsed_us / 1_000_000
        serverCPU += stage.server.cpuMicroseconds - cpu
        return figures.commits
    }

    /// How many turns a measurement of so many seconds has for each side, none shorter than a second.
    static func turns(in seconds: Int) -> Int { min(5, seconds) }

    /// Runs the turns of two sides: first, second, second, first and so on.
    ///
    /// - Parameters:
    ///   - seconds: how long each side produces in all.
    ///   - prepare: called before each turn with the place of the side whose turn it is.
    /// - Returns: the samples of both.
    /// - Throws: ``BenchError``.
    static func inTurns(
        _ stage: Stage, _ sides: [ProducerSide], clients: Int, seconds: Int, prepare: (Int) throws -> Void = { _ in }
    ) throws -> [[Sample]] {
        var sides = sides
        var next = 1
        let turns = turns(in: seconds)
        try stage.database.run("CHECKPOINT")
        for turn in 0..<turns {
            for place in turn % 2 == 0 ? [0, 1] : [1, 0] {
                try prepare(place)
                next += try sides[place].produce(stage, clients: clients, seconds: max(1, seconds / turns), first: next)
            }
        }
        return sides.map(\.samples)
    }
}
