// Payloads at the edges of what JSON, text and Postgres can hold: what goes in, and how the rest is refused.

import Outbox
import Postgres
import TestSupport
import Testing

@Suite struct HostilePayloadTests {
    private func emit(_ db: TestDatabase, _ data: String) async throws {
        try await db.query("SELECT postrider.emit('a.b', $1::text::jsonb)", [.text(data)])
    }

    private func refusal(_ db: TestDatabase, _ data: String) async throws -> PostgresError? {
        try await db.run("SAVEPOINT payload")
        do {
            try await emit(db, data)
        } catch let error as PostgresError {
            try await db.run("ROLLBACK TO payload")
            return error
        }
        return nil
    }

    @Test(arguments: ["{}", "[]", "\"\"", "null", "0", "false", " {} ", "{\"\": \"\"}", "-0.0", "1e400"])
    func smallestDocumentsGoIn(data: String) async throws {
        try await withRollback { db in
            try await emit(db, data)
            #expect(try await db.count("postrider.webhook_event_log WHERE data = '\(data)'::jsonb") == 1)
        }
    }

    @Test(arguments: [
        ("", "22P02"), (" ", "22P02"), ("{", "22P02"), ("{}{}", "22P02"), ("'", "22P02"), ("NaN", "22P02"),
        ("{\"a\": 1,}", "22P02"), (#"{"a": "\u0000"}"#, "22P05"), (#"{"\u0000": 1}"#, "22P05"),
        (#""\ud800""#, "22P02"), (#""\udc00""#, "22P02"), (#""\ud800\ud800""#, "22P02"), (#""\ud800x""#, "22P02"),
        (#""\uDBFF\u0041""#, "22P02"), ("\"a\nb\"", "22P02"), ("\"\u{1}\"", "22P02"),
    ])
    func whatIsNoDocumentIsRefused(data: String, state: String) async throws {
        try await withRollback { db in
            let error = try await refusal(db, data)
            #expect(error?.sqlState == state, "\(error?.message ?? "went in")")
            #expect(try await db.count("postrider.webhook_event_log") == 0)
            #expect(try await db.count("postrider.webhook_queue") == 0)
        }
    }

    @Test func bytesThatAreNotUTF8AreRefused() async throws {
        try await withRollback { db in
            for bytes in ["\\xff", "\\xc0af", "\\xeda080", "\\xf4908080", "\\x00"] {
                let error = try await db.refusal("SELECT postrider.emit('a.b', to_jsonb(convert_from('\(bytes)', 'UTF8')))")
                #expect(error.sqlState == "22021", "\(error.message)")
            }
        }
    }

    /// Postgres guards its stack: deeper documents are refused by name, and shallower ones go in.
    @Test(arguments: [("[", "1", "]"), ("{\"a\":", "1", "}")])
    func deepNestingGoesInOrIsRefusedByName(open: String, core: String, close: String) async throws {
        try await withRollback { db in
            for depth in [1, 100, 1000, 5000] {
                try await emit(db, String(repeating: open, count: depth) + core + String(repeating: close, count: depth))
            }
            #expect(try await db.count("postrider.webhook_event_log") == 4)
            for depth in [10_000, 100_000, 1_000_000] {
                let document = String(repeating: open, count: depth) + core + String(repeating: close, count: depth)
                guard let error = try await refusal(db, document) else {
                    #expect(depth == 10_000, "so deep that the server's limit is raised")
                    continue
                }
                #expect(error.sqlState == "54001")
                #expect(error.message.contains("stack depth limit"), "\(error.message)")
                #expect(error.hint?.contains("max_stack_depth") == true)
            }
            // The session goes on.
            try await emit(db, "{}")
        }
    }

    /// Text of all planes, raw and escaped, is the same text afterwards.
    @Test(arguments: [1, 2, 3] as [UInt64])
    func everyPlaneComesBackAsItWent(seed: UInt64) async throws {
        var generator = SeededGenerator(seed: seed)
        var texts = ["\u{10FFFF}", "\u{FFFF}\u{FFFE}", "\u{FEFF}", "\u{1}\u{1F}\u{7F}", "\\\"/", "\u{2028}\u{2029}", "e\u{301}\u{202E}"]
        for plane in 0...16 { texts.append(String((0..<40).map { _ in Scalars.random(plane: plane, using: &generator) })) }
        try await withRollback { db in
            for text in texts {
                let raw = "\"" + text.unicodeScalars.map { $0.value < 0x20 || $0 == "\"" || $0 == "\\" ? escape($0) : String($0) }.joined() + "\""
                let escaped = "\"" + text.unicodeScalars.map(escape).joined() + "\""
                for document in [raw, escaped] {
                    try await emit(db, document)
                    let back = try await db.query("SELECT data #>> '{}' FROM postrider.webhook_event_log", [])
                    #expect(try back[0].string(0).unicodeScalars.elementsEqual(text.unicodeScalars))
                    try await db.run("DELETE FROM postrider.webhook_event_log")
                }
            }
        }
    }

    private func escape(_ scalar: Unicode.Scalar) -> String {
        String(scalar).utf16.map { unit in
            let digits = String(unit, radix: 16)
            return "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
        }.joined()
    }

    @Test func tenMegabytesGoInAndTheLimitIsNamed() async throws {
        try await withRollback { db in
            try await db.run("SELECT postrider.emit('a.b', to_jsonb(repeat('x', 10485760)))")
            #expect(try await db.line("SELECT length(data #>> '{}') FROM postrider.webhook_event_log") == "10485760")
            // jsonb holds strings of less than 256 MiB.
            let error = try await db.refusal("SELECT postrider.emit('a.b', to_jsonb(repeat('x', 268435456)))")
            #expect(error.sqlState == "54000", "\(error.message)")
        }
    }

    /// They are read with each claim, for hundreds of events at once, so that workers would run out of memory.
    @Test(arguments: ["event_source", "table_name", "record_id", "user_id", "organization_id", "ordering_key"])
    func otherTextsOfAnEventHave4096CharactersAtMostEach(column: String) async throws {
        try await withRollback { db in
            func insert(_ characters: Int) -> String {
                """
                INSERT INTO postrider.webhook_event_log (event_type, data, \(column))
                VALUES ('a.b', '{}', repeat('é', \(characters)))
                """
            }
            try await db.run(insert(4096))
            let error = try await db.refusal(insert(4097))
            #expect(error.sqlState == "22001", "\(error.message)")
        }
    }

    @Test(arguments: ["a\r\nX-Evil: 1", "a\n", "\na", "a\u{2028}b", "a b", "a\u{7F}", "é", "a..b", "a\tb", "a/../b", "a%0d%0a"])
    func eventTypeThatCouldBreakAHeaderIsRefused(type: String) async throws {
        try await withRollback { db in
            for statement in [
                "SELECT postrider.emit($1, '{}')", "INSERT INTO postrider.webhook_events (event_type, data) VALUES ($1, '{}')",
                "INSERT INTO postrider.webhook_event_log (event_type, data) VALUES ($1, '{}')",
            ] {
                try await db.run("SAVEPOINT s")
                let error = await #expect(throws: PostgresError.self) { try await db.query(statement, [.text(type)]) }
                try await db.run("ROLLBACK TO s")
                #expect(["22023", "23514"].contains(error?.sqlState))
            }
            #expect(throws: EventTypeError.self) { try EventType.validate(type) }
        }
    }
}

/// Random characters of one plane.
enum Scalars {
    /// A character of the plane that is neither a surrogate nor U+0000, which no text can hold.
    static func random(plane: Int, using generator: inout SeededGenerator) -> Character {
        while true {
            let value = UInt32(plane) << 16 | UInt32.random(in: 0...0xFFFF, using: &generator)
            if value != 0, let scalar = Unicode.Scalar(value) { return Character(scalar) }
        }
    }
}
