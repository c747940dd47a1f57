// Two workers that look after the same claim at the same moment.

import Foundation
import Postgres
import TestSupport
import Testing

@Suite struct RescueRaceTests {
    /// The statements that take claims whose holder is dead, and a claim that each would take.
    private static let statements = [
        ("ClaimSweep", rescues: 0, events: 2), ("ClaimIsolate", rescues: 3, events: 2), ("ClaimSuspect", rescues: 3, events: 1),
    ]

    /// A sweep that began before another worker took the claim, and reaches its row afterwards, must leave it alone.
    @Test(arguments: statements)
    func claimThatWasTakenMeanwhileIsLeftAlone(name: String, rescues: Int, events: Int) async throws {
        let query = try #require(try NamedQuery.all()[name])
        let place = try #require(query.sql.range(of: "webhook_claims AS c\n    WHERE "))
        // Its snapshot is taken, and no row is looked at before the test lets go of this lock.
        let delayed = query.sql.replacingCharacters(
            in: place, with: "webhook_claims AS c\n    WHERE (SELECT pg_advisory_lock(99)) IS NOT NULL AND ")
        try await withDatabase { db in
            let (first, second) = (try await db.worker("first"), try await db.worker("second"))
            try await db.run(
                """
                INSERT INTO postrider.webhook_claims (worker_id, event_ids, rescues)
                SELECT 0, array_agg(postrider.next_event_id()), \(rescues) FROM generate_series(1, \(events))
                """)
            let late = try await db.connect()
            try await db.run("SELECT pg_advisory_lock(99)")
            let sweep = Task {
                let parameters: [Value] = name == "ClaimIsolate" ? [] : name == "ClaimSweep" ? [.int8(second), .int4(9)] : [.int8(second)]
                return try await late.query(Statement(name: "late", sql: delayed, prepare: false), parameters).count
            }
            try await eventually("the sweep to wait") {
                try await db.count(
                    """
                    pg_locks WHERE locktype = 'advisory' AND objid = 99 AND NOT granted
                        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
                    """) > 0
            }
            try await db.run("UPDATE postrider.webhook_claims SET worker_id = \(first)")
            try await db.run("SELECT pg_advisory_unlock(99)")
            #expect(try await sweep.value == 0)
            #expect(try await db.lines("SELECT worker_id, rescues FROM postrider.webhook_claims") == ["\(first)|\(rescues)"])
        }
    }
}
