// That a batch of a replay reads its part of the history and no more.

import OutboxStore
import Postgres
import Testing

@Suite struct ReplayPlanTests {
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
