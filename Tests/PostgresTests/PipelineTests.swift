// Several statements in one round trip, and statements prepared once.

import Postgres
import Testing

@Suite(.fewAtOnce) struct PipelineTests {
    @Test func errorInSecondStepUndoesTheFirst() async throws {
        let connection = try await connect()
        try await connection.script("CREATE TEMP TABLE t (n int PRIMARY KEY)", name: "setup")
        let insert = Statement(name: "NumberInsert", sql: "INSERT INTO t VALUES ($1)")
        let broken = Statement(name: "NumberBreak", sql: "SELECT 1 / $1::int")
        let error = await failure {
            try await connection.pipeline([
                Step(insert, [.int4(1)]), Step(broken, [.int4(0)]), Step(insert, [.int4(2)]),
            ])
        }
        #expect(error?.code == .server)
        #expect(error?.sqlState == "22012")
        #expect(error?.queryName == "NumberBreak")
        #expect(connection.isOpen)
        #expect(try await connection.row("SELECT count(*) FROM t").int(0) == 0)
        let results = try await connection.pipeline([Step(insert, [.int4(1)]), Step(broken, [.int4(1)])])
        #expect(results.map(\.affected) == [1, 1])
        #expect(try await connection.row("SELECT count(*) FROM t").int(0) == 1)
    }

    @Test func deferredConstraintFailsTheWholePipeline() async throws {
        let connection = try await connect()
        try await connection.script(
            "CREATE TEMP TABLE t (n int UNIQUE DEFERRABLE INITIALLY DEFERRED)", name: "setup")
        let insert = Statement(name: "NumberInsert", sql: "INSERT INTO t VALUES ($1)")
        let error = await failure {
            try await connection.pipeline([Step(insert, [.int4(1)]), Step(insert, [.int4(1)])])
        }
        #expect(error?.sqlState == "23505")
        #expect(error?.constraint == "t_n_key")
        #expect(error?.queryName == "NumberInsert")
        #expect(try await connection.row("SELECT count(*) FROM t").int(0) == 0)
    }

    @Test func emptyPipelineDoesNothing() async throws {
        let connection = try await connect()
        #expect(try await connection.pipeline([]).isEmpty)
    }

    @Test func stepsWithoutSQLOrRowsHaveResults() async throws {
        let connection = try await connect()
        let results = try await connection.pipeline([
            Step(Statement(name: "Empty", sql: "")), Step(Statement(name: "None", sql: "SELECT WHERE false")),
            Step(Statement(name: "One", sql: "SELECT 1", prepare: false)),
        ])
        #expect(results.map(\.count) == [0, 0, 1])
    }

    @Test func statementIsPreparedOncePerConnection() async throws {
        let connection = try await connect()
        let statement = Statement(name: "Once", sql: "SELECT $1::int + 1")
        for number in 1...5 {
            #expect(try await connection.query(statement, [.int4(Int32(number))]).one().int(0) == number + 1)
        }
        _ = try await connection.pipeline([Step(statement, [.int4(1)]), Step(statement, [.null])])
        let rows = try await connection.run(
            "SELECT name, generic_plans + custom_plans FROM pg_prepared_statements WHERE statement = $1",
            [.text(statement.sql)])
        #expect(rows.count == 1)
        #expect(try rows[0].string(0).hasPrefix("Once_"))
        #expect(try rows[0].int(1) == 7)
    }

    @Test func statementIsPreparedAnewForOtherTypes() async throws {
        let connection = try await connect()
        let statement = Statement(name: "Typed", sql: "SELECT pg_typeof(coalesce($1, $1))::text")
        var types: [String] = []
        for value in [Value.int4(1), .int8(1), .text("x"), .int4(2)] {
            types.append(try await connection.query(statement, [value]).one().string(0))
        }
        #expect(types == ["integer", "bigint", "text", "integer"])
        let count = try await connection.row("SELECT count(*) FROM pg_prepared_statements WHERE name LIKE 'Typed%'")
        #expect(try count.int(0) == 3)
    }

    @Test func nothingIsPreparedWhenSwitchedOff() async throws {
        let connection = try await connect { $0.prepares = false }
        _ = try await connection.query(Statement(name: "Never", sql: "SELECT 1"))
        let other = try await connect()
        _ = try await other.query(Statement(name: "Never", sql: "SELECT 1", prepare: false))
        for each in [connection, other] {
            #expect(try await each.row("SELECT count(*) FROM pg_prepared_statements").int(0) == 0)
        }
    }

    @Test func failedPreparationCanBeRepeated() async throws {
        let connection = try await connect()
        let statement = Statement(name: "Late", sql: "SELECT n FROM pg_temp.late")
        let good = Statement(name: "Good", sql: "SELECT 1")
        for _ in 1...2 {
            let error = await failure { try await connection.pipeline([Step(statement), Step(good)]) }
            #expect(error?.sqlState == "42P01")
            #expect(error?.queryName == "Late")
        }
        try await connection.script("CREATE TEMP TABLE late AS SELECT 5 AS n", name: "setup")
        #expect(try await connection.query(statement).one().int(0) == 5)
        #expect(try await connection.query(good).one().int(0) == 1)
    }

    @Test func statementsTheServerForgotArePreparedAnew() async throws {
        let connection = try await connect()
        let statement = Statement(name: "Forgotten", sql: "SELECT 1")
        _ = try await connection.query(statement)
        try await connection.script("DEALLOCATE ALL", name: "reset")
        let error = await failure { try await connection.query(statement) }
        #expect(error?.isStalePreparedStatement == true)
        #expect(error?.isRetryable == true)
        #expect(try await connection.query(statement).one().int(0) == 1)
    }

    @Test func changedResultShapeIsPreparedAnew() async throws {
        let connection = try await connect()
        try await connection.script("CREATE TEMP TABLE shape AS SELECT 1 AS a", name: "setup")
        let statement = Statement(name: "Shape", sql: "SELECT * FROM shape")
        _ = try await connection.query(statement)
        try await connection.script("ALTER TABLE shape ADD b int DEFAULT 2", name: "migrate")
        let error = await failure { try await connection.query(statement) }
        #expect(error?.sqlState == "0A000")
        #expect(error?.isRetryable == true)
        #expect(try await connection.query(statement).one().int(1) == 2)
    }

    @Test func manyTasksShareOneConnectionInOrder() async throws {
        let connection = try await connect()
        let statement = Statement(name: "Echo", sql: "SELECT $1::int8")
        let sum = try await withThrowingTaskGroup(of: Int.self) { group in
            for number in 0..<500 {
                group.addTask { try await connection.query(statement, [.int(number)]).one().int(0) - number }
            }
            return try await group.reduce(0) { $0 + abs($1) }
        }
        #expect(sum == 0)
    }

    @Test func copyIsRefusedByClosing() async throws {
        for sql in ["COPY (SELECT 1) TO STDOUT", "CREATE TEMP TABLE c (n int); COPY c FROM STDIN"] {
            let connection = try await connect()
            let error = await failure { try await connection.script(sql, name: "copy") }
            #expect(error?.message == "COPY is not supported here")
            #expect(!connection.isOpen)
        }
    }
}
