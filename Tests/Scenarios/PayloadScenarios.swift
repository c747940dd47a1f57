// Filters and transforms with whole workers: what arrives where, and what is told of what does not.

import Foundation
import OutboxWorker
import Postgres
import TestSupport
import Testing

extension Scenarios {
    @Suite struct PayloadScenarios {
        /// An endpoint with options, on a path of the receiver.
        private func endpoint(_ outpost: Outpost, _ receiver: Receiver, _ path: String, _ options: String) async throws -> Int {
            try await outpost.endpoint(receiver.url(path), settings: "options = $$\(options)$$, base_delay_ms = 100, max_attempts = 3, jitter = 0")
        }

        private func bodies(_ receiver: Receiver, _ path: String) -> [String] {
            receiver.received.filter { $0.path == path }.map { request in
                let data = request.json["data"].flatMap {
                    try? JSONSerialization.data(withJSONObject: $0, options: [.sortedKeys, .fragmentsAllowed])
                }
                return data.map { String(decoding: $0, as: UTF8.self) } ?? ""
            }
        }

        private static let functions = """
            CREATE SCHEMA shapes;
            CREATE FUNCTION shapes.shape(data jsonb, context jsonb) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE SECURITY DEFINER AS $f$
            BEGIN
                IF data ? 'skip' THEN RETURN NULL; END IF;
                RETURN jsonb_build_object('n', data -> 'n', 'for', context -> 'destination_name' IS NOT NULL);
            END $f$;
            CREATE FUNCTION shapes.broken(data jsonb, context jsonb) RETURNS jsonb LANGUAGE plpgsql SECURITY DEFINER AS $f$
            BEGIN RAISE EXCEPTION 'no rate for today'; END $f$;
            CREATE FUNCTION shapes.slow(data jsonb, context jsonb) RETURNS jsonb LANGUAGE sql SECURITY DEFINER
                AS $f$ SELECT to_jsonb(pg_sleep(30)::text) $f$;
            SELECT postrider.allow_transform('shapes.shape'), postrider.allow_transform('shapes.broken'),
                   postrider.allow_transform('shapes.slow');
            """

        @Test func eventsGoWhereTheirPayloadIsWanted() async throws {
            let outpost = try await Outpost()
            let receiver = try Receiver()
            _ = try await endpoint(outpost, receiver, "/all", "{}")
            _ = try await endpoint(outpost, receiver, "/brazil", #"{"filter": {"customer.country": ["BR"]}}"#)
            _ = try await endpoint(outpost, receiver, "/large", #"{"filter": {"any": [{"total": {"gte": 100}}, {"tags": ["vip"]}]}}"#)
            try await outpost.withWorkers {
                for data in [
                    #"{"n": 1, "customer": {"country": "BR"}, "total": 99.99}"#, #"{"n": 2, "customer": {"country": "PT"}, "total": 1e2}"#,
                    #"{"n": 3, "tags": ["new", "vip"]}"#,
                ] { try await outpost.emit("order.paid", data: data) }
                // Larger than what claims carry, and loaded aside.
                for country in ["BR", "PT"] {
                    try await outpost.sql(
                        "SELECT postrider.emit('order.paid', jsonb_build_object('n', 4, 'customer', jsonb_build_object('country', $1::text), 'text', (SELECT string_agg(md5(i::text), '') FROM generate_series(1, 2000) AS i)))",
                        [.text(country)])
                }
                try await receiver.wait(for: 9)
                try await outpost.settled()
            }
            let numbers = Dictionary(grouping: receiver.received, by: \.path).mapValues { requests in
                requests.compactMap { ($0.json["data"] as? [String: Any])?["n"] as? Int }.sorted()
            }
            #expect(numbers == ["/all": [1, 2, 3, 4, 4], "/brazil": [1, 4], "/large": [2, 3]])
            // What was filtered out leaves no trace, and its event is complete.
            #expect(try await outpost.count("postrider.webhook_attempts") == 9)
            #expect(try await outpost.count("postrider.webhook_events WHERE status = 'completed'") == 5)
        }

        @Test func eventThatEveryFilterKeepsOutIsCompleted() async throws {
            let outpost = try await Outpost()
            let receiver = try Receiver()
            _ = try await endpoint(outpost, receiver, "/never", #"{"filter": {"x": {"exists": false}}}"#)
            try await outpost.withWorkers {
                try await outpost.emit("a.b")
                try await outpost.settled()
                #expect(try await outpost.text("SELECT status FROM postrider.webhook_events") == "completed")
                #expect(try await outpost.count("postrider.webhook_deliveries") == 0)
            }
            #expect(receiver.received.isEmpty)
        }

        @Test func eachDestinationGetsItsOwnPayload() async throws {
            let outpost = try await Outpost()
            let receiver = try Receiver { request, _ in
                // The first attempt fails, so that a retry makes the payload again.
                request.path == "/template" && request.json["data"].map { "\($0)" }?.contains("fail") == true ? .status(500) : .ok
            }
            try await outpost.sql("SELECT 1")
            _ = try await outpost.connection.script(Self.functions, name: "functions")
            _ = try await endpoint(outpost, receiver, "/plain", "{}")
            _ = try await endpoint(
                outpost, receiver, "/template", #"{"transform": {"omit": ["secret"], "rename": {"n": "number"}, "set": {"source": "crm"}}}"#)
            let shaped = try await endpoint(outpost, receiver, "/function", #"{"transform_function": "shapes.shape"}"#)
            try await outpost.withWorkers {
                let kept = try await outpost.emit("a.b", data: #"{"n": 1.50, "secret": "x"}"#)[0]
                let dropped = try await outpost.emit("a.b", data: #"{"n": 2, "skip": true}"#)[0]
                try await receiver.wait(for: 5)
                try await outpost.settled()
                #expect(bodies(receiver, "/plain").sorted() == [#"{"n":1.5,"secret":"x"}"#, #"{"n":2,"skip":true}"#])
                #expect(bodies(receiver, "/template").sorted() == [#"{"number":1.5,"source":"crm"}"#, #"{"number":2,"skip":true,"source":"crm"}"#])
                #expect(bodies(receiver, "/function") == [#"{"for":true,"n":1.5}"#])
                // Dropped, and told so: neither delivered nor failed.
                let row = try await outpost.sql(
                    "SELECT status, failure, error_message, attempt_count FROM postrider.webhook_deliveries WHERE webhook_event_id = '\(dropped)' AND destination_id = \(shaped)"
                )[0]
                #expect(try row.string(0) == "skipped")
                #expect(try row.string(1) == "dropped")
                #expect(try row.string(2) == "the transform gave null")
                #expect(try row.int(3) == 1)
                #expect(try await outpost.count("postrider.webhook_events WHERE status = 'completed' AND error_message IS NULL") == 2)
                #expect(try await outpost.text("SELECT failure_count::text FROM postrider.webhook_endpoints WHERE destination_id = \(shaped)") == "0")
                #expect(receiver.received.filter { $0.path == "/function" }.map(\.id) == [kept])
            }
        }

        /// More than a call takes at once, and more than a worker holds.
        @Test func thousandsOfPayloadsAreMadeOnce() async throws {
            let outpost = try await Outpost()
            let receiver = try Receiver()
            _ = try await outpost.connection.script(Self.functions, name: "functions")
            _ = try await endpoint(outpost, receiver, "/function", #"{"transform_function": "shapes.shape"}"#)
            try await outpost.withWorkers(2) {
                try await outpost.sql(
                    "INSERT INTO postrider.webhook_events (event_type, data) SELECT 'a.b', jsonb_build_object('n', i, CASE WHEN i % 3 = 0 THEN 'skip' ELSE 'x' END, 1) FROM generate_series(1, 4500) AS i"
                )
                try await receiver.wait(for: 3000)
                try await outpost.settled()
            }
            #expect(receiver.received.count == 3000)
            #expect(Set(bodies(receiver, "/function")).count == 3000)
            #expect(try await outpost.count("postrider.webhook_attempts WHERE outcome = 4") == 1500)
            #expect(try await outpost.count("postrider.webhook_deliveries WHERE status = 'skipped'") == 1500)
        }

        @Test func retryMakesThePayloadAgain() async throws {
            let outpost = try await Outpost()
            let receiver = try Receiver { _, place in place == 0 ? .status(500) : .ok }
            _ = try await outpost.connection.script(Self.functions, name: "functions")
            _ = try await endpoint(
                outpost, receiver, "/both", #"{"transform": {"omit": ["secret"]}, "transform_function": "shapes.shape", "filter": {"n": [1]}}"#)
            try await outpost.withWorkers {
                try await outpost.emit("a.b", data: #"{"n": 1, "secret": "x"}"#)
                try await receiver.wait(for: 2)
                try await outpost.settled()
            }
            #expect(bodies(receiver, "/both") == [#"{"for":true,"n":1}"#, #"{"for":true,"n":1}"#])
            #expect(receiver.received[0].body == receiver.received[1].body)
        }

        /// To a `String` the two names are one.
        @Test func functionsWhoseNamesLookAlikeAreToldApart() async throws {
            let outpost = try await Outpost()
            let receiver = try Receiver()
            let names = ["caf\u{E9}", "cafe\u{301}"]
            for (place, name) in names.enumerated() {
                _ = try await outpost.connection.script(
                    """
                    CREATE SCHEMA IF NOT EXISTS shapes;
                    CREATE FUNCTION shapes.\(name)(data jsonb, context jsonb) RETURNS jsonb LANGUAGE sql SECURITY DEFINER
                        AS $f$ SELECT '{"n": \(place)}'::jsonb $f$;
                    SELECT postrider.allow_transform('shapes.\(name)');
                    """, name: "functions")
                _ = try await endpoint(outpost, receiver, "/\(place)", #"{"transform_function": "shapes.\#(name)"}"#)
            }
            try await outpost.withWorkers {
                try await outpost.emit("a.b", count: 20)
                try await receiver.wait(for: 40)
                try await outpost.settled()
            }
            for place in names.indices { #expect(Set(bodies(receiver, "/\(place)")) == [#"{"n":\#(place)}"#]) }
        }

        @Test func failingFunctionsHitTheirOwnDestinationAlone() async throws {
            let outpost = try await Outpost()
            let receiver = try Receiver()
            _ = try await outpost.connection.script(Self.functions, name: "functions")
            _ = try await endpoint(outpost, receiver, "/plain", "{}")
            let shaped = try await endpoint(outpost, receiver, "/function", #"{"transform_function": "shapes.shape"}"#)
            let broken = try await endpoint(outpost, receiver, "/broken", #"{"transform_function": "shapes.broken"}"#)
            let slow = try await endpoint(outpost, receiver, "/slow", #"{"transform_function": "shapes.slow"}"#)
            let missing = try await endpoint(outpost, receiver, "/missing", #"{"transform_function": "shapes.none"}"#)
            try await outpost.sql("UPDATE postrider.webhook_destinations SET max_attempts = 1 WHERE id = \(slow)")
            try await outpost.withWorkers {
                let start = ContinuousClock.now
                try await outpost.emit("a.b", count: 20, data: #"{"n": 1}"#)
                try await receiver.wait(for: 40)
                #expect(ContinuousClock.now - start < .seconds(5))
                try await eventually("dead letters of the functions that fail") {
                    try await outpost.text(
                        "SELECT (count(*) FILTER (WHERE destination_id <> \(slow)) = 40 AND bool_or(destination_id = \(slow)))::text FROM postrider.webhook_dead_letters"
                    ) == "true"
                }
                let messages = try await outpost.sql(
                    "SELECT destination_id, failure, error_message, max(attempts) FROM postrider.webhook_dead_letters GROUP BY 1, 2, 3 ORDER BY 1")
                #expect(
                    try messages.map { try "\($0.int(0)) \($0.string(1)): \($0.string(2)) \($0.int(3))" } == [
                        "\(broken) transform: no rate for today 3", "\(slow) transform: the function took longer than 1.0 seconds 1",
                        "\(missing) transform: the function shapes.none is not allowed: SELECT postrider.allow_transform('shapes.none') 3",
                    ])
                #expect(try await outpost.count("postrider.webhook_endpoints WHERE NOT is_active") == 0)
                #expect(try await outpost.count("postrider.webhook_attempts WHERE outcome = 0 AND destination_id = \(shaped)") == 20)
                #expect(try await outpost.count("postrider.webhook_breakers") == 0)
            }
            #expect(Set(receiver.received.map(\.path)) == ["/plain", "/function"])
        }

        /// Its retry is due after a tenth of a second, and is put by without a call and without an attempt.
        @Test func functionThatTookTooLongRestsForFiveSeconds() async throws {
            let outpost = try await Outpost()
            let receiver = try Receiver()
            _ = try await outpost.connection.script(Self.functions, name: "functions")
            let slow = try await endpoint(outpost, receiver, "/slow", #"{"transform_function": "shapes.slow"}"#)
            try await outpost.sql("UPDATE postrider.webhook_destinations SET max_attempts = 2 WHERE id = \(slow)")
            try await outpost.withWorkers {
                try await outpost.emit("a.b")
                try await eventually("a dead letter") { try await outpost.count("postrider.webhook_dead_letters") == 1 }
            }
            #expect(
                try await outpost.text(
                    "SELECT (count(*) = 2 AND max(attempted_at) - min(attempted_at) > interval '5 seconds')::text FROM postrider.webhook_attempts"
                ) == "true")
        }

        @Test func payloadsLargerThanAClaimCarriesAreTransformed() async throws {
            let outpost = try await Outpost()
            let receiver = try Receiver()
            _ = try await outpost.connection.script(Self.functions, name: "functions")
            _ = try await endpoint(outpost, receiver, "/function", #"{"transform_function": "shapes.shape", "filter": {"n": [7]}}"#)
            _ = try await endpoint(outpost, receiver, "/template", #"{"transform": {"include": ["n"]}}"#)
            try await outpost.withWorkers {
                for n in [7, 8] {
                    try await outpost.sql(
                        "SELECT postrider.emit('big.one', jsonb_build_object('n', $1::int, 'text', (SELECT string_agg(md5(i::text), '') FROM generate_series(1, 60000) AS i)))",
                        [.int4(Int32(n))])
                }
                try await receiver.wait(for: 3)
                try await outpost.settled()
            }
            #expect(bodies(receiver, "/function") == [#"{"for":true,"n":7}"#])
            #expect(bodies(receiver, "/template").sorted() == [#"{"n":7}"#, #"{"n":8}"#])
        }

        /// Stopped while a function runs: what it holds goes back, and another worker delivers it.
        @Test func workerThatStopsGivesBackWhatAFunctionHolds() async throws {
            let outpost = try await Outpost()
            let receiver = try Receiver()
            _ = try await outpost.connection.script(Self.functions, name: "functions")
            let slow = try await endpoint(outpost, receiver, "/slow", #"{"transform_function": "shapes.slow"}"#)
            try await outpost.withWorkers {
                try await outpost.emit("a.b", count: 5)
                try await eventually("all to be claimed") { try await outpost.count("postrider.webhook_queue") == 0 }
                try await eventually("a call of the function") {
                    try await outpost.count(
                        "pg_stat_activity WHERE datname = current_database() AND query ~ 'call_transform' AND state = 'active' AND pid <> pg_backend_pid()"
                    ) > 0
                }
            }
            #expect(try await outpost.count("postrider.webhook_claims") == 0)
            #expect(try await outpost.count("postrider.webhook_retries") == 5)
            try await outpost.sql("UPDATE postrider.webhook_destinations SET options = '{}' WHERE id = \(slow)")
            try await outpost.sql("UPDATE postrider.webhook_retries SET due_at = now()")
            try await outpost.withWorkers { try await receiver.wait(for: 5) }
        }
    }
}
