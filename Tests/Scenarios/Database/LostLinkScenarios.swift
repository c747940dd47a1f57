// Connections that end, servers that change places, statements that wait: the worker goes on by itself.

import Foundation
import OutboxStore
import OutboxWorker
import Postgres
import TestSupport
import Testing

extension Scenarios {
    @Suite struct LostLinkScenarios {
        /// Each of the worker's sessions, again and again, whatever it is doing.
        @Test func everyConnectionMayBeTerminated() async throws {
            let outpost = try await Outpost()
            let receiver = try Receiver { _, place in Reply(status: place % 4 == 0 ? 500 : 200, delayMilliseconds: 2) }
            try await outpost.endpoint(
                receiver.url(), settings: "max_attempts = 1000, base_delay_ms = 20, max_delay_ms = 50, jitter = 0")
            var ended = 0
            try await outpost.withWorkers {
                $0.database = ConnectionSettings(url: outpost.url, parameters: ["application_name": "victim"])
            } _: {
                for _ in 1...15 {
                    let place = receiver.received.count
                    try await outpost.insert(100)
                    try await receiver.wait(for: place + 10)
                    try await eventually("work and control to be connected") {
                        try await outpost.count(
                            "pg_stat_activity WHERE application_name = 'victim' AND datname = current_database()") >= 2
                    }
                    let rows = try await outpost.sql(
                        """
                        SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                        WHERE application_name = 'victim' AND datname = current_database()
                        """)
                    ended += rows.count
                    try await receiver.wait(for: place + 100)
                }
                try await outpost.settled()
                #expect(try await outpost.count("postrider.webhook_workers") == 1, "the worker lives its first life")
            }
            #expect(ended >= 20, "the faults were injected")
            #expect(try await outpost.count("postrider.webhook_events WHERE status = 'completed'") == 1500)
            #expect(try await outpost.count("postrider.webhook_attempts") == receiver.received.count)
        }

        /// A statement that has to wait longer than its deadline is asked to stop, and gets more time: the link is kept.
        @Test func slowServerIsNoDeadOne() async throws {
            let outpost = try await Outpost()
            let receiver = try Receiver()
            try await outpost.endpoint(receiver.url())
            let other = try await Connection.open(ConnectionSettings(url: outpost.url))
            func waiting() async throws -> [String] {
                try await outpost.sql(
                    """
                    SELECT pid || ' ' || query_start FROM pg_stat_activity
                    WHERE application_name = 'patient' AND wait_event_type = 'Lock' AND datname = current_database()
                      AND query ~ 'begin_settlement|INSERT INTO postrider.webhook_attempts' -- upkeep waits too
                    """
                ).map { try $0.string(0) }
            }
            try await outpost.withWorkers {
                $0.database = ConnectionSettings(url: outpost.url, parameters: ["application_name": "patient"])
            } _: {
                try await outpost.emit("a.b")
                try await receiver.wait(for: 1)
                try await outpost.settled()
                try await other.script("BEGIN; LOCK TABLE postrider.webhook_attempts IN ACCESS EXCLUSIVE MODE", name: "lock")
                for _ in 0..<50 { try await outpost.emit("a.b") }
                try await eventually("the recording to wait") { try await !waiting().isEmpty }
                let first = try #require(try await waiting().first)
                try await eventually("the deadline to pass, and the next try to wait") {
                    try await waiting().first.map { $0 != first } ?? false
                }
                let second = try #require(try await waiting().first)
                #expect(first.split(separator: " ")[0] == second.split(separator: " ")[0], "the session is the same")
                try await other.script("COMMIT", name: "unlock")
                try await outpost.settled()
                #expect(try await outpost.count("postrider.webhook_workers") == 1)
            }
            await other.close()
            #expect(receiver.received.count == 51)
            #expect(try await outpost.count("postrider.webhook_attempts") == 51)
        }

        /// A worker that Postgres has let in begins again when its connection goes before it has loaded the destinations.
        @Test func connectionLostWhileStartingIsNoEnd() async throws {
            let outpost = try await Outpost()
            let receiver = try Receiver()
            try await outpost.endpoint(receiver.url())
            let other = try await Connection.open(ConnectionSettings(url: outpost.url))
            try await other.script("BEGIN; LOCK TABLE postrider.webhook_destinations", name: "lock")
            try await outpost.withWorkers {
                $0.database = ConnectionSettings(url: outpost.url, parameters: ["application_name": "starting"])
            } _: {
                try await eventually("the loading of destinations to be cut off") {
                    try await outpost.sql(
                        """
                        SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM pg_stat_activity
                        WHERE application_name = 'starting' AND wait_event_type = 'Lock' AND datname = current_database()
                        """)[0].int(0) > 0
                }
                try await other.script("COMMIT", name: "unlock")
                try await outpost.emit("a.b")
                try await receiver.wait(for: 1)
                #expect(try await outpost.count("postrider.webhook_workers") == 2)
            }
            await other.close()
        }

        /// A worker that was declared dead waits until the server has room for its next life, or until it is told to stop. Its
        /// log has one line for the trouble, however often it tries, and one for its end.
        @Test func nextLifeWaitsForTheServerUntilItIsToldToStop() async throws {
            let outpost = try await Outpost()
            let receiver = try Receiver()
            try await outpost.endpoint(receiver.url())
            let role = "crowded_\(UUID().uuidString.prefix(8).lowercased())"
            try await outpost.sql("CREATE ROLE \(role) LOGIN IN ROLE postrider_worker")
            let relay = try Relay(to: outpost.url)
            let url = relay.url.replacing(#/:\/\/[^@]*/#, with: "://\(role)")
            let worker = try WorkerProcess(outpost, environment: ["DATABASE_URL": url])
            func lines(_ text: String) throws -> Int {
                try String(contentsOf: worker.log, encoding: .utf8).ranges(of: text).count
            }
            func refuseNextLife(since before: Int) async throws {
                try await outpost.sql("ALTER ROLE \(role) CONNECTION LIMIT 0")
                try await outpost.sql("UPDATE postrider.webhook_workers SET alive = false, epoch = epoch + 1 WHERE alive")
                try await eventually("the next life to be refused") { try lines("no connection to Postgres") > before }
                let first = relay.connections
                // What was refused before the last of them has been told by then, if it is told at all.
                try await eventually("it to be refused again and again") { relay.connections >= first + 3 }
                #expect(try lines("no connection to Postgres") == before + 1)
            }
            try await outpost.emit("a.b")
            try await receiver.wait(for: 1)
            try await refuseNextLife(since: 0)
            try await outpost.emit("a.b")
            try await outpost.sql("ALTER ROLE \(role) CONNECTION LIMIT -1")
            try await receiver.wait(for: 2)
            try await outpost.settled()
            #expect(try lines("work goes on") == 1)
            try await refuseNextLife(since: 1)
            #expect(worker.stop() == 0)
            #expect(try await outpost.count("postrider.webhook_workers") == 2)
            try await outpost.sql("DROP ROLE \(role)")
        }

        /// Each heartbeat asks for the destinations while they cannot be loaded; the log has one line.
        @Test func destinationsThatCannotBeLoadedAreToldOnce() async throws {
            let outpost = try await Outpost()
            let receiver = try Receiver()
            let worker = try WorkerProcess(outpost)
            func lines(_ text: String) throws -> Int {
                try String(contentsOf: worker.log, encoding: .utf8).ranges(of: text).count
            }
            try await eventually("the worker to start") { try lines("worker started") == 1 }
            _ = try await outpost.connection.script(
                """
                BEGIN;
                INSERT INTO postrider.webhook_endpoints (name, url, events) VALUES ('new', '\(receiver.url())', '{*}');
                ALTER TABLE postrider.webhook_settings RENAME TO settings_away;
                COMMIT
                """, name: "break")
            try await eventually("a load to fail") { try lines("destinations not loaded") > 0 }
            let since = try await outpost.text("SELECT clock_timestamp()::text")
            try await eventually("several heartbeats") {
                try await outpost.count(
                    "postrider.webhook_workers WHERE heartbeat_at > timestamptz '\(since)' + interval '1 second'") == 1
            }
            #expect(try lines("destinations not loaded") == 1)
            try await outpost.sql("ALTER TABLE postrider.settings_away RENAME TO webhook_settings")
            try await outpost.emit("a.b")
            try await receiver.wait(for: 1)
            try await outpost.settled()
            #expect(worker.stop() == 0)
        }

        /// A worker that learns of its death with outcomes in its hands records them, so that nobody sends again.
        @Test func lifeThatEndedRecordsWhatItKnows() async throws {
            let outpost = try await Outpost()
            let receiver = try Receiver()
            try await outpost.endpoint(receiver.url())
            let other = try await Connection.open(ConnectionSettings(url: outpost.url))
            func waiting() async throws -> String? {
                try await outpost.sql(
                    """
                    SELECT pid || ' ' || query_start FROM pg_stat_activity
                    WHERE application_name = 'dying' AND wait_event_type = 'Lock' AND datname = current_database()
                    """
                ).first.map { try $0.string(0) }
            }
            try await outpost.withWorkers {
                $0.database = ConnectionSettings(url: outpost.url, parameters: ["application_name": "dying"])
            } _: {
                try await other.script(
                    "BEGIN; LOCK TABLE postrider.webhook_attempts IN SHARE ROW EXCLUSIVE MODE", name: "lock")
                try await outpost.insert(10)
                try await receiver.wait(for: 10)
                try await eventually("the recording to wait") { try await waiting() != nil }
                let first = try await waiting()
                try await outpost.sql("UPDATE postrider.webhook_workers SET alive = false, epoch = epoch + 1")
                try await eventually("the last words to wait") {
                    let now = try await waiting()
                    return now != nil && now != first
                }
                try await other.script("COMMIT", name: "unlock")
                try await outpost.settled()
                try await eventually("a second life") { try await outpost.count("postrider.webhook_workers WHERE alive") == 1 }
                #expect(try await outpost.count("postrider.webhook_workers") == 2)
            }
            await other.close()
            #expect(receiver.received.count == 10, "nothing was sent twice")
            #expect(try await outpost.count("postrider.webhook_attempts") == 10)
            #expect(try await outpost.count("postrider.webhook_events WHERE status = 'completed'") == 10)
        }

        @Test func workerFollowsThePrimary() async throws {
            let pair = try ServerPair()
            defer { pair.remove() }
            let before = try await Outpost(empty: pair.first)
            let receiver = try Receiver()
            try await before.endpoint(receiver.url())
            var settings = try before.settings()
            settings.database = ConnectionSettings(url: pair.url)
            // So long that what arrives was rung for.
            settings.floorPoll = .seconds(300)
            try await before.withWorkers {
                $0 = settings
            } _: {
                for _ in 0..<20 { try await before.emit("a.b") }
                try await receiver.wait(for: 20)
                try await before.settled()
                // Not pg_current_wal_lsn(): what was committed asynchronously may not be written yet.
                let written = try await before.text("SELECT pg_current_wal_insert_lsn()::text")
                try await eventually("the standby to have it all") {
                    try await before.count("pg_stat_replication WHERE replay_lsn >= '\(written)'") == 1
                }
                try pair.crash()
                try pair.promote()
                let after = try await Outpost(migrated: pair.second)
                // What the other server's end cut off is found without a ring.
                try await after.emit("a.b")
                try await receiver.wait(for: 21)
                try await after.settled()
                for turn in 22...25 {
                    // Longer than the looks that follow a claim.
                    try await Task.sleep(for: .milliseconds(200))
                    try await after.emit("a.b")
                    try await receiver.wait(for: turn)
                }
                try await after.settled()
                #expect(try await after.count("postrider.webhook_workers") == 1, "the worker lives its first life")
                #expect(try await after.count("postrider.webhook_attempts") == 25)
                // However long it was up as a standby: who starts now lets the others come first.
                try await eventually("the server to be up for some seconds") {
                    try await after.sql("SELECT clock_timestamp() - pg_postmaster_start_time() > interval '5 seconds'")[0].bool(0)
                }
                let hasBeenUp = try await WorkerStore.serverHasBeenUp(on: after.connection)
                #expect(!hasBeenUp)
                await after.connection.close()
            }
            await before.connection.close()
            #expect(receiver.received.count == 25)
        }
    }
}
