// How due retries are claimed, and what a worker learns of those that are not due.

import Outbox
import OutboxStore
import Postgres
import TestSupport
import Testing

@Suite struct RetryClaimTests {
    /// Puts a retry down as a worker would have.
    private func retry(
        _ db: TestDatabase, _ event: EventID, _ destination: Int, due: String = "-1 second", attempt: Int = 2
    ) async throws {
        let dueAt = due == "infinity" ? "'infinity'" : "clock_timestamp() + interval '\(due)'"
        try await db.run(
            """
            INSERT INTO postrider.webhook_retries (event_id, due_at, destination_id, attempt_number)
            VALUES ('\(event)', \(dueAt), \(destination), \(attempt))
            """)
    }

    @Test func onlyDueRetriesOfNamedDestinationsAreClaimed() async throws {
        try await withRollback { db in
            let ids = try await db.emit(5)
            try await retry(db, ids[0], 1)
            try await retry(db, ids[1], 1, due: "1 hour")
            try await retry(db, ids[2], 1, due: "infinity")
            try await retry(db, ids[3], 2)
            try await retry(db, ids[4], 3)
            let claim = try await db.claimRetries(db.worker(), [(id: 1, most: 10), (id: 3, most: 10)])
            #expect(claim?.ids.sorted() == [ids[0], ids[4]])
            #expect(try await db.count("postrider.webhook_retries") == 3)
        }
    }

    @Test func eachDestinationHasItsOwnLimitAndTheLongestDueGoFirst() async throws {
        try await withRollback { db in
            let ids = try await db.emit(6)
            for (index, id) in ids.enumerated() { try await retry(db, id, 1, due: "-\(index + 1) minutes") }
            for id in ids { try await retry(db, id, 2, due: "-1 hour") }
            let worker = try await db.worker()
            let claim = try #require(try await db.claimRetries(worker, [(id: 1, most: 2), (id: 2, most: 3)]))
            let firsts = claim.work.filter { $0.target?.destination == 1 }.map(\.event.id)
            #expect(firsts == [ids[5], ids[4]])
            #expect(claim.work.map { $0.target?.destination } == [2, 2, 2, 1, 1])
        }
    }

    @Test func targetsCarryTheNumberOfTheDueAttempt() async throws {
        try await withRollback { db in
            let ids = try await db.emit(2)
            try await retry(db, ids[0], 7, due: "-3 seconds", attempt: 2)
            try await retry(db, ids[0], 8, due: "-2 seconds", attempt: 5)
            try await retry(db, ids[1], 7, due: "-1 second", attempt: 3)
            let worker = try await db.worker()
            let claim = try #require(try await db.claimRetries(worker, [(id: 7, most: 9), (id: 8, most: 9)]))
            #expect(claim.ids == [ids[0], ids[0], ids[1]])
            #expect(
                claim.work.map(\.target) == [
                    .init(destination: 7, attempt: 2), .init(destination: 8, attempt: 5), .init(destination: 7, attempt: 3),
                ])
            #expect(
                try await db.lines("SELECT destination_ids, attempt_numbers FROM postrider.webhook_claims")
                    == ["{7,8,7}|{2,5,3}"])
        }
    }

    @Test func retriesLockedByAnotherAreSkipped() async throws {
        try await withDatabase { db in
            let ids = try await db.emit(2)
            for (index, id) in ids.enumerated() { try await retry(db, id, 1, due: "-\(9 - index) seconds") }
            let (mine, worker) = (try await db.connect(), try await db.worker())
            try await mine.run(
                "BEGIN; SELECT FROM postrider.webhook_retries WHERE event_id = '\(ids[0])' FOR UPDATE")
            #expect(try await db.claimRetries(worker, [(id: 1, most: 10)])?.ids == [ids[1]])
            try await mine.run("COMMIT")
        }
    }

    @Test func claimersInParallelTakeEveryRetryOnce() async throws {
        try await withDatabase { db in
            try await db.emitAtOnce(600)
            try await db.run(
                """
                INSERT INTO postrider.webhook_retries (event_id, due_at, destination_id, attempt_number)
                SELECT id, clock_timestamp() - interval '1 second', d, 2
                FROM postrider.webhook_event_log, generate_series(1, 2) AS d
                """)
            let taken = try await withThrowingTaskGroup(of: [DeliveryKey].self) { group in
                for _ in 0..<6 {
                    let connection = try await db.connect()
                    let worker = try await db.worker()
                    group.addTask {
                        try await withDeadline(.seconds(60), "all retries to be taken") {
                            try await Self.claimAll(on: connection, worker: worker)
                        }
                    }
                }
                return try await group.reduce(into: [DeliveryKey]()) { $0 += $1 }
            }
            #expect(taken.count == 1200)
            #expect(Set(taken).count == 1200)
        }
    }

    private static func claimAll(on connection: Connection, worker: Int64) async throws -> [DeliveryKey] {
        var keys: [DeliveryKey] = []
        while try await connection.lines("SELECT count(*) FROM postrider.webhook_retries") != ["0"] {
            let destinations: [(id: Int32, most: Int32)] = [(id: 1, most: 20), (id: 2, most: 20)]
            guard let claim = try await connection.claimRetries(worker, destinations) else { continue }
            keys += claim.work.map { DeliveryKey(event: $0.event.id, destination: $0.target?.destination ?? 0) }
        }
        return keys
    }

    /// Administrators may write retries, and this is a way to say that one is due.
    @Test func retryThatIsDueForEverIsDue() async throws {
        try await withRollback { db in
            let id = try await db.emit()[0]
            try await retry(db, id, 4)
            try await db.run("UPDATE postrider.webhook_retries SET due_at = '-infinity'")
            let peeked = try ClaimStore.readPeek(try await db.connection.pipeline([ClaimStore.peekRetries()])[0])
            #expect(peeked.map(\.destination) == [4] && peeked.map(\.milliseconds) == [0])
            #expect(try await db.claimRetries(db.worker(), [(id: 4, most: 10)])?.ids == [id])
        }
    }

    @Test func peekTellsEachDestinationsFirstDueTime() async throws {
        try await withRollback { db in
            let ids = try await db.emit(3)
            try await retry(db, ids[0], 4, due: "10 minutes")
            try await retry(db, ids[1], 4, due: "1 hour")
            try await retry(db, ids[0], 9, due: "-1 hour")
            try await retry(db, ids[0], 12, due: "infinity")
            try await retry(db, ids[1], 20, due: "20 minutes")
            try await retry(db, ids[2], 20, due: "infinity")
            let peeked = try ClaimStore.readPeek(try await db.connection.pipeline([ClaimStore.peekRetries()])[0])
            #expect(peeked.map(\.destination) == [4, 9, 20])
            #expect((1...600_000).contains(peeked[0].milliseconds))
            #expect(peeked[1].milliseconds == 0)
            #expect((600_001...1_200_000).contains(peeked[2].milliseconds))
        }
    }
}
