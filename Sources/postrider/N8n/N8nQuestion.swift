// The questions of a probe, and what n8n's answers mean.

internal import HTTPExchange
internal import Outbox

/// What a probe found out about one webhook.
struct N8nFinding: Sendable, Equatable {
    /// How the webhook is.
    enum State: String, Sendable {
        /// A workflow with this path is active and takes POST.
        case ready
        /// n8n is there, and a POST would be refused.
        case refuses
        /// n8n cannot be reached.
        case down
        /// n8n is there, or something in front of it; the webhook was not asked.
        case unknown
    }

    let state: State
    let text: String
}

/// Asks about webhooks.
struct N8nQuestion: Sendable {
    let exchanger: Exchanger
    let allowsHTTP: Bool
    /// Whether to ask with GET where OPTIONS tells nothing.
    let mayGet: Bool

    /// Asks about the webhook of a URL.
    func ask(_ url: String, _ route: Route?) async -> N8nFinding {
        if N8nURL.isTest(url) {
            return N8nFinding(state: .refuses, text: "a test URL: it answers one call after a click in the editor")
        }
        // Without Origin n8n does not say which methods the path takes. Without Access-Control-Request-Method it does not
        // look for the node's own rule, which fails when there is none.
        let options = await send("OPTIONS", url, ["Origin: https://postrider.invalid"], route)
        switch options.result {
        case .failure(let failure):
            return N8nFinding(state: .down, text: "\(failure.kind.rawValue): \(failure.message)")
        case .response(let response):
            if let finding = Self.finding(of: response) { return finding }
            if mayGet { return await askWithGet(url, route) }
            return await health(url, route, optionsStatus: response.status)
        }
    }

    /// What the answer to OPTIONS says; nil when it says nothing of methods.
    static func finding(of response: Response) -> N8nFinding? {
        let header = response.headers.first { $0.name.lowercased() == "access-control-allow-methods" }
        guard (200...299).contains(response.status), let header else { return nil }
        let methods = CommaList.entries(header.value).map { $0.uppercased() }
        if methods.contains("POST") { return N8nFinding(state: .ready, text: "the webhook takes POST") }
        let others = methods.filter { $0 != "OPTIONS" }
        return N8nFinding(
            state: .refuses,
            text: others.isEmpty
                ? N8nAnswer.workflowInactive.explanation
                : "n8n: the webhook takes \(others.joined(separator: ", ")) alone; set the node to POST")
    }

    private func askWithGet(_ url: String, _ route: Route?) async -> N8nFinding {
        switch await send("GET", url, [], route).result {
        case .failure(let failure): N8nFinding(state: .down, text: "\(failure.kind.rawValue): \(failure.message)")
        case .response(let response): Self.findingOfGet(status: response.status, body: response.body)
        }
    }

    /// What the answer to GET says of POST.
    static func findingOfGet(status: Int, body: [UInt8]) -> N8nFinding {
        switch N8nAnswer(status: status, body: body) {
        case .otherMethod where String(decoding: body.prefix(1024), as: UTF8.self).contains("POST"):
            N8nFinding(state: .ready, text: "the webhook takes POST")
        case let answer?: N8nFinding(state: .refuses, text: answer.explanation)
        case nil where (200...299).contains(status):
            N8nFinding(state: .unknown, text: "the path takes GET as well: the workflow may have started")
        case nil: N8nFinding(state: .unknown, text: "GET was answered with \(status)")
        }
    }

    /// Whether n8n itself is there, which its health check says beside any webhook.
    private func health(_ url: String, _ route: Route?, optionsStatus: Int) async -> N8nFinding {
        let hint = "OPTIONS was answered with \(optionsStatus) and tells nothing; --get asks otherwise"
        guard let health = N8nURL.health(url) else { return N8nFinding(state: .unknown, text: hint) }
        switch await send("GET", health, [], route).result {
        case .failure(let failure):
            return N8nFinding(state: .down, text: "\(failure.kind.rawValue): \(failure.message)")
        case .response(let response) where (200...299).contains(response.status):
            return N8nFinding(state: .unknown, text: "n8n is up; \(hint)")
        case .response(let response):
            return N8nFinding(state: .unknown, text: "/healthz was answered with \(response.status); \(hint)")
        }
    }

    private func send(_ method: String, _ url: String, _ headers: [String], _ route: Route?) async -> Exchange {
        await exchanger.perform(
            Request(
                url: url, method: method, headers: headers + ["User-Agent: Postrider/1.0 (webhooks)"],
                timeout: .seconds(10), allowsHTTP: allowsHTTP, route: route))
    }
}

/// The URLs of one n8n: `…/webhook/<path>`, `…/webhook-test/<path>`, `…/healthz`.
enum N8nURL {
    /// Whether it is the test URL of a webhook node.
    static func isTest(_ url: String) -> Bool { path(url).contains("/webhook-test/") }

    /// The path of a webhook node; nil when the URL has none.
    static func webhookPath(_ url: String) -> String? {
        path(url).firstRange(of: "/webhook/").map { String(path(url)[$0.upperBound...]) }
    }

    /// Where n8n tells that it is up; nil when the URL is no webhook's.
    static func health(_ url: String) -> String? {
        url.firstRange(of: "/webhook/").map { String(url[..<$0.lowerBound]) + "/healthz" }
    }

    /// Tells a person who stores a test URL what it is.
    static func warn(_ url: String) {
        guard isTest(url) else { return }
        Session.remark("note: a test URL answers one call after a click in the editor; use /webhook/ instead")
    }

    private static func path(_ url: String) -> Substring { url.prefix { $0 != "?" } }
}
