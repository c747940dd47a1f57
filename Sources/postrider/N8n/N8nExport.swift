// Webhook nodes out of workflows as n8n exports them. Pure; read by `postrider n8n import`.

internal import Outbox

/// A webhook node of a workflow.
struct N8nWebhook: Equatable {
    /// n8n's id of the workflow.
    let workflowID: String
    /// The workflow's name.
    let workflow: String
    /// Whether the workflow is active in n8n.
    let isActive: Bool
    /// What stands behind /webhook/.
    let path: String
    /// The workflow's tags.
    let tags: [String]
    /// `none`, `basicAuth`, `headerAuth` or `jwtAuth`.
    let authentication: String
    /// Whether the workflow has more than one webhook that is taken.
    var hasSisters = false
}

/// A webhook node that cannot be a destination.
struct N8nSkip: Equatable {
    let what: String
    let why: String
}

/// What an export holds.
struct N8nExport: Equatable {
    var webhooks: [N8nWebhook] = []
    var skipped: [N8nSkip] = []

    /// Reads one workflow, a list of them (`n8n export:workflow --all`), or `{"data": […]}` (the public API).
    ///
    /// - Throws: ``CommandFailure`` when it is none of these.
    init(_ data: [UInt8]) throws {
        guard let document = try? JSONValue(payload: data) else {
            throw CommandFailure.failed("the file is not JSON")
        }
        for item in document.elements ?? document.members?["data"]?.elements ?? [document] {
            guard let workflow = item.members, let nodes = workflow["nodes"]?.elements else {
                throw CommandFailure.failed("the file holds something that is no workflow of n8n: it has no nodes")
            }
            add(workflow, nodes.compactMap(\.members))
        }
    }

    private mutating func add(_ workflow: [String: JSONValue], _ nodes: [[String: JSONValue]]) {
        let name = workflow["name"]?.string ?? ""
        let found = nodes.filter { $0["type"]?.string == "n8n-nodes-base.webhook" }
        var taken: [N8nWebhook] = []
        for node in found {
            let parameters = node["parameters"]?.members ?? [:]
            let path = Self.path(parameters, node)
            if let why = Self.fault(node, parameters, path) {
                skipped.append(N8nSkip(what: "\(name): \(node["name"]?.string ?? "webhook")", why: why))
                continue
            }
            taken.append(
                N8nWebhook(
                    workflowID: Self.identifier(workflow["id"]), workflow: name.isEmpty ? path : name,
                    isActive: workflow["active"] == .bool(true), path: path,
                    tags: Self.tags(workflow), authentication: parameters["authentication"]?.string ?? "none"))
        }
        for index in taken.indices { taken[index].hasSisters = taken.count > 1 }
        webhooks += taken
        if found.isEmpty { skipped.append(N8nSkip(what: name, why: "has no webhook node")) }
    }

    /// n8n takes a path with or without slashes at its ends, and the node's own id when there is none.
    private static func path(_ parameters: [String: JSONValue], _ node: [String: JSONValue]) -> String {
        var path = (parameters["path"]?.string ?? "").drop { $0 == "/" }
        while path.last == "/" { path.removeLast() }
        return path.isEmpty ? node["webhookId"]?.string ?? "" : String(path)
    }

    /// n8n's ids are texts, those of its old versions numbers.
    private static func identifier(_ value: JSONValue?) -> String { value.map { $0.string ?? $0.line } ?? "" }

    private static func fault(_ node: [String: JSONValue], _ parameters: [String: JSONValue], _ path: String) -> String?
    {
        if node["disabled"] == .bool(true) { return "the node is disabled" }
        // The node's default is GET, and n8n exports no defaults.
        let methods = parameters["httpMethod"]?.strings ?? [parameters["httpMethod"]?.string ?? "GET"]
        if !methods.contains("POST") { return "it takes \(methods.joined(separator: ", ")), not POST" }
        if path.isEmpty { return "it has no path" }
        // Expressions begin with an equals sign; parts with a colon stand for anything.
        if path.hasPrefix("=") || path.contains(":") { return "its path is not constant" }
        return nil
    }

    private static func tags(_ workflow: [String: JSONValue]) -> [String] {
        (workflow["tags"]?.elements ?? []).compactMap { $0.string ?? $0.members?["name"]?.string }
    }
}
