// The gate in SQL and the gate in the program judge alike, and nothing comes into the table around them.

import Foundation
import Outbox
import Postgres
import TestSupport
import Testing

@Suite struct HostileGateTests {
    /// What SQL says of each text: nil when it passes.
    private func faults(_ db: TestDatabase, _ function: String, _ texts: [String]) async throws -> [String?] {
        let rows = try await db.query(
            "SELECT postrider.\(function) FROM unnest($1::text[]) WITH ORDINALITY AS u (given, place) ORDER BY place",
            [.texts(texts)])
        return try rows.map { try $0.stringOrNil(0) }
    }

    private func passes(_ body: () throws -> Void) -> Bool { (try? body()) != nil }

    @Test func bothGatesJudgeTheListedURLsAlike() async throws {
        try await withRollback { db in
            let sound = URLCases.sound.map(\.0)
            #expect(try await faults(db, "url_fault(given)", sound).allSatisfy { $0 == nil })
            #expect(sound.allSatisfy { url in passes { _ = try DestinationURL(url) } })
            // Postgres holds no U+0000 in a text, so that one never comes as far as a gate.
            let hostile = URLCases.hostile.filter { !$0.utf8.contains(0) }
            for (url, fault) in zip(hostile, try await faults(db, "url_fault(given)", hostile)) {
                #expect(fault != nil, "passes in SQL: \(url.debugDescription)")
                #expect(!passes { _ = try DestinationURL(url) }, "passes in Swift: \(url.debugDescription)")
            }
        }
    }

    @Test(arguments: [1, 2, 3] as [UInt64])
    func bothGatesJudgeRandomURLsAlike(seed: UInt64) async throws {
        var generator = SeededGenerator(seed: seed)
        let urls = (0..<4000).map { _ in
            (Bool.random(using: &generator) ? "https://" : "")
                + (0..<Int.random(in: 1...9, using: &generator))
                .map { _ in URLCases.pieces.randomElement(using: &generator) ?? "" }.joined()
        }
        try await withRollback { db in
            var sound = 0
            for (url, fault) in zip(urls, try await faults(db, "url_fault(given)", urls)) {
                let isSound = passes { _ = try DestinationURL(url) }
                sound += isSound ? 1 : 0
                #expect(isSound == (fault == nil), "\(url.debugDescription): \(fault ?? "passes in SQL")")
            }
            #expect(sound > 40, "random URLs reach both sides of the gate")
        }
    }

    /// Foundation's parser reads a host out of URLs that must not pass, so it is not a gate; nothing that sends imports it.
    @Test func foundationIsNotAGate() throws {
        let read = URLCases.hostile.filter { URL(string: $0)?.host?.isEmpty == false }
        #expect(read.count > 20)
        for folder in ["Outbox", "HTTPExchange", "OutboxStore", "OutboxWorker"] {
            let files = try Shell.files(in: "Sources/\(folder)", suffix: ".swift")
            #expect(!files.isEmpty, "\(folder)")
            for file in files {
                #expect(try !String(contentsOf: file, encoding: .utf8).contains("import Foundation"), "\(file.path)")
            }
        }
    }

    @Test func bothGatesJudgePatternsAlike() async throws {
        var generator = SeededGenerator(seed: 11)
        let pieces = ["a", "user", "9", "_", "-", ".", "..", "*", ".*", " ", "\n", "\r", "é", "'", "\"", "\t", "\u{1}", "/", "%"]
        var patterns = (0..<3000).map { _ in
            (0..<Int.random(in: 0...5, using: &generator)).map { _ in pieces.randomElement(using: &generator) ?? "" }.joined()
        }
        patterns += [String(repeating: "a", count: 128), String(repeating: "a", count: 129), "a\r\nX-Evil: 1", "a.*\n", "*\n"]
        try await withRollback { db in
            var sound = 0
            for (pattern, fault) in zip(patterns, try await faults(db, "pattern_fault(ARRAY[given])", patterns)) {
                let isSound = passes { _ = try EventPattern(pattern) }
                sound += isSound ? 1 : 0
                #expect(isSound == (fault == nil), "\(pattern.debugDescription)")
            }
            #expect(sound > 100)
        }
    }

    @Test func bothGatesJudgeHeadersAlike() async throws {
        try await withRollback { db in
            for (name, value) in HeaderCases.sound + HeaderCases.hostile {
                let rows = try await db.query(
                    "SELECT postrider.header_fault(jsonb_build_object($1::text, $2::text)) IS NULL", [.text(name), .text(value)])
                let isSound = passes { _ = try HeaderField(name: name, value: value) }
                #expect(try rows[0].bool(0) == isSound, "\(name.debugDescription): \(value.debugDescription.prefix(40))")
                #expect(isSound == HeaderCases.sound.contains { $0 == (name, value) })
            }
            for headers in [#"{"A": "1", "a": "2"}"#, #"{"A": 1}"#, #"{"A": null}"#, #"{"A": {"B": "c"}}"#, "[]", "7", "null"] {
                let rows = try await db.query("SELECT postrider.header_fault($1::text::jsonb) IS NULL", [.text(headers)])
                #expect(try !rows[0].bool(0), "\(headers)")
            }
        }
    }

    @Test(arguments: [
        (#"headers = '{"Content-Type": "text/plain"}'"#, "Content-Type is sent by every profile"),
        (#"headers = '{"uSER-agent": "x"}'"#, "uSER-agent is sent by every profile"),
        (#"headers = '{"authorization": "x"}', options = '{"auth": {"bearer": "${T}"}}'"#, "authorization is sent by the option auth"),
        (
            #"headers = '{"X-Token": "x"}', options = '{"auth": {"jwt": {"key": "${K}", "header": "x-token"}}}'"#,
            "X-Token is sent by the option auth"
        ),
        (#"options = '{"auth": {"jwt": {"key": "${K}", "header": "User-Agent"}}}'"#, "User-Agent is sent by every profile"),
    ])
    func headerThatIsSentAnywayIsRefused(settings: String, message: String) async throws {
        try await withRollback { db in
            try await db.endpoint()
            for table in ["webhook_endpoints", "webhook_destinations"] {
                let error = try await db.refusal("UPDATE postrider.\(table) SET \(settings)")
                #expect(error.sqlState == "22023" && error.message.contains(message), "\(table): \(error)")
            }
        }
    }

    @Test func headersBesideThatOfAuthPass() async throws {
        try await withRollback { db in
            for (headers, auth) in [
                ("Authorization", #"{"jwt": {"algorithm": "HS256", "key": "${K}", "header": "X-Token"}}"#),
                ("X-Token", #"{"bearer": "${T}"}"#),
            ] {
                try await db.endpoint(
                    settings: #"headers = '{"\#(headers)": "x"}', options = '{"auth": \#(auth)}'"#)
            }
            #expect(try await db.count("postrider.webhook_destinations") == 2)
        }
    }

    @Test(arguments: [
        "a\nb", "a\rb", "\u{1}", "a\u{7F}", "a\u{85}b", "a\u{9B}31m", "a\u{2028}b", "evil\u{202E}txt", "a\u{2066}b", "",
        "a\u{1B}[2J",
    ])
    func nameOfControlCharactersIsRefused(name: String) async throws {
        try await withRollback { db in
            let rows = try await db.query("SELECT postrider.name_fault($1) IS NULL", [.text(name)])
            #expect(try !rows[0].bool(0))
        }
    }

    @Test func namesOfEveryScriptPass() async throws {
        try await withRollback { db in
            for name in ["Ana", "Ünïcödé", "日本語", "עברית", "🚚 rider", "a'b\"c", "\u{10FFFF}", "e\u{301}"] {
                let rows = try await db.query("SELECT postrider.name_fault($1) IS NULL", [.text(name)])
                #expect(try rows[0].bool(0), "\(name)")
            }
        }
    }

    /// The ways into the table: both views and the table itself, creating and changing.
    @Test(arguments: [
        "INSERT INTO postrider.webhook_endpoints (name, url, events) VALUES ('n', $1, '{*}')",
        "INSERT INTO postrider.n8n_workflows (name, webhook_url, event_types) VALUES ('n', $1, '{*}')",
        "INSERT INTO postrider.webhook_destinations (kind, name, url, event_types) VALUES ('endpoint', 'n', $1, '{*}')",
        "UPDATE postrider.webhook_endpoints SET url = $1", "UPDATE postrider.webhook_destinations SET url = $1",
        "UPDATE postrider.webhook_endpoints SET events = ARRAY[$1]",
        "UPDATE postrider.webhook_destinations SET event_types = ARRAY['a.b', $1]",
        "UPDATE postrider.webhook_endpoints SET name = 'a' || $1",
        "UPDATE postrider.webhook_destinations SET name = 'a' || $1",
        "UPDATE postrider.webhook_endpoints SET headers = jsonb_build_object($1::text, 'v')",
        "UPDATE postrider.webhook_destinations SET headers = jsonb_build_object('A', $1::text)",
    ])
    func noWayIntoTheTableGoesAroundTheGate(statement: String) async throws {
        try await withRollback { db in
            try await db.endpoint("good")
            let before = try await db.lines("SELECT name, url, event_types, headers FROM postrider.webhook_destinations")
            try await db.run("SAVEPOINT s")
            let error = await #expect(throws: PostgresError.self) {
                try await db.query(statement, [.text("https://example.com/\r\nX-Evil: 1")])
            }
            try await db.run("ROLLBACK TO s")
            #expect(error?.sqlState == "22023")
            #expect(error?.message.contains("X-Evil") != true || statement.contains("event") || statement.contains("headers"))
            #expect(try await db.lines("SELECT name, url, event_types, headers FROM postrider.webhook_destinations") == before)
        }
    }

    @Test func switchingOffDoesNotAskTheGate() async throws {
        try await withRollback { db in
            try await db.endpoint("old")
            try await db.run(
                """
                ALTER TABLE postrider.webhook_destinations DISABLE TRIGGER webhook_destination_gate;
                UPDATE postrider.webhook_destinations SET headers = '{"A B": "1"}';
                ALTER TABLE postrider.webhook_destinations ENABLE TRIGGER webhook_destination_gate;
                UPDATE postrider.webhook_destinations SET is_active = false, inactive_reason = 'header'
                """)
            #expect(try await db.count("postrider.webhook_destinations WHERE NOT is_active") == 1)
        }
    }
}
