// Answers of n8n that mean more than their status. Called by the verdict, by the recording of attempts and by the probe.

/// What n8n says with an answer, by its status and the words of its body (`packages/cli/src/webhooks`,
/// `packages/nodes-base/nodes/Webhook`). docs/n8n.md lists them.
public enum N8nAnswer: String, Sendable, CaseIterable {
    /// No active workflow has a webhook of this path.
    case workflowInactive
    /// A test URL, and nobody clicked in the editor.
    case testNotListening
    /// The webhook takes another method.
    case otherMethod
    /// The node asks for Basic or header authentication, and none came.
    case authenticationMissing
    /// What came is not what the node expects.
    case authenticationWrong
    /// The node asks for a JWT, and none came.
    case tokenMissing
    /// The JWT is expired, not signed by the expected key, or of another algorithm.
    case tokenRefused
    /// The node asks for authentication and has no credential.
    case credentialNotSet
    /// Our address is not on the node's list.
    case addressRefused
    /// The workflow ran and failed, in response mode "When last node finishes".
    case workflowFailed
    /// The workflow did not begin.
    case workflowNotStarted
    /// n8n failed while it ran the workflow.
    case executionProblem
    /// The workflow ran longer than n8n waits.
    case tooSlow
    /// n8n could not parse the body.
    case bodyNotParsed
    /// The node wants a person to connect an account first.
    case accountNeeded

    /// What an answer says; nil when it says nothing more than its status.
    public init?(status: Int, body: [UInt8]) {
        let text = body.prefix(1024)
        switch status {
        case 404 where Self.isNotRegistered(body): self = Self.missing(text)
        case 401 where text.has("No token provided"): self = .tokenMissing
        case 401 where text.has("Authorization is required!"): self = .authenticationMissing
        case 403 where text.has("Authorization data is wrong!"): self = .authenticationWrong
        case 403 where text.has("IP is not whitelisted"): self = .addressRefused
        // The messages of n8n's library for tokens.
        case 403 where ["jwt ", "invalid token", "invalid signature", "invalid algorithm"].contains(where: text.has):
            self = .tokenRefused
        case 422 where text.has("Failed to parse request body"): self = .bodyNotParsed
        case 428: self = .accountNeeded
        case 500 where text.has("No authentication data defined on node!"): self = .credentialNotSet
        case 500 where text.has("Error in workflow"): self = .workflowFailed
        case 500 where text.has("Workflow could not be started"): self = .workflowNotStarted
        case 500 where text.has("There was a problem executing the workflow"): self = .executionProblem
        case 504 where text.has("The workflow did not answer in time"): self = .tooSlow
        default: return nil
        }
    }

    /// What it means and what helps, in one line for people.
    public var explanation: String {
        switch self {
        case .workflowInactive: "n8n: no active workflow has this webhook; activate it in n8n"
        case .testNotListening: "n8n: a test URL, and nobody listens; use the production URL, /webhook/"
        case .otherMethod: "n8n: the webhook node takes another method; set it to POST"
        case .authenticationMissing: "n8n: the webhook node asks for authentication; give the option auth"
        case .authenticationWrong: "n8n: the credentials are not those of the webhook node"
        case .tokenMissing: "n8n: the webhook node asks for a JWT; give the option auth"
        case .tokenRefused: "n8n: the webhook node does not accept the JWT: key, algorithm or clock differ"
        case .credentialNotSet: "n8n: the webhook node asks for authentication and has no credential"
        case .addressRefused: "n8n: the webhook node's list of addresses does not have ours"
        case .workflowFailed: "n8n: the workflow failed; in mode 'Immediately' the answer would not depend on it"
        case .workflowNotStarted: "n8n: the workflow could not be started"
        case .executionProblem: "n8n: there was a problem executing the workflow"
        case .tooSlow: "n8n: the workflow did not answer in time; use response mode 'Immediately'"
        case .bodyNotParsed: "n8n: the body could not be parsed"
        case .accountNeeded: "n8n: the webhook node wants an account to be connected first"
        }
    }

    /// Whether a 404 says that the workflow is not active, in one of the two wordings: `The requested webhook
    /// "POST path" is not registered.` and `This webhook is not registered for POST requests.`
    static func isNotRegistered(_ body: [UInt8]) -> Bool {
        guard body.first(where: { $0 > 0x20 }) == UInt8(ascii: "{") else { return false }
        let beginning = body.prefix(1024)
        return beginning.has("webhook ") && beginning.has("is not registered")
    }

    private static func missing(_ text: ArraySlice<UInt8>) -> N8nAnswer {
        if text.has("Did you mean to make a") { return .otherMethod }
        return text.has("In test mode") ? .testNotListening : .workflowInactive
    }
}

extension ArraySlice<UInt8> {
    /// Whether a phrase stands in it.
    fileprivate func has(_ phrase: String) -> Bool {
        let phrase = Array(phrase.utf8)
        guard count >= phrase.count else { return false }
        return (startIndex...(endIndex - phrase.count)).contains { self[$0...].starts(with: phrase) }
    }
}
