// Postgres that loses answers, refuses writes, is full, or whose clock is another: nothing is lost, nothing is counted
// twice, and the worker goes on by itself.

import Foundation
import Glibc
import OutboxWorker
import Postgres
import Synchronization
import TestSupport
import Testing

extension Scenarios {
    @Suite struct DatabaseTroubleScenarios {
        @Test func attemptsWhoseCommitWasNotAnsweredAreRecordedOnce() async throws {
            let outpost = try await Outpost()
            let relay = try Relay(to: outpost.url)
            // Half of the first attempts fail, so that retries are scheduled in doubt too.
            let receiver = try Receiver { _, place in Reply(status: place % 2 == 0 ? 500 : 200, delayMilliseconds: 3) }
            try await outpost.endpoint(
                receiver.url(), settings: "max_attempts = 1000, base_delay_ms = 20, max_delay_ms = 50, jitter = 0")
            try await outpost.withWorkers {
                $0.database = ConnectionSettings(url: relay.url)
                $0.directDatabase = ConnectionSettings(url: outpost.url)
            } _: {
                for round in 1...8 {
                    let place = receiver.received.count
                    try await outpost.insert(60)
                    try await receiver.wait(for: place + 10)
                    relay.loseAnswers(true)
                    let sofar = relay.answersLost
                    try await eventually("an answer to be lost, round \(round)") { relay.answersLost > sofar }
                    relay.loseAnswers(false)
                }
                try await outpost.settled()
            }
            #expect(relay.answersLost >= 8, "the faults were injected")
            // Every request has one row, and every row was a request.
            #expect(try await outpost.count("postrider.webhook_attempts") == receiver.received.count)
            #expect(
                try await outpost.count(
                    "(SELECT FROM postrider.webhook_attempts GROUP BY event_id, destination_id, attempt_number HAVING count(*) > 1) AS d") == 0)
            #expect(try await outpost.count("postrider.webhook_events WHERE status = 'completed'") == 480)
            let tallies = try await outpost.sql("SELECT sum(succeeded)::bigint, sum(failed)::bigint FROM postrider.webhook_tallies")[0]
            #expect(try tallies.int(0) + tallies.int(1) == receiver.received.count)
        }

        /// What suits the sessions of an application would stop a worker, or show it lines of ordering keys as they were before
        /// it had their lock.
        @Test func settingsOfTheDatabaseAreNotThoseOfWorkers() async throws {
            let outpost = try await Outpost()
            let receiver = try Receiver()
            try await outpost.endpoint(receiver.url(), settings: #"options = '{"order": true}'"#)
            let name = try await outpost.text("SELECT current_database()")
            for setting in [
                "default_transaction_isolation = 'serializable'", "statement_timeout = '500ms'", "lock_timeout = '1ms'",
                "standard_conforming_strings = off", "search_path = ''", "TimeZone = 'Asia/Tokyo'", "DateStyle = 'SQL, DMY'",
                "IntervalStyle = 'sql_standard'", "bytea_output = 'escape'", "extra_float_digits = 0", "client_encoding = 'LATIN1'",
            ] {
                try await outpost.sql("ALTER DATABASE \"\(name)\" SET \(setting)")
            }
            try await outpost.withWorkers(2) {
                for _ in 0..<50 {
                    try await outpost.sql(
                        "SELECT postrider.emit('a.b', jsonb_build_object('n', n), ordering_key => 'k' || n) FROM generate_series(1, 4) AS n")
                }
                try await receiver.wait(for: 200)
                try await outpost.settled()
            }
            #expect(try await outpost.count("postrider.webhook_attempts WHERE outcome = 0") == 200)
            let keys = receiver.received.map { (key: ($0.json["data"] as? [String: Any])?["n"] as? Int ?? 0, id: $0.id) }
            for key in 1...4 {
                let ids = keys.filter { $0.key == key }.map(\.id)
                #expect(ids.count == 50 && ids == ids.sorted(), "key \(key)")
            }
        }

        /// On a server of its own: the setting is one of the whole server.
        @Test func readOnlyServerIsWaitedOut() async throws {
            let cluster = try CrashableCluster()
            try cluster.start()
            try await accepts(cluster.url)
            let outpost = try await Outpost(url: cluster.url)
            let receiver = try Receiver { _, _ in Reply(delayMilliseconds: 20) }
            // All of them take longer than the setting to come into force.
            try await outpost.endpoint(receiver.url(), settings: "max_concurrency = 3")
            try await outpost.withWorkers {
                try await outpost.insert(300)
                try await receiver.wait(for: 50)
                try await outpost.sql("ALTER SYSTEM SET default_transaction_read_only = on")
                try await outpost.sql("SELECT pg_reload_conf()")
                // Longer than any number of refusals that used to end a worker, and than a lease.
                try await eventually("the lease to run out") {
                    try await outpost.count("postrider.webhook_workers WHERE lease_until < clock_timestamp() - interval '1 second'") == 1
                }
                try await outpost.sql("BEGIN READ WRITE")
                try await outpost.insert(100)
                try await outpost.sql("COMMIT")
                #expect(
                    try await outpost.count("postrider.webhook_attempts") < 300, "refused: more was answered than is recorded")
                try await outpost.sql("ALTER SYSTEM RESET default_transaction_read_only")
                try await outpost.sql("SELECT pg_reload_conf()")
                try await outpost.settled()
                #expect(try await outpost.count("postrider.webhook_workers") == 1, "the worker lives its first life")
            }
            #expect(Set(receiver.received.map(\.id)).count == 400)
            #expect(receiver.received.count == 400, "nothing was sent twice")
            #expect(try await outpost.count("postrider.webhook_attempts") == 400)
        }

        /// The recording partition lies on a file system of its own, which is full.
        @Test(.enabled(if: FullDisk.isPossible, "needs root, to mount a small file system"))
        func fullDiskIsWaitedOut() async throws {
            let outpost = try await Outpost()
            let disk = try await FullDisk(outpost)
            defer { disk.remove() }
            let receiver = try Receiver { _, _ in Reply(body: String(repeating: "0123456789abcdef", count: 200)) }
            try await outpost.endpoint(receiver.url())
            try await disk.fill()
            try await outpost.withWorkers {
                // Each answer is kept, 3 kB, so that no page has room for them all.
                try await outpost.insert(600)
                try await receiver.wait(for: 600)
                let refused = "(SELECT xact_rollback AS n FROM pg_stat_database WHERE datname = current_database()) AS s"
                let before = try await outpost.sql("SELECT n FROM \(refused)")[0].int(0)
                try await eventually("settlements to be refused") {
                    try await outpost.sql("SELECT n FROM \(refused)")[0].int(0) >= before + 3
                }
                let recorded = try await outpost.count("postrider.webhook_attempts")
                #expect(recorded < 600, "the disk is full")
                try await disk.makeRoom()
                try await outpost.settled()
                #expect(try await outpost.count("postrider.webhook_workers") == 1, "the worker lives its first life")
            }
            #expect(try await outpost.count("postrider.webhook_attempts WHERE outcome = 0") == 600)
            #expect(receiver.received.count == 600, "nothing was sent twice")
            try await disk.detach()
        }

        /// A claim that the server refuses again and again ends a worker; what it knows by then is not sent again.
        @Test func attemptsOfAWorkerThatGivesUpAreRecorded() async throws {
            let outpost = try await Outpost()
            let receiver = try Receiver { _, _ in Reply(delayMilliseconds: 30_000, hangsUp: true) }
            try await outpost.endpoint(receiver.url())
            try await outpost.connection.script(
                """
                CREATE OR REPLACE FUNCTION postrider.claimed_payload(data jsonb) RETURNS text LANGUAGE plpgsql STABLE AS $$
                BEGIN
                    IF data ? 'refused' THEN
                        RAISE EXCEPTION 'this cannot be claimed' USING ERRCODE = 'data_exception';
                    END IF;
                    RETURN data::text;
                END $$
                """, name: "refuse to claim")
            let worker = try WorkerProcess(outpost)
            try await outpost.emit("a.b")
            try await receiver.wait(for: 1)
            try await outpost.emit("a.b", data: #"{"refused": 1}"#)
            try await eventually("the worker to end") { !worker.isRunning }
            #expect(worker.status != 0)
            #expect(try String(contentsOf: worker.log, encoding: .utf8).contains("this cannot be claimed"))
            #expect(try await outpost.count("postrider.webhook_attempts") == 1, "it was in flight")
        }

        @Test(arguments: [-7200, 7200]) func clockOfTheWorkerDoesNotCount(_ shift: Int) async throws {
            let outpost = try await Outpost()
            let seen = Mutex<Set<String>>([])
            // A failure that opens no breaker, which would add dates of its own.
            let receiver = try Receiver { request, _ in seen.withLock { $0.insert(request.id).inserted } ? .status(400) : .ok }
            try await outpost.endpoint(receiver.url(), settings: "base_delay_ms = 300, max_delay_ms = 300, jitter = 0")
            let shim = try ClockShim()
            let wrong = try WorkerProcess(outpost, environment: shim.environment(shift: shift))
            let right = try WorkerProcess(outpost)
            try await eventually("two workers") { try await outpost.count("postrider.webhook_workers WHERE has_lock") == 2 }
            // The signature's time is the worker's own: how the fault shows.
            let isShifted = {
                let now = Int(Date().timeIntervalSince1970)
                return receiver.received.contains { abs((Int($0.headers["webhook-timestamp"] ?? "") ?? 0) - now - shift) < 100 }
            }
            // One worker may take all there is, the one whose clock is right too.
            var emitted = 0
            repeat {
                for _ in 0..<20 { try await outpost.emit("a.b") }
                emitted += 20
                try await receiver.wait(for: 2 * emitted)
            } while !isShifted() && emitted < 400
            try await outpost.settled()
            #expect(isShifted(), "the fault was injected")
            let late = try await outpost.sql(
                """
                SELECT count(*) FILTER (WHERE next.attempted_at - first.next_retry_at NOT BETWEEN '-5 ms' AND '1 min'),
                       count(*) FILTER (WHERE first.next_retry_at - first.attempted_at NOT BETWEEN '290 ms' AND '1 min'), count(*)
                FROM postrider.webhook_attempts AS first JOIN postrider.webhook_attempts AS next USING (event_id, destination_id)
                WHERE first.attempt_number = 1 AND next.attempt_number = 2
                """)[0]
            #expect(try late.int(0) == 0)
            #expect(try late.int(1) == 0)
            #expect(try late.int(2) == emitted)
            #expect(try await outpost.count("postrider.webhook_workers WHERE alive") == 2, "nobody was taken over")
            #expect(wrong.stop() == 0)
            #expect(right.stop() == 0)
        }
    }
}
