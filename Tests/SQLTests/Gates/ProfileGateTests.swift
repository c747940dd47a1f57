// Profiles as rows: what SQL refuses, that the program refuses it too, who may use and remove them, and how they load.

import Outbox
import OutboxStore
import Postgres
import TestSupport
import Testing

@Suite struct ProfileGateTests {
    /// A row that is right, and one column of it changed.
    private func insert(_ column: String = "name", _ value: String = "'own'") -> String {
        var columns = [
            "name": "'own'", "envelope": "'{\"id\": \"{event.id}\", \"data\": {data}}'",
            "headers": "ARRAY['X-Time: {timestamp.ms}', 'X-Signature: {signature}']", "signs": "'{timestamp.ms}.{body}'",
        ]
        columns[column] = value
        let sorted = columns.sorted { $0.key < $1.key }
        return "INSERT INTO postrider.webhook_profiles (\(sorted.map(\.key).joined(separator: ", ")))"
            + " VALUES (\(sorted.map(\.value).joined(separator: ", ")))"
    }

    private func endpoint(_ profile: String) -> String {
        """
        INSERT INTO postrider.webhook_endpoints (name, url, events, profile)
        VALUES ('e', 'https://example.com/', '{*}', '\(profile)')
        """
    }

    private func document(_ db: TestDatabase) async throws -> [UInt8] {
        let rows = try await db.query(
            "SELECT (to_jsonb(p) - '{created_at,updated_at}'::text[])::text FROM postrider.webhook_profiles AS p", [])
        return try rows[0].bytes(0)
    }

    @Test func builtInNamesAreTheProgramsOwn() async throws {
        try await withRollback { db in
            for name in Profile.builtIn.keys + ["own", "Standard", ""] {
                let rows = try await db.query("SELECT postrider.is_built_in_profile($1)", [.text(name)])
                #expect(try rows[0].bool(0) == (Profile.builtIn[name] != nil), "\(name)")
            }
        }
    }

    @Test func formsOfSecretsAreTheProgramsOwn() async throws {
        try await withRollback { db in
            try await db.run(insert("secret_form", "'prefixed_text'"))
            var profiles = Array(Profile.builtIn.values)
            profiles.append(try Profile(parsing: try await document(db)))
            for profile in profiles {
                let form = try await db.line("SELECT postrider.secret_form('\(profile.name)')")
                #expect(form == profile.secretForm.rawValue)
                // What SQL generates is what the program generates.
                var generator = SystemRandomNumberGenerator()
                let own = Secret.generate(form: profile.secretForm, using: &generator).reveal()
                let made = try await db.line("SELECT postrider.new_secret('\(profile.name)')")
                #expect(made.utf8.count == own.utf8.count && made.hasPrefix("whsec_") == own.hasPrefix("whsec_"))
                _ = try Secret(made, form: profile.secretForm)
            }
        }
    }

    @Test func rowThatLeavesDefaultsIsAProfile() async throws {
        try await withRollback { db in
            try await db.run("INSERT INTO postrider.webhook_profiles (name, envelope) VALUES ('bare', '{data}')")
            let bare = try Profile(parsing: try await document(db))
            #expect(bare.userAgent == Profile.ownUserAgent && bare.contentType == "application/json")
            #expect(bare.signature == nil && bare.secretForm == .text)
            // It does not sign, so nobody is given a secret for it.
            try await db.run(endpoint("bare"))
            #expect(try await db.count("postrider.webhook_secrets") == 0)
        }
    }

    static let faults: [(column: String, value: String, fault: String)] = [
        ("name", "'stripe'", "built-in profile"), ("name", "'A b'", "name_is_a_lower_case_word"),
        ("name", "''", "name_is_a_lower_case_word"), ("envelope", "'{date}'", "envelope: there is no variable {date}"),
        ("envelope", "'{timestamp}'", "envelope: there is no variable {timestamp}"),
        ("envelope", "'{\"a\": {data}'", "does not become JSON"), ("envelope", "'{\"a\": \"{data}\"}'", "does not become JSON"),
        ("envelope", "''", "does not become JSON"), ("signs", "'{timestamp}'", "exactly once"),
        ("signs", "'{body}{body.canonical}'", "exactly once"), ("signs", "'{data}'", "signs: there is no variable {data}"),
        ("headers", "ARRAY['X-Signature {signature}']", "has no colon"),
        ("headers", "ARRAY['X Signature: {signature}']", "not a header name"),
        ("headers", "ARRAY['Host: {signature}']", "set by the sender itself"),
        ("headers", "ARRAY['X: {signature}', 'x: 1']", "is there twice"),
        ("headers", "ARRAY['User-Agent: {signature}']", "is there twice"),
        ("headers", "ARRAY['X: {body}', 'Y: {signature}']", "there is no variable {body}"),
        ("headers", "ARRAY[E'X: {signature}\\nY: 1']", "without line breaks"), ("headers", "'{}'", "none carries {signature}"),
        ("signs", "NULL", "{signature} needs signs"), ("encoding", "'hexa'", "encoding_is_hex_or_base64"),
        ("separator", "''", "separator_is_not_empty"), ("ed25519_prefix", "'e='", "ed25519_needs_standard_secrets"),
        ("secret_form", "'hex'", "secret_form_is_known"), ("prefix", "E'a\\n'", "control characters"),
        ("user_agent", "E'a\\nb'", "without line breaks"), ("content_type", "' a'", "begin or end with a blank"),
        ("headers", "ARRAY['X: {signature}', NULL]", "a line is null"),
    ]

    /// Neither takes what the other refuses: what gets around the gate is found when it is compiled.
    @Test func faultyRowsAreRefusedHereAndByTheProgram() async throws {
        try await withRollback { db in
            for (column, value, fault) in Self.faults {
                let error = try await db.refusal(insert(column, value))
                #expect("\(error)".contains(fault), "\(column) \(value): \(error)")
            }
            try await db.openGates(of: "webhook_profiles", ["webhook_profile_gate"])
            for (column, value, _) in Self.faults where value != "'stripe'" {
                try await db.run("DELETE FROM postrider.webhook_profiles; \(insert(column, value))")
                let text = try await document(db)
                #expect(throws: ProfileError.self, "\(column) \(value)") { try Profile(parsing: text) }
            }
        }
    }

    @Test func destinationsNeedAProfileThatExists() async throws {
        try await withRollback { db in
            let unknown = try await db.refusal(endpoint("own"))
            #expect(unknown.sqlState == "22023" && unknown.message == "there is no profile 'own'")
            try await db.run(insert())
            try await db.run(endpoint("own"))
            #expect(try await db.refusal("UPDATE postrider.webhook_endpoints SET profile = 'none'").sqlState == "22023")
            let used = try await db.refusal("DELETE FROM postrider.webhook_profiles")
            #expect(used.sqlState == "55006" && used.message == "profile own is used by 1 destination")
            #expect(try await db.refusal("UPDATE postrider.webhook_profiles SET name = 'other'").sqlState == "55006")
            try await db.run("UPDATE postrider.webhook_profiles SET prefix = 'v1='")
            // A destination that was deleted uses none.
            try await db.run("DELETE FROM postrider.webhook_endpoints; UPDATE postrider.webhook_profiles SET name = 'other'")
            try await db.run("DELETE FROM postrider.webhook_profiles")
        }
    }

    /// Workers would disable every one of them.
    @Test func headerThatDestinationsSendThemselvesIsNotAdded() async throws {
        try await withRollback { db in
            try await db.run(insert())
            for number in 1...4 {
                try await db.run(
                    """
                    INSERT INTO postrider.webhook_endpoints (name, url, events, profile, headers)
                    VALUES ('e\(number)', 'https://example.com/', '{*}', 'own', '{"x-topic": "a", "X-Other": "b"}')
                    """)
            }
            let update = "UPDATE postrider.webhook_profiles SET headers = headers || ARRAY"
            let refused = try await db.refusal("\(update)['X-Topic: {event.type}']")
            #expect(refused.sqlState == "22023")
            #expect(
                refused.message == "profile own: a new header of it is sent by destinations already: "
                    + "'e1' (x-topic), 'e2' (x-topic), 'e3' (x-topic) and 1 more")
            // Others may come, and so may this one when nobody that is left sends it; the option auth sends one as well.
            try await db.run("\(update)['X-New: 1'::text]")
            try await db.run(
                """
                DELETE FROM postrider.webhook_endpoints WHERE name <> 'e1';
                UPDATE postrider.webhook_destinations SET headers = '{}', options = '{"auth": {"bearer": "${TOKEN}"}}';
                \(update)['X-Topic: {event.type}']
                """)
            #expect(try await db.refusal("\(update)['authorization: x']").message.hasSuffix("already: 'e1' (Authorization)"))
            // What got there regardless keeps nobody from another change.
            try await db.run(
                """
                ALTER TABLE postrider.webhook_profiles DISABLE TRIGGER webhook_profile_gate; \(update)['Authorization: x'];
                ALTER TABLE postrider.webhook_profiles ENABLE TRIGGER webhook_profile_gate;
                UPDATE postrider.webhook_profiles SET prefix = 'v1='
                """)
        }
    }

    /// The destination is not committed yet when somebody removes its profile.
    @Test func removalWaitsForADestinationThatIsBeingMade() async throws {
        try await withDatabase { db in
            try await db.run(insert())
            let other = try await db.connect()
            try await other.run("BEGIN; \(endpoint("own"))")
            let process = other.processID
            async let refusal = db.refusal("DELETE FROM postrider.webhook_profiles")
            let watcher = try await db.connect()
            let waiting = "SELECT count(*) FROM pg_stat_activity WHERE \(process) = ANY (pg_blocking_pids(pid))"
            try await eventually("the removal to wait") { try await watcher.lines(waiting) != ["0"] }
            try await other.run("COMMIT")
            #expect(try await refusal.sqlState == "55006")
        }
    }

    @Test func everyChangeIsToldToWorkers() async throws {
        try await withRollback { db in
            var version = try await RoutingStore.load(on: db.connection).version
            for change in [
                insert(), "UPDATE postrider.webhook_profiles SET prefix = 'a='", "DELETE FROM postrider.webhook_profiles",
            ] {
                try await db.run(change)
                let next = try await RoutingStore.load(on: db.connection).version
                #expect(next > version, "\(change)")
                version = next
            }
        }
    }

    @Test func destinationsGetTheProfileOfTheirRow() async throws {
        try await withRollback { db in
            try await db.run(insert("purpose", "'for tests'"))
            try await db.run(endpoint("own"))
            let routing = try await RoutingStore.load(on: db.connection)
            #expect(routing.faults.isEmpty)
            let profile = try #require(routing.destinations.first?.profile)
            #expect(profile.name == "own" && profile.purpose == "for tests" && profile.signature?.encoding == .hex)
            #expect(profile.signature?.signs == "{timestamp.ms}.{body}" && profile.headers.count == 2)
        }
    }

    @Test func rowThatDoesNotCompileParksItsDestinationsAlone() async throws {
        try await withRollback { db in
            try await db.run(insert())
            try await db.run(endpoint("own"))
            let good = try await db.endpoint("good")
            try await db.run(
                """
                ALTER TABLE postrider.webhook_profiles DISABLE TRIGGER webhook_profile_gate;
                UPDATE postrider.webhook_profiles SET envelope = '{date}'
                """)
            let routing = try await RoutingStore.load(on: db.connection)
            #expect(routing.destinations.count == 2)
            #expect(routing.destinations.filter(\.isEnabled).map(\.id) == [good])
            #expect(routing.faults.count == 1)
            #expect(routing.faults[0].reason.hasPrefix(#"profile "own" cannot be used: unknown variable {date}"#))
        }
    }
}
