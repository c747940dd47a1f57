// What narrows an endpoint and can be taken away again, and names that two endpoints have.

import Foundation
import TestSupport
import Testing

@testable import postrider

@Suite struct NarrowingCommandTests {
    private func create(_ database: String, _ options: [String] = []) throws -> CommandResult {
        try postrider(
            ["endpoints", "create", "--name", "billing", "--url", "https://billing.example.com/", "--events", "*"]
                + options, database: database)
    }

    /// Organization, user and headers of the endpoint, as JSON with null for what is not there.
    private func narrowing(_ database: String) throws -> [String] {
        let shown = try postrider(["endpoints", "show", "billing"], database: database)
        let members = try JSONSerialization.jsonObject(with: Data(shown.text.utf8)) as? [String: Any] ?? [:]
        return try ["organization_id", "user_id", "headers"].map { name in
            let value = try #require(members[name])
            return String(
                decoding: try JSONSerialization.data(withJSONObject: value, options: .fragmentsAllowed), as: UTF8.self)
        }
    }

    @Test func organizationUserAndHeadersAreTakenAway() async throws {
        let database = try await TestCluster.freshDatabase()
        #expect(try postrider(["migrate"], database: database).status == 0)
        let options = ["--organization", "acme", "--user", "ana", "--header", "X-Team=ops"]
        #expect(try create(database, options).status == 0)
        #expect(try narrowing(database) == [#""acme""#, #""ana""#, #"{"X-Team":"ops"}"#])
        #expect(try postrider(["endpoints", "update", "billing", "--all-users"], database: database).status == 0)
        #expect(try narrowing(database) == [#""acme""#, "null", #"{"X-Team":"ops"}"#])
        let rest = ["endpoints", "update", "billing", "--all-organizations", "--no-headers"]
        #expect(try postrider(rest, database: database).status == 0)
        #expect(try narrowing(database) == ["null", "null", "{}"])
    }

    @Test func nothingIsGivenAndTakenAwayAtOnce() async throws {
        let database = try await TestCluster.freshDatabase()
        #expect(try postrider(["migrate"], database: database).status == 0)
        #expect(try create(database, ["--organization", "acme"]).status == 0)
        for (option, flag) in [("--organization", "--all-organizations"), ("--user", "--all-users")] {
            let both = try postrider(["endpoints", "update", "billing", option, "other", flag], database: database)
            #expect(both.status == 1)
            #expect(both.errors.contains("give one of \(option) and \(flag)"), "\(both.errors)")
        }
        let headers = ["endpoints", "update", "billing", "--header", "X-Team=ops", "--no-headers"]
        #expect(try postrider(headers, database: database).status == 1)
        #expect(try narrowing(database) == [#""acme""#, "null", "{}"])
    }

    @Test func anotherEndpointOfTheNameIsTold() async throws {
        let database = try await TestCluster.freshDatabase()
        #expect(try postrider(["migrate"], database: database).status == 0)
        let first = try create(database)
        #expect(first.status == 0)
        #expect(!first.errors.contains("note: another"), "\(first.errors)")
        let second = try create(database)
        #expect(second.status == 0)
        #expect(second.errors.contains(#"note: another endpoint has the name "billing""#), "\(second.errors)")
        #expect(second.text != first.text)
        let third = try create(database, ["--organization", "acme"])
        #expect(third.errors.contains(#"note: 2 other endpoints have the name "billing""#), "\(third.errors)")
    }

    /// What is parked becomes due when it is enabled, and new events are claimed at the same time.
    @Test(arguments: ["endpoints", "n8n"])
    func enablingPromisesNoOrderBeforeNewEvents(group: String) throws {
        let help = try postrider([group, "enable", "--help"], database: "unused")
        // Lines are broken at the width of the terminal.
        let text = help.output.split(whereSeparator: \.isWhitespace).joined(separator: " ")
        #expect(help.status == 0 && text.contains("Send again: what waited, oldest first, beside new events."), "\(help)")
    }
}
