// `postrider forget-user`, `denied-columns`, `audit-log`: as people run them.

import OutboxStore
import Postgres
import TestSupport
import Testing

@Suite struct PrivacyCommandTests {
    @Test func personIsForgottenAfterACountAndAQuestion() async throws {
        let database = try await TestCluster.freshDatabase()
        func run(_ arguments: String...) throws -> CommandResult { try postrider(arguments, database: database) }
        _ = try run("migrate")
        let connection = try await Connection.open(ConnectionSettings(url: database))
        _ = try await connection.script(
            """
            INSERT INTO postrider.webhook_events (event_type, data, user_id) VALUES ('a.b', '{"x": 1}', 'ann'), ('a.b', '{"x": 2}', 'bob');
            DELETE FROM postrider.webhook_queue;
            INSERT INTO postrider.webhook_retries (event_id, due_at, destination_id, attempt_number)
            SELECT id, 'infinity', 1, 2 FROM postrider.webhook_event_log
            """, name: "events")
        let planned = try run("forget-user", "ann", "--dry-run")
        #expect(planned.text == "1 payload and the answers of 0 attempts would be erased\n1 delivery would be dropped")
        let unasked = try run("forget-user", "ann")
        #expect(unasked.status == 1 && unasked.errors.contains("add --yes"))
        #expect(try run("forget-user", "").status == 64)
        let done = try run("forget-user", "ann", "--yes", "--json")
        #expect(done.status == 0 && done.errors.isEmpty, "\(done)")
        #expect(done.output.contains(#""events": 1"#) && done.output.contains(#""dropped": 1"#) && !done.output.contains("ann"))
        #expect(try run("forget-user", "ann", "--yes").text == "0 payloads and the answers of 0 attempts erased\n0 deliveries dropped")
        let payloads = try await connection.query(Statement(name: "p", sql: "SELECT data ->> 'x' FROM postrider.webhook_event_log ORDER BY id"))
        #expect(try payloads.map { try $0.stringOrNil(0) } == [nil, "2"])
        // The log finds a person by the id that it does not hold.
        let log = try run("audit-log", "list", "--object", "ann")
        #expect(log.output.contains("forgotten") && log.output.split(separator: "\n").count == 5, "\(log.output)")
        #expect(try run("audit-log", "list", "--object", "bob", "--json").text == "")
        // One whose events wait for a worker is left to it.
        _ = try await connection.script("SELECT postrider.emit('a.b', '{}', user_id => 'cleo')", name: "emit")
        let open = try run("forget-user", "cleo", "--yes")
        #expect(open.status == 0 && open.errors.contains("not finished") && open.output.contains("1 payload "), "\(open)")
        await connection.close()
    }

    @Test func columnsAreDeniedAndTheLogTells() async throws {
        let database = try await TestCluster.freshDatabase()
        func run(_ arguments: String...) throws -> CommandResult { try postrider(arguments, database: database) }
        _ = try run("migrate")
        let connection = try await Connection.open(ConnectionSettings(url: database))
        _ = try await connection.script(
            "CREATE TABLE users (id int PRIMARY KEY, email text, profile jsonb); SELECT postrider.attach('users', 'u')", name: "attach")
        #expect(try run("denied-columns", "add", "email", "--table", "public.users").text == "1 attachment rebuilt")
        #expect(try run("denied-columns", "add", "profile.ssn", "--json").text == #"{"rebuilt": 1}"#)
        #expect(try run("denied-columns", "add", "profile..ssn").status == 64)
        #expect(try run("denied-columns", "add", "nope", "--table", "users").errors.contains("users has no column nope"))
        let list = try run("denied-columns", "list")
        #expect(list.output.contains("users") && list.output.contains("profile.ssn"), "\(list.output)")
        #expect(try run("attach", "users", "--event-type", "v", "--columns", "email").errors.contains("may not be sent: it is denied"))
        #expect(try run("denied-columns", "remove", "email", "--table", "users").text == "1 attachment rebuilt")
        #expect(try run("denied-columns", "remove", "email").status == 3)
        let log = try run("audit-log", "list", "--object", "denied column")
        #expect(log.output.split(separator: "\n").filter { $0.contains("denied column") }.count == 3, "\(log.output)")
        #expect(try run("audit-log").output.contains("attachment"))
        await connection.close()
    }

    @Test func typesAreSealedAndListed() async throws {
        let database = try await TestCluster.freshDatabase()
        func run(_ arguments: String...) throws -> CommandResult { try postrider(arguments, database: database) }
        _ = try run("migrate")
        let added = try run("sealed-types", "add", "patient.*")
        #expect(added.status == 0 && added.errors.contains("there are no keys here"), "\(added)")
        #expect(try run("sealed-types", "add", "no type!").errors.contains("not an event type or pattern"))
        #expect(try run("sealed-types", "list").output.contains("patient.*"))
        #expect(try run("doctor").output.contains("ok    sealed types: "))
        let connection = try await Connection.open(ConnectionSettings(url: database))
        _ = try await connection.script(
            """
            UPDATE postrider.webhook_sealed_types SET created_at = now() - interval '1 hour';
            INSERT INTO postrider.webhook_erasures (subject, user_id, requested_at) VALUES ('hash', 'ann', now() - interval '2 hours')
            """, name: "long ago")
        await connection.close()
        let warned = try run("doctor")
        #expect(warned.output.contains(#/warn  sealed types: payloads of the last 3[6-9]\d\d s/#), "\(warned.output)")
        #expect(warned.output.contains(#/warn  erasures: 1 not finished, the oldest for 7[2-9]\d\d s/#), "\(warned.output)")
        #expect(try run("maintain").status == 0)
        #expect(try !run("doctor").output.contains("erasures"))
        #expect(try run("sealed-types", "keys", "--json").text == "")
        try await doctorTellsOfMissingKeys(database)
        #expect(try run("sealed-types", "remove", "patient.*").status == 0)
        #expect(try run("sealed-types", "remove", "patient.*").status == 3)
        #expect(try run("sealed-types", "--json").text == "")
    }

    /// Of keys that payloads were sealed with and that other environments lack.
    private func doctorTellsOfMissingKeys(_ database: String) async throws {
        func doctor(_ keys: String?) throws -> String {
            var environment: [String: String] = [:]
            environment["POSTRIDER_SECRET_KEYS"] = keys
            return try postrider(["doctor"], database: database, environment: environment).output
        }
        func ring(_ name: String) throws -> String {
            try postrider(["keys", "generate", "--name", name], database: "unused").text
        }
        let (k1, k2) = (try ring("k1"), try ring("k2"))
        #expect(try !doctor(k2).contains("payload keys"))
        let connection = try await Connection.open(ConnectionSettings(url: database))
        _ = try await connection.script(
            """
            SELECT postrider.emit('patient.seen', '{"n": 1}');
            INSERT INTO postrider.webhook_payload_keys SELECT 'k1', id, id, 2 FROM postrider.webhook_event_log;
            INSERT INTO postrider.webhook_payload_keys VALUES ('gone', postrider.event_id_at(to_timestamp(1)), postrider.event_id_at(to_timestamp(2)), 7)
            """, name: "seal")
        await connection.close()
        #expect(try doctor("\(k2),\(k1)").contains("ok    payload keys: all that payloads are sealed with are here"))
        #expect(try doctor(nil).contains("ok    payload keys: workers need 'k1'; there are no keys here to compare"))
        #expect(
            try doctor(k2).contains(
                "warn  payload keys: 2 payloads are sealed with key 'k1', which is not among the keys here → POSTRIDER_SECRET_KEYS"))
    }
}
