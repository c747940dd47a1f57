// Denied columns: no attachment sends them, whether it was made before or after, and producers pay nothing for it.

import Postgres
import TestSupport
import Testing

@Suite struct DeniedColumnTests {
    private let users = """
        CREATE TABLE users (id int PRIMARY KEY, email text, password_hash text, profile jsonb);
        """

    @Test func attachmentsOfBeforeAndAfterLeaveThemOut() async throws {
        try await withRollback { db in
            try await db.run(
                """
                \(users)
                SELECT postrider.attach('users', 'all', '{insert,update,delete}', include_old => true);
                SELECT postrider.attach('users', 'named', columns => '{id,password_hash}');
                SELECT postrider.attach('users', 'except', except_columns => '{email}');
                """)
            #expect(try await db.line("SELECT postrider.deny_column('users', 'password_hash')") == "3")
            try await db.run(
                """
                SELECT postrider.attach('users', 'later');
                INSERT INTO users VALUES (1, 'a@b', 'hash', '{}'); UPDATE users SET email = 'c@d'; DELETE FROM users
                """)
            let events = try await db.events("event_type, data")
            #expect(
                Set(events.prefix(4)) == [
                    #"all|{"new": {"id": 1, "email": "a@b", "profile": {}}, "old": null}"#, #"named|{"id": 1}"#,
                    #"except|{"id": 1, "profile": {}}"#, #"later|{"id": 1, "email": "a@b", "profile": {}}"#,
                ])
            #expect(events.count == 6 && !events.joined().contains("hash"))
        }
    }

    @Test func tableThatIsNotConcernedKeepsItsTrigger() async throws {
        try await withRollback { db in
            try await db.run("\(users) CREATE TABLE other (id int PRIMARY KEY); SELECT postrider.attach('other', 'o')")
            let body = "SELECT prosrc FROM pg_proc WHERE pronamespace = 'postrider_attached'::regnamespace"
            let before = try await db.line(body)
            #expect(try await db.line("SELECT postrider.deny_column('users', 'email')") == "0")
            #expect(try await db.line(body) == before)
            // What names no denied path calls nothing for it.
            try await db.run("SELECT postrider.attach('users', 'u')")
            #expect(try await db.lines(body).allSatisfy { !$0.contains("without_path") })
        }
    }

    @Test func columnThatComesLaterUnderADeniedNameIsNotSent() async throws {
        try await withRollback { db in
            try await db.run("\(users) SELECT postrider.attach('users', 'u')")
            #expect(try await db.line("SELECT postrider.deny_column(NULL, 'ssn')") == "1")
            try await db.run("ALTER TABLE users ADD COLUMN ssn text DEFAULT '123', ADD COLUMN city text DEFAULT 'Bonn'")
            #expect(try await db.lines("SELECT problem FROM postrider.webhook_attachment_check") == ["column city is new and not sent"])
            try await db.run("SELECT postrider.refresh_attachments(); INSERT INTO users (id) VALUES (1)")
            #expect(try await db.events("data ? 'ssn', data ? 'city'") == ["f|t"])
            #expect(try await db.count("postrider.webhook_attachment_check") == 0)
        }
    }

    /// The old name tells nothing any more, and the cure of what failed by it must not send the column.
    @Test func columnThatIsRenamedStaysDenied() async throws {
        try await withRollback { db in
            try await db.run(
                """
                \(users)
                SELECT postrider.deny_column('users', 'password_hash'); SELECT postrider.deny_column('users', 'profile', 'ssn');
                SELECT postrider.attach('users', 'u');
                ALTER TABLE users RENAME COLUMN password_hash TO pw;
                ALTER TABLE users RENAME COLUMN profile TO about;
                SELECT postrider.refresh_attachments();
                INSERT INTO users VALUES (1, 'a@b', 'hash', '{"ssn": 2, "x": 3}')
                """)
            #expect(try await db.events("data") == [#"{"id": 1, "about": {"x": 3}, "email": "a@b"}"#])
            #expect(try await db.count("postrider.webhook_attachment_check") == 0)
            #expect(
                try await db.refusal("SELECT postrider.attach('users', 'v', columns => '{pw}')").message
                    == "column pw of public.users may not be sent: it is denied")
            #expect(try await db.line("SELECT postrider.allow_column('users', 'password_hash')") == "1")
            try await db.run(#"INSERT INTO users VALUES (2, 'a@b', 'hash', '{"ssn": 2}')"#)
            #expect(try await db.events("data").last == #"{"id": 2, "pw": "hash", "about": {}, "email": "a@b"}"#)
        }
    }

    /// With a denied member and no denied column nothing else would name the columns: under its new name all of it would be sent.
    @Test func columnOfADeniedMemberThatIsRenamedIsNotSent() async throws {
        try await withRollback { db in
            try await db.run(
                """
                \(users)
                SELECT postrider.attach('users', 'before'); SELECT postrider.deny_column('users', 'profile', 'ssn');
                SELECT postrider.attach('users', 'after');
                ALTER TABLE users RENAME COLUMN profile TO about
                """)
            let insert = #"INSERT INTO users VALUES (1, 'a@b', 'hash', '{"ssn": 2, "x": 3}')"#
            _ = try await db.refusal(insert)
            #expect(try await db.count("postrider.webhook_event_log") == 0)
            #expect(
                try await db.lines("SELECT DISTINCT problem FROM postrider.webhook_attachment_check WHERE problem LIKE 'column%'")
                    == ["column about is new and not sent"])
            try await db.run("SELECT postrider.refresh_attachments(); \(insert)")
            let sent = #"{"id": 1, "about": {"x": 3}, "email": "a@b", "password_hash": "hash"}"#
            #expect(try await db.events("data") == [sent, sent])
            #expect(try await db.count("postrider.webhook_attachment_check") == 0)
        }
    }

    /// A trigger names columns, so this one it sends; but not without a word.
    @Test func deniedColumnUnderTheNameOfASentOneIsReported() async throws {
        try await withRollback { db in
            try await db.run(
                """
                \(users)
                SELECT postrider.deny_column('users', 'password_hash'); SELECT postrider.attach('users', 'u');
                ALTER TABLE users RENAME COLUMN email TO mail; ALTER TABLE users RENAME COLUMN password_hash TO email
                """)
            let problems = try await db.lines("SELECT problem FROM postrider.webhook_attachment_check")
            #expect(problems.contains("column email is denied and still sent"), "\(problems)")
            try await db.run("SELECT postrider.refresh_attachments(); INSERT INTO users VALUES (1, 'a@b', 'hash', '{}')")
            #expect(try await db.events("data") == [#"{"id": 1, "mail": "a@b", "profile": {}}"#])
            #expect(try await db.count("postrider.webhook_attachment_check") == 0)
        }
    }

    @Test func membersOfJSONColumnsAreLeftOutWhereverTheyAre() async throws {
        try await withRollback { db in
            try await db.run("\(users) SELECT postrider.attach('users', 'u', columns => '{profile}')")
            try await db.run("SELECT postrider.deny_column('users', 'profile', 'ssn'); SELECT postrider.deny_column(NULL, 'profile', 'a', 'b')")
            for (given, sent) in [
                (#"'{"ssn": 1, "x": 2}'"#, #"{"x": 2}"#), (#"'{"a": {"b": 1, "c": 2}}'"#, #"{"a": {"c": 2}}"#),
                (#"'[{"ssn": 1}, {"a": [{"b": 1}, 3]}, "ssn"]'"#, #"[{}, {"a": [{}, 3]}, "ssn"]"#), (#"'"ssn"'"#, #""ssn""#),
                (#"'{"a": 5}'"#, #"{"a": 5}"#), ("NULL", "null"),
            ] {
                try await db.run("INSERT INTO users VALUES (1, NULL, NULL, \(given)); DELETE FROM users")
                #expect(try await db.takeEvents("data -> 'profile'") == [sent])
            }
        }
    }

    @Test func attachThatNamesOneIsRefused() async throws {
        try await withRollback { db in
            try await db.run("\(users) SELECT postrider.deny_column('users', 'email'); SELECT postrider.deny_column(NULL, 'id')")
            for setting in ["columns => '{email}'", "user_id => 'email'", "record_id => 'email'", "ordering_key => 'email', record_id => 'profile'"] {
                let refusal = try await db.refusal("SELECT postrider.attach('users', 'u', \(setting))")
                #expect(refusal.message == "column email of public.users may not be sent: it is denied")
            }
            let key = try await db.refusal("SELECT postrider.attach('users', 'u')")
            #expect(key.message == "column id of public.users may not be sent as record_id: it is denied")
            try await db.run("SELECT postrider.attach('users', 'u', record_id => 'md5(NEW.id::text)'); INSERT INTO users (id) VALUES (1)")
            #expect(try await db.events("data, record_id = md5('1')") == [#"{"profile": null, "password_hash": null}|t"#])
        }
    }

    @Test func denialThatCannotBeKeptIsRefused() async throws {
        try await withRollback { db in
            try await db.run("\(users) SELECT postrider.attach('users', 'u', user_id => 'email')")
            #expect(
                try await db.refusal("SELECT postrider.deny_column('users', 'email')").message
                    == "column email of public.users may not be sent: it is denied")
            #expect(try await db.refusal("SELECT postrider.deny_column('users', 'emial')").sqlState == "42703")
            #expect(try await db.refusal("SELECT postrider.deny_column(NULL, '')").sqlState == "22023")
            #expect(try await db.refusal("SELECT postrider.allow_column(NULL, 'email')").sqlState == "42704")
            #expect(try await db.count("postrider.webhook_denied_columns") == 0)
        }
    }

    @Test func tablesOfOthersAreRebuiltByTheirOwnersOnly() async throws {
        try await withMembers { db, members in
            try await db.run("CREATE SCHEMA app AUTHORIZATION \(members[.producer])")
            let producer = try await members.connect(.producer)
            try await producer.run("CREATE TABLE app.users (id int PRIMARY KEY, email text); SELECT postrider.attach('app.users', 'u')")
            let admin = try await members.connect(.admin)
            let refusal = try await admin.refusal("SELECT postrider.deny_column(NULL, 'email')")
            #expect(
                refusal.message == "app.users is attached, and only its owner can rebuild it" || refusal.message.hasPrefix("app.users is attached"))
            #expect(refusal.hint == "Run it as \(members[.producer]).")
            try await db.run("GRANT \(members[.producer]) TO \(members[.admin])")
            #expect(try await admin.lines("SELECT postrider.deny_column(NULL, 'email')") == ["1"])
            try await producer.run("INSERT INTO app.users VALUES (1, 'a@b')")
            #expect(try await db.events("data") == [#"{"id": 1}"#])
            #expect(try await producer.refusal("SELECT postrider.deny_column(NULL, 'id')").sqlState == "42501")
        }
    }

    /// The lock that lets denials and attachments take turns comes before any table, or each would wait for the other.
    @Test(arguments: ["SELECT postrider.attach('t', 'later')", "SELECT postrider.refresh_attachments('t')"])
    func denialAndAttachmentDoNotWaitForEachOther(_ statement: String) async throws {
        try await withDatabase { db in
            try await db.run(
                """
                CREATE TABLE other (id int, a text); CREATE TABLE t (id int PRIMARY KEY, a text);
                SELECT postrider.attach('t', 'first')
                """)
            let denier = try await db.connect()
            try await denier.run("BEGIN; SELECT postrider.deny_column('other', 'a')")
            let attacher = try await db.connect()
            let attached = Task { try await attacher.lines(statement) }
            try await eventually("the attachment to wait for the denial") {
                try await db.count(
                    """
                    pg_locks WHERE NOT granted AND locktype = 'advisory'
                        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
                    """) > 0
            }
            try await denier.run("SELECT postrider.deny_column('t', 'a'); COMMIT")
            _ = try await attached.value
            try await db.run("INSERT INTO t VALUES (1, 'x')")
            #expect(Set(try await db.events("data")) == [#"{"id": 1}"#])
        }
    }

    @Test func partitionsFollowTheirTable() async throws {
        try await withRollback { db in
            try await db.run(
                """
                CREATE TABLE p (id int PRIMARY KEY, ssn text) PARTITION BY RANGE (id);
                CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10);
                SELECT postrider.attach('p1', 'part')
                """)
            #expect(try await db.line("SELECT postrider.deny_column('p', 'ssn')") == "1")
            try await db.run("INSERT INTO p1 VALUES (1, '123')")
            #expect(try await db.events("data") == [#"{"id": 1}"#])
        }
    }

    private static let family = [
        "CREATE TABLE p (id int PRIMARY KEY, ssn text) PARTITION BY RANGE (id); CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10)",
        "CREATE TABLE p (id int PRIMARY KEY, ssn text); CREATE TABLE p1 () INHERITS (p)",
    ]

    /// The attachment of the table above sends the rows of all, so a list of what is below alone would say more than is true.
    @Test(arguments: family)
    func whatATableAboveSendsIsDeniedForThatTable(_ tables: String) async throws {
        try await withRollback { db in
            try await db.run("\(tables); SELECT postrider.attach('p', 'above')")
            let refusal = try await db.refusal("SELECT postrider.deny_column('p1', 'ssn')")
            #expect(refusal.message == "the rows of public.p1 are sent by an attachment of public.p")
            #expect(refusal.hint == "Deny the column for public.p.")
            #expect(try await db.line("SELECT postrider.deny_column('p', 'ssn')") == "1")
            try await db.run("INSERT INTO p1 VALUES (1, '123')")
            #expect(try await db.events("data") == [#"{"id": 1}"#])
        }
    }

    /// An order that stands may be given again, for every table, for the table above, or for what is below.
    @Test(arguments: family)
    func whatIsDeniedForATableAboveMayBeDeniedBelow(_ tables: String) async throws {
        try await withRollback { db in
            try await db.run("\(tables); ALTER TABLE p ADD about jsonb; SELECT postrider.attach('p', 'above')")
            #expect(try await db.line("SELECT postrider.deny_column(NULL, 'ssn')") == "1")
            #expect(try await db.line("SELECT postrider.deny_column('p', 'about', 'x', 'y')") == "1")
            for denied in ["'ssn'", "'ssn'", "'about', 'x', 'y'"] {
                #expect(try await db.line("SELECT postrider.deny_column('p1', \(denied))") == "0", "\(denied)")
            }
            for denied in ["'id'", "'about'", "'about', 'x'"] {
                #expect(try await db.refusal("SELECT postrider.deny_column('p1', \(denied))").sqlState == "55000", "\(denied)")
            }
            #expect(try await db.line("SELECT postrider.refresh_attachments('p')") == "1")
        }
    }

    @Test(arguments: family)
    func tableAboveOfWhatIsDeniedIsNotAttached(_ tables: String) async throws {
        try await withRollback { db in
            try await db.run("\(tables); SELECT postrider.deny_column('p1', 'ssn')")
            let refusal = try await db.refusal("SELECT postrider.attach('p', 'above')")
            #expect(refusal.message == "column ssn of public.p1 may not be sent by an attachment of public.p: it is denied there")
            #expect(refusal.hint == "Deny it for public.p, or allow it for public.p1.")
            try await db.run("SELECT postrider.deny_column('p', 'ssn'); SELECT postrider.attach('p', 'above'); INSERT INTO p1 VALUES (1, '123')")
            #expect(try await db.events("data") == [#"{"id": 1}"#])
            #expect(try await db.refusal("SELECT postrider.allow_column('p', 'ssn')").hint == "Deny it for public.p, or allow it for public.p1.")
        }
    }

    /// Postgres asks nobody before it makes such a table a partition.
    @Test func partitionWithADenialOfItsOwnIsReported() async throws {
        try await withRollback { db in
            try await db.run(
                """
                CREATE TABLE p (id int PRIMARY KEY, ssn text, about jsonb, spare int) PARTITION BY RANGE (id);
                CREATE TABLE p1 (id int PRIMARY KEY, ssn text, about jsonb, spare int);
                SELECT postrider.deny_column('p1', 'ssn'); SELECT postrider.deny_column('p1', 'about', 'x', 'y''z');
                SELECT postrider.deny_column('p1', 'spare');
                SELECT postrider.attach('p', 'above', except_columns => '{spare}');
                ALTER TABLE p ATTACH PARTITION p1 FOR VALUES FROM (0) TO (10)
                """)
            let denied = "SELECT relation, problem, cure FROM postrider.webhook_attachment_check WHERE problem LIKE '%denied%' ORDER BY 2"
            let told = [("about", "'about', 'x', 'y''z'"), ("ssn", "'ssn'")].map { name, words in
                "p1|column \(name) is denied for p1 and still sent|SELECT postrider.deny_column('public.p', \(words));"
            }
            #expect(try await db.lines(denied) == told)
            #expect(try await db.refusal("SELECT postrider.refresh_attachments()").message.contains("it is denied there"))
        }
    }

    @Test func whatIsDeniedAboveForThePartitionToBeIsReportedNoMore() async throws {
        try await withRollback { db in
            try await db.run(
                """
                CREATE TABLE p (id int PRIMARY KEY, ssn text) PARTITION BY RANGE (id); CREATE TABLE p1 (id int PRIMARY KEY, ssn text);
                SELECT postrider.deny_column('p1', 'ssn'); SELECT postrider.attach('p', 'above');
                ALTER TABLE p ATTACH PARTITION p1 FOR VALUES FROM (0) TO (10);
                SELECT postrider.deny_column('public.p', 'ssn'); INSERT INTO p VALUES (1, '123')
                """)
            #expect(try await db.events("data") == [#"{"id": 1}"#])
            #expect(try await db.count("postrider.webhook_attachment_check") == 0)
        }
    }

    /// What one denial calls by the name of before, and the other by that of today, is one column.
    @Test(arguments: family)
    func denialsOfARenamedColumnAreComparedByItsPlace(_ tables: String) async throws {
        try await withRollback { db in
            try await db.run(
                """
                \(tables); SELECT postrider.deny_column('p1', 'ssn'); ALTER TABLE p RENAME COLUMN ssn TO tax;
                ALTER TABLE p ADD ssn text; SELECT postrider.deny_column('p', 'ssn')
                """)
            // The new column of that name is another one.
            #expect(
                try await db.refusal("SELECT postrider.attach('p', 'above')").message
                    == "column tax of public.p1 may not be sent by an attachment of public.p: it is denied there")
            try await db.run(
                """
                SELECT postrider.deny_column('p', 'tax'); SELECT postrider.attach('p', 'above');
                INSERT INTO p1 VALUES (1, '123', '456')
                """)
            #expect(try await db.events("data") == [#"{"id": 1}"#])
            #expect(try await db.line("SELECT postrider.deny_column('p1', 'tax')") == "0")
        }
    }

    /// What counts as rebuilt is denied.
    @Test func inheritingTablesFollowTheirTable() async throws {
        try await withRollback { db in
            try await db.run(
                """
                CREATE TABLE par (id int, ssn text, about jsonb); CREATE TABLE chi (b int) INHERITS (par);
                SELECT postrider.attach('chi', 'child')
                """)
            #expect(try await db.line("SELECT postrider.deny_column('par', 'ssn')") == "1")
            #expect(try await db.line("SELECT postrider.deny_column('par', 'about', 'x')") == "1")
            try await db.run(#"INSERT INTO chi VALUES (1, '123', '{"x": 1, "y": 2}', 3)"#)
            #expect(try await db.events("data") == [#"{"b": 3, "id": 1, "about": {"y": 2}}"#])
            try await db.run("SELECT postrider.attach('par', 'parent')")
            let refusal = try await db.refusal("SELECT postrider.deny_column('chi', 'b')")
            #expect(refusal.hint == "public.par has no such column: give NULL for the table to deny the name for every table.")
        }
    }

    @Test func allowedAgainTheTriggerIsAsItWas() async throws {
        try await withRollback { db in
            try await db.run("\(users) SELECT postrider.attach('users', 'u')")
            let body = "SELECT prosrc FROM pg_proc WHERE pronamespace = 'postrider_attached'::regnamespace"
            let before = try await db.line(body)
            try await db.run("SELECT postrider.deny_column('users', 'email')")
            #expect(try await db.line(body) != before)
            #expect(try await db.line("SELECT postrider.allow_column('users', 'email')") == "1")
            #expect(try await db.line(body) == before)
        }
    }

    @Test func rowWrittenByHandIsReportedUntilItIsKept() async throws {
        try await withRollback { db in
            try await db.run(
                "\(users) SELECT postrider.attach('users', 'u'); INSERT INTO postrider.webhook_denied_columns (column_name) VALUES ('email')")
            #expect(try await db.lines("SELECT problem FROM postrider.webhook_attachment_check") == ["column email is denied and still sent"])
            try await db.run("SELECT postrider.refresh_attachments()")
            #expect(try await db.count("postrider.webhook_attachment_check") == 0)
        }
    }
}
