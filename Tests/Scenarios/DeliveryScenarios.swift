// The main job: from an inserted row to a signed, delivered, recorded webhook.

import Foundation
import HTTPExchange
import OutboxWorker
import Postgres
import Testing

extension Scenarios {
    @Suite struct DeliveryScenarios {
        @Test func emittedEventArrivesSignedAndIsRecorded() async throws {
            let outpost = try await Outpost()
            let receiver = try Receiver()
            let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
            try await outpost.endpoint(receiver.url(), events: "order.*", secret: secret)
            try await outpost.withWorkers {
                let id = try await outpost.emit("order.paid", data: #"{"total": 10.50, "name": "Ana ✓"}"#)[0]
                try await receiver.wait(for: 1)
                try await outpost.settled()
                let request = receiver.received[0]
                #expect(request.id == id)
                #expect(request.headers["content-type"] == "application/json")
                #expect(try StandardWebhooks.verify(request, secret: secret))
                #expect(try !StandardWebhooks.verify(request, secret: "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"))
                #expect(request.json["type"] as? String == "order.paid")
                #expect((request.json["data"] as? [String: Any])?["name"] as? String == "Ana ✓")
                let row = try await outpost.sql(
                    "SELECT status, retry_count, error_message FROM postrider.webhook_events WHERE id = '\(id)'")[0]
                #expect(try row.string(0) == "completed")
                #expect(try row.int(1) == 0)
                #expect(try row.stringOrNil(2) == nil)
                let delivery = try await outpost.sql(
                    "SELECT status, status_code, attempt_number FROM postrider.webhook_deliveries WHERE webhook_event_id = '\(id)'"
                )
                #expect(delivery.count == 1)
                #expect(try delivery[0].string(0) == "success")
                #expect(try delivery[0].int(1) == 200)
            }
        }

        @Test func rolledBackEventIsNeverDelivered() async throws {
            let outpost = try await Outpost()
            let receiver = try Receiver()
            try await outpost.endpoint(receiver.url())
            try await outpost.withWorkers {
                try await outpost.sql("BEGIN")
                let lost = try await outpost.emit("a.rolled_back")[0]
                try await outpost.sql("ROLLBACK")
                // An event after it, so that its absence is seen and not only waited for.
                let kept = try await outpost.emit("a.committed")[0]
                try await receiver.wait(for: 1)
                try await outpost.settled()
                #expect(receiver.received.map(\.id) == [kept])
                #expect(try await outpost.count("postrider.webhook_events WHERE id = '\(lost)'") == 0)
            }
        }

        @Test func eventsGoToTheDestinationsThatWantThem() async throws {
            let outpost = try await Outpost()
            let receiver = try Receiver()
            for (path, pattern) in [
                ("/exact", "user.created"), ("/prefix", "user.*"), ("/all", "*"), ("/other", "lead.created"),
            ] {
                try await outpost.endpoint(receiver.url(path), events: pattern)
            }
            let scoped = try await outpost.endpoint(receiver.url("/acme"), events: "*")
            try await outpost.sql(
                "UPDATE postrider.webhook_destinations SET organization_id = 'acme' WHERE id = \(scoped)")
            try await outpost.withWorkers {
                try await outpost.sql("SELECT postrider.emit('user.created', '{}', organization_id => 'acme')")
                try await outpost.sql("SELECT postrider.emit('user.deleted', '{}', organization_id => 'other')")
                try await receiver.wait(for: 6)
                try await outpost.settled()
            }
            let paths = Dictionary(grouping: receiver.received, by: \.path).mapValues(\.count)
            #expect(paths == ["/exact": 1, "/prefix": 2, "/all": 2, "/acme": 1])
        }

        @Test func endpointMadeJustBeforeAnEventGetsIt() async throws {
            let outpost = try await Outpost()
            let receiver = try Receiver()
            try await outpost.withWorkers(2) {
                for round in 1...20 {
                    let id = try await outpost.endpoint(receiver.url("/round\(round)"), events: "round.\(round)")
                    try await outpost.emit("round.\(round)")
                    try await receiver.wait(for: round)
                    try await outpost.sql(
                        "UPDATE postrider.webhook_destinations SET deleted_at = now() WHERE id = \(id)")
                }
            }
            #expect(receiver.received.count == 20)
        }

        @Test func largePayloadsArriveWhole() async throws {
            let outpost = try await Outpost()
            let receiver = try Receiver()
            try await outpost.endpoint(receiver.url())
            try await outpost.withWorkers {
                for size in [0, 20_000, 1_000_000, 10_000_000] {
                    try await outpost.sql(
                        "SELECT postrider.emit('big.one', jsonb_build_object('text', (SELECT string_agg(md5(i::text), '') FROM generate_series(1, $1) AS i)))",
                        [.int4(Int32(size / 32))])
                }
                try await receiver.wait(for: 4, within: .seconds(60))
                try await outpost.settled()
            }
            let lengths = receiver.received.map {
                (($0.json["data"] as? [String: Any])?["text"] as? String)?.count ?? 0
            }
            #expect(lengths.sorted() == [0, 20_000, 1_000_000, 10_000_000])
            #expect(try await outpost.count("postrider.webhook_attempts WHERE outcome = 0") == 4)
        }

        @Test func severalWorkersShareTheWorkAndRepeatNothing() async throws {
            let outpost = try await Outpost()
            let receiver = try Receiver()
            try await outpost.endpoint(receiver.url())
            try await outpost.withWorkers(3) {
                try await outpost.sql(
                    "INSERT INTO postrider.webhook_events (event_type, data) SELECT 'n.' || i % 3, jsonb_build_object('n', i) FROM generate_series(1, 3000) AS i"
                )
                for n in 0..<300 { try await outpost.emit("single.event", data: "{\"n\": \(n)}") }
                try await outpost.settled()
            }
            #expect(receiver.received.count == 3300)
            #expect(Set(receiver.received.map(\.id)).count == 3300)
            #expect(try await outpost.count("postrider.webhook_attempts") == 3300)
            #expect(try await outpost.count("postrider.webhook_events WHERE status = 'completed'") == 3300)
            let counts = try await outpost.sql("SELECT success_count, failure_count FROM postrider.webhook_endpoints")[
                0]
            #expect(try counts.int(0) == 3300)
            #expect(try counts.int(1) == 0)
        }
    }
}

/// Standard Webhooks, verified by Python's own hmac: nothing of the sender is used.
enum StandardWebhooks {
    static func verify(_ request: Received, secret: String) throws -> Bool {
        let program = """
            import base64, hashlib, hmac, json, sys
            r = json.load(sys.stdin)
            key = base64.b64decode(r["secret"].removeprefix("whsec_"))
            signed = f'{r["id"]}.{r["timestamp"]}.'.encode() + base64.b64decode(r["body"])
            wanted = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
            print(any(hmac.compare_digest("v1," + wanted, s) for s in r["signature"].split()))
            """
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["python3", "-c", program]
        let input = Pipe()
        let output = Pipe()
        process.standardInput = input
        process.standardOutput = output
        try process.run()
        let document = [
            "secret": secret, "id": request.id, "timestamp": request.headers["webhook-timestamp"] ?? "",
            "signature": request.headers["webhook-signature"] ?? "", "body": Data(request.body).base64EncodedString(),
        ]
        input.fileHandleForWriting.write(try JSONSerialization.data(withJSONObject: document))
        try input.fileHandleForWriting.close()
        let answer = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        return answer.trimmingCharacters(in: .whitespacesAndNewlines) == "True"
    }
}
