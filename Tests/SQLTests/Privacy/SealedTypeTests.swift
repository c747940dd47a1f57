// Payloads at rest: which are sealed, what stays, and that nothing else can be done with it.

import Foundation
import Outbox
import OutboxStore
import Postgres
import Testing

@Suite struct SealedTypeTests {
    private static let ring = try! KeyRing(list: "k1:\(Data(repeating: 7, count: 32).base64EncodedString())")

    /// 50 events of an hour ago, one of another type, and one of now.
    private func events(_ db: TestDatabase) async throws {
        try await db.run(
            """
            INSERT INTO postrider.webhook_events (id, event_type, data, user_id)
            SELECT encode(set_byte(uuid_send(postrider.event_id_at(now() - interval '1 hour')), 15, n), 'hex')::uuid,
                   CASE WHEN n < 250 THEN 'patient.seen' ELSE 'invoice.paid' END, jsonb_build_object('name', 'Ann ' || n), 'ann'
            FROM generate_series(0, 250, 5) AS n;
            INSERT INTO postrider.webhook_events (event_type, data) VALUES ('patient.seen', '{"name": "Ann now"}')
            """)
    }

    private func readable(_ db: TestDatabase) async throws -> [String] {
        try await db.lines("SELECT data ->> 'name' FROM postrider.webhook_events WHERE data ? 'name' ORDER BY id")
    }

    @Test func payloadsOfTheTypeAreSealedAndNoOthers() async throws {
        try await withDatabase { db in
            try await events(db)
            #expect(try await PayloadStore.seal(with: Self.ring, on: db.connection) == 0)
            try await db.run("SELECT postrider.seal_type('patient.*')")
            #expect(try await PayloadStore.seal(with: Self.ring, on: db.connection) == 50)
            #expect(try await readable(db) == ["Ann 250", "Ann now"])
            #expect(try await db.count("postrider.webhook_events WHERE postrider.is_sealed(data)") == 50)
            #expect(try await db.lines("SELECT key_name, payloads FROM postrider.webhook_payload_keys") == ["k1|50"])
            #expect(try await PayloadStore.seal(with: Self.ring, on: db.connection) == 0)
            // What opens is what was written.
            let rows = try await db.query("SELECT id::text, data::text FROM postrider.webhook_event_log ORDER BY id LIMIT 1", [])
            let id = try #require(EventID(try rows[0].string(0)))
            let stored = Event(id: id, type: "patient.seen", createdAtMicroseconds: 0, data: try rows[0].bytes(1))
            #expect(String(decoding: try stored.opened(with: Self.ring).data, as: UTF8.self) == #"{"name": "Ann 0"}"#)
        }
    }

    @Test func erasedPayloadsStayErasedAndSealedOnesAreErasedToo() async throws {
        try await withDatabase { db in
            try await events(db)
            try await db.run(
                """
                DELETE FROM postrider.webhook_queue; SELECT postrider.seal_type('*');
                UPDATE postrider.webhook_event_log SET data = postrider.removed_payload() WHERE data ->> 'name' = 'Ann 5'
                """)
            #expect(try await PayloadStore.seal(with: Self.ring, on: db.connection) == 50)
            #expect(try await db.line("SELECT events FROM postrider.forget_user('ann')") == "50")
            #expect(try await db.count("postrider.webhook_events WHERE postrider.is_removed(data)") == 51)
            // Named again, the type is looked through from the beginning, and nothing comes back.
            try await db.run("SELECT postrider.seal_type('*')")
            #expect(try await PayloadStore.seal(with: Self.ring, on: db.connection) == 0)
        }
    }

    @Test func readableTextIsNotTakenForASealedOne() async throws {
        try await withRollback { db in
            try await events(db)
            try await db.run("SELECT postrider.seal_type('patient.seen')")
            let call =
                "SELECT postrider.seal_payloads('patient.seen', id, 'k1', ARRAY[id::uuid], ARRAY[$text]) FROM postrider.webhook_event_log ORDER BY id"
            for text in ["'nothing'", "'sealed:v1:k2:AAAA'", "NULL::text"] {
                #expect(try await db.refusal(call.replacing("$text", with: text)).sqlState == "22023")
            }
            // Nor are payloads of other types replaced.
            #expect(
                try await db.line(
                    "SELECT postrider.seal_payloads('patient.seen', id, 'k1', ARRAY[id::uuid], '{sealed:v1:k1:AAAA}') FROM postrider.webhook_event_log WHERE event_type = 'invoice.paid'"
                ) == "0")
            #expect(try await db.refusal("SELECT postrider.seal_type('no type!')").sqlState == "22023")
            #expect(try await db.refusal("SELECT postrider.unseal_type('patient.*')").sqlState == "42704")
            try await db.run("SELECT postrider.unseal_type('patient.seen')")
            #expect(
                try await db.lines("SELECT action, object_id FROM postrider.webhook_audit_log WHERE object_kind = 'sealed type' ORDER BY id")
                    == ["create|patient.seen", "delete|patient.seen"])
        }
    }

    @Test func largePayloadsGoInSmallerBatches() async throws {
        try await withRollback { db in
            try await db.run(
                """
                INSERT INTO postrider.webhook_events (id, event_type, data)
                SELECT encode(set_byte(uuid_send(postrider.event_id_at(now() - interval '1 hour')), 15, n), 'hex')::uuid,
                       'a.b', to_jsonb(repeat('x', 7000000)) FROM generate_series(1, 4) AS n;
                SELECT postrider.seal_type('a.b')
                """)
            let taken = "postrider.payloads_to_seal('a.b', postrider.event_id_at(now()), 200)"
            #expect(try await db.count("\(taken) WHERE data IS NOT NULL") == 3)
        }
    }

    /// Of a rare type in a large log no statement reads all that lies between.
    @Test func typeIsLookedForByPieces() async throws {
        try await withDatabase { db in
            try await db.run(
                """
                INSERT INTO postrider.webhook_events (id, event_type, data)
                SELECT (left(postrider.event_id_at(now() - interval '1 hour')::text, 24) || lpad(to_hex(n), 12, '0'))::uuid,
                       CASE n WHEN 20003 THEN 'patient.seen' ELSE 'invoice.paid' END, '{}'
                FROM generate_series(1, 20005) AS n;
                SELECT postrider.seal_type('patient.*')
                """)
            let take = "SELECT right(id::text, 12), data FROM postrider.payloads_to_seal('patient.*', postrider.event_id_at(now()), 200)"
            #expect(try await db.lines(take) == ["000000004e20|∅"])
            #expect(try await PayloadStore.seal(with: Self.ring, on: db.connection) == 1)
            #expect(try await db.count("postrider.webhook_event_log WHERE postrider.is_sealed(data)") == 1)
            #expect(try await PayloadStore.seal(with: Self.ring, on: db.connection) == 0)
        }
    }

    @Test func workersSealAndAdministratorsSayWhat() async throws {
        try await withMembers { db, members in
            try await events(db)
            let admin = try await members.connect(.admin)
            try await admin.run("SELECT postrider.seal_type('patient.seen'); SELECT postrider.seal_type('patient.seen')")
            let worker = try await members.connect(.worker)
            #expect(try await PayloadStore.seal(with: Self.ring, on: worker) == 50)
            #expect(try await worker.refusal("SELECT postrider.seal_type('a')").sqlState == "42501")
            #expect(try await admin.refusal("SELECT postrider.payloads_to_seal('a', '00000000-0000-0000-0000-000000000000', 1)").sqlState == "42501")
            try await admin.run("SELECT postrider.unseal_type('patient.seen')")
        }
    }
}
