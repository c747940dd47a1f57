// Migrations: undone without a trace, the same with psql as with the program, and explained throughout.

import Foundation
import OutboxStore
import Postgres
import Testing

@Suite struct MigrationTests {
    @Test func everyRelationColumnAndFunctionHasAComment() async throws {
        try await withRollback { db in
            let mute = try await db.lines(
                """
                WITH relation AS (
                    SELECT c.oid, c.relname FROM pg_class AS c
                    WHERE c.relnamespace = 'postrider'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
                      AND NOT c.relispartition
                )
                SELECT 'schema ' || nspname FROM pg_namespace
                WHERE nspname ~ '^postrider' AND obj_description(oid, 'pg_namespace') IS NULL
                UNION ALL
                SELECT 'relation ' || relname FROM relation WHERE coalesce(obj_description(oid, 'pg_class'), '') = ''
                UNION ALL
                SELECT 'column ' || r.relname || '.' || a.attname
                FROM relation AS r JOIN pg_attribute AS a ON a.attrelid = r.oid
                WHERE a.attnum > 0 AND NOT a.attisdropped AND coalesce(col_description(r.oid, a.attnum), '') = ''
                UNION ALL
                SELECT 'function ' || oid::regprocedure FROM pg_proc
                WHERE pronamespace = 'postrider'::regnamespace AND coalesce(obj_description(oid, 'pg_proc'), '') = ''
                """)
            #expect(mute == [])
            let relations = try await db.count(
                "pg_class WHERE relnamespace = 'postrider'::regnamespace AND relkind IN ('r', 'p', 'v') AND NOT relispartition")
            #expect(relations > 15)
        }
    }

    @Test func downRestoresTheSchemaOfTheVersionBefore() async throws {
        try await withEmptyDatabase { db in
            let migrator = Migrator(connection: db.connection)
            var before = [try await Shell.dump(db.url)]
            for migration in Migration.all {
                try await migrator.up(to: migration.version)
                before.append(try await Shell.dump(db.url))
            }
            for migration in Migration.all.reversed() {
                try await migrator.down(to: migration.version - 1)
                #expect(try await Shell.dump(db.url) == before[migration.version - 1], "down of \(migration.version)")
            }
            #expect(try await migrator.version() == 0)
            // And up again: nothing was left that stands in the way.
            try await migrator.up()
            #expect(try await Shell.dump(db.url) == before.last)
        }
    }

    /// A letter that the encoding lacks would fail everything that is recorded, or claimed, beside it.
    @Test(arguments: ["WIN1252", "SQL_ASCII"]) func databasesOfOtherEncodingsAreRefused(encoding: String) async throws {
        try await withEmptyDatabase { db in
            let name = "other_" + UUID().uuidString.lowercased().replacing("-", with: "")
            try await db.run("CREATE DATABASE \(name) ENCODING '\(encoding)' LOCALE 'C' TEMPLATE template0")
            let connection = try await Connection.open(ConnectionSettings(url: db.url, parameters: ["dbname": name]))
            var refused: PostgresError?
            do { try await Migrator(connection: connection).up() } catch let error as PostgresError { refused = error }
            await connection.close()
            try await db.run("DROP DATABASE \(name) WITH (FORCE)")
            #expect(refused?.sqlState == "0A000")
            #expect(refused?.message == "the encoding of this database is \(encoding), and Postrider needs UTF8")
        }
    }

    @Test func psqlAloneGivesTheSameSchemaAndIsKnownToTheProgram() async throws {
        try await withDatabase { migrated in
            let expected = try await Shell.dump(migrated.url)
            try await withPsqlDatabase { db in
                let dump = try await Shell.dump(db.url)
                #expect(dump == expected)
                let migrator = Migrator(connection: db.connection)
                #expect(try await migrator.pending().isEmpty)
                #expect(try await migrator.applied().map(\.name) == Migration.all.map(\.name))
            }
        }
    }

    /// Applies every file as a DBA would: `psql -1 -f`.
    private func withPsqlDatabase(_ body: (TestDatabase) async throws -> Void) async throws {
        try await withEmptyDatabase { db in
            for file in try Shell.files(in: "sql/migrations", suffix: ".up.sql") {
                let output = try await Shell.run(["psql", "-X", "-q", "-1", "-v", "ON_ERROR_STOP=1", "-f", file.path, db.url])
                #expect(output.status == 0, "\(file.lastPathComponent): \(output.errors)")
            }
            try await body(db)
        }
    }

    /// Serializable sessions, as a role or a database may have them: what waits for a lock must see what was done meanwhile.
    @Test func transactionsAreReadCommittedWhateverTheDatabaseSets() async throws {
        try await withDatabase { db in
            let strict = ["options": "-c default_transaction_isolation=serializable"]
            let connection = try await Connection.open(ConnectionSettings(url: db.url, parameters: strict))
            let show = Statement(name: "show", sql: "SHOW transaction_isolation", prepare: false)
            #expect(try await connection.query(show)[0].string(0) == "serializable")
            let inside = try await Transaction.run(on: connection) { try await connection.query(show)[0].string(0) }
            #expect(inside == "read committed")
            // As behind a pooler, where nothing may stay behind.
            let results = try await connection.pipeline([
                SessionSettings.readCommitted, WorkerStore.workSettings(isLocal: true), Step(show),
            ])
            #expect(try results[2][0].string(0) == "read committed")
            #expect(try await connection.query(show)[0].string(0) == "serializable")
            await connection.close()
            var own = ConnectionSettings(url: db.url, parameters: strict)
            own.sessionSettings = SessionSettings.own
            let session = try await Connection.open(own)
            #expect(try await session.query(show)[0].string(0) == "read committed")
            await session.close()
        }
    }

    @Test func downFilesWorkWithPsqlAlsoAfterUse() async throws {
        try await withDatabase { db in
            try await db.run(
                """
                CREATE TABLE t (id int PRIMARY KEY);
                SELECT postrider.attach('t', 't.changed', '{insert,update,delete,truncate}');
                INSERT INTO t VALUES (1)
                """)
            try await db.endpoint()
            for file in try Shell.files(in: "sql/migrations", suffix: ".down.sql").reversed() {
                let output = try await Shell.run(["psql", "-X", "-q", "-1", "-v", "ON_ERROR_STOP=1", "-f", file.path, db.url])
                #expect(output.status == 0, "\(file.lastPathComponent): \(output.errors)")
                // The application goes on at every step. While the table is attached it may not be truncated.
                let isAttached = try await db.count("pg_trigger WHERE tgrelid = 't'::regclass AND NOT tgisinternal") > 0
                try await db.run(
                    """
                    INSERT INTO t SELECT max(id) + 1 FROM t; UPDATE t SET id = id + 100;
                    \(isAttached ? "DELETE FROM" : "TRUNCATE") t; INSERT INTO t VALUES (1)
                    """)
            }
            #expect(try await db.count("pg_trigger WHERE tgrelid = 't'::regclass AND NOT tgisinternal") == 0)
            #expect(try await db.count("pg_namespace WHERE nspname ~ '^postrider'") == 0)
        }
    }

    @Test func filesBesideEachOtherAreTheEmbeddedOnes() throws {
        for suffix in ["up", "down"] {
            let files = try Shell.files(in: "sql/migrations", suffix: ".\(suffix).sql")
            let texts = try files.map { try String(contentsOf: $0, encoding: .utf8) }
            #expect(texts == Migration.all.map { suffix == "up" ? $0.up : $0.down })
        }
    }

    @Test func newerSchemaIsRefused() async throws {
        try await withRollback { db in
            try await db.run("INSERT INTO postrider.webhook_migrations (version, name) VALUES (9999, 'of the future')")
            await #expect(throws: MigratorError.self) { try await Migrator(connection: db.connection).pending() }
        }
    }
}
