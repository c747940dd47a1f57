// Secrets at rest while workers deliver: rotation, plain SQL, missing keys, copied values.

import Foundation
import Outbox
import OutboxStore
import OutboxWorker
import Postgres
import TestSupport
import Testing

/// Rings of scenarios.
enum Rings {
    static let first = line("first", 1)
    static let second = line("second", 2)

    static func line(_ name: String, _ byte: UInt8) -> String {
        "\(name):\(Data(repeating: byte, count: 32).base64EncodedString())"
    }
}

extension Outpost {
    /// Puts a sealed secret in the place of an endpoint's first one.
    func seal(_ secret: String, _ destination: Int, with keys: String) async throws {
        try await SecretStore.place(
            destination: Int32(destination), secret: secret, headers: [:], with: KeyRing(list: keys), on: connection)
    }

    /// How many secrets stand under a key.
    func secrets(sealedWith key: String) async throws -> Int {
        try await count("postrider.webhook_secrets WHERE starts_with(secret, 'sealed:v1:\(key):')")
    }
}

extension Receiver {
    /// How many requests bear no signature of one of these secrets.
    func unsigned(_ secrets: [String]) throws -> Int {
        let profile = try #require(Profile.builtIn["standard"])
        let verifier = try RequestVerifier(
            profile: profile, secrets: secrets.map { try Secret($0, form: profile.secretForm) })
        return received.count { request in
            let headers = request.headers.map { (name: $0.key, value: $0.value) }
            let now = Int64(Date().timeIntervalSince1970)
            return (try? verifier.verify(headers: headers, body: request.body, unixSeconds: now)) == nil
        }
    }
}

private func newSecret() -> String {
    var generator = SystemRandomNumberGenerator()
    return Secret.generate(form: .standard, using: &generator).reveal()
}

extension Scenarios {
    @Suite struct SecretScenarios {
        @Test func keysRotateWhileWorkersDeliver() async throws {
            let outpost = try await Outpost()
            let receiver = try Receiver()
            let secret = newSecret()
            let target = try await outpost.endpoint(receiver.url(), events: "load.*", secret: secret)
            // More than two batches, half of them sealed with the old key, half readable.
            try await outpost.sql(
                """
                INSERT INTO postrider.webhook_endpoints (name, url, events)
                SELECT 'idle ' || n, 'https://idle.invalid/', '{idle}' FROM generate_series(1, 2400) AS n
                """)
            let old = try KeyRing(list: Rings.first)
            try await outpost.seal(secret, target, with: Rings.first)
            for number in stride(from: 2, through: 2400, by: 2) {
                try await outpost.seal(newSecret(), target + number, with: Rings.first)
            }
            #expect(try await outpost.secrets(sealedWith: old.first) == 1201)
            let ring = try KeyRing(list: "\(Rings.second),\(Rings.first)")
            try await outpost.withWorkers(2, { $0.secretKeys = ring }) {
                let producing = Task {
                    let producer = try await Connection.open(ConnectionSettings(url: outpost.url))
                    var sent = 0
                    while !Task.isCancelled {
                        try await producer.query(
                            Statement(name: "emit", sql: "SELECT postrider.emit('load.x', '{}')"))
                        sent += 1
                    }
                    await producer.close()
                    return sent
                }
                try await receiver.wait(for: 50)
                let mover = try await Connection.open(ConnectionSettings(url: outpost.url))
                // To and fro, so that the load meets every kind of batch.
                let back = try KeyRing(list: "\(Rings.first),\(Rings.second)")
                var moved = 0
                for keys in [ring, back, ring] {
                    moved += try await SecretStore.seal(.all, with: keys, on: mover).sealed
                    try await receiver.wait(for: receiver.received.count + 50)
                }
                await mover.close()
                producing.cancel()
                // Cancelled in the middle of a statement it throws; what it had committed is in the log.
                _ = try? await producing.value
                try await outpost.settled()
                #expect(moved >= 3 * 1201)
            }
            let events = try await outpost.count("postrider.webhook_event_log")
            #expect(events >= 200)
            #expect(Set(receiver.received.map(\.id)).count == events)
            #expect(receiver.received.count == events)
            #expect(try receiver.unsigned([secret]) == 0)
            #expect(try await outpost.secrets(sealedWith: "second") == 2401)
        }

        @Test func rotationMovesNoRoutingVersion() async throws {
            let outpost = try await Outpost()
            try await outpost.endpoint("https://example.com/", settings: #"headers = '{"Cookie": "x"}'"#)
            let before = try await outpost.text("SELECT version::text FROM postrider.webhook_routing")
            let done = try await SecretStore.seal(.all, with: KeyRing(list: Rings.first), on: outpost.connection)
            #expect(done.sealed == 2)
            #expect(try await outpost.text("SELECT version::text FROM postrider.webhook_routing") == before)
            // The setting ended with its transaction: a change is told again.
            try await outpost.sql("SELECT postrider.rotate_secret(id) FROM postrider.webhook_endpoints")
            #expect(try await outpost.text("SELECT version::text FROM postrider.webhook_routing") != before)
        }

        @Test func secretWrittenByPlainSQLIsSealedByAWorker() async throws {
            let outpost = try await Outpost()
            let receiver = try Receiver()
            try await outpost.withWorkers(2, { $0.secretKeys = try? KeyRing(list: Rings.first) }) {
                let (secret, next) = (newSecret(), newSecret())
                try await outpost.endpoint(receiver.url(), secret: secret)
                try await outpost.sql(
                    #"UPDATE postrider.webhook_endpoints SET headers = '{"Authorization": "Bearer marker", "X-Team": "a"}'"#)
                try await eventually("the secret to be sealed") {
                    try await outpost.secrets(sealedWith: "first") == 1
                }
                try await outpost.sql("SELECT postrider.rotate_secret(id, $1) FROM postrider.webhook_endpoints", [.text(next)])
                try await eventually("the next to be sealed") {
                    try await outpost.secrets(sealedWith: "first") == 2
                }
                try await eventually("the header to be sealed") {
                    try await outpost.text("SELECT headers ->> 'Authorization' FROM postrider.webhook_endpoints")
                        .hasPrefix("sealed:v1:first:")
                }
                #expect(try await outpost.text("SELECT headers ->> 'X-Team' FROM postrider.webhook_endpoints") == "a")
                try await outpost.emit("a.b", count: 20)
                try await outpost.settled()
                #expect(receiver.received.count == 20)
                #expect(try receiver.unsigned([secret]) == 0)
                #expect(try receiver.unsigned([next]) == 0)
                #expect(receiver.received.allSatisfy { $0.headers["authorization"] == "Bearer marker" })
            }
        }

        @Test func workerWithoutTheKeyLeavesDeliveriesToOthers() async throws {
            let outpost = try await Outpost()
            let receiver = try Receiver()
            let secret = newSecret()
            try await outpost.withWorkers(1, { $0.secretKeys = try? KeyRing(list: Rings.first) }) {
                let id = try await Transaction.run(on: outpost.connection) {
                    let id = try await outpost.endpoint(receiver.url(), secret: "to be sealed")
                    try await outpost.seal(secret, id, with: Rings.second)
                    return id
                }
                let events = try await outpost.emit("a.b", count: 10)
                try await eventually("the deliveries to be left to others") {
                    try await outpost.count("postrider.webhook_retries WHERE attempt_number = 1 AND due_at < clock_timestamp()")
                        == events.count
                }
                #expect(receiver.received.isEmpty)
                #expect(try await outpost.count("postrider.webhook_attempts") == 0)
                #expect(try await outpost.count("postrider.webhook_destinations WHERE is_active AND id = \(id)") == 1)
                // Another worker with both keys sends them, while the first goes on without.
                try await outpost.withWorkers(1, { $0.secretKeys = try? KeyRing(list: "\(Rings.first),\(Rings.second)") }) {
                    try await receiver.wait(for: 10)
                    try await outpost.emit("a.b", count: 10)
                    try await receiver.wait(for: 20)
                    try await outpost.settled()
                }
                #expect(receiver.received.count == 20)
                #expect(try receiver.unsigned([secret]) == 0)
                #expect(try await outpost.count("postrider.webhook_attempts WHERE attempt_number <> 1") == 0)
            }
        }

        @Test func copiedSecretDoesNotOpenAndIsNotSentUnsigned() async throws {
            let outpost = try await Outpost()
            let (good, bad) = (try Receiver(), try Receiver())
            let secret = newSecret()
            let first = try await outpost.endpoint(good.url(), secret: secret)
            let second = try await outpost.endpoint(bad.url())
            try await outpost.seal(secret, first, with: Rings.first)
            try await outpost.sql(
                """
                UPDATE postrider.webhook_secrets SET secret = (SELECT secret FROM postrider.webhook_secrets WHERE destination_id = $1)
                WHERE destination_id = $2
                """, [.int(first), .int(second)])
            try await outpost.withWorkers(1, { $0.secretKeys = try? KeyRing(list: Rings.first) }) {
                try await outpost.emit("a.b", count: 10)
                try await good.wait(for: 10)
                try await eventually("the others to wait") {
                    try await outpost.count("postrider.webhook_retries WHERE destination_id = \(second)") == 10
                }
                #expect(bad.received.isEmpty)
                // A new secret heals it.
                let next = newSecret()
                try await outpost.sql("UPDATE postrider.webhook_secrets SET secret = $1 WHERE destination_id = $2", [.text(next), .int(second)])
                try await bad.wait(for: 10)
                try await outpost.settled()
                #expect(try bad.unsigned([next]) == 0)
            }
            #expect(try good.unsigned([secret]) == 0)
        }
    }
}
