// The status of an event, worked out from where it stands on its road.

import Outbox
import OutboxStore
import Postgres
import Testing

@Suite struct EventStatusTests {
    private func status(_ db: TestDatabase, _ id: EventID) async throws -> String {
        try await db.line("SELECT status, retry_count, error_message FROM postrider.webhook_events WHERE id = '\(id)'")
    }

    @Test func waitingEventIsPending() async throws {
        try await withRollback { db in
            for priority in 0...2 {
                let id = try await db.emit(priority: priority)[0]
                #expect(try await status(db, id) == "pending|0|∅")
            }
        }
    }

    @Test func everyEventOfAChunkIsPending() async throws {
        try await withRollback { db in
            try await db.emitAtOnce(150)
            #expect(try await db.lines("SELECT status, count(*) FROM postrider.webhook_events GROUP BY 1") == ["pending|150"])
        }
    }

    /// Statements of two sessions that run side by side have ids in between each other's.
    @Test func interleavedChunksArePending() async throws {
        try await withRollback { db in
            let ids = try await db.emitAtOnce(120)
            try await db.run("TRUNCATE postrider.webhook_queue")
            for part in 0..<3 {
                let mine = ids.enumerated().filter { $0.offset % 3 == part }.map { "'\($0.element)'" }
                try await db.run(
                    """
                    INSERT INTO postrider.webhook_queue (id, more)
                    VALUES (\(mine[0]), ARRAY[\(mine.dropFirst().joined(separator: ","))]::uuid[])
                    """)
            }
            #expect(try await db.lines("SELECT status, count(*) FROM postrider.webhook_events GROUP BY 1") == ["pending|120"])
        }
    }

    @Test func claimedEventIsProcessingUntilItsClaimEnds() async throws {
        try await withRollback { db in
            let ids = try await db.emitAtOnce(3)
            let worker = try await db.worker()
            let claim = try #require(try await db.claim(worker))
            for id in ids { #expect(try await status(db, id) == "processing|0|∅") }
            var settlement = Settlement()
            settlement.deliver(ids[0], 1)
            try await db.settle(settlement, worker)
            #expect(try await status(db, ids[0]) == "processing|0|∅")
            var end = Settlement()
            end.finish(claim: claim.id)
            try await db.settle(end, worker)
            // The others had no subscriber: they need no attempt to be completed.
            for id in ids { #expect(try await status(db, id) == "completed|0|∅") }
        }
    }

    @Test func eventThatWillBeTriedAgainIsProcessing() async throws {
        try await withRollback { db in
            let id = try await db.emit()[0]
            let worker = try await db.worker()
            let first = try #require(try await db.claim(worker))
            var failure = Settlement()
            failure.deliver(id, 2)
            failure.fail(id, 1, next: .retry(afterMilliseconds: 0), claim: first.id)
            failure.finish(claim: first.id)
            try await db.settle(failure, worker)
            #expect(try await status(db, id) == "processing|0|the receiver answered server_error")
            let second = try #require(try await db.claimRetries(worker, [(id: 1, most: 1)]))
            #expect(try await status(db, id).hasPrefix("processing|0|"))
            var again = Settlement()
            again.fail(
                id, 1, number: 2, next: .retry(afterMilliseconds: 0), claim: second.id, failure: "timeout", status: nil)
            again.finish(claim: second.id)
            try await db.settle(again, worker)
            #expect(try await status(db, id) == "processing|1|the receiver answered timeout")
            let third = try #require(try await db.claimRetries(worker, [(id: 1, most: 1)]))
            var success = Settlement()
            success.deliver(id, 1, number: 3)
            success.finish(claim: third.id)
            try await db.settle(success, worker)
            // The latest error is told also after a later attempt delivered.
            #expect(try await status(db, id) == "completed|2|the receiver answered timeout")
        }
    }

    @Test func eventWithADeadLetterIsFailedWhateverElseHappened() async throws {
        try await withRollback { db in
            let id = try await db.emit()[0]
            let worker = try await db.worker()
            let claim = try #require(try await db.claim(worker))
            var settlement = Settlement()
            settlement.deliver(id, 1)
            settlement.fail(id, 2, next: .retry(afterMilliseconds: 60_000), claim: claim.id)
            settlement.fail(id, 3, next: .dead, claim: claim.id, failure: "certificate", status: nil)
            settlement.finish(claim: claim.id)
            try await db.settle(settlement, worker)
            #expect(try await status(db, id).hasPrefix("failed|0|"))
        }
    }

    @Test func parkedEventIsProcessing() async throws {
        try await withRollback { db in
            let id = try await db.emit()[0]
            let worker = try await db.worker()
            let claim = try #require(try await db.claim(worker))
            var settlement = Settlement()
            settlement.snooze(event: id, target: .init(destination: 1, attempt: 1), next: .park, claim: claim.id)
            settlement.finish(claim: claim.id)
            try await db.settle(settlement, worker)
            #expect(try await status(db, id) == "processing|0|∅")
        }
    }

    @Test func statusCannotBeWritten() async throws {
        try await withRollback { db in
            let id = try await db.emit()[0]
            for column in ["status = 'completed'", "retry_count = 0", "error_message = ''"] {
                let error = try await db.refusal("UPDATE postrider.webhook_events SET \(column) WHERE id = '\(id)'")
                #expect(error.sqlState == "0A000")
            }
        }
    }

    @Test func lookupOfOneEventReadsNoHistory() async throws {
        try await withRollback { db in
            let id = try await db.emit()[0]
            // One event is read faster than its index; the question is whether the index can serve.
            try await db.run("SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off")
            let plan = try await Plan.of("SELECT * FROM postrider.webhook_events WHERE id = '\(id)'", in: db)
            let logs = plan.all.filter { $0.relation?.hasPrefix("webhook_event_log_") == true }
            #expect(logs.allSatisfy { $0.kind != "Seq Scan" })
            // The outer scan is pruned to one partition; the probes inside are pruned when they run.
            #expect(logs.filter { $0.condition?.contains(id.description) == true }.count == 1)
        }
    }
}
