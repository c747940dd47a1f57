// Profiles that operators added. Loaded with the destinations by workers, and alone by commands.

public import Outbox
public import Postgres

/// Reads profiles.
public enum ProfileStore {
    /// The step that reads all profiles that are rows.
    static var step: Step { Step(Queries.profileLoad) }

    /// Loads all profiles: the built-in ones and those that are rows.
    ///
    /// - Throws: `PostgresError`.
    public static func load(on connection: Connection) async throws -> ProfileCatalog {
        try catalog(await connection.query(Queries.profileLoad.plannedAnew))
    }

    /// The catalog of rows of ``step``.
    static func catalog(_ rows: Rows) throws -> ProfileCatalog {
        var catalog = ProfileCatalog()
        for row in rows { catalog.add(try row.string(0), json: try row.bytes(1)) }
        return catalog
    }
}
