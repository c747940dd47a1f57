// Deadlines, cancellation, and servers that stop answering.

import Glibc
import Postgres
import TestSupport
import Testing

@Suite(.fewAtOnce) struct InterruptionTests {
    private let sleep = Statement(name: "Sleep", sql: "SELECT pg_sleep(60)")

    @Test func lateQueryIsStoppedAndTheConnectionGoesOn() async throws {
        let connection = try await connect { $0.queryTimeout = .milliseconds(200) }
        let error = await failure { try await within(.seconds(20)) { try await connection.query(sleep) } }
        #expect(error?.code == .timedOut)
        #expect(error?.queryName == "Sleep")
        #expect(error?.isRetryable == true)
        #expect(connection.isOpen)
        #expect(try await connection.run("SELECT 1", timeout: .seconds(20)).one().int(0) == 1)
    }

    @Test func timeoutOfOneQueryBeatsThatOfTheConnection() async throws {
        let connection = try await connect { $0.queryTimeout = nil }
        let error = await failure { try await connection.query(sleep, timeout: .milliseconds(50)) }
        #expect(error?.code == .timedOut)
        let patient = try await connect { $0.queryTimeout = .milliseconds(1) }
        #expect(try await patient.run("SELECT pg_sleep(0.05)", timeout: .seconds(20)).count == 1)
    }

    @Test func cancelledTaskStopsItsQuery() async throws {
        let connection = try await connect()
        let watcher = try await connect()
        let task = Task { try await connection.query(sleep) }
        try await watcher.waitUntilRunning("pg_sleep", in: connection.processID)
        task.cancel()
        let error = await failure { try await within(.seconds(20)) { try await task.value } }
        #expect(error?.code == .cancelled)
        #expect(connection.isOpen)
        #expect(try await connection.row("SELECT 1").int(0) == 1)
    }

    @Test func taskCancelledBeforehandSendsNothing() async throws {
        let connection = try await connect()
        let task = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            return try await connection.query(sleep)
        }
        let error = await failure { try await within(.seconds(20)) { try await task.value } }
        #expect(error?.code == .cancelled)
        #expect(connection.isIdle)
    }

    @Test func cancellingStopsTheRunningQueryOfAnyTask() async throws {
        let connection = try await connect()
        let watcher = try await connect()
        let task = Task { try await connection.query(sleep) }
        try await watcher.waitUntilRunning("pg_sleep", in: connection.processID)
        try await within(.seconds(20)) { await connection.cancel() }
        let error = await failure { try await task.value }
        #expect(error?.code == .cancelled)
        await connection.cancel()
        #expect(try await connection.row("SELECT 1").int(0) == 1)
    }

    @Test func waitingQueriesHaveDeadlinesAndCanBeCancelled() async throws {
        let connection = try await connect()
        let watcher = try await connect()
        let running = Task { try await connection.query(sleep) }
        try await watcher.waitUntilRunning("pg_sleep", in: connection.processID)
        let late = await failure { try await connection.run("SELECT 1", timeout: .milliseconds(50)) }
        #expect(late?.code == .timedOut)
        let impatient = Task { try await connection.run("SELECT 1") }
        impatient.cancel()
        let cancelled = await failure { try await within(.seconds(20)) { try await impatient.value } }
        #expect(cancelled?.code == .cancelled)
        let patient = Task { try await connection.run("SELECT 7").one().int(0) }
        await connection.cancel()
        #expect(try await patient.value == 7)
        let stopped = await failure { try await running.value }
        #expect(stopped?.code == .cancelled)
    }

    @Test func cancellationNeverHitsTheNextQuery() async throws {
        let connection = try await connect()
        let short = Statement(name: "Short", sql: "SELECT pg_sleep(0.001)")
        var cancelled = 0
        for _ in 0..<60 {
            let task = Task { try await connection.query(short) }
            await Task.yield()
            task.cancel()
            let next = try await connection.row("SELECT 1 FROM generate_series(1, 1000) LIMIT 1")
            #expect(try next.int(0) == 1)
            if case .failure(let error) = await task.result {
                #expect((error as? PostgresError)?.code == .cancelled)
                cancelled += 1
            }
        }
        #expect(cancelled > 0, "the fault was injected")
        #expect(connection.isOpen)
    }

    @Test func stoppedServerProcessIsGivenUpAfterTheGracePeriod() async throws {
        let connection = try await connect()
        let process = connection.processID
        // A server elsewhere, or of another user, cannot be stopped from here.
        guard commandLine(of: process).hasPrefix("postgres") else {
            return print("not tested: the server process is not on this machine")
        }
        try #require(kill(process, SIGSTOP) == 0, "the fault is injected")
        defer { kill(process, SIGCONT) }
        let running = Task { try await connection.query(sleep, timeout: .milliseconds(200)) }
        try await eventually("the query to begin") { !connection.isIdle }
        let behind = await failure { try await within(.seconds(20)) { try await connection.run("SELECT 1") } }
        #expect(behind?.code == .connectionLost)
        let error = await failure { try await within(.seconds(20)) { try await running.value } }
        #expect(error?.code == .timedOut)
        #expect(!connection.isOpen)
        let after = await failure { try await connection.run("SELECT 1") }
        #expect(after?.code == .connectionLost)
        #expect(after?.isConnectionFailure == true)
    }

    @Test func closingFailsRunningAndWaitingQueries() async throws {
        let connection = try await connect()
        let watcher = try await connect()
        let process = connection.processID
        let running = Task { try await connection.query(sleep) }
        try await watcher.waitUntilRunning("pg_sleep", in: process)
        let waiting = Task { try await connection.run("SELECT 1", name: "Behind") }
        await connection.close()
        for task in [running, waiting] {
            #expect(await failure { try await within(.seconds(20)) { try await task.value } }?.code == .closed)
        }
        // The server process was told, too: it would otherwise sleep on.
        try await watcher.waitUntilGone(process)
    }

    /// How a process of this machine was started; empty when there is none of that number.
    private func commandLine(of process: Int32) -> String {
        let file = open("/proc/\(process)/cmdline", O_RDONLY)
        guard file >= 0 else { return "" }
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: 64)
        let count = read(file, &bytes, bytes.count)
        return String(decoding: bytes.prefix(max(0, count)), as: UTF8.self)
    }
}
