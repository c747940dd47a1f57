// The example of docs/profiles.md is a profile, gives the request that stands there, and its receiver accepts it.

import Foundation
import TestSupport
import Testing

@testable import Outbox

@Suite struct ProfileDocumentTests {
    private func block(_ language: String) throws -> String {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let text = try String(contentsOf: root.appendingPathComponent("docs/profiles.md"), encoding: .utf8)
        let parts = text.components(separatedBy: "```\(language)\n")
        return try #require(parts.dropFirst().first?.components(separatedBy: "\n```").first)
    }

    private func request() throws -> PreparedRequest {
        let slack = try Profile(parsing: Array(block("json").utf8))
        let destination = try Destination(
            id: 1, uuid: Fixture.destinationID, name: "d1", url: DestinationURL("https://example.org/hook"), patterns: [],
            profile: slack, secrets: [Secret(Fixture.secretText(for: slack), form: slack.secretForm)])
        return try Fixture.request(Fixture.event(), destination)
    }

    @Test func theExampleIsWhatIsSent() throws {
        let request = try request()
        #expect(try block("http") == request.headers.joined(separator: "\n") + "\n\n" + request.text)
    }

    @Test func itsReceiverAcceptsTheExampleAndNothingElse() throws {
        let request = try request()
        var changed = request
        changed.body[changed.body.count - 3] ^= 1
        let cases = [(request, "It's a Secret to Everybody"), (request, "another"), (changed, "It's a Secret to Everybody")]
            .map { PythonVerifier.Case($0, profile: "slack", secret: $1, event: Fixture.event()) }
        let verdicts = try PythonVerifier.verify(cases)
        #expect(verdicts[0] == "ok")
        #expect(verdicts[1].contains("expected 'v0=") && verdicts[2].contains("expected 'v0="))
    }

    @Test func everyMemberIsExplained() throws {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let text = try String(contentsOf: root.appendingPathComponent("docs/profiles.md"), encoding: .utf8)
        for member in Profile.members { #expect(text.contains("| `\(member)` |"), "\(member)") }
    }
}
