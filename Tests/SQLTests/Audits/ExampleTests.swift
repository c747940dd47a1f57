// The packs of sql/examples, from their tables to the events of their activity.sql, with psql alone.

import Foundation
import Postgres
import Testing

@Suite struct ExampleTests {
    @Test(arguments: ["agentes", "bird", "companion", "crm", "fenix"])
    func activityMakesTheEventsOfItsHeadingAndNoOthers(_ pack: String) async throws {
        let folder = Shell.root.appendingPathComponent("sql/examples/\(pack)")
        let heading = try Heading(of: folder.appendingPathComponent("activity.sql"))
        let readme = try String(contentsOf: folder.appendingPathComponent("README.md"), encoding: .utf8)
        for type in heading.counts.keys { #expect(readme.contains("`\(type)`"), "the README does not tell of \(type)") }
        try await withDatabase { db in
            // Attachments and endpoints are the same after a second run, and activity is new each time.
            let files = [
                "domain", "attachments", "attachments", "endpoints", "endpoints", "activity", "activity",
            ]
            let output = try await Shell.psql(db.url, files.map { folder.appendingPathComponent("\($0).sql") })
            #expect(output.status == 0, "\(output.errors)")
            #expect(
                try await db.line("SELECT count(*), count(*) FILTER (WHERE data::text LIKE '%which no event shows%') FROM postrider.webhook_events")
                    == "\(heading.total * 2)|0")
            #expect(
                try await db.lines("SELECT event_type, count(*) FROM postrider.webhook_events GROUP BY 1").sorted()
                    == heading.counts.map { "\($0.key)|\($0.value * 2)" }.sorted())
            #expect(
                try await db.line("SELECT (SELECT count(*) FROM postrider.webhook_endpoints), (SELECT count(*) FROM postrider.n8n_workflows)")
                    == (pack == "agentes" ? "1|7" : "1|0"))
            #expect(try await db.count("postrider.webhook_attachment_check") == 0)
        }
    }
}

@Suite struct ReadmeTests {
    @Test func firstStatementsOfTheReadmeMakeEvents() async throws {
        let readme = try String(contentsOf: Shell.root.appendingPathComponent("README.md"), encoding: .utf8)
        let block = try #require(readme.components(separatedBy: "```sql\n").dropFirst().first)
        let statements = try #require(block.components(separatedBy: "```").first)
        try await withDatabase { db in
            try await db.run("CREATE TABLE users (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text)")
            try await db.run(statements)
            #expect(try await db.events("event_type") == ["invoice.paid", "user.registered"])
        }
    }
}

/// What an activity.sql says of itself in the comment at its beginning: `Makes 27 events`, `2 user.registered`, ….
private struct Heading {
    let total: Int
    let counts: [String: Int]

    init(of file: URL) throws {
        let text = try String(contentsOf: file, encoding: .utf8).prefix { $0 != "\\" }
        total = try #require(text.firstMatch(of: /Makes (\d+) events/).flatMap { Int($0.1) })
        var counts: [String: Int] = [:]
        for match in text.matches(of: /(\d+) ([a-z_]+(?:\.[a-z_]+)+)/) { counts[String(match.2)] = Int(match.1) }
        self.counts = counts
        #expect(counts.values.reduce(0, +) == total)
    }
}
