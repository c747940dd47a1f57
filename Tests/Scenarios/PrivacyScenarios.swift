// Forgetting a person while deliveries wait: nothing of the person is sent afterwards, everything of the others is.

import Outbox
import OutboxStore
import OutboxWorker
import Postgres
import TestSupport
import Testing

extension Scenarios {
    @Suite struct PrivacyScenarios {
        /// Events that wait for their first fan-out, are retried, and are parked, of two persons.
        private func emit(_ outpost: Outpost, _ person: String, count: Int, type: String = "a.b") async throws -> Set<String> {
            let rows = try await outpost.sql(
                """
                INSERT INTO postrider.webhook_events (event_type, data, user_id)
                SELECT $1, jsonb_build_object('person', $2::text), $2 FROM generate_series(1, \(count)) RETURNING id::text
                """, [.text(type), .text(person)])
            return Set(try rows.map { try $0.string(0) })
        }

        @Test func nothingOfAPersonIsSentAfterwardsAndEverythingOfOthersIs() async throws {
            let outpost = try await Outpost()
            let receiver = try Receiver { request, _ in
                request.path == "/refuses" ? Reply(status: 500, body: "no place for " + (request.id)) : .ok
            }
            let accepts = try await outpost.endpoint(receiver.url("/accepts"), events: "a.b")
            let parked = try await outpost.endpoint(receiver.url("/parked"), events: "a.b", settings: "is_active = false")
            let refuses = try await outpost.endpoint(receiver.url("/refuses"), events: "r.r", settings: "base_delay_ms = 600000")
            // Some have failed once and wait, some are parked.
            _ = try await emit(outpost, "ann", count: 5, type: "r.r")
            _ = try await emit(outpost, "bob", count: 5, type: "r.r")
            _ = try await emit(outpost, "ann", count: 5)
            let bobs = try await emit(outpost, "bob", count: 5)
            try await outpost.withWorkers(1) {
                try await eventually("first attempts and parking") {
                    let counts = try await [outpost.count("postrider.webhook_retries"), outpost.count("postrider.webhook_claims")]
                    return counts == [20, 0]
                }
            }
            // These have not been looked at by any worker.
            _ = try await emit(outpost, "ann", count: 70)
            let waiting = try await emit(outpost, "bob", count: 70)
            let before = receiver.received.count
            let forgotten = try await outpost.sql("SELECT events, dropped, finished FROM postrider.forget_user('ann')")[0]
            #expect(try [forgotten.int(0), forgotten.int(1)] == [80, 10])
            #expect(try !forgotten.bool(2))
            #expect(try await outpost.count("postrider.webhook_attempts WHERE response_body IS NOT NULL") == 5)
            // And an event that tells of it, made afterwards.
            let told = try await outpost.sql("SELECT postrider.emit('a.b', '{\"person\": \"ann\"}', user_id => 'ann')::text")[0].string(0)
            try await outpost.sql("UPDATE postrider.webhook_destinations SET is_active = true WHERE id = \(parked)")
            try await outpost.sql("UPDATE postrider.webhook_retries SET due_at = clock_timestamp() WHERE destination_id = \(refuses)")
            try await outpost.withWorkers(2) {
                // 5 + 70 + 1 at two endpoints, less the 5 that one had before, and 5 that are refused again.
                try await receiver.wait(for: before + 70 + 1 + 5 + 70 + 1 + 5)
                try await eventually("the erasure to be finished") {
                    let counts = try await [outpost.count("postrider.webhook_queue"), outpost.count("postrider.webhook_claims")]
                    return counts == [0, 0]
                }
            }
            try await outpost.sql("UPDATE postrider.webhook_erasures SET look_at = clock_timestamp()")
            _ = try await MaintenanceStore.round(on: outpost.connection)
            let after = receiver.received.dropFirst(before)
            #expect(after.count == 152)
            #expect(after.filter { String(decoding: $0.body, as: UTF8.self).contains("ann") }.map(\.id) == [told, told])
            #expect(after.allSatisfy { !String(decoding: $0.body, as: UTF8.self).contains("payload removed") })
            #expect(Set(after.filter { $0.path == "/accepts" }.map(\.id)) == waiting.union([told]))
            #expect(Set(after.filter { $0.path == "/parked" }.map(\.id)) == bobs.union(waiting).union([told]))
            // What was not sent says why: 10 retries dropped at once, 70 events at two endpoints when a worker took them.
            #expect(try await outpost.count("postrider.webhook_attempts WHERE failure = 'erased' AND outcome = 4") == 10 + 140)
            #expect(try await outpost.count("postrider.webhook_attempts WHERE failure = 'erased' AND destination_id = \(accepts)") == 70)
            #expect(try await outpost.count("postrider.webhook_dead_letters") == 0)
            #expect(try await outpost.count("postrider.webhook_erasures WHERE finished_at IS NULL") == 0)
        }

        /// An application may write what only workers seal: it must not go round for ever.
        @Test func whatOnlyLooksSealedBecomesADeadLetter() async throws {
            let outpost = try await Outpost()
            let receiver = try Receiver()
            try await outpost.endpoint(receiver.url(), settings: "max_attempts = 2, base_delay_ms = 20, max_delay_ms = 20")
            let made = try await outpost.emit("a.b", data: #"{"postrider": "sealed:nothing"}"#)
            let other = try await outpost.emit("a.b", data: #"{"postrider": "sealed:v1:k1:AAAA", "longer names": 1}"#)
            let plain = try await outpost.emit("a.b")
            try await outpost.withWorkers(1) {
                try await eventually("two dead letters") { try await outpost.count("postrider.webhook_dead_letters") == 2 }
                try await outpost.settled()
            }
            #expect(receiver.received.map(\.id) == plain)
            let dead = try await outpost.sql("SELECT event_id::text, failure, attempts FROM postrider.webhook_dead_letters ORDER BY 1")
            #expect(try dead.map { try $0.string(0) } == (made + other).sorted())
            for row in dead { #expect(try row.string(1) == "transform" && row.int(2) == 2) }
        }

        /// It bears the name of a key whose proof opens, whether any secret is sealed with it or not: nobody will ever open it.
        @Test(arguments: [true, false]) func damagedSealedPayloadBecomesADeadLetter(hasSecrets: Bool) async throws {
            let outpost = try await Outpost()
            let receiver = try Receiver()
            // n8n's profile signs only with a secret.
            let id = try await outpost.endpoint(
                receiver.url(), profile: hasSecrets ? "standard" : "n8n",
                settings: "max_attempts = 2, base_delay_ms = 20, max_delay_ms = 20")
            if !hasSecrets { try await outpost.sql("DELETE FROM postrider.webhook_secrets WHERE destination_id = \(id)") }
            let ids = try await outpost.emit("a.b", count: 2)
            let ours = try KeyRing(list: Rings.first)
            _ = try await SecretStore.seal(.all, with: ours, on: outpost.connection)
            let sealed = try SealedSecret(sealing: #"{"name": "Ann"}"#, for: .payload(#require(EventID(ids[0]))), with: ours).text
            // The second has a copy of the payload of the first.
            try await outpost.sql("UPDATE postrider.webhook_event_log SET data = jsonb_build_object('postrider', $1::text)", [.text(sealed)])
            try await outpost.withWorkers(1, { $0.secretKeys = ours }) {
                try await receiver.wait(for: 1)
                try await eventually("a dead letter") { try await outpost.count("postrider.webhook_dead_letters") == 1 }
            }
            #expect(receiver.received.count == 1)
            let dead = try await outpost.sql("SELECT event_id::text, failure, attempts, error_message FROM postrider.webhook_dead_letters")[0]
            #expect(try dead.string(0) == ids[1] && dead.string(1) == "transform" && dead.int(2) == 2)
            #expect(try dead.string(3).hasPrefix("the payload does not open with key 'first', which is the one that seals"))
        }

        @Test func sealedPayloadsAreOpenedToBeSent() async throws {
            let outpost = try await Outpost()
            let receiver = try Receiver()
            try await outpost.endpoint(receiver.url())
            let ours = try KeyRing(list: Rings.first)
            let others = try KeyRing(list: Rings.second)
            // Written an hour ago, not yet looked at by a worker; the last is one of those that are loaded by themselves.
            try await outpost.sql(
                """
                INSERT INTO postrider.webhook_events (id, event_type, data)
                SELECT encode(set_byte(uuid_send(postrider.event_id_at(now() - interval '1 hour')), 15, n), 'hex')::uuid, 'patient.seen',
                       jsonb_build_object('name', 'Ann', 'n', n, 'text', repeat('long ', CASE n WHEN 3 THEN 10000 ELSE 1 END))
                FROM generate_series(1, 3) AS n
                """)
            try await outpost.sql("SELECT postrider.seal_type('patient.*')")
            #expect(try await PayloadStore.seal(with: ours, on: outpost.connection) == 3)
            #expect(try await outpost.count("postrider.webhook_events WHERE data ? 'name' OR data::text LIKE '%long %'") == 0)
            try await outpost.withWorkers(1, { $0.secretKeys = ours }) { try await receiver.wait(for: 3) }
            let numbers = receiver.received.compactMap { ($0.json["data"] as? [String: Any])?["n"] as? Int }
            #expect(numbers.sorted() == [1, 2, 3])
            // Replayed by workers of which only one has the key of this payload.
            let kept = try await outpost.sql("SELECT postrider.emit('patient.left', '{\"name\": \"Bob\"}')::text")[0].string(0)
            try await outpost.withWorkers(1, { $0.secretKeys = ours }) { try await receiver.wait(for: 4) }
            let sealed = try SealedSecret(sealing: #"{"name": "Bob"}"#, for: .payload(#require(EventID(kept))), with: others).text
            try await outpost.sql(
                "SELECT postrider.seal_payloads('patient.*', $1::uuid, 'second', ARRAY[$1::uuid], ARRAY[$2])", [.text(kept), .text(sealed)])
            try await outpost.sql("INSERT INTO postrider.webhook_retries VALUES ($1::uuid, now(), 1, 2, true)", [.text(kept)])
            // Nor does one give it up whose key of that name is another one.
            let wrong = try KeyRing(list: "\(Rings.first),\(Rings.line("second", 9))")
            for keys in [ours, wrong] {
                try await outpost.sql("UPDATE postrider.webhook_retries SET due_at = now()")
                try await outpost.withWorkers(1, { $0.secretKeys = keys }) {
                    try await eventually("the retry to be left to others") {
                        try await outpost.count("postrider.webhook_retries WHERE due_at > clock_timestamp() + interval '5 s'") == 1
                    }
                }
            }
            #expect(receiver.received.count == 4)
            #expect(try await outpost.count("postrider.webhook_attempts WHERE failure IS NOT NULL") == 0)
            try await outpost.sql("UPDATE postrider.webhook_retries SET due_at = now()")
            let both = try KeyRing(list: "\(Rings.first),\(Rings.second)")
            try await outpost.withWorkers(1, { $0.secretKeys = both }) { try await receiver.wait(for: 5) }
            #expect(receiver.received.last?.id == kept)
            #expect((receiver.received.last?.json["data"] as? [String: Any])?["name"] as? String == "Bob")
        }
    }
}
