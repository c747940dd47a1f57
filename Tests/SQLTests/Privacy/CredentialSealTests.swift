// Sealing credentials of headers while somebody changes them.

import OutboxStore
import Postgres
import TestSupport
import Testing

@Suite struct CredentialSealTests {
    /// What was read before the row was locked would be sealed over what came meanwhile.
    @Test func headersThatChangeBeforeTheyAreLockedAreTakenAsTheyAreThen() async throws {
        try await withDatabase { db in
            for name in ["one", "two"] { try await db.endpoint(name, settings: #"headers = '{"authorization": "old", "x-b": "1"}'"#) }
            let take = try #require(try NamedQuery.all()["HeaderTake"]).sql
            // Waits between its snapshot and its first row.
            let slow = take.replacing("WHERE d.id > $1", with: "WHERE pg_advisory_xact_lock_shared(4711) IS NOT NULL AND d.id > $1")
            #expect(slow != take)
            try await db.run("SELECT pg_advisory_lock(4711)")
            let sealer = try await db.connect()
            async let taken = sealer.query(
                Statement(name: "HeaderTake", sql: slow, prepare: false), [.int4(0), .text("sealed:"), .int8(10)])
            let waiting = """
                pg_locks WHERE locktype = 'advisory' AND objid = 4711 AND NOT granted
                    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
                """
            try await eventually("the sealer to wait") { try await db.count(waiting) > 0 }
            try await db.run("UPDATE postrider.webhook_destinations SET headers = '{\"authorization\": \"new\"}' WHERE name = 'two'")
            try await db.run("SELECT pg_advisory_unlock(4711)")
            let rows = try await taken
            #expect(try rows.map { try $0.strings(1) } == [["authorization"], ["authorization"]])
            #expect(try rows.map { try $0.strings(2) } == [["old"], ["new"]])
        }
    }
}
