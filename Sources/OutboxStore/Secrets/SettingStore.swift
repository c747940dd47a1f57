// Settings that stand in the database sealed, like secrets. Part of SecretStore.

public import Outbox
public import Postgres

extension SecretStore {
    /// Seals the value that a setting will get.
    ///
    /// - Parameter organization: whose the setting is; nil for the operator's own.
    /// - Throws: `PostgresError`; `SealingError` for an empty value, and when the key is another one of its name.
    public static func seal(
        setting name: String, organization: String?, value: String, with keys: KeyRing, on connection: Connection
    ) async throws -> String {
        try await KeyStore.check(keys, on: connection)
        return try SealedSecret(sealing: value, for: .setting(name, organization: organization), with: keys).text
    }

    /// Seals the settings of a scope, a batch in each transaction.
    static func sealSettings(
        _ leaves: String, _ keys: KeyRing, _ connection: Connection, _ done: inout Progress,
        _ progress: (Progress) -> Void
    ) async throws {
        var last: Int32? = 0
        while let start = last {
            last = try await Transaction.run(on: connection) {
                try await sealSettings(behind: start, leaves, keys, connection, &done)
            }
            progress(done)
        }
    }

    /// Seals a batch of settings; gives the last that it saw, nil when there are no more.
    private static func sealSettings(
        behind start: Int32, _ leaves: String, _ keys: KeyRing, _ connection: Connection, _ done: inout Progress
    ) async throws -> Int32? {
        let rows = try await connection.pipeline([
            Step(Queries.sealsBegin.plannedAnew),
            Step(Queries.settingTake.plannedAnew, [.int4(start), .text(leaves), .int8(batch)]),
        ])[1]
        var ids: [Int32] = []
        var texts: [String] = []
        var last: Int32?
        for row in rows {
            let id = Int32(try row.int(0))
            last = id
            let place = SecretPlace.setting(try row.string(2), organization: try row.stringOrNil(1))
            guard let text = reseal(try row.string(3), at: place, keys, &done) else { continue }
            ids.append(id)
            texts.append(text)
        }
        try await connection.query(Queries.settingReplace.plannedAnew, [.int4s(ids), .texts(texts)])
        return rows.count < batch ? nil : last
    }
}
