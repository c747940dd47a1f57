// Seals payloads at rest, of the event types that were chosen for it. Called by the worker's upkeep.

public import Outbox
public import Postgres

/// Puts sealed payloads in the place of readable ones.
public enum PayloadStore {
    /// Payloads of one transaction; 200, and at most 16 MiB.
    static let batch: Int32 = 200
    /// Batches of one pattern in one round, so that a round ends; 500.
    static let batchesAtOnce = 500

    /// Seals the payloads of chosen types that are older than a minute, with the first key of a ring.
    ///
    /// Any number may run at once: what is sealed already, or erased meanwhile, is left alone. Stopped half-way, it goes on
    /// when it is called again.
    ///
    /// - Returns: how many were sealed.
    /// - Throws: `PostgresError`; batches that were committed stay.
    @discardableResult
    public static func seal(with keys: KeyRing, on connection: Connection) async throws -> Int64 {
        var sealed: Int64 = 0
        for row in try await connection.query(Queries.sealedTypeDue.plannedAnew) {
            let (pattern, below) = (try row.string(0), try row.uuid(1))
            for _ in 0..<batchesAtOnce {
                let payloads = try await connection.query(
                    Queries.payloadTake.plannedAnew, [.text(pattern), .uuid(below), .int4(batch)])
                let ids = try payloads.map { try $0.uuid(0) }
                let texts = try payloads.map { row in
                    let place = SecretPlace.payload(try row.uuid(0).eventID)
                    return try SealedSecret(sealing: try row.string(1), for: place, with: keys).text
                }
                let replaced = try await connection.query(
                    Queries.payloadReplace.plannedAnew,
                    [.text(pattern), .uuid(ids.last ?? below), .text(keys.first), .uuids(ids), .texts(texts)])
                sealed += try replaced[0].int64(0)
                if ids.isEmpty { break }
            }
        }
        return sealed
    }
}
