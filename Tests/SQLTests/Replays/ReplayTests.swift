// Replays in SQL: what a batch takes, that it resumes where it was, and that it never reads the history.

import Outbox
import OutboxStore
import Postgres
import Testing

/// What the tests of replays do to a database.
extension TestDatabase {
    /// Stores a replay and gives its id. Criteria stand in JSON without the outer braces; the rate is high unless given.
    func replay(_ criteria: String) async throws -> Int64 {
        let rate = criteria.contains("rate") ? "" : #", "rate": 100000"#
        return Int64(try await line("SELECT postrider.start_replay('{\(criteria)\(rate)}')")) ?? 0
    }

    /// Batches until the replay has ended; gives how many deliveries they scheduled.
    func drive(_ replay: Int64, most: Int32 = 1000) async throws -> Int {
        var scheduled = 0
        while true {
            let step = try await ReplayStore.next(replay, most: most, on: connection)
            scheduled += step.scheduled
            if step.state != "running" { return scheduled }
            if step.wait > .zero { throw Unexpected(what: "replay \(replay) waits \(step.wait)") }
        }
    }

    /// The numbers in the payloads of what is scheduled, in the order in which it is due.
    func scheduledNumbers() async throws -> String {
        try await line(
            """
            SELECT coalesce(string_agg(e.data ->> 'n', ',' ORDER BY r.due_at), '') FROM postrider.webhook_retries AS r
            JOIN postrider.webhook_event_log AS e ON e.id = r.event_id
            """)
    }

    /// Events of a type with ascending numbers as payload, of which nothing waits.
    func history(_ count: Int, _ type: String = "a.b", from first: Int = 1, extra: String = "") async throws {
        try await run(
            """
            INSERT INTO postrider.webhook_event_log (event_type, data\(extra.isEmpty ? "" : ", organization_id, user_id"))
            SELECT '\(type)', jsonb_build_object('n', n)\(extra) FROM generate_series(\(first), \(first + count - 1)) AS n;
            DELETE FROM postrider.webhook_queue
            """)
    }

    /// One attempt of each event that has none at a destination: every hundredth died of it.
    func attempted(_ destination: Int32) async throws {
        try await run(
            """
            INSERT INTO postrider.webhook_attempts (event_id, attempted_at, worker_id, destination_id, duration_us,
                attempt_number, outcome, status_code, failure)
            SELECT id, created_at, 1, \(destination), 5, 1, CASE WHEN n % 100 = 0 THEN 2 ELSE 0 END,
                   CASE WHEN n % 100 = 0 THEN 500 ELSE 200 END, CASE WHEN n % 100 = 0 THEN 'server_error' END
            FROM (SELECT id, created_at, (data ->> 'n')::integer AS n FROM postrider.webhook_event_log) AS e
            WHERE NOT EXISTS (SELECT FROM postrider.webhook_attempts AS a WHERE a.event_id = e.id AND a.destination_id = \(destination));
            INSERT INTO postrider.webhook_dead_letters (event_id, destination_id, attempts, failure)
            SELECT event_id, destination_id, 1, failure FROM postrider.webhook_attempts AS a
            WHERE outcome = 2 AND destination_id = \(destination)
            ON CONFLICT DO NOTHING
            """)
    }

    /// Counts in the table `scheduling` how often each delivery was scheduled, whatever becomes of it.
    func watchScheduling() async throws {
        try await run(
            """
            CREATE TABLE scheduling (event_id uuid, destination_id integer, what text);
            CREATE FUNCTION note_scheduling() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                INSERT INTO scheduling VALUES (NEW.event_id, NEW.destination_id, TG_OP);
                RETURN NULL;
            END $$;
            CREATE TRIGGER note_scheduling AFTER INSERT OR UPDATE ON postrider.webhook_retries
                FOR EACH ROW EXECUTE FUNCTION note_scheduling()
            """)
    }
}

@Suite struct ReplayTests {
    // MARK: What is sent

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

    @Test func whatIsOnItsWayIsNotSentTwice() async throws {
        try await withDatabase { db in
            try await db.history(4)
            try await db.attempted(try await db.endpoint())
            let ids = try await db.events("id")
            let worker = try await db.worker()
            try await db.run(
                """
                INSERT INTO postrider.webhook_claims (worker_id, event_ids, destination_ids, attempt_numbers)
                VALUES (\(worker), '{\(ids[0])}', '{1}', '{2}');
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

    // MARK: Payload filters

    @Test func filterOfTheProgramDecidesWhatABackfillSends() async throws {
        try await withDatabase { db in
            try await db.history(10)
            try await db.run(
                """
                INSERT INTO postrider.webhook_event_log (event_type, data)
                SELECT 'a.b', jsonb_build_object('n', 12, 'pad', (SELECT string_agg(md5(i::text), '') FROM generate_series(1, 3000) AS i));
                DELETE FROM postrider.webhook_queue
                """)
            try await db.endpoint("late")
            let replay = try await db.replay(#""what": "backfill", "endpoint": "late""#)
            var step: ReplayStore.Step
            repeat {
                step = try await ReplayStore.next(
                    replay, most: 4,
                    admits: { event in String(decoding: event.data, as: UTF8.self).contains(/"n": \d*[02468]\b/) },
                    on: db.connection)
            } while step.state == "running"
            #expect(try await db.scheduledNumbers() == "2,4,6,8,10,12")
            #expect(try await db.line("SELECT scheduled, filtered, without_payload FROM postrider.webhook_replays") == "6|5|0")
        }
    }

    @Test func sqlAloneRefusesABackfillThatNeedsAFilter() async throws {
        try await withDatabase { db in
            try await db.history(1)
            try await db.endpoint("late")
            try await db.openGates()
            try await db.run(#"UPDATE postrider.webhook_destinations SET options = '{"filter": {"a": [1]}}'"#)
            let replay = try await db.replay(#""what": "backfill", "endpoint": "late""#)
            #expect(try await db.refusal("SELECT postrider.replay_batch(\(replay))").sqlState == "0A000")
            // An error of the filter leaves everything as it was.
            await #expect(throws: Unexpected.self) {
                try await ReplayStore.next(replay, admits: { _ in throw Unexpected(what: "filter") }, on: db.connection)
            }
            #expect(try await db.count("postrider.webhook_retries") == 0)
            #expect(try await db.lines("SELECT state, filtered FROM postrider.webhook_replays") == ["running|0"])
        }
    }

    // MARK: Criteria

    @Test(arguments: [
        (#"{"what": "everything"}"#, "a replay is of deliveries, dead_letters or backfill"),
        (#"{"what": "deliveries", "colour": 1}"#, "a replay has no criterion colour"),
        (#"{"what": "deliveries", "status": "pending"}"#, "the status of a replay is success or failed: what is pending is sent anyway"),
        (#"{"what": "backfill"}"#, "a backfill needs an endpoint"),
        (#"{"what": "deliveries", "type": "a..b"}"#, "not an event type or pattern: 'a..b'"),
        (#"{"what": "deliveries", "rate": 0}"#, "the rate is between 1 a minute and 100000 a second"),
        (#"{"what": "deliveries", "since_s": 10, "until_s": 20}"#, "since must be before until"),
        (#"{"what": "deliveries", "endpoint": "nobody"}"#, "there is no endpoint or workflow nobody"),
        (#"{"what": "deliveries", "endpoint": "twice"}"#, "2 endpoints and workflows have the name twice"),
        (#"{"what": "deliveries", "event": "01900000-0000-7000-8000-000000000001"}"#, "there is no event 01900000-0000-7000-8000-000000000001"),
        (#"{"what": "deliveries", "delivery": "01900000-0000-7000-8000-000000000001"}"#, "there is no delivery 01900000-0000-7000-8000-000000000001"),
    ]) func wrongCriteriaAreNamed(criteria: String, fault: String) async throws {
        try await withRollback { db in
            try await db.endpoint("twice")
            try await db.endpoint("twice")
            #expect(try await db.refusal("SELECT postrider.start_replay('\(criteria)')").message == fault)
        }
    }

    @Test func timesBoundTheEvents() async throws {
        try await withDatabase { db in
            try await db.run(
                """
                INSERT INTO postrider.webhook_event_log (id, event_type, data)
                SELECT postrider.event_id_at(now() - n * interval '1 hour'), 'a.b', jsonb_build_object('n', n) FROM generate_series(1, 9) AS n;
                DELETE FROM postrider.webhook_queue
                """)
            try await db.endpoint("late")
            _ = try await db.drive(try await db.replay(#""what": "backfill", "endpoint": "late", "since_s": 18500, "until_s": 7000"#))
            #expect(try await db.scheduledNumbers() == "5,4,3,2")
        }
    }

    // MARK: Rate

    @Test func rateIsHeldByDueTimes() async throws {
        try await withDatabase { db in
            try await db.history(200)
            try await db.endpoint("late")
            let replay = try await db.replay(#""what": "backfill", "endpoint": "late", "rate": 20"#)
            let step = try await ReplayStore.next(replay, on: db.connection)
            // What becomes due within the second to come, and no more.
            #expect((20...21).contains(step.scheduled) && step.wait > .zero && step.wait <= .milliseconds(600))
            let distances = try await db.lines(
                """
                SELECT DISTINCT distance FROM (SELECT due_at - lag(due_at) OVER (ORDER BY event_id) AS distance FROM postrider.webhook_retries) AS d
                WHERE distance IS NOT NULL
                """)
            #expect(distances == ["00:00:00.05"])
            #expect(try await ReplayStore.next(replay, on: db.connection).scheduled == 0)
            #expect(try await db.line("SELECT max(due_at) < clock_timestamp() + interval '1.1 seconds' FROM postrider.webhook_retries") == "t")
            // What was not sent for a while is not caught up with: no burst.
            try await db.run("UPDATE postrider.webhook_replays SET due_to = now() - interval '1 hour'; DELETE FROM postrider.webhook_retries")
            #expect((20...21).contains(try await ReplayStore.next(replay, on: db.connection).scheduled))
        }
    }

    @Test func slowReplayEndsWithItsLastDelivery() async throws {
        try await withDatabase { db in
            try await db.history(2)
            try await db.endpoint("late")
            let replay = try await db.replay(#""what": "backfill", "endpoint": "late", "rate": 0.02"#)
            // One in 50 seconds: the second one must wait, and behind it there is nothing to wait for.
            let first = try await ReplayStore.next(replay, on: db.connection)
            #expect(first.scheduled == 1 && first.state == "running" && first.wait > .seconds(40))
            try await db.run("UPDATE postrider.webhook_replays SET due_to = now()")
            #expect(
                try await ReplayStore.next(replay, on: db.connection)
                    == ReplayStore.Step(scheduled: 1, state: "done", wait: .zero))
        }
    }

    // MARK: Resuming

    @Test(arguments: ["deliveries", "dead_letters", "backfill"])
    func abortedBatchIsTakenUpAgainAndNothingTwice(what: String) async throws {
        try await withDatabase { db in
            try await db.history(2500)
            let endpoint = try await db.endpoint()
            let isBackfill = what == "backfill"
            if !isBackfill { try await db.attempted(endpoint) }
            if what == "dead_letters" {
                try await db.run(
                    """
                    INSERT INTO postrider.webhook_dead_letters (event_id, destination_id, attempts)
                    SELECT id, \(endpoint), 1 FROM postrider.webhook_event_log ON CONFLICT DO NOTHING
                    """)
            }
            try await db.watchScheduling()
            let replay = try await db.replay(#""what": "\#(what)", "endpoint": "endpoint""#)
            #expect(try await ReplayStore.next(replay, most: 700, on: db.connection).scheduled == 700)
            // A driver that is killed in the middle of a batch.
            let driver = try await db.connect()
            try await driver.run("BEGIN")
            #expect(try await driver.lines("SELECT scheduled FROM postrider.replay_batch(\(replay), 700)") == ["700"])
            try await db.run("SELECT pg_terminate_backend(\(driver.processID))")
            // What was sent meanwhile is not sent again.
            try await db.run("DELETE FROM postrider.webhook_retries")
            #expect(try await db.drive(replay, most: 700) == 1800)
            #expect(try await db.line("SELECT count(*), count(DISTINCT event_id) FROM scheduling") == "2500|2500")
            #expect(try await db.line("SELECT scheduled, state FROM postrider.webhook_replays") == "2500|done")
            #expect(try await db.count("postrider.webhook_dead_letters") == 0)
        }
    }

    @Test(arguments: [1, 2]) func driversAtOnceDoNotDouble(replays: Int) async throws {
        try await withDatabase { db in
            try await db.history(1500)
            try await db.endpoint()
            try await db.watchScheduling()
            // Four drivers of one replay, or two each of two replays of the same events.
            var ids: [Int64] = []
            for _ in 0..<replays { ids.append(try await db.replay(#""what": "backfill", "endpoint": "endpoint""#)) }
            let replayIDs = ids
            try await withThrowingTaskGroup(of: Int.self) { group in
                for number in 0..<4 {
                    let connection = try await db.connect()
                    group.addTask {
                        var batches = 0
                        while try await ReplayStore.next(replayIDs[number % replays], most: 20, on: connection).state == "running" {
                            batches += 1
                        }
                        return batches
                    }
                }
                for try await batches in group { #expect(batches < 76) }
            }
            #expect(try await db.line("SELECT count(*), count(DISTINCT event_id) FROM scheduling") == "1500|1500")
            #expect(try await db.line("SELECT sum(scheduled), min(state), max(state) FROM postrider.webhook_replays") == "1500|done|done")
        }
    }

    @Test func pausedAndCancelledReplaysStandStill() async throws {
        try await withDatabase { db in
            try await db.history(30)
            try await db.endpoint()
            let replay = try await db.replay(#""what": "backfill", "endpoint": "endpoint""#)
            let turn = { (state: String) in
                let rows = try await AdminStore.run(
                    .replaySwitch, Array(#"{"id": \#(replay), "state": "\#(state)"}"#.utf8), on: db.connection)
                return String(decoding: rows.first ?? [], as: UTF8.self)
            }
            _ = try await ReplayStore.next(replay, most: 10, on: db.connection)
            for state in ["paused", "running", "cancelled"] {
                #expect(try await turn(state).contains("\"state\": \"\(state)\""))
                let step = try await ReplayStore.next(replay, most: 10, on: db.connection)
                #expect(step.state == state && step.scheduled == (state == "running" ? 10 : 0))
            }
            #expect(try await turn("running").contains("\"state\": \"cancelled\""))
            #expect(try await db.count("postrider.webhook_retries") == 20)
            await #expect(throws: PostgresError.self) { try await ReplayStore.next(99, on: db.connection) }
        }
    }

    // MARK: Plans

    /// Rows that sequential scans of the large tables have read in this transaction.
    private static let scanned = """
        SELECT relname, seq_tup_read FROM pg_stat_xact_user_tables
        WHERE seq_tup_read > 0 AND relname ~ '^webhook_(event_log|attempts|retries|dead_letters|queue)'
        """

    @Test(arguments: ["deliveries", "dead_letters", "backfill"]) func batchReadsItsPartOfTheHistory(what: String) async throws {
        try await withDatabase { db in
            try await db.history(100_000)
            let endpoint = try await db.endpoint()
            if what != "backfill" { try await db.attempted(endpoint) }
            let replay = try await db.replay(#""what": "\#(what)", "endpoint": "endpoint""#)
            // Statistics of empty tables, and true ones.
            for analyzed in [false, true] {
                if analyzed { try await db.run("ANALYZE") }
                for _ in 0..<3 { _ = try await ReplayStore.next(replay, most: 100, on: db.connection) }
                let plan = try await Plan.of("SELECT * FROM postrider.replay_batch(\(replay), 100)", running: true, in: db)
                // A window of 5,000 events and 100 deliveries of it; the whole history has 300,000 blocks and more.
                #expect(plan.sharedBlocks < 40_000, "\(what), analyzed: \(analyzed)")
                // What earlier transactions read is counted until it is written down.
                try await db.run("SELECT pg_stat_force_next_flush()")
                try await db.run("BEGIN")
                try await db.run("SELECT postrider.replay_batch(\(replay), 100)")
                #expect(try await db.lines(Self.scanned) == [], "\(what), analyzed: \(analyzed)")
                try await db.run("ROLLBACK")
            }
        }
    }
}
