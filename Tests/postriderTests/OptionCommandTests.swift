// `--option` and `order`, as people run them.

import Foundation
import Postgres
import TestSupport
import Testing

@testable import postrider

@Suite struct OptionCommandTests {
    private func endpoint(_ database: String, _ options: [String]) throws -> CommandResult {
        try postrider(
            ["endpoints", "create", "--name", "billing", "--url", "https://billing.example.com/", "--events", "*"]
                + options.flatMap { ["--option", $0] }, database: database)
    }

    private func options(_ database: String) throws -> String {
        let shown = try postrider(["endpoints", "show", "billing"], database: database)
        let members = try JSONSerialization.jsonObject(with: Data(shown.text.utf8)) as? [String: Any]
        return String(
            decoding: try JSONSerialization.data(
                withJSONObject: members?["options"] ?? [:], options: [.sortedKeys]), as: UTF8.self)
    }

    @Test func optionsAreSetOneByOneAndTakenAway() async throws {
        let database = try await TestCluster.freshDatabase()
        #expect(try postrider(["migrate"], database: database).status == 0)
        #expect(try endpoint(database, ["order=true", #"rate={"per_second": 5}"#]).status == 0)
        #expect(try options(database) == #"{"order":true,"rate":{"per_second":5}}"#)
        let changed = try postrider(
            ["endpoints", "update", "billing", "--option", "order=null", "--option", #"batch={"events": 10}"#],
            database: database)
        #expect(changed.status == 0, "\(changed.errors)")
        #expect(try options(database) == #"{"batch":{"events":10},"rate":{"per_second":5}}"#)
    }

    /// The second waits for the first, and adds to what it left.
    @Test func twoWhoChangeOneOptionEachLoseNone() async throws {
        let database = try await TestCluster.freshDatabase()
        #expect(try postrider(["migrate"], database: database).status == 0)
        #expect(try endpoint(database, []).status == 0)
        let other = try await Connection.open(ConnectionSettings(url: database))
        _ = try await other.script(
            #"BEGIN; UPDATE postrider.webhook_endpoints SET options = options || '{"order": true}'"#, name: "other")
        // On a thread of its own: it blocks until the COMMIT below, which needs one too.
        async let changed = withCheckedThrowingContinuation { continuation in
            DispatchQueue(label: "changes").async {
                continuation.resume(
                    with: Result {
                        try postrider(
                            ["endpoints", "update", "billing", "--option", "critical=true"], database: database)
                    })
            }
        }
        try await eventually("the command to wait") {
            try await other.script(
                "SELECT FROM pg_locks WHERE NOT granted AND transactionid = pg_current_xact_id()::xid", name: "waiting"
            )[0].count == 1
        }
        _ = try await other.script("COMMIT", name: "other")
        #expect(try await changed.status == 0)
        #expect(try options(database) == #"{"critical":true,"order":true}"#)
        await other.close()
    }

    @Test func wrongOptionsAreToldBeforeAnythingIsStored() async throws {
        let database = try await TestCluster.freshDatabase()
        #expect(try postrider(["migrate"], database: database).status == 0)
        for (option, fault) in [
            ("colour=1", "there is no such option"), ("order", "needs NAME=JSON"), ("order={", "not JSON"),
            (#"rate={"per_second": 0}"#, "expected a number from 0.001 to 100000"),
            (#"rate={"burst": 3}"#, "per_second is missing"), (#"batch={"events": 1}"#, "from 2 to 1000"),
            (#"priority="urgent""#, "expected high, normal or low"),
        ] {
            let result = try endpoint(database, [option])
            #expect(result.status == 1, "\(option)")
            #expect(result.errors.contains(fault), "\(option): \(result.errors)")
        }
        #expect(try postrider(["endpoints", "list", "--json"], database: database).text == "")
    }

    @Test func blockedKeysAreListedAndSkipped() async throws {
        let database = try await TestCluster.freshDatabase()
        #expect(try postrider(["migrate"], database: database).status == 0)
        #expect(try endpoint(database, ["order=true"]).status == 0)
        let connection = try await Connection.open(ConnectionSettings(url: database))
        let event = try await connection.query(
            Statement(
                name: "Blocked",
                sql: """
                    WITH event AS (SELECT postrider.emit('a.b', '{}', ordering_key => 'k') AS id), key AS (
                        INSERT INTO postrider.webhook_keys (destination_id, ordering_key, head) SELECT 1, 'k', id FROM event)
                    INSERT INTO postrider.webhook_dead_letters (event_id, destination_id, attempts, failure)
                    SELECT id, 1, 3, 'client_error' FROM event RETURNING event_id::text
                    """))[0].string(0)
        await connection.close()
        let listed = try postrider(["order", "list", "--blocked", "--json"], database: database)
        #expect(listed.text.contains(event) && listed.text.contains(#""state": "blocked""#), "\(listed)")
        #expect(try postrider(["doctor"], database: database).output.contains("1 is blocked"))
        #expect(try postrider(["order", "skip", "nobody", "k"], database: database).status == 3)
        #expect(try postrider(["order", "skip", "billing", "other"], database: database).status != 0)
        #expect(try postrider(["order", "skip", "billing", "k"], database: database).text == event)
        #expect(try postrider(["order", "list"], database: database).status == 0)
        #expect(try postrider(["order", "list", "--json"], database: database).text == "")
    }
}
