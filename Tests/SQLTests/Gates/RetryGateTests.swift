// Waits and final statuses are refused in SQL as by the program, and what passes is used by workers.

import Outbox
import OutboxStore
import Postgres
import TestSupport
import Testing

@Suite struct RetryGateTests {
    @Test func bothGatesJudgeFinalStatusesAlike() async throws {
        var generator = SeededGenerator(seed: 5)
        let pieces = ["4xx", "5xx", "400", "410", "599", "600", "399", "-", ",", ",", "!", " ", "4", "04", "\n", "x", "4XX", "٤"]
        var lists = (0..<3000).map { _ in
            (0..<Int.random(in: 0...5, using: &generator)).map { _ in pieces.randomElement(using: &generator) ?? "" }.joined()
        }
        lists += ["408-429, !410", "429-408", "400-600", "sometimes", "4xx,,5xx", "!!429", "400-401-402", "4 0 0 - 417", "!5xx"]
        try await withRollback { db in
            let rows = try await db.query(
                """
                SELECT postrider.statuses_fault(given) FROM unnest($1::text[]) WITH ORDINALITY AS u (given, place)
                ORDER BY place
                """, [.texts(lists)])
            var sound = 0
            for (list, row) in zip(lists, rows) {
                let fault = try row.stringOrNil(0)
                let isSound = (try? FinalStatuses(list)) != nil
                sound += isSound ? 1 : 0
                #expect(isSound == (fault == nil), "\(list.debugDescription): \(fault ?? "passes in SQL")")
            }
            #expect(sound > 100 && sound < 2900)
        }
    }

    @Test(arguments: [
        ("base_delay_ms = 31622400001", "366 days"), ("max_delay_ms = 31622400001", "366 days"),
        ("delays_ms = '{1,31622400001}'", "366 days"), ("delays_ms = '{1,NULL}'", "must not hold nulls"),
        ("delays_ms = '{{1,2}}'", "plain list"), ("delays_ms = array_fill(1::bigint, ARRAY[1000])", "at most 999"),
        ("delay_factor = 100.5", "1 to 100"), ("delay_factor = 'Infinity'", "1 to 100"), ("delay_factor = 'NaN'", "1 to 100"),
        ("final_statuses = '4xx, sometimes'", "' sometimes'"), ("final_statuses = '429-408'", "'429-408'"),
    ])
    func faultIsNamed(setting: String, message: String) async throws {
        try await withRollback { db in
            try await db.endpoint()
            for table in ["webhook_endpoints", "webhook_destinations"] {
                let error = try await db.refusal("UPDATE postrider.\(table) SET \(setting)")
                #expect(error.sqlState == "22023" && error.message.contains(message), "\(table): \(error)")
            }
        }
    }

    @Test(arguments: [
        "base_delay_ms = 31622400000, max_delay_ms = 31622400000, delay_factor = 100", "max_delay_ms = 0", "delays_ms = '{}'",
        "delays_ms = '{0,31622400000}'", "delays_ms = array_fill(1::bigint, ARRAY[999])", "final_statuses = '4xx,!429, 500-503'",
    ])
    func whatPassesIsUsed(settings: String) async throws {
        try await withRollback { db in
            try await db.endpoint(settings: settings)
            #expect(try await RoutingStore.load(on: db.connection).faults.map(\.reason) == [])
        }
    }

    /// Rows of before the gates, and those that were forced in, can be mended bit by bit and stand in nobody's way.
    @Test func whatAChangeLeavesAsItWasIsNotJudged() async throws {
        try await withDatabase { db in
            for name in ["good", "bad"] { try await db.endpoint(name, settings: #"headers = '{"Cookie": "plain"}'"#) }
            try await db.run(
                #"""
                ALTER TABLE postrider.webhook_destinations DISABLE TRIGGER webhook_destination_gate;
                UPDATE postrider.webhook_destinations SET final_statuses = 'sometimes', delay_factor = 500,
                    headers = '{"A B": "1", "Cookie": "plain", "User-Agent": "x"}' WHERE name = 'bad';
                ALTER TABLE postrider.webhook_destinations ENABLE TRIGGER webhook_destination_gate;
                UPDATE postrider.webhook_endpoints SET is_active = false WHERE name = 'bad'
                """#)
            #expect(try await db.line("SELECT name FROM postrider.webhook_endpoints WHERE NOT is_active") == "bad")
            let keys = try KeyRing(list: "k1:" + String(repeating: "A", count: 43) + "=")
            _ = try await SecretStore.seal(.plain, with: keys, on: db.connection)
            let sealed = "postrider.webhook_destinations WHERE starts_with(headers ->> 'Cookie', 'sealed:v1:k1:')"
            #expect(try await db.count(sealed) == 2)
            for (setting, told) in [
                ("delay_factor = 200", "1 to 100"), ("final_statuses = 'never'", "'never'"), (#"headers = headers || '{"A B": "2"}'"#, "'A B'"),
                (#"headers = headers - 'A B' || '{"B": "2"}'"#, "User-Agent is sent by every profile"),
            ] {
                let error = try await db.refusal("UPDATE postrider.webhook_endpoints SET \(setting) WHERE name = 'bad'")
                #expect(error.sqlState == "22023" && error.message.contains(told), "\(error)")
            }
        }
    }
}
