// webhook_endpoints and n8n_workflows: written like tables, with secrets that are shown once.

import Postgres
import Testing

@Suite struct EndpointViewTests {
    private let insert = "INSERT INTO postrider.webhook_endpoints (name, url, events) VALUES ('a', 'https://example.com/x', '{lead.*}')"

    @Test func threeColumnsAreEnough() async throws {
        try await withRollback { db in
            let line = try await db.line(
                """
                \(insert) RETURNING profile, is_active, max_attempts, base_delay_ms, delay_factor, max_delay_ms, jitter,
                    delays_ms, timeout_ms, final_statuses, max_concurrency, keep_response_bytes, headers, success_count,
                    failure_count, inactive_reason, updated_at >= created_at, id IS NOT NULL, destination_id > 0
                """)
            #expect(line == "standard|t|6|30000|2|3600000|0.1|∅|30000||64|4096|{}|0|0|∅|t|t|t")
        }
    }

    @Test(arguments: [("standard", "^whsec_[A-Za-z0-9+/]{43}=$"), ("agentes", "^[0-9a-f]{64}$"), ("github", "^[0-9a-f]{64}$")])
    func generatedSecretIsShownOnceAndThenItsEnd(profile: String, form: String) async throws {
        try await withRollback { db in
            let secret = try await db.line(
                """
                INSERT INTO postrider.webhook_endpoints (name, url, events, profile)
                VALUES ('a', 'https://example.com/x', '{*}', '\(profile)') RETURNING secret
                """)
            #expect(secret.contains(try Regex(form)))
            #expect(try await db.line("SELECT secret FROM postrider.webhook_endpoints") == "••••\(secret.suffix(4))")
            #expect(try await db.line("SELECT secret FROM postrider.webhook_secrets") == secret)
        }
    }

    /// Each works out what it writes from what it saw before the other one was through.
    @Test(arguments: [
        (#"options = options || '{"order": true}'"#, #"options = options || '{"priority": "high"}'"#, true),
        ("max_attempts = max_attempts + 1", "max_attempts = max_attempts + 2", true), ("name = 'x'", "name = 'y'", true),
        ("is_active = false", "is_active = false", false), ("is_active = false", "max_attempts = 9", false),
        ("secret = 'abcdefghijklmnopqrst'", "secret = 'tsrqponmlkjihgfedcba'", true),
        ("headers = '{\"A\": \"1\"}'", "timeout_ms = 7", false), ("headers = '{\"A\": \"1\"}'", "headers = '{\"A\": \"2\"}'", true),
    ]) func changesAtTheSameTimeAreNotLost(first: String, second: String, collide: Bool) async throws {
        try await withDatabase { db in
            try await db.run("\(insert), ('b', 'https://example.com/y', '{*}')")
            try await db.run("UPDATE postrider.webhook_endpoints SET profile = 'github'")
            let other = try await db.connect()
            try await other.run("BEGIN; UPDATE postrider.webhook_endpoints SET \(first) WHERE name = 'a'")
            async let waiting = db.connection.lines("UPDATE postrider.webhook_endpoints SET \(second) WHERE url LIKE '%x' RETURNING id")
            while try await other.lines("SELECT count(*) FROM pg_locks WHERE NOT granted") == ["0"] { await Task.yield() }
            try await other.run("COMMIT")
            do {
                let lines = try await waiting
                #expect(!collide && lines.count == 1)
            } catch let error as PostgresError {
                #expect(collide && error.sqlState == "40001", "\(error)")
                #expect("\(error)".contains("a was changed by somebody else at the same time"))
                // Repeated, it is built on what the other one wrote.
                try await db.run("UPDATE postrider.webhook_endpoints SET \(second) WHERE url LIKE '%x'")
            }
            if first.contains("options") {
                #expect(
                    try await db.line("SELECT options FROM postrider.webhook_endpoints WHERE url LIKE '%x'")
                        == #"{"order": true, "priority": "high"}"#)
            }
        }
    }

    @Test func shortSecretShowsNothingOfItself() async throws {
        try await withRollback { db in
            try await db.run(
                "INSERT INTO postrider.webhook_endpoints (name, url, events, secret) VALUES ('a', 'https://x.example', '{*}', 'fifteen letters')")
            #expect(try await db.line("SELECT secret FROM postrider.webhook_endpoints") == "••••")
        }
    }

    @Test func workflowHasASecretOnlyWhenOneIsGiven() async throws {
        try await withRollback { db in
            let insert = "INSERT INTO postrider.n8n_workflows (name, webhook_url, event_types"
            let bare = try await db.line(
                "\(insert)) VALUES ('w', 'https://n8n.example/webhook/w', '{a.b}') RETURNING secret, profile")
            #expect(bare == "∅|n8n")
            #expect(try await db.count("postrider.webhook_secrets") == 0)
            let signed = try await db.line(
                """
                \(insert), secret, workflow_id)
                VALUES ('v', 'https://n8n.example/webhook/v', '{a.b}', 'a secret of some length', 'wf1')
                RETURNING secret, workflow_id
                """)
            #expect(signed == "a secret of some length|wf1")
            let shown = "SELECT name, secret, workflow_id FROM postrider.n8n_workflows ORDER BY name"
            #expect(try await db.lines(shown) == ["v|••••ngth|wf1", "w|∅|∅"])
            #expect(try await db.count("postrider.webhook_endpoints") == 0)
        }
    }

    @Test func settingsGoBackToTheirDefaults() async throws {
        try await withRollback { db in
            try await db.run("\(insert); UPDATE postrider.webhook_endpoints SET max_attempts = 3, timeout_ms = 500, organization_id = 'org'")
            let shown = "SELECT max_attempts, timeout_ms, organization_id FROM postrider.webhook_endpoints"
            #expect(try await db.line(shown) == "3|500|org")
            try await db.run("UPDATE postrider.webhook_endpoints SET max_attempts = DEFAULT, timeout_ms = NULL, organization_id = NULL")
            #expect(try await db.line(shown) == "6|30000|∅")
        }
    }

    @Test(arguments: [
        ("webhook_endpoints (name, url, events, profile)", "DEFAULT", "standard"),
        ("n8n_workflows (name, webhook_url, event_types, profile)", "NULL", "n8n"),
        ("n8n_workflows (name, webhook_url, event_types, profile)", "DEFAULT", "n8n"),
    ])
    func profileGoesBackToThatOfItsKind(columns: String, value: String, profile: String) async throws {
        try await withRollback { db in
            let view = columns.prefix { $0 != " " }
            let secret = try await db.line(
                "INSERT INTO postrider.\(columns) VALUES ('a', 'https://a.example/x', '{a.b}', 'github') RETURNING secret")
            #expect(secret.count == 64)
            #expect(try await db.line("UPDATE postrider.\(view) SET profile = \(value) RETURNING profile") == profile)
            #expect(try await db.line("SELECT profile FROM postrider.webhook_destinations") == profile)
        }
    }

    @Test func switchingTellsWhy() async throws {
        try await withRollback { db in
            try await db.run(insert)
            let shown = "SELECT is_active, inactive_reason FROM postrider.webhook_endpoints"
            try await db.run("UPDATE postrider.webhook_endpoints SET is_active = false")
            #expect(try await db.line(shown) == "f|disabled by hand")
            try await db.run("UPDATE postrider.webhook_endpoints SET is_active = true")
            #expect(try await db.line(shown) == "t|∅")
            try await db.run("UPDATE postrider.webhook_endpoints SET is_active = false, inactive_reason = 'holidays'")
            #expect(try await db.line(shown) == "f|holidays")
        }
    }

    @Test func parkedDeliveriesAreDueWhenTheirDestinationIsActiveAgain() async throws {
        try await withRollback { db in
            let (mine, other) = (try await db.endpoint("mine"), try await db.endpoint("other"))
            let id = try await db.emit()[0]
            try await db.run(
                """
                UPDATE postrider.webhook_endpoints SET is_active = false;
                INSERT INTO postrider.webhook_retries (event_id, due_at, destination_id, attempt_number)
                VALUES ('\(id)', 'infinity', \(mine), 1), ('\(id)', 'infinity', \(other), 1);
                UPDATE postrider.webhook_endpoints SET is_active = true WHERE name = 'mine'
                """)
            #expect(
                try await db.lines("SELECT destination_id, due_at <= clock_timestamp() FROM postrider.webhook_retries ORDER BY 1")
                    == ["\(mine)|t", "\(other)|f"])
        }
    }

    @Test func writingASecretEndsTheOldOneAtOnce() async throws {
        try await withRollback { db in
            try await db.run(insert)
            #expect(
                try await db.line("UPDATE postrider.webhook_endpoints SET secret = 'another secret, long' RETURNING secret")
                    == "another secret, long")
            let versions = "SELECT version, expires_at <= clock_timestamp() FROM postrider.webhook_secrets ORDER BY version"
            #expect(try await db.lines(versions) == ["1|t", "2|∅"])
            let generated = try await db.line("UPDATE postrider.webhook_endpoints SET secret = NULL RETURNING secret")
            #expect(generated.hasPrefix("whsec_"))
            #expect(try await db.lines(versions) == ["1|t", "2|t", "3|∅"])
        }
    }

    @Test func rotationLetsBothSecretsSignForAWhile() async throws {
        try await withRollback { db in
            let id = try await db.line("\(insert) RETURNING id")
            let secret = try await db.line("SELECT postrider.rotate_secret('\(id)')")
            #expect(secret.hasPrefix("whsec_"))
            #expect(
                try await db.lines(
                    "SELECT version, expires_at - clock_timestamp() BETWEEN '23:59' AND '24:00' FROM postrider.webhook_secrets ORDER BY 1")
                    == ["1|t", "2|∅"])
            // A shorter overlap ends what would have lasted longer, never what ends sooner.
            try await db.run("SELECT postrider.rotate_secret('\(id)', 'mine, long enough', '1 hour')")
            #expect(
                try await db.lines("SELECT version, expires_at - clock_timestamp() <= '1 hour' FROM postrider.webhook_secrets ORDER BY 1")
                    == ["1|t", "2|t", "3|∅"])
            #expect(try await db.refusal("SELECT postrider.rotate_secret('\(id)', 'x', '-1 hour')").sqlState == "22023")
            #expect(try await db.refusal("SELECT postrider.rotate_secret(gen_random_uuid())").sqlState == "P0002")
        }
    }

    @Test(arguments: [
        ("url = 'ftp://example.com'", "22023", "must begin with https://"),
        ("url = 'https://user:password@example.com'", "22023", "user name or password"),
        ("url = 'https://example.com/a b'", "22023", "blanks"),
        ("url = E'https://example.com/\\n'", "22023", "blanks or control"),
        ("events = '{}'", "22023", "at least one event type"),
        ("events = '{a.*.b}'", "22023", "'a.*.b'"),
        ("events = '{a,NULL}'", "22023", "null"),
        ("events = '{\"a b\"}'", "22023", "'a b'"),
        (#"headers = '{"a b": "1"}'"#, "22023", "not a header name: 'a b'"),
        (#"headers = '{"X": 1}'"#, "22023", "header X must be a string"),
        (#"headers = '{"X": "a\nb"}'"#, "22023", "line breaks"),
        (#"headers = '{"hOST": "x"}'"#, "22023", "set by the sender"),
        (#"headers = '[]'"#, "22023", "JSON object"),
        ("max_attempts = 0", "23514", "attempts_are_1_to_1000"),
        ("timeout_ms = 0", "23514", "timeout_is_up_to_10_minutes"),
        ("jitter = 1.5", "23514", "jitter_is_a_fraction"),
        ("delays_ms = '{1,-1}'", "23514", "delays_are_not_negative"),
        ("max_concurrency = 0", "23514", "concurrency_is_1_to_10000"),
        ("keep_response_bytes = 65537", "23514", "kept_response_is_up_to_64_kib"),
        ("success_count = 1", "428C9", "success_count"), ("failure_count = 1", "428C9", "failure_count"),
        ("updated_at = now()", "428C9", "updated_at"), ("id = gen_random_uuid()", "428C9", "public_id"),
        ("created_at = now()", "428C9", "created_at"), ("destination_id = destination_id + 1", "428C9", "cannot be written"),
        ("name = ''", "22023", "needs a name"),
    ])
    func faultIsNamed(setting: String, state: String, message: String) async throws {
        try await withRollback { db in
            try await db.run(insert)
            let error = try await db.refusal("UPDATE postrider.webhook_endpoints SET \(setting)")
            #expect(error.sqlState == state, "\(error)")
            #expect("\(error)".contains(message), "\(error)")
            #expect(
                try await db.line("SELECT name, url, events, max_attempts FROM postrider.webhook_endpoints") == "a|https://example.com/x|{lead.*}|6")
        }
    }

    @Test(arguments: [
        ("name, url, events", "'a', 'ftp://example.com', '{*}'", "22023", "https://"),
        ("name, url, events", "'a', NULL, '{*}'", "22023", "it is null"),
        ("name, url, events", "NULL, 'https://x.example', '{*}'", "22023", "needs a name"),
        ("name, url, events", "'a', 'https://x.example', NULL", "22023", "at least one event type"),
        ("name, url, events", "'a', 'https://u:p@x.example', '{*}'", "22023", "user name or password"),
        ("name, url, events, success_count", "'a', 'https://x.example', '{*}', 5", "428C9", "success_count"),
        ("name, url, events, secret", "'a', 'https://x.example', '{*}', ''", "23514", "secret_is_not_empty"),
    ])
    func faultyInsertIsNamed(columns: String, values: String, state: String, message: String) async throws {
        try await withRollback { db in
            let error = try await db.refusal("INSERT INTO postrider.webhook_endpoints (\(columns)) VALUES (\(values))")
            #expect(error.sqlState == state, "\(error)")
            #expect("\(error)".contains(message), "\(error)")
            #expect(try await db.count("postrider.webhook_destinations") == 0)
        }
    }

    @Test func idMayBeGivenByWhoInserts() async throws {
        try await withRollback { db in
            let id = "11111111-1111-4111-8111-111111111111"
            let line = try await db.line(
                "INSERT INTO postrider.webhook_endpoints (id, name, url, events) VALUES ('\(id)', 'a', 'https://x.example', '{*}') RETURNING id")
            #expect(line == id)
        }
    }

    @Test func deletedEndpointIsGoneWithItsSecretsAndWhatWaited() async throws {
        try await withRollback { db in
            let destination = try await db.endpoint("a")
            let id = try await db.emit()[0]
            try await db.run(
                """
                INSERT INTO postrider.webhook_retries (event_id, due_at, destination_id, attempt_number)
                VALUES ('\(id)', now(), \(destination), 2), ('\(id)', now(), \(destination + 1000), 2)
                """)
            #expect(try await db.line("DELETE FROM postrider.webhook_endpoints RETURNING name") == "a")
            #expect(try await db.count("postrider.webhook_endpoints") == 0)
            #expect(try await db.count("postrider.webhook_secrets") == 0)
            #expect(try await db.lines("SELECT destination_id FROM postrider.webhook_retries") == ["\(destination + 1000)"])
            #expect(
                try await db.line("SELECT deleted_at IS NOT NULL, is_active, inactive_reason FROM postrider.webhook_destinations")
                    == "t|f|deleted")
            #expect(try await db.line("\(insert) RETURNING name") == "a")
        }
    }

    @Test func endpointsAndWorkflowsKeepApart() async throws {
        try await withRollback { db in
            try await db.run(insert)
            #expect(try await db.run("DELETE FROM postrider.n8n_workflows").last?.affected == 0)
            #expect(try await db.run("UPDATE postrider.n8n_workflows SET name = 'x'").last?.affected == 0)
            #expect(try await db.count("postrider.webhook_endpoints WHERE name = 'a'") == 1)
        }
    }

    @Test func readerOfTheViewSeesNoSecret() async throws {
        try await withDatabase { db in
            try await withRoles(db, 1) { roles in
                try await db.endpoint()
                try await db.run("GRANT postrider_auditor TO \(roles[0])")
                let shown = try await db.line("SET ROLE \(roles[0]); SELECT secret FROM postrider.webhook_endpoints")
                #expect(shown.hasPrefix("••••"))
                #expect(try await db.refusal("SET ROLE \(roles[0]); SELECT * FROM postrider.webhook_secrets").sqlState == "42501")
                try await db.run("RESET ROLE")
            }
        }
    }

    @Test func patternsMatchAsTheProgramDoes() async throws {
        try await withRollback { db in
            let cases = [
                ("{*}", "a", "t"), ("{a}", "a", "t"), ("{a}", "a.b", "f"), ("{a.*}", "a.b", "t"), ("{a.*}", "a.b.c", "t"),
                ("{a.*}", "a", "f"), ("{a.*}", "ab.c", "f"), ("{x,a.b}", "a.b", "t"), ("{a_b}", "axb", "f"), ("{}", "a", "f"),
            ]
            for (patterns, type, expected) in cases {
                let matches = try await db.line("SELECT postrider.matches('\(patterns)', '\(type)')")
                #expect(matches == expected, "\(patterns) \(type)")
            }
        }
    }
}
