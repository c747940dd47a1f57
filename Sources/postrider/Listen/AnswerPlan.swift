// What a receiver answers to its first request, its second, and all that follow. Decided here, sent by the server.

internal import FoundationEssentials

/// The answers of `postrider listen`, in order.
struct AnswerPlan: Sendable {
    /// So many requests in a row get this status; a count of nil means all that follow.
    struct Step: Sendable, Equatable {
        let status: Int
        let count: Int?
    }

    /// What comes first; afterwards ``status`` is answered.
    var steps: [Step] = []
    /// What is answered when no step is left; default 200.
    var status = 200
    /// The body of every answer; nil for none, or for n8n's own where that is wanted.
    var body: String?
    /// `Retry-After` of answers that are not 2xx, as given.
    var retryAfter: String?
    /// Whether a 404 carries the words of an n8n workflow that is not active.
    var answersLikeInactiveWorkflow = false
    /// How long each answer is held back.
    var delay = Duration.zero

    /// Reads `500:2,404,…`: a status and for how many requests, which may be left out of the last one.
    ///
    /// - Returns: nil when a part is not of that form.
    static func steps(_ text: String) -> [Step]? {
        let parts = text.split(separator: ",", omittingEmptySubsequences: false)
        var steps: [Step] = []
        for (index, part) in parts.enumerated() {
            let pair = part.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
            guard let status = Int(pair[0]), (200...599).contains(status), pair.count <= 2 else { return nil }
            let count = pair.count == 2 ? Int(pair[1]) : index == parts.count - 1 ? nil : 1
            if pair.count == 2, count ?? 0 < 1 { return nil }
            steps.append(Step(status: status, count: count))
        }
        return steps
    }

    /// The answer to a request.
    ///
    /// - Parameters:
    ///   - place: how many requests came before it.
    ///   - request: the request, whose path n8n's words repeat.
    func answer(place: Int, request: ReceivedRequest) -> ReceiverAnswer {
        var answer = ReceiverAnswer(status: status(at: place), delay: delay)
        if let body { answer.body = body }
        if answersLikeInactiveWorkflow, answer.status == 404 {
            answer.headers.append(("Content-Type", "application/json; charset=utf-8"))
            answer.body = Self.inactiveWorkflow(request)
        }
        if let retryAfter, !(200...299).contains(answer.status) { answer.headers.append(("Retry-After", retryAfter)) }
        return answer
    }

    private func status(at place: Int) -> Int {
        var left = place
        for step in steps {
            guard let count = step.count, left >= count else { return step.status }
            left -= count
        }
        return status
    }

    /// n8n's answer for a path that no active workflow has (packages/cli/src/webhooks).
    static func inactiveWorkflow(_ request: ReceivedRequest) -> String {
        let path = request.target.split(separator: "/").last.map(String.init) ?? ""
        let message = JSONLine.string("The requested webhook \"\(request.method) \(path)\" is not registered.")
        return """
            {"code":404,"message":\(message),"hint":"The workflow must be active for a production URL to run \
            successfully. You can activate the workflow using the toggle in the top-right of the editor. Note that \
            unlike test URL calls, production URL calls aren't shown on the canvas (only in the executions list)"}
            """
    }
}
