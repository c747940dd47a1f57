// Brings a database's schema up or down. Called by `postrider migrate` and by tests.

public import Postgres

/// One step of the schema.
public struct Migration: Sendable {
    /// Its number, from 1, without gaps.
    public let version: Int
    /// Its name, as in the file name.
    public let name: String
    /// The SQL that applies it, one transaction; a DBA may run the same file with psql.
    public let up: String
    /// The SQL that undoes it.
    public let down: String

    /// All migrations of this program, ascending.
    public static let all: [Migration] = SQLFiles.migrations.map {
        Migration(version: $0.version, name: $0.name, up: $0.up, down: $0.down)
    }
}

/// Applies and undoes migrations, one transaction each, under an advisory lock.
///
/// Any number of migrators may run at once: each looks at the version again after it got the lock. Waiting for a table
/// lock ends after ``lockTimeout`` and is tried again, so producers are never held up for longer.
public struct Migrator: Sendable {
    /// How long a migration waits for a table lock before it lets everybody pass and tries again; 900 ms.
    public static let lockTimeout = "900ms"
    /// How often it tries; 40.
    public static let attempts = 40
    /// How long a migration may take, and wait for other migrators; a day. It holds up nobody who waits for a shorter time.
    private static let deadline = Duration.seconds(86_400)

    private let connection: Connection

    /// Makes a migrator on a connection, which it must have to itself.
    public init(connection: Connection) { self.connection = connection }

    /// The versions in the database with the time of each (ISO 8601), ascending; empty when there is no schema.
    ///
    /// - Throws: `PostgresError`.
    public func applied() async throws -> [(version: Int, name: String, appliedAt: String)] {
        let exists = try await connection.query(Self.tableExists)
        guard try exists[0].bool(0) else { return [] }
        let rows = try await connection.query(Self.appliedVersions)
        return try (0..<rows.count).map { (try rows[$0].int(0), try rows[$0].string(1), try rows[$0].string(2)) }
    }

    /// The migrations that `up` would apply now, ascending.
    ///
    /// - Throws: ``MigratorError/newerSchema(found:known:)``, `PostgresError`.
    public func pending(upTo target: Int? = nil) async throws -> [Migration] {
        let current = try await version()
        return Migration.all.filter { $0.version > current && $0.version <= target ?? .max }
    }

    /// The highest version in the database, 0 for none.
    ///
    /// - Throws: ``MigratorError/newerSchema(found:known:)`` when it is newer than this program; `PostgresError`.
    public func version() async throws -> Int {
        let current = try await applied().last?.version ?? 0
        let known = Migration.all.last?.version ?? 0
        guard current <= known else { throw MigratorError.newerSchema(found: current, known: known) }
        return current
    }

    /// Applies what is missing.
    ///
    /// - Parameters:
    ///   - target: stop at this version; nil for the newest.
    ///   - applied: called after each migration that this call applied.
    /// - Throws: ``MigratorError``, `PostgresError`; the failed migration leaves nothing behind, those before it stay.
    public func up(to target: Int? = nil, applied: (Migration) -> Void = { _ in }) async throws {
        if let target, !(0...(Migration.all.last?.version ?? 0)).contains(target) {
            throw MigratorError.unknownVersion(target)
        }
        for migration in try await pending(upTo: target) {
            let didApply = try await change(migration) { $0 < migration.version ? migration.up : nil }
            if didApply { applied(migration) }
        }
    }

    /// Undoes migrations, the newest first, until the schema has the version `target`; 0 removes it with all its data.
    ///
    /// - Throws: ``MigratorError``, `PostgresError`.
    public func down(to target: Int, undone: (Migration) -> Void = { _ in }) async throws {
        guard (0...(Migration.all.last?.version ?? 0)).contains(target) else {
            throw MigratorError.unknownVersion(target)
        }
        let current = try await version()
        for migration in Migration.all.reversed() where migration.version > target && migration.version <= current {
            let didUndo = try await change(migration) { $0 == migration.version ? migration.down : nil }
            if didUndo { undone(migration) }
        }
    }

    /// The statements that a DBA has to run because the roles of Postrider are missing on this server (`RoleSetup`); nil
    /// when none is missing, or when the schema is older than the roles.
    ///
    /// - Throws: ``MigratorError/newerSchema(found:known:)``, `PostgresError`.
    public func roleSetup() async throws -> String? {
        let known = try await applied().contains { $0.name == "roles" }
        return known ? try await connection.query(Queries.roleSetup)[0].stringOrNil(0) : nil
    }

    /// Runs one migration under the lock unless somebody else has done it meanwhile.
    private func change(_ migration: Migration, sql: (Int) -> String?) async throws -> Bool {
        for attempt in 1...Self.attempts {
            do {
                return try await changeOnce(migration, sql: sql)
            } catch let error as PostgresError where error.sqlState == Self.lockNotAvailable && attempt < Self.attempts
            {
                try await Task.sleep(for: .milliseconds(100 + 50 * attempt))
            }
        }
        return false
    }

    private func changeOnce(_ migration: Migration, sql: (Int) -> String?) async throws -> Bool {
        let name = "migration \(migration.version) \(migration.name)"
        _ = try await connection.script(
            """
            BEGIN ISOLATION LEVEL READ COMMITTED; SELECT pg_advisory_xact_lock(7740, 1);
            SET LOCAL lock_timeout = '\(Self.lockTimeout)'
            """, name: name, timeout: Self.deadline)
        do {
            guard let sql = sql(try await version()) else {
                _ = try await connection.script("ROLLBACK", name: name)
                return false
            }
            _ = try await connection.script(sql, name: name, timeout: Self.deadline)
            _ = try await connection.script("COMMIT", name: name)
            return true
        } catch {
            // The first error is the one to tell; a connection that is gone rolls back by itself.
            if connection.isOpen { _ = try? await connection.script("ROLLBACK", name: name) }
            throw error
        }
    }

    /// SQLSTATE of a lock timeout, `lock_not_available`.
    private static let lockNotAvailable = "55P03"
    /// Reads the catalogs as tables: to_regclass would answer from a cache that a wait for the advisory lock does not
    /// refresh, and a migrator that waited for another would not see the other's work.
    private static let tableExists = Statement(
        name: "MigrationTableExists",
        sql: """
            SELECT EXISTS (SELECT FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
                           WHERE n.nspname = 'postrider' AND c.relname = 'webhook_migrations')
            """, prepare: false)
    private static let appliedVersions = Statement(
        name: "MigrationList",
        sql: "SELECT version, name, to_json(applied_at) #>> '{}' FROM postrider.webhook_migrations ORDER BY version",
        prepare: false)
}

/// Why a schema was left as it is.
public enum MigratorError: Error, Sendable, CustomStringConvertible {
    /// The database was migrated by a newer program.
    case newerSchema(found: Int, known: Int)
    /// There is no migration of that number.
    case unknownVersion(Int)

    /// One sentence with what to do.
    public var description: String {
        switch self {
        case .newerSchema(let found, let known):
            "the database has schema version \(found), this program knows versions up to \(known): use a newer postrider"
        case .unknownVersion(let version):
            "there is no schema version \(version); versions go from 0 to \(Migration.all.last?.version ?? 0)"
        }
    }
}
