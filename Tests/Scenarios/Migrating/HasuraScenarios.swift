// What receivers of Hasura's event triggers get once Postrider makes the events.

import Foundation
import Postgres
import TestSupport
import Testing

extension Scenarios {
    @Suite struct HasuraScenarios {
        /// Everything that the page's own example needs but its URL.
        private func outpost(_ receiver: Receiver) async throws -> Outpost {
            let outpost = try await Outpost()
            let page = try MigrationPage("hasura")
            try await Psql.run("CREATE TABLE public.users (id integer PRIMARY KEY, email text, name text, seen integer);", on: outpost.url)
            try await page.run("install", on: outpost.url)
            let attach = try page.sql("attach").replacingOccurrences(of: "https://hooks.example.com/users", with: receiver.url("/users"))
            try await Psql.run(attach.replacingOccurrences(of: "…", with: "key 1"), on: outpost.url)
            return outpost
        }

        /// A body without what is different each time, which is checked here.
        private func body(_ request: Received) throws -> [String: Any] {
            var body = request.json
            #expect(body.removeValue(forKey: "id") as? String == request.id)
            let createdAt = try #require(body.removeValue(forKey: "created_at") as? String)
            #expect(createdAt.wholeMatch(of: /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z/) != nil)
            return body
        }

        private func expected(_ op: String, old: Any, new: Any, variables: Any = NSNull(), trace: Any = NSNull()) -> NSDictionary {
            [
                "trigger": ["name": "user_changed"], "table": ["schema": "public", "name": "users"],
                "delivery_info": ["current_retry": 0, "max_retries": 3],
                "event": [
                    "op": op, "data": ["old": old, "new": new], "session_variables": variables, "trace_context": trace,
                ],
            ]
        }

        @Test func bodiesAreThoseOfHasura() async throws {
            let receiver = try Receiver()
            let outpost = try await outpost(receiver)
            let inserted: [String: Any] = ["id": 1, "email": "ana@example.com", "name": "Ana", "seen": 0]
            try await outpost.withWorkers {
                try await outpost.sql("INSERT INTO users VALUES (1, 'ana@example.com', 'Ana', 0)")
                try await receiver.wait(for: 1)
                try await outpost.sql("UPDATE users SET seen = 1")
                try await outpost.sql("UPDATE users SET name = name")
                try await outpost.sql("BEGIN")
                try await outpost.sql(#"SET LOCAL "hasura.user" = '{"x-hasura-role": "admin"}'"#)
                try await outpost.sql(#"SET LOCAL "hasura.tracecontext" = '{"trace_id": "a2dd", "span_id": "da70"}'"#)
                try await outpost.sql("UPDATE users SET name = 'Ana Souza', seen = 2")
                try await outpost.sql("COMMIT")
                try await receiver.wait(for: 2)
                try await outpost.sql("DELETE FROM users")
                try await outpost.sql("INSERT INTO users VALUES (2, 'b', NULL, NULL)")
                try await receiver.wait(for: 3)
                try await outpost.settled()
            }
            try #require(receiver.received.count == 3)
            #expect(try body(receiver.received[0]) as NSDictionary == expected("INSERT", old: NSNull(), new: inserted))
            #expect(
                try body(receiver.received[1]) as NSDictionary
                    == expected(
                        "UPDATE", old: ["id": 1, "email": "ana@example.com", "name": "Ana"],
                        new: ["id": 1, "email": "ana@example.com", "name": "Ana Souza"],
                        variables: ["x-hasura-role": "admin"], trace: ["trace_id": "a2dd", "span_id": "da70"]))
            for request in receiver.received {
                #expect(request.path == "/users")
                #expect(request.headers["content-type"] == "application/json")
                #expect(request.headers["user-agent"]?.hasPrefix("hasura-graphql-engine/") == true)
                #expect(request.headers["x-source"] == "hasura")
                #expect(request.headers["x-api-key"] == "key 1")
                #expect(request.headers["webhook-signature"] == nil)
            }
        }

        @Test func retriesFollowRetryConfAndRepeatTheBody() async throws {
            let receiver = try Receiver { _, count in .status(count < 4 ? 500 : 200) }
            let outpost = try await outpost(receiver)
            let policy = "max_attempts, base_delay_ms, max_delay_ms, delay_factor, jitter, timeout_ms"
            #expect(
                try await outpost.text("SELECT concat_ws('|', \(policy)) FROM postrider.webhook_endpoints WHERE name = 'hasura user_changed'")
                    == "4|10000|10000|1|0|60000")
            try await outpost.sql("UPDATE postrider.webhook_destinations SET base_delay_ms = 1")
            try await outpost.withWorkers {
                try await outpost.sql("INSERT INTO users VALUES (1)")
                try await receiver.wait(for: 4)
                try await outpost.settled()
            }
            #expect(receiver.received.count == 4)
            #expect(Set(receiver.received.map(\.body)).count == 1)
            #expect(try await outpost.count("postrider.webhook_dead_letters WHERE attempts = 4") == 1)
        }
    }
}
