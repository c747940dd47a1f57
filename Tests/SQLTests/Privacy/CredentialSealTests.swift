// Sealing credentials of headers while somebody changes them.

import Outbox
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

    /// Rows of before the gates, and those that somebody forced in: workers park them, and all others are sealed.
    @Test func headersThatTheGateRefusesStopTheSealingOfNobody() async throws {
        try await withDatabase { db in
            try await db.run("ALTER TABLE postrider.webhook_destinations DISABLE TRIGGER webhook_destination_gate")
            for (name, headers) in [
                ("long", "jsonb_build_object('Authorization', repeat('x', 20000))"), ("blank", #"'{"Api Key": "x"}'"#),
                ("ours", #"'{"Proxy-Authorization": "x"}'"#), ("twice", #"'{"Cookie": "a", "cookie": "b"}'"#),
                ("lines", #"'{"X-Token": "a\r\nb"}'"#), ("good", #"'{"Cookie": "c"}'"#),
            ] {
                try await db.endpoint(name, settings: "headers = \(headers)")
            }
            try await db.run("ALTER TABLE postrider.webhook_destinations ENABLE TRIGGER webhook_destination_gate")
            let keys = try KeyRing(list: "k1:" + String(repeating: "A", count: 43) + "=")
            let done = try await SecretStore.seal(.plain, with: keys, on: db.connection)
            #expect(done.sealed == 13 && done.unopened.isEmpty, "\(done)")
            let values = "postrider.webhook_destinations AS d, jsonb_each_text(d.headers) AS h WHERE h.value"
            #expect(try await db.count("\(values) LIKE 'sealed:v1:k1:%'") == 7)
            #expect(try await db.count("\(values) NOT LIKE 'sealed:%'") == 0)
            // What only begins like a sealed value is judged as any other.
            for value in ["sealed:v1:k1:a\\nb", "sealed:" + String(repeating: "a", count: 12_300)] {
                let refusal = try await db.refusal(
                    "UPDATE postrider.webhook_destinations SET headers = '{\"Cookie\": \"\(value)\"}' WHERE name = 'good'")
                #expect(refusal.sqlState == "22023", "\(refusal)")
            }
        }
    }

    /// The longest setting there is becomes a sealed one; the next would not fit. One that grew too long by being sealed would
    /// keep all others readable.
    @Test func settingThatCouldNotBeSealedIsRefused() async throws {
        try await withDatabase { db in
            let insert = "INSERT INTO postrider.webhook_settings (name, value) VALUES ('A', repeat('x', %))"
            let refusal = try await db.refusal(insert.replacing("%", with: "65537"))
            #expect(refusal.sqlState == "23514")
            try await db.run(insert.replacing("%", with: "65536"))
            try await db.run("INSERT INTO postrider.webhook_settings (name, value) VALUES ('B', 'x')")
            let keys = try KeyRing(list: String(repeating: "k", count: 32) + ":" + String(repeating: "A", count: 43) + "=")
            #expect(try await SecretStore.seal(.plain, with: keys, on: db.connection).sealed == 2)
            #expect(try await db.count("postrider.webhook_settings WHERE value LIKE 'sealed:%'") == 2)
        }
    }
}
