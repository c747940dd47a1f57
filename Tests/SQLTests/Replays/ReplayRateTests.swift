// How fast a replay makes deliveries due.

import OutboxStore
import Postgres
import Testing

@Suite struct ReplayRateTests {
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
            try await db.run("UPDATE postrider.webhook_replays SET due_to = due_to + interval '0.9 seconds'")
            #expect(try await ReplayStore.next(replay, on: db.connection).scheduled == 0)
            #expect(try await db.line("SELECT max(due_at) < clock_timestamp() + interval '1.1 seconds' FROM postrider.webhook_retries") == "t")
            #expect(try await db.count("postrider.webhook_retries") == step.scheduled)
            // What was not sent for a while is not caught up with: no burst.
            try await db.run("UPDATE postrider.webhook_replays SET due_to = now() - interval '1 hour'; DELETE FROM postrider.webhook_retries")
            #expect((20...21).contains(try await ReplayStore.next(replay, on: db.connection).scheduled))
            // Nor does anybody wait for a clock that has gone back.
            try await db.run("UPDATE postrider.webhook_replays SET due_to = now() + interval '1 day'; DELETE FROM postrider.webhook_retries")
            #expect((20...21).contains(try await ReplayStore.next(replay, on: db.connection).scheduled))
            #expect(try await db.line("SELECT due_to < clock_timestamp() + interval '5 minutes' FROM postrider.webhook_replays") == "t")
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
}
