// Proofs of keys: written once by whoever seals first, and asked before anything is sealed.

import Foundation
import Outbox
import OutboxStore
import Postgres
import Testing

@Suite struct KeyProofTests {
    private func ring(_ name: String, _ byte: UInt8) throws -> KeyRing {
        try KeyRing(list: "\(name):\(Data(repeating: byte, count: 32).base64EncodedString())")
    }

    private static let proofs = "SELECT name, proof FROM postrider.webhook_secret_keys ORDER BY name"

    @Test func proofIsWrittenOnceAndOpensWithItsKeyAlone() async throws {
        try await withDatabase { db in
            let (right, wrong, other) = (try ring("k1", 1), try ring("k1", 2), try ring("k2", 2))
            #expect(try await KeyStore.load(right, on: db.connection) == KeyStore.Proofs())
            try await KeyStore.check(right, on: db.connection)
            let written = try await db.lines(Self.proofs)
            #expect(written.count == 1)
            try await KeyStore.check(right, on: db.connection)
            await #expect(throws: SealingError.wrongKey("k1")) { try await KeyStore.check(wrong, on: db.connection) }
            #expect(try await db.lines(Self.proofs) == written)
            #expect(try await KeyStore.load(wrong, on: db.connection).unopened == ["k1"])
            try await KeyStore.check(other, on: db.connection)
            #expect(try await db.count("postrider.webhook_secret_keys") == 2)
        }
    }

    /// Nobody would need the key: neither a proof nor the right key is asked for.
    @Test func headersWithoutCredentialsNeedNoProof() async throws {
        try await withDatabase { db in
            let keys = try ring("k1", 1)
            let plain = ["X-Tenant": "acme"]
            #expect(try await SecretStore.seal(headers: plain, of: 1, with: keys, on: db.connection) == plain)
            #expect(try await db.count("postrider.webhook_secret_keys") == 0)
            let headers = ["X-Tenant": "acme", "Authorization": "Bearer a"]
            let sealed = try await SecretStore.seal(headers: headers, of: 1, with: keys, on: db.connection)
            #expect(sealed["X-Tenant"] == "acme" && SealedSecret.isSealed(sealed["Authorization"] ?? ""))
            let wrong = try ring("k1", 2)
            await #expect(throws: SealingError.wrongKey("k1")) {
                try await SecretStore.seal(headers: headers, of: 1, with: wrong, on: db.connection)
            }
            #expect(try await SecretStore.seal(headers: plain, of: 1, with: wrong, on: db.connection) == plain)
        }
    }

    /// Nothing is sealed: there is no secret by which the two keys could be told apart.
    @Test func payloadsAreNotSealedWithAnotherKeyOfTheName() async throws {
        try await withDatabase { db in
            try await db.run(
                """
                SELECT postrider.seal_type('*');
                INSERT INTO postrider.webhook_events (id, event_type, data)
                VALUES (postrider.event_id_at(now() - interval '1 hour'), 'a.b', '{"name": "Ann"}')
                """)
            _ = try await KeyStore.claim(ring("k1", 1), on: db.connection)
            let wrong = try ring("k1", 2)
            await #expect(throws: SealingError.wrongKey("k1")) { try await PayloadStore.seal(with: wrong, on: db.connection) }
            await #expect(throws: SealingError.wrongKey("k1")) { try await SecretStore.seal(.all, with: wrong, on: db.connection) }
            #expect(try await db.count("postrider.webhook_events WHERE data ? 'name'") == 1)
            #expect(try await PayloadStore.seal(with: ring("k1", 1), on: db.connection) == 1)
        }
    }
}
