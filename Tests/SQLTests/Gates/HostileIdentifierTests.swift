// Random hostile names of schemas, tables, columns and attachments: attach quotes them all.

import Postgres
import TestSupport
import Testing

@Suite struct HostileIdentifierTests {
    private static let pieces = [
        "a", "B", "1", " ", "\"", "'", "''", "\\", "\n", "\r\n", "\t", ";", "--", "/*", "*/", "$$", "$1", "%s", "%I", "%L", "%%",
        "é", "名", "🚚", "\u{301}", "\u{202E}", "{}", "[]", "()", ".", ",", "old", "new", "NEW", "select", "null", "\u{1}",
    ]

    /// A name of at most 63 bytes, which is all that Postgres keeps; often of exactly 63.
    private static func name(_ generator: inout SeededGenerator) -> String {
        var name = ""
        for _ in 0..<Int.random(in: 1...24, using: &generator) {
            let next = name + (pieces.randomElement(using: &generator) ?? "a")
            guard next.utf8.count <= 63 else { break }
            name = next
        }
        return Bool.random(using: &generator) ? name + String(repeating: "x", count: 63 - name.utf8.count) : name
    }

    /// By scalars: to Swift a quote with an accent on it is another character than a quote.
    private static func quoted(_ name: String) -> String {
        var quoted = "\""
        for scalar in name.unicodeScalars { quoted += scalar == "\"" ? "\"\"" : String(scalar) }
        return quoted + "\""
    }

    @Test(arguments: 1...25 as ClosedRange<UInt64>)
    func randomNamesAreQuotedEverywhere(seed: UInt64) async throws {
        var generator = SeededGenerator(seed: seed)
        let (schema, table, attachment) = (Self.name(&generator), Self.name(&generator), Self.name(&generator))
        let columns = Array(Set((0..<4).map { _ in Self.name(&generator) })).sorted()
        let target = Self.quoted(schema) + "." + Self.quoted(table)
        try await withRollback { db in
            // A schema may not begin with pg_, and none of these does.
            try await db.run("CREATE SCHEMA \(Self.quoted(schema))")
            let list = columns.map { Self.quoted($0) + " text" }.joined(separator: ", ")
            try await db.run("CREATE TABLE \(target) (\(list), PRIMARY KEY (\(Self.quoted(columns[0]))))")
            try await db.query(
                """
                SELECT postrider.attach($1::text::regclass, 'weird.changed', '{insert,update,delete,truncate}', name => $2,
                    organization_id => $3, except_columns => ARRAY[$4])
                """, [.text(target), .text(attachment), .text(columns[0]), .text(columns.count > 1 ? columns[1] : "")])
            let values = columns.indices.map { "$\($0 + 1)" }.joined(separator: ", ")
            try await db.query("INSERT INTO \(target) VALUES (\(values))", columns.map { .text("of " + $0) })
            try await db.run("UPDATE \(target) SET \(Self.quoted(columns[columns.count - 1])) = 'changed'; DELETE FROM \(target)")
            let kept = columns.enumerated().filter { $0.offset != 1 }.map(\.element)
            let events = try await db.query(
                """
                SELECT organization_id, ARRAY(SELECT k FROM jsonb_object_keys(data) AS k ORDER BY k COLLATE "C"), table_name
                FROM postrider.webhook_event_log ORDER BY id
                """, [])
            #expect(events.count == 3)
            for event in events {
                #expect(try event.strings(1) == kept.sorted { Array($0.utf8).lexicographicallyPrecedes(Array($1.utf8)) })
            }
            #expect(try events[0].string(0) == "of " + columns[0])
            #expect(try await db.count("postrider.webhook_attachment_check") == 0)
            let gone = try await db.query(
                "SELECT postrider.detach($1::text::regclass, $2)", [.text(target), .text(attachment)])
            #expect(try gone[0].int(0) == 1)
        }
    }
}
