// Destinations that are down beside one that is well: breakers, probes, disabling, events that kill workers.

import Foundation
import Glibc
import OutboxStore
import Postgres
import Synchronization
import TestSupport
import Testing

extension Scenarios {
    @Suite struct IsolationScenarios {
        private static let quick = "base_delay_ms = 100, max_delay_ms = 400, max_attempts = 1000, jitter = 0"

        @Test func deadDestinationIsProbedAndThenGetsEverything() async throws {
            let outpost = try await Outpost()
            let isUp = Atomic(false)
            let dead = try Receiver { _, _ in isUp.load(ordering: .relaxed) ? .ok : .status(503) }
            let good = try Receiver()
            try await outpost.endpoint(dead.url(), settings: Self.quick)
            try await outpost.endpoint(good.url())
            try await outpost.withWorkers(2) {
                try await outpost.sql(
                    "INSERT INTO postrider.webhook_events (event_type, data) SELECT 'n.n', '{}' FROM generate_series(1, 400)")
                try await good.wait(for: 400)
                try await eventually("the breaker to open") {
                    try await outpost.count("postrider.webhook_destination_status WHERE breaker = 'open'") == 1
                }
                // From now on one request at a time, and ever more seldom.
                try await eventually("a second trip") {
                    try await outpost.count("postrider.webhook_breakers WHERE trips >= 2") == 1
                }
                // The failure is told before the retry of the same request is recorded.
                try await eventually("all to wait") {
                    try await outpost.sql(
                        """
                        SELECT NOT EXISTS (SELECT FROM postrider.webhook_claims)
                           AND (SELECT count(*) FROM postrider.webhook_retries) = 400
                        """)[0].bool(0)
                }
                #expect(dead.received.count < 60, "\(dead.received.count) requests to a dead receiver")
                isUp.store(true, ordering: .relaxed)
                try await outpost.settled()
                try await eventually("the breaker to be forgotten") {
                    try await outpost.count("postrider.webhook_breakers") == 0
                }
            }
            #expect(Set(dead.received.map(\.id)).count == 400)
            #expect(try await outpost.count("postrider.webhook_events WHERE status = 'completed'") == 400)
        }

        @Test func destinationThatOnlyFailsIsDisabledAndLosesNothing() async throws {
            let outpost = try await Outpost()
            let isUp = Atomic(false)
            let receiver = try Receiver { _, _ in isUp.load(ordering: .relaxed) ? .ok : .status(401) }
            try await outpost.endpoint(receiver.url(), settings: Self.quick + ", disable_after_s = 1, max_concurrency = 1")
            try await outpost.withWorkers {
                let ids = try await outpost.emit("a.b", count: 20)
                try await eventually("the endpoint to be disabled") {
                    try await outpost.count(
                        "postrider.webhook_endpoints WHERE NOT is_active AND inactive_reason LIKE 'nothing but failure since %'") == 1
                }
                try await eventually("nothing to be in flight") { try await outpost.count("postrider.webhook_claims") == 0 }
                let more = try await outpost.emit("a.b", count: 5)
                try await eventually("what comes meanwhile to be parked") {
                    let list = more.map { "'\($0)'" }.joined(separator: ",")
                    return try await outpost.count(
                        "postrider.webhook_retries WHERE due_at = 'infinity' AND event_id IN (\(list))") == 5
                }
                let sofar = receiver.received.count
                isUp.store(true, ordering: .relaxed)
                try await outpost.sql("UPDATE postrider.webhook_endpoints SET is_active = true")
                try await outpost.settled()
                #expect(Set(receiver.received.dropFirst(sofar).map(\.id)) == Set(ids + more))
            }
            #expect(try await outpost.count("postrider.webhook_dead_letters") == 0)
        }

        /// Of the others it is told at once, and of this one when the change is done, however long that takes.
        @Test func newsOfADestinationWaitForWhoeverChangesIt() async throws {
            let outpost = try await Outpost()
            let isUp = Atomic(false)
            let receiver = try Receiver { request, _ in
                request.path == "/other" ? .status(503) : isUp.load(ordering: .relaxed) ? .ok : .status(401)
            }
            let changed = try await outpost.endpoint(receiver.url("/changed"), events: "a.b", settings: Self.quick)
            let other = try await outpost.endpoint(receiver.url("/other"), events: "b.b", settings: Self.quick)
            let admin = try await Connection.open(ConnectionSettings(url: outpost.url))
            try await outpost.withWorkers {
                try await outpost.emit("a.b", count: 20)
                try await eventually("word of the failures") {
                    try await outpost.count("postrider.webhook_breakers WHERE destination_id = \(changed)") == 1
                }
                try await admin.script(
                    "BEGIN; UPDATE postrider.webhook_destinations SET url = url || '/new' WHERE id = \(changed)", name: "change")
                isUp.store(true, ordering: .relaxed)
                try await eventually("the success") {
                    try await outpost.count("postrider.webhook_attempts WHERE destination_id = \(changed) AND outcome = 0") == 20
                }
                try await outpost.emit("b.b", count: 20)
                try await eventually("word of the other") {
                    try await outpost.count("postrider.webhook_breakers WHERE destination_id = \(other) AND trips > 0") == 1
                }
                // The success has been tried to tell by then, and is not told a second time by itself: nothing is sent any more.
                #expect(try await outpost.count("postrider.webhook_breakers WHERE destination_id = \(changed)") == 1)
                try await admin.script("ROLLBACK", name: "undo")
                try await eventually("word of the success") {
                    try await outpost.count("postrider.webhook_breakers WHERE destination_id = \(changed)") == 0
                }
            }
            await admin.close()
        }

        @Test func pauseOfOneWorkersReceiverHoldsForTheOthers() async throws {
            let outpost = try await Outpost()
            let receiver = try Receiver { _, place in place == 0 ? Reply(status: 429, headers: ["Retry-After: 9"]) : .ok }
            try await outpost.endpoint(receiver.url(), settings: Self.quick)
            try await outpost.withWorkers(3) {
                try await outpost.emit("a.b")
                try await eventually("the pause to be known") { try await outpost.count("postrider.webhook_breakers") == 1 }
                // Every worker has looked by then; whichever claims it puts it by.
                try await eventually("all workers to know of it") {
                    try await outpost.count(
                        "postrider.webhook_breakers WHERE failing_since < clock_timestamp() - interval '4 seconds'") == 1
                }
                try await outpost.emit("a.b", count: 10)
                try await receiver.wait(for: 12)
                try await outpost.settled()
            }
            let first = receiver.received[0].arrivedAt
            #expect(receiver.received.dropFirst().allSatisfy { $0.arrivedAt - first > 8_500_000_000 })
        }

        @Test func eventThatKillsItsWorkersIsGivenUpAfterFive() async throws {
            let outpost = try await Outpost()
            let victim = Atomic<Int32>(0)
            let killed = Atomic(0)
            // The receiver kills whoever sends the poison: to the outbox it is an event that crashes workers.
            let receiver = try Receiver { request, _ in
                guard String(decoding: request.body, as: UTF8.self).contains("poison") else { return .ok }
                // Never 0, which is the test's own process group.
                let id = victim.load(ordering: .acquiring)
                if id > 0, kill(id, SIGKILL) == 0 { killed.add(1, ordering: .relaxed) }
                return Reply(hangsUp: true)
            }
            try await outpost.endpoint(receiver.url())
            try await outpost.sql(
                """
                INSERT INTO postrider.webhook_events (event_type, data)
                SELECT 'n.n', CASE i WHEN 60 THEN '{"is": "poison"}' ELSE jsonb_build_object('n', i) END
                FROM generate_series(1, 100) AS i
                """)
            for death in 1...RescueStore.mostRescues {
                let worker = try WorkerProcess(outpost)
                victim.store(worker.id, ordering: .releasing)
                try await eventually("death \(death)", within: .seconds(30)) { !worker.isRunning }
            }
            #expect(killed.load(ordering: .relaxed) == RescueStore.mostRescues, "the faults were injected")
            let last = try WorkerProcess(outpost)
            victim.store(last.id, ordering: .releasing)
            try await outpost.settled()
            let letter = try await outpost.sql(
                """
                SELECT l.failure, e.data->>'is' FROM postrider.webhook_dead_letters AS l
                JOIN postrider.webhook_event_log AS e ON e.id = l.event_id
                """)
            #expect(letter.count == 1)
            #expect(try letter[0].string(0) == "poison")
            #expect(try letter[0].string(1) == "poison")
            #expect(try await outpost.count("postrider.webhook_events WHERE status = 'completed'") == 99)
            #expect(last.stop() == 0)
        }

        @Test func claimWithAStragglerShrinks() async throws {
            let outpost = try await Outpost()
            let receiver = try Receiver { request, _ in
                String(decoding: request.body, as: UTF8.self).contains("slow") ? Reply(delayMilliseconds: 4000) : .ok
            }
            try await outpost.endpoint(receiver.url())
            try await outpost.withWorkers {
                try await outpost.sql(
                    """
                    INSERT INTO postrider.webhook_events (event_type, data)
                    SELECT 'n.n', CASE i WHEN 7 THEN '{"is": "slow"}'::jsonb ELSE '{}' END FROM generate_series(1, 50) AS i
                    """)
                try await receiver.wait(for: 50)
                try await eventually("the claim to be cut down to one delivery") {
                    try await outpost.count(
                        "postrider.webhook_claims WHERE cardinality(event_ids) = 1 AND destination_ids IS NOT NULL") == 1
                }
                try await outpost.settled()
            }
            #expect(try await outpost.count("postrider.webhook_attempts") == 50)
        }
    }
}
