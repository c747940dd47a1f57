// Connections against a real server: values, pipelines, errors, deadlines, notifications.

import Foundation
import Postgres
import TestSupport
import Testing

@Suite(.fewAtOnce) struct ConnectionTests {
    private func connect(_ change: (inout ConnectionSettings) -> Void = { _ in }) async throws -> Connection {
        var settings = ConnectionSettings(url: try TestCluster.url())
        change(&settings)
        return try await Connection.open(settings)
    }

    private func statement(_ sql: String, prepare: Bool = true) -> Statement {
        Statement(name: "TestStatement", sql: sql, prepare: prepare)
    }

    @Test func everyKindOfValueComesBackAsItWasSent() async throws {
        let connection = try await connect()
        let id = try #require(UUIDBytes("01a1fc61-5643-7ab4-82fb-36796572a704"))
        let row = try await connection.query(
            statement(
                "SELECT $1::boolean, $2::smallint, $3::integer, $4::bigint, $5::float8, $6::text, $7::bytea, $8::uuid, $9::timestamptz, $10::jsonb::text"
            ),
            [
                .bool(true), .int2(-7), .int4(.max), .int8(.min), .float8(0.1), .text("ñ 😀 \u{10FFFF}"),
                .bytea([0, 255, 1]), .uuid(id), .timestamptz(microsecondsSince2000: 814_594_000_123_456),
                .utf8(Array(#"{"a": 1.50}"#.utf8)),
            ])[0]
        #expect(try row.bool(0))
        #expect(try row.int(1) == -7)
        #expect(try row.int(2) == Int(Int32.max))
        #expect(try row.int64(3) == .min)
        #expect(try row.double(4) == 0.1)
        #expect(try row.string(5) == "ñ 😀 \u{10FFFF}")
        #expect(try row.bytes(6) == [0, 255, 1])
        #expect(try row.uuid(7) == id)
        #expect(try row.timestamp(8) == 814_594_000_123_456)
        #expect(try row.string(9) == #"{"a": 1.50}"#)
        await connection.close()
    }

    @Test func arraysKeepNullsAndEmptiness() async throws {
        let connection = try await connect()
        let id = try #require(UUIDBytes("01a1fc61-5643-7ab4-82fb-36796572a704"))
        let row = try await connection.query(
            statement("SELECT $1::smallint[]::text, $2::bigint[], $3::text[], $4::uuid[], $5::smallint[], $6::text[] IS NULL"),
            [
                .int2s([1, nil, -3]), .int8s([Int64]()), .texts(["", nil, "a,\"b\"{}"]), .uuids([id, id]), .int2s([9]),
                .null,
            ])[0]
        #expect(try row.string(0) == "{1,NULL,-3}")
        #expect(try row.int8s(1).isEmpty)
        #expect(try row.optionalStrings(2) == ["", nil, "a,\"b\"{}"])
        #expect(try row.uuids(3) == [id, id])
        #expect(try row.int2s(4) == [9])
        #expect(try row.bool(5))
        await connection.close()
    }

    @Test(arguments: [0, 1, 8191, 1_000_000, 10_000_000])
    func longTextComesBackWhole(length: Int) async throws {
        let connection = try await connect()
        let text = String(repeating: "x", count: length)
        let row = try await connection.query(statement("SELECT $1::text, length($1::text)"), [.text(text)])[0]
        #expect(try row.string(0) == text)
        #expect(try row.int(1) == length)
        await connection.close()
    }

    @Test func pipelineIsOneTransaction() async throws {
        let connection = try await connect()
        _ = try await connection.script("CREATE TEMP TABLE t (n integer PRIMARY KEY)", name: "setup")
        let insert = statement("INSERT INTO t VALUES ($1)")
        let results = try await connection.pipeline([
            Step(insert, [.int4(1)]), Step(insert, [.int4(2)]), Step(statement("SELECT count(*) FROM t")),
        ])
        #expect(try results[2][0].int(0) == 2)
        let error = await #expect(throws: PostgresError.self) {
            try await connection.pipeline([
                Step(insert, [.int4(3)]), Step(insert, [.int4(1)]), Step(insert, [.int4(4)]),
            ])
        }
        #expect(error?.sqlState == "23505")
        #expect(error?.constraint == "t_pkey")
        #expect(try await connection.query(statement("SELECT count(*) FROM t"))[0].int(0) == 2)
        await connection.close()
    }

    @Test func errorNamesTheQueryAndNeverAValue() async throws {
        let connection = try await connect()
        let secret = "whsec_do_not_show_this_value"
        let error = await #expect(throws: PostgresError.self) {
            try await connection.query(statement("SELECT $1::text::integer"), [.text(secret)])
        }
        let text = error.map { "\($0)" } ?? ""
        #expect(error?.sqlState == "22P02")
        #expect(text.contains("TestStatement"))
        #expect(!text.contains(secret))
        #expect(error?.isConnectionFailure == false)
        await connection.close()
    }

    @Test func passwordIsNotInAnyDescription() async throws {
        let settings = ConnectionSettings(url: "postgres://someone:hunter2secret@127.0.0.1:1/none?connect_timeout=1")
        #expect(!"\(settings)".contains("hunter2secret"))
        #expect(!String(reflecting: settings).contains("hunter2secret"))
        let error = await #expect(throws: PostgresError.self) { try await Connection.open(settings) }
        #expect(error?.isConnectionFailure == true)
        #expect(!"\(error.map { "\($0)" } ?? "")".contains("hunter2secret"))
    }

    @Test func serverThatNeverAnswersIsGivenUp() async throws {
        // A socket that accepts and says nothing.
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(listener) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                _ = bind(listener, $0, length)
                _ = listen(listener, 1)
                _ = getsockname(listener, $0, &length)
            }
        }
        var settings = ConnectionSettings(
            url: "postgres://x@127.0.0.1:\(UInt16(bigEndian: address.sin_port))/x?sslmode=disable")
        settings.connectTimeout = .milliseconds(300)
        let impatient = settings
        let start = ContinuousClock.now
        let error = await #expect(throws: PostgresError.self) {
            try await within(.seconds(30)) { try await Connection.open(impatient) }
        }
        #expect(error?.code == .timedOut || error?.isConnectionFailure == true)
        // The operating system alone would wait for minutes.
        #expect(ContinuousClock.now - start < .seconds(30))
    }

    @Test func queryPastItsDeadlineIsCancelledAndTheConnectionGoesOn() async throws {
        let connection = try await connect()
        let error = await #expect(throws: PostgresError.self) {
            try await connection.query(statement("SELECT pg_sleep(30)"), timeout: .milliseconds(200))
        }
        #expect(error?.code == .timedOut)
        #expect(try await connection.query(statement("SELECT 1"))[0].int(0) == 1)
        await connection.close()
    }

    @Test func cancelledTaskCancelsItsQuery() async throws {
        let connection = try await connect()
        let watcher = try await connect()
        let task = Task { try await connection.query(statement("SELECT pg_sleep(30)")) }
        try await watcher.waitUntilRunning("pg_sleep", in: connection.processID)
        task.cancel()
        await #expect(throws: (any Error).self) { try await task.value }
        // The answer to a cancelled query may be there before the server says so of itself.
        try await watcher.waitUntilIdle(connection.processID)
        await connection.close()
        await watcher.close()
    }

    @Test func notificationsArriveWhileTheConnectionIsIdle() async throws {
        let ear = try await connect()
        let mouth = try await connect()
        let channel = "odd \"channel\" ñ"
        let notifications = ear.notifications()
        try await ear.listen(channel)
        _ = try await mouth.query(statement("SELECT pg_notify($1, $2)"), [.text(channel), .text("hello")])
        let notification = try await within(.seconds(20)) { await notifications.first { _ in true } }
        #expect(notification?.channel == channel)
        #expect(notification?.payload == "hello")
        #expect(notification?.processID == mouth.processID)
        await ear.close()
        await mouth.close()
    }

    @Test func endOfTheBackendIsNoticedWhileIdle() async throws {
        let victim = try await connect()
        let killer = try await connect()
        let notifications = victim.notifications()
        _ = try await killer.query(statement("SELECT pg_terminate_backend($1)"), [.int4(victim.processID)])
        try await within(.seconds(20)) { for await _ in notifications {} }
        #expect(!victim.isOpen)
        let error = await #expect(throws: PostgresError.self) { try await victim.query(statement("SELECT 1")) }
        #expect(error?.isConnectionFailure == true)
        await killer.close()
    }

    @Test func queriesOfManyTasksDoNotMix() async throws {
        let connection = try await connect()
        try await withThrowingTaskGroup(of: Bool.self) { group in
            for number in 0..<200 {
                group.addTask {
                    try await connection.query(statement("SELECT $1::integer"), [.int4(Int32(number))])[0].int(0)
                        == number
                }
            }
            for try await isOwn in group { #expect(isOwn) }
        }
        await connection.close()
    }

    @Test func wrongColumnTypeIsAnErrorWithoutTheValue() async throws {
        let connection = try await connect()
        let rows = try await connection.query(
            statement("SELECT 'private words'::text AS words, NULL::integer AS nothing"))
        let error = #expect(throws: PostgresError.self) { try rows[0].int(0) }
        #expect(error?.code == .decoding)
        #expect(!"\(error.map { "\($0)" } ?? "")".contains("private words"))
        #expect(throws: PostgresError.self) { try rows[0].int(1) }
        #expect(try rows[0].intOrNil(1) == nil)
        #expect(throws: PostgresError.self) { try rows[0].int(7) }
        await connection.close()
    }
}

@Suite(.fewAtOnce) struct PoolTests {
    private func pool(_ size: Int) throws -> Pool {
        Pool(ConnectionSettings(url: try TestCluster.url()), maximumSize: size)
    }

    @Test func poolKeepsToItsSizeAndServesEverybody() async throws {
        let pool = try pool(3)
        let backends = try await withThrowingTaskGroup(of: Int.self) { group in
            for _ in 0..<50 {
                group.addTask {
                    try await pool.withConnection { connection in
                        try await connection.query(Statement(name: "Pid", sql: "SELECT pg_backend_pid()"))[0].int(0)
                    }
                }
            }
            return try await group.reduce(into: Set<Int>()) { $0.insert($1) }
        }
        #expect((1...3).contains(backends.count))
        #expect(pool.size <= 3)
        await pool.close()
    }

    @Test func lostConnectionIsReplaced() async throws {
        let pool = try pool(1)
        let kill = Statement(name: "Kill", sql: "SELECT pg_terminate_backend(pg_backend_pid())", prepare: false)
        await #expect(throws: PostgresError.self) { try await pool.withConnection { try await $0.query(kill) } }
        let one = try await pool.withConnection {
            try await $0.query(Statement(name: "One", sql: "SELECT 1"))[0].int(0)
        }
        #expect(one == 1)
        await pool.close()
    }
}
