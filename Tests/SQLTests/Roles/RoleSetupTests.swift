// Making the roles: again, without the right to, in several databases, and undone.

import Foundation
import OutboxStore
import Postgres
import Testing

@Suite struct RoleSetupTests {
    @Test func grantingAgainChangesNothing() async throws {
        try await withDatabase { db in
            let before = try await Shell.dump(db.url)
            let grants = try await db.count("postrider.webhook_grants")
            #expect(try await db.line("SELECT postrider.grant_roles()") == "\(grants)")
            #expect(try await Shell.dump(db.url) == before)
            #expect(try await db.line("SELECT postrider.role_setup()") == "∅")
        }
    }

    @Test func grantsThatAreNotStatedAreTakenAway() async throws {
        try await withMembers { db, members in
            let before = try await Shell.dump(db.url)
            try await db.run(
                """
                GRANT SELECT ON postrider.webhook_secrets TO postrider_producer;
                GRANT EXECUTE ON FUNCTION postrider.rotate_secret TO postrider_tenant, PUBLIC;
                GRANT SELECT (headers) ON postrider.webhook_destinations TO postrider_auditor;
                CREATE FUNCTION postrider.new_one() RETURNS int LANGUAGE sql AS 'SELECT 1';
                GRANT USAGE ON SCHEMA postrider TO PUBLIC
                """)
            #expect(try await Shell.dump(db.url) != before)
            try await db.run("SELECT postrider.grant_roles()")
            #expect(try await db.line("SELECT has_function_privilege('\(members.outsider)', 'postrider.new_one()', 'EXECUTE')") == "f")
            try await db.run("DROP FUNCTION postrider.new_one")
            #expect(try await Shell.dump(db.url) == before)
        }
    }

    /// How a later migration adds a table, and what happens to a column added to one that is shown but for some columns.
    @Test func laterMigrationAddsItsGrants() async throws {
        try await withMembers { db, members in
            try await db.run(
                """
                CREATE TABLE postrider.webhook_later (organization_id text);
                INSERT INTO postrider.webhook_later VALUES ('acme'), ('beta');
                ALTER TABLE postrider.webhook_later ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
                ALTER TABLE postrider.webhook_destinations ADD COLUMN later text;
                SELECT postrider.add_grants('worker', 'table', 'SELECT, INSERT', 'webhook_later');
                SELECT postrider.add_grants('tenant', 'table', 'SELECT', 'webhook_later');
                UPDATE postrider.webhook_grants SET visible = 'organization_id = postrider.current_organization()'
                WHERE object = 'webhook_later' AND role_name = 'postrider_tenant';
                SELECT postrider.grant_roles()
                """)
            let worker = try await members.connect(.worker)
            #expect(try await worker.lines("SELECT count(*) FROM postrider.webhook_later") == ["2"])
            let tenant = try await members.connect(.tenant)
            #expect(try await tenant.lines("SET postrider.organization_id = 'beta'; TABLE postrider.webhook_later") == ["beta"])
            let auditor = try await members.connect(.auditor)
            #expect(try await auditor.lines("SELECT later FROM postrider.webhook_destinations") == [])
            #expect(try await auditor.refusal("SELECT headers FROM postrider.webhook_destinations").sqlState == "42501")
        }
    }

    /// A policy that says the same is not touched: changing one locks its table against everybody.
    @Test func conditionsThatChangedTakeEffectAndOthersLockNothing() async throws {
        try await withMembers { db, members in
            try await db.run(
                """
                INSERT INTO postrider.webhook_endpoints (name, url, events, organization_id)
                VALUES ('first', 'https://example.com', '{*}', 'acme'), ('second', 'https://example.com', '{*}', 'acme');
                UPDATE postrider.webhook_grants SET visible = visible || ' AND name = ''first'''
                WHERE object = 'webhook_destinations' AND role_name = 'postrider_tenant'
                """)
            let tenant = try await members.connect(.tenant)
            let seen = "SET postrider.organization_id = 'acme'; SELECT name FROM postrider.webhook_destinations ORDER BY name"
            #expect(try await tenant.lines(seen) == ["first", "second"])
            // COMMENT leaves another version of the comment's row, ALTER one of the policy's.
            let versions = """
                SELECT p.polrelid, p.polname, p.xmin, d.xmin FROM pg_policy AS p
                JOIN pg_description AS d ON d.objoid = p.oid AND d.classoid = 'pg_policy'::regclass ORDER BY p.oid
                """
            let before = try await db.lines(versions)
            try await db.run("SELECT postrider.grant_roles()")
            #expect(try await tenant.lines(seen) == ["first"])
            let after = try await db.lines(versions)
            #expect(zip(before, after).count { $0 != $1 } == 1)
            #expect(after.count == before.count)
            try await db.run(
                "UPDATE postrider.webhook_grants SET visible = NULL WHERE object = 'webhook_destinations' AND role_name = 'postrider_tenant'")
            try await db.run("SELECT postrider.grant_roles(), postrider.grant_roles()")
            #expect(try await tenant.lines(seen) == ["first", "second"])
        }
    }

    /// Hosted servers often do not let the owner of a database make roles.
    @Test func ownerWhoMayMakeNoRolesMigratesAndIsToldWhatToRun() async throws {
        try await withEmptyDatabase { db in
            let owner = "test_owner_\(UUID().uuidString.prefix(8).lowercased())"
            let missing = "postrider_\(UUID().uuidString.prefix(8).lowercased())"
            let name = try await db.line("SELECT current_database()")
            try await db.run("CREATE ROLE \(owner) LOGIN; ALTER DATABASE \(name) OWNER TO \(owner)")
            let connection = try await db.connect(as: owner)
            let migrator = Migrator(connection: connection)
            try await migrator.up()
            #expect(try await connection.lines("SELECT rolcreaterole OR rolsuper FROM pg_roles WHERE rolname = current_user") == ["f"])
            // The five are there for other databases of this server; a sixth is not.
            try await connection.run("SELECT postrider.add_grants('\(missing.dropFirst(10))', 'table', 'SELECT', 'webhook_routing')")
            _ = connection.takeNotices()
            try await connection.run("SELECT postrider.create_roles(), postrider.grant_roles()")
            #expect(connection.takeNotices().contains { $0.message.contains("\(missing) could not be made") })
            let setup = try await connection.lines("SELECT postrider.role_setup()")[0]
            #expect(setup == "CREATE ROLE \(missing) NOLOGIN; SELECT postrider.grant_roles();")
            // A DBA runs the statements as they are, and the role has its rights.
            try await db.run(setup)
            #expect(try await db.line("SELECT has_table_privilege('\(missing)', 'postrider.webhook_routing', 'SELECT')") == "t")
            #expect(try await connection.lines("SELECT postrider.role_setup()") == ["∅"])
            // The owner, whom row-level security binds, works on without being a member of any.
            #expect(
                try await connection.lines(
                    """
                    INSERT INTO postrider.webhook_endpoints (name, url, events) VALUES ('e', 'https://example.com/', '{*}');
                    SELECT postrider.emit('a.b', '{}');
                    SELECT (SELECT count(*) FROM postrider.webhook_events), (SELECT count(*) FROM postrider.webhook_endpoints),
                           (SELECT count(*) FROM postrider.webhook_secrets)
                    """) == ["1|1|1"])
            try await migrator.down(to: 0)
            await connection.close()
            try await db.run("ALTER DATABASE \(name) OWNER TO CURRENT_USER; DROP OWNED BY \(missing); DROP ROLE \(missing)")
            try await db.run("DROP OWNED BY \(owner); DROP ROLE \(owner)")
        }
    }

    @Test func newOwnerHasItsRowsAfterGrantingAgain() async throws {
        try await withMembers { db, members in
            try await db.endpoint()
            let owner = members.outsider
            try await db.run("SELECT postrider.emit('a.b', '{}')")
            try await db.run("GRANT CREATE ON DATABASE \(try await db.line("SELECT current_database()")) TO \(owner)")
            let objects = try await db.lines(
                """
                SELECT format('ALTER %s %s OWNER TO %I', CASE relkind WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END, oid::regclass, '\(owner)')
                FROM pg_class WHERE relnamespace = 'postrider'::regnamespace AND relkind IN ('r', 'p', 'v')
                UNION ALL
                SELECT format('ALTER FUNCTION %s OWNER TO %I', oid::regprocedure, '\(owner)') FROM pg_proc
                WHERE pronamespace = 'postrider'::regnamespace
                """)
            try await db.run("ALTER SCHEMA postrider OWNER TO \(owner); ALTER SCHEMA postrider_attached OWNER TO \(owner)")
            for statement in objects { try await db.run(statement) }
            let connection = try await db.connect(as: owner)
            #expect(try await connection.lines("SELECT count(*) FROM postrider.webhook_event_log") == ["0"])
            try await connection.run("SELECT postrider.grant_roles()")
            #expect(try await connection.lines("SELECT count(*) FROM postrider.webhook_event_log") == ["1"])
            let producer = try await members.connect(.producer)
            try await producer.run("SELECT postrider.emit('a.b', '{}')")
            let worker = try await members.connect(.worker)
            #expect(try await worker.lines("SELECT count(*) FROM postrider.webhook_event_log") == ["2"])
        }
    }

    @Test func undoingKeepsRolesThatAreUsedElsewhere() async throws {
        // The template of all test databases uses them.
        try await withMembers { db, members in
            try await Migrator(connection: db.connection).down(to: 3)
            let roles = try await db.lines("SELECT rolname FROM pg_roles WHERE rolname ~ '^postrider_' ORDER BY 1")
            for role in Role.allCases { #expect(roles.contains(role.name)) }
            #expect(try await db.count("pg_policy") == 0)
            #expect(try await db.count("pg_class WHERE relforcerowsecurity") == 0)
            let producer = try await members.connect(.producer)
            #expect(try await producer.refusal("SELECT postrider.emit('a.b', '{}')").sqlState == "42501")
        }
    }

    /// The template of all test databases uses the five, so two roles of this database alone show what becomes of them elsewhere.
    @Test func undoingLeavesNoGrantBehindAndDropsTheRolesThatNothingElseNeeds() async throws {
        try await withMembers { db, members in
            let before = try await Shell.dump(db.url)
            let mark = UUID().uuidString.prefix(8).lowercased()
            let (unused, joined) = ("postrider_unused_\(mark)", "postrider_joined_\(mark)")
            for name in [unused, joined] {
                let short = name.dropFirst(10)
                try await db.run(
                    """
                    SELECT postrider.add_grants('\(short)', 'schema', 'USAGE', 'postrider'),
                           postrider.add_grants('\(short)', 'table', 'SELECT', 'webhook_event_log', 'webhook_destinations'),
                           postrider.add_grants('\(short)', 'function', 'EXECUTE', 'emit');
                    UPDATE postrider.webhook_grants SET hidden = '{headers}'
                    WHERE role_name = '\(name)' AND object = 'webhook_destinations'
                    """)
            }
            try await db.run("SELECT postrider.create_roles(), postrider.grant_roles()")
            try await db.run("GRANT \(joined) TO \(members.outsider)")
            // Grants, policies and objects, as the server counts them before it drops a role.
            let traces = """
                pg_shdepend AS d JOIN pg_roles AS r ON d.refclassid = 'pg_authid'::regclass AND r.oid = d.refobjid
                WHERE d.dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) AND r.rolname ~ '^postrider_'
                """
            #expect(try await db.line("SELECT count(DISTINCT r.rolname) FROM \(traces)") == "7")
            let producer = try await members.connect(.producer)
            try await producer.run("SELECT postrider.emit('a.before', '{}')")

            let migrator = Migrator(connection: db.connection)
            _ = db.connection.takeNotices()
            try await migrator.down(to: 6)
            let notices = db.connection.takeNotices().map(\.message)
            #expect(try await db.count(traces) == 0)
            let roles = try await db.lines("SELECT rolname FROM pg_roles WHERE rolname ~ '^postrider_'")
            #expect(!roles.contains(unused))
            for name in Role.allCases.map(\.name) + [joined] {
                #expect(roles.contains(name))
                #expect(notices.contains { $0.hasPrefix("role \(name) stays: ") }, "\(name)")
            }
            // Who was made a member still is one, of roles without any right here.
            #expect(try await db.line("SELECT pg_has_role('\(members.outsider)', '\(joined)', 'MEMBER')") == "t")
            #expect(try await producer.refusal("SELECT postrider.emit('a.b', '{}')").sqlState == "42501")

            try await migrator.up()
            #expect(try await Shell.dump(db.url) == before)
            #expect(try await db.line("SELECT has_schema_privilege('\(joined)', 'postrider', 'USAGE')") == "f")
            try await producer.run("SELECT postrider.emit('a.after', '{}')")
            let auditor = try await members.connect(.auditor)
            #expect(
                try await auditor.lines("SELECT event_type FROM postrider.webhook_event_log ORDER BY id") == ["a.before", "a.after"])
            #expect(try await auditor.refusal("SELECT secret FROM postrider.webhook_secrets").sqlState == "42501")
            try await db.run("DROP ROLE \(joined)")
        }
    }

    @Test func fourDatabasesOfOneServerMigrateAtOnce() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<4 {
                group.addTask {
                    try await withEmptyDatabase { db in
                        let migrator = Migrator(connection: db.connection)
                        for _ in 0..<3 {
                            try await migrator.up()
                            #expect(try await db.line("SELECT postrider.role_setup()") == "∅")
                            try await migrator.down(to: 3)
                        }
                        try await migrator.up()
                    }
                }
            }
            try await group.waitForAll()
        }
    }

    /// Before there were roles, USAGE on the schema was all that an application had.
    @Test func applicationsWithTheSchemaAloneGoOnEmitting() async throws {
        try await withMembers { db, members in
            let migrator = Migrator(connection: db.connection)
            try await migrator.down(to: 3)
            try await db.run("GRANT USAGE ON SCHEMA postrider TO \(members.outsider)")
            let application = try await db.connect(as: members.outsider)
            try await application.run("SELECT postrider.emit('a.before', '{}')")
            try await migrator.up()
            try await application.run("SELECT postrider.emit('a.after', '{}')")
            #expect(try await db.events("event_type") == ["a.before", "a.after"])
        }
    }
}
