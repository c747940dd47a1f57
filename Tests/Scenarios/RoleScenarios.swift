// The whole product with the least rights: a producer, a worker and an administrator that are members of one role each.

import Foundation
import HTTPExchange
import OutboxWorker
import Postgres
import TestSupport
import Testing

extension Scenarios {
    @Suite struct RoleScenarios {
        /// Logins of one role each in the outpost's database.
        private struct Staff {
            let outpost: Outpost
            private let mark = UUID().uuidString.prefix(8).lowercased()

            init(_ outpost: Outpost) async throws {
                self.outpost = outpost
                for role in ["producer", "worker", "admin"] {
                    try await outpost.sql("CREATE ROLE \(name(role)) LOGIN IN ROLE postrider_\(role)")
                }
            }

            func name(_ role: String) -> String { "scenario_\(role)_\(mark)" }

            func settings(_ role: String) -> ConnectionSettings {
                ConnectionSettings(url: outpost.url, parameters: ["user": name(role)])
            }

            func connect(_ role: String) async throws -> Connection { try await Connection.open(settings(role)) }

            /// Their rights are those of their role and no more.
            func checkRights() async throws {
                let strong = try await outpost.count(
                    "pg_roles WHERE rolname LIKE 'scenario\\_%\\_\(mark)' AND (rolsuper OR rolbypassrls OR rolcreaterole)")
                #expect(strong == 0)
                #expect(try await outpost.count("pg_stat_activity WHERE usename = '\(name("worker"))'") >= 2)
            }

            func dismiss() async throws {
                for role in ["producer", "worker", "admin"] { try await outpost.sql("DROP ROLE \(name(role))") }
            }
        }

        private func withStaff(_ body: (Outpost, Staff) async throws -> Void) async throws {
            let outpost = try await Outpost()
            let staff = try await Staff(outpost)
            try await body(outpost, staff)
            try await staff.dismiss()
        }

        private func run(_ sql: String, on connection: Connection) async throws -> Rows {
            try await connection.query(Statement(name: "scenario", sql: sql, prepare: false))
        }

        @Test func workerDeliversRetriesAndGivesUpAsAMemberOfItsRoleAlone() async throws {
            try await withStaff { outpost, staff in
                let receiver = try Receiver { request, place in
                    if request.path == "/dead" { return .status(500) }
                    if request.path == "/retried" && place < 2 { return .status(503) }
                    return .ok
                }
                let admin = try await staff.connect("admin")
                for path in ["good", "retried", "dead"] {
                    _ = try await run(
                        """
                        INSERT INTO postrider.webhook_endpoints (name, url, events, delays_ms, jitter, max_attempts)
                        VALUES ('\(path)', '\(receiver.url("/" + path))', '{a.\(path)}', '{30,30}', 0, 3)
                        """, on: admin)
                }
                let producer = try await staff.connect("producer")
                try await outpost.withWorkers(2, { $0.database = staff.settings("worker") }) {
                    for path in ["good", "retried", "dead"] { _ = try await run("SELECT postrider.emit('a.\(path)', '{}')", on: producer) }
                    _ = try await run(
                        "INSERT INTO postrider.webhook_events (event_type, data) SELECT 'a.good', '{}' FROM generate_series(1, 500)",
                        on: producer)
                    // A payload that is loaded by itself.
                    _ = try await run(
                        "SELECT postrider.emit('a.good', to_jsonb((SELECT string_agg(md5(n::text), '') FROM generate_series(1, 9000) AS n)))",
                        on: producer)
                    try await outpost.settled()
                    try await staff.checkRights()
                }
                #expect(try await outpost.count("postrider.webhook_events WHERE status = 'completed'") == 503)
                #expect(try await outpost.count("postrider.webhook_attempts WHERE outcome = 0") == 503)
                #expect(try await outpost.count("postrider.webhook_dead_letters WHERE attempts = 3") == 1)
                // Every request is signed, so the worker could read the secrets.
                #expect(receiver.received.allSatisfy { $0.headers["webhook-signature"]?.hasPrefix("v1,") == true })
                // The administrator sends the dead letter again.
                let count = try await run(
                    """
                    WITH buried AS (DELETE FROM postrider.webhook_dead_letters RETURNING event_id, destination_id)
                    INSERT INTO postrider.webhook_retries (event_id, due_at, destination_id, attempt_number, is_replay)
                    SELECT event_id, clock_timestamp(), destination_id, 4, true FROM buried RETURNING 1
                    """, on: admin)
                #expect(count.count == 1)
                await producer.close()
                await admin.close()
            }
        }

        @Test func workerDisablesAGoneDestinationAndHearsOfItsReturn() async throws {
            try await withStaff { outpost, staff in
                let receiver = try Receiver { _, place in place == 0 ? .status(410) : .ok }
                let id = try await outpost.endpoint(receiver.url())
                let admin = try await staff.connect("admin")
                try await outpost.withWorkers(1, { $0.database = staff.settings("worker") }) {
                    try await outpost.emit("a.first")
                    try await eventually("the endpoint to be disabled") {
                        try await outpost.count("postrider.webhook_endpoints WHERE NOT is_active AND inactive_reason = 'gone'") == 1
                    }
                    try await eventually("the delivery to be parked") {
                        try await outpost.count("postrider.webhook_retries WHERE due_at = 'infinity'") == 1
                    }
                    _ = try await run("UPDATE postrider.webhook_endpoints SET is_active = true WHERE destination_id = \(id)", on: admin)
                    try await receiver.wait(for: 2)
                    // A destination made while it runs is routed to as well.
                    _ = try await run(
                        "INSERT INTO postrider.webhook_endpoints (name, url, events) VALUES ('late', '\(receiver.url("/late"))', '{late}')",
                        on: admin)
                    try await outpost.emit("late")
                    try await eventually("the late destination to be sent to") { receiver.received.contains { $0.path == "/late" } }
                    try await outpost.settled()
                }
                await admin.close()
            }
        }

        @Test func workerTakesOverFromTheDeadAndKeepsThePartitions() async throws {
            try await withStaff { outpost, staff in
                let receiver = try Receiver { _, _ in Reply(delayMilliseconds: 300) }
                try await outpost.endpoint(receiver.url())
                // What a worker that died long ago left: its row, and a claim of an event.
                let id = try await outpost.emit("a.left")[0]
                try await outpost.sql(
                    """
                    WITH dead AS (INSERT INTO postrider.webhook_workers (host, lease_until)
                                  VALUES ('gone', clock_timestamp() - interval '1 minute') RETURNING id),
                         taken AS (DELETE FROM postrider.webhook_queue)
                    INSERT INTO postrider.webhook_claims (worker_id, event_ids) SELECT id, ARRAY[$1::uuid] FROM dead
                    """, [.text(id)])
                // And two partitions fewer than a week ago.
                for table in ["webhook_event_log", "webhook_attempts"] {
                    let names = try await outpost.sql(
                        "SELECT c.relname::text FROM pg_class AS c WHERE c.relname ~ '^\(table)_(20|later)' AND c.relkind = 'r' ORDER BY 1 DESC LIMIT 2"
                    )
                    for row in 0..<names.count { try await outpost.sql("DROP TABLE postrider.\(try names[row].string(0))") }
                    try await outpost.sql(
                        """
                        DO $$ BEGIN PERFORM postrider.add_partition('\(table)', 'later', postrider.week_start(
                            (date_trunc('week', now() AT TIME ZONE 'UTC') + interval '8 weeks')::date), NULL); END $$
                        """)
                }
                let before = try await outpost.count("pg_inherits AS i WHERE i.inhparent = 'postrider.webhook_event_log'::regclass")
                try await outpost.withWorkers(1, { $0.database = staff.settings("worker") }) {
                    try await receiver.wait(for: 1)
                    try await outpost.settled()
                    try await eventually("the missing week to be made", within: .seconds(90)) {
                        try await outpost.count("pg_inherits AS i WHERE i.inhparent = 'postrider.webhook_event_log'::regclass") == before + 1
                    }
                }
                #expect(receiver.received.first?.id == id)
                #expect(try await outpost.count("postrider.webhook_events WHERE status = 'completed'") == 1)
                // The new partition is the owner's, and nobody was given it.
                #expect(
                    try await outpost.count(
                        """
                        pg_class AS c, aclexplode(c.relacl) AS a WHERE c.relispartition AND c.relkind = 'r' AND a.grantee <> c.relowner
                        """) == 0)
            }
        }
    }
}
