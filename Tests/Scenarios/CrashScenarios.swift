// Workers that are stopped, killed or paused, as processes of the built program.

import Foundation
import Glibc
import HTTPExchange
import OutboxWorker
import Postgres
import TestSupport
import Testing

extension Scenarios {
    @Suite struct CrashScenarios {
        @Test func killedWorkersWorkIsDeliveredByAnother() async throws {
            let outpost = try await Outpost()
            let receiver = try Receiver { _, _ in Reply(delayMilliseconds: 100) }
            try await outpost.endpoint(receiver.url())
            let victim = try WorkerProcess(outpost)
            let survivor = try WorkerProcess(outpost)
            try await eventually("two workers") {
                try await outpost.count("postrider.webhook_workers WHERE has_lock") == 2
            }
            try await outpost.sql(
                "INSERT INTO postrider.webhook_events (event_type, data) SELECT 'n.n', jsonb_build_object('n', i) FROM generate_series(1, 3000) AS i"
            )
            try await receiver.wait(for: 300)
            // Paused first, so that what it holds stays what it dies with; nobody takes over for a second and a half.
            kill(victim.id, SIGSTOP)
            let held = try await outpost.claims(of: victim)
            #expect(victim.killAndWait(), "the fault was injected")
            #expect(held > 0, "the victim died with work in its hands")
            try await outpost.settled()
            #expect(Set(receiver.received.map(\.id)).count == 3000)
            #expect(try await outpost.count("postrider.webhook_events WHERE status = 'completed'") == 3000)
            #expect(survivor.stop() == 0)
        }

        @Test func stoppedWorkerFinishesAndGivesBackTheRest() async throws {
            let outpost = try await Outpost()
            let receiver = try Receiver { _, _ in Reply(delayMilliseconds: 50) }
            try await outpost.endpoint(receiver.url())
            let first = try WorkerProcess(outpost)
            try await outpost.sql(
                "INSERT INTO postrider.webhook_events (event_type, data) SELECT 'n.n', jsonb_build_object('n', i) FROM generate_series(1, 1000) AS i"
            )
            try await receiver.wait(for: 100)
            #expect(first.stop() == 0)
            #expect(try await outpost.count("postrider.webhook_claims") == 0)
            #expect(try await outpost.count("postrider.webhook_workers WHERE alive") == 0)
            let sofar = receiver.received.count
            #expect(try await outpost.count("postrider.webhook_attempts") == sofar)
            let second = try WorkerProcess(outpost)
            try await outpost.settled()
            #expect(receiver.received.count == 1000)
            #expect(Set(receiver.received.map(\.id)).count == 1000)
            #expect(second.stop() == 0)
        }

        @Test func stopIsNoLossOfAConnection() async throws {
            let outpost = try await Outpost()
            let workers = try (0..<8).map { _ in try WorkerProcess(outpost) }
            try await eventually("all workers to hear") {
                try await outpost.count("postrider.webhook_workers WHERE has_lock") == workers.count
            }
            for worker in workers {
                #expect(worker.stop() == 0)
                let lines = try String(contentsOf: worker.log, encoding: .utf8).split(separator: "\n")
                #expect(lines.last?.contains("worker stopped") == true)
                // While eight start at once a heartbeat may be late, and its connection be given up.
                let ending = lines.drop { !$0.contains("worker stopping") }
                #expect(!ending.contains { $0.contains("connection lost") }, "\(ending)")
            }
        }

        @Test func pausedWorkerChangesNothingAfterItWasReplaced() async throws {
            let outpost = try await Outpost()
            let receiver = try Receiver { _, place in Reply(status: place % 2 == 0 ? 500 : 200, delayMilliseconds: 30) }
            try await outpost.endpoint(
                receiver.url(), settings: "max_attempts = 30, base_delay_ms = 10, max_delay_ms = 20")
            let zombie = try WorkerProcess(outpost)
            try await outpost.sql(
                "INSERT INTO postrider.webhook_events (event_type, data) SELECT 'n.n', jsonb_build_object('n', i) FROM generate_series(1, 600) AS i"
            )
            try await receiver.wait(for: 50)
            zombie.signal(SIGSTOP)
            let survivor = try WorkerProcess(outpost)
            try await eventually("the paused worker to be declared dead") {
                try await outpost.count("postrider.webhook_workers WHERE NOT alive") == 1
            }
            zombie.signal(SIGCONT)
            try await outpost.settled()
            try await eventually("the paused worker to begin a new life") {
                try await outpost.count("postrider.webhook_workers WHERE alive") == 2
            }
            #expect(Set(receiver.received.map(\.id)).count == 600)
            #expect(try await outpost.count("postrider.webhook_events WHERE status = 'completed'") == 600)
            #expect(try await outpost.count("postrider.webhook_claims") == 0)
            #expect(zombie.stop() == 0)
            #expect(survivor.stop() == 0)
        }
    }
}

extension Scenarios {
    @Suite struct DatabaseScenarios {
        @Test func connectionsKilledUnderLoadLoseNothing() async throws {
            let outpost = try await Outpost()
            let receiver = try Receiver { _, _ in Reply(delayMilliseconds: 2) }
            try await outpost.endpoint(receiver.url())
            var killed = 0
            try await outpost.withWorkers(2) {
                for _ in 0..<20 {
                    try await outpost.sql(
                        "INSERT INTO postrider.webhook_events (event_type, data) SELECT 'n.n', jsonb_build_object('n', i) FROM generate_series(1, 200) AS i"
                    )
                    // Workers whose connections were killed a moment ago have none yet.
                    try await eventually("a connection to kill") {
                        let ended = try await outpost.sql(
                            """
                            SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM pg_stat_activity
                            WHERE datname = current_database() AND pid <> pg_backend_pid()
                              AND backend_type = 'client backend'
                            """)[0].int(0)
                        killed += ended
                        return ended > 0
                    }
                }
                try await outpost.settled()
            }
            #expect(killed > 20, "the faults were injected")
            #expect(Set(receiver.received.map(\.id)).count == 4000)
            #expect(try await outpost.count("postrider.webhook_events WHERE status = 'completed'") == 4000)
            #expect(try await outpost.count("postrider.webhook_claims") == 0)
        }

        @Test func claimWhoseAnswerWasLostIsFound() async throws {
            let outpost = try await Outpost()
            let receiver = try Receiver()
            try await outpost.endpoint(receiver.url())
            try await outpost.withWorkers {
                // As if the worker had claimed and its connection had died before the answer came.
                let id = try await outpost.sql(
                    """
                    WITH event AS (
                        INSERT INTO postrider.webhook_event_log (event_type, data) VALUES ('a.b', '{}') RETURNING id
                    ), claim AS (
                        INSERT INTO postrider.webhook_claims (worker_id, event_ids, claimed_at)
                        SELECT (SELECT max(id) FROM postrider.webhook_workers), ARRAY[id], clock_timestamp() - interval '1 minute'
                        FROM event
                    )
                    SELECT id::text FROM event
                    """)[0].string(0)
                try await outpost.sql("DELETE FROM postrider.webhook_queue")
                try await receiver.wait(for: 1)
                #expect(receiver.received.map(\.id).contains(id))
                try await outpost.settled()
            }
        }
    }
}
