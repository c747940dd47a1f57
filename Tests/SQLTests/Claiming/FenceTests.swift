// A worker that lost its claim tells what happened, and changes nothing.

import Outbox
import OutboxStore
import Postgres
import Testing

@Suite struct FenceTests {
    /// A worker whose only claim was taken over by another.
    private struct Loser {
        let worker: Int64
        let claim: Claim
        let winner: Int64

        init(_ db: TestDatabase) async throws {
            worker = try await db.worker("loser")
            claim = try #require(try await db.claim(worker))
            try await db.expire(worker)
            winner = try await db.worker("winner")
            let suspect = SuspectedWorker(id: worker, epoch: 1)
            let rescues = try await RescueStore.takeOver(worker: winner, dead: suspect, most: 9, on: db.connection)
            #expect(rescues.map(\.claim.id) == [claim.id])
        }
    }

    @Test func failureOfALostClaimIsAFactWithoutConsequences() async throws {
        try await withRollback { db in
            let ids = try await db.emit(2)
            let loser = try await Loser(db)
            var settlement = Settlement()
            settlement.fail(ids[0], 1, next: .retry(afterMilliseconds: 1000), claim: loser.claim.id)
            settlement.fail(ids[1], 1, next: .dead, claim: loser.claim.id)
            try await db.settle(settlement, loser.worker)
            let attempts = "SELECT outcome, failure, error_message, next_retry_at FROM postrider.webhook_attempts"
            let fact = "3|server_error|told by a worker that had lost its claim|∅"
            #expect(try await db.lines(attempts) == [fact, fact])
            #expect(try await db.count("postrider.webhook_retries") == 0)
            #expect(try await db.count("postrider.webhook_dead_letters") == 0)
        }
    }

    /// One that was paused past its lease looks at the queue before it hears of its death.
    @Test func deadWorkerClaimsNothing() async throws {
        try await withRollback { db in
            let ids = try await db.emit(1)
            let loser = try await Loser(db)
            let waiting = try await db.emit(1)
            try await db.run(
                """
                INSERT INTO postrider.webhook_retries (event_id, due_at, destination_id, attempt_number)
                VALUES ('\(ids[0])', now() - interval '1 second', 1, 2)
                """)
            #expect(try await db.claim(loser.worker) == nil)
            #expect(try await db.claimRetries(loser.worker, [(id: 1, most: 9)]) == nil)
            #expect(try await db.claim(loser.winner)?.ids == waiting)
            #expect(try await db.claimRetries(loser.winner, [(id: 1, most: 9)])?.ids == ids)
        }
    }

    @Test func snoozeAndFinishOfALostClaimDoNothing() async throws {
        try await withRollback { db in
            let ids = try await db.emit(1)
            let loser = try await Loser(db)
            var settlement = Settlement()
            settlement.snooze(
                event: ids[0], target: .init(destination: 1, attempt: 1), next: .park, claim: loser.claim.id)
            settlement.finish(claim: loser.claim.id)
            #expect(try await db.settle(settlement, loser.worker) == [])
            #expect(try await db.count("postrider.webhook_retries") == 0)
            #expect(
                try await db.lines("SELECT worker_id, rescues FROM postrider.webhook_claims") == ["\(loser.winner)|1"])
        }
    }

    /// The receiver did get the request, so the fact counts for whoever holds the claim now.
    @Test func deliveryOfALostClaimIsRecordedAsDelivered() async throws {
        try await withRollback { db in
            let ids = try await db.emit(1)
            let loser = try await Loser(db)
            var settlement = Settlement()
            settlement.deliver(ids[0], 1, body: "hello Ann")
            try await db.settle(settlement, loser.worker)
            // Nobody knows what has been erased since: the answer itself is not kept.
            #expect(
                try await db.lines("SELECT outcome, worker_id, response_body FROM postrider.webhook_attempts")
                    == ["0|\(loser.worker)|∅"])
        }
    }

    @Test func claimsThatAreStillHeldTakeEffectBesideOneThatIsLost() async throws {
        try await withRollback { db in
            let ids = try await db.emit(2)
            let (worker, other) = (try await db.worker(), try await db.worker())
            let lost = try #require(try await db.claim(worker, 1))
            let kept = try #require(try await db.claim(worker, 1))
            try await db.run("UPDATE postrider.webhook_claims SET worker_id = \(other) WHERE id = \(lost.id)")
            var settlement = Settlement()
            settlement.fail(ids[0], 1, next: .dead, claim: lost.id)
            settlement.fail(ids[1], 1, next: .dead, claim: kept.id)
            settlement.finish(claim: lost.id)
            settlement.finish(claim: kept.id)
            #expect(try await db.settle(settlement, worker) == [kept.id])
            let outcomes = "SELECT outcome FROM postrider.webhook_attempts ORDER BY event_id"
            #expect(try await db.lines(outcomes) == ["3", "2"])
            #expect(try await db.lines("SELECT event_id FROM postrider.webhook_dead_letters") == ["\(ids[1])"])
            #expect(try await db.lines("SELECT id FROM postrider.webhook_claims") == ["\(lost.id)"])
        }
    }

    /// The takeover waits for a settlement that is being written, and then finds the claim gone or the state changed.
    @Test func takeoverDoesNotPassASettlementThatIsBeingWritten() async throws {
        try await withDatabase { db in
            let ids = try await db.emit(1)
            let worker = try await db.worker()
            let claim = try #require(try await db.claim(worker))
            let writer = try await db.connect()
            try await writer.run("BEGIN")
            var settlement = Settlement()
            settlement.fail(ids[0], 1, next: .dead, claim: claim.id)
            settlement.finish(claim: claim.id)
            _ = try await writer.pipeline(settlement.steps(worker: worker, number: 1, now: 0))
            try await db.expire(worker)
            let rescuer = try await db.worker()
            // The row is locked, so the takeover passes over it; the sweep looks again later.
            let suspect = SuspectedWorker(id: worker, epoch: 1)
            #expect(try await RescueStore.takeOver(worker: rescuer, dead: suspect, most: 9, on: db.connection).isEmpty)
            try await writer.run("COMMIT")
            #expect(try await RescueStore.sweep(worker: rescuer, most: 9, on: db.connection).isEmpty)
            #expect(try await db.count("postrider.webhook_dead_letters") == 1)
            #expect(try await db.count("postrider.webhook_claims") == 0)
        }
    }
}
