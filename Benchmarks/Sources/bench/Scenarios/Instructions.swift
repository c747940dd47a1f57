// How many instructions a worker takes to deliver an event: a figure that neither the speed of the machine nor its other
// users can move.

/// Instructions per delivery, counted by valgrind.
struct Instructions {
    /// A kind of load.
    enum Load: String, CaseIterable {
        /// Every look finds as many events as one may: what a delivery costs in large batches.
        case queue = "a queue"
        /// Each event comes when the one before is recorded: what a delivery costs alone, with its look and its record.
        case single = "one event after the other"
    }

    /// Functions in the tables.
    private static let shown = 10
    /// Events that come at once: what a worker claims at most. More would wait for seconds under valgrind, and a worker
    /// gives back what has to wait for so long.
    private static let claim = 500

    let load: Load
    /// Events of the smaller of two loads; the larger has three times as many.
    let events: Int
    /// Where the files of callgrind go; nil when nobody wants them.
    var profiles: String?

    /// Delivers some, then three times as many, and divides what the second took more.
    ///
    /// - Returns: figures of the whole, by group, and of the functions that take most.
    /// - Throws: ``BenchError`` when the worker fails or does not come to an end.
    func measure(_ stage: Stage) throws -> (whole: [Sample], groups: [Sample], own: [Sample], withCalls: [Sample]) {
        let receiver = try Receiver(stage.toolbox)
        defer { receiver.end() }
        try stage.createEndpoints(receiver.urls)
        let worker = try CallgrindWorker(stage.toolbox, databaseURL: stage.url, profiles: profiles)
        defer { worker.end() }
        var delivered = 0
        // Until the first ones are delivered, what is done once is done: connections, statements, tables of symbols.
        try deliver(events, stage, receiver, worker, &delivered)
        _ = try worker.instructions()
        try deliver(events, stage, receiver, worker, &delivered)
        let less = try worker.instructions()
        try deliver(3 * events, stage, receiver, worker, &delivered)
        let each = try worker.instructions().cost(beyond: less, each: 2 * events)
        let arrived = try receiver.figures()
        let whole = [
            Sample("instructions per delivery", each.total),
            Sample("duplicates", Double(arrived.duplicates)),
            Sample("not recorded", Double(delivered) - (try stage.database.number(Statements.delivered))),
        ]
        return (whole, groups(each), functions(each, \.own), functions(each, \.withCalls, onlyOwn: true))
    }

    private func deliver(
        _ count: Int, _ stage: Stage, _ receiver: Receiver, _ worker: CallgrindWorker, _ delivered: inout Int
    ) throws {
        let portion = min(count, load == .queue ? Self.claim : 1)
        let end = delivered + count
        while delivered < end {
            let last = min(end, delivered + portion)
            try stage.database.rows(Statements.fill, "\(delivered + 1)", "\(last)", "1")
            delivered = last
            let deadline = Clock.seconds + 120
            while try stage.database.number(Statements.delivered) < Double(last) {
                try worker.check()
                try Interruption.sleep(seconds: load == .queue ? 0.05 : 0.002)
                if Clock.seconds > deadline { throw BenchError("A worker under valgrind delivers nothing.") }
            }
        }
        while try stage.database.number(Statements.isDrained) != 1 { try Interruption.sleep(seconds: 0.01) }
    }

    private func groups(_ each: CallgrindFile) -> [Sample] {
        Dictionary(each.functions.map { (CostGroup.of($0), $1.own) }, uniquingKeysWith: +)
            .sorted { $0.value > $1.value }
            .map { Sample($0.key, $0.value) }
    }

    private func functions(
        _ each: CallgrindFile, _ cost: KeyPath<FunctionCost, Double>, onlyOwn: Bool = false
    ) -> [Sample] {
        let named = each.functions.lazy
            .filter { !onlyOwn || CostGroup.of($0.key).hasPrefix("own code: ") }
            .map { (CostGroup.name(of: $0.key), $0.value[keyPath: cost]) }
        // What callgrind tells apart by depth of recursion, and copies of one generic function, share a name.
        return Dictionary(named, uniquingKeysWith: +).sorted { $0.value > $1.value }.prefix(Self.shown)
            .map { Sample($0.key, $0.value) }
    }
}
