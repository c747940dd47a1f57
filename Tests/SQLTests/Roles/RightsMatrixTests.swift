// Every relation and function of the schema against every role: allowed or denied is stated in docs/sql.md, and nowhere
// may the database allow more or less. What is new in the schema and not stated there fails.

import Foundation
import Postgres
import Testing

@Suite struct RightsMatrixTests {
    /// What the document states: rows by the names in their first cell.
    private static func stated(_ heading: String) throws -> [String: [String]] {
        let file = Shell.root.appendingPathComponent("docs/sql.md")
        let lines = try String(contentsOf: file, encoding: .utf8).split(separator: "\n", omittingEmptySubsequences: false)
        let start = try #require(lines.firstIndex { $0.hasPrefix("| \(heading) | producer | worker | auditor | admin | tenant |") })
        var rows: [String: [String]] = [:]
        for line in lines[(start + 2)...].prefix(while: { $0.hasPrefix("|") }) {
            let cells = line.replacingOccurrences(of: "`", with: "").split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
            for name in cells[0].components(separatedBy: ", ") { rows[name] = Array(cells.dropFirst()) }
        }
        return rows
    }

    /// What each role has on each relation, in the words of the document: one row for each relation, a cell for each role.
    private static let relations = """
        WITH relation AS (
            SELECT c.oid, c.relname FROM pg_class AS c
            WHERE c.relnamespace = 'postrider'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
              AND NOT c.relispartition AND NOT EXISTS (
                  SELECT FROM pg_depend AS d WHERE d.objid = c.oid AND d.deptype = 'i' AND c.relkind = 'S')
        ), item AS (
            SELECT r.relname, u.place, w.place AS word_place, w.word,
                   has_table_privilege('postrider_' || u.role, r.oid, w.privilege) AS whole, c.shown, c.hidden
            FROM relation AS r
            CROSS JOIN unnest('{producer,worker,auditor,admin,tenant}'::text[]) WITH ORDINALITY AS u (role, place)
            CROSS JOIN (VALUES (1, 'SELECT', 'read'), (2, 'INSERT', 'insert'), (3, 'UPDATE', 'update'),
                               (4, 'DELETE', 'delete'), (5, 'TRUNCATE', 'truncate'), (6, 'REFERENCES', 'references'),
                               (7, 'TRIGGER', 'trigger')) AS w (place, privilege, word)
            CROSS JOIN LATERAL (
                SELECT coalesce(array_agg(a.attname::text ORDER BY a.attnum) FILTER (WHERE h.has), '{}') AS shown,
                       coalesce(array_agg(a.attname::text ORDER BY a.attnum) FILTER (WHERE NOT h.has), '{}') AS hidden
                FROM pg_attribute AS a CROSS JOIN LATERAL (
                    SELECT CASE WHEN w.privilege IN ('SELECT', 'INSERT', 'UPDATE', 'REFERENCES')
                                THEN has_column_privilege('postrider_' || u.role, r.oid, a.attnum, w.privilege) ELSE false END AS has
                ) AS h
                WHERE a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
            ) AS c
        )
        SELECT relname, string_agg(rights, '|' ORDER BY place) FROM (
            SELECT relname, place, coalesce(string_agg(CASE
                       WHEN whole THEN word
                       WHEN cardinality(hidden) = 1 THEN word || ' but ' || hidden[1]
                       ELSE format('%s (%s)', word, array_to_string(shown, ', ')) END, ', ' ORDER BY word_place)
                       FILTER (WHERE whole OR cardinality(shown) > 0), '–') AS rights
            FROM item GROUP BY relname, place) AS cell
        GROUP BY relname ORDER BY relname
        """

    private static let functions = """
        SELECT p.proname, string_agg(CASE WHEN has_function_privilege('postrider_' || role, p.oid, 'EXECUTE') THEN 'yes' ELSE '–' END,
                                     '|' ORDER BY place)
        FROM pg_proc AS p, unnest('{producer,worker,auditor,admin,tenant}'::text[]) WITH ORDINALITY AS u (role, place)
        WHERE p.pronamespace = 'postrider'::regnamespace GROUP BY p.oid, p.proname ORDER BY p.proname
        """

    private func found(_ sql: String, _ db: TestDatabase) async throws -> [String: [String]] {
        var rows: [String: [String]] = [:]
        for line in try await db.lines(sql) {
            let cells = line.split(separator: "|").map(String.init)
            rows[cells[0]] = Array(cells.dropFirst())
        }
        return rows
    }

    @Test(arguments: [("relation", relations, 20), ("functions", functions, 60)])
    func rightsAreThoseOfTheDocument(heading: String, sql: String, atLeast: Int) async throws {
        let stated = try Self.stated(heading)
        #expect(stated.count > atLeast)
        try await withRollback { db in
            let found = try await found(sql, db)
            for name in Set(stated.keys).union(found.keys).sorted() {
                #expect(found[name] == stated[name], "\(name), found and stated")
            }
        }
    }

    @Test func relationThatIsNotStatedWouldBeNoticed() async throws {
        try await withRollback { db in
            try await db.run(
                """
                CREATE TABLE postrider.webhook_surprise (id int);
                GRANT SELECT ON postrider.webhook_surprise TO postrider_producer
                """)
            let found = try await found(Self.relations, db)
            #expect(found["webhook_surprise"]?.first == "read")
            #expect(try Self.stated("relation")["webhook_surprise"] == nil)
        }
    }

    /// Not what the catalog says but what happens when a member of the role tries.
    @Test(arguments: Role.allCases) func attemptsEndAsStated(role: Role) async throws {
        let stated = try Self.stated("relation")
        try await withMembers { db, members in
            let connection = try await members.connect(role)
            let place = try #require(Role.allCases.firstIndex(of: role))
            for (relation, cells) in stated.sorted(by: { $0.key < $1.key }) {
                let rights = cells[place].components(separatedBy: ", ")
                let column = try await db.line(
                    "SELECT attname FROM pg_attribute WHERE attrelid = 'postrider.\(relation)'::regclass AND attnum > 0 ORDER BY attnum LIMIT 1")
                for (word, statement) in [
                    ("read", "SELECT * FROM postrider.\(relation) LIMIT 0"),
                    ("insert", "INSERT INTO postrider.\(relation) DEFAULT VALUES"),
                    ("update", "UPDATE postrider.\(relation) SET \(column) = DEFAULT WHERE false"),
                    ("delete", "DELETE FROM postrider.\(relation) WHERE false"),
                    ("truncate", "TRUNCATE postrider.\(relation)"),
                ] {
                    // Rights on some columns do not reach the whole row, nor a column that is not among them; to insert a row
                    // of defaults those on one are enough.
                    let isAllowed = rights.contains(word) || word == "insert" && rights.contains { $0.hasPrefix("insert (") }
                    let isDenied = try await isDenied(statement, connection)
                    #expect(isDenied == !isAllowed, "\(role) \(statement)")
                }
            }
        }
    }

    /// Whether a statement fails for want of rights; it changes nothing.
    private func isDenied(_ statement: String, _ connection: Connection) async throws -> Bool {
        do {
            try await connection.run("BEGIN; \(statement)")
        } catch let error as PostgresError {
            try await connection.run("ROLLBACK")
            // Views that cannot be written, and rows that the caller may not write although it may write the table.
            return ["42501", "42809", "428C9", "55000"].contains(error.sqlState) && !error.message.contains("row-level security")
        }
        try await connection.run("ROLLBACK")
        return false
    }

    @Test func publicHasNothing() async throws {
        try await withMembers { db, members in
            let open = try await db.lines(
                """
                SELECT 'schema ' || nspname FROM pg_namespace
                WHERE nspname ~ '^postrider' AND has_schema_privilege('\(members.outsider)', oid, 'USAGE, CREATE')
                UNION ALL
                SELECT oid::regclass::text FROM pg_class
                WHERE relnamespace::regnamespace::text ~ '^postrider' AND relkind <> 'i' AND relkind <> 'I' AND relkind <> 'S'
                  AND (has_table_privilege('\(members.outsider)', oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')
                       OR has_any_column_privilege('\(members.outsider)', oid, 'SELECT, INSERT, UPDATE, REFERENCES'))
                UNION ALL
                SELECT oid::regprocedure::text FROM pg_proc
                WHERE pronamespace::regnamespace::text ~ '^postrider' AND has_function_privilege('\(members.outsider)', oid, 'EXECUTE')
                """)
            #expect(open == [])
        }
    }

    @Test(arguments: Role.allCases) func partitionsAreReachedThroughTheirParentsOnly(role: Role) async throws {
        try await withMembers { db, members in
            try await db.run("SELECT postrider.ensure_partitions(10)")
            let partitions = try await db.lines(
                """
                SELECT c.oid::regclass FROM pg_class AS c WHERE c.relnamespace = 'postrider'::regnamespace AND c.relispartition
                  AND c.relkind = 'r' ORDER BY c.relname
                """)
            #expect(partitions.count == 24)
            let connection = try await members.connect(role)
            for partition in partitions {
                for statement in ["SELECT FROM \(partition)", "INSERT INTO \(partition) DEFAULT VALUES", "DELETE FROM \(partition)"] {
                    #expect(try await isDenied(statement, connection), "\(role) \(statement)")
                }
            }
        }
    }

    /// Default privileges of the owner would open each new partition.
    @Test func partitionShowsNothingEvenWhenItWasGranted() async throws {
        try await withMembers { db, members in
            try await db.run(
                """
                ALTER DEFAULT PRIVILEGES IN SCHEMA postrider GRANT SELECT, INSERT ON TABLES TO \(members.outsider);
                GRANT USAGE ON SCHEMA postrider TO \(members.outsider);
                SELECT postrider.ensure_partitions(10);
                INSERT INTO postrider.webhook_event_log (id, event_type, data)
                VALUES (postrider.event_id_at(now() + interval '10 weeks'), 'a.b', '{}')
                """)
            let partition = try await db.line("SELECT tableoid::regclass FROM postrider.webhook_event_log")
            let outsider = try await db.connect(as: members.outsider)
            #expect(try await outsider.lines("SELECT count(*) FROM \(partition)") == ["0"])
            #expect(try await db.line("SELECT count(*) FROM \(partition)") == "1")
            // The grants that these default privileges made go with the role.
            try await db.run("ALTER DEFAULT PRIVILEGES IN SCHEMA postrider REVOKE ALL ON TABLES FROM \(members.outsider)")
        }
    }
}
