// Strict order, rates, batches and priorities: what a destination's options promise, against real workers and receivers.

import Foundation
import HTTPExchange
import OutboxWorker
import Postgres
import TestSupport
import Testing

extension Scenarios {
    @Suite struct LaneScenarios {
        /// Numbers that arrived, by ordering key, in their order of arrival; `data` is `{"key", "n"}`.
        private func lines(_ requests: [Received]) -> [String: [Int]] {
            var lines: [String: [Int]] = [:]
            for request in requests {
                guard let data = request.json["data"] as? [String: Any], let key = data["key"] as? String,
                    let number = data["n"] as? Int
                else { continue }
                lines[key, default: []].append(number)
            }
            return lines
        }

        /// Each statement writes one event for each of the keys, so that the events of a key are far apart.
        private func emitLines(_ outpost: Outpost, keys: Int, each: Int) async throws {
            for number in 1...each {
                try await outpost.sql(
                    """
                    INSERT INTO postrider.webhook_events (event_type, ordering_key, data)
                    SELECT 'line.moved', 'k' || k, jsonb_build_object('key', 'k' || k, 'n', $1::integer) FROM generate_series(1, $2) AS k
                    """, [.int4(Int32(number)), .int4(Int32(keys))])
            }
        }

        // MARK: Order

        @Test func keysKeepTheirOrderAcrossWorkersAndRetries() async throws {
            let outpost = try await Outpost()
            // Every fifth request fails once or more, so that order must hold across retries.
            let receiver = try Receiver { _, place in place % 5 == 3 ? .status(503) : .ok }
            try await outpost.endpoint(
                receiver.url(),
                settings: "options = '{\"order\": true}', delays_ms = '{5,5,5,5,5,5,5,5}', jitter = 0, max_attempts = 9")
            try await outpost.withWorkers(3) {
                try await emitLines(outpost, keys: 8, each: 25)
                try await eventually("200 delivered events", within: .seconds(60)) {
                    try await outpost.count("postrider.webhook_attempts WHERE outcome = 0") == 200
                }
                try await outpost.settled()
            }
            let failed = try await outpost.count("postrider.webhook_attempts WHERE outcome = 1")
            #expect(failed > 30, "requests did fail")
            // What failed is sent again before what follows: without its repeats each line is 1 to 25.
            #expect(lines(receiver.received).count == 8)
            for (key, numbers) in lines(receiver.received) {
                #expect(numbers == numbers.sorted(), "\(key): \(numbers)")
                #expect(Set(numbers).count == 25, "\(key)")
            }
            #expect(try await outpost.count("postrider.webhook_keys") == 0)
            #expect(try await outpost.count("postrider.webhook_retries") == 0)
        }

        @Test func keysKeepTheirOrderAcrossKilledWorkers() async throws {
            let outpost = try await Outpost()
            let receiver = try Receiver { _, _ in Reply(delayMilliseconds: 3) }
            try await outpost.endpoint(receiver.url(), settings: "options = '{\"order\": true}'")
            var workers = [try WorkerProcess(outpost), try WorkerProcess(outpost)]
            try await eventually("two workers") {
                try await outpost.count("postrider.webhook_workers WHERE has_lock") == 2
            }
            try await emitLines(outpost, keys: 5, each: 40)
            for round in 1...3 {
                try await receiver.wait(for: round * 40)
                #expect(workers[0].killAndWait(), "the fault was injected")
                workers = [workers[1], try WorkerProcess(outpost)]
            }
            try await eventually("200 delivered events", within: .seconds(60)) {
                try await outpost.count("postrider.webhook_events WHERE status = 'completed'") == 200
            }
            #expect(lines(receiver.received).count == 5)
            // A delivery that nobody recorded comes again; nothing overtakes it.
            for (key, numbers) in lines(receiver.received) {
                #expect(numbers == numbers.sorted(), "\(key): \(numbers)")
                #expect(Set(numbers).count == 40, "\(key)")
            }
            for worker in workers { #expect(worker.stop() == 0) }
        }

        /// What comes while no worker can send to the endpoint keeps its order too.
        @Test func keysKeepTheirOrderWhileASettingIsMissing() async throws {
            let outpost = try await Outpost()
            let receiver = try Receiver { _, place in Reply(delayMilliseconds: place % 3) }
            try await outpost.endpoint(
                receiver.url(), settings: #"options = '{"order": true}', headers = '{"X-Token": "${TOKEN}"}'"#)
            try await outpost.withWorkers(2) {
                try await emitLines(outpost, keys: 3, each: 20)
                try await eventually("all to wait") {
                    try await outpost.count("postrider.webhook_events WHERE status = 'processing'") == 60
                }
                #expect(try await outpost.text("SELECT sum(waiting)::text FROM postrider.webhook_key_status") == "57", "behind three heads")
                try await outpost.sql("INSERT INTO postrider.webhook_settings (name, value) VALUES ('TOKEN', 't')")
                try await receiver.wait(for: 60, within: .seconds(60))
                try await outpost.settled()
            }
            #expect(lines(receiver.received).values.map { $0 } == Array(repeating: Array(1...20), count: 3))
        }

        @Test func blockedKeyHoldsNoOtherAndIsSkippedByCommand() async throws {
            let outpost = try await Outpost()
            let receiver = try Receiver { request, _ in
                String(decoding: request.body, as: UTF8.self).contains(#""n": 2, "key": "k1""#)
                    || String(decoding: request.body, as: UTF8.self).contains(#""key": "k1", "n": 2"#) ? .status(400) : .ok
            }
            let endpoint = try await outpost.endpoint(
                receiver.url(), settings: "options = '{\"order\": true}', final_statuses = '4xx'")
            try await outpost.withWorkers(2) {
                try await emitLines(outpost, keys: 3, each: 6)
                try await eventually("the other keys to be delivered and k1 to stand") {
                    let blocked = try await outpost.count("postrider.webhook_key_status WHERE state = 'blocked' AND waiting = 4")
                    return try await outpost.count("postrider.webhook_attempts WHERE outcome = 0") == 13 && blocked == 1
                }
                #expect(try await outpost.count("postrider.webhook_key_status") == 1)
                #expect(try await outpost.count("postrider.webhook_events WHERE status = 'processing'") == 4)
                try await outpost.sql(
                    """
                    SELECT postrider.skip_key(public_id, 'k1') FROM postrider.webhook_destinations WHERE id = \(endpoint)
                    """)
                try await eventually("the rest of k1") {
                    try await outpost.count("postrider.webhook_attempts WHERE outcome = 0") == 17
                }
                try await outpost.settled()
            }
            #expect(lines(receiver.received)["k1"] == [1, 2, 3, 4, 5, 6])
            #expect(try await outpost.count("postrider.webhook_dead_letters") == 1)
            #expect(try await outpost.count("postrider.webhook_keys") == 0)
        }

        @Test func orderThatIsTakenAwayLetsEverythingGo() async throws {
            let outpost = try await Outpost()
            let receiver = try Receiver { _, place in place == 0 ? .status(400) : .ok }
            let endpoint = try await outpost.endpoint(
                receiver.url(), settings: "options = '{\"order\": true}', final_statuses = '4xx'")
            try await outpost.withWorkers {
                try await emitLines(outpost, keys: 1, each: 5)
                try await eventually("a blocked key") {
                    try await outpost.count("postrider.webhook_key_status WHERE state = 'blocked' AND waiting = 4") == 1
                }
                try await outpost.sql("UPDATE postrider.webhook_destinations SET options = '{}' WHERE id = \(endpoint)")
                try await receiver.wait(for: 5)
                try await outpost.settled()
            }
            #expect(receiver.received.count == 5)
            #expect(try await outpost.count("postrider.webhook_keys") == 0)
        }

        // MARK: Rates

        /// Whatever the machine does, never more requests than the bucket gave out, and no long rest between them.
        @Test func rateHoldsAcrossWorkers() async throws {
            let outpost = try await Outpost()
            let receiver = try Receiver()
            let free = try Receiver()
            try await outpost.endpoint(
                receiver.url(), settings: #"options = '{"rate": {"per_second": 50, "burst": 10}}'"#)
            try await outpost.endpoint(free.url())
            // The bucket is full before the events are there, and whoever is late only asks for less.
            let begin = Double(DispatchTime.now().uptimeNanoseconds) / 1e9
            try await outpost.withWorkers(3) {
                try await outpost.sql(
                    "INSERT INTO postrider.webhook_events (event_type, data) SELECT 'n.n', jsonb_build_object('n', i) FROM generate_series(1, 300) AS i"
                )
                try await free.wait(for: 300)
                let sent = receiver.received.count
                #expect(sent < 300, "the other endpoint does not wait for this one: \(sent)")
                try await receiver.wait(for: 300)
                try await outpost.settled()
            }
            let times = receiver.received.map { Double($0.arrivedAt) / 1e9 }.sorted()
            for (count, time) in times.enumerated() {
                #expect(Double(count) <= 50 * (time - begin) + 10, "request \(count) at \(time - begin) s")
            }
            let lasted = times[299] - begin
            #expect(lasted >= 5.79, "300 requests in \(lasted) s")
            #expect(Set(receiver.received.map(\.id)).count == 300)
        }

        // MARK: Batches

        @Test func batchesAreSignedOnceAndRecordedOneByOne() async throws {
            let outpost = try await Outpost()
            let receiver = try Receiver()
            let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
            try await outpost.endpoint(
                receiver.url(), secret: secret, settings: #"options = '{"batch": {"events": 40, "wait_ms": 300}}'"#)
            try await outpost.withWorkers {
                try await outpost.sql(
                    "INSERT INTO postrider.webhook_events (event_type, data) SELECT 'n.n', jsonb_build_object('n', i) FROM generate_series(1, 100) AS i"
                )
                try await eventually("100 recorded deliveries") {
                    try await outpost.count("postrider.webhook_attempts WHERE outcome = 0") == 100
                }
                try await outpost.settled()
            }
            let batches = try receiver.received.map { request in
                try #require(JSONSerialization.jsonObject(with: Data(request.body)) as? [[String: Any]])
            }
            #expect(batches.map(\.count).sorted() == [20, 40, 40])
            #expect(try receiver.received.allSatisfy { try StandardWebhooks.verify($0, secret: secret) })
            let ids = batches.flatMap { $0.compactMap { $0["id"] as? String } }
            #expect(Set(ids).count == 100)
            let numbers = batches.flatMap { $0.compactMap { ($0["data"] as? [String: Any])?["n"] as? Int } }
            #expect(numbers.sorted() == Array(1...100))
            #expect(Set(receiver.received.map(\.id)).isDisjoint(with: ids), "a batch has an id of its own")
        }

        /// Two of the small payloads have fewer bytes than a batch may have, three have more; one is larger than all.
        @Test func batchesHoldSoManyBytesOfPayload() async throws {
            let outpost = try await Outpost()
            let receiver = try Receiver()
            try await outpost.endpoint(
                receiver.url(), settings: #"options = '{"batch": {"events": 100, "wait_ms": 300, "bytes": 1100}}'"#)
            try await outpost.withWorkers {
                try await outpost.sql(
                    """
                    INSERT INTO postrider.webhook_events (event_type, data)
                    SELECT 'n.n', jsonb_build_object('n', i, 'x', repeat('x', CASE i WHEN 4 THEN 3000 ELSE 400 END))
                    FROM generate_series(1, 7) AS i
                    """)
                try await eventually("7 recorded deliveries") {
                    try await outpost.count("postrider.webhook_attempts WHERE outcome = 0") == 7
                }
            }
            let batches = try receiver.received.map { request in
                try #require(JSONSerialization.jsonObject(with: Data(request.body)) as? [[String: Any]])
                    .compactMap { ($0["data"] as? [String: Any])?["n"] as? Int }
            }
            #expect(batches.flatMap { $0 }.sorted() == Array(1...7))
            #expect(batches.allSatisfy { $0.count <= 2 })
            #expect(batches.contains([4]) && batches.contains { $0.count == 2 }, "\(batches)")
        }

        @Test func refusedItemsAloneAreTriedAgain() async throws {
            let outpost = try await Outpost()
            let receiver = try Receiver { request, place in
                guard place == 0, let batch = try? JSONSerialization.jsonObject(with: Data(request.body)) as? [[String: Any]],
                    let refused = batch[1]["id"] as? String
                else { return .ok }
                return Reply(body: #"{"batchItemFailures": [{"itemIdentifier": "\#(refused)"}]}"#)
            }
            try await outpost.endpoint(
                receiver.url(),
                settings: #"options = '{"batch": {"events": 4, "wait_ms": 50}}', delays_ms = '{5,5}', jitter = 0"#)
            try await outpost.withWorkers {
                try await outpost.sql(
                    "INSERT INTO postrider.webhook_events (event_type, data) SELECT 'n.n', jsonb_build_object('n', i) FROM generate_series(1, 4) AS i"
                )
                try await receiver.wait(for: 2)
                try await outpost.settled()
            }
            #expect(receiver.received.count == 2)
            #expect(try await outpost.count("postrider.webhook_attempts WHERE outcome = 0 AND attempt_number = 1") == 3)
            #expect(try await outpost.count("postrider.webhook_attempts WHERE failure = 'refused_item'") == 1)
            #expect(try await outpost.count("postrider.webhook_attempts WHERE outcome = 0 AND attempt_number = 2") == 1)
            #expect(try await outpost.count("postrider.webhook_events WHERE status = 'completed'") == 4)
        }

        @Test func poisonousEventIsAloneInTheEnd() async throws {
            let outpost = try await Outpost()
            let receiver = try Receiver { request, _ in
                String(decoding: request.body, as: UTF8.self).contains("poison") ? .status(500) : .ok
            }
            try await outpost.endpoint(
                receiver.url(),
                settings: #"options = '{"batch": {"events": 16, "wait_ms": 20}}', delays_ms = '{1,1,1,1}', jitter = 0"#)
            try await outpost.withWorkers {
                try await outpost.sql(
                    "INSERT INTO postrider.webhook_events (event_type, data) SELECT 'n.n', jsonb_build_object('n', CASE i WHEN 7 THEN 'poison' ELSE 'well' END) FROM generate_series(1, 16) AS i"
                )
                try await outpost.settled()
            }
            #expect(try await outpost.count("postrider.webhook_events WHERE status = 'completed'") == 15)
            #expect(try await outpost.count("postrider.webhook_dead_letters") == 1)
        }

        // MARK: Priorities

        @Test func urgentEventsGoFirstAndSlowOnesDoNotStarve() async throws {
            let outpost = try await Outpost()
            let receiver = try Receiver { _, _ in Reply(delayMilliseconds: 2) }
            try await outpost.endpoint(receiver.url(), settings: "max_concurrency = 2")
            try await outpost.sql(
                """
                INSERT INTO postrider.webhook_events (event_type, priority, data)
                SELECT (ARRAY['p.high', 'p.normal', 'p.low'])[p + 1], p, '{}' FROM generate_series(1, 200), generate_series(0, 2) AS p
                """)
            try await outpost.withWorkers {
                try await receiver.wait(for: 600)
                try await outpost.settled()
            }
            let types = receiver.received.prefix(600).map { $0.json["type"] as? String ?? "" }
            let first = Dictionary(grouping: types.prefix(200)) { $0 }.mapValues(\.count)
            #expect(first["p.high", default: 0] > 120, "\(first)")
            #expect(first["p.normal", default: 0] > 10, "\(first)")
            #expect(first["p.low", default: 0] > 3, "\(first)")
        }

        // MARK: Many endpoints

        @Test func changesOfEndpointsReachWorkersThatLoadThemAlone() async throws {
            let outpost = try await Outpost()
            let receiver = try Receiver()
            // A crowd that wants something else.
            try await outpost.sql(
                """
                INSERT INTO postrider.webhook_destinations (kind, name, url, event_types, organization_id)
                SELECT 'endpoint', 'crowd ' || n, 'https://example.com/' || n, '{*}', 'org-' || n FROM generate_series(1, 3000) AS n
                """)
            let endpoint = try await outpost.endpoint(receiver.url("/first"), events: "a.b")
            try await outpost.withWorkers(2) {
                try await outpost.emit("a.b")
                try await receiver.wait(for: 1)
                try await outpost.sql(
                    "UPDATE postrider.webhook_destinations SET url = '\(receiver.url("/second"))' WHERE id = \(endpoint)")
                try await outpost.emit("a.b")
                try await receiver.wait(for: 2)
                try await outpost.sql(
                    "UPDATE postrider.webhook_destinations SET event_types = '{c.d}' WHERE id = \(endpoint)")
                try await outpost.emit("a.b")
                try await outpost.emit("c.d")
                try await receiver.wait(for: 3)
                // More changes than are laid over the others.
                try await outpost.sql(
                    "UPDATE postrider.webhook_destinations SET url = '\(receiver.url("/crowd"))' WHERE organization_id IN ('org-1', 'org-2') OR id % 2 = 0 AND organization_id IS NOT NULL"
                )
                try await outpost.sql("SELECT postrider.emit('x.y', '{}', organization_id => 'org-1')")
                try await receiver.wait(for: 4)
                try await outpost.sql(
                    "UPDATE postrider.webhook_destinations SET deleted_at = now(), is_active = false WHERE id = \(endpoint)")
                try await outpost.emit("c.d")
                try await outpost.sql("SELECT postrider.emit('x.y', '{}', organization_id => 'org-2')")
                try await receiver.wait(for: 5)
                try await outpost.settled()
            }
            #expect(receiver.received.map(\.path) == ["/first", "/second", "/second", "/crowd", "/crowd"])
        }
    }
}
