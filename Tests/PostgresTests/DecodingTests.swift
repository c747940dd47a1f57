// What happens when a result does not have the shape asked for.

import Postgres
import Testing

@Suite(.fewAtOnce) struct DecodingTests {
    @Test func mismatchNamesQueryAndColumnButNotTheValue() async throws {
        let connection = try await connect()
        let rows = try await connection.query(
            Statement(name: "SecretList", sql: "SELECT 'hush-hush'::text AS secret, NULL::int AS nothing"))
        let row = try rows.one()
        let wrong = await failure { try row.int(0) }
        #expect(wrong?.code == .decoding)
        #expect(wrong?.queryName == "SecretList")
        #expect(wrong?.description.contains("secret") == true)
        #expect(wrong?.description.contains("hush") == false)
        let null = await failure { try row.int(1) }
        #expect(null?.message == "column 1 (nothing) is NULL")
        let beyond = await failure { try row.string(2) }
        #expect(beyond?.message == "column 2 does not exist, the result has 2")
        let negative = await failure { try row.isNull(-1) }
        #expect(negative?.code == .decoding)
    }

    @Test func everyGetterRefusesOtherTypes() async throws {
        let connection = try await connect()
        let row = try await connection.row("SELECT 1.5::numeric, ARRAY[1, 2], ARRAY[[1], [2]], '{1}'::int2[]")
        #expect(throws: PostgresError.self) { try row.int(0) }
        #expect(throws: PostgresError.self) { try row.double(0) }
        #expect(throws: PostgresError.self) { try row.string(0) }
        #expect(throws: PostgresError.self) { try row.bool(0) }
        #expect(throws: PostgresError.self) { try row.uuid(0) }
        #expect(throws: PostgresError.self) { try row.bytes(0) }
        #expect(throws: PostgresError.self) { try row.timestamp(0) }
        #expect(throws: PostgresError.self) { try row.int8s(1) }
        #expect(throws: PostgresError.self) { try row.uuids(1) }
        #expect(throws: PostgresError.self) { try row.strings(1) }
        #expect(throws: PostgresError.self) { try row.int4s(2) }
        #expect(try row.int4s(1) == [1, 2])
        #expect(try row.int2s(3) == [1])
    }

    @Test func oneWantsExactlyOneRow() async throws {
        let connection = try await connect()
        let none = try await connection.run("SELECT 1 WHERE false")
        let two = try await connection.run("VALUES (1), (2)")
        #expect(none.isEmpty)
        #expect(throws: PostgresError.self) { try none.one() }
        #expect(throws: PostgresError.self) { try two.one() }
        #expect(try two.last?.int(0) == 2)
    }

    @Test func rowsOutliveTheirConnection() async throws {
        let connection = try await connect()
        let row = try await connection.row("SELECT repeat('x', 100000)")
        await connection.close()
        #expect(try row.string(0).utf8.count == 100_000)
    }

    @Test func scriptGivesTextRowsOfEveryStatement() async throws {
        let connection = try await connect()
        let results = try await connection.script(
            "SELECT 1 AS a, NULL AS b; SELECT true, 2.50::numeric, now() IS NULL; -- nothing", name: "several")
        #expect(results.count == 2)
        #expect(results[0][0].text(0) == "1")
        #expect(results[0][0].text(1) == nil)
        #expect((0..<3).map { results[1][0].text($0) } == ["t", "2.50", "f"])
        #expect(try results[1][0].string(1) == "2.50")
        #expect(throws: PostgresError.self) { try results[0][0].int(0) }
        #expect(results[0][0].text(9) == nil)
    }

    @Test func textShowsCommonBinaryTypes() async throws {
        let connection = try await connect()
        let row = try await connection.row(
            "SELECT 7, true, 'x'::text, '0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b'::uuid, 0.5::float8")
        #expect((0..<5).map { row.text($0) } == ["7", "t", "x", "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b", "0.5"])
    }
}
