// A claim on its way from one worker to another: as it was seized, and as it was loaded. Made by RescueStore, taken in by a
// ClaimHolder.

internal import Postgres

/// A claim that is the worker's in the database, and that nobody has loaded yet.
public struct SeizedClaim: Sendable {
    /// The claim's id, `webhook_claims.id`.
    public let id: Int64
    /// How many workers died holding it; 0 for a claim of one's own.
    public let rescues: Int
    /// What the claim holds, as the statements of takeovers give it.
    let row: Row

    init(_ row: Row) throws {
        id = try row.int64(0)
        rescues = try row.int(5)
        self.row = row
    }
}

/// A claim taken over from a dead worker.
public struct Rescue: Sendable {
    /// The claim; its work may be empty when all of it had been recorded.
    public let claim: Claim
    /// For first fan-outs: the deliveries that need no attempt, because their state is recorded already, or another claim
    /// holds them as retries.
    public let settled: Set<DeliveryKey>
}
