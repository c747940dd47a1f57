// Where the databases of tests come from: copies of one migrated template.

import Glibc
import OutboxStore
import Postgres
import TestSupport

/// Runs a test in a migrated database of its own.
func withDatabase(_ body: (TestDatabase) async throws -> Void) async throws {
    try await withPlace { _ in
        // Asked for behind the gate: a test that waited over the beginning of a week gets a database of the new one.
        let template = try await Databases.shared.template()
        try await useOnce(try await TestCluster.freshDatabase(from: template), body)
    }
}

/// Runs a test in an empty database of its own. The roles of Postrider, which all databases share, are there, whichever
/// test is the first of a run.
func withEmptyDatabase(_ body: (TestDatabase) async throws -> Void) async throws {
    try await withPlace { _ in
        _ = try await Databases.shared.template()
        try await useOnce(try await TestCluster.freshDatabase(), body)
    }
}

/// Runs a test in one transaction of a migrated database and rolls it back: cheaper, for tests that need no second
/// connection, no commit, and no numbers that begin with 1.
func withRollback(_ body: (TestDatabase) async throws -> Void) async throws {
    try await withPlace { place in
        try await use(Databases.shared.standing(place)) { database in
            try await database.run("BEGIN")
            try await body(database)
            try await database.run("ROLLBACK")
        }
    }
}

private func withPlace(_ body: (Int) async throws -> Void) async throws {
    let place = await Gate.shared.enter()
    defer { Gate.shared.leave(place) }
    try await body(place)
}

/// Drops the database afterwards, whatever came of the test.
private func useOnce(_ url: String, _ body: (TestDatabase) async throws -> Void) async throws {
    do {
        try await use(url, body)
    } catch {
        try await TestCluster.drop(url)
        throw error
    }
    try await TestCluster.drop(url)
}

private func use(_ url: String, _ body: (TestDatabase) async throws -> Void) async throws {
    let database = try await TestDatabase(url: url)
    do {
        try await body(database)
    } catch {
        await database.close()
        throw error
    }
    await database.close()
}

/// Databases that serve more than one test, made when they are asked for.
private actor Databases {
    static let shared = Databases()
    private var making: Task<String, any Error>?
    private var made: [Int: String] = [:]
    private var week = weekNow()

    /// The migrated database that all others are copies of. Nobody is connected to it.
    func template() async throws -> String {
        forgetLastWeek()
        let task = making ?? Task { try await Self.migrate() }
        making = task
        return try await task.value
    }

    /// The database of a place of the gate, in which nothing is ever committed.
    func standing(_ place: Int) async throws -> String {
        forgetLastWeek()
        if let url = made[place] { return url }
        let url = try await TestCluster.freshDatabase(from: try await template())
        made[place] = url
        return url
    }

    /// Tests count the weeks that a migration makes: a run that sees a Monday begin goes on with databases of that week.
    private func forgetLastWeek() {
        guard week != Self.weekNow() else { return }
        week = Self.weekNow()
        making = nil
        made = [:]
    }

    /// The first Monday was the fifth day of 1970.
    private static func weekNow() -> Int { (time(nil) - 4 * 86_400) / 604_800 }

    private static func migrate() async throws -> String {
        let url = try await TestCluster.freshDatabase()
        let connection = try await Connection.open(ConnectionSettings(url: url))
        try await Migrator(connection: connection).up()
        await connection.close()
        return url
    }
}
