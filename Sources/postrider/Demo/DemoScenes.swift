// The scenes of the demo, in order: rows become webhooks, retries, latency, many at once, a killed worker.
// Each one does what an application does and waits until the receivers have everything.

internal import FoundationEssentials
internal import Postgres

/// The play, with what must have come of it at the end.
struct DemoScenes {
    /// The n8n workflow of each event type that has one.
    static let workflows = [
        "user.registered": "user-registration", "payment.confirmed": "payment-processed",
        "integration.whatsapp.connected": "whatsapp-connected", "integration.openai.connected": "openai-connected",
        "agent.created": "agent-created", "template.applied": "template-applied",
        "onboarding.completed": "onboarding-complete",
    ]

    /// Who must get an event of a type.
    static func destinations(of type: String) -> [String] {
        ["agentes"] + (workflows[type].map { [$0] } ?? []) + (type.hasPrefix("payment.") ? ["billing"] : [])
    }

    let stage: DemoStage
    /// How many events of each type were made.
    private(set) var expected: [String: Int] = [:]
    /// Whether a worker was killed, after which deliveries may come twice.
    private(set) var killedWorker = false

    private let organization = Value.text(UUID().uuidString)
    private var ana = Value.null
    private var agent = Value.null
    private var conversation = Value.null

    private var log: DemoLog { stage.log }

    init(stage: DemoStage) { self.stage = stage }

    /// How many deliveries the events made so far must become.
    private var expectedDeliveries: Int {
        expected.reduce(0) { $0 + $1.value * Self.destinations(of: $1.key).count }
    }

    /// Plays everything.
    ///
    /// - Throws: ``DemoError`` when something does not happen in time.
    mutating func play() async throws {
        try await showRows()
        try await showInactiveWorkflow()
        try await showRetries()
        try await showLatency()
        try await showMany()
        try await showKill()
        try await demoWait(for: "all outcomes to be recorded") { [stage] in
            try await stage.connection.query(DemoSQL.isSettled).one().bool(0)
        }
    }

    // MARK: Scenes

    private mutating func showRows() async throws {
        log.title("Rows become webhooks")
        let people = try await step(
            "INSERT INTO agentes.users … ('Ana Souza'), ('João Lima')", ["user.registered": 2], DemoSQL.people,
            [organization])
        ana = .uuid(try people[0].uuid(0))
        try await rollBack()
        let agents = try await step(
            "INSERT INTO agentes.agents … 'vendas'", ["agent.created": 1], DemoSQL.agent, [organization, ana])
        agent = .uuid(try agents[0].uuid(0))
        let rows = try await step(
            "INSERT INTO agentes.conversations …", ["conversation.created": 1], DemoSQL.conversation,
            [organization, ana, agent])
        conversation = .uuid(try rows[0].uuid(0))
        try await step(
            "INSERT INTO agentes.messages … two rows", ["conversation.message.added": 2], DemoSQL.messages,
            [organization, ana, conversation])
        try await step(
            "INSERT INTO agentes.external_integrations … 'openai', 'connected'", ["integration.openai.connected": 1],
            DemoSQL.openai, [organization, ana])
        try await step(
            "SELECT agentes.apply_template(…)", ["template.applied": 1, "agent.updated": 1], DemoSQL.template)
        try await step(
            "SELECT agentes.complete_onboarding_step(…) three times",
            ["onboarding.step.completed": 3, "onboarding.completed": 1], DemoSQL.onboarding, [ana])
    }

    private func rollBack() async throws {
        log.action("BEGIN; INSERT INTO agentes.users … ('Nobody'); ROLLBACK")
        _ = try await stage.connection.script("BEGIN", name: "demo begin")
        _ = try await stage.connection.query(DemoSQL.ghost, [organization])
        _ = try await stage.connection.script("ROLLBACK", name: "demo rollback")
        log.result("never happened: nobody may hear of it")
    }

    private mutating func showInactiveWorkflow() async throws {
        log.title("An n8n workflow that is switched off")
        _ = try await stage.connection.query(DemoSQL.whatsappWaits, [organization, ana])
        try await begin(
            "UPDATE agentes.external_integrations SET status = 'connected' … 'whatsapp'",
            ["integration.whatsapp.connected": 1], DemoSQL.whatsappConnects)
        try await showDueDate("integration.whatsapp.connected", of: "whatsapp-connected", attempt: 1)
        log.action("the workflow is switched on in n8n")
        stage.receivers.activate("whatsapp-connected")
        try await finish("the retry")
    }

    private mutating func showRetries() async throws {
        log.title("A receiver that fails twice")
        try await begin(
            "SELECT postrider.emit('payment.confirmed', …)", ["payment.confirmed": 1], DemoSQL.payment,
            [organization, ana])
        for attempt in 1...2 { try await showDueDate("payment.confirmed", of: "billing", attempt: attempt) }
        try await finish("the third attempt")
    }

    /// Shows what the database says of a delivery that waits.
    private func showDueDate(_ type: String, of destination: String, attempt: Int) async throws {
        var found: Row?
        try await demoWait(for: "attempt \(attempt) of \(destination) to be recorded") { [stage] in
            let rows = try await stage.connection.query(DemoSQL.waiting, [.text(type), .text(destination)])
            found = try rows.first { try $0.int(0) >= attempt }
            return found != nil
        }
        guard let found, let failure = try found.stringOrNil(1) else { return }
        let due = max(0, try found.intOrNil(3) ?? 0)
        log.result("attempt \(try found.int(0)): \(failure), next_retry_at in \(due) ms")
    }

    private mutating func showLatency() async throws {
        let count = 250
        log.title("Latency: \(count) single INSERTs, one every 4 ms")
        let before = stage.ledger.requests
        var sentAt: [String: ContinuousClock.Instant] = [:]
        let start = ContinuousClock.now
        for number in 0..<count {
            try await Task.sleep(until: start + .milliseconds(4 * number))
            let id = UUID().uuidString.lowercased()
            sentAt[id] = .now
            _ = try await stage.connection.query(
                DemoSQL.message, [.text(id), organization, ana, conversation])
        }
        expected["conversation.message.added", default: 0] += count
        try await finish("\(count) messages")
        var records: [String: String] = [:]
        for row in try await stage.connection.query(DemoSQL.events) {
            records[try row.string(0)] = try row.stringOrNil(2)
        }
        let times = stage.ledger.arrivals(after: before).compactMap { arrival in
            records[arrival.eventID].flatMap { sentAt[$0] }.map { arrival.at - $0 }
        }
        log.success("from INSERT to arrival: \(Self.percentiles(times))")
    }

    private mutating func showMany() async throws {
        let count = 3000
        log.title("Many at once: one INSERT of \(count) rows")
        let before = stage.ledger.requests
        let start = ContinuousClock.now
        try await insertMessages(count)
        log.result("committed after \(log.milliseconds(.now - start)) ms")
        try await finish("\(count) messages")
        let times = stage.ledger.arrivals(after: before).map { $0.at - start }
        let rate = Int(Double(count) / ((times.max() ?? .seconds(1)) / .seconds(1)))
        log.success("all signed, delivered, verified: \(rate) events/s, \(Self.percentiles(times))")
    }

    private mutating func showKill() async throws {
        let count = 2000
        log.title("kill -9: a worker dies with work in its hands")
        let before = stage.ledger.requests
        try await insertMessages(count)
        try await demoWait(for: "the first of \(count) messages") { [stage] in stage.ledger.requests > before + 100 }
        guard let victim = stage.workers.first(where: \.isRunning) else { throw DemoError("no worker runs") }
        victim.kill()
        killedWorker = true
        let death = ContinuousClock.now
        log.result("kill -9 \(victim.id) after \(stage.ledger.requests - before) of \(count) webhooks")
        try await finish("the dead worker's messages")
        log.success("the other worker delivered the rest, \(log.milliseconds(.now - death)) ms later")
    }

    // MARK: Steps

    private mutating func insertMessages(_ count: Int) async throws {
        expected["conversation.message.added", default: 0] += count
        _ = try await stage.connection.query(
            DemoSQL.manyMessages, [organization, ana, conversation, .int4(Int32(count))])
    }

    /// Runs a statement, shows what arrives and waits until all of it did.
    @discardableResult
    private mutating func step(
        _ words: String, _ events: [String: Int], _ statement: Statement, _ values: [Value] = []
    ) async throws -> Rows {
        let rows = try await begin(words, events, statement, values)
        try await finish(words)
        return rows
    }

    @discardableResult
    private mutating func begin(
        _ words: String, _ events: [String: Int], _ statement: Statement, _ values: [Value] = []
    ) async throws -> Rows {
        log.action(words)
        expected.merge(events) { $0 + $1 }
        stage.ledger.show(since: .now)
        return try await stage.connection.query(statement, values)
    }

    private func finish(_ what: String) async throws {
        let count = expectedDeliveries
        // Generous, for machines that are busy with other things.
        try await demoWait(for: "webhooks of: \(what)", within: .seconds(60)) { [stage] in
            guard stage.workers.contains(where: \.isRunning) else { throw DemoError("both workers have ended") }
            return stage.ledger.delivered >= count
        }
        stage.ledger.show(since: nil)
    }

    /// `p50 1.2 ms, p95 3.4 ms, max 5.6 ms`.
    static func percentiles(_ times: [Duration]) -> String {
        let sorted = times.sorted()
        guard let longest = sorted.last else { return "nothing arrived" }
        func text(_ duration: Duration) -> String {
            let value = duration / .milliseconds(1)
            return value < 100 ? "\(value.tenths) ms" : "\(Int(value.rounded())) ms"
        }
        func at(_ share: Double) -> Duration { sorted[min(sorted.count - 1, Int(Double(sorted.count) * share))] }
        return "p50 \(text(at(0.5))), p95 \(text(at(0.95))), max \(text(longest))"
    }
}
