// Logins that are members of Postrider's roles, each of one, for tests of what those may do.

import Foundation
import Postgres

/// The roles of Postrider.
enum Role: String, CaseIterable {
    case producer, worker, auditor, admin, tenant

    /// Its name on the server.
    var name: String { "postrider_\(rawValue)" }
}

/// A login of its own for each role, and one that is a member of none.
struct Members: Sendable {
    private let db: TestDatabase
    private let names: [Role: String]
    /// A login without any rights here.
    let outsider: String

    fileprivate init(_ db: TestDatabase) {
        self.db = db
        let name = { (what: String) in "test_\(what)_\(UUID().uuidString.prefix(8).lowercased())" }
        names = Dictionary(uniqueKeysWithValues: Role.allCases.map { ($0, name($0.rawValue)) })
        outsider = name("outsider")
    }

    /// Name of the login of a role, ready to stand in SQL.
    subscript(role: Role) -> String { names[role] ?? outsider }

    /// All logins.
    var all: [String] { Array(names.values) + [outsider] }

    /// A connection that logged in as the member of a role.
    func connect(_ role: Role) async throws -> Connection { try await db.connect(as: self[role]) }

    fileprivate func make() async throws {
        try await db.run("CREATE ROLE \(outsider) LOGIN")
        for (role, name) in names { try await db.run("CREATE ROLE \(name) LOGIN IN ROLE \(role.name)") }
    }
}

/// Runs a test in a migrated database of its own with logins, and drops them with all they own.
func withMembers(_ body: (TestDatabase, Members) async throws -> Void) async throws {
    try await withDatabase { db in
        let members = Members(db)
        try await members.make()
        let result: Result<Void, any Error>
        do {
            result = .success(try await body(db, members))
        } catch {
            result = .failure(error)
        }
        let connection = try await db.connect()
        for name in members.all { try await connection.run("DROP OWNED BY \(name) CASCADE; DROP ROLE \(name)") }
        try result.get()
    }
}
