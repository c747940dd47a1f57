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

    /// Expressions of the owner would get the rights of whoever made the function.
    @Test func memberOfTheOwnerWhoRebuildsLendsItsRightsToNobody() async throws {
        try await withMembers { db, members in
            let (owner, admin) = (members[.producer], members[.admin])
            try await db.run("CREATE SCHEMA app AUTHORIZATION \(owner); GRANT \(owner) TO \(admin)")
            let producer = try await members.connect(.producer)
            try await producer.run(
                """
                CREATE TABLE app.users (id int PRIMARY KEY, email text);
                SELECT postrider.attach('app.users', 'made', user_id => '(current_user)')
                """)
            let dba = try await members.connect(.admin)
            let owners = "SELECT DISTINCT pg_get_userbyid(proowner) FROM pg_proc WHERE pronamespace = 'postrider_attached'::regnamespace"
            for statement in [
                "SELECT postrider.deny_column('app.users', 'email')", "SELECT postrider.refresh_attachments()",
                "SELECT postrider.attach('app.users', 'made', user_id => '(current_user)')",
                "SELECT postrider.attach('app.users', 'made.too', user_id => '(current_user)')",
            ] {
                try await dba.run(statement)
                #expect(try await db.lines(owners) == [owner], "\(statement)")
            }
            try await db.run("INSERT INTO app.users VALUES (1, 'a@b')")
            #expect(try await db.lines("SELECT DISTINCT user_id FROM postrider.webhook_event_log") == [owner])
        }
    }

    @Test func ownerWhoMayHaveNoFunctionGetsTheGrantInTheError() async throws {
        try await withDatabase { db in
            try await withRoles(db, 2) { roles in
                try await table(db, owner: roles[0], writer: roles[1])
                try await db.run(
                    """
                    GRANT USAGE ON SCHEMA postrider, app TO \(roles[0]);
                    GRANT INSERT ON postrider.webhook_event_log, postrider.webhook_queue TO \(roles[0]);
                    GRANT EXECUTE ON FUNCTION postrider.next_event_id, postrider.checked_event_type, postrider.doorbell_is_needed
                        TO \(roles[0]);
                    GRANT \(roles[0]), postrider_producer TO \(roles[1])
                    """)
                let attach = "SET ROLE \(roles[1]); SELECT postrider.attach('app.t', 'app.row'); RESET ROLE"
                let error = try await db.refusal(attach)
                #expect(error.sqlState == "42501" && error.message.contains("who may not have one in postrider_attached"), "\(error)")
                let hint = try #require(error.hint)
                try await db.run("RESET ROLE; \(hint)")
                try await db.run(attach)
                try await db.run("INSERT INTO app.t VALUES (1, 'x')")
                #expect(try await db.events("record_id") == ["1"])
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
