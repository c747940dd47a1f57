// The audit log: every administrative change with who, before and after; no credential in it; nobody changes it.

import Postgres
import Testing

@Suite struct AuditLogTests {
    private func lines(_ columns: String, _ db: TestDatabase) async throws -> [String] {
        try await db.lines("SELECT \(columns) FROM postrider.webhook_audit_log ORDER BY id")
    }

    @Test func lifeOfAnEndpointIsThereWithoutItsSecrets() async throws {
        try await withRollback { db in
            try await db.run(
                """
                SET LOCAL postrider.actor = 'jane';
                INSERT INTO postrider.webhook_endpoints (name, url, events, secret, headers)
                VALUES ('billing', 'https://example.com/in', '{*}', 'first-secret', '{"Authorization": "Bearer abc", "X-Team": "a"}');
                UPDATE postrider.webhook_endpoints SET headers = '{"Authorization": "Bearer def", "X-Team": "b"}', max_attempts = 3;
                SELECT postrider.rotate_secret(id, 'second-secret') FROM postrider.webhook_endpoints;
                UPDATE postrider.webhook_secrets SET secret = 'sealed:v1:k1:AAAA' WHERE version = 2;
                UPDATE postrider.webhook_endpoints SET is_active = false;
                UPDATE postrider.webhook_endpoints SET is_active = true;
                UPDATE postrider.webhook_endpoints SET is_active = true;
                DELETE FROM postrider.webhook_endpoints
                """)
            let log = try await lines("action, object_kind, object_name, actor", db)
            // The two secrets go in one statement, in the order of their rows on disk.
            #expect(
                Array(log.prefix(9)) + log.dropFirst(9).sorted() == [
                    "create|endpoint|billing|jane", "create|secret|billing 1|jane", "update|endpoint|billing|jane",
                    "expire|secret|billing 1|jane", "rotate|secret|billing 2|jane", "seal|secret|billing 2|jane",
                    "disable|endpoint|billing|jane", "enable|endpoint|billing|jane", "delete|endpoint|billing|jane",
                    "delete|secret|billing 1|jane", "delete|secret|billing 2|jane",
                ])
            let endpoint = try await db.line("SELECT public_id FROM postrider.webhook_destinations")
            #expect(try await db.lines("SELECT DISTINCT object_id FROM postrider.webhook_audit_log") == [endpoint])
            #expect(
                try await db.line("SELECT before, after FROM postrider.webhook_audit_log WHERE action = 'update'")
                    == #"{"headers": {"X-Team": "••••", "Authorization": "••••"}, "max_attempts": 6}"#
                    + #"|{"headers": {"X-Team": "••••", "Authorization": "••••"}, "max_attempts": 3}"#)
            #expect(
                try await db.count(
                    "(SELECT to_jsonb(l)::text AS t FROM postrider.webhook_audit_log AS l) AS x WHERE t ~ 'first-|second-|Bearer|sealed:'") == 0)
        }
    }

    @Test func attachmentsRetentionAndDeniedColumnsAreThere() async throws {
        try await withRollback { db in
            try await db.run(
                """
                CREATE TABLE t (id int PRIMARY KEY, secret_of_the_house text);
                SELECT postrider.attach('t', 't.made', ordering_key => 'id');
                SELECT postrider.attach('t', 't.made', '{insert,update}', ordering_key => 'id');
                SELECT postrider.deny_column('t', 'secret_of_the_house');
                SELECT postrider.refresh_attachments();
                UPDATE postrider.webhook_retention SET upkeep_at = now();
                UPDATE postrider.webhook_retention SET keep_events = '80 days';
                SELECT postrider.allow_column('t', 'secret_of_the_house');
                SELECT postrider.detach('t');
                SELECT postrider.record_change('replay', 'endpoint', 'billing', '{"count": 7}')
                """)
            #expect(
                try await lines("action, object_kind, object_id, object_name, jsonb_typeof(before), coalesce(after ->> 'count', '')", db) == [
                    "create|attachment|public.t|t.made|∅|", "update|attachment|public.t|t.made|object|",
                    "create|denied column|public.t|secret_of_the_house|∅|", "update|attachment|public.t|t.made|object|",
                    "update|retention|∅|∅|object|", "delete|denied column|public.t|secret_of_the_house|object|",
                    "update|attachment|public.t|t.made|object|", "delete|attachment|public.t|t.made|object|",
                    "replay|endpoint|billing|∅|∅|7",
                ])
            #expect(
                try await db.line("SELECT before, after FROM postrider.webhook_audit_log WHERE object_kind = 'retention'")
                    == #"{"keep_events": "90 days"}|{"keep_events": "80 days"}"#)
            #expect(try await db.line("SELECT after ->> 'ordering_key' FROM postrider.webhook_audit_log ORDER BY id LIMIT 1") == "id")
        }
    }

    @Test func settingsAndTransformsAreThereWithoutValues() async throws {
        try await withRollback { db in
            try await db.run(
                """
                INSERT INTO postrider.webhook_settings (organization_id, name, value) VALUES ('acme', 'LEVEL', 'plain-1');
                UPDATE postrider.webhook_settings SET value = 'sealed:v1:k1:AAAA';
                UPDATE postrider.webhook_settings SET value = 'sealed:v1:k1:BBBB', updated_at = clock_timestamp();
                UPDATE postrider.webhook_settings SET value = 'plain-2', updated_at = clock_timestamp();
                DELETE FROM postrider.webhook_settings;
                CREATE FUNCTION public.shorten(data jsonb, context jsonb) RETURNS jsonb LANGUAGE sql SECURITY DEFINER
                    SET search_path = pg_catalog, pg_temp RETURN data;
                SELECT postrider.allow_transform('public.shorten');
                SELECT postrider.forbid_transform('public.shorten')
                """)
            #expect(
                try await lines("action, object_kind, object_id, before ->> 'value', after ->> 'value'", db) == [
                    "create|setting|acme/LEVEL|∅|••••", "seal|setting|acme/LEVEL|••••|••••", "update|setting|acme/LEVEL|••••|••••",
                    "update|setting|acme/LEVEL|••••|••••", "delete|setting|acme/LEVEL|••••|∅",
                    "create|transform|public.shorten|∅|∅", "delete|transform|public.shorten|∅|∅",
                ])
            #expect(
                try await db.count(
                    "(SELECT to_jsonb(l)::text AS t FROM postrider.webhook_audit_log AS l) AS x WHERE t ~ 'plain|sealed:'") == 0)
        }
    }

    @Test func whoDidItIsTheLoginWithTheRoleThatItHadSet() async throws {
        try await withMembers { db, members in
            let admin = try await members.connect(.admin)
            try await admin.run(
                "SET application_name = 'console'; INSERT INTO postrider.webhook_endpoints (name, url, events) VALUES ('a', 'https://example.com/', '{*}')"
            )
            try await admin.run("SET ROLE postrider_admin; UPDATE postrider.webhook_endpoints SET max_attempts = 9")
            #expect(
                try await db.lines(
                    "SELECT login, role_name, application, actor, action FROM postrider.webhook_audit_log WHERE object_kind = 'endpoint' ORDER BY id")
                    == [
                        "\(members[.admin])|\(members[.admin])|console|∅|create", "\(members[.admin])|postrider_admin|console|∅|update",
                    ])
            // What a worker does by itself says so.
            let worker = try await members.connect(.worker)
            let disable = try #require(try NamedQuery.all()["DestinationDisable"])
            _ = try await worker.query(Statement(name: "disable", sql: disable.sql), [.int4(1), .text("gone"), .null, .null])
            #expect(
                try await db.line(
                    "SELECT login, actor, action, after ->> 'inactive_reason' FROM postrider.webhook_audit_log ORDER BY id DESC LIMIT 1")
                    == "\(members[.worker])|worker|disable|gone")
            // Readers read, and nobody writes.
            for (role, mayRead) in [(Role.admin, true), (.auditor, true), (.producer, false), (.worker, false), (.tenant, false)] {
                let connection = try await members.connect(role)
                if mayRead {
                    #expect(try await connection.lines("SELECT count(*) >= 3 FROM postrider.webhook_audit_log") == ["t"])
                } else {
                    #expect(try await connection.refusal("SELECT FROM postrider.webhook_audit_log").sqlState == "42501")
                }
                for statement in [
                    "INSERT INTO postrider.webhook_audit_log (action, object_kind) VALUES ('a', 'b')", "DELETE FROM postrider.webhook_audit_log",
                ] {
                    #expect(try await connection.refusal(statement).sqlState == "42501")
                }
            }
        }
    }

    @Test(arguments: [
        "UPDATE postrider.webhook_audit_log SET action = 'nothing'", "DELETE FROM postrider.webhook_audit_log",
        "TRUNCATE postrider.webhook_audit_log",
        "SET LOCAL session_replication_role = replica; DELETE FROM postrider.webhook_audit_log",
        "INSERT INTO postrider.webhook_audit_log (id, action, object_kind) OVERRIDING SYSTEM VALUE SELECT id, 'a', 'b' FROM postrider.webhook_audit_log ON CONFLICT (id) DO UPDATE SET action = 'nothing'",
    ]) func superuserIsRefusedToo(_ statement: String) async throws {
        try await withRollback { db in
            try await db.run("UPDATE postrider.webhook_retention SET keep_payloads = '7 days'")
            let refusal = try await db.refusal(statement)
            #expect(refusal.message == "webhook_audit_log is append-only")
            #expect(try await lines("action", db) == ["update"])
        }
    }

    /// Whatever the plan: one that joins row by row asks subqueries again and again.
    @Test(arguments: ["on", "off"]) func oldLinesGoWhenSomebodySaysSo(joinsAtOnce: String) async throws {
        try await withRollback { db in
            for kind in ["hashjoin", "mergejoin", "hashagg", "sort", "material"] {
                try await db.run("SET LOCAL enable_\(kind) = \(joinsAtOnce)")
            }
            try await db.run(
                """
                INSERT INTO postrider.webhook_audit_log (at, action, object_kind)
                SELECT now() - n * interval '1 day', 'a' || n, 'b' FROM generate_series(50, 350, 100) AS n
                """)
            #expect(try await db.line("SELECT postrider.prune_audit_log()") == "0")
            #expect(try await db.refusal("UPDATE postrider.webhook_retention SET keep_audit = '89 days'").sqlState == "23514")
            try await db.run("UPDATE postrider.webhook_retention SET keep_audit = '200 days'")
            #expect(try await db.line("SELECT postrider.prune_audit_log(1)") == "1")
            #expect(try await db.line("SELECT postrider.prune_audit_log()") == "1")
            #expect(try await lines("action", db) == ["a50", "a150", "update"])
            #expect(try await db.refusal("DELETE FROM postrider.webhook_audit_log").sqlState == "42501")
        }
    }

    @Test(arguments: [
        (#"{"auth": {"kind": "basic", "password": "p"}}"#, #"{"auth": {"kind": "••••", "password": "••••"}}"#),
        (#"{"list": [{"token": 7}, "sealed:v1:k:x", "fine"]}"#, #"{"list": [{"token": "••••"}, "••••", "fine"]}"#),
        (#"{"proxy": "http://me:pw@proxy:1/"}"#, #"{"proxy": "http://••••@proxy:1/"}"#),
        (#"{"signing_key": null, "n": 1.50, "on": true}"#, #"{"n": 1.50, "on": true, "signing_key": null}"#),
    ]) func credentialsBecomeDots(_ given: String, _ shown: String) async throws {
        try await withRollback { db in
            let redacted = try await db.line("SELECT postrider.redacted('\(given)')")
            #expect(redacted == shown)
        }
    }

    @Test func statementOfManyRowsIsPairedRowByRow() async throws {
        try await withRollback { db in
            try await db.run(
                """
                INSERT INTO postrider.webhook_destinations (kind, name, url, event_types)
                SELECT 'endpoint', 'e' || n, 'https://example.com/' || n, '{*}' FROM generate_series(1, 3000) AS n;
                UPDATE postrider.webhook_destinations SET max_attempts = 7 + id % 900 WHERE name <> 'e7'
                """)
            #expect(try await db.count("postrider.webhook_audit_log WHERE action = 'create'") == 3000)
            #expect(
                try await db.count(
                    """
                    postrider.webhook_audit_log AS l JOIN postrider.webhook_destinations AS d ON d.public_id::text = l.object_id
                    WHERE l.action = 'update' AND l.before = '{"max_attempts": 6}'
                      AND l.after = jsonb_build_object('max_attempts', d.max_attempts)
                    """) == 2999)
        }
    }
}
