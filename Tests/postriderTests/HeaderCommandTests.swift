// Headers that would be sent twice are told before anything is stored: the built program and a real database.

import TestSupport
import Testing

@testable import postrider

@Suite struct HeaderCommandTests {
    private static let auth = ["--option", #"auth={"bearer": "${TOKEN}"}"#]

    private func create(_ group: String, _ database: String, _ options: [String]) throws -> CommandResult {
        try postrider(
            [group, "create", "--name", "x", "--url", "https://example.com/webhook/x", "--events", "*"] + options,
            database: database)
    }

    @Test func headersThatAreSentAnywayAreNotStored() async throws {
        let database = try await TestCluster.freshDatabase()
        #expect(try postrider(["migrate"], database: database).status == 0)
        for (group, options, reason) in [
            ("endpoints", ["--header", "Content-Type=text/plain"], #"header "Content-Type" is sent by profile "standard" itself"#),
            ("endpoints", ["--header", "Webhook-ID=1"], #"header "Webhook-ID" is sent by profile "standard" itself"#),
            ("endpoints", ["--profile", "crm", "--header", "x-signature=1"], #"header "x-signature" is sent by profile "crm" itself"#),
            ("endpoints", Self.auth + ["--header", "authorization=x"], #"header "Authorization" is there twice"#),
            ("endpoints", ["--header", "A=1", "--header", "a=2"], #"header "a" is there twice"#),
            ("n8n", ["--header", "User-Agent=x"], #"header "User-Agent" is sent by profile "n8n" itself"#),
        ] as [(String, [String], String)] {
            let result = try create(group, database, options)
            #expect(result.status == 1 && result.errors.contains(reason), "\(options): \(result.errors)")
            #expect(try postrider([group, "list", "--json"], database: database).text == "")
        }
    }

    /// Each time with what stays as it is.
    @Test func changesAreComparedWithTheRest() async throws {
        let database = try await TestCluster.freshDatabase()
        #expect(try postrider(["migrate"], database: database).status == 0)
        #expect(try create("endpoints", database, ["--header", "X-Signature=1"]).status == 0)
        for (options, reason) in [
            (["--profile", "crm"], #"header "X-Signature" is sent by profile "crm" itself"#),
            (["--profile", "crm", "--header", "X-Other=1"], nil),
            (["--header", "X-Signature=1"], #"header "X-Signature" is sent by profile "crm" itself"#),
            (["--header", "Authorization=x"], nil), (Self.auth, #"header "Authorization" is there twice"#),
            (Self.auth + ["--no-headers"], nil), (["--header", "authorization=x"], #"header "Authorization" is there twice"#),
            (["--header", "authorization=x", "--option", "auth=null"], nil), (["--max-attempts", "3"], nil),
        ] as [([String], String?)] {
            let result = try postrider(["endpoints", "update", "x"] + options, database: database)
            #expect(result.status == (reason == nil ? 0 : 1), "\(options): \(result.errors)")
            if let reason { #expect(result.errors.contains(reason), "\(options): \(result.errors)") }
        }
    }
}
