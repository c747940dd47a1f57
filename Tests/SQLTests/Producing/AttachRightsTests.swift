// Whose rights an attachment has: the table's owner's, never the writer's and never Postrider's.

import Postgres
import Testing

@Suite struct AttachRightsTests {
    private func table(_ db: TestDatabase, owner: String, writer: String) async throws {
        try await db.run(
            """
            CREATE SCHEMA app;
            GRANT USAGE ON SCHEMA app TO \(writer);
            CREATE TABLE app.t (id int PRIMARY KEY, s text);
            ALTER TABLE app.t OWNER TO \(owner);
            GRANT INSERT ON app.t TO \(writer)
            """)
    }

    @Test func ownerWithoutRightsGetsTheGrantInTheError() async throws {
        try await withDatabase { db in
            try await withRoles(db, 2) { roles in
                try await table(db, owner: roles[0], writer: roles[1])
                let error = try await db.refusal("SELECT postrider.attach('app.t', 'app.row')")
                #expect(error.sqlState == "42501")
                let hint = try #require(error.hint)
                try await db.run(hint)
                try await db.run("SELECT postrider.attach('app.t', 'app.row')")
                #expect(
                    try await db.line(
                        "SELECT p.proowner = c.relowner FROM pg_proc AS p, pg_class AS c WHERE c.oid = 'app.t'::regclass AND p.pronamespace = 'postrider_attached'::regnamespace"
                    )
                        == "t")
            }
        }
    }

    @Test func writerNeedsNoRightsButThoseOnTheTable() async throws {
        try await withDatabase { db in
            try await withRoles(db, 2) { roles in
                try await table(db, owner: roles[0], writer: roles[1])
                try await db.run("GRANT postrider_producer TO \(roles[0]); SELECT postrider.attach('app.t', 'app.row')")
                try await db.run("SET ROLE \(roles[1]); INSERT INTO app.t VALUES (1, 'x'); RESET ROLE")
                #expect(try await db.events("event_type, record_id") == ["app.row|1"])
                #expect(try await db.refusal("SET ROLE \(roles[1]); SELECT postrider.attach('app.t', 'x.y')").sqlState == "42501")
                try await db.run("RESET ROLE")
            }
        }
    }

    @Test func expressionCannotReadWhatTheOwnerMayNot() async throws {
        try await withDatabase { db in
            try await withRoles(db, 2) { roles in
                try await table(db, owner: roles[0], writer: roles[1])
                try await db.run(
                    """
                    GRANT postrider_producer TO \(roles[0]);
                    SELECT postrider.attach('app.t', 'app.steal', record_id => '(SELECT min(secret) FROM postrider.webhook_secrets)')
                    """)
                let error = try await db.refusal("SET ROLE \(roles[1]); INSERT INTO app.t VALUES (1, 'x')")
                #expect(error.sqlState == "42501" && error.message.contains("webhook_secrets"))
                try await db.run("RESET ROLE")
                #expect(try await db.count("app.t") == 0)
            }
        }
    }

    @Test func onlyTheOwnerAttaches() async throws {
        try await withDatabase { db in
            try await withRoles(db, 2) { roles in
                try await table(db, owner: roles[0], writer: roles[1])
                try await db.run("GRANT postrider_producer TO \(roles[1])")
                let error = try await db.refusal("SET ROLE \(roles[1]); SELECT postrider.attach('app.t', 'app.row')")
                #expect(error.message == "only the owner of app.t can attach it")
                #expect(error.hint?.hasPrefix("Run it as ") == true)
                try await db.run("RESET ROLE")
            }
        }
    }

    @Test func ownerWithTheRightsOfAnAttacherNeedsNoSuperuser() async throws {
        try await withDatabase { db in
            try await withRoles(db, 2) { roles in
                try await table(db, owner: roles[0], writer: roles[1])
                try await db.run(
                    """
                    GRANT postrider_producer TO \(roles[0]);
                    GRANT USAGE ON SCHEMA app TO \(roles[0])
                    """)
                try await db.run("SET ROLE \(roles[0]); SELECT postrider.attach('app.t', 'app.row', '{insert,delete}')")
                try await db.run("SET ROLE \(roles[1]); INSERT INTO app.t VALUES (1, 'x')")
                try await db.run("SET ROLE \(roles[0]); SELECT postrider.detach('app.t'); INSERT INTO app.t VALUES (2, 'x'); RESET ROLE")
                #expect(try await db.events("record_id") == ["1"])
            }
        }
    }
}
