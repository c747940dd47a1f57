// Rescues as tests like them: taken over and loaded at once.

import OutboxStore
import Postgres
import Synchronization

/// Holds every claim but some, and remembers what it was told.
final class Rescuer: ClaimHolder {
    /// What became of claims, in order.
    struct Log: Sendable {
        var asked: [Int64] = []
        var abandoned: [Int64] = []
        var rescues: [Rescue] = []
    }

    private let known: Set<Int64>
    private let state = Mutex(Log())

    /// Makes a holder that knows some claims already.
    init(knowing known: Set<Int64> = []) { self.known = known }

    var log: Log { state.withLock { $0 } }

    func adopt(claim: Int64) -> Bool {
        state.withLock { $0.asked.append(claim) }
        return !known.contains(claim)
    }

    func abandon(claim: Int64) { state.withLock { $0.abandoned.append(claim) } }

    func accept(_ rescue: Rescue) { state.withLock { $0.rescues.append(rescue) } }
}

extension RescueStore {
    /// Takes over claims of a worker and loads them.
    static func takeOver(
        worker: Int64, dead: SuspectedWorker, most: Int32, on connection: Connection
    ) async throws -> [Rescue] {
        try await loaded(try await seize(worker: worker, dead: dead, most: most, on: connection), on: connection)
    }

    /// Takes over claims of no living worker and loads them.
    static func sweep(worker: Int64, most: Int32, on connection: Connection) async throws -> [Rescue] {
        try await loaded(try await seizeOrphans(worker: worker, most: most, on: connection), on: connection)
    }

    /// Loads the claims that a worker does not know.
    static func forgotten(
        worker: Int64, known: [Int64], olderThan age: Duration, on connection: Connection
    ) async throws -> [Rescue] {
        let claims = try await findForgotten(worker: worker, known: known, olderThan: age, on: connection)
        return try await loaded(claims, on: connection)
    }

    private static func loaded(_ claims: [SeizedClaim], on connection: Connection) async throws -> [Rescue] {
        let rescuer = Rescuer()
        try await load(claims, into: rescuer, on: connection)
        return rescuer.log.rescues
    }
}
