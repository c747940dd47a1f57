// What a settlement writes: attempts, retries, dead letters, snoozes, tallies, and the end of claims.

import Outbox
import OutboxStore
import Postgres
import TestSupport
import Testing

@Suite struct SettlementTests {
    @Test func deliveredAttemptIsWrittenAndChangesNothingElse() async throws {
        try await withRollback { db in
            let ids = try await db.emit(2)
            let worker = try await db.worker()
            let claim = try #require(try await db.claim(worker))
            var settlement = Settlement()
            settlement.deliver(ids[0], 5, body: "bem-vindo ✓")
            settlement.deliver(.done(ids[1], 6, 1, body: nil), status: 204)
            settlement.finish(claim: claim.id)
            #expect(try await db.settle(settlement, worker) == [claim.id])
            let attempts = try await db.lines(
                """
                SELECT event_id, destination_id, worker_id = \(worker), duration_us, attempt_number, outcome, status_code,
                       failure, error_message, response_body, next_retry_at
                FROM postrider.webhook_attempts ORDER BY destination_id
                """)
            #expect(
                attempts == [
                    "\(ids[0])|5|t|1500|1|0|200|∅|∅|bem-vindo ✓|∅", "\(ids[1])|6|t|1500|1|0|204|∅|∅|∅|∅",
                ])
            for table in ["claims", "retries", "dead_letters"] {
                #expect(try await db.count("postrider.webhook_\(table)") == 0)
            }
        }
    }

    @Test func attemptsAreDatedBackByTheTimeTheyWaited() async throws {
        try await withRollback { db in
            let id = try await db.emit()[0]
            let worker = try await db.worker()
            let claim = try #require(try await db.claim(worker))
            var settlement = Settlement()
            settlement.deliver(id, 1)
            settlement.fail(id, 2, next: .dead, claim: claim.id)
            // Two seconds of the worker's clock after both exchanges ended.
            let before = try await db.line("SELECT clock_timestamp() - interval '2 s'")
            try await db.settle(settlement, worker, now: 2_000_000)
            let areDatedBack = try await db.lines(
                """
                SELECT attempted_at BETWEEN '\(before)' AND clock_timestamp() - interval '2 s' FROM postrider.webhook_attempts
                """)
            #expect(areDatedBack == ["t", "t"])
        }
    }

    @Test func failedAttemptSchedulesTheNextByTheDatabasesClock() async throws {
        try await withRollback { db in
            let id = try await db.emit()[0]
            let worker = try await db.worker()
            let claim = try #require(try await db.claim(worker))
            var settlement = Settlement()
            settlement.fail(id, 1, number: 3, next: .retry(afterMilliseconds: 3_600_000), claim: claim.id)
            try await db.settle(settlement, worker)
            #expect(
                try await db.line(
                    """
                    SELECT destination_id, attempt_number, is_replay,
                           due_at - clock_timestamp() BETWEEN interval '55 minutes' AND interval '60 minutes'
                    FROM postrider.webhook_retries
                    """) == "1|4|f|t")
            #expect(
                try await db.line(
                    """
                    SELECT a.outcome, a.status_code, a.failure, a.error_message, a.next_retry_at = r.due_at
                    FROM postrider.webhook_attempts AS a, postrider.webhook_retries AS r
                    """) == "1|500|server_error|the receiver answered server_error|t")
        }
    }

    /// Three attempts may be made: of the three before this one some were none of the receiver's.
    @Test(arguments: [
        (["proxy", "server_error", "cancelled"], true), (["proxy", "server_error", "timeout"], false),
        (["worker", "server_error", "cancelled"], true),
        (["connect", "server_error", "timeout"], false), ([], false),
    ])
    func lastAttemptIsDeadUnlessOthersDidNotCount(before: [String], isRetried: Bool) async throws {
        try await withRollback { db in
            let id = try await db.emit()[0]
            let worker = try await db.worker()
            let claim = try #require(try await db.claim(worker))
            // Beside it attempts to another destination, which say nothing of this one.
            for (index, failure) in (before + ["proxy", "proxy", "proxy"]).enumerated() {
                let (destination, number) = index < before.count ? (1, index + 1) : (2, index - before.count + 1)
                try await db.run(
                    """
                    INSERT INTO postrider.webhook_attempts
                        (event_id, attempted_at, worker_id, destination_id, duration_us, attempt_number, outcome, failure)
                    SELECT '\(id)', clock_timestamp(), \(worker), \(destination), 1, \(number), outcome, failure
                    -- Written twice, as a crash may do it, and once by a worker that had lost the claim.
                    FROM (VALUES (1, '\(failure)'), (1, '\(failure)'), (3, 'proxy')) AS v (outcome, failure)
                    """)
            }
            var settlement = Settlement()
            let next = NextStep.exhausted(budget: 3, graceMilliseconds: 3_600_000)
            settlement.fail(id, 1, number: Int16(max(3, before.count + 1)), next: next, claim: claim.id)
            try await db.settle(settlement, worker)
            #expect(try await db.count("postrider.webhook_dead_letters") == (isRetried ? 0 : 1))
            let due = try await db.lines(
                """
                SELECT attempt_number, due_at - clock_timestamp() BETWEEN interval '50 minutes' AND interval '60 minutes'
                FROM postrider.webhook_retries
                """)
            #expect(due == (isRetried ? ["5|t"] : []))
            let outcome = try await db.line(
                "SELECT outcome FROM postrider.webhook_attempts WHERE failure = 'server_error' ORDER BY attempt_number DESC LIMIT 1")
            #expect(outcome == (isRetried ? "1" : "2"))
        }
    }

    @Test func deadDeliveryBecomesADeadLetter() async throws {
        try await withRollback { db in
            let id = try await db.emit()[0]
            let worker = try await db.worker()
            let claim = try #require(try await db.claim(worker))
            var settlement = Settlement()
            settlement.fail(id, 1, number: 6, next: .dead, claim: claim.id, failure: "connect", status: nil)
            try await db.settle(settlement, worker)
            #expect(
                try await db.line("SELECT outcome, status_code, next_retry_at FROM postrider.webhook_attempts") == "2|∅|∅")
            #expect(
                try await db.line(
                    "SELECT event_id, destination_id, attempts, failure, error_message FROM postrider.webhook_dead_letters")
                    == "\(id)|1|6|connect|the receiver answered connect")
            #expect(try await db.count("postrider.webhook_retries") == 0)
        }
    }

    @Test func secondDeadLetterOfADeliveryReplacesTheFirst() async throws {
        try await withRollback { db in
            let id = try await db.emit()[0]
            let worker = try await db.worker()
            let claim = try #require(try await db.claim(worker))
            var settlement = Settlement()
            settlement.fail(id, 1, number: 6, next: .dead, claim: claim.id)
            settlement.fail(id, 1, number: 7, next: .dead, claim: claim.id, failure: "timeout", status: nil)
            try await db.settle(settlement, worker)
            let letters = "SELECT attempts, failure FROM postrider.webhook_dead_letters"
            #expect(try await db.lines(letters) == ["7|timeout"])
            var later = Settlement()
            later.fail(id, 1, number: 8, next: .dead, claim: claim.id, failure: "dns", status: nil)
            try await db.settle(later, worker)
            #expect(try await db.lines(letters) == ["8|dns"])
        }
    }

    @Test func parkedDeliveryWaitsForItsDestination() async throws {
        try await withRollback { db in
            let id = try await db.emit()[0]
            let destination = try await db.endpoint(settings: "is_active = false")
            let worker = try await db.worker()
            let claim = try #require(try await db.claim(worker))
            var settlement = Settlement()
            settlement.fail(id, destination, next: .park, claim: claim.id, failure: "gone", status: 410)
            try await db.settle(settlement, worker)
            #expect(try await db.line("SELECT due_at, attempt_number FROM postrider.webhook_retries") == "infinity|2")
            #expect(try await db.claimRetries(worker, [(id: destination, most: 1)]) == nil)
            try await db.run("UPDATE postrider.webhook_endpoints SET is_active = true")
            #expect(try await db.claimRetries(worker, [(id: destination, most: 1)])?.ids == [id])
        }
    }

    @Test func snoozedDeliveryKeepsItsAttemptNumberAndMakesNoAttempt() async throws {
        try await withRollback { db in
            let ids = try await db.emit(2)
            let worker = try await db.worker()
            let claim = try #require(try await db.claim(worker))
            var settlement = Settlement()
            settlement.snooze(
                event: ids[0], target: .init(destination: 1, attempt: 1), next: .retry(afterMilliseconds: 5000),
                claim: claim.id)
            settlement.snooze(
                event: ids[1], target: .init(destination: 1, attempt: 4), next: .park, claim: claim.id)
            settlement.finish(claim: claim.id)
            try await db.settle(settlement, worker)
            let retries = "SELECT event_id, attempt_number, due_at = 'infinity' FROM postrider.webhook_retries ORDER BY 2"
            #expect(try await db.lines(retries) == ["\(ids[0])|1|f", "\(ids[1])|4|t"])
            #expect(try await db.count("postrider.webhook_attempts") == 0)
            #expect(try await db.count("postrider.webhook_claims") == 0)
        }
    }

    @Test func retryThatExistsIsNotWrittenTwice() async throws {
        try await withRollback { db in
            let id = try await db.emit()[0]
            let worker = try await db.worker()
            let claim = try #require(try await db.claim(worker))
            var settlement = Settlement()
            settlement.fail(id, 1, next: .retry(afterMilliseconds: 1000), claim: claim.id)
            settlement.fail(id, 1, next: .retry(afterMilliseconds: 9000), claim: claim.id)
            try await db.settle(settlement, worker)
            #expect(try await db.count("postrider.webhook_retries") == 1)
            #expect(try await db.count("postrider.webhook_attempts") == 2)
        }
    }

    @Test func talliesCountEachDestinationAndFoldToTheSameSum() async throws {
        try await withRollback { db in
            let first = try await db.endpoint("first")
            let second = try await db.endpoint("second")
            let ids = try await db.emit(3)
            let worker = try await db.worker()
            let claim = try #require(try await db.claim(worker))
            for attempt: Int16 in 1...3 {
                var settlement = Settlement()
                settlement.deliver(ids[0], first, number: attempt)
                settlement.deliver(ids[1], first, number: attempt)
                settlement.fail(ids[2], first, next: .dead, claim: claim.id)
                settlement.fail(ids[0], second, next: .dead, claim: claim.id)
                try await db.settle(settlement, worker)
            }
            let counts = "SELECT name, success_count, failure_count FROM postrider.webhook_endpoints ORDER BY name"
            #expect(try await db.count("postrider.webhook_tallies") == 6)
            #expect(try await db.lines(counts) == ["first|6|3", "second|0|3"])
            try await WorkerStore.foldTallies(on: db.connection)
            #expect(try await db.count("postrider.webhook_tallies") == 2)
            #expect(try await db.lines(counts) == ["first|6|3", "second|0|3"])
        }
    }

    @Test func emptySettlementHasNoSteps() {
        #expect(Settlement().isEmpty)
        #expect(Settlement().steps(worker: 1, number: 1, now: 0).isEmpty)
    }

    @Test func settlementThatLeavesAClaimOpenWaitsForTheDisk() {
        var settlement = Settlement()
        let attempt = FinishedAttempt(
            event: EventID(high: 1, low: 2), destination: 1, number: 1, duration: 1, endedAt: 0, body: nil)
        settlement.deliver(attempt, status: 200)
        settlement.touch(claim: 7)
        settlement.fail(attempt, status: nil, failure: "timeout", message: "", next: .dead, claim: 8)
        settlement.finish(claim: 7)
        #expect(settlement.isPartial)
        #expect(settlement.steps(worker: 1, number: 1, now: 0).first?.statement.name == "SettlementKeep")
        settlement.finish(claim: 8)
        #expect(!settlement.isPartial)
        #expect(settlement.steps(worker: 1, number: 1, now: 0).first?.statement.name == "SettlementBegin")
    }

    @Test func settlementIsWrittenAsAWholeOrNotAtAll() async throws {
        try await withDatabase { db in
            let id = try await db.emit()[0]
            let worker = try await db.worker()
            let claim = try #require(try await db.claim(worker))
            var settlement = Settlement()
            settlement.deliver(id, 1)
            settlement.finish(claim: claim.id)
            var steps = settlement.steps(worker: worker, number: TestDatabase.settlementNumber(), now: 0)
            steps.append(Step(Statement(name: "fault", sql: "SELECT 1 / 0", prepare: false)))
            await #expect(throws: PostgresError.self) { try await db.connection.pipeline(steps) }
            #expect(try await db.count("postrider.webhook_attempts") == 0)
            #expect(try await db.count("postrider.webhook_claims") == 1)
        }
    }

    /// Sent again because the answer to its COMMIT was lost.
    @Test func settlementIsRecordedOnce() async throws {
        try await withDatabase { db in
            let ids = try await db.emit(2)
            let id = try await db.endpoint()
            let worker = try await db.worker()
            let claim = try #require(try await db.claim(worker))
            var settlement = Settlement()
            settlement.deliver(ids[0], id)
            settlement.fail(ids[1], id, next: .retry(afterMilliseconds: 1000), claim: claim.id)
            settlement.finish(claim: claim.id)
            let steps = settlement.steps(worker: worker, number: 7, now: 0)
            _ = try await db.connection.pipeline(steps)
            // Another worker has its retry already.
            try await db.run("DELETE FROM postrider.webhook_retries")
            let again = try await db.connect()
            // It comes late from a session that was thought dead, too: then there is nobody to hear the refusal.
            for _ in 0..<2 {
                let refusal = await #expect(throws: PostgresError.self) { try await again.pipeline(steps) }
                #expect(Settlement.isRecordedAlready(try #require(refusal)))
            }
            #expect(try await db.count("postrider.webhook_attempts") == 2)
            #expect(try await db.count("postrider.webhook_retries") == 0)
            #expect(try await db.count("postrider.webhook_tallies") == 1)
            // Another worker's attempt of the same number is another request.
            let other = settlement.steps(worker: try await db.worker(), number: 1, now: 0)
            _ = try await again.pipeline(other)
            #expect(try await db.count("postrider.webhook_attempts") == 4)
            #expect(try await db.count("postrider.webhook_settlements") == 0, "attempts leave their own trace")
        }
    }

    @Test func failedAttemptsAreRecordedOnce() async throws {
        try await withDatabase { db in
            let ids = try await db.emit(1)
            let worker = try await db.worker()
            let claim = try #require(try await db.claim(worker))
            var settlement = Settlement()
            settlement.fail(ids[0], try await db.endpoint(), next: .dead, claim: claim.id)
            let steps = settlement.steps(worker: worker, number: 1, now: 0)
            _ = try await db.connection.pipeline(steps)
            let refusal = await #expect(throws: PostgresError.self) { try await db.connection.pipeline(steps) }
            #expect(Settlement.isRecordedAlready(try #require(refusal)))
            #expect(try await db.count("postrider.webhook_attempts") == 1)
        }
    }

    /// Nothing was sent, so no attempt can tell; the claim stays open, so the fence does not either.
    @Test func settlementWithoutAttemptIsRecordedOnce() async throws {
        try await withDatabase { db in
            let ids = try await db.emit(1)
            let id = Int32(try await db.endpoint())
            let worker = try await db.worker()
            let claim = try #require(try await db.claim(worker))
            var settlement = Settlement()
            settlement.snooze(
                event: ids[0], target: Claim.Target(destination: id, attempt: 1), next: .retry(afterMilliseconds: 0),
                claim: claim.id)
            let steps = settlement.steps(worker: worker, number: 7, now: 0)
            _ = try await db.connection.pipeline(steps)
            // It has been taken, sent and settled meanwhile.
            try await db.run("DELETE FROM postrider.webhook_retries")
            for late in [steps, settlement.steps(worker: worker, number: 6, now: 0)] {
                let refusal = await #expect(throws: PostgresError.self) { try await db.connection.pipeline(late) }
                #expect(Settlement.isRecordedAlready(try #require(refusal)))
            }
            #expect(try await db.count("postrider.webhook_retries") == 0)
            _ = try await db.connection.pipeline(settlement.steps(worker: worker, number: 8, now: 0))
            #expect(try await db.count("postrider.webhook_retries") == 1)
        }
    }

    /// The old session still has the transaction open: whoever sends it again waits for its end.
    @Test(arguments: ["COMMIT", "ROLLBACK"])
    func settlementThatIsStillOpenElsewhereIsWaitedFor(_ end: String) async throws {
        try await withDatabase { db in
            let ids = try await db.emit(1)
            let id = try await db.endpoint()
            let worker = try await db.worker()
            var settlement = Settlement()
            settlement.deliver(ids[0], id)
            let steps = settlement.steps(worker: worker, number: 1, now: 0)
            let old = try await db.connect()
            try await old.run("BEGIN")
            for step in steps { _ = try await old.query(step.statement, step.parameters) }
            let resent = Task { [again = try await db.connect()] in
                do { try await again.pipeline(steps) } catch let error as PostgresError { return error.sqlState }
                return nil as String?
            }
            // Of this database alone: other tests wait for locks of theirs.
            let waits = """
                pg_locks WHERE NOT granted AND locktype = 'advisory'
                    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
                """
            try await eventually("the second to wait for the first") { try await db.count(waits) > 0 }
            try await old.run(end)
            #expect(try await resent.value == (end == "COMMIT" ? "WH001" : nil))
            #expect(try await db.count("postrider.webhook_attempts") == 1)
        }
    }
}
