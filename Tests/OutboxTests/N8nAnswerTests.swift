// n8n's answers as its source writes them, and what they are taken for.

import Testing

@testable import Outbox

@Suite struct N8nAnswerTests {
    private static let registered = #"{"code":404,"message":"The requested webhook \"POST orders\" is not registered.","hint":"%"}"#

    static let answers: [(Int, String, N8nAnswer?)] = [
        (404, registered.replacing("%", with: "The workflow must be active for a production URL to run successfully."), .workflowInactive),
        (
            404,
            registered.replacing(
                "%",
                with: "Click the 'Execute workflow' button on the canvas, then try again. "
                    + "(In test mode, the webhook only works for one call after you click this button)"),
            .testNotListening
        ),
        (404, #"{"code":404,"message":"This webhook is not registered for POST requests. Did you mean to make a GET request?"}"#, .otherMethod),
        (401, "Authorization is required!", .authenticationMissing), (403, "Authorization data is wrong!", .authenticationWrong),
        (401, "No token provided", .tokenMissing), (403, "jwt expired", .tokenRefused), (403, "invalid signature", .tokenRefused),
        (403, "invalid algorithm", .tokenRefused), (500, "No authentication data defined on node!", .credentialNotSet),
        (403, "IP is not whitelisted to access the webhook!", .addressRefused), (500, #"{"message":"Error in workflow"}"#, .workflowFailed),
        (504, "The workflow did not answer in time", .tooSlow),
        (500, #"{"code":0,"message":"Workflow Webhook Error: Workflow could not be started!"}"#, .workflowNotStarted),
        (500, #"{"code":0,"message":"There was a problem executing the workflow"}"#, .executionProblem),
        (422, "Failed to parse request body", .bodyNotParsed), (428, "", .accountNeeded),
        // What says no more than its status, or not what its words say.
        (200, #"{"message":"Workflow was started"}"#, nil), (404, "<html>webhook is not registered</html>", nil), (404, "", nil),
        (403, "", nil), (500, "", nil), (502, "Error in workflow", nil), (401, "Authorization data is wrong!", nil), (504, "", nil),
    ]

    @Test(arguments: answers)
    func answersAreRecognised(status: Int, body: String, expected: N8nAnswer?) {
        #expect(N8nAnswer(status: status, body: Array(body.utf8)) == expected)
    }

    @Test func onlyTheBeginningOfABodyIsRead() {
        let last = String(repeating: " ", count: 1007) + "Error in workflow"
        let beyond = " " + last
        #expect(N8nAnswer(status: 500, body: Array(last.utf8)) == .workflowFailed)
        #expect(N8nAnswer(status: 500, body: Array(beyond.utf8)) == nil)
    }

    /// The phrase ends with the last byte that is read, and one later.
    @Test(arguments: [(998, true), (999, false)])
    func onlyTheBeginningOfABodyTellsOfTheWorkflow(spaces: Int, isFound: Bool) {
        let body = "{" + String(repeating: " ", count: spaces) + "webhook is not registered"
        #expect(N8nAnswer.isNotRegistered(Array(body.utf8)) == isFound)
    }

    @Test func everyAnswerIsExplainedInOneLine() {
        #expect(Set(Self.answers.compactMap(\.2)) == Set(N8nAnswer.allCases))
        for answer in N8nAnswer.allCases {
            #expect(answer.explanation.hasPrefix("n8n: ") && !answer.explanation.contains("\n") && answer.explanation.count < 120)
        }
        #expect(Set(N8nAnswer.allCases.map(\.explanation)).count == N8nAnswer.allCases.count)
    }
}
