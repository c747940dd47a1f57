// Replays beside whoever deletes or activates the destinations that they send to.

import OutboxStore
import Postgres
import TestSupport
import Testing

@Suite struct ReplayLockTests {
    /// Two deliveries that wait, the later event first, so that a scan in the order of due dates meets it first.
    private func waiting(_ db: TestDatabase, _ endpoint: Int32, due: String) async throws -> [String] {
        try await db.history(2)
        let ids = try await db.lines("SELECT id FROM postrider.webhook_event_log ORDER BY id")
        for (id, hours) in zip(ids.reversed(), 1...) {
            try await db.run(
                """
                INSERT INTO postrider.webhook_retries (event_id, due_at, destination_id, attempt_number)
                VALUES ('\(id)', \(due) + interval '\(hours) hours', \(endpoint), 2)
                """)
        }
        return ids
    }

    /// One takes what waits in the order of due dates, the other in that of events; a third holds the later event until both wait.
    @Test(arguments: [
        ("DELETE FROM postrider.webhook_endpoints", "clock_timestamp()"),
        ("UPDATE postrider.webhook_destinations SET is_active = true", "timestamptz 'infinity'"),
    ])
    func replayAndChangeOfADestinationDoNotWaitForEachOther(change: String, due: String) async throws {
        try await withDatabase { db in
            let endpoint = try await db.endpoint("busy", settings: "is_active = \(due.contains("infinity") ? "false" : "true")")
            let ids = try await waiting(db, endpoint, due: due)
            let replay = try await db.replay(#""what": "backfill", "endpoint": "busy""#)
            let (holder, changer, driver, watcher) =
                (try await db.connect(), try await db.connect(), try await db.connect(), try await db.connect())
            try await holder.run("BEGIN; SELECT FROM postrider.webhook_retries WHERE event_id = '\(ids[1])' FOR UPDATE")
            async let changed = changer.lines("\(change) RETURNING 1")
            try await blocked(changer, seenBy: watcher)
            let schedule = """
                SELECT scheduled FROM postrider.replay_schedule(\(replay), '{\(ids[0]),\(ids[1])}', '{\(endpoint),\(endpoint)}',
                                                                '{3,3}', 0, 0, '\(ids[1])', \(endpoint), true)
                """
            async let scheduled = driver.lines(schedule)
            try await blocked(driver, seenBy: watcher)
            try await holder.run("COMMIT")
            #expect(try await changed == ["1"])
            // Of a destination that was deleted meanwhile nothing is scheduled.
            let isDeleted = change.hasPrefix("DELETE")
            #expect(try await scheduled == [isDeleted ? "0" : "2"])
            #expect(try await db.count("postrider.webhook_retries WHERE due_at < 'infinity'") == (isDeleted ? 0 : 2))
        }
    }

    private func blocked(_ one: Connection, seenBy watcher: Connection) async throws {
        let process = one.processID
        try await eventually("session \(process) to wait") {
            try await watcher.lines("SELECT cardinality(pg_blocking_pids(\(process)))") != ["0"]
        }
    }
}
