// Roles for tests of rights. They belong to the whole server, so each test makes its own and drops them.

import Foundation

/// Makes roles that may not log in, runs a test with their names (ready to stand in SQL), and drops them.
func withRoles(_ db: TestDatabase, _ count: Int, _ body: ([String]) async throws -> Void) async throws {
    let names = (0..<count).map { _ in "\"test role \(UUID().uuidString.prefix(8))\"" }
    for name in names { try await db.run("CREATE ROLE \(name)") }
    let result: Result<Void, any Error>
    do {
        result = .success(try await body(names))
    } catch {
        result = .failure(error)
    }
    // On a connection of its own, because the test's may be in a failed transaction or another role.
    let connection = try await db.connect()
    for name in names { try await connection.run("DROP OWNED BY \(name) CASCADE; DROP ROLE \(name)") }
    try result.get()
}
