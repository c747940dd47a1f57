// Payload filters of the program in a backfill.

import Outbox
import OutboxStore
import Postgres
import Testing

@Suite struct ReplayFilterTests {
    @Test func filterOfTheProgramDecidesWhatABackfillSends() async throws {
        try await withDatabase { db in
            try await db.history(10)
            try await db.run(
                """
                INSERT INTO postrider.webhook_event_log (event_type, data)
                SELECT 'a.b', jsonb_build_object('n', 12, 'pad', (SELECT string_agg(md5(i::text), '') FROM generate_series(1, 3000) AS i));
                DELETE FROM postrider.webhook_queue
                """)
            try await db.endpoint("late", settings: #"options = '{"filter": {"n": [0]}}'"#)
            let replay = try await db.replay(#""what": "backfill", "endpoint": "late""#)
            var step: ReplayStore.Step
            var steps = 0
            repeat {
                step = try await ReplayStore.next(
                    replay, most: 4,
                    reading: { text in
                        #expect(text == #"{"n": [0]}"#)
                        return { event in String(decoding: event.data, as: UTF8.self).contains(/"n": \d*[02468]\b/) }
                    },
                    on: db.connection)
                steps += 1
            } while step.state == "running" && steps < 100
            #expect(try await db.scheduledNumbers() == "2,4,6,8,10,12")
            #expect(try await db.line("SELECT scheduled, filtered, without_payload FROM postrider.webhook_replays") == "6|5|0")
        }
    }

    /// Somebody changes it, takes it away and gives it back while the replay goes on.
    @Test func eachBatchIsAskedTheFilterOfItsTime() async throws {
        try await withDatabase { db in
            try await db.history(8)
            try await db.endpoint("late", settings: #"options = '{"filter": {"n": [1, 3]}}'"#)
            let replay = try await db.replay(#""what": "backfill", "endpoint": "late""#)
            for filter in ["", #"{"filter": {"n": [4]}}"#, "{}", #"{"filter": {"n": [8]}}"#] {
                if !filter.isEmpty { try await db.run("UPDATE postrider.webhook_endpoints SET options = '\(filter)'") }
                _ = try await ReplayStore.next(
                    replay, most: 2,
                    reading: { text in
                        let filter = try PayloadFilter(parsing: Array(text.utf8))
                        return { filter.matches(try ParsedPayload(parsing: $0.data)) }
                    },
                    on: db.connection)
            }
            #expect(try await db.scheduledNumbers() == "1,4,5,6,8")
            #expect(try await db.line("SELECT scheduled, filtered FROM postrider.webhook_replays") == "5|3")
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
                try await ReplayStore.next(replay, reading: { _ in { _ in throw Unexpected(what: "filter") } }, on: db.connection)
            }
            #expect(try await db.count("postrider.webhook_retries") == 0)
            #expect(try await db.lines("SELECT state, filtered FROM postrider.webhook_replays") == ["running|0"])
        }
    }
}
