// `postrider retention`, `postrider maintain` and what `postrider doctor` says of them.

import OutboxStore
import Postgres
import TestSupport
import Testing

@Suite struct RetentionCommandTests {
    @Test func whatIsOldGoesWhenSomebodySaysSo() async throws {
        let database = try await TestCluster.freshDatabase()
        func run(_ arguments: String...) throws -> CommandResult { try postrider(arguments, database: database) }
        #expect(try run("maintain").status == 5)
        _ = try run("migrate")
        let connection = try await Connection.open(ConnectionSettings(url: database))
        _ = try await connection.script(OldWeeks.sql, name: "old weeks")
        #expect(try run("doctor").output.contains("retention: events for 90 days, attempts for 30 days"))
        #expect(try run("retention", "--events", "0s", "--attempts", "0s").status == 0)
        #expect(try run("doctor").output.contains("ok    retention: everything is kept for ever"))
        #expect(try run("maintain").text == "nothing to do")
        #expect(try run("retention", "--events", "90d", "--payloads", "30d").status == 0)
        let shown = try run("retention")
        #expect(shown.output.contains("90 days") && shown.output.contains("30 days"), "\(shown.output)")
        let plan = try run("maintain", "--dry-run")
        #expect(plan.output.contains("WOULD") && plan.output.contains("empty"), "\(plan.output)")
        #expect(try await count(connection) == 2)
        let done = try run("maintain", "--json")
        #expect(done.text.split(separator: "\n").filter { $0.contains(#""task":"empty""#) }.count == 2, "\(done.output)")
        #expect(try await count(connection) == 0)
        #expect(try run("maintain", "--dry-run").text == "nothing to do")
        #expect(try run("doctor").output.contains("ok    retention: events for 90 days, payloads for 30 days"))
        _ = try await connection.script(
            "UPDATE postrider.webhook_retention SET upkeep_at = clock_timestamp() - interval '1 hour'", name: "long ago")
        let warned = try run("doctor")
        #expect(warned.output.contains("warn  retention: ") && warned.output.contains("postrider maintain"))
        #expect(try run("retention", "--events", "0s", "--payloads", "0s").status == 0)
        #expect(try run("doctor").output.contains("ok    retention: everything is kept for ever"))
        await connection.close()
    }

    @Test func agesThatContradictAreRefused() async throws {
        let database = try await TestCluster.freshDatabase()
        _ = try postrider(["migrate"], database: database)
        for (arguments, what) in [
            (["--events", "30d", "--attempts", "90d"], "attempts"), (["--events", "1d", "--payloads", "2d"], "payloads"),
        ] {
            let refused = try postrider(["retention"] + arguments, database: database)
            #expect(refused.status == 1)
            #expect(refused.errors == "postrider: refused: \(what) are not kept longer than events\n")
        }
        for arguments in [["--events", "soon"], ["--events=-1d"], ["--payload", "1d"]] {
            #expect(try postrider(["retention"] + arguments, database: database).status == 64)
        }
        let unchanged = try postrider(["retention"], database: database).output
        #expect(unchanged.contains("90 days") && unchanged.contains("30 days"), "\(unchanged)")
        // Attempts that were not named follow their events.
        let shorter = try postrider(["retention", "--events", "10d", "--json"], database: database).output
        #expect(shorter.contains(#""events": "10 days""#) && shorter.contains(#""attempts": null"#), "\(shorter)")
        // And so do payloads.
        #expect(try postrider(["retention", "--events", "90d", "--payloads", "60d"], database: database).status == 0)
        #expect(try postrider(["retention", "--events", "70d", "--json"], database: database).output.contains(#""payloads": "60 days""#))
        let followed = try postrider(["retention", "--events", "30d", "--json"], database: database).output
        #expect(followed.contains(#""events": "30 days""#) && followed.contains(#""payloads": null"#), "\(followed)")
        let tooShort = try postrider(["retention", "--audit", "30d"], database: database)
        #expect(tooShort.status == 1 && tooShort.errors.contains("refused: audit log is kept 90 days"), "\(tooShort)")
        #expect(try postrider(["retention", "--audit", "365d"], database: database).output.contains("365 days"))
    }

    private func count(_ connection: Connection) async throws -> Int {
        try await connection.query(Statement(name: "Count", sql: "SELECT count(*) FROM postrider.webhook_event_log"))[0].int(0)
    }
}
