// What a replay sends: deliveries that were attempted, and events that an endpoint never got.

import Outbox
import OutboxStore
import Postgres
import Testing

@Suite struct ReplayTests {
    @Test func backfillSendsWhatTheEndpointNeverGotInTheOrderOfEvents() async throws {
        try await withDatabase { db in
            try await db.history(3)
            try await db.history(1, "other.type", from: 4)
            let endpoint = try await db.endpoint("late", events: "a.*")
            try await db.attempted(endpoint)
            try await db.history(3, from: 5)
            let missing = try await db.replay(#""what": "backfill", "endpoint": "late""#)
            #expect(try await db.drive(missing) == 3)
            #expect(try await db.scheduledNumbers() == "5,6,7")
            #expect(
                try await db.lines("SELECT DISTINCT attempt_number, is_replay, destination_id FROM postrider.webhook_retries") == ["1|t|\(endpoint)"])
            // Again: they are scheduled, so there is nothing that it never got.
            #expect(try await db.drive(try await db.replay(#""what": "backfill", "endpoint": "late""#)) == 0)
            #expect(
                try await db.lines("SELECT status FROM postrider.webhook_deliveries WHERE attempt_number = 0") == ["pending", "pending", "pending"])
        }
    }

    @Test func backfillKeepsToTheScopeOfTheEndpoint() async throws {
        try await withDatabase { db in
            let who = ", CASE n % 3 WHEN 0 THEN 'acme' WHEN 1 THEN 'beta' END, CASE WHEN n < 5 THEN 'ana' END"
            try await db.history(9, extra: who)
            try await db.endpoint("scoped", settings: "organization_id = 'acme', user_id = 'ana'")
            _ = try await db.drive(try await db.replay(#""what": "backfill", "endpoint": "scoped""#))
            #expect(try await db.scheduledNumbers() == "3")
            try await db.endpoint("open")
            try await db.run("DELETE FROM postrider.webhook_retries")
            _ = try await db.drive(try await db.replay(#""what": "backfill", "endpoint": "open", "organization_id": "beta", "user_id": "ana""#))
            #expect(try await db.scheduledNumbers() == "1,4")
        }
    }

    /// Otherwise one organization would get what was sent to the other one before.
    @Test(arguments: [#""what": "deliveries""#, #""what": "dead_letters""#, #""what": "deliveries", "event": "$300""#])
    func endpointOfAnotherOrganizationIsSentNothingOfTheOneBefore(criteria: String) async throws {
        try await withDatabase { db in
            let endpoint = try await db.endpoint("one")
            try await db.history(300, extra: ", CASE WHEN n = 300 THEN 'acme' ELSE 'beta' END, 'ana'")
            try await db.attempted(endpoint)
            let event = try await db.line("SELECT id FROM postrider.webhook_event_log WHERE data = '{\"n\": 300}'")
            let criteria = criteria.replacing("$300", with: event)
            for settings in ["organization_id = 'beta'", "organization_id = NULL, user_id = 'bob'", "organization_id = 'acme', user_id = 'ana'"] {
                try await db.run("UPDATE postrider.webhook_endpoints SET \(settings)")
                _ = try await db.drive(try await db.replay(criteria))
                let isSent = try await db.scheduledNumbers().split(separator: ",").contains("300")
                #expect(isSent == settings.contains("acme"), "\(settings)")
            }
        }
    }

    @Test func backfillLeavesTheQueueToWorkersAndWaitsForFirstFanOuts() async throws {
        try await withDatabase { db in
            let worker = try await db.worker()
            try await db.history(1)
            let claimed = try await db.emit(1, data: #"{"n": 2}"#)[0]
            let claim = try #require(try await db.claim(worker))
            let endpoint = try await db.endpoint("late")
            try await db.emit(1, data: #"{"n": 3}"#)
            let replay = try await db.replay(#""what": "backfill", "endpoint": "late""#)
            // The first goes; of the second nobody knows yet who gets it.
            for _ in 0..<2 {
                let step = try await ReplayStore.next(replay, on: db.connection)
                #expect(step.state == "running" && step.wait == .milliseconds(100))
                #expect(try await db.scheduledNumbers() == "1")
            }
            // Its claim was made before the endpoint, so that did not get it.
            var settlement = Settlement()
            settlement.finish(claim: claim.id)
            try await db.settle(settlement, worker)
            #expect(try await db.drive(replay) == 1)
            #expect(try await db.scheduledNumbers() == "1,2")
            #expect(try await db.count("postrider.webhook_retries WHERE destination_id = \(endpoint) AND event_id = '\(claimed)'") == 1)
        }
    }

    @Test(arguments: [
        (#""endpoint": "one", "status": "failed""#, "100,200"), (#""endpoint": "one", "failure": "timeout""#, "200"),
        (#""status": "success", "type": "b.*""#, "301"), (#""user_id": "ana""#, "299"), (#""organization_id": "acme""#, "299"),
        (#""endpoint": "two""#, "301"), (#""event": "$301""#, "301"), (#""delivery": "$100""#, "100"),
    ]) func deliveriesAreChosenByWhatTheyAre(criteria: String, numbers: String) async throws {
        try await withDatabase { db in
            let one = try await db.endpoint("one")
            try await db.history(298)
            try await db.history(1, from: 299, extra: ", 'acme', 'ana'")
            try await db.attempted(one)
            try await db.run(
                "UPDATE postrider.webhook_attempts SET failure = 'timeout' WHERE event_id = (SELECT id FROM postrider.webhook_event_log WHERE data = '{\"n\": 200}')"
            )
            let two = try await db.endpoint("two")
            try await db.history(1, "b.c", from: 301)
            try await db.run(
                """
                INSERT INTO postrider.webhook_attempts (event_id, attempted_at, worker_id, destination_id, duration_us, attempt_number, outcome)
                SELECT id, created_at, 1, \(two), 5, 4, 0 FROM postrider.webhook_event_log WHERE event_type = 'b.c'
                """)
            let event = { (number: Int) in
                try await db.line("SELECT id, postrider.delivery_id(id, \(one)) FROM postrider.webhook_event_log WHERE data = '{\"n\": \(number)}'")
                    .split(separator: "|").map(String.init)
            }
            var text = criteria.replacing("$301", with: try await event(301)[0])
            text = text.replacing("$100", with: try await event(100)[1])
            let planned = try await db.line("SELECT (postrider.count_replay('{\"what\": \"deliveries\", \(text)}')).count")
            let scheduled = try await db.drive(try await db.replay("\"what\": \"deliveries\", \(text)"))
            #expect(try await db.scheduledNumbers() == numbers)
            #expect("\(scheduled)" == planned)
            // Attempt numbers go on, and what is replayed is no dead letter any more.
            if numbers == "301" { #expect(try await db.line("SELECT attempt_number FROM postrider.webhook_retries") == "5") }
            let letters = try await db.count(
                "postrider.webhook_dead_letters AS l JOIN postrider.webhook_retries AS r USING (event_id, destination_id)")
            #expect(letters == 0)
        }
    }

    /// It changed nothing, so it does not make a failure of what was delivered, nor hide what failed.
    @Test(arguments: [("failed", "100"), ("success", "1,2")])
    func factOfALostClaimDecidesNothing(status: String, numbers: String) async throws {
        try await withDatabase { db in
            let endpoint = try await db.endpoint()
            for number in [1, 2, 100] { try await db.history(1, from: number) }
            try await db.attempted(endpoint)
            try await db.run(
                """
                INSERT INTO postrider.webhook_attempts (event_id, attempted_at, worker_id, destination_id, duration_us,
                    attempt_number, outcome, failure)
                SELECT event_id, attempted_at + interval '1 second', 2, destination_id, 5, 1, 3, 'timeout'
                FROM postrider.webhook_attempts
                """)
            #expect(try await db.drive(try await db.replay(#""what": "deliveries", "failure": "timeout""#)) == 0)
            let replay = try await db.replay("\"what\": \"deliveries\", \"status\": \"\(status)\"")
            #expect(try await db.drive(replay) == numbers.split(separator: ",").count)
            #expect(try await db.scheduledNumbers() == numbers)
        }
    }

    /// For the second a transform gave null; about the hundredth somebody has decided.
    @Test func skippedOnesHaveNotFailedAndArchivedOnesAreSentWhenNamed() async throws {
        try await withDatabase { db in
            let endpoint = try await db.endpoint()
            for number in [2, 100, 200] { try await db.history(1, from: number) }
            try await db.attempted(endpoint)
            try await db.run(
                """
                UPDATE postrider.webhook_attempts SET outcome = 4 WHERE outcome = 0;
                UPDATE postrider.webhook_dead_letters SET archived_at = now()
                WHERE event_id = (SELECT id FROM postrider.webhook_event_log WHERE data = '{"n": 100}')
                """)
            let archived = try await db.line("SELECT event_id FROM postrider.webhook_dead_letters WHERE archived_at IS NOT NULL")
            for (criteria, numbers) in [
                (#""status": "failed""#, "200"), (#""endpoint": "endpoint""#, "2,200"), ("\"event\": \"\(archived)\"", "100"),
            ] {
                _ = try await db.drive(try await db.replay("\"what\": \"deliveries\", \(criteria)"))
                #expect(try await db.scheduledNumbers() == numbers, "\(criteria)")
                try await db.run("DELETE FROM postrider.webhook_retries")
            }
        }
    }

    @Test func whatIsOnItsWayIsNotSentTwice() async throws {
        try await withDatabase { db in
            try await db.history(4)
            try await db.attempted(try await db.endpoint())
            let ids = try await db.events("id")
            let worker = try await db.worker()
            try await db.run(
                """
                INSERT INTO postrider.webhook_claims (worker_id, event_ids, destination_ids, attempt_numbers, are_replays)
                VALUES (\(worker), '{\(ids[0])}', '{1}', '{2}', '{f}');
                INSERT INTO postrider.webhook_retries VALUES ('\(ids[1])', 'infinity', 1, 2), ('\(ids[2])', now() + interval '1 hour', 1, 2)
                """)
            #expect(try await db.drive(try await db.replay(#""what": "deliveries", "endpoint": "endpoint""#)) == 2)
            let rows = try await db.lines(
                "SELECT event_id, due_at < now() + interval '1 minute', is_replay, attempt_number FROM postrider.webhook_retries ORDER BY 1")
            #expect(rows == ["\(ids[1])|f|f|2", "\(ids[2])|t|t|2", "\(ids[3])|t|t|2"])
        }
    }

    @Test func replayThatIsPutBackUnsentStaysOne() async throws {
        try await withDatabase { db in
            let endpoint = try await db.endpoint()
            try await db.history(1)
            #expect(try await db.drive(try await db.replay(#""what": "backfill", "endpoint": "endpoint""#)) == 1)
            let worker = try await db.worker()
            for isReplay in [true, false] {
                let claim = try #require(try await db.claimRetries(worker, [(id: endpoint, most: 9)]))
                let target = try #require(claim.work[0].target)
                #expect(target == Claim.Target(destination: endpoint, attempt: 1, isReplay: isReplay))
                var settlement = Settlement()
                settlement.snooze(event: claim.ids[0], target: target, next: .retry(afterMilliseconds: 0), claim: claim.id)
                settlement.finish(claim: claim.id)
                try await db.settle(settlement, worker)
                #expect(try await db.lines("SELECT is_replay FROM postrider.webhook_retries") == [isReplay ? "t" : "f"])
                // The same without the mark, such as what was parked.
                try await db.run("UPDATE postrider.webhook_retries SET is_replay = false")
            }
        }
    }

    @Test func payloadsThatAreGoneAreCountedAndLeftOut() async throws {
        try await withDatabase { db in
            try await db.history(5)
            try await db.attempted(try await db.endpoint())
            try await db.run("UPDATE postrider.webhook_event_log SET data = postrider.removed_payload() WHERE data IN ('{\"n\": 2}', '{\"n\": 5}')")
            let criteria = #""what": "deliveries", "endpoint": "endpoint""#
            #expect(try await db.line("SELECT count, without_payload FROM postrider.count_replay('{\(criteria)}')") == "3|2")
            let replay = try await db.replay(criteria)
            #expect(try await db.drive(replay, most: 2) == 3)
            #expect(try await db.line("SELECT scheduled, without_payload, state FROM postrider.webhook_replays") == "3|2|done")
        }
    }

    @Test func deletedDestinationsGetNothing() async throws {
        try await withDatabase { db in
            try await db.history(2)
            try await db.attempted(try await db.endpoint("gone"))
            try await db.run("DELETE FROM postrider.webhook_endpoints")
            #expect(try await db.drive(try await db.replay(#""what": "deliveries", "type": "*""#)) == 0)
            #expect(try await db.refusal(#"SELECT postrider.start_replay('{"what": "deliveries", "endpoint": "gone"}')"#).sqlState == "P0002")
        }
    }
}
