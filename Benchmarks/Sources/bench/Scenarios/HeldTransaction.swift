// A transaction that stays open while very many events come and go: no row that dies meanwhile can be cleaned up. How
// fast do the workers go on, and how soon after its end are they as fast as ever?

/// Portions of events, in turn on a database in which a transaction is held open and on one without, by the same server
/// at the same time: the ratio of the two does not know how fast the machine is at the moment.
struct HeldTransaction {
    /// Name of the variant with the summary.
    static let summary = "summary"
    /// The least of the points, in percent of the rate without.
    static let least = "least of the rate without"
    /// Until a portion is delivered at a normal rate.
    static let recovery = "normal again after"
    /// The rate of the portions from ten seconds after its end on, in percent of the rate without.
    static let afterwards = "of the rate without, 10 s after its end"

    /// A portion that is so fast, compared with those without a transaction, is normal.
    private static let normal = 0.9
    /// When nothing is normal by then, that is the result.
    private static let patience = 60.0
    private static let portions = 4

    /// Events of the time in which it is held.
    let events: Int
    /// How long it is held.
    let seconds: Int
    let workers: Int

    /// How often the rates are measured while it is held: each minute, up to ten times.
    private var points: Int { min(10, max(2, seconds / 60)) }
    private var portion: Int { max(1, events / points / Self.portions) }

    /// One place in time: the medians of the portions.
    private struct Point {
        let name: String
        let held: Road.Portion
        let free: Road.Portion
        let look: Double
        let deadRows: Double
        var share: Double { held.rate / free.rate * 100 }
    }

    /// Measures before, while and after it is held.
    ///
    /// - Throws: ``BenchError`` when deliveries stay away.
    func measure(_ toolbox: Toolbox, _ server: Server) throws -> [(variant: String, samples: [Sample])] {
        try Stage.with(toolbox, server) { heldStage in
            try Stage.with(toolbox, server) { freeStage in
                let held = try Road(heldStage, workers: workers)
                defer { held.end() }
                let free = try Road(freeStage, workers: workers)
                defer { free.end() }
                return try measure(heldStage, held, freeStage, free)
            }
        }
    }

    private func measure(
        _ heldStage: Stage, _ held: Road, _ freeStage: Stage, _ free: Road
    ) throws -> [(variant: String, samples: [Sample])] {
        for (stage, road) in [(heldStage, held), (freeStage, free)] {
            // Caches, connections, and statistics as a running system has them.
            _ = try road.drain(portion)
            try stage.database.run("ANALYZE; CHECKPOINT")
        }
        var points = [try point("before", held, free, heldStage)]
        let holder = try Database(heldStage.url)
        try holder.run(Statements.heldTable)
        try holder.run(Statements.holdSnapshot)
        let begin = Clock.seconds
        var rests: [Sample] = []
        for number in 1...self.points {
            let end = begin + Double(seconds * number) / Double(self.points)
            points.append(try point("\(Self.name(seconds * number / self.points))", held, free, heldStage))
            Bench.say("  held until \(points[number].name): \(Table.fixed(points[number].share, 0)) %")
            if let cpu = try idle(until: end, heldStage.server) {
                rests.append(Sample(points[number].name, cpu, "% of a core"))
            }
        }
        let lasted = Clock.seconds - begin
        try holder.run("COMMIT")
        let ended = Clock.seconds
        let recovery = try recover(held, normal: points[self.points].free.rate)
        points.append(try point("after its end", held, free, heldStage))
        try Interruption.sleep(seconds: max(0, ended + min(10, Double(seconds)) - Clock.seconds))
        points.append(try point("10 s after its end", held, free, heldStage))
        return report(points) + [
            ("Postgres CPU between portions", rests),
            (Self.summary, summary(points, lasted: lasted, recovery) + (try held.losses())),
        ]
    }

    /// What came of it, in a few figures.
    ///
    /// - Parameter points: one before, those while it was held, and two after its end.
    private func summary(
        _ points: [Point], lasted: Double, _ recovery: (seconds: Double, first: Double)
    ) -> [Sample] {
        let meanwhile = points.dropFirst().dropLast(2)
        let (shares, rates) = (meanwhile.map(\.share), meanwhile.map(\.held.rate))
        return [
            Sample("held for", lasted, "s"),
            Sample("events meanwhile", Double(portion * Self.portions * self.points)),
            Sample(Self.least, shares.min() ?? 0, "%"),
            Sample("least of the rate before", (rates.min() ?? 0) / points[0].held.rate * 100, "%"),
            Sample(Self.recovery, recovery.seconds, "s"),
            Sample(Self.afterwards, points.last?.share ?? 0, "%"),
            Sample("first portion after its end", recovery.first / points[self.points].free.rate * 100, "%"),
        ]
    }

    /// Waits, and gives what Postgres does meanwhile for the idle workers of both databases.
    private func idle(until end: Double, _ server: Server) throws -> Double? {
        let (start, cpu) = (Clock.seconds, server.cpuMicroseconds)
        try Interruption.sleep(seconds: max(0, end - start))
        return end - start < 1 ? nil : (server.cpuMicroseconds - cpu) / (Clock.seconds - start) / 10_000
    }

    private static func name(_ seconds: Int) -> String {
        seconds % 60 == 0 ? "minute \(seconds / 60)" : "second \(seconds)"
    }

    private func point(_ name: String, _ held: Road, _ free: Road, _ stage: Stage) throws -> Point {
        var pairs: [(held: Road.Portion, free: Road.Portion)] = []
        for number in 0..<Self.portions {
            // Whoever comes second finds the processor's caches full of the other's.
            if number % 2 == 0 {
                let first = try held.drain(portion)
                pairs.append((first, try free.drain(portion)))
            } else {
                let first = try free.drain(portion)
                pairs.append((try held.drain(portion), first))
            }
        }
        return Point(
            name: name, held: Self.median(pairs.map(\.held)), free: Self.median(pairs.map(\.free)),
            look: try held.lookMilliseconds(), deadRows: try stage.database.number(Statements.deadQueueRows))
    }

    private static func median(_ portions: [Road.Portion]) -> Road.Portion {
        Road.Portion(
            rate: Statistics.median(portions.map(\.rate)), serverCPU: Statistics.median(portions.map(\.serverCPU)))
    }

    /// Drains portion after portion from the end of the transaction until one is as fast as without.
    private func recover(_ held: Road, normal: Double) throws -> (seconds: Double, first: Double) {
        let end = Clock.seconds
        var first: Double?
        while true {
            let rate = try held.drain(portion).rate
            first = first ?? rate
            let elapsed = Clock.seconds - end
            if rate >= Self.normal * normal || elapsed > Self.patience { return (elapsed, first ?? rate) }
        }
    }

    private func report(_ points: [Point]) -> [(variant: String, samples: [Sample])] {
        let unit = "/s from commit to record"
        return [
            ("deliveries", points.map { Sample($0.name, $0.held.rate, unit) }),
            ("deliveries without it, in turn", points.map { Sample($0.name, $0.free.rate, unit) }),
            ("of the rate without it", points.map { Sample($0.name, $0.share, "%") }),
            ("Postgres CPU per delivery", points.map { Sample($0.name, $0.held.serverCPU, "µs") }),
            ("Postgres CPU per delivery without it", points.map { Sample($0.name, $0.free.serverCPU, "µs") }),
            ("a look from the front of the queue", points.map { Sample($0.name, $0.look, "ms") }),
            ("dead rows of the queue", points.map { Sample($0.name, $0.deadRows) }),
        ]
    }
}
