// The examples of docs/wire.md are what is really sent.

import Foundation
import Testing

@testable import Outbox

@Suite struct WireDocumentTests {
    /// The document, in its final place or beside this package.
    private func document() throws -> String {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let places = ["docs/wire.md", "WIRE.md"].map { root.appendingPathComponent($0) }
        let place = try #require(places.first { FileManager.default.fileExists(atPath: $0.path) })
        return try String(contentsOf: place, encoding: .utf8)
    }

    @Test(arguments: Profile.builtIn.keys.sorted())
    func theExampleOfEveryProfileIsWhatIsSent(_ name: String) throws {
        let request = try Fixture.request(Fixture.event(), Fixture.destination(name))
        let secret = Fixture.secretText(for: try Fixture.profile(name))
        let example =
            "Secret `\(secret)`:\n\n```http\n" + request.headers.joined(separator: "\n") + "\n\n"
            + request.text + "\n```\n"
        #expect(try document().contains("### \(name)\n"))
        #expect(try document().contains(example), "\(example)")
    }

    @Test func everyFailureClassAndVariableIsExplained() throws {
        let text = try document()
        for failure in FailureClass.allCases { #expect(text.contains("`\(failure.rawValue)`")) }
        for variable in Template.Variable.allCases { #expect(text.contains("`{\(variable.rawValue)}`")) }
    }
}
