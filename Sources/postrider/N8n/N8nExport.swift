// Webhook nodes out of workflows as n8n exports them. Pure; read by `postrider n8n import`.

internal import Foundation

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
    init(_ data: Data) throws {
        guard let document = try? JSONSerialization.jsonObject(with: data) else {
            throw CommandFailure.failed("the file is not JSON")
        }
        let object = document as? [String: Any]
        let list = document as? [Any] ?? object?["data"] as? [Any] ?? [document]
        for item in list {
            guard let workflow = item as? [String: Any], let nodes = workflow["nodes"] as? [Any] else {
                throw CommandFailure.failed("the file holds something that is no workflow of n8n: it has no nodes")
            }
            add(workflow, nodes.compactMap { $0 as? [String: Any] })
        }
    }

    private mutating func add(_ workflow: [String: Any], _ nodes: [[String: Any]]) {
        let name = workflow["name"] as? String ?? ""
        let found = nodes.filter { $0["type"] as? String == "n8n-nodes-base.webhook" }
        var taken: [N8nWebhook] = []
        for node in found {
            let parameters = node["parameters"] as? [String: Any] ?? [:]
            let path = Self.path(parameters, node)
            if let why = Self.fault(node, parameters, path) {
                skipped.append(N8nSkip(what: "\(name): \(node["name"] as? String ?? "webhook")", why: why))
                continue
            }
            taken.append(
                N8nWebhook(
                    workflowID: workflow["id"].map { "\($0)" } ?? "", workflow: name.isEmpty ? path : name,
                    isActive: (workflow["active"] as? NSNumber)?.boolValue ?? false, path: path,
                    tags: Self.tags(workflow), authentication: parameters["authentication"] as? String ?? "none"))
        }
        for index in taken.indices { taken[index].hasSisters = taken.count > 1 }
        webhooks += taken
        if found.isEmpty { skipped.append(N8nSkip(what: name, why: "has no webhook node")) }
    }

    /// n8n takes a path with or without slashes at its ends, and the node's own id when there is none.
    private static func path(_ parameters: [String: Any], _ node: [String: Any]) -> String {
        let path = (parameters["path"] as? String ?? "").trimmingCharacters(in: CharacterSet(charactersIn: "/"))
        return path.isEmpty ? node["webhookId"] as? String ?? "" : path
    }

    private static func fault(_ node: [String: Any], _ parameters: [String: Any], _ path: String) -> String? {
        if (node["disabled"] as? NSNumber)?.boolValue == true { return "the node is disabled" }
        // The node's default is GET, and n8n exports no defaults.
        let methods = parameters["httpMethod"] as? [String] ?? [parameters["httpMethod"] as? String ?? "GET"]
        if !methods.contains("POST") { return "it takes \(methods.joined(separator: ", ")), not POST" }
        if path.isEmpty { return "it has no path" }
        // Expressions begin with an equals sign; parts with a colon stand for anything.
        if path.hasPrefix("=") || path.contains(":") { return "its path is not constant" }
        return nil
    }

    private static func tags(_ workflow: [String: Any]) -> [String] {
        (workflow["tags"] as? [Any] ?? []).compactMap { $0 as? String ?? ($0 as? [String: Any])?["name"] as? String }
    }
}
