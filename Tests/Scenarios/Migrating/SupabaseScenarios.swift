// What receivers of Supabase's database webhooks get once their triggers are adopted.

import Foundation
import Postgres
import TestSupport
import Testing

/// The function that Supabase's triggers call, as far as a test needs it: it notes what it would hand to pg_net.
let supabaseFunctions = """
    CREATE SCHEMA supabase_functions;
    CREATE TABLE supabase_functions.sent (
        n integer GENERATED ALWAYS AS IDENTITY, url text, body text, headers jsonb, timeout_ms integer);
    CREATE FUNCTION supabase_functions.http_request() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
    BEGIN
        INSERT INTO supabase_functions.sent (url, body, headers, timeout_ms) VALUES (TG_ARGV[0],
            jsonb_build_object('old_record', OLD, 'record', NEW, 'type', TG_OP, 'table', TG_TABLE_NAME,
                               'schema', TG_TABLE_SCHEMA)::text, TG_ARGV[2]::jsonb, TG_ARGV[4]::integer);
        RETURN NEW;
    END $$;
    CREATE TABLE public.orders (id integer PRIMARY KEY, total numeric(10, 2), note text, tags jsonb, at timestamptz);
    """

extension Scenarios {
    @Suite struct SupabaseScenarios {
        private static let page = Result { try MigrationPage("supabase") }

        private static let changes = [
            #"INSERT INTO orders VALUES (1, 10.50, 'Olá "✓"', '{"b": [1.0, null], "a": {}}', '2026-01-02 03:04:05.678901+00')"#,
            "UPDATE orders SET total = total * 3, note = NULL WHERE id = 1", "DELETE FROM orders WHERE id = 1",
        ]

        /// A database with a webhook to `path` of a receiver, as the dashboard makes it.
        private func outpost(_ receiver: Receiver, path: String = "/hook", timeout: Int = 1500) async throws -> Outpost {
            let outpost = try await Outpost()
            try await Psql.run(
                supabaseFunctions + """
                    CREATE TRIGGER order_webhook AFTER INSERT OR UPDATE OR DELETE ON public.orders FOR EACH ROW
                    EXECUTE FUNCTION supabase_functions.http_request('\(receiver.url(path))', 'POST',
                        '{"Content-type":"application/json","Authorization":"Bearer old key","X-Source":"db"}',
                        '{"a":"b c","é":"&="}', '\(timeout)');
                    """, on: outpost.url)
            return outpost
        }

        private func run(_ block: String, on outpost: Outpost) async throws -> String {
            try await Self.page.get().run(block, on: outpost.url)
        }

        @Test func receiversSeeTheSameAsBefore() async throws {
            let receiver = try Receiver()
            let outpost = try await outpost(receiver)
            for change in Self.changes { try await outpost.sql(change) }
            let before = try await outpost.sql("SELECT body FROM supabase_functions.sent ORDER BY n").map { try $0.string(0) }
            #expect(before.count == 3)
            #expect(try await run("adopt", on: outpost) == "orders|order_webhook|adopted\n")
            try await outpost.withWorkers {
                for (index, change) in Self.changes.enumerated() {
                    try await outpost.sql(change)
                    try await receiver.wait(for: index + 1)
                }
                try await outpost.settled()
            }
            #expect(receiver.received.map { String(decoding: $0.body, as: UTF8.self) } == before)
            #expect(receiver.received.map { $0.json["type"] as? String } == ["INSERT", "UPDATE", "DELETE"])
            for request in receiver.received {
                #expect(request.path == "/hook?a=b%20c&%C3%A9=%26%3D")
                #expect(request.headers["content-type"] == "application/json")
                #expect(request.headers["authorization"] == "Bearer old key")
                #expect(request.headers["x-source"] == "db")
                #expect(request.headers["user-agent"]?.hasPrefix("pg_net/") == true)
                #expect(request.headers["webhook-signature"] == nil)
            }
            #expect(Set(receiver.received.map(\.id)).count == 3)
            #expect(try await outpost.count("supabase_functions.sent") == 3)
            #expect(try await run("endpoints", on: outpost).contains("|1500|6|3|0\n"))
        }

        @Test func rolledBackRowsAreNotSentAndReturnedTriggersCallSupabaseAgain() async throws {
            let receiver = try Receiver()
            let outpost = try await outpost(receiver)
            _ = try await run("adopt", on: outpost)
            try await outpost.withWorkers {
                try await outpost.sql("BEGIN")
                try await outpost.sql("INSERT INTO orders (id) VALUES (1)")
                try await outpost.sql("ROLLBACK")
                try await outpost.sql("INSERT INTO orders (id) VALUES (2)")
                #expect(try await run("return", on: outpost) == "orders|order_webhook|returned\n")
                try await outpost.sql("INSERT INTO orders (id) VALUES (3)")
                try await receiver.wait(for: 1)
                try await outpost.settled()
            }
            #expect(receiver.received.map { ($0.json["record"] as? [String: Any])?["id"] as? Int } == [2])
            #expect(try await outpost.text("SELECT string_agg(body::jsonb #>> '{record,id}', ',') FROM supabase_functions.sent") == "3")
        }

        @Test func timeoutIsKeptAndWhatMissesItIsTriedAgain() async throws {
            let receiver = try Receiver { _, count in count == 0 ? Reply(delayMilliseconds: 6_000) : .ok }
            let outpost = try await outpost(receiver, timeout: 1_000)
            _ = try await run("adopt", on: outpost)
            try await outpost.sql("UPDATE postrider.webhook_destinations SET base_delay_ms = 1")
            try await outpost.withWorkers {
                try await outpost.sql("INSERT INTO orders (id) VALUES (1)")
                try await receiver.wait(for: 2)
                try await outpost.settled()
            }
            let attempts = try await outpost.sql(
                "SELECT failure, duration_us FROM postrider.webhook_attempts ORDER BY attempt_number")
            #expect(try attempts.map { try $0.stringOrNil(0) } == ["timeout", nil])
            #expect(try attempts[0].int(1) / 1000 >= 990 && attempts[0].int(1) / 1000 < 5_000)
            #expect(receiver.received[0].id == receiver.received[1].id && receiver.received[0].body == receiver.received[1].body)
        }

        @Test func endpointThatIsGivenASecretSigns() async throws {
            let receiver = try Receiver()
            let outpost = try await outpost(receiver)
            _ = try await run("adopt", on: outpost)
            let secret = try await outpost.text("SELECT postrider.rotate_secret(id) FROM postrider.webhook_endpoints")
            try await outpost.withWorkers {
                try await outpost.sql("INSERT INTO orders (id) VALUES (1)")
                try await receiver.wait(for: 1)
            }
            #expect(try StandardWebhooks.verify(receiver.received[0], secret: secret))
        }
    }
}
