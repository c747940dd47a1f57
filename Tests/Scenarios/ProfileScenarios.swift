// Profiles and secrets that change while a worker runs, judged by receivers in Python.

import Foundation
import Outbox
import OutboxStore
import OutboxWorker
import Postgres
import TestSupport
import Testing

extension Received {
    /// What a receiver in Python needs to judge this request.
    func judged(as profile: String, secret: String, type: String, id: String, destination: String = "") -> PythonVerifier.Case {
        judged(
            as: profile, secret: secret,
            event: .init(id: id, type: type, delivery: headers["x-delivery-id"] ?? "", destination: destination))
    }
}

extension Scenarios {
    @Suite struct ProfileScenarios {
        /// The first block of a language in docs/profiles.md.
        private func documented(_ language: String) throws -> String {
            let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
                .deletingLastPathComponent()
            let text = try String(contentsOf: root.appendingPathComponent("docs/profiles.md"), encoding: .utf8)
            return try #require(
                text.components(separatedBy: "```\(language)\n").dropFirst().first?.components(separatedBy: "\n```").first)
        }

        @Test func profileAddedWhileAWorkerRunsIsUsedByTheNextDelivery() async throws {
            let outpost = try await Outpost()
            let receiver = try Receiver()
            try await outpost.withWorkers {
                try await outpost.endpoint(receiver.url("/old"), profile: "github", secret: "shared")
                let first = try await outpost.emit("order.paid")[0]
                try await receiver.wait(for: 1)
                // The statement of the document, as an operator sends it.
                try await outpost.sql(try documented("sql"))
                try await outpost.sql("UPDATE postrider.webhook_endpoints SET profile = 'shopify'")
                let second = try await outpost.emit("order.paid", data: #"{"total": 10.50, "β": "✓"}"#)[0]
                try await receiver.wait(for: 2)
                // A change of the row alone: its name stays, and nobody touches the endpoint.
                try await outpost.sql(
                    """
                    UPDATE postrider.webhook_profiles
                    SET encoding = 'hex', prefix = 'sha256=', user_agent = 'GitHub-Hookshot/own', headers = ARRAY[
                        'X-GitHub-Event: {event.type}', 'X-GitHub-Delivery: {event.id}', 'X-Hub-Signature-256: {signature}']
                    """)
                let third = try await outpost.emit("order.paid")[0]
                try await receiver.wait(for: 3)
                try await outpost.settled()
                let seen = receiver.received
                let verdicts = try PythonVerifier.verify([
                    seen[0].judged(as: "github", secret: "shared", type: "order.paid", id: first),
                    seen[1].judged(as: "shopify", secret: "shared", type: "order.paid", id: second),
                    seen[2].judged(as: "github", secret: "shared", type: "order.paid", id: third),
                    seen[1].judged(as: "shopify", secret: "other", type: "order.paid", id: second),
                ])
                #expect(Array(verdicts.prefix(3)) == ["ok", "ok", "ok"])
                #expect(verdicts[3].hasPrefix("ValueError: expected"))
                #expect(seen[2].headers["user-agent"] == "GitHub-Hookshot/own")
            }
        }

        /// Disabling waits for whoever holds the row; until it is done the new routing must count all the same.
        @Test func brokenProfileIsUsedNoMoreWhileItsDestinationIsStillBeingDisabled() async throws {
            let outpost = try await Outpost()
            let receiver = try Receiver()
            try await outpost.sql(try documented("sql"))
            try await outpost.endpoint(receiver.url(), profile: "shopify", secret: "shared")
            try await outpost.sql("ALTER TABLE postrider.webhook_profiles DISABLE TRIGGER webhook_profile_gate")
            let holder = try await Connection.open(ConnectionSettings(url: outpost.url))
            try await outpost.withWorkers {
                try await outpost.emit("order.paid")
                try await receiver.wait(for: 1)
                try await outpost.settled()
                try await holder.script("BEGIN; SELECT FROM postrider.webhook_destinations FOR NO KEY UPDATE", name: "hold")
                try await outpost.sql("UPDATE postrider.webhook_profiles SET envelope = '{date}'")
                try await eventually("the disabling to wait") {
                    try await outpost.count(
                        "pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'") > 0
                }
                try await outpost.emit("order.paid")
                try await eventually("the delivery to be parked") {
                    try await outpost.count("postrider.webhook_retries WHERE due_at = 'infinity'") == 1
                }
                #expect(receiver.received.count == 1)
                try await holder.script("ROLLBACK", name: "release")
            }
            await holder.close()
        }

        /// As on a full disk: no change of the row tells of it again.
        @Test func destinationThatCannotBeDisabledNowIsDisabledLater() async throws {
            let outpost = try await Outpost()
            let receiver = try Receiver()
            try await outpost.sql(try documented("sql"))
            try await outpost.endpoint(receiver.url(), profile: "shopify", secret: "shared")
            _ = try await outpost.connection.script(
                """
                ALTER TABLE postrider.webhook_profiles DISABLE TRIGGER webhook_profile_gate;
                CREATE SEQUENCE public.refused;
                CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
                BEGIN
                    IF nextval('public.refused') < 3 THEN
                        RAISE EXCEPTION 'no space left on device' USING ERRCODE = 'disk_full';
                    END IF;
                    RETURN NEW;
                END $$;
                CREATE TRIGGER refuse BEFORE UPDATE ON postrider.webhook_destinations FOR EACH ROW EXECUTE FUNCTION public.refuse()
                """, name: "fill")
            try await outpost.withWorkers {
                try await outpost.sql("UPDATE postrider.webhook_profiles SET envelope = '{date}'")
                try await eventually("the endpoint to be made inactive", within: .seconds(40)) {
                    try await outpost.count("postrider.webhook_endpoints WHERE NOT is_active") == 1
                }
            }
            #expect(try await outpost.sql("SELECT last_value FROM public.refused")[0].int(0) == 3)
        }

        /// What gets around the gate is not sent in any form: it waits, and goes out when the profile is mended.
        @Test func brokenProfileParksWhatWaitsForItAndTellsWhy() async throws {
            let outpost = try await Outpost()
            let receiver = try Receiver()
            try await outpost.sql(try documented("sql"))
            try await outpost.endpoint(receiver.url(), profile: "shopify", secret: "shared")
            try await outpost.sql("ALTER TABLE postrider.webhook_profiles DISABLE TRIGGER webhook_profile_gate")
            try await outpost.withWorkers {
                try await outpost.sql("UPDATE postrider.webhook_profiles SET envelope = '{date}'")
                let id = try await outpost.emit("order.paid")[0]
                try await eventually("the endpoint to be made inactive") {
                    try await outpost.text("SELECT inactive_reason FROM postrider.webhook_endpoints")
                        .hasPrefix(#"profile "shopify" cannot be used: unknown variable {date}"#)
                }
                try await eventually("the delivery to be parked") {
                    try await outpost.count("postrider.webhook_retries WHERE due_at = 'infinity'") == 1
                }
                #expect(receiver.received.isEmpty)
                try await outpost.sql("UPDATE postrider.webhook_profiles SET envelope = '{data}'")
                try await outpost.sql("UPDATE postrider.webhook_endpoints SET is_active = true")
                try await receiver.wait(for: 1)
                try await outpost.settled()
                let item = receiver.received[0].judged(as: "shopify", secret: "shared", type: "order.paid", id: id)
                #expect(try PythonVerifier.verify([item]) == ["ok"])
            }
        }

        /// No row changes when an overlap ends, and nobody reloads for the sake of it but the worker itself.
        @Test func bothSecretsSignUntilTheOverlapEndsAndThenTheNewOneAlone() async throws {
            let outpost = try await Outpost()
            let receiver = try Receiver()
            let (old, new) = ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
            try await outpost.endpoint(receiver.url(), secret: old)
            func isSigned(by secret: String, _ request: Received, _ id: String) throws -> Bool {
                let item = request.judged(as: "standard", secret: secret, type: "a.b", id: id)
                return try PythonVerifier.verify([item]) == ["ok"]
            }
            try await outpost.withWorkers {
                let before = try await outpost.emit("a.b")[0]
                try await receiver.wait(for: 1)
                #expect(try isSigned(by: old, receiver.received[0], before))
                #expect(try !isSigned(by: new, receiver.received[0], before))
                try await outpost.sql(
                    "SELECT postrider.rotate_secret(id, $1, '10 seconds') FROM postrider.webhook_endpoints", [.text(new)])
                let during = try await outpost.emit("a.b")[0]
                try await receiver.wait(for: 2)
                #expect(try isSigned(by: old, receiver.received[1], during))
                #expect(try isSigned(by: new, receiver.received[1], during))
                // A worker counts from when it was told, a moment after it asked.
                try await eventually("the overlap to end", within: .seconds(60)) {
                    try await outpost.count("postrider.webhook_secrets WHERE expires_at <= clock_timestamp() - interval '3 seconds'") == 1
                }
                let after = try await outpost.emit("a.b")[0]
                try await receiver.wait(for: 3)
                #expect(try !isSigned(by: old, receiver.received[2], after))
                #expect(try isSigned(by: new, receiver.received[2], after))
                try await outpost.settled()
            }
        }

        @Test func expiredSecretSignsOnAndIsLogged() async throws {
            let outpost = try await Outpost()
            let receiver = try Receiver()
            let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
            let past = try await outpost.endpoint(receiver.url(), secret: secret)
            let soon = try await outpost.endpoint("https://idle.invalid/", events: "none")
            let later = try await outpost.endpoint("https://idle.invalid/", events: "none")
            for (id, days) in [(past, -1), (soon, 5), (later, 20)] {
                try await outpost.sql(
                    "UPDATE postrider.webhook_secrets SET expires_at = now() + interval '\(days) days' WHERE destination_id = \(id)")
            }
            let worker = try WorkerProcess(outpost)
            let id = try await outpost.emit("a.b")[0]
            try await receiver.wait(for: 1)
            try await outpost.settled()
            let item = receiver.received[0].judged(as: "standard", secret: secret, type: "a.b", id: id)
            #expect(try PythonVerifier.verify([item]) == ["ok"])
            #expect(worker.stop() == 0)
            let log = try String(contentsOf: worker.log, encoding: .utf8).split(separator: "\n")
            let told = log.filter { $0.contains("it should be rotated") }
            #expect(told.count == 2, "\(told)")
            #expect(told.contains { $0.contains("has expired and signs on") && $0.contains("destination.id=\(past)") })
            #expect(told.contains { $0.contains("expires soon") && $0.contains("destination.id=\(soon)") })
        }

        /// The overlap of its rotation goes on, but what it would sign its receiver could not verify.
        @Test func olderSecretThatDoesNotFitTheProfileIsLoggedOnce() async throws {
            let outpost = try await Outpost()
            let receiver = try Receiver()
            let id = try await outpost.endpoint(receiver.url(), profile: "github", secret: "not base64 !")
            try await outpost.sql("UPDATE postrider.webhook_endpoints SET profile = 'standard'")
            try await outpost.sql("SELECT postrider.rotate_secret(id) FROM postrider.webhook_endpoints")
            let worker = try WorkerProcess(outpost)
            try await outpost.emit("a.b")
            try await receiver.wait(for: 1)
            // The destination is loaded again.
            try await outpost.sql("UPDATE postrider.webhook_endpoints SET headers = '{\"X-Later\": \"1\"}'")
            try await outpost.emit("a.b")
            try await receiver.wait(for: 2)
            #expect(receiver.received[1].headers["x-later"] == "1")
            try await outpost.settled()
            #expect(worker.stop() == 0)
            let log = try String(contentsOf: worker.log, encoding: .utf8)
            let told = log.split(separator: "\n").filter { $0.contains("older secrets do not sign") }
            #expect(told.count == 1 && told[0].contains("destination.id=\(id)") && told[0].contains("secrets=1"), "\(told)")
            #expect(!log.contains("not base64 !"))
        }

        /// Through everything that stands between a producer and a receiver of crm: jsonb, which writes numbers in its own
        /// way, the envelope, the signature, the wire.
        @Test func generatedDocumentsVerifyInPythonAfterTheirWayThroughPostgres() async throws {
            let outpost = try await Outpost()
            let receiver = try Receiver()
            let count = 5000
            try await outpost.endpoint(receiver.url(), profile: "crm", secret: "shared")
            let destination = try await outpost.text("SELECT id::text FROM postrider.webhook_endpoints")
            let documents =
                RandomJSON.hardNumbers
                + (0..<UInt64(count)).map { seed in
                    var random = RandomJSON(seed: 1_000_000 + seed, isForPostgres: true)
                    return random.document()
                }
            try await outpost.sql(
                """
                INSERT INTO postrider.webhook_events (event_type, data)
                SELECT 'lead.updated', d::jsonb FROM unnest($1::text[]) AS d
                """, [.texts(documents)])
            try await outpost.withWorkers(1, { $0.maxOutstanding = 500 }) {
                try await receiver.wait(for: documents.count, within: .seconds(60))
                try await outpost.settled()
            }
            let cases = receiver.received.map {
                $0.judged(as: "crm", secret: "shared", type: "lead.updated", id: "", destination: destination)
            }
            #expect(cases.count == documents.count)
            let verdicts = try PythonVerifier.verify(cases)
            for (verdict, item) in zip(verdicts, cases) where verdict != "ok" {
                Issue.record("\(verdict) for \(String(decoding: item.body, as: UTF8.self).prefix(600))")
            }
            // What left Postgres is what arrived, byte by byte.
            let stored = try await outpost.sql("SELECT data::text FROM postrider.webhook_event_log")
            let bodies = Set(
                receiver.received.map { request in
                    String(decoding: request.body, as: UTF8.self).components(separatedBy: #","data":"#).dropFirst()
                        .joined(separator: #","data":"#)
                })
            #expect(stored.count == documents.count)
            for row in stored { #expect(bodies.contains(try row.string(0) + "}")) }
        }
    }
}
