// The three receivers of the demo: the application's endpoint, a billing system that is down at first, and n8n.
// They run in this process on ports that the kernel chooses; with --keep, `postrider listen` takes their places.

internal import FoundationEssentials
internal import Outbox
internal import Synchronization

/// Receivers that verify what they get and write it into the ledger.
final class DemoReceivers: Sendable {
    /// Which of them.
    enum Role: String, CaseIterable, Sendable {
        case agentes, billing, n8n
    }

    private struct State {
        var secrets: [Role: String] = [:]
        var verifiers: [Role: Verifier] = [:]
        var servers: [Role: ReceiverServer] = [:]
        var urls: [Role: String] = [:]
        var runs: [Task<Void, any Error>] = []
        /// Workflows that are switched off.
        var inactive: Set<String> = ["whatsapp-connected"]
        /// How many requests billing still refuses.
        var refusals = 2
    }

    private let ledger: Ledger
    private let state = Mutex(State())

    init(ledger: Ledger) { self.ledger = ledger }

    /// Opens all sockets.
    ///
    /// - Throws: what the server throws when one cannot listen.
    func start() async throws {
        for role in Role.allCases {
            let server = try ReceiverServer(host: "127.0.0.1", port: 0) { [weak self] in
                self?.answer($0, as: role) ?? ReceiverAnswer(status: 503)
            }
            // Not a child task: it lives until stop(), longer than the call that starts it.
            let run = Task { try await server.run() }
            state.withLock { state in
                state.servers[role] = server
                state.runs.append(run)
            }
            let url = try await server.url()
            state.withLock { $0.urls[role] = url }
        }
    }

    /// Closes all sockets.
    func stop() async {
        let (servers, runs) = state.withLock { ($0.servers.values, $0.runs) }
        for server in servers { await server.stop() }
        for run in runs { _ = await run.result }
    }

    /// The URL of a receiver, without a path.
    func url(_ role: Role) -> String { state.withLock { $0.urls[role] ?? "" } }

    /// The secret of a receiver; nil for n8n, which checks none.
    func secret(_ role: Role) -> String? { state.withLock { $0.secrets[role] } }

    /// Tells a receiver its secret. Until then it refuses everything.
    func give(_ secret: String, to role: Role) throws {
        let profile = role == .billing ? "standard" : "agentes"
        let verifier = try Verifier(profile: Profile.builtIn[profile], secrets: [secret])
        state.withLock { state in
            state.secrets[role] = secret
            state.verifiers[role] = verifier
        }
    }

    /// Switches an n8n workflow on.
    func activate(_ workflow: String) { state.withLock { _ = $0.inactive.remove(workflow) } }

    private func answer(_ request: ReceivedRequest, as role: Role) -> ReceiverAnswer {
        let now = Int64(Date().timeIntervalSince1970)
        let verifier = state.withLock { $0.verifiers[role] }
        let inspection =
            verifier?.inspect(request, unixSeconds: now) ?? Self.workflowReader.inspect(request, unixSeconds: now)
        let workflow = request.target.split(separator: "/").last.map(String.init) ?? ""
        let answer = decide(role, workflow: workflow, request, inspection)
        ledger.note(
            Arrival(
                destination: role == .n8n ? workflow : role.rawValue, eventType: inspection.eventType ?? "?",
                eventID: inspection.eventID ?? "?", signature: inspection.signature, status: answer.status,
                at: request.arrivedAt))
        return answer
    }

    private func decide(
        _ role: Role, workflow: String, _ request: ReceivedRequest, _ inspection: Inspection
    ) -> ReceiverAnswer {
        if role == .n8n {
            guard state.withLock({ $0.inactive.contains(workflow) }) else {
                return ReceiverAnswer(body: #"{"message":"Workflow was started"}"#)
            }
            return ReceiverAnswer(
                status: 404, headers: [("Content-Type", "application/json; charset=utf-8")],
                body: AnswerPlan.inactiveWorkflow(request))
        }
        // What a receiver should do with a request that nobody signed, or somebody else.
        guard inspection.signature == .ok else { return ReceiverAnswer(status: 401) }
        let refuses = state.withLock { state in
            guard role == .billing, state.refusals > 0 else { return false }
            state.refusals -= 1
            return true
        }
        return ReceiverAnswer(status: refuses ? 503 : 200)
    }

    /// Reads type and id of unsigned requests in n8n's format.
    private static let workflowReader: Verifier = {
        do {
            return try Verifier(profile: Profile.builtIn["n8n"], secrets: [])
        } catch {
            preconditionFailure("without secrets there is nothing to refuse: \(error)")
        }
    }()
}
