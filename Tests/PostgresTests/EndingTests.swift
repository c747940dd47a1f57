// Connections that end from the other side.

import Postgres
import Testing

@Suite(.fewAtOnce) struct EndingTests {
    @Test func terminatedWhileIdleIsNoticedAtOnce() async throws {
        let connection = try await connect()
        let killer = try await connect()
        let stream = connection.notifications()
        try await killer.run("SELECT pg_terminate_backend($1)", [.int4(connection.processID)])
        let count = try await within(.seconds(20)) {
            var count = 0
            for await _ in stream { count += 1 }
            return count
        }
        #expect(count == 0)
        #expect(!connection.isOpen)
        let error = await failure { try await connection.run("SELECT 1", name: "After") }
        #expect(error?.code == .connectionLost)
        #expect(error?.sqlState == "57P01")
        #expect(error?.queryName == "After")
        try await within(.seconds(20)) {
            for await _ in connection.notifications() { Issue.record("a stream of a dead connection is empty") }
        }
    }

    @Test func terminatedWhileRunningFailsTheQueryAndThoseBehind() async throws {
        let connection = try await connect()
        let killer = try await connect()
        let running = Task {
            try await connection.pipeline([
                Step(Statement(name: "First", sql: "SELECT 1")),
                Step(Statement(name: "Doomed", sql: "SELECT pg_sleep(60)")),
                Step(Statement(name: "Last", sql: "SELECT 1")),
            ])
        }
        try await killer.waitUntilRunning("pg_sleep", in: connection.processID)
        let waiting = Task { try await connection.run("SELECT 1", name: "Behind") }
        try await killer.run("SELECT pg_terminate_backend($1)", [.int4(connection.processID)])
        let error = await failure { try await within(.seconds(20)) { try await running.value } }
        #expect(error?.code == .connectionLost)
        #expect(error?.sqlState == "57P01")
        #expect(error?.isRetryable == true)
        #expect(error?.isConnectionFailure == true)
        let behind = await failure { try await within(.seconds(20)) { try await waiting.value } }
        #expect(behind?.code == .connectionLost)
        #expect(!connection.isOpen)
    }

    @Test func terminatedInTheMiddleOfABigResultFails() async throws {
        let connection = try await connect()
        let killer = try await connect()
        let running = Task {
            try await connection.run("SELECT repeat('x', 1000000), pg_sleep(0.02) FROM generate_series(1, 1000)")
        }
        try await killer.waitUntilRunning("pg_sleep", in: connection.processID)
        try await killer.run("SELECT pg_terminate_backend($1)", [.int4(connection.processID)])
        let error = await failure { try await within(.seconds(20)) { try await running.value } }
        #expect(error?.code == .connectionLost)
    }

    @Test func terminatedScriptFailsAsLost() async throws {
        let connection = try await connect()
        let error = await failure {
            try await within(.seconds(20)) {
                try await connection.script(
                    "SELECT 1; SELECT pg_terminate_backend(pg_backend_pid()); SELECT 2", name: "own end")
            }
        }
        #expect(error?.code == .connectionLost)
        #expect(error?.queryName == "own end")
        #expect(!connection.isOpen)
    }
}
