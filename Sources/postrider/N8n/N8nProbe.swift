// `postrider n8n probe`.

internal import ArgumentParser
internal import HTTPExchange
internal import Outbox
internal import OutboxStore
internal import OutboxWorker

/// Asks n8n whether the webhooks of workflows are there, and starts none of them.
struct N8nProbe: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "probe",
        abstract: "Ask n8n whether the webhooks are registered, without starting a workflow.",
        discussion: """
            The question is OPTIONS, which n8n answers by itself with the methods that the path takes. Where something in \
            front of n8n answers instead, --get asks with GET, which n8n refuses on a path that takes POST only. A path \
            that takes GET too would start: know your workflows. Exit status 1 unless all are ready.
            """)
    @Argument(help: "Id or name.") var workflow: String?
    @Flag(help: "All that are active here.") var all = false
    @Flag(help: "Ask with GET where OPTIONS tells nothing.") var get = false
    @OptionGroup var output: OutputOptions

    func validate() throws {
        guard (workflow == nil) == all else { throw ValidationError("give a name or --all") }
    }

    func run() async throws {
        let settings = try await Settings.loadForCommand()
        let targets = try await Session.with { session in
            var records = try await session.run(.workflowList, ["id": workflow])
            if all { records = records.filter { $0.isTrue("is_active") } }
            if let workflow, records.isEmpty {
                throw CommandFailure.notFound("there is no n8n workflow \(workflow.debugDescription)")
            }
            return try await Self.targets(records, session, settings)
        }
        var exchanging = settings.worker.exchanger
        exchanging.keptHeaders.append("access-control-allow-methods")
        let exchanger = try Exchanger(settings: exchanging) { _ in }
        let question = N8nQuestion(exchanger: exchanger, allowsHTTP: settings.worker.allowsHTTP, mayGet: get)
        let findings = await withTaskGroup(of: (Int, N8nFinding).self) { group in
            for (place, target) in targets.enumerated() {
                group.addTask { (place, await question.ask(target.url, target.route)) }
            }
            return await group.reduce(into: [Int: N8nFinding]()) { $0[$1.0] = $1.1 }
        }
        await exchanger.shutdown()
        show(targets, findings)
        if findings.values.contains(where: { $0.state != .ready }) { throw ExitCode(1) }
    }

    private struct Target: Sendable {
        let name: String
        let url: String
        let route: Route?
    }

    /// Secrets and settings are read for those alone that need a way of their own: most logins may not read them.
    private static func targets(_ records: [Record], _ session: Session, _ settings: Settings) async throws -> [Target]
    {
        var routes: [String: Route] = [:]
        let special = records.filter { $0.record("options").has("tls") || $0.record("options").has("proxy") }
        if !special.isEmpty {
            let routing = try await Transaction.snapshot(on: session.raw) {
                try await RoutingStore.load(on: session.raw, keys: session.keys, grants: settings.worker.grants)
            }
            for destination in routing.destinations { routes[destination.uuid] = Route(destination.access) }
            for record in special where routes[record["id"]] == nil {
                let fault = routing.faults.first { "\($0.destination)" == record["destination_id"] }
                throw CommandFailure.failed("\(record["name"]) cannot be reached: \(fault?.reason ?? "it is gone")")
            }
        }
        return records.map { Target(name: $0["name"], url: $0["url"], route: routes[$0["id"]]) }
    }

    private func show(_ targets: [Target], _ findings: [Int: N8nFinding]) {
        var table = Table(headings: ["name", "state", "remark"])
        for (place, target) in targets.enumerated() {
            guard let finding = findings[place] else { continue }
            if output.json {
                var line = JSONLine()
                line.add("name", target.name)
                line.add("state", finding.state.rawValue)
                line.add("remark", finding.text)
                print(line.text)
            } else {
                table.rows.append([target.name, finding.state.rawValue, finding.text])
            }
        }
        if !output.json { for line in table.lines() { print(line) } }
    }
}
