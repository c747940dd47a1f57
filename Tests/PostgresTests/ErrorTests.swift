// What errors say, and what they must not say.

import Postgres
import Testing

@testable import Postgres

@Suite(.fewAtOnce) struct ErrorTests {
    @Test func violationCarriesConstraintTableAndSchema() async throws {
        let connection = try await connect()
        try await connection.script(
            "CREATE TEMP TABLE people (email text CONSTRAINT people_email_unique UNIQUE NOT NULL)", name: "setup")
        let insert = Statement(name: "PersonInsert", sql: "INSERT INTO people VALUES ($1)")
        _ = try await connection.query(insert, [.text("ada@example.org")])
        let error = await failure { try await connection.query(insert, [.text("ada@example.org")]) }
        #expect(error?.sqlState == "23505")
        #expect(error?.constraint == "people_email_unique")
        #expect(error?.table == "people")
        #expect(error?.schema?.hasPrefix("pg_temp") == true)
        #expect(error?.detail?.contains("ada@example.org") == true)
        #expect(error?.description.contains("ada") == false)
        #expect(error?.isRetryable == false)
        let missing = await failure { try await connection.query(insert, [.null]) }
        #expect(missing?.sqlState == "23502")
        #expect(missing?.column == "email")
    }

    @Test(arguments: [
        ("SELECT $1::text::int", "pa\"ss\"word"), ("SELECT $1::text::uuid", "0190-secret"),
        ("SELECT $1::text::timestamptz", "soon secret"), ("SELECT $1::text::jsonb", "{\"secret\": oops}"),
        ("SELECT $1::text::int2", "99999secret"), ("SELECT $1::int4", "secret"), ("SELECT $1::bytea", "\\xsecret"),
        ("SELECT $1::text::inet", "999.secret"), ("SELECT $1::text::text[]", "{secret"),
        ("SELECT to_timestamp($1::text, 'YYYY')", "secret"), ("SELECT $1::text::interval", "a secret"),
        ("SELECT 'a' ~ $1::text", "[secret"), ("SELECT set_config('work_mem', $1::text, false)", "secret"),
        ("SELECT $1::text::regclass", "secret_table"), ("SELECT currval($1::text)", "secret_sequence"),
    ])
    func descriptionHoldsNoBoundValue(sql: String, value: String) async throws {
        let connection = try await connect()
        let error = await failure { try await connection.run(sql, [.text(value)], name: "Leaky") }
        let description = try #require(error?.description)
        #expect(!description.contains("secret"), "\(description)")
        #expect(!description.contains("word"), "\(description)")
        #expect(description.contains("Leaky"))
        #expect("\(String(describing: error))".contains("secret") == false)
    }

    @Test func raisedMessagesKeepTheirWordsButNotBoundValues() async throws {
        let connection = try await connect()
        try await connection.script(
            """
            CREATE FUNCTION pg_temp.refuse(v text) RETURNS void LANGUAGE plpgsql AS $$
            BEGIN RAISE EXCEPTION 'no such type "%"', v USING HINT = 'attach ' || v || ' first', ERRCODE = 'PO001'; END $$
            """, name: "setup")
        let error = await failure { try await connection.run("SELECT pg_temp.refuse($1)", [.text("order.secret")]) }
        #expect(error?.message == "no such type \"…\"")
        #expect(error?.hint == "attach … first")
        #expect(error?.sqlState == "PO001")
    }

    @Test func textWithNULIsRefusedBeforeItIsCutShort() async throws {
        let connection = try await connect()
        let error = await failure { try await connection.run("SELECT $1, $2", [.int8(0), .text("a\0b")]) }
        #expect(error?.code == .invalidParameter)
        #expect(error?.message == "parameter $2 holds a NUL byte, which text cannot")
        let array = await failure { try await connection.run("SELECT $1", [.texts(["a\0b"])]) }
        #expect(array?.sqlState == "22021")
        let script = await failure { try await connection.script("SELECT '\0'", name: "nul") }
        #expect(script?.code == .invalidParameter)
        #expect(connection.isOpen)
    }

    @Test func tooManyParametersAreRefusedHere() async throws {
        let connection = try await connect()
        let error = await failure { try await connection.run("SELECT 1", Array(repeating: .int2(0), count: 65_536)) }
        #expect(error?.code == .invalidParameter)
        #expect(connection.isOpen)
    }

    @Test func scriptErrorHasItsName() async throws {
        let connection = try await connect()
        let error = await failure { try await connection.script("SELECT 1; SELEKT 2", name: "0001_words") }
        #expect(error?.queryName == "0001_words")
        #expect(error?.sqlState == "42601")
        #expect(try await connection.row("SELECT 1").int(0) == 1)
    }

    @Test func deadlockIsRetryable() async throws {
        let (first, second) = (try await connect(), try await connect())
        let key = Int64.random(in: 1...Int64.max / 2)
        let lock = Statement(name: "Lock", sql: "SELECT pg_advisory_xact_lock($1)")
        try await first.script("BEGIN; SELECT pg_advisory_xact_lock(\(key))", name: "first")
        try await second.script("BEGIN; SELECT pg_advisory_xact_lock(\(key + 1))", name: "second")
        async let one: Rows = first.query(lock, [.int8(key + 1)])
        async let two: Rows = second.query(lock, [.int8(key)])
        var errors: [PostgresError] = []
        do { _ = try await one } catch let error as PostgresError { errors.append(error) }
        if errors.count == 1 { try await first.script("ROLLBACK", name: "rollback") }
        do { _ = try await two } catch let error as PostgresError { errors.append(error) }
        #expect(errors.count == 1)
        #expect(errors.first?.sqlState == "40P01")
        #expect(errors.first?.isRetryable == true)
    }

    @Test func noticesAreKeptUntilTheyAreTaken() async throws {
        let connection = try await connect()
        try await connection.script("DO $$ BEGIN RAISE WARNING 'careful'; END $$", name: "warn")
        let kept = connection.takeNotices()
        #expect(kept.map(\.message) == ["careful"])
        #expect(kept.first?.severity == "WARNING")
        #expect(connection.takeNotices().isEmpty)
    }

    @Test func quotedTextIsTakenOutWhole() {
        #expect(Redaction.withoutQuoted("value \"a\"b\" is bad") == "value \"…\" is bad")
        #expect(Redaction.withoutQuoted("no quotes") == "no quotes")
        #expect(Redaction.withoutQuoted("one \" quote") == "one \" quote")
        #expect(Redaction.hiding("abc", in: "abc") == "abc")
        #expect(Redaction.hiding("abcd", in: "x abcd y abcd") == "x … y …")
        // An accent makes one character of itself and what stands before it.
        #expect(Redaction.withoutQuoted("value \"\u{301}ab\" is bad") == "value \"…\" is bad")
        #expect(Redaction.hiding("abcd", in: "x abcd\u{301} y") == "x …\u{301} y")
    }
}
