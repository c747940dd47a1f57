// The packs of sql/examples: plain SQL on their tables, a worker process, and what their receivers get.

import Foundation
import Outbox
import Postgres
import TestSupport
import Testing

extension Scenarios {
    @Suite struct PackScenarios {
        @Test(arguments: Pack.all) func everyEventTypeArrivesOnceWithItsRecord(_ pack: Pack) async throws {
            let outpost = try await Outpost()
            let receiver = try Receiver()
            try await pack.load(into: outpost, for: receiver)
            var expected: [String] = []
            try await withWorker(outpost) {
                for step in pack.steps { expected += try await step.run(on: outpost) }
                try await outpost.settled()
            }
            let own = receiver.received.filter { $0.path == "/\(pack.name)" }
            #expect(Set(own.map { pack.type(of: $0) }) == Set(pack.types))
            #expect(differences(own.map { pack.arrival($0) }, expected) == [])
            #expect(Set(own.flatMap { pack.wrongHeaders(of: $0) }) == [])
            #expect(Set(try await pack.verdicts(on: own, secret: pack.secret, outpost: outpost)) == ["ok"])
            #expect(try await !pack.verdicts(on: own, secret: "another", outpost: outpost).contains("ok"))
            for request in own { try pack.verify(request) }
            let others = receiver.received.filter { $0.path != "/\(pack.name)" }
            let workflows = Dictionary(grouping: others, by: \.path).mapValues { $0.map { pack.type(of: $0) } }
            #expect(workflows == pack.workflows.mapValues { [$0] })
            // What is emitted has no table.
            let sources = try await outpost.text(
                "SELECT string_agg(DISTINCT event_source, ',') FROM postrider.webhook_event_log WHERE table_name IS NOT NULL")
            #expect(sources == pack.triggerSource)
            #expect(try await outpost.count("postrider.webhook_event_log WHERE table_name IS NULL AND event_source <> 'api'") == 0)
        }

        @Test(arguments: Pack.all) func failedDeliveriesFollowTheRulesOfTheSystem(_ pack: Pack) async throws {
            let outpost = try await Outpost()
            let receiver = try Receiver { request, _ in
                .status(String(decoding: request.body, as: UTF8.self).contains("refuse") ? 404 : 500)
            }
            try await pack.load(into: outpost, for: receiver)
            let rules = try await outpost.text(
                """
                SELECT concat_ws('|', max_attempts, base_delay_ms, delay_factor, max_delay_ms, jitter, timeout_ms, final_statuses)
                FROM postrider.webhook_endpoints WHERE name = '\(pack.name)'
                """)
            #expect(rules == pack.rules)
            try await withWorker(outpost) {
                let failed = try await pack.emit("fail", on: outpost)
                let refused = try await pack.emit("refuse", on: outpost)
                try await eventually("both to be recorded") {
                    try await outpost.count("postrider.webhook_attempts WHERE attempt_number = 1") >= 2
                }
                let delay = try #require(try await outpost.firstDelay(of: failed))
                // The attempt itself and its recording take a while; jitter is a tenth at most. The clock is read for the date
                // of the next attempt a moment before it is read for that of this one.
                #expect((pack.firstDelay - 50...pack.firstDelay * 11 / 10 + 5000).contains(delay))
                #expect(try await (outpost.firstDelay(of: refused) == nil) == pack.refusalIsFinal)
                let dead = try await outpost.count("postrider.webhook_dead_letters WHERE event_id = '\(refused)'")
                #expect(dead == (pack.refusalIsFinal ? 1 : 0))
            }
        }

        /// Runs a worker process, with the variable that the headers of bird name, while `body` runs.
        private func withWorker(_ outpost: Outpost, _ body: () async throws -> Void) async throws {
            let worker = try WorkerProcess(outpost, environment: ["WEBHOOK_TOKEN": "token-of-bird", "POSTRIDER_EXPOSE": "WEBHOOK_TOKEN"])
            try await eventually("a worker to register") {
                try await outpost.count("postrider.webhook_workers WHERE alive") == 1
            }
            try await body()
            #expect(worker.stop() == 0)
        }
    }
}

/// What is missing among the lines that came, and what came unexpected or once more.
private func differences(_ came: [String], _ expected: [String]) -> [String] {
    came.sorted().difference(from: expected.sorted()).map { change in
        switch change {
        case .insert(_, let line, _): "unexpected: \(line)"
        case .remove(_, let line, _): "missing: \(line)"
        }
    }
}

extension Pack {
    fileprivate func type(of request: Received) -> String { request.json[typeKey] as? String ?? "untyped" }

    /// What arrived; of a change, what the record became, if it says what it was before.
    fileprivate func arrival(_ request: Received) -> String {
        let type = type(of: request)
        guard let data = request.json["data"] as? [String: Any] else { return "\(type) without data" }
        guard changes.contains(type) else { return eventLine(type, data) }
        guard let old = data["old"] as? [String: Any], let new = data["new"] as? [String: Any],
            eventLine(type, old) != eventLine(type, new)
        else { return "\(type) without a change" }
        return eventLine(type, new)
    }

    /// The headers that a request should carry and does not.
    fileprivate func wrongHeaders(of request: Received) -> [String] {
        headers.filter { !$0.value.contains(request.headers[$0.key] ?? "") }.keys.map { "\(type(of: request)): \($0)" }
    }

    /// Verifies a request by the profile of the system, as `postrider listen` does.
    fileprivate func verify(_ request: Received) throws {
        let profile = try #require(Profile.builtIn[name])
        let verifier = try RequestVerifier(profile: profile, secrets: [Secret(secret, form: profile.secretForm)])
        try verifier.verify(
            headers: request.headers.map { (name: $0.key, value: $0.value) }, body: request.body,
            unixSeconds: Int64(Date().timeIntervalSince1970))
    }

    /// Emits an event that the endpoint wants and no n8n workflow does; gives its id.
    fileprivate func emit(_ wish: String, on outpost: Outpost) async throws -> String {
        let type = try #require(types.first { !workflows.values.contains($0) })
        let rows = try await outpost.sql(
            "SELECT postrider.emit($1, jsonb_build_object('please', $2::text), organization_id => $3)::text",
            [.text(type), .text(wish), organization.map { .text($0) } ?? .null])
        return try rows[0].string(0)
    }
}

extension Outpost {
    /// Milliseconds from the first attempt of an event's only delivery to when the second is due; nil when none is.
    fileprivate func firstDelay(of event: String) async throws -> Int? {
        let rows = try await sql(
            """
            SELECT coalesce(extract(epoch FROM next_retry_at - attempted_at) * 1000, -1)::integer
            FROM postrider.webhook_attempts WHERE event_id = '\(event)' AND attempt_number = 1
            """)
        try #require(rows.count == 1)
        let delay = try rows[0].int(0)
        return delay < 0 ? nil : delay
    }
}
