// Seals payloads at rest, of the event types that were chosen for it. Called by the worker's upkeep.

public import Outbox
public import Postgres

/// Puts sealed payloads in the place of readable ones.
public enum PayloadStore {
    /// Payloads of one transaction; 200, and at most 16 MiB.
    static let batch: Int32 = 200
    /// Batches of one pattern in one round, so that a round ends; 500. Each looks at 20,000 events at most.
    static let batchesAtOnce = 500

    /// Seals the payloads of chosen types that are older than a minute, with the first key of a ring.
    ///
    /// Any number may run at once: what is sealed already, or erased meanwhile, is left alone. Stopped half-way, it goes on
    /// when it is called again.
    ///
    /// - Returns: how many were sealed.
    /// - Throws: `PostgresError`; batches that were committed stay. `SealingError.wrongKey` before anything is sealed.
    @discardableResult
    public static func seal(with keys: KeyRing, on connection: Connection) async throws -> Int64 {
        let due = try await connection.query(Queries.sealedTypeDue.plannedAnew)
        guard due.count > 0 else { return 0 }
        try await KeyStore.check(keys, on: connection)
        var sealed: Int64 = 0
        for row in due {
            let (pattern, below) = (try row.string(0), try row.uuid(1))
            for _ in 0..<batchesAtOnce {
                let taken = try await connection.query(
                    Queries.payloadTake.plannedAnew, [.text(pattern), .uuid(below), .int4(batch)])
                // The last row has no payload: it tells how far was looked.
                guard taken.count > 0 else { break }
                let payloads = taken.count - 1
                let ids = try (0..<payloads).map { try taken[$0].uuid(0) }
                let texts = try (0..<payloads).map { index in
                    let place = SecretPlace.payload(try taken[index].uuid(0).eventID)
                    return try SealedSecret(sealing: try taken[index].string(1), for: place, with: keys).text
                }
                let reached = try taken[payloads].uuid(0)
                let replaced = try await connection.query(
                    Queries.payloadReplace.plannedAnew,
                    [.text(pattern), .uuid(reached), .text(keys.first), .uuids(ids), .texts(texts)])
                sealed += try replaced[0].int64(0)
                if reached == below { break }
            }
        }
        return sealed
    }
}
