// Names and values that would break a careless generator of SQL.

import Postgres
import Testing

@Suite struct AttachHostileTests {
    /// A quote of each kind, a format directive, dollars, blanks and letters beyond ASCII.
    private static let name = #""we ird"."tab""le 'x' %s ñ$$""#
    private static let literal = #"'"we ird"."tab""le ''x'' %s ñ$$"'"#

    private func table(_ db: TestDatabase) async throws {
        try await db.run(
            #"""
            CREATE SCHEMA "we ird";
            CREATE TABLE \#(Self.name) (
                "id""" int, "new" text, "old" text, "postrider" text, "postrider row" text, "select" int, "data%s" text,
                "ção" text, "column_name_which_is_exactly_sixty_three_bytes_long_abcdefghijk" text,
                PRIMARY KEY ("id""", "select")
            )
            """#)
    }

    @Test func hostileNamesOfTablesAndColumns() async throws {
        try await withRollback { db in
            try await table(db)
            try await db.run(
                #"""
                SELECT postrider.attach(\#(Self.literal), 'weird.changed', '{insert,update,delete}',
                    $$NEW."new" IS DISTINCT FROM OLD."old" OR TG_OP = 'DELETE'$$, name => E'na''me %s $$\nx',
                    organization_id => 'data%s', user_id => 'old')
                """#)
            try await db.run("INSERT INTO \(Self.name) VALUES (1, 'n', 'o', 'p', 'pr', 2, 'd%', 'ç', '63')")
            try await db.run("UPDATE \(Self.name) SET \"new\" = 'm'")
            try await db.run("DELETE FROM \(Self.name)")
            let row = { (new: String) in
                #"{"id\"": 1, "new": "\#(new)", "old": "o", "ção": "ç", "data%s": "d%", "select": 2, "postrider": "p", "#
                    + #""postrider row": "pr", "column_name_which_is_exactly_sixty_three_bytes_long_abcdefghijk": "63"}"#
            }
            let head = #""we ird"."tab""le 'x' %s ñ$$"|1:2|d%|o|"#
            #expect(
                try await db.events("table_name, record_id, organization_id, user_id, data")
                    == [head + row("n"), head + row("m"), head + row("m")])
            #expect(try await db.count("postrider.webhook_attachment_check") == 0)
        }
    }

    @Test func hostileColumnsInLists() async throws {
        try await withRollback { db in
            try await table(db)
            try await db.run(
                #"""
                SELECT postrider.attach(\#(Self.literal), 'weird.some', columns => '{"ção","data%s","id\"","new","postrider row"}');
                SELECT postrider.attach(\#(Self.literal), 'weird.rest', '{delete}', include_old => true, except_columns =>
                    '{"old","select","postrider","ção","column_name_which_is_exactly_sixty_three_bytes_long_abcdefghijk","data%s"}');
                INSERT INTO \#(Self.name) VALUES (1, 'n', 'o', 'p', 'pr', 2, 'd%', 'ç', '63');
                DELETE FROM \#(Self.name)
                """#)
            #expect(
                try await db.events("data") == [
                    #"{"id\"": 1, "new": "n", "ção": "ç", "data%s": "d%", "postrider row": "pr"}"#,
                    #"{"new": null, "old": {"id\"": 1, "new": "n", "postrider row": "pr"}}"#,
                ])
        }
    }

    @Test func detachFindsHostileNames() async throws {
        try await withRollback { db in
            try await table(db)
            try await db.run(
                #"SELECT postrider.attach(\#(Self.literal), 'weird.changed', '{delete}', name => E'na''me %s $$\nx')"#)
            #expect(try await db.line(#"SELECT postrider.detach(\#(Self.literal), E'na''me %s $$\nx')"#) == "1")
            #expect(try await db.count("pg_trigger WHERE NOT tgisinternal AND tgrelid = \(Self.literal)::regclass") == 0)
            #expect(try await db.count("pg_proc WHERE pronamespace = 'postrider_attached'::regnamespace") == 0)
        }
    }

    @Test func rowOfTenMegabytesArrivesWhole() async throws {
        try await withRollback { db in
            try await db.run(
                """
                CREATE TABLE big (id int PRIMARY KEY, t text);
                SELECT postrider.attach('big', 'big.row');
                INSERT INTO big VALUES (1, repeat('0123456789', 1048576))
                """)
            #expect(try await db.events("length(data ->> 't'), md5(data ->> 't') = md5((SELECT t FROM big))") == ["10485760|t"])
        }
    }

    @Test func tableWithoutColumnsMakesEmptyObjects() async throws {
        try await withRollback { db in
            try await db.run(
                "CREATE TABLE e (); SELECT postrider.attach('e', 'e.row'); INSERT INTO e DEFAULT VALUES; INSERT INTO e DEFAULT VALUES")
            #expect(try await db.events("record_id, data") == ["∅|{}", "∅|{}"])
        }
    }

    @Test func everyColumnMayBeNull() async throws {
        try await withRollback { db in
            try await db.run(
                """
                CREATE TABLE n (id int, a text, j json, d date, b bytea, r int4range, x text[]);
                SELECT postrider.attach('n', 'n.row', organization_id => 'a', user_id => 'a', record_id => 'id', ordering_key => 'a', priority => 'id');
                INSERT INTO n DEFAULT VALUES
                """)
            #expect(
                try await db.events("record_id, organization_id, user_id, ordering_key, priority, data") == [
                    #"∅|∅|∅|∅|1|{"a": null, "b": null, "d": null, "j": null, "r": null, "x": null, "id": null}"#
                ])
        }
    }

    /// Only the type json lets \u0000 in; jsonb, and so an event, cannot hold it.
    @Test(arguments: ["json", "dj", "ct", "dj[]"])
    func nulCharacterInAJSONColumnIsRefusedWithTheCure(type: String) async throws {
        try await withRollback { db in
            let bad = #"'{"a": "\u0000"}'"#
            let value =
                switch type {
                case "ct": "row(1, array[\(bad)]::dj[])::ct"
                case "dj[]": "array[\(bad)]::dj[]"
                default: bad
                }
            try await db.run(
                """
                CREATE DOMAIN dj AS json; CREATE TYPE ct AS (x int, y dj[]);
                CREATE TABLE js (id int, c \(type), other json);
                SELECT postrider.attach('js', 'js.row')
                """)
            let error = try await db.refusal("INSERT INTO js (id, c) VALUES (1, NULL), (2, \(value))")
            #expect(error.sqlState == "22P05")
            #expect(error.message.contains("public.js holds \\u0000"), "\(error.message)")
            #expect(error.hint?.contains("except_columns => '{c,other}'") == true, "\(error.hint ?? "")")
            #expect(try await db.count("js") == 0)
            #expect(try await db.count("postrider.webhook_event_log") == 0)
            // The cure works.
            try await db.run("SELECT postrider.attach('js', 'js.row', except_columns => '{c,other}')")
            try await db.run("INSERT INTO js (id, c) VALUES (2, \(value))")
            #expect(try await db.events("data") == [#"{"id": 2}"#])
        }
    }

    @Test func valuesThatLookLikeSQLStayValues() async throws {
        try await withRollback { db in
            try await db.run("CREATE TABLE v (id int PRIMARY KEY, t text); SELECT postrider.attach('v', 'v.row', user_id => 't')")
            for (id, value) in ["'; DROP TABLE v; --", "$$ %s %I \\ \"", "\u{1}\u{7f}", "𝄞 e\u{301}"].enumerated() {
                try await db.query("INSERT INTO v VALUES ($1, $2)", [.int4(Int32(id)), .text(value)])
            }
            #expect(
                try await db.events("user_id = data ->> 't', data ->> 't' = (SELECT t FROM v WHERE v.id::text = record_id)")
                    == Array(repeating: "t|t", count: 4))
        }
    }
}
