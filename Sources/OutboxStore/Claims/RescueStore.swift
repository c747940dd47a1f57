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
    ///   - most: how many claims at most; the rest is found by ``seizeOrphans(worker:most:on:)``.
    /// - Returns: the claims, for ``load(_:into:on:timeout:)``.
    /// - Throws: `PostgresError`.
    public static func seize(
        worker: Int64, dead: SuspectedWorker, most: Int32, on connection: Connection
    ) async throws -> [SeizedClaim] {
        let rows = try await connection.query(
            Queries.claimTakeOver, [.int8(worker), .int8(dead.id), .int4(dead.epoch), .int4(most)])
        return try rows.map { try SeizedClaim($0) }
    }

    /// After so many workers died holding it, an event is not sent any more; 5.
    public static let mostRescues = 5

    /// Takes over claims that no living worker holds (`ClaimSweep`), and one that workers may have died of
    /// (`ClaimIsolate`, `ClaimSuspect`).
    ///
    /// - Returns: the claims, for ``load(_:into:on:timeout:)``; one whose ``SeizedClaim/rescues`` has reached
    ///   ``mostRescues`` must not be sent.
    /// - Throws: `PostgresError`.
    public static func seizeOrphans(
        worker: Int64, most: Int32, on connection: Connection
    ) async throws -> [SeizedClaim] {
        let results = try await connection.pipeline([
            Step(Queries.claimSweep, [.int8(worker), .int4(most)]), Step(Queries.claimIsolate),
            Step(Queries.claimSuspect, [.int8(worker)]),
        ])
        return try (results[0].map { try SeizedClaim($0) }) + (results[2].map { try SeizedClaim($0) })
    }

    /// Claims that a worker holds and does not know of (`ClaimForgotten`).
    ///
    /// - Parameters:
    ///   - worker: the worker itself.
    ///   - known: the claims it knows.
    ///   - age: only claims at least so old.
    ///   - connection: where to ask.
    ///   - timeout: the longest time for the answer; nil for the connection's.
    /// - Returns: the claims, for ``load(_:into:on:timeout:)``; the worker may have come to know one meanwhile.
    /// - Throws: `PostgresError`.
    public static func findForgotten(
        worker: Int64, known: [Int64], olderThan age: Duration, on connection: Connection, timeout: Duration? = nil
    ) async throws -> [SeizedClaim] {
        let microseconds = age.components.seconds * 1_000_000 + age.components.attoseconds / 1_000_000_000_000
        let rows = try await connection.query(
            Queries.claimForgotten, [.int8(worker), .int8s(known), .interval(microseconds: microseconds)],
            timeout: timeout)
        return try rows.map { try SeizedClaim($0) }
    }

    /// Loads claims one after the other, each only once its holder has adopted it, and hands each over before the next.
    ///
    /// What is recorded of a claim is read after it was adopted: whoever else has held it until then can have recorded it,
    /// or put it back, and nobody else sends any of it from then on but what others hold as retries. The holder's
    /// destinations must be at least as new as the claims (``RoutingStore/version(on:timeout:)``): who held them before may
    /// have known more.
    ///
    /// - Parameters:
    ///   - claims: the claims; those that their holder does not adopt are left alone.
    ///   - holder: takes them into memory.
    ///   - connection: where to load.
    ///   - timeout: the longest time for each portion of a claim's events; nil for the connection's.
    /// - Returns: how many claims were handed over.
    /// - Throws: `PostgresError`; the claim that could not be loaded is abandoned then, and the rest was not adopted.
    @discardableResult
    public static func load(
        _ claims: [SeizedClaim], into holder: some ClaimHolder, on connection: Connection, timeout: Duration? = nil
    ) async throws -> Int {
        var count = 0
        for claim in claims where holder.adopt(claim: claim.id) {
            let rescue: Rescue
            do {
                rescue = try await load(claim, on: connection, timeout: timeout)
            } catch {
                holder.abandon(claim: claim.id)
                throw error
            }
            holder.accept(rescue)
            count += 1
        }
        return count
    }

    /// A claim with its events, less the deliveries whose state is already recorded.
    private static func load(
        _ seized: SeizedClaim, on connection: Connection, timeout: Duration?
    ) async throws -> Rescue {
        let row = seized.row
        let ids = try row.uuids(1)
        // An event stands in a claim of retries once for each of its destinations.
        let events = Array(Set(ids)).sorted()
        let targets = try readTargets(row, ids: ids)
        var work: [Claim.Work] = []
        var settled: [DeliveryKey: Int16] = [:]
        for portion in events.portions(of: EventRow.portion) {
            let steps = [
                Step(Queries.eventLoad.plannedAnew, [.uuids(portion)]),
                Step(Queries.deliverySettled.plannedAnew, [.uuids(portion), .int8(seized.id)]),
            ]
            let results = try await connection.pipeline(steps, timeout: timeout)
            try readSettled(results[1], into: &settled)
            for index in 0..<results[0].count {
                let item = try EventRow.work(results[0][index], first: 0, target: nil)
                work += open(item, targets, settled)
            }
        }
        let claim = Claim(id: seized.id, work: work, rescues: seized.rescues)
        return Rescue(claim: claim, settled: targets == nil ? Set(settled.keys) : [])
    }

    /// What is to be done for one event: its first fan-out, or those of its retries that are not recorded yet.
    private static func open(
        _ item: Claim.Work, _ targets: [UUIDBytes: [Claim.Target]]?, _ settled: [DeliveryKey: Int16]
    ) -> [Claim.Work] {
        guard let targets else { return [item] }
        return (targets[item.event.id.uuid] ?? []).compactMap { target in
            let key = DeliveryKey(event: item.event.id, destination: target.destination)
            if let done = settled[key], done >= target.attempt { return nil }
            return Claim.Work(event: item.event, isHeavy: item.isHeavy, target: target)
        }
    }

    private static func readSettled(_ rows: Rows, into settled: inout [DeliveryKey: Int16]) throws {
        for index in 0..<rows.count {
            let row = rows[index]
            let key = DeliveryKey(event: try row.uuid(0).eventID, destination: Int32(try row.int(1)))
            settled[key] = Int16(try row.int(2))
        }
    }

    /// The targets of a claim of retries by event, or nil for a claim of first fan-outs.
    private static func readTargets(_ row: Row, ids: [UUIDBytes]) throws -> [UUIDBytes: [Claim.Target]]? {
        guard try !row.isNull(2) else { return nil }
        let destinations = try row.int4s(2)
        let attempts = try row.int2s(3)
        let replays = try row.bools(4)
        var targets: [UUIDBytes: [Claim.Target]] = [:]
        for (index, id) in ids.enumerated() {
            targets[id, default: []].append(
                Claim.Target(destination: destinations[index], attempt: attempts[index], isReplay: replays[index]))
        }
        return targets
    }
}
