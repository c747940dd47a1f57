// Which criteria a replay takes, and which it refuses.

import OutboxStore
import Postgres
import TestSupport
import Testing

@Suite struct ReplayCriteriaTests {
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
        (
            #"{"what": "deliveries", "delivery": "01900000-0000-7000-8000-000000000001", "endpoint": "twice"}"#,
            "a delivery is of one event and one endpoint: name it alone"
        ),
        (
            #"{"what": "deliveries", "event": "01900000-0000-7000-8000-000000000001", "since_s": 60}"#,
            "a delivery or event that is named has a time of its own: no since or until"
        ),
        (#"{"what": "deliveries", "type": "*", "critical": true}"#, "critical is of dead_letters"),
        (#"{"what": "dead_letters", "status": "success"}"#, "dead letters were not delivered: their status is failed"),
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

    /// Who got the events of weeks whose attempts retention may remove is not known: all would be sent again.
    @Test func backfillOfATimeWithoutAttemptsIsRefused() async throws {
        try await withRollback { db in
            try await db.run(OldWeeks.sql)
            try await db.run(
                """
                INSERT INTO postrider.webhook_event_log (id, event_type, data)
                SELECT postrider.event_id_at(now() - interval '29 days'), 'a.b', '{}'
                """)
            let endpoint = try await db.endpoint("late")
            let order = { (times: String) in
                #"SELECT postrider.start_replay('{"what": "backfill", "endpoint": "late", \#(times)}')"#
            }
            // 150 days, of which it was not there.
            let long = order(#""since_s": 12960000"#)
            #expect(try await db.line(long) != "")
            try await db.run(
                "UPDATE postrider.webhook_destinations SET created_at = now() - interval '120 days' WHERE id = \(endpoint)")
            let refused = try await db.refusal(long)
            #expect(refused.sqlState == "22023")
            #expect(refused.message.hasPrefix("retention removed the attempts of events before "))
            #expect(refused.hint?.hasPrefix("Give it since that time, or until ") == true)
            let old = try await db.line("SELECT id FROM postrider.webhook_event_log ORDER BY id LIMIT 1")
            for times in [#""since_s": 2592000"#, #""since_s": 12960000, "until_s": 10450000"#, #""event": "\#(old)""#] {
                #expect(try await db.line(order(times)) != "", "\(times)")
            }
            try await db.run("UPDATE postrider.webhook_retention SET keep_events = NULL, keep_attempts = NULL")
            let id = try await db.line(long)
            // It had begun, and was paused, when attempts went: to keep them for longer now does not bring them back.
            let next = "SELECT state FROM postrider.replay_next(\(id), 10)"
            #expect(try await db.line(next) == "running")
            try await db.run(
                """
                SELECT postrider.remember_removal('webhook_attempts', id) FROM postrider.webhook_event_log ORDER BY id DESC LIMIT 1
                """)
            let failed = "failed|retention removed the attempts of events before "
            let state = "SELECT state, error, ended_at IS NOT NULL FROM postrider.webhook_replays WHERE id = \(id)"
            #expect(try await db.line(next) == "failed")
            let ended = try await db.line(state)
            #expect(ended.hasPrefix(failed) && ended.hasSuffix(" A single event can be named.|t"), "\(ended)")
            // For good, whoever drives it.
            #expect(try await db.line("SELECT scheduled, replay_state FROM postrider.replay_batch(\(id), 10)") == "0|failed")
            #expect(try await db.line(state) == ended)
            #expect(try await db.refusal(long).sqlState == "22023")
        }
    }

    /// Attempts that may go and have not gone yet are kept again: it goes on where it was.
    @Test func failedBackfillIsTakenUpAgainWhenAttemptsAreKeptForLonger() async throws {
        try await withRollback { db in
            try await db.run(OldWeeks.sql)
            let endpoint = try await db.endpoint("late")
            try await db.run(
                """
                UPDATE postrider.webhook_destinations SET created_at = now() - interval '120 days' WHERE id = \(endpoint);
                UPDATE postrider.webhook_retention SET keep_events = NULL, keep_attempts = NULL
                """)
            let id = try await db.line(
                #"SELECT postrider.start_replay('{"what": "backfill", "endpoint": "late", "since_s": 12960000}')"#)
            let next = "SELECT state FROM postrider.replay_next(\(id), 10)"
            let resume = {
                _ = try await AdminStore.run(.replaySwitch, Array(#"{"id": \#(id), "state": "running"}"#.utf8), on: db.connection)
            }
            let state = "SELECT state, error IS NULL, ended_at IS NULL FROM postrider.webhook_replays WHERE id = \(id)"
            try await db.run("UPDATE postrider.webhook_retention SET keep_attempts = '30 days'")
            #expect(try await db.line(next) == "failed")
            try await resume()
            #expect(try await db.line(next) == "failed")
            #expect(try await db.line(state) == "failed|f|f")
            try await db.run("UPDATE postrider.webhook_retention SET keep_attempts = NULL")
            try await resume()
            #expect(try await db.line(state) == "running|t|t")
            #expect(try await db.line(next) == "running")
        }
    }
}
