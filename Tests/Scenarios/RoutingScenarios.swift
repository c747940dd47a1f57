// Workers whose destinations are older than the work that comes to them.

import Foundation
import OutboxWorker
import Postgres
import TestSupport
import Testing

extension Scenarios {
    @Suite struct RoutingScenarios {
        private let name = "routing"

        private func named(_ outpost: Outpost) -> ConnectionSettings {
            ConnectionSettings(url: outpost.url, parameters: ["application_name": name])
        }

        /// Makes a claim of one new event that no worker knows of, and nobody finds in the queue.
        private func claim(_ outpost: Outpost, holder: String) async throws {
            _ = try await outpost.connection.script(
                """
                BEGIN;
                WITH holder (id) AS (\(holder))
                INSERT INTO postrider.webhook_claims (worker_id, event_ids, claimed_at)
                SELECT id, ARRAY[postrider.emit('a.b', '{}')], clock_timestamp() - interval '1 minute' FROM holder;
                DELETE FROM postrider.webhook_queue;
                COMMIT
                """, name: "claim")
        }

        private func heartbeats(_ outpost: Outpost, for interval: String) async throws {
            let since = try await outpost.text("SELECT clock_timestamp()::text")
            try await eventually("heartbeats for \(interval)") {
                try await outpost.count(
                    "postrider.webhook_workers WHERE alive AND heartbeat_at > timestamptz '\(since)' + interval '\(interval)'") > 0
            }
        }

        /// However a claim comes: taken over by a look at the workers, by a sweep, or found after its answer was lost.
        @Test(arguments: [
            "INSERT INTO postrider.webhook_workers (lease_until) VALUES (clock_timestamp() - interval '1 minute') RETURNING id",
            "SELECT 0", "SELECT max(id) FROM postrider.webhook_workers",
        ]) func claimGoesToDestinationsThatItsFinderDoesNotKnowYet(holder: String) async throws {
            let outpost = try await Outpost()
            let receiver = try Receiver()
            try await outpost.endpoint(receiver.url("/old"))
            let other = try await Connection.open(ConnectionSettings(url: outpost.url))
            try await outpost.withWorkers {
                $0.database = named(outpost)
            } _: {
                // It has loaded the destinations once.
                try await outpost.emit("a.b")
                try await receiver.wait(for: 1)
                try await outpost.settled()
                try await other.script("BEGIN; LOCK TABLE postrider.webhook_settings", name: "lock")
                try await outpost.endpoint(receiver.url("/new"))
                try await claim(outpost, holder: holder)
                try await eventually("the loading of destinations to wait") {
                    try await outpost.count(
                        """
                        pg_stat_activity WHERE application_name = '\(name)' AND wait_event_type = 'Lock'
                        AND datname = current_database() AND query ~ 'webhook_settings'
                        """) > 0
                }
                // Long enough for a look at the workers and for two sweeps.
                try await heartbeats(outpost, for: "3 seconds")
                #expect(receiver.received.count == 1, "it is not known yet to whom it goes")
                try await other.script("COMMIT", name: "unlock")
                try await receiver.wait(for: 3)
                try await outpost.settled()
            }
            await other.close()
            #expect(receiver.received.map(\.path).sorted() == ["/new", "/old", "/old"])
            #expect(try await outpost.count("postrider.webhook_claims") == 0)
        }

        /// With the old profiles, the new row could not be used and would be disabled.
        @Test func profileAndItsDestinationAreLoadedTogether() async throws {
            let outpost = try await Outpost()
            let receiver = try Receiver()
            try await outpost.endpoint(receiver.url("/"))
            let other = try await Connection.open(ConnectionSettings(url: outpost.url))
            try await outpost.withWorkers {
                $0.database = named(outpost)
            } _: {
                try await outpost.emit("a.b")
                try await receiver.wait(for: 1)
                // A load reads the settings between the profiles and the destinations.
                try await other.script("BEGIN; LOCK TABLE postrider.webhook_settings", name: "lock")
                try await outpost.sql("UPDATE postrider.webhook_destinations SET name = 'renamed'")
                try await eventually("the load to wait") {
                    try await outpost.count(
                        """
                        pg_stat_activity WHERE application_name = '\(name)' AND wait_event_type = 'Lock'
                        AND datname = current_database() AND query ~ 'webhook_settings'
                        """) > 0
                }
                try await other.script(
                    """
                    INSERT INTO postrider.webhook_profiles (name, envelope) VALUES ('bare', '{data}');
                    UPDATE postrider.webhook_destinations SET profile = 'bare';
                    COMMIT
                    """, name: "change")
                try await outpost.emit("a.b", data: #"{"x": 1}"#)
                try await receiver.wait(for: 2)
                try await outpost.settled()
            }
            await other.close()
            #expect(receiver.received.last.map { String(decoding: $0.body, as: UTF8.self) } == #"{"x": 1}"#)
            #expect(
                try await outpost.sql("SELECT inactive_reason FROM postrider.webhook_destinations WHERE is_active").count == 1)
        }

        /// As after a failover to a standby that lacked the last changes. Only heartbeats tell a deaf worker of it.
        @Test func changesAreLearntAfterVersionsWereLost() async throws {
            let outpost = try await Outpost()
            let receiver = try Receiver()
            try await outpost.endpoint(receiver.url("/old"))
            for _ in 0..<5 { try await outpost.sql("UPDATE postrider.webhook_endpoints SET name = name || '!'") }
            try await outpost.withWorkers {
                $0.isDeaf = true
            } _: {
                try await outpost.emit("a.b")
                try await receiver.wait(for: 1)
                let before = try await outpost.sql("SELECT version FROM postrider.webhook_routing")[0].int(0)
                _ = try await outpost.connection.script(
                    """
                    BEGIN;
                    INSERT INTO postrider.webhook_endpoints (name, url, events) VALUES ('new', '\(receiver.url("/new"))', '{*}');
                    UPDATE postrider.webhook_routing SET version = \(before) - 5;
                    DELETE FROM postrider.webhook_routing_changes
                    WHERE version > (SELECT version FROM postrider.webhook_routing);
                    COMMIT
                    """, name: "lose")
                #expect(try await outpost.sql("SELECT version FROM postrider.webhook_routing")[0].int(0) < before)
                try await eventually("an event to come to the new endpoint") {
                    try await outpost.emit("a.b")
                    return receiver.received.contains { $0.path == "/new" }
                }
                try await outpost.settled()
            }
        }

        /// The queue is looked at more often than the heart beats: a claim is the first to tell of it.
        @Test func claimAfterVersionsWereLostGoesToDestinationsOfNow() async throws {
            let outpost = try await Outpost()
            let receiver = try Receiver()
            try await outpost.endpoint(receiver.url("/0"))
            try await outpost.withWorkers {
                $0.isDeaf = true
            } _: {
                for round in 1...5 {
                    // Its claim makes sure that the newest version is known.
                    try await outpost.emit("a.b")
                    try await outpost.settled()
                    let known = try await outpost.sql("SELECT version FROM postrider.webhook_routing")[0].int(0)
                    _ = try await outpost.connection.script(
                        """
                        BEGIN;
                        INSERT INTO postrider.webhook_endpoints (name, url, events)
                        VALUES ('round \(round)', '\(receiver.url("/\(round)"))', '{*}');
                        UPDATE postrider.webhook_routing SET version = \(known) - 1;
                        DELETE FROM postrider.webhook_routing_changes WHERE version >= \(known);
                        SELECT postrider.emit('a.b', '{}');
                        COMMIT
                        """, name: "lose")
                    try await eventually("the event to come to endpoint \(round)") {
                        receiver.received.contains { $0.path == "/\(round)" }
                    }
                }
                try await outpost.settled()
            }
        }

        /// A load reads the settings once, and here each reading counts.
        @Test func changeIsLoadedOnce() async throws {
            let outpost = try await Outpost()
            let receiver = try Receiver()
            try await outpost.endpoint(receiver.url())
            _ = try await outpost.connection.script(
                """
                CREATE SEQUENCE postrider.loads;
                INSERT INTO postrider.webhook_settings (name, value) VALUES ('ANY', 'value');
                ALTER TABLE postrider.webhook_settings RENAME TO counted_settings;
                CREATE VIEW postrider.webhook_settings AS
                    SELECT * FROM postrider.counted_settings WHERE nextval('postrider.loads') > 0
                """, name: "count")
            func loads() async throws -> Int { try await outpost.sql("SELECT last_value FROM postrider.loads")[0].int(0) }
            try await outpost.withWorkers {
                try await outpost.emit("a.b")
                try await receiver.wait(for: 1)
                try await outpost.settled()
                let start = try await loads()
                for change in 1...20 {
                    let before = try await loads()
                    try await outpost.sql("UPDATE postrider.webhook_endpoints SET name = 'name \(change)'")
                    try await eventually("change \(change) to be loaded") { try await loads() > before }
                }
                // What is told of yet is loaded within that time.
                try await heartbeats(outpost, for: "2 seconds")
                // One each, and now and then one more for a heartbeat that was asked just before.
                let count = try await loads() - start
                #expect(count < 36, "\(count) loads of 20 changes")
            }
        }

        /// A worker that lacks what a destination needs knows its filter all the same; one that was changed meanwhile counts.
        @Test func whatIsPutBackForWantOfASettingIsFilteredBeforeAndAfterwards() async throws {
            let outpost = try await Outpost()
            let receiver = try Receiver()
            try await outpost.endpoint(
                receiver.url(), settings: #"options = '{"filter": {"x": [1]}}', headers = '{"X-Token": "${TOKEN}"}'"#)
            let wanted = try await outpost.emit("a.b", data: #"{"x": 1, "y": 1}"#)
            try await outpost.emit("a.b", data: #"{"x": 1}"#)
            try await outpost.emit("a.b", data: #"{"x": 2, "y": 1}"#)
            try await outpost.withWorkers {
                try await eventually("both events that pass to be put back") {
                    try await outpost.count("postrider.webhook_retries WHERE attempt_number = 1") == 2
                }
                #expect(receiver.received.isEmpty)
                try await outpost.sql(#"UPDATE postrider.webhook_endpoints SET options = '{"filter": {"y": [1]}}'"#)
                try await outpost.sql("INSERT INTO postrider.webhook_settings (name, value) VALUES ('TOKEN', 'token')")
                try await receiver.wait(for: 1)
                try await outpost.settled()
            }
            #expect(receiver.received.map(\.id) == wanted)
            #expect(try await outpost.count("postrider.webhook_events WHERE status = 'completed'") == 3)
        }
    }
}
