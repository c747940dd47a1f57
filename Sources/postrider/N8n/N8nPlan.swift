// What `postrider n8n import` does about each webhook node: decided here, carried out by the command.

internal import Outbox
internal import OutboxStore

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
    var columns: Document = [:]

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
    /// Whose events alone; nil leaves it as it is, and a new destination those of all.
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
        // Without tags too what is there keeps its types, and follows n8n in everything else.
        if let existing, step.events.isEmpty || !isGiven(webhook) {
            step.events = existing["events"].split(separator: ",").map(String.init)
        }
        guard !step.events.isEmpty else {
            step.remark = "no event types: give --events \(webhook.path)=TYPES"
            return step
        }
        step.columns = ["name": name, "url": url, "events": step.events, "workflow_id": webhook.workflowID]
        if let organization { step.columns["organization_id"] = organization }
        guard let existing else {
            step.action = .create
            if !webhook.isActive { step.columns.merge(["is_active": false, "inactive_reason": Self.inactive]) { $1 } }
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
        if let organization, existing["organization_id"] != organization { isSame = false }
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
