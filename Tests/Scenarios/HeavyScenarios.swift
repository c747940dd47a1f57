// A backlog of events whose payloads are larger than what claims carry: how much of it a worker takes, and gives back.

import Foundation
import Glibc
import Postgres
import TestSupport
import Testing

extension Scenarios {
    @Suite struct HeavyScenarios {
        /// A backlog of 20 KB each, which do not compress.
        private func backlog(_ events: Int, delay: Int, concurrency: Int) async throws -> (outpost: Outpost, receiver: Receiver) {
            let outpost = try await Outpost()
            let receiver = try Receiver { _, _ in Reply(delayMilliseconds: delay) }
            try await outpost.endpoint(receiver.url(), settings: "max_concurrency = \(concurrency)")
            try await outpost.sql(
                """
                INSERT INTO postrider.webhook_events (event_type, data)
                SELECT 'big.one', jsonb_build_object('n', i, 'text', p.text)
                FROM generate_series(1, \(events)) AS i,
                     LATERAL (SELECT string_agg(md5(random()::text || i || j), '') FROM generate_series(1, 640) AS j) AS p (text)
                """)
            return (outpost, receiver)
        }

        /// How many events stand in the claims of a worker.
        private func held(_ outpost: Outpost, by worker: WorkerProcess) async throws -> Int {
            try await outpost.sql(
                """
                SELECT coalesce(sum(cardinality(c.event_ids)), 0)::integer
                FROM postrider.webhook_claims AS c JOIN postrider.webhook_workers AS w ON w.id = c.worker_id
                WHERE w.process_id = \(worker.id)
                """)[0].int(0)
        }

        private func deliveries(_ outpost: Outpost, by worker: WorkerProcess) async throws -> Int {
            try await outpost.count(
                """
                postrider.webhook_attempts AS a JOIN postrider.webhook_workers AS w ON w.id = a.worker_id
                WHERE a.outcome = 0 AND w.process_id = \(worker.id)
                """)
        }

        private func expectAllOnce(_ events: Int, _ outpost: Outpost, _ receiver: Receiver) async throws {
            #expect(receiver.received.count == events)
            #expect(Set(receiver.received.map(\.id)).count == events)
            #expect(try await outpost.count("postrider.webhook_events WHERE status = 'completed'") == events)
            #expect(try await outpost.count("postrider.webhook_dead_letters") == 0)
        }

        /// A claim counts whole until the last of it is recorded, so more stand in claims than are in memory: a few claims
        /// that are nearly done, of 512 each at most.
        @Test func workerTakesItsShareOfABacklogOfLargeEvents() async throws {
            // 400 a second of each worker: slower than payloads are loaded.
            let (outpost, receiver) = try await backlog(3_000, delay: 20, concurrency: 8)
            // The limit shows with fewer events than the standard one needs.
            let environment = ["POSTRIDER_MAX_OUTSTANDING": "512"]
            let first = try WorkerProcess(outpost, environment: environment)
            try await receiver.wait(for: 50)
            let second = try WorkerProcess(outpost, environment: environment)
            var most = 0
            try await eventually("all events to arrive", within: .seconds(60)) {
                for worker in [first, second] { most = max(most, try await held(outpost, by: worker)) }
                return receiver.received.count >= 3_000
            }
            try await outpost.settled()
            #expect(most > 0)
            #expect(most < 2_000, "\(most) events were in the claims of one worker")
            try await expectAllOnce(3_000, outpost, receiver)
            for worker in [first, second] {
                #expect(try await deliveries(outpost, by: worker) > 100)
                #expect(worker.stop() == 0)
            }
        }

        @Test func workerThatStopsGivesBackLargeEventsUnread() async throws {
            // Faster than payloads are loaded, so that most of what is taken is still in Postgres.
            let (outpost, receiver) = try await backlog(3_000, delay: 5, concurrency: 64)
            let stopped = try WorkerProcess(outpost)
            try await receiver.wait(for: 50)
            try await eventually("large events in its hands") { try await held(outpost, by: stopped) > 1_000 }
            let start = ContinuousClock.now
            stopped.signal(SIGTERM)
            try await eventually("the worker to end") { !stopped.isRunning }
            #expect(ContinuousClock.now - start < .seconds(20), "the grace is 25 s")
            #expect(stopped.status == 0)
            #expect(receiver.received.count < 3_000)
            #expect(try await outpost.count("postrider.webhook_claims") == 0)
            #expect(try await outpost.count("postrider.webhook_retries WHERE attempt_number = 1") > 500)
            let next = try WorkerProcess(outpost)
            try await receiver.wait(for: 3_000, within: .seconds(60))
            try await outpost.settled()
            try await expectAllOnce(3_000, outpost, receiver)
            #expect(next.stop() == 0)
        }

        /// What goes back unread has not met the filter of its destination.
        @Test func largeEventsThatWereGivenBackUnreadAreFiltered() async throws {
            let (outpost, receiver) = try await backlog(3_000, delay: 5, concurrency: 64)
            let picky = try await outpost.endpoint(
                receiver.url("/never"), settings: #"options = '{"filter": {"x": {"exists": true}}}'"#)
            let stopped = try WorkerProcess(outpost)
            try await receiver.wait(for: 5)
            #expect(stopped.stop() == 0)
            let unread = "postrider.webhook_retries WHERE destination_id = \(picky)"
            #expect(try await outpost.count(unread) > 0)
            let next = try WorkerProcess(outpost)
            try await receiver.wait(for: 3_000, within: .seconds(60))
            try await outpost.settled()
            try await expectAllOnce(3_000, outpost, receiver)
            #expect(Set(receiver.received.map(\.path)) == ["/hook"])
            #expect(try await outpost.count(unread) == 0)
            #expect(next.stop() == 0)
        }

        /// Postgres stores it in two megabytes.
        @Test func payloadLargerThanTheMostThatIsSentBecomesADeadLetter() async throws {
            let outpost = try await Outpost()
            let receiver = try Receiver()
            try await outpost.endpoint(receiver.url(), settings: "max_attempts = 2, base_delay_ms = 20, max_delay_ms = 20")
            try await outpost.sql(
                """
                INSERT INTO postrider.webhook_events (event_type, data) VALUES
                    ('big.one', jsonb_build_object('text', repeat('x', 64 << 20))), ('big.two', '{}')
                """)
            let worker = try WorkerProcess(outpost)
            try await eventually("the dead letter", within: .seconds(60)) {
                try await outpost.count("postrider.webhook_dead_letters") == 1
            }
            try await outpost.settled()
            #expect(receiver.received.map { $0.json["type"] as? String } == ["big.two"])
            let dead = try await outpost.sql("SELECT attempts, error_message FROM postrider.webhook_dead_letters")[0]
            #expect(try dead.int(0) == 2)
            #expect(try dead.string(1).contains("64 MiB"))
            #expect(worker.stop() == 0)
        }
    }
}
