// webhook_deliveries: one row for each event and destination, with what happened last and what comes next.

import Outbox
import OutboxStore
import Postgres
import Testing

@Suite struct DeliveryViewTests {
    private let summary = "destination_id, status, status_code, attempt_number, attempt_count, next_retry_at IS NOT NULL"

    private func deliveries(_ db: TestDatabase, _ columns: String) async throws -> [String] {
        try await db.lines("SELECT \(columns) FROM postrider.webhook_deliveries ORDER BY webhook_event_id, destination_id")
    }

    @Test func everyOutcomeHasItsStatus() async throws {
        try await withRollback { db in
            let id = try await db.emit()[0]
            let worker = try await db.worker()
            let claim = try #require(try await db.claim(worker))
            var settlement = Settlement()
            settlement.deliver(id, 1, body: "ok")
            settlement.fail(id, 2, next: .retry(afterMilliseconds: 60_000), claim: claim.id)
            settlement.fail(id, 3, next: .dead, claim: claim.id, failure: "dns", status: nil)
            settlement.fail(id, 4, next: .park, claim: claim.id, failure: "gone", status: 410)
            settlement.snooze(event: id, target: .init(destination: 5, attempt: 1), next: .park, claim: claim.id)
            settlement.finish(claim: claim.id)
            try await db.settle(settlement, worker)
            #expect(
                try await deliveries(db, summary) == [
                    "1|success|200|1|1|f", "2|pending|500|1|1|t", "3|failed|∅|1|1|f", "4|pending|410|1|1|f",
                    "5|pending|∅|0|0|f",
                ])
            #expect(
                try await deliveries(db, "failure, error_message, response_body, delivered_at IS NOT NULL, dead_at IS NOT NULL") == [
                    "∅|∅|ok|t|f", "server_error|the receiver answered server_error|∅|f|f",
                    "dns|the receiver answered dns|∅|f|t", "gone|the receiver answered gone|∅|f|f", "∅|∅|∅|f|f",
                ])
        }
    }

    /// A transform gave null: an attempt that is neither a failure nor a delivery, and nothing comes after it.
    @Test func droppedDeliveryIsSkipped() async throws {
        try await withRollback { db in
            let id = try await db.emit()[0]
            let worker = try await db.worker()
            let claim = try #require(try await db.claim(worker))
            var settlement = Settlement()
            settlement.fail(id, 1, next: .drop, claim: claim.id, failure: "dropped", status: nil)
            settlement.fail(id, 2, next: .drop, claim: claim.id + 1000, failure: "dropped", status: nil)
            settlement.finish(claim: claim.id)
            try await db.settle(settlement, worker)
            #expect(try await deliveries(db, summary) == ["1|skipped|∅|1|1|f", "2|failed|∅|1|1|f"])
            #expect(try await db.lines("SELECT outcome FROM postrider.webhook_attempts ORDER BY destination_id") == ["4", "3"])
            #expect(try await db.count("postrider.webhook_retries") == 0)
            #expect(try await db.count("postrider.webhook_dead_letters") == 0)
            #expect(try await db.line("SELECT status FROM postrider.webhook_events") == "completed")
            #expect(try await db.line("SELECT sum(failed) FROM postrider.webhook_tallies") == "∅")
        }
    }

    @Test func rowCarriesItsEventAndItsDestination() async throws {
        try await withRollback { db in
            let endpoint = try await db.endpoint("sales")
            let id = EventID(
                try await db.line("SELECT postrider.emit('lead.created', '{\"a\": 1}', 'org', 'user')"))
            let event = try #require(id)
            let worker = try await db.worker()
            _ = try await db.claim(worker)
            var settlement = Settlement()
            settlement.deliver(event, endpoint)
            try await db.settle(settlement, worker)
            #expect(
                try await deliveries(
                    db,
                    """
                    id, webhook_event_id, webhook_endpoint_id = (SELECT e.id FROM postrider.webhook_endpoints AS e),
                    destination_kind, destination_name, event_type, payload, organization_id, user_id, worker_id,
                    delivery_duration_ms, status_code = response_status_code, created_at <= attempted_at
                    """) == [
                        "\(DeliveryID.text(event: event, destination: endpoint))|\(event)|t|endpoint|sales|lead.created|"
                            + "{\"a\": 1}|org|user|\(worker)|1.500|t|t"
                    ])
        }
    }

    @Test func attemptMadeTwiceIsOneRow() async throws {
        try await withRollback { db in
            let id = try await db.emit()[0]
            for worker in [try await db.worker(), try await db.worker()] {
                var settlement = Settlement()
                settlement.deliver(id, 1)
                try await db.settle(settlement, worker)
            }
            #expect(try await deliveries(db, summary) == ["1|success|200|1|2|f"])
        }
    }

    @Test func latestAttemptIsShown() async throws {
        try await withRollback { db in
            let id = try await db.emit()[0]
            let worker = try await db.worker()
            let first = try #require(try await db.claim(worker))
            var failure = Settlement()
            failure.fail(id, 1, next: .retry(afterMilliseconds: 0), claim: first.id)
            failure.finish(claim: first.id)
            try await db.settle(failure, worker)
            let second = try #require(try await db.claimRetries(worker, [(id: 1, most: 1)]))
            #expect(try await deliveries(db, summary) == ["1|pending|500|1|1|f"])
            var success = Settlement()
            success.deliver(id, 1, number: 2)
            success.finish(claim: second.id)
            try await db.settle(success, worker)
            #expect(try await deliveries(db, summary) == ["1|success|200|2|2|f"])
        }
    }

    @Test func firstRetryInFlightIsPendingAlsoWithoutAnAttempt() async throws {
        try await withRollback { db in
            let id = try await db.emit()[0]
            try await db.run(
                """
                INSERT INTO postrider.webhook_retries (event_id, due_at, destination_id, attempt_number, is_replay)
                VALUES ('\(id)', clock_timestamp(), 1, 1, true)
                """)
            #expect(try await deliveries(db, summary) == ["1|pending|∅|0|0|t"])
            _ = try #require(try await db.claimRetries(db.worker(), [(id: 1, most: 1)]))
            #expect(try await deliveries(db, summary) == ["1|pending|∅|0|0|f"])
        }
    }

    @Test func deliveryIsFoundByItsIdWithinItsEvents() async throws {
        try await withRollback { db in
            let ids = try await db.emit(3)
            let worker = try await db.worker()
            var settlement = Settlement()
            for id in ids { settlement.deliver(id, 1) }
            try await db.settle(settlement, worker)
            let wanted = DeliveryID.text(event: ids[1], destination: 1)
            #expect(
                try await db.lines(
                    """
                    SELECT webhook_event_id FROM postrider.webhook_deliveries
                    WHERE webhook_event_id BETWEEN '\(wanted.prefix(18))-0000-000000000000' AND '\(wanted.prefix(18))-ffff-ffffffffffff'
                      AND id = '\(wanted)'
                    """) == ["\(ids[1])"])
        }
    }

    @Test func factOfALostClaimIsShownAsFailed() async throws {
        try await withRollback { db in
            let id = try await db.emit()[0]
            var settlement = Settlement()
            settlement.fail(id, 1, next: .dead, claim: 999)
            try await db.settle(settlement, db.worker())
            #expect(try await deliveries(db, "status, dead_at") == ["failed|∅"])
        }
    }

    /// A worker that had lost its claim tells of a failure after another delivered.
    @Test func lateFactOfALostClaimHidesNothing() async throws {
        try await withRollback { db in
            let id = try await db.emit()[0]
            let worker = try await db.worker()
            let claim = try #require(try await db.claim(worker))
            var success = Settlement()
            success.deliver(id, 1)
            success.finish(claim: claim.id)
            try await db.settle(success, worker)
            var late = Settlement()
            late.fail(id, 1, next: .retry(afterMilliseconds: 0), claim: claim.id, failure: "timeout", status: nil)
            try await db.settle(late, db.worker("late"))
            try await db.run("UPDATE postrider.webhook_attempts SET attempted_at = attempted_at + interval '1 second' WHERE outcome = 3")
            #expect(try await db.lines("SELECT outcome FROM postrider.webhook_attempts ORDER BY attempted_at") == ["0", "3"])
            #expect(try await deliveries(db, summary) == ["1|success|200|1|2|f"])
            #expect(try await deliveries(db, "failure, delivered_at IS NOT NULL") == ["∅|t"])
        }
    }
}
