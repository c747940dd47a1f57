// `postrider migrate`.

internal import ArgumentParser
internal import OutboxStore
internal import Postgres

/// Brings the schema up.
struct Migrate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Bring the database's schema up or down.")

    func run() async throws {
        let connection = try await Connection.open(ConnectionSettings(url: ProcessInfoEnvironment()["DATABASE_URL"]))
        try await Migrator(connection: connection).up { print("applied \($0.version) \($0.name)") }
        await connection.close()
    }
}
