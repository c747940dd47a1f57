// Lines of ordering keys as SQL keeps them: who is released, skipped, and freed when nobody else will do it.

import Outbox
import OutboxStore
import Postgres
import TestSupport
import Testing

@Suite struct OrderTests {
    /// An ordered endpoint with a line of three events of the key k: the first is the head and in nobody's hands.
    private func line(_ db: TestDatabase, headedAgo: String = "0 s") async throws -> [String] {
        let endpoint = try await db.endpoint("ordered", settings: #"options = '{"order": true}'"#)
        let ids = try await db.lines("SELECT postrider.emit('a.b', '{}', ordering_key => 'k') FROM generate_series(1, 3)")
        try await db.run("TRUNCATE postrider.webhook_queue")
        try await db.run(
            """
            INSERT INTO postrider.webhook_keys (destination_id, ordering_key, head, headed_at)
            VALUES (\(endpoint), 'k', '\(ids[0])', clock_timestamp() - interval '\(headedAgo)')
            """)
        for id in ids.dropFirst() {
            try await db.run(
                """
                INSERT INTO postrider.webhook_retries (event_id, due_at, destination_id, attempt_number, ordering_key)
                VALUES ('\(id)', 'infinity', \(endpoint), 1, 'k')
                """)
        }
        return ids
    }

    private func due(_ db: TestDatabase) async throws -> [String] {
        try await db.lines("SELECT event_id FROM postrider.webhook_retries WHERE due_at < 'infinity' ORDER BY event_id")
    }

    @Test func releaseOfTheHeadMakesTheNextDueAndNoOther() async throws {
        try await withRollback { db in
            let ids = try await line(db)
            let release = { (id: String) in
                try await db.line("SELECT postrider.release_keys('{1}', '{k}', '{\(id)}') FROM postrider.webhook_destinations LIMIT 1")
            }
            try await db.run("UPDATE postrider.webhook_keys SET destination_id = 1")
            try await db.run("UPDATE postrider.webhook_retries SET destination_id = 1")
            #expect(try await release(ids[1]) == "0", "it is not at the head")
            #expect(try await due(db) == [])
            #expect(try await release(ids[0]) == "1")
            #expect(try await due(db) == [ids[1]])
            #expect(try await db.line("SELECT head FROM postrider.webhook_keys") == ids[1])
            _ = try await release(ids[1])
            _ = try await release(ids[2])
            #expect(try await db.count("postrider.webhook_keys") == 0)
        }
    }

    @Test func headOfWhichNothingIsLeftIsSweptAfterAMinute() async throws {
        try await withRollback { db in
            let ids = try await line(db, headedAgo: "30 s")
            #expect(try await db.line("SELECT postrider.sweep_keys()") == "0", "its claim may be on its way")
            try await db.run("UPDATE postrider.webhook_keys SET headed_at = headed_at - interval '31 s'")
            #expect(try await db.line("SELECT postrider.sweep_keys()") == "1")
            #expect(try await due(db) == [ids[1]])
        }
    }

    @Test func headThatIsInFlightWaitingOrDeadIsNotSwept() async throws {
        try await withRollback { db in
            let ids = try await line(db, headedAgo: "5 min")
            let worker = try await db.worker()
            let holders = [
                "INSERT INTO postrider.webhook_claims (worker_id, event_ids) VALUES (\(worker), '{\(ids[0])}')",
                "INSERT INTO postrider.webhook_retries (event_id, due_at, destination_id, attempt_number) SELECT head, now() + interval '1 h', destination_id, 2 FROM postrider.webhook_keys",
                "INSERT INTO postrider.webhook_dead_letters (event_id, destination_id, attempts) SELECT head, destination_id, 6 FROM postrider.webhook_keys",
            ]
            for holder in holders {
                try await db.run("SAVEPOINT held")
                try await db.run(holder)
                #expect(try await db.line("SELECT postrider.sweep_keys()") == "0", "\(holder)")
                try await db.run("ROLLBACK TO held")
            }
        }
    }

    @Test func lineWithoutAHeadGoesOnInItsOrder() async throws {
        try await withRollback { db in
            let ids = try await line(db)
            try await db.run("DELETE FROM postrider.webhook_keys")
            #expect(try await db.line("SELECT postrider.sweep_keys()") == "1")
            #expect(try await due(db) == [ids[1]])
            #expect(try await db.line("SELECT head FROM postrider.webhook_keys") == ids[1])
        }
    }

    /// Both change retries and keys: a worker that ends a turn, and whoever ends the order.
    @Test func workerThatReleasesAKeyDoesNotWaitForWhoSwitchesTheOrderOff() async throws {
        try await withDatabase { db in
            let endpoint = try await db.endpoint("ordered", settings: #"options = '{"order": true}'"#)
            let ids = try await db.lines("SELECT postrider.emit('a.b', '{}') FROM generate_series(1, 4)")
            try await db.run(
                """
                INSERT INTO postrider.webhook_keys (destination_id, ordering_key, head)
                VALUES (\(endpoint), 'a', '\(ids[0])'), (\(endpoint), 'k', '\(ids[1])');
                INSERT INTO postrider.webhook_retries (event_id, due_at, destination_id, attempt_number, ordering_key)
                VALUES ('\(ids[2])', 'infinity', \(endpoint), 1, 'a'), ('\(ids[3])', 'infinity', \(endpoint), 1, 'k')
                """)
            let holder = try await db.connect()
            try await holder.run("BEGIN; SELECT FROM postrider.webhook_retries WHERE ordering_key = 'a' FOR UPDATE")
            let process = holder.processID
            async let switched = db.lines("UPDATE postrider.webhook_destinations SET options = '{}' RETURNING id")
            let worker = try await db.connect()
            let waiting = "SELECT count(*) FROM pg_stat_activity WHERE \(process) = ANY (pg_blocking_pids(pid))"
            try await eventually("the change to wait") { try await worker.lines(waiting) != ["0"] }
            try await worker.run("SET statement_timeout = '20s'")
            #expect(try await worker.lines("SELECT postrider.release_keys('{\(endpoint)}', '{k}', '{\(ids[1])}')") == ["1"])
            try await holder.run("COMMIT")
            #expect(try await switched == ["\(endpoint)"])
            #expect(try await due(db) == Array(ids.suffix(2)))
            #expect(try await db.count("postrider.webhook_keys") == 0)
        }
    }

    @Test func sweepMendsSoManyAtOnceUntilAllIsMended() async throws {
        try await withRollback { db in
            // Lines without a head: three of one event, and one of three events at a destination that keeps no order.
            let ordered = try await db.endpoint("ordered", settings: #"options = '{"order": true}'"#)
            let plain = try await db.endpoint("plain")
            let ids = try await db.lines("SELECT postrider.emit('a.b', '{}') FROM generate_series(1, 6)")
            try await db.run("TRUNCATE postrider.webhook_queue")
            for (place, id) in ids.enumerated() {
                try await db.run(
                    """
                    INSERT INTO postrider.webhook_retries (event_id, due_at, destination_id, attempt_number, ordering_key)
                    VALUES ('\(id)', 'infinity', \(place < 3 ? ordered : plain), 1, '\(place < 3 ? "k\(place)" : "k")')
                    """)
            }
            var batches: [Int] = []
            while try await due(db).count < 6, batches.count < 9 {
                let swept = try await db.line("SELECT postrider.sweep_keys(2)")
                batches.append(try #require(Int(swept)))
            }
            #expect(batches.dropLast().allSatisfy { $0 >= 2 } && batches.count >= 2, "\(batches)")
            while try await db.line("SELECT postrider.sweep_keys(2)") != "0" { batches.append(0) }
            #expect(batches.count < 9, "\(batches)")
            #expect(try await db.lines("SELECT ordering_key FROM postrider.webhook_keys ORDER BY 1") == ["k0", "k1", "k2"])
            #expect(try await db.refusal("SELECT postrider.sweep_keys(0)").sqlState == "22023")
        }
    }

    /// Every claim of ordered events waits for that lock, and millions of lines take seconds to read.
    @Test func sweepTakesTheLockOnlyForWhatItChanges() async throws {
        try await withDatabase { db in
            _ = try await line(db)
            let lock = try #require(try NamedQuery.all()["OrderLock"]).sql
            let claimer = try await db.connect()
            try await claimer.run("BEGIN; \(lock)")
            try await db.run("SET lock_timeout = '500ms'")
            #expect(try await db.line("SELECT postrider.sweep_keys()") == "0")
            // Its head is gone: that is done behind whoever changes lines.
            try await db.run("UPDATE postrider.webhook_keys SET headed_at = headed_at - interval '61 s'")
            #expect(try await db.refusal("SELECT postrider.sweep_keys()").sqlState == "55P03")
            try await claimer.run("COMMIT")
            #expect(try await db.line("SELECT postrider.sweep_keys()") == "1")
        }
    }

    @Test func headOfAClockThatHasGoneBackIsSwept() async throws {
        try await withRollback { db in
            let ids = try await line(db, headedAgo: "-1 day")
            #expect(try await db.line("SELECT postrider.sweep_keys()") == "1")
            #expect(try await due(db) == [ids[1]])
        }
    }

    /// Upkeep does nothing while it finds its lock taken, and claims of ordered events would wait as long as it lasts.
    @Test func linesAndUpkeepHaveLocksOfTheirOwn() async throws {
        try await withDatabase { db in
            let lock = try #require(try NamedQuery.all()["OrderLock"]).sql
            let claimer = try await db.connect()
            try await claimer.run("BEGIN; \(lock)")
            try await db.run("BEGIN")
            #expect(try await db.line("SELECT postrider.begin_upkeep()") == "t")
            try await claimer.run("COMMIT; SET lock_timeout = '5s'; BEGIN")
            try await claimer.run(lock)
            try await db.run("COMMIT")
            try await claimer.run("COMMIT")
        }
    }

    @Test func skippingTellsWhyItCannot() async throws {
        try await withRollback { db in
            let ids = try await line(db)
            let skip = "SELECT postrider.skip_key(public_id, 'k') FROM postrider.webhook_destinations"
            try await db.run("SAVEPOINT before")
            await #expect(throws: PostgresError.self, "it is in flight") { try await db.run(skip) }
            try await db.run("ROLLBACK TO before")
            try await db.run(
                "INSERT INTO postrider.webhook_retries (event_id, due_at, destination_id, attempt_number) SELECT head, now(), destination_id, 3 FROM postrider.webhook_keys"
            )
            #expect(try await db.line(skip) == ids[0])
            #expect(try await db.line("SELECT attempts, failure FROM postrider.webhook_dead_letters") == "2|skipped")
            #expect(try await due(db) == [ids[1]])
        }
    }

    /// As a dead letter that failed: by the event's priority, or the option of its destination.
    @Test(arguments: ["high", "normal", "option"])
    func whatIsSkippedIsMarkedAsOtherDeadLettersAre(_ reason: String) async throws {
        try await withRollback { db in
            let ids = try await line(db)
            try await db.run(
                """
                UPDATE postrider.webhook_event_log SET priority = 0 WHERE '\(reason)' = 'high';
                UPDATE postrider.webhook_destinations SET options = options || '{"critical": true}' WHERE '\(reason)' = 'option';
                INSERT INTO postrider.webhook_retries (event_id, due_at, destination_id, attempt_number)
                SELECT head, now(), destination_id, 3 FROM postrider.webhook_keys;
                SELECT postrider.skip_key(public_id, 'k') FROM postrider.webhook_destinations
                """)
            #expect(
                try await db.lines("SELECT event_id, is_critical, replays, archived_at FROM postrider.webhook_dead_letters")
                    == ["\(ids[0])|\(reason == "normal" ? "f" : "t")|0|∅"])
        }
    }

    @Test func nothingIsSkippedByANameThatSeveralHave() async throws {
        try await withRollback { db in
            let ids = try await line(db)
            try await db.run(
                "INSERT INTO postrider.webhook_retries (event_id, due_at, destination_id, attempt_number) SELECT head, now(), destination_id, 3 FROM postrider.webhook_keys"
            )
            let query = try #require(try NamedQuery.all()["OrderSkip"])
            let skip = { (endpoint: String) in
                query.sql.replacing("$1", with: #"'{"endpoint": "\#(endpoint)", "key": "k"}'"#)
            }
            let id = try await db.line("SELECT public_id FROM postrider.webhook_destinations")
            _ = try await db.endpoint("ordered")
            let refused = try await db.refusal(skip("ordered"))
            #expect(refused.message == "2 endpoints and workflows have the name ordered")
            #expect(refused.sqlState == "22023")
            #expect(try await db.refusal(skip("nobody")).sqlState == "P0002")
            #expect(try await db.count("postrider.webhook_dead_letters") == 0)
            #expect(try await db.line(skip(id)) == #"{"endpoint": "ordered", "event_id": "\#(ids[0])"}"#)
        }
    }

    /// Put in line at another, an event would be sent to whom it does not concern, or wait behind a head that nobody sends.
    @Test func eventsAreInLineOnlyWhereTheyAreSent() async throws {
        try await withRollback { db in
            let ordered = #"options = '{"order": true}'"#
            let own = try await db.endpoint("own", settings: "\(ordered), organization_id = 'o1', user_id = 'u1'")
            let all = try await db.endpoint("all", settings: ordered)
            try await db.endpoint("other organization", settings: "\(ordered), organization_id = 'o2'")
            try await db.endpoint("other user", settings: "\(ordered), organization_id = 'o1', user_id = 'u2'")
            try await db.endpoint("other type", events: "c.d", settings: ordered)
            try await db.endpoint("unordered")
            try await db.endpoint("deleted", settings: "\(ordered), deleted_at = now(), is_active = false")
            let emitted = try await db.lines(
                """
                SELECT postrider.emit('a.b', '{}', organization_id => 'o1', user_id => 'u1', ordering_key => 'k')
                FROM generate_series(1, 2)
                """)
            let ids = try emitted.map { try #require(EventID($0)) }
            // One without a key waits for nobody.
            try await db.run("SELECT postrider.emit('a.b', '{}', organization_id => 'o1', user_id => 'u1')")
            let worker = try await db.worker()
            let front = [EventID](repeating: EventID(high: 0, low: 0), count: 3)
            let results = try await db.connection.pipeline([
                ClaimStore.lockOrder(),
                ClaimStore.claimEvents(worker: worker, events: 9, rows: 9, from: front, reading: .everything),
                ClaimStore.enrollOrder(worker: worker),
            ])
            let waiting = Set([own, all].map { DeliveryKey(event: ids[1], destination: $0) })
            #expect(try ClaimStore.readEnrolled(results[2]) == waiting)
            #expect(
                try await db.lines("SELECT destination_id, head FROM postrider.webhook_keys ORDER BY 1")
                    == [own, all].sorted().map { "\($0)|\(ids[0])" })
        }
    }

    /// One event with a key that no index can hold must not keep the others from being claimed.
    @Test func keysThatNoIndexHoldsAreKeptInLine() async throws {
        try await withRollback { db in
            let endpoint = try await db.endpoint("ordered", settings: #"options = '{"order": true}'"#)
            let emitted = try await db.lines(
                """
                SELECT postrider.emit('a.b', '{}', ordering_key => k.key)
                FROM (SELECT string_agg(encode(sha256(n::text::bytea), 'hex'), '') AS key FROM generate_series(1, 64) AS n) AS k,
                     generate_series(1, 3)
                """)
            let ids = try emitted.map { try #require(EventID($0)) }
            let key = try await db.line("SELECT DISTINCT ordering_key FROM postrider.webhook_event_log")
            #expect(key.utf8.count == 4096)
            let worker = try await db.worker()
            let front = [EventID](repeating: EventID(high: 0, low: 0), count: 3)
            let results = try await db.connection.pipeline([
                ClaimStore.lockOrder(),
                ClaimStore.claimEvents(worker: worker, events: 9, rows: 9, from: front, reading: .everything),
                ClaimStore.enrollOrder(worker: worker),
            ])
            let waiting = Set(ids.dropFirst().map { DeliveryKey(event: $0, destination: endpoint) })
            #expect(try ClaimStore.readEnrolled(results[2]) == waiting)
            // Workers name the key as the event has it, and so may people.
            var settlement = Settlement()
            settlement.release(event: ids[0], destination: endpoint, key: key)
            try await db.settle(settlement, worker)
            #expect(try await due(db) == ["\(ids[1])"])
            let shown = "SELECT ordering_key = 'sha256:' || encode(sha256('\(key)'::bytea), 'hex') FROM postrider.webhook_keys"
            #expect(try await db.line(shown) == "t")
            try await db.run("SELECT postrider.skip_key(public_id, '\(key)') FROM postrider.webhook_destinations")
            #expect(try await due(db) == ["\(ids[2])"])
        }
    }
}
