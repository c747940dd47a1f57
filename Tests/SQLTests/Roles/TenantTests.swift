// Row-level security: an organization sees its own rows through every view, and nothing when none is named.

import Outbox
import OutboxStore
import Postgres
import Testing

@Suite struct TenantTests {
    /// What a tenant may read, with what tells whose row it is.
    private static let relations = [
        ("webhook_event_log", "organization_id"), ("webhook_events", "organization_id"), ("webhook_destinations", "name"),
        ("webhook_endpoints", "name"), ("n8n_workflows", "name"), ("webhook_destination_status", "name"),
        ("webhook_destination_headers", "headers ->> 'of'"), ("webhook_deliveries", "destination_name || organization_id"),
        ("webhook_attempts", "event_id || '/' || destination_id"), ("webhook_retries", "event_id || '/' || destination_id"),
        ("webhook_dead_letters", "event_id || '/' || destination_id"), ("webhook_tallies", "destination_id::text"),
        ("webhook_in_flight", "event_id::text"),
    ]

    /// Two organizations and a destination that serves everybody; each organization has one delivery delivered, one to be
    /// retried, one given up and one in flight, and an event that waits.
    private struct Town {
        var destinations: [String: Int32] = [:]
        var events: [String: [EventID]] = [:]

        init(_ db: TestDatabase) async throws {
            for name in ["acme", "beta", "common"] {
                destinations[name] = try await db.endpoint(name, settings: "headers = '{\"of\": \"x\"}', jitter = 0")
                if name != "common" {
                    try await db.run(
                        """
                        UPDATE postrider.webhook_destinations SET organization_id = '\(name)' WHERE name = '\(name)';
                        INSERT INTO postrider.n8n_workflows (name, webhook_url, event_types, organization_id)
                        VALUES ('\(name) workflow', 'https://n8n.example/', '{none}', '\(name)')
                        """)
                }
            }
            let worker = try await db.worker()
            for organization in ["acme", "beta"] {
                var ids: [EventID] = []
                for _ in 0..<3 {
                    let line = try await db.line("SELECT postrider.emit('a.b', '{\"of\": \"\(organization)\"}', '\(organization)')")
                    ids.append(try #require(EventID(line)))
                }
                let claim = try #require(try await db.claim(worker))
                for destination in [organization, "common"].compactMap({ destinations[$0] }) {
                    var done = Settlement()
                    done.deliver(ids[0], destination, body: "answer of \(organization)")
                    done.fail(ids[1], destination, next: .retry(afterMilliseconds: 900_000), claim: claim.id)
                    done.fail(ids[2], destination, next: .dead, claim: claim.id)
                    try await db.settle(done, worker)
                }
                try await db.run("DELETE FROM postrider.webhook_claims WHERE id = \(claim.id)")
                let held = try #require(EventID(try await db.line("SELECT postrider.emit('a.held', '{}', '\(organization)')")))
                _ = try #require(try await db.claim(worker))
                let waiting = try #require(EventID(try await db.line("SELECT postrider.emit('a.waits', '{}', '\(organization)')")))
                events[organization] = ids + [held, waiting]
                // The next claim is not to take it.
                try await db.run("DELETE FROM postrider.webhook_queue")
            }
            for id in events.values.compactMap(\.last) {
                try await db.run("INSERT INTO postrider.webhook_queue (id) VALUES ('\(id)')")
            }
        }
    }

    @Test func organizationSeesItsOwnRowsAndNoOthers() async throws {
        try await withMembers { db, members in
            let town = try await Town(db)
            let tenant = try await members.connect(.tenant)
            for (own, other) in [("acme", "beta"), ("beta", "acme")] {
                try await tenant.run("SET postrider.organization_id = '\(own)'")
                let ids = try #require(town.events[own]).map { "\($0)" }
                let destination = try #require(town.destinations[own])
                for (relation, expression) in Self.relations {
                    let seen = try await tenant.lines("SELECT \(expression) FROM postrider.\(relation)").sorted()
                    let expected: [String] =
                        switch relation {
                        case "webhook_event_log", "webhook_events": Array(repeating: own, count: 5)
                        case "webhook_destinations": [own, "\(own) workflow"]
                        case "webhook_destination_status": [own, "\(own) workflow"]
                        case "webhook_destination_headers": ["••••", "∅"]
                        case "webhook_endpoints": [own]
                        case "n8n_workflows": ["\(own) workflow"]
                        case "webhook_deliveries": Array(repeating: own + own, count: 3)
                        case "webhook_attempts": ids[...2].map { "\($0)/\(destination)" }.sorted()
                        case "webhook_retries": ["\(ids[1])/\(destination)"]
                        case "webhook_dead_letters": ["\(ids[2])/\(destination)"]
                        case "webhook_tallies": ["\(destination)"]
                        default: [ids[3]]
                        }
                    #expect(seen == expected, "\(own): \(relation)")
                    let text = try await tenant.lines(
                        "SELECT \(relation.hasPrefix("webhook_destinations") || expression == "name" ? "name" : "to_jsonb(r)") FROM postrider.\(relation) AS r"
                    )
                    #expect(!text.contains { $0.contains(other) || $0.contains("common") }, "\(own): \(relation)")
                }
                let status = try await tenant.lines("SELECT status FROM postrider.webhook_events ORDER BY id")
                #expect(status == ["completed", "processing", "failed", "processing", "pending"])
            }
        }
    }

    @Test(arguments: ["", "SET postrider.organization_id = ''", "SET postrider.organization_id = 'unknown'", "RESET postrider.organization_id"])
    func nothingIsSeenWithoutAnOrganization(setting: String) async throws {
        try await withMembers { db, members in
            _ = try await Town(db)
            // Rows of no organization are nobody's.
            try await db.run("SELECT postrider.emit('a.b', '{}')")
            let tenant = try await members.connect(.tenant)
            if !setting.isEmpty { try await tenant.run("SET postrider.organization_id = 'acme'; \(setting)") }
            for (relation, _) in Self.relations {
                #expect(try await tenant.lines("SELECT count(*) FROM postrider.\(relation)") == ["0"], "\(relation)")
                #expect(try await db.count("postrider.\(relation)") > 0, "\(relation)")
            }
        }
    }

    /// A condition that the tenant writes must not be asked about rows that are not the tenant's.
    @Test func conditionsOfTheTenantAreAskedOfItsOwnRowsOnly() async throws {
        try await withMembers { db, members in
            _ = try await Town(db)
            let tenant = try await members.connect(.tenant)
            try await tenant.run(
                """
                SET postrider.organization_id = 'acme';
                CREATE FUNCTION pg_temp.leak(value text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$
                BEGIN PERFORM set_config('app.leaked', concat(current_setting('app.leaked', true), ' ', value), false); RETURN true; END $$
                """)
            for (relation, expression) in Self.relations {
                try await tenant.run("SELECT set_config('app.leaked', '', false)")
                let seen = try await tenant.lines(
                    "SELECT count(*) FROM postrider.\(relation) AS r WHERE pg_temp.leak((\(expression))::text)")
                let leaked = try await tenant.lines("SELECT current_setting('app.leaked')")[0]
                #expect(seen != ["0"], "\(relation)")
                #expect(!leaked.contains("beta") && !leaked.contains("common"), "\(relation)")
            }
            // Ids of the other organization's events are not learned either.
            try await tenant.run(
                "SELECT set_config('app.leaked', '', false); SELECT count(*) FROM postrider.webhook_in_flight WHERE pg_temp.leak(event_id::text)")
            #expect(try await tenant.lines("SELECT array_length(string_to_array(trim(current_setting('app.leaked')), ' '), 1)") == ["1"])
        }
    }

    @Test(arguments: [
        "TABLE postrider.webhook_secrets", "SELECT secret FROM postrider.webhook_endpoints", "SELECT postrider.secret_hint(1)",
        "SELECT headers FROM postrider.webhook_destinations", "TABLE postrider.webhook_queue", "TABLE postrider.webhook_claims",
        "TABLE postrider.webhook_workers", "TABLE postrider.webhook_queue_status", "TABLE postrider.webhook_grants",
        "SELECT postrider.emit('a.b', '{}', 'acme')", "INSERT INTO postrider.webhook_events (event_type, data) VALUES ('a.b', '{}')",
        "UPDATE postrider.webhook_endpoints SET is_active = false", "DELETE FROM postrider.webhook_events",
        "SET ROLE postrider_auditor", "SET SESSION AUTHORIZATION postrider_worker", "SET row_security = off; TABLE postrider.webhook_event_log",
        "ALTER TABLE postrider.webhook_event_log DISABLE ROW LEVEL SECURITY",
        "CREATE POLICY mine ON postrider.webhook_event_log USING (true)",
    ]) func tenantDoesNothingElse(statement: String) async throws {
        try await withMembers { db, members in
            try await db.endpoint()
            let tenant = try await members.connect(.tenant)
            try await tenant.run("SET postrider.organization_id = 'acme'")
            #expect(try await tenant.refusal(statement).sqlState == "42501")
        }
    }

    /// Failing closed: a grant alone opens no row.
    @Test func roleThatWasGrantedATableSeesNoRowWithoutAPolicy() async throws {
        try await withMembers { db, members in
            _ = try await Town(db)
            try await db.run(
                """
                GRANT USAGE ON SCHEMA postrider TO \(members.outsider);
                GRANT SELECT ON ALL TABLES IN SCHEMA postrider TO \(members.outsider)
                """)
            let outsider = try await db.connect(as: members.outsider)
            let bound = try await db.lines("SELECT oid::regclass FROM pg_class WHERE relforcerowsecurity")
            #expect(bound.count == 10)
            for relation in bound { #expect(try await outsider.lines("SELECT count(*) FROM \(relation)") == ["0"], "\(relation)") }
        }
    }
}
