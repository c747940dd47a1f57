// What ringing for workers costs producers: the same workers deliver the same events, and the triggers ring or never do.

/// The closed loop of clients on an attached table while workers deliver, in turns with triggers that ring when no worker
/// is awake and with triggers that never ring. Before each turn the workers have nothing left to do.
struct DoorbellPair {
    /// Names of the variants.
    static let (ringing, silent) = (
        "workers running, in turns, with doorbell", "workers running, in turns, without doorbell"
    )

    let clients: Int
    let seconds: Int
    let workers: Int

    /// Measures both.
    ///
    /// - Throws: ``BenchError`` when a client or a worker fails, or the workers do not deliver everything.
    func measure(_ toolbox: Toolbox, _ server: Server) throws -> (ringing: [Sample], silent: [Sample]) {
        try Stage.with(toolbox, server) { stage in
            try stage.createDomainTable(attached: true)
            let receiver = try Receiver(stage.toolbox)
            defer { receiver.end() }
            try stage.createEndpoints(receiver.urls)
            let running = try stage.startWorkers(workers, receiver)
            defer { running.end() }
            guard let doorbell = try stage.database.rows(Statements.doorbell).first?.first ?? nil else {
                throw BenchError("The doorbell has no definition.")
            }
            let side = ProducerSide(url: stage.url, statement: Statements.insertLead)
            let samples = try ProducerSide.inTurns(stage, [side, side], clients: clients, seconds: seconds) { place in
                try calm(stage, running)
                try stage.database.run(place == 0 ? doorbell : Statements.removeDoorbell)
            }
            return (samples[0], samples[1])
        }
    }

    private func calm(_ stage: Stage, _ workers: Workers) throws {
        let deadline = Clock.seconds + 60
        while try stage.database.number(Statements.backlog) > 0 || stage.database.number(Statements.openClaims) > 0 {
            try workers.check()
            guard Clock.seconds < deadline else {
                throw BenchError("What was committed was not delivered in a minute.")
            }
            try Interruption.sleep(seconds: 0.05)
        }
    }
}
