// Forgetting a person: payloads and answers go, ids, types, times and statuses stay, and nothing is sent afterwards.

import Outbox
import OutboxStore
import Postgres
import Testing

@Suite struct ForgetUserTests {
    private static let marker = #"{"postrider": "payload removed"}"#

    /// Three settled events of two persons, the last of another organization, each with a failed and a delivered attempt.
    private func settledEvents(_ db: TestDatabase) async throws {
        try await db.run(
            """
            INSERT INTO postrider.webhook_events (event_type, data, user_id, organization_id, record_id, ordering_key)
            VALUES ('a.b', '{"name": "Ann"}', 'ann', 'acme', 'ann', 'k'), ('a.b', '{"name": "Bob"}', 'bob', 'acme', '7', 'k'),
                   ('a.c', '{"name": "Ann"}', 'ann', 'other', '8', 'ann');
            DELETE FROM postrider.webhook_queue;
            INSERT INTO postrider.webhook_attempts (event_id, attempted_at, worker_id, destination_id, duration_us,
                attempt_number, outcome, status_code, failure, error_message, response_body)
            SELECT e.id, now(), 1, 1, 1000, n, 2 - n, 400 - 200 * (n - 1), CASE n WHEN 1 THEN 'client_error' END,
                   CASE n WHEN 1 THEN 'no such ' || e.user_id END, 'answer about ' || e.user_id
            FROM postrider.webhook_event_log AS e, generate_series(1, 2) AS n
            """)
    }

    private func state(_ db: TestDatabase) async throws -> [String] {
        try await db.lines(
            """
            SELECT e.event_type, e.user_id, e.data, e.status, string_agg(concat_ws(',', a.attempt_number, a.status_code, a.failure,
                   a.error_message, a.response_body), ' ' ORDER BY a.attempt_number)
            FROM postrider.webhook_events AS e JOIN postrider.webhook_attempts AS a ON a.event_id = e.id
            GROUP BY e.id, e.event_type, e.user_id, e.data, e.status ORDER BY e.user_id, e.event_type
            """)
    }

    @Test func whatTheEventsHoldGoesAndTheTrailStays() async throws {
        try await withRollback { db in
            try await settledEvents(db)
            try await db.run(
                """
                INSERT INTO postrider.webhook_dead_letters (event_id, destination_id, attempts, failure, error_message)
                SELECT id, 2, 6, 'client_error', 'no such ' || user_id FROM postrider.webhook_event_log
                """)
            let forgotten = try await db.line("SELECT events, attempts, dropped, finished FROM postrider.forget_user('ann')")
            #expect(forgotten == "2|4|0|t")
            #expect(
                try await state(db) == [
                    "a.b|ann|\(Self.marker)|failed|1,400,client_error 2,200",
                    "a.c|ann|\(Self.marker)|failed|1,400,client_error 2,200",
                    #"a.b|bob|{"name": "Bob"}|failed|1,400,client_error,no such bob,answer about bob 2,200,answer about bob"#,
                ])
            #expect(
                try await db.lines("SELECT failure, error_message FROM postrider.webhook_dead_letters ORDER BY 2 NULLS FIRST")
                    == ["client_error|∅", "client_error|∅", "client_error|no such bob"])
            #expect(try await db.line("SELECT events, attempts, dropped, finished FROM postrider.forget_user('ann')") == "0|0|0|t")
        }
    }

    /// ANALYZE keeps samples of what it reads, which no erasure looks through; those of secrets are not sealed either.
    @Test func statisticsHoldNothingOfPersonsAndNoSecret() async throws {
        try await withRollback { db in
            for _ in 0..<2 { try await settledEvents(db) }
            try await db.run(
                """
                INSERT INTO postrider.webhook_dead_letters (event_id, destination_id, attempts, failure, error_message)
                SELECT id, 2, 6, 'client_error', 'no such ' || user_id FROM postrider.webhook_event_log;
                INSERT INTO postrider.webhook_destinations (kind, name, url, event_types, user_id, headers)
                SELECT 'endpoint', 'e' || n, 'https://example.com/token-of-ann', '{*}', 'ann', '{"Authorization": "Bearer of ann"}'
                FROM generate_series(1, 2) AS n;
                INSERT INTO postrider.webhook_secrets (destination_id, version, secret)
                SELECT id, 1, 'that of ann' FROM postrider.webhook_destinations;
                INSERT INTO postrider.webhook_settings (name, value) VALUES ('A', 'that of ann'), ('B', 'that of ann');
                INSERT INTO postrider.webhook_replays (what, criteria, from_id, to_id, per_second, done_event_id)
                SELECT 'deliveries', '{"what": "deliveries", "user_id": "ann"}', id, id, 1, id
                FROM generate_series(1, 2), LATERAL (SELECT postrider.event_id_at(now()) AS id) AS e;
                ANALYZE postrider.webhook_replays, postrider.webhook_event_log, postrider.webhook_attempts, postrider.webhook_dead_letters,
                        postrider.webhook_destinations, postrider.webhook_secrets, postrider.webhook_settings,
                        postrider.webhook_audit_log
                """)
            let sampled = """
                SELECT DISTINCT regexp_replace(tablename, '_\\d+_\\d+$', '') || '.' || attname FROM pg_stats
                WHERE schemaname = 'postrider' AND concat(most_common_vals, histogram_bounds) ~*
                """
            #expect(try await db.lines("\(sampled) 'ann|bob' ORDER BY 1") == [])
            // So ANALYZE did read those rows, in the weeks too.
            let read = try await db.lines("\(sampled) 'client_error|a\\.b|acme' ORDER BY 1")
            #expect(
                Set(read).isSuperset(of: [
                    "webhook_attempts.failure", "webhook_dead_letters.failure", "webhook_event_log.event_type",
                    "webhook_event_log.organization_id",
                ]))
        }
    }

    @Test func otherOrganizationsAndLaterEventsAreNotTouched() async throws {
        try await withRollback { db in
            try await settledEvents(db)
            #expect(try await db.line("SELECT events FROM postrider.forget_user('ann', 'acme')") == "1")
            #expect(
                try await db.lines("SELECT organization_id FROM postrider.webhook_events WHERE NOT postrider.is_removed(data) ORDER BY 1") == [
                    "acme", "other",
                ])
            try await db.run("SELECT postrider.emit('user.erased', '{\"user\": \"ann\"}', user_id => 'ann')")
            #expect(try await db.line("SELECT state FROM postrider.erase_batch()") == "∅")
            #expect(try await db.count("postrider.webhook_events WHERE user_id = 'ann' AND NOT postrider.is_removed(data)") == 2)
        }
    }

    /// An application may make its ids by a clock that is ahead.
    @Test func eventsWhoseIdsAreAheadAreForgottenToo() async throws {
        try await withRollback { db in
            func emit(_ type: String, ahead: String) async throws {
                try await db.run(
                    """
                    INSERT INTO postrider.webhook_events (id, event_type, data, user_id)
                    VALUES (postrider.event_id_at(clock_timestamp() + interval '\(ahead)'), '\(type)', '{"name": "Ann"}', 'ann')
                    """)
            }
            try await emit("a.soon", ahead: "5 seconds")
            try await emit("a.later", ahead: "3 days")
            try await db.run("DELETE FROM postrider.webhook_queue")
            #expect(try await db.line("SELECT events, finished FROM postrider.forget_user('ann')") == "2|t")
            try await emit("a.new", ahead: "1 day")
            try await db.run("DELETE FROM postrider.webhook_queue")
            #expect(try await db.line("SELECT events, finished FROM postrider.forget_user('bob')") == "0|t")
            #expect(
                try await db.lines("SELECT event_type FROM postrider.webhook_events WHERE NOT postrider.is_removed(data)") == ["a.new"])
        }
    }

    @Test func idIsReplacedWhereItStandsWhenThatIsAskedFor() async throws {
        try await withRollback { db in
            try await settledEvents(db)
            try await db.run("SELECT postrider.forget_user('ann')")
            #expect(try await db.line("SELECT events, finished FROM postrider.forget_user('ann', also_id => true)") == "2|t")
            let subject = try await db.line("SELECT 'erased:' || encode(sha256('ann'), 'hex')")
            #expect(
                try await db.lines(
                    "SELECT user_id, record_id, ordering_key FROM postrider.webhook_events WHERE user_id <> 'bob' ORDER BY id")
                    == ["\(subject)|∅|k", "\(subject)|8|∅"])
            #expect(try await db.line("SELECT events FROM postrider.forget_user('ann', also_id => true)") == "0")
        }
    }

    @Test func whatIsRecordedOfItDoesNotNameThePerson() async throws {
        try await withRollback { db in
            try await settledEvents(db)
            try await db.run("SELECT postrider.forget_user('ann')")
            let subject = try await db.line("SELECT encode(sha256('ann'), 'hex')")
            #expect(
                try await db.lines(
                    "SELECT action, object_kind, object_id, after -> 'events' FROM postrider.webhook_audit_log WHERE object_kind = 'user' ORDER BY id"
                )
                    == ["forget|user|\(subject)|∅", "forgotten|user|\(subject)|2"])
            #expect(
                try await db.count(
                    """
                    (SELECT to_jsonb(l)::text AS line FROM postrider.webhook_audit_log AS l
                     UNION ALL SELECT to_jsonb(e)::text FROM postrider.webhook_erasures AS e) AS t WHERE line LIKE '%"ann"%'
                    """) == 0)
        }
    }

    @Test func deliveriesThatWouldBeTriedAgainAreDroppedWithTheReason() async throws {
        try await withRollback { db in
            try await settledEvents(db)
            try await db.run(
                """
                INSERT INTO postrider.webhook_retries (event_id, due_at, destination_id, attempt_number)
                SELECT id, 'infinity', 1, 3 FROM postrider.webhook_event_log
                """)
            #expect(try await db.line("SELECT dropped, finished FROM postrider.forget_user('ann')") == "2|t")
            #expect(
                try await db.lines("SELECT e.user_id FROM postrider.webhook_retries JOIN postrider.webhook_events AS e ON e.id = event_id") == ["bob"]
            )
            #expect(
                try await db.lines(
                    """
                    SELECT d.status, d.attempt_number, d.failure, d.error_message, e.status FROM postrider.webhook_deliveries AS d
                    JOIN postrider.webhook_events AS e ON e.id = d.webhook_event_id WHERE e.user_id = 'ann'
                    """) == Array(repeating: "skipped|3|erased|not sent: the payload was erased|completed", count: 2))
        }
    }

    @Test func passGoesOnWhereItStopped() async throws {
        try await withDatabase { db in
            try await db.run(
                """
                INSERT INTO postrider.webhook_events (event_type, data, user_id)
                SELECT 'a.b', '{"x": 1}', CASE n % 10 WHEN 0 THEN 'ann' ELSE 'bob' END FROM generate_series(1, 1000) AS n;
                DELETE FROM postrider.webhook_queue;
                INSERT INTO postrider.webhook_erasures (subject, user_id) VALUES ('hash', 'ann')
                """)
            var erased = 0
            var states: [String] = []
            // Each batch on a connection of its own, as if the one before had died.
            while states.last != "finished", states.count < 20 {
                let other = try await db.connect()
                let batch = try await other.lines("SELECT events, state FROM postrider.erase_batch(most => 300)")[0].split(separator: "|")
                erased += Int(batch[0]) ?? 0
                states.append(String(batch[1]))
                let done = try await db.count("postrider.webhook_event_log WHERE postrider.is_removed(data)")
                #expect(done == erased)
            }
            #expect(states == ["goes on", "goes on", "goes on", "finished"] && erased == 100)
            #expect(try await db.count("postrider.webhook_event_log WHERE user_id = 'bob' AND data = '{\"x\": 1}'") == 900)
            #expect(try await db.line("SELECT state FROM postrider.erase_batch()") == "∅")
        }
    }

    @Test func eventOfATransactionThatWasOpenIsErasedToo() async throws {
        try await withDatabase { db in
            let open = try await db.connect()
            try await open.run("BEGIN; SELECT postrider.emit('a.b', '{\"x\": 1}', user_id => 'ann')")
            #expect(try await db.line("SELECT events, finished FROM postrider.forget_user('ann')") == "0|f")
            #expect(try await db.line("SELECT state FROM postrider.erase_batch(1)") == "waits")
            try await open.run("COMMIT")
            #expect(try await db.line("SELECT events, state FROM postrider.erase_batch(1)") == "1|waits")
            #expect(try await db.line("SELECT data FROM postrider.webhook_events") == Self.marker)
            // A worker takes it from the queue and finds nothing to send.
            let worker = try await db.worker()
            let claim = try #require(try await db.claim(worker))
            #expect(claim.work.map(\.event.isErased) == [true])
            var settlement = Settlement()
            settlement.finish(claim: claim.id)
            try await db.settle(settlement, worker)
            #expect(try await db.line("SELECT state FROM postrider.erase_batch(1)") == "finished")
        }
    }

    /// The functions run as the owner of the schema, to whom Postgres says little of the sessions of others.
    @Test func openTransactionOfAnotherRoleIsSeenWithoutRightsToStatistics() async throws {
        try await withMembers { db, members in
            try await db.run(
                """
                GRANT USAGE ON SCHEMA postrider TO \(members.outsider);
                GRANT EXECUTE ON FUNCTION postrider.is_over(xid8) TO \(members.outsider)
                """)
            let isOver = "SELECT postrider.is_over(pg_current_xact_id())"
            let plain = try await db.connect(as: members.outsider)
            let open = try await db.connect()
            try await open.run("BEGIN; SELECT postrider.emit('a.b', '{\"x\": 1}', user_id => 'ann')")
            #expect(try await plain.lines(isOver) == ["f"])
            try await open.run("COMMIT")
            #expect(try await plain.lines(isOver) == ["t"])
        }
    }

    @Test func answerToARequestInFlightIsErasedWhenItCame() async throws {
        try await withDatabase { db in
            let endpoint = try await db.endpoint()
            let worker = try await db.worker()
            for person in ["ann", "ann", "bob"] {
                try await db.run("SELECT postrider.emit('a.b', '{\"x\": 1}', user_id => '\(person)')")
            }
            let claim = try #require(try await db.claim(worker))
            #expect(try await db.line("SELECT events, finished FROM postrider.forget_user('ann')") == "2|f")
            var settlement = Settlement()
            settlement.deliver(claim.ids[0], endpoint, body: "hello Ann")
            settlement.fail(claim.ids[1], endpoint, next: .retry(afterMilliseconds: 0), claim: claim.id)
            settlement.deliver(claim.ids[2], endpoint, body: "hello Bob")
            settlement.finish(claim: claim.id)
            try await db.settle(settlement, worker)
            #expect(try await db.line("SELECT state FROM postrider.erase_batch(1)") == "finished")
            #expect(try await db.lines("SELECT response_body FROM postrider.webhook_attempts WHERE response_body IS NOT NULL") == ["hello Bob"])
            #expect(try await db.count("postrider.webhook_retries") == 0)
            #expect(
                try await db.lines("SELECT outcome, failure, error_message FROM postrider.webhook_attempts WHERE outcome <> 0 ORDER BY 1")
                    == ["1|server_error|∅", "4|erased|not sent: the payload was erased"])
        }
    }

    /// Another worker has told of the event by then.
    @Test func workerThatDiedWhileItRecordedIsWaitedFor() async throws {
        try await withDatabase { db in
            let endpoint = try await db.endpoint()
            let worker = try await db.worker()
            try await db.run("SELECT postrider.emit('a.b', '{\"x\": 1}', user_id => 'ann')")
            let claim = try #require(try await db.claim(worker))
            #expect(try await db.line("SELECT events, finished FROM postrider.forget_user('ann')") == "1|f")
            let hung = try await db.connect()
            try await hung.run("BEGIN")
            var settlement = Settlement()
            settlement.deliver(claim.ids[0], endpoint, body: "hello Ann")
            try await hung.pipeline(settlement.steps(worker: worker, number: TestDatabase.settlementNumber(), now: 0))
            try await db.run(
                "UPDATE postrider.webhook_workers SET alive = false WHERE id = \(worker); DELETE FROM postrider.webhook_claims")
            #expect(try await db.line("SELECT state FROM postrider.erase_batch(1)") == "waits")
            // Rows of workers go after a week.
            try await db.run("DELETE FROM postrider.webhook_workers WHERE id = \(worker)")
            #expect(try await db.line("SELECT state FROM postrider.erase_batch(1)") == "waits")
            try await hung.run("COMMIT")
            #expect(try await db.line("SELECT state FROM postrider.erase_batch(1)") == "finished")
            #expect(try await db.count("postrider.webhook_attempts") == 1)
            #expect(try await db.count("postrider.webhook_attempts WHERE response_body IS NOT NULL") == 0)
        }
    }

    @Test func replayInFlightIsWaitedForAndDropped() async throws {
        try await withDatabase { db in
            try await db.endpoint()
            try await settledEvents(db)
            let replayer = try await db.connect()
            try await replayer.run("BEGIN")
            let event = try await db.line("SELECT id FROM postrider.webhook_events WHERE event_type = 'a.c'")
            let replay = "SELECT postrider.replay_batch(postrider.start_replay('{\"what\": \"deliveries\", \"event\": \"\(event)\"}'))"
            try await replayer.run(replay)
            #expect(try await db.line("SELECT events, finished FROM postrider.forget_user('ann')") == "0|f")
            try await replayer.run("COMMIT")
            #expect(try await db.count("postrider.webhook_retries") == 1)
            #expect(try await db.line("SELECT events FROM postrider.erase_batch(1)") == "2")
            #expect(try await db.count("postrider.webhook_retries") == 0)
            // And nobody can ask for it again.
            try await db.run(replay)
            #expect(try await db.count("postrider.webhook_retries") == 0)
            #expect(try await db.count("postrider.webhook_audit_log WHERE object_kind = 'replay' AND action = 'create'") == 2)
        }
    }

    @Test func callerWhoseSnapshotIsOldLeavesItToWorkers() async throws {
        try await withDatabase { db in
            try await settledEvents(db)
            let line = try await db.line(
                "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT events, finished FROM postrider.forget_user('ann')")
            #expect(line == "0|f")
            try await db.run("COMMIT")
            let steps = try await MaintenanceStore.round(on: db.connection)
            #expect(steps.contains(MaintenanceStore.Step(task: "erase", table: "webhook_event_log", rows: 2)))
            #expect(try await db.count("postrider.webhook_erasures WHERE finished_at IS NULL") == 0)
        }
    }

    @Test func onlyAdministratorsForget() async throws {
        try await withMembers { db, members in
            for role in Role.allCases where role != .admin {
                let connection = try await members.connect(role)
                #expect(try await connection.refusal("SELECT postrider.forget_user('ann')").sqlState == "42501")
            }
            try await settledEvents(db)
            let admin = try await members.connect(.admin)
            #expect(try await admin.lines("SELECT events, finished FROM postrider.forget_user('ann')") == ["2|t"])
            let auditor = try await members.connect(.auditor)
            #expect(try await auditor.refusal("SELECT user_id FROM postrider.webhook_erasures").sqlState == "42501")
            #expect(try await auditor.lines("SELECT events, requested_by FROM postrider.webhook_erasures") == ["2|\(members[.admin])"])
            #expect(try await db.refusal("SELECT postrider.forget_user('')").sqlState == "22023")
        }
    }

    @Test func erasureOfAClockThatHasGoneBackGoesOn() async throws {
        try await withRollback { db in
            try await db.run(
                "INSERT INTO postrider.webhook_erasures (subject, user_id, look_at) VALUES ('x', 'ann', clock_timestamp() + interval '30 s')")
            #expect(try await db.line("SELECT erasure_id FROM postrider.erase_batch()") == "∅", "it waits")
            try await db.run("UPDATE postrider.webhook_erasures SET look_at = look_at + interval '1 day'")
            #expect(try await db.line("SELECT erasure_id IS NOT NULL FROM postrider.erase_batch()") == "t")
        }
    }

    /// The line of an ordering key has its name, which may be the person's id.
    @Test func deadLetterOfAPersonHoldsUpNoKeyOfItsName() async throws {
        try await withRollback { db in
            let endpoint = try await db.endpoint("ordered", settings: #"options = '{"order": true}'"#)
            try await settledEvents(db)
            let head = try await db.line("SELECT id FROM postrider.webhook_event_log WHERE event_type = 'a.c'")
            let behind = try await db.line("SELECT id FROM postrider.webhook_event_log WHERE user_id = 'bob'")
            try await db.run(
                """
                INSERT INTO postrider.webhook_dead_letters (event_id, destination_id, attempts) VALUES ('\(head)', \(endpoint), 6);
                INSERT INTO postrider.webhook_keys (destination_id, ordering_key, head) VALUES (\(endpoint), 'ann', '\(head)');
                INSERT INTO postrider.webhook_retries (event_id, due_at, destination_id, attempt_number, ordering_key)
                VALUES ('\(behind)', 'infinity', \(endpoint), 1, 'ann')
                """)
            try await db.run("SAVEPOINT before; SELECT postrider.forget_user('ann')")
            #expect(try await db.line("SELECT head FROM postrider.webhook_keys") == head, "only with the id")
            try await db.run("ROLLBACK TO before; SELECT postrider.forget_user('ann', also_id => true)")
            #expect(try await db.line("SELECT event_id FROM postrider.webhook_retries WHERE due_at < 'infinity'") == behind)
            try await db.run("DELETE FROM postrider.webhook_retries")
            #expect(try await db.line("SELECT postrider.release_keys('{\(endpoint)}', '{ann}', '{\(behind)}')") == "0")
            #expect(try await db.count("postrider.webhook_keys") == 0)
        }
    }
}
