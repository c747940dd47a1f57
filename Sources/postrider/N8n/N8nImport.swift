// `postrider n8n import`.

internal import ArgumentParser
internal import Foundation
internal import Outbox
internal import OutboxStore

/// Makes destinations of the webhook nodes of exported workflows.
struct N8nImport: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import",
        abstract: "Make destinations of the webhook nodes in an export of n8n; again to bring them up to date.",
        discussion: """
            The file is one workflow, or what n8n export:workflow --all writes. Taken are webhook nodes with method POST and
            a constant path. A node that is known already, by the workflow's id and the path, is changed and not doubled.
            Workflows that are not active in n8n are not sent to; what is meant for them waits.

              postrider n8n import workflows.json --base-url https://n8n.example.com --dry-run
              postrider n8n import workflows.json --base-url https://n8n.example.com --events orders=order.created,order.paid
            """)

    /// Where event types come from when --events and --map do not name a path.
    enum Source: String, ExpressibleByArgument, CaseIterable {
        /// A table of seven paths that the example agentes uses; only for new destinations.
        case map
        /// Tags of the workflow that are event types or patterns with a dot in them.
        case tag
        /// The path itself, slashes read as dots.
        case path
    }

    @Argument(help: "The export.") var file: String
    @Option(help: ArgumentHelp("Where n8n is, without /webhook.", valueName: "url")) var baseURL: String
    @Option(help: ArgumentHelp("Types of one path; can be repeated.", valueName: "path=list")) var events: [String] = []
    @Option(help: ArgumentHelp("JSON object of paths and lists of types.", valueName: "file")) var map: String?
    @Option(help: "Where other types come from: map, tag or path.") var eventsFrom = Source.map
    @Option(help: "Only events of this organization.") var organization: String?
    @Flag(help: "Tell what would be done, and do nothing.") var dryRun = false
    @OptionGroup var output: OutputOptions

    func run() async throws {
        guard let data = FileManager.default.contents(atPath: file) else {
            throw CommandFailure.failed("cannot read \(file)")
        }
        let export = try N8nExport(data)
        let types = try types()
        var base = baseURL
        while base.hasSuffix("/") { base.removeLast() }
        if base.hasSuffix("/webhook") { base.removeLast("/webhook".count) }
        guard !base.contains("/webhook") else {
            throw CommandFailure.failed("--base-url: give what stands before /webhook/; test URLs are of no use")
        }
        let steps = try await Session.with { session in
            let plan = try N8nPlan(
                base: base, known: await session.run(.workflowList), organization: organization, types: types,
                source: eventsFrom)
            let steps = export.webhooks.map(plan.step)
            if !dryRun {
                try await Transaction.run(on: session.raw) {
                    for step in steps {
                        guard let request = step.request else { continue }
                        _ = try await session.run(request, step.columns)
                    }
                }
            }
            return steps
        }
        show(steps, export.skipped)
    }

    /// Types by path, of --map and --events, the latter first.
    private func types() throws -> [String: [String]] {
        var types: [String: [String]] = [:]
        if let map {
            let object =
                FileManager.default.contents(atPath: map)
                .flatMap { try? JSONSerialization.jsonObject(with: $0) } as? [String: Any]
            guard let object else { throw CommandFailure.failed("--map: \(map) is no JSON object") }
            for (path, value) in object {
                guard let list = value as? [String] ?? (value as? String).map({ [$0] }) else {
                    throw CommandFailure.failed("--map: \(path.debugDescription) needs a list of types")
                }
                types[path] = try DestinationKind.patterns(list.joined(separator: ","))
            }
        }
        for text in events {
            guard let equals = text.firstIndex(of: "=") else {
                throw CommandFailure.failed("--events needs PATH=TYPES, not \(text.debugDescription)")
            }
            types[String(text[..<equals])] = try DestinationKind.patterns(String(text[text.index(after: equals)...]))
        }
        return types
    }

    private func show(_ steps: [N8nStep], _ skipped: [N8nSkip]) {
        let headings = ["action", "name", "path", "events", "remark"]
        let rows =
            steps.map { [$0.action.rawValue, $0.name, $0.path, $0.events.joined(separator: ","), $0.remark] }
            + skipped.map { [N8nStep.Action.skip.rawValue, $0.what, "", "", $0.why] }
        if output.json {
            for row in rows {
                var line = JSONLine()
                for (heading, cell) in zip(headings, row) { line.add(heading, cell) }
                print(line.text)
            }
            return
        }
        var table = Table(headings: headings)
        table.rows = rows
        for line in table.lines() { print(line) }
        if dryRun { Session.remark("nothing was changed: --dry-run") }
    }
}

/// What is done about one webhook node.
struct N8nStep {
    /// What is done.
    enum Action: String {
        case create
        case update
        case same
        case skip
    }

    var action: Action
    let name: String
    let path: String
    var events: [String] = []
    var remark = ""
    var columns: [String: Any?] = [:]

    /// The request that does it; nil for nothing.
    var request: AdminRequest? {
        switch action {
        case .create: .workflowCreate
        case .update: .workflowUpdate
        case .same, .skip: nil
        }
    }
}

/// Decides what is done about webhook nodes, beside the destinations that are there.
struct N8nPlan {
    let base: String
    /// Destinations of kind n8n as they are listed.
    let known: [Record]
    let organization: String?
    /// Types by path, as they were given.
    let types: [String: [String]]
    let source: N8nImport.Source

    /// Why a destination was switched off by an import; one that a person switched off stays off.
    static let inactive = "inactive in n8n"
    /// The seven workflows of the example agentes.
    static let examples = [
        "user-registration": "user.registered", "payment-processed": "payment.confirmed",
        "whatsapp-connected": "integration.whatsapp.connected", "openai-connected": "integration.openai.connected",
        "agent-created": "agent.created", "template-applied": "template.applied",
        "onboarding-complete": "onboarding.completed",
    ]

    /// The step for one webhook.
    func step(_ webhook: N8nWebhook) -> N8nStep {
        let name = webhook.hasSisters ? "\(webhook.workflow) (\(webhook.path))" : webhook.workflow
        var step = N8nStep(action: .skip, name: name, path: webhook.path)
        let url = "\(base)/webhook/\(webhook.path)"
        do {
            _ = try DestinationURL(url)
            _ = try DestinationKind.name(name)
            step.events = try events(of: webhook)
        } catch {
            step.remark = "\(error)"
            return step
        }
        step.remark = remark(webhook)
        let existing = existing(webhook, url)
        if let existing, !isGiven(webhook) { step.events = existing["events"].split(separator: ",").map(String.init) }
        guard !step.events.isEmpty else {
            step.remark = "no event types: give --events \(webhook.path)=TYPES"
            return step
        }
        step.columns = ["name": name, "url": url, "events": step.events, "workflow_id": webhook.workflowID]
        guard let existing else {
            step.action = .create
            if !webhook.isActive { step.columns.merge(["is_active": false, "inactive_reason": Self.inactive]) { $1 } }
            if let organization { step.columns["organization_id"] = organization }
            return step
        }
        change(&step, webhook, existing)
        return step
    }

    private func change(_ step: inout N8nStep, _ webhook: N8nWebhook, _ existing: Record) {
        step.columns["id"] = existing["id"]
        var isSame =
            existing["name"] == step.name && existing["url"] == step.columns["url"] as? String
            && existing["events"] == step.events.joined(separator: ",") && existing["workflow_id"] == webhook.workflowID
        if existing.isTrue("is_active"), !webhook.isActive {
            step.columns.merge(["is_active": false, "inactive_reason": Self.inactive]) { $1 }
            isSame = false
        } else if webhook.isActive, existing["inactive_reason"] == Self.inactive {
            step.columns.merge(["is_active": true, "inactive_reason": nil]) { $1 }
            isSame = false
        }
        step.action = isSame ? .same : .update
    }

    /// The destination of a webhook: of the same workflow and path; or made by hand, of the same URL.
    private func existing(_ webhook: N8nWebhook, _ url: String) -> Record? {
        known.first { $0["workflow_id"] == webhook.workflowID && N8nURL.webhookPath($0["url"]) == webhook.path }
            ?? known.first { $0["workflow_id"].isEmpty && $0["url"] == url }
    }

    /// Whether the types were meant for this webhook, and not taken from the table of examples.
    private func isGiven(_ webhook: N8nWebhook) -> Bool { types[webhook.path] != nil || source != .map }

    private func events(of webhook: N8nWebhook) throws -> [String] {
        if let given = types[webhook.path] { return given }
        switch source {
        case .map: return Self.examples[webhook.path].map { [$0] } ?? []
        case .tag:
            return webhook.tags.filter { ($0 == "*" || $0.contains(".")) && (try? EventPattern($0)) != nil }
        case .path: return try DestinationKind.patterns(webhook.path.split(separator: "/").joined(separator: "."))
        }
    }

    private func remark(_ webhook: N8nWebhook) -> String {
        let authentication =
            switch webhook.authentication {
            case "basicAuth": #"the node asks for Basic: --option auth={"basic":…}"#
            case "headerAuth": "the node asks for a header: --header NAME=${SETTING}"
            case "jwtAuth": #"the node asks for a JWT: --option auth={"jwt":…}"#
            default: ""
            }
        return [webhook.isActive ? "" : Self.inactive, authentication].filter { !$0.isEmpty }.joined(separator: "; ")
    }
}
