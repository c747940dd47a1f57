// Taking over the claims of dead workers. Called by the worker's control task.

internal import Outbox
public import Postgres

/// Rescues: claims of dead workers, with what of them is still to be done.
public enum RescueStore {
    /// Takes over claims of one worker that seems dead, if it still does under the row lock (`ClaimTakeOver`).
    ///
    /// - Parameters:
    ///   - worker: who rescues.
    ///   - dead: the worker seen dead, with the epoch it was seen with.
    ///   - most: how many claims at most; the rest is found by ``sweep(worker:most:on:)``.
    /// - Returns: the claims with their events loaded, less the deliveries whose state is already recorded.
    /// - Throws: `PostgresError`.
    public static func takeOver(
        worker: Int64, dead: SuspectedWorker, most: Int32, on connection: Connection
    ) async throws -> [Rescue] {
        let rows = try await connection.query(
            Queries.claimTakeOver, [.int8(worker), .int8(dead.id), .int4(dead.epoch), .int4(most)])
        return try await load(rows, on: connection)
    }

    /// After so many workers died holding it, an event is not sent any more; 5.
    public static let mostRescues = 5

    /// Takes over claims that no living worker holds (`ClaimSweep`), and one that workers may have died of
    /// (`ClaimIsolate`, `ClaimSuspect`).
    ///
    /// - Returns: the claims; one whose ``Claim/rescues`` has reached ``mostRescues`` must not be sent.
    /// - Throws: `PostgresError`.
    public static func sweep(worker: Int64, most: Int32, on connection: Connection) async throws -> [Rescue] {
        let results = try await connection.pipeline([
            Step(Queries.claimSweep, [.int8(worker), .int4(most)]), Step(Queries.claimIsolate),
            Step(Queries.claimSuspect, [.int8(worker)]),
        ])
        return try await load(results[0], on: connection) + load(results[2], on: connection)
    }

    /// Claims that a worker holds and does not know of (`ClaimForgotten`).
    ///
    /// - Parameters:
    ///   - worker: the worker itself.
    ///   - known: the claims it knows.
    ///   - age: only claims at least so old.
    /// - Throws: `PostgresError`.
    public static func forgotten(
        worker: Int64, known: [Int64], olderThan age: Duration, on connection: Connection
    ) async throws -> [Rescue] {
        let microseconds = age.components.seconds * 1_000_000 + age.components.attoseconds / 1_000_000_000_000
        let rows = try await connection.query(
            Queries.claimForgotten, [.int8(worker), .int8s(known), .interval(microseconds: microseconds)])
        return try await load(rows, on: connection)
    }

    private static func load(_ rows: Rows, on connection: Connection) async throws -> [Rescue] {
        var rescues: [Rescue] = []
        for index in 0..<rows.count {
            rescues.append(try await load(rows[index], on: connection))
        }
        return rescues
    }

    private static func load(_ row: Row, on connection: Connection) async throws -> Rescue {
        let ids = try row.uuids(1)
        // An event stands in a claim of retries once for each of its destinations.
        let events = Array(Set(ids)).sorted()
        let results = try await connection.pipeline([
            Step(Queries.eventLoad.plannedAnew, [.uuids(events)]),
            Step(Queries.deliverySettled.plannedAnew, [.uuids(events)]),
        ])
        let settled = try readSettled(results[1])
        let targets = try readTargets(row, ids: ids)
        var work: [Claim.Work] = []
        for index in 0..<results[0].count {
            let item = try EventRow.work(results[0][index], first: 0, target: nil)
            guard let due = targets?[item.event.id.uuid] else {
                if targets == nil { work.append(item) }
                continue
            }
            for target in due {
                let key = DeliveryKey(event: item.event.id, destination: target.destination)
                if let done = settled[key], done >= target.attempt { continue }
                work.append(Claim.Work(event: item.event, isHeavy: item.isHeavy, target: target))
            }
        }
        let claim = Claim(id: try row.int64(0), work: work, rescues: try row.int(4))
        return Rescue(claim: claim, settled: targets == nil ? Set(settled.keys) : [])
    }

    private static func readSettled(_ rows: Rows) throws -> [DeliveryKey: Int16] {
        var settled: [DeliveryKey: Int16] = [:]
        for index in 0..<rows.count {
            let row = rows[index]
            let key = DeliveryKey(event: try row.uuid(0).eventID, destination: Int32(try row.int(1)))
            settled[key] = Int16(try row.int(2))
        }
        return settled
    }

    /// The targets of a claim of retries by event, or nil for a claim of first fan-outs.
    private static func readTargets(_ row: Row, ids: [UUIDBytes]) throws -> [UUIDBytes: [Claim.Target]]? {
        guard try !row.isNull(2) else { return nil }
        let destinations = try row.int4s(2)
        let attempts = try row.int2s(3)
        var targets: [UUIDBytes: [Claim.Target]] = [:]
        for (index, id) in ids.enumerated() {
            targets[id, default: []].append(Claim.Target(destination: destinations[index], attempt: attempts[index]))
        }
        return targets
    }
}

/// A claim taken over from a dead worker.
public struct Rescue: Sendable {
    /// The claim; its work may be empty when all of it had been recorded.
    public let claim: Claim
    /// For first fan-outs: the deliveries that need no attempt, because their state is recorded already.
    public let settled: Set<DeliveryKey>
}

/// Another worker that missed its heartbeats, as it was seen.
public struct SuspectedWorker: Sendable, Hashable {
    /// The worker, `webhook_workers.id`.
    public let id: Int64
    /// Its epoch when it was seen; a takeover fails when somebody else was faster.
    public let epoch: Int32

    /// Makes a suspect.
    public init(id: Int64, epoch: Int32) {
        self.id = id
        self.epoch = epoch
    }
}
