// Every kind of value, to the server and back.

import Glibc
import Postgres
import Testing

@Suite(.fewAtOnce) struct RoundTripTests {
    @Test func scalarsComeBackUnchanged() async throws {
        let connection = try await connect()
        let id = try #require(UUIDBytes("0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b"))
        let row = try await connection.row(
            "SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9::text, $10::text, $11::text",
            [
                .bool(true), .int2(.min), .int4(.max), .int8(.min), .float8(-1.5e300), .bytea([0, 1, 255]), .uuid(id),
                .timestamptz(microsecondsSince2000: 1), .text("ä\u{10FFFF}"), .interval(microseconds: -5),
                .utf8(Array("bytes".utf8)),
            ])
        #expect(try row.bool(0))
        #expect(try row.int(1) == Int(Int16.min))
        #expect(try row.int(2) == Int(Int32.max))
        #expect(try row.int64(3) == .min)
        #expect(try row.double(4) == -1.5e300)
        #expect(try row.bytes(5) == [0, 1, 255])
        #expect(try row.uuid(6) == id)
        #expect(try row.timestamp(7) == 1)
        #expect(try row.string(8) == "ä\u{10FFFF}")
        #expect(try row.string(9) == "-00:00:00.000005")
        #expect(try row.string(10) == "bytes")
    }

    @Test func serverReadsScalarsAsMeant() async throws {
        let connection = try await connect()
        let id = try #require(UUIDBytes("0190A1B2-C3D4-7E5F-8A9B-0C1D2E3F4A5B"))
        let row = try await connection.row(
            """
            SELECT ($1 - '2000-01-01Z')::text, $2::text, ($3 + interval '1 day')::text, $4::text, encode($5, 'hex'),
                   $6::text, $7::text
            """,
            [
                .timestamptz(microsecondsSince2000: 61_000_001), .uuid(id), .interval(microseconds: 1_000_000),
                .int8(-7), .bytea([0xab, 0x01]), .float8(.infinity), .bool(false),
            ])
        let expected = [
            "00:01:01.000001", "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b", "1 day 00:00:01", "-7", "ab01", "Infinity",
            "false",
        ]
        #expect(try (0..<row.count).map { try row.string($0) } == expected)
    }

    @Test func nullComesBackAsNil() async throws {
        let connection = try await connect()
        let row = try await connection.row(
            "SELECT $1::int, $2::text, $3::float8", Array(repeating: .null, count: 3))
        #expect(try row.intOrNil(0) == nil)
        #expect(try row.stringOrNil(1) == nil)
        #expect(try row.doubleOrNil(2) == nil)
        #expect(try row.isNull(0))
        #expect(row.text(1) == nil)
    }

    @Test func arraysComeBackUnchanged() async throws {
        let connection = try await connect()
        let ids = [UUIDBytes(high: 1, low: 2), UUIDBytes(high: .max, low: 0)]
        let row = try await connection.row(
            "SELECT $1, $2, $3, $4::text, $5, $6, $7, $8",
            [
                .int2s([1, -2] as [Int16]), .int4s([Int32.min]), .int8s([Int64.max, 0]), .float8s([0.5]),
                .bools([true, false]), .texts(["", "a,b", "{\"\\}", "NULL"]), .uuids(ids), .utf8s([Array("ü".utf8)]),
            ])
        #expect(try row.int2s(0) == [1, -2])
        #expect(try row.int4s(1) == [.min])
        #expect(try row.int8s(2) == [.max, 0])
        #expect(try row.string(3) == "{0.5}")
        #expect(try row.bools(4) == [true, false])
        #expect(try row.strings(5) == ["", "a,b", "{\"\\}", "NULL"])
        #expect(try row.uuids(6) == ids)
        #expect(try row.strings(7) == ["ü"])
    }

    @Test func arraysWithNullElementsComeBackUnchanged() async throws {
        let connection = try await connect()
        let row = try await connection.row(
            "SELECT $1, $1::text, $2::text, $3, $4",
            [.int2s([1, nil]), .int8s([nil, 2]), .texts([nil, "x"]), .utf8s([nil, [65]])])
        #expect(try row.string(1) == "{1,NULL}")
        #expect(try row.string(2) == "{NULL,2}")
        #expect(try row.optionalStrings(3) == [nil, "x"])
        #expect(try row.optionalStrings(4) == [nil, "A"])
        #expect(throws: PostgresError.self) { try row.int2s(0) }
    }

    @Test func emptyArraysStayEmpty() async throws {
        let connection = try await connect()
        let row = try await connection.row(
            "SELECT $1, $2, $3, cardinality($1), '{}'::uuid[]",
            [.int8s([] as [Int64]), .texts([] as [String?]), .uuids([] as [UUIDBytes])])
        #expect(try row.int8s(0).isEmpty)
        #expect(try row.optionalStrings(1).isEmpty)
        #expect(try row.uuids(2).isEmpty)
        #expect(try row.int(3) == 0)
        #expect(try row.uuids(4).isEmpty)
    }

    @Test func serverReadsArraysAsMeant() async throws {
        let connection = try await connect()
        let row = try await connection.row(
            "SELECT $1::text, $2::text, array_to_json($3)::text, $4::jsonb[]::text",
            [
                .int8s([1, nil, 3]), .bools([true, false]), .texts(["q\"", nil, ""]),
                .utf8s([Array("{\"a\":1}".utf8), nil]),
            ])
        #expect(try row.string(0) == "{1,NULL,3}")
        #expect(try row.string(1) == "{t,f}")
        #expect(try row.string(2) == "[\"q\\\"\",null,\"\"]")
        #expect(try row.string(3) == "{\"{\\\"a\\\": 1}\",NULL}")
    }

    @Test func unnestedArraysMakeRows() async throws {
        let connection = try await connect()
        let count = 1000
        let ids = (0..<count).map { UUIDBytes(high: UInt64($0), low: ~UInt64($0)) }
        let rows = try await connection.run(
            "SELECT * FROM unnest($1::uuid[], $2::int8[], $3::text[]) WITH ORDINALITY AS u (id, n, t, o) ORDER BY o",
            [.uuids(ids), .int8s((0..<count).map { Int64($0) }), .texts((0..<count).map { "t\($0)" })])
        #expect(rows.count == count)
        #expect(rows.affected == count)
        #expect(rows.columns == ["id", "n", "t", "o"])
        #expect(rows.column(named: "t") == 2)
        #expect(try rows.map { try $0.uuid(0) } == ids)
        #expect(try rows[count - 1].string(2) == "t999")
    }

    @Test func textIsReadAsTheTypeWanted() async throws {
        let connection = try await connect()
        try await connection.script(
            """
            CREATE TYPE pg_temp.mood AS ENUM ('sad', 'glad');
            CREATE TEMP TABLE wanted (j jsonb, n numeric, m pg_temp.mood, v varchar(5), d date, k json, i inet)
            """, name: "setup")
        let rows = try await connection.run(
            "INSERT INTO wanted VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING *, n::text, d::text",
            [
                .utf8(Array("{\"b\": [1, 2]}".utf8)), .text("12.50"), .text("glad"), .text("abc"), .text("2024-02-29"),
                .text("{\"a\" : 1}"), .text("127.0.0.1"),
            ])
        let row = try rows.one()
        #expect(try row.string(0) == "{\"b\": [1, 2]}")
        #expect(try row.bytes(0) == Array("{\"b\": [1, 2]}".utf8))
        #expect(try row.string(2) == "glad")
        #expect(try row.string(3) == "abc")
        #expect(try row.string(5) == "{\"a\" : 1}")
        #expect(try row.string(7) == "12.50")
        #expect(try row.string(8) == "2024-02-29")
        #expect(rows.command == "INSERT 0 1")
    }

    @Test func textOfEveryUnicodePlaneComesBackUnchanged() async throws {
        let connection = try await connect()
        for plane in UInt32(0)...16 {
            let scalars = stride(from: UInt32(1), to: 0x10000, by: 37).compactMap { Unicode.Scalar(plane << 16 | $0) }
            let text = String(String.UnicodeScalarView(scalars))
            let row = try await connection.row(
                "SELECT $1::text, length($1::text), $2::text[]", [.text(text), .texts([text])])
            #expect(try row.string(0).unicodeScalars.elementsEqual(scalars), "plane \(plane)")
            #expect(try row.int(1) == scalars.count)
            #expect(try row.strings(2)[0].unicodeScalars.elementsEqual(scalars))
        }
    }

    @Test func infinityHasItsPlace() async throws {
        let connection = try await connect()
        let row = try await connection.row(
            """
            SELECT 'infinity'::timestamptz, '-infinity'::timestamptz, '2000-01-02'::timestamp, 1.5::real
            """)
        #expect(try row.timestamp(0) == .max)
        #expect(try row.timestamp(1) == .min)
        #expect(try row.timestamp(2) == 86_400_000_000)
        #expect(try row.double(3) == 1.5)
    }

    @Test func tenMegabytesGoBothWays() async throws {
        let connection = try await connect()
        let text = String(repeating: "0123456789abcdeü", count: 10 << 16)
        let bytes = [UInt8](repeating: 0xa5, count: 10 << 20)
        let row = try await connection.row("SELECT $1::text, $2::bytea", [.text(text), .bytea(bytes)])
        #expect(try row.string(0) == text)
        #expect(try isEqual(row.bytes(1), bytes))
    }

    @Test func manyBigStepsInOnePipelineDoNotBlockEachOther() async throws {
        // Each result is larger than all socket buffers, and so is each parameter: whoever stops reading stops both.
        let connection = try await connect()
        let echo = Statement(name: "Echo", sql: "SELECT $1::bytea")
        let steps = (0..<12).map { Step(echo, [.bytea([UInt8](repeating: UInt8($0), count: 4 << 20))]) }
        let results = try await connection.pipeline(steps)
        #expect(results.count == 12)
        for (index, rows) in results.enumerated() {
            #expect(try isEqual(rows.one().bytes(0), [UInt8](repeating: UInt8(index), count: 4 << 20)))
        }
    }
}

/// Compared by the C library: a loop of an unoptimised test takes seconds for megabytes, in which no other test goes on.
private func isEqual(_ bytes: [UInt8], _ other: [UInt8]) -> Bool {
    bytes.count == other.count && memcmp(bytes, other, other.count) == 0
}
