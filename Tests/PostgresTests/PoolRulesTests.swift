// Sharing a bounded number of connections.

import Postgres
import TestSupport
import Testing

@Suite(.fewAtOnce) struct PoolRulesTests {
    private func pool(size: Int, wait: Duration = .seconds(10)) throws -> Pool {
        Pool(ConnectionSettings(url: try TestCluster.url()), maximumSize: size, waitTimeout: wait)
    }

    @Test func noMoreConnectionsThanAllowed() async throws {
        let pool = try pool(size: 3)
        let seen = Noted<Int>()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<60 {
                group.addTask {
                    let id = try await pool.withConnection { connection in
                        try await connection.row("SELECT pg_backend_pid() FROM pg_sleep(0.002)").int(0)
                    }
                    seen.add(id)
                }
            }
            try await group.waitForAll()
        }
        #expect(Set(seen.all).count <= 3)
        #expect(pool.size <= 3)
        #expect(pool.idle == pool.size)
        #expect(pool.waiting == 0)
        await pool.close()
        #expect(pool.size == 0)
    }

    @Test func connectionIsReused() async throws {
        let pool = try pool(size: 5)
        let first = try await pool.query(Statement(name: "ID", sql: "SELECT pg_backend_pid()")).one().int(0)
        let second = try await pool.query(Statement(name: "ID", sql: "SELECT pg_backend_pid()")).one().int(0)
        #expect(first == second)
        #expect(pool.size == 1)
        await pool.close()
    }

    @Test func waitingEndsAtTheDeadline() async throws {
        let pool = try pool(size: 1, wait: .milliseconds(100))
        let error = try await pool.withConnection { _ in
            await failure { try await within(.seconds(20)) { try await pool.withConnection { $0.isOpen } } }
        }
        #expect(error?.code == .timedOut)
        #expect(pool.waiting == 0)
        #expect(try await pool.withConnection { $0.isOpen })
        await pool.close()
    }

    @Test func waitingCanBeCancelled() async throws {
        let pool = try pool(size: 1)
        let error = try await pool.withConnection { _ in
            let task = Task { try await pool.withConnection { $0.isOpen } }
            task.cancel()
            return await failure { try await within(.seconds(20)) { try await task.value } }
        }
        #expect(error?.code == .cancelled)
        #expect(try await pool.withConnection { $0.isOpen })
        await pool.close()
    }

    @Test func waitersAreServedInOrder() async throws {
        let pool = try pool(size: 1)
        let order = Noted<Int>()
        try await withThrowingTaskGroup(of: Void.self) { group in
            try await pool.withConnection { _ in
                for number in 0..<10 {
                    group.addTask {
                        try await pool.withConnection { _ in order.add(number) }
                    }
                    try await eventually("waiter \(number) to wait") { pool.waiting > number }
                }
            }
            try await group.waitForAll()
        }
        #expect(order.all == Array(0..<10))
        await pool.close()
    }

    @Test func lostConnectionIsReplaced() async throws {
        let pool = try pool(size: 1)
        let killer = try await connect()
        let statement = Statement(name: "ID", sql: "SELECT pg_backend_pid()")
        let error = await failure {
            try await pool.withConnection { connection in
                try await killer.run("SELECT pg_terminate_backend($1)", [.int4(connection.processID)])
                return try await connection.run("SELECT pg_sleep(10)")
            }
        }
        #expect(error?.code == .connectionLost)
        #expect(try await pool.query(statement).count == 1)
        // Lost while nobody uses it.
        let stream = try await pool.withConnection { connection in
            let stream = connection.notifications()
            try await killer.run("SELECT pg_terminate_backend($1)", [.int4(connection.processID)])
            return stream
        }
        try await within(.seconds(20)) { for await _ in stream {} }
        #expect(try await pool.query(statement).count == 1)
        #expect(pool.size == 1)
        await pool.close()
    }

    @Test func connectionLeftInATransactionIsDiscarded() async throws {
        let pool = try pool(size: 1)
        let first = try await pool.withConnection { connection in
            try await connection.script("BEGIN", name: "begin")
            return connection
        }
        #expect(!first.isOpen)
        #expect(try await pool.withConnection { $0.isIdle })
        await pool.close()
    }

    @Test func failureToConnectReachesTheCallerAndFreesThePlace() async throws {
        let socket = try LoopbackSocket(isListening: false)
        let pool = Pool(ConnectionSettings(url: "postgres://u@127.0.0.1:\(socket.port)/d"), maximumSize: 1)
        for _ in 0..<3 {
            let error = await failure { try await within(.seconds(20)) { try await pool.withConnection { $0.isOpen } } }
            #expect(error?.code == .connectionFailed)
        }
        #expect(pool.size == 0)
    }

    @Test func closedPoolRefusesWaitersAndNewcomers() async throws {
        let pool = try pool(size: 1)
        let (waiter, lent) = try await pool.withConnection { connection in
            let waiter = Task { try await pool.withConnection { $0.isOpen } }
            try await eventually("the waiter to wait") { pool.waiting > 0 }
            await pool.close()
            #expect(connection.isOpen)
            return (waiter, connection)
        }
        #expect(await failure { try await within(.seconds(20)) { try await waiter.value } }?.code == .closed)
        #expect(await failure { try await pool.withConnection { $0.isOpen } }?.code == .closed)
        #expect(!lent.isOpen)
        #expect(pool.size == 0)
    }
}
