// Drivers of replays: cut off, at once, paused.

import OutboxStore
import Postgres
import Testing

@Suite struct ReplayDriverTests {
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
                        while batches < 76,
                            try await ReplayStore.next(replayIDs[number % replays], most: 20, on: connection).state == "running"
                        { batches += 1 }
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
}
