// Who may take over the claims of whom, when, and how often.

import Outbox
import OutboxStore
import Postgres
import Testing

@Suite struct RescueTests {
    private func takeOver(
        _ db: TestDatabase, _ dead: Int64, by worker: Int64, epoch: Int32 = 1, most: Int32 = 100
    ) async throws -> [Rescue] {
        try await RescueStore.takeOver(
            worker: worker, dead: SuspectedWorker(id: dead, epoch: epoch), most: most, on: db.connection)
    }

    @Test func claimOfADeadWorkerIsTakenOverOnce() async throws {
        try await withRollback { db in
            let ids = try await db.emit(3)
            let dead = try await db.worker()
            let claim = try #require(try await db.claim(dead))
            try await db.expire(dead)
            let (first, second) = (try await db.worker(), try await db.worker())
            let rescues = try await takeOver(db, dead, by: first)
            #expect(rescues.map(\.claim.id) == [claim.id])
            #expect(rescues[0].claim.ids == ids)
            #expect(rescues[0].claim.rescues == 1)
            #expect(try await takeOver(db, dead, by: second).isEmpty)
            #expect(try await RescueStore.sweep(worker: second, most: 9, on: db.connection).isEmpty)
        }
    }

    @Test func ofManyRescuersAtOnceOneWins() async throws {
        try await withDatabase { db in
            try await db.emit(2)
            let dead = try await db.worker()
            _ = try await db.claim(dead)
            try await db.expire(dead)
            let won = try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<8 {
                    let connection = try await db.connect()
                    let worker = try await db.worker()
                    group.addTask {
                        let suspect = SuspectedWorker(id: dead, epoch: 1)
                        return try await RescueStore.takeOver(worker: worker, dead: suspect, most: 9, on: connection).count
                    }
                }
                return try await group.reduce(into: [Int]()) { $0.append($1) }
            }
            #expect(won.sorted() == [0, 0, 0, 0, 0, 0, 0, 1])
            #expect(try await db.line("SELECT epoch, alive FROM postrider.webhook_workers WHERE id = \(dead)") == "2|f")
        }
    }

    @Test func livingWorkerKeepsItsClaims() async throws {
        try await withRollback { db in
            try await db.emit()
            let (alive, rescuer) = (try await db.worker(), try await db.worker())
            _ = try await db.claim(alive)
            #expect(try await takeOver(db, alive, by: rescuer).isEmpty)
            #expect(try await RescueStore.sweep(worker: rescuer, most: 9, on: db.connection).isEmpty)
            #expect(try await db.line("SELECT alive, epoch FROM postrider.webhook_workers WHERE id = \(alive)") == "t|1")
        }
    }

    @Test func heartbeatThatComesFirstSavesTheWorker() async throws {
        try await withRollback { db in
            try await db.emit()
            let (late, rescuer) = (try await db.worker(), try await db.worker())
            _ = try await db.claim(late)
            try await db.expire(late)
            let pulse = try await WorkerStore.heartbeat(worker: late, within: .seconds(5), on: db.connection)
            #expect(pulse.isAlive)
            try await db.prolong(late)
            #expect(try await takeOver(db, late, by: rescuer).isEmpty)
        }
    }

    @Test func suspectSeenWithAnOlderEpochIsLeftAlone() async throws {
        try await withRollback { db in
            try await db.emit()
            let (dead, rescuer) = (try await db.worker(), try await db.worker())
            _ = try await db.claim(dead)
            try await db.expire(dead)
            #expect(try await takeOver(db, dead, by: rescuer, epoch: 7).isEmpty)
            #expect(try await takeOver(db, dead, by: rescuer, epoch: 1).count == 1)
        }
    }

    @Test func restOfALargeTakeoverIsFoundBySweeps() async throws {
        try await withRollback { db in
            try await db.emit(5)
            let (dead, rescuer) = (try await db.worker(), try await db.worker())
            for _ in 0..<5 { _ = try await db.claim(dead, 1) }
            try await db.expire(dead)
            #expect(try await takeOver(db, dead, by: rescuer, most: 2).count == 2)
            #expect(try await RescueStore.sweep(worker: rescuer, most: 2, on: db.connection).count == 2)
            #expect(try await RescueStore.sweep(worker: rescuer, most: 2, on: db.connection).count == 1)
            #expect(try await RescueStore.sweep(worker: rescuer, most: 2, on: db.connection).isEmpty)
            let holders = "SELECT DISTINCT worker_id, rescues FROM postrider.webhook_claims"
            #expect(try await db.lines(holders) == ["\(rescuer)|1"])
        }
    }

    @Test func sweepFindsClaimsOfWorkersThatSaidFarewellOrAreUnknown() async throws {
        try await withRollback { db in
            let ids = try await db.emit(3)
            let (leaving, unknown, rescuer) = (try await db.worker(), try await db.worker(), try await db.worker())
            _ = try await db.claim(leaving, 1)
            _ = try await db.claim(unknown, 1)
            _ = try await db.claim(rescuer, 1)
            try await db.run("DELETE FROM postrider.webhook_workers WHERE id = \(unknown)")
            try await WorkerStore.farewell(worker: leaving, on: db.connection)
            let rescues = try await RescueStore.sweep(worker: rescuer, most: 9, on: db.connection)
            #expect(rescues.flatMap(\.claim.ids).sorted() == Array(ids[..<2]))
        }
    }

    /// A rescuer that dies is rescued like anybody, and the count of rescues goes on.
    @Test func rescuesOfAClaimAreCounted() async throws {
        try await withRollback { db in
            try await db.emit()
            var holder = try await db.worker()
            _ = try await db.claim(holder)
            for count in 1...5 {
                try await db.expire(holder)
                let next = try await db.worker()
                var rescues = try await takeOver(db, holder, by: next)
                // What two died of is taken by the sweep alone, with care.
                #expect(rescues.isEmpty == (count > 2))
                rescues += try await RescueStore.sweep(worker: next, most: 9, on: db.connection)
                #expect(rescues.map(\.claim.rescues) == [count])
                holder = next
            }
        }
    }

    @Test func forgottenClaimsAreThoseTheWorkerDoesNotKnow() async throws {
        try await withRollback { db in
            let ids = try await db.emit(2)
            let (worker, other) = (try await db.worker(), try await db.worker())
            let known = try #require(try await db.claim(worker, 1))
            let lost = try #require(try await db.claim(worker, 1))
            let find = { (known: [Int64], age: Duration, worker: Int64) in
                try await RescueStore.forgotten(worker: worker, known: known, olderThan: age, on: db.connection)
            }
            let found = try await find([known.id], .zero, worker)
            #expect(found.map(\.claim.id) == [lost.id])
            #expect(found[0].claim.ids == [ids[1]])
            #expect(found[0].claim.rescues == 0)
            #expect(try await find([known.id], .seconds(60), worker).isEmpty)
            #expect(try await find([known.id, lost.id], .zero, worker).isEmpty)
            #expect(try await find([], .zero, other).isEmpty)
        }
    }

    // MARK: Adopting

    /// Two claims of one event each that a worker has taken over and not loaded yet.
    private func seized(_ db: TestDatabase, by rescuer: Int64) async throws -> [SeizedClaim] {
        let dead = try await db.worker()
        for _ in 0..<2 { _ = try await db.claim(dead, 1) }
        try await db.expire(dead)
        let claims = try await RescueStore.seize(
            worker: rescuer, dead: SuspectedWorker(id: dead, epoch: 1), most: 9, on: db.connection)
        return claims.sorted { $0.id < $1.id }
    }

    @Test func claimThatIsAdoptedElsewhereIsNotLoaded() async throws {
        try await withRollback { db in
            let ids = try await db.emit(2)
            let claims = try await seized(db, by: try await db.worker())
            try #require(claims.count == 2)
            #expect(claims.map(\.rescues) == [1, 1])
            let rescuer = Rescuer(knowing: [claims[0].id])
            let count = try await RescueStore.load(claims, into: rescuer, on: db.connection)
            #expect(count == 1)
            let log = rescuer.log
            #expect(log.asked == claims.map(\.id))
            #expect(log.rescues.map(\.claim.id) == [claims[1].id])
            #expect(log.rescues.flatMap(\.claim.ids) == [ids[1]])
            #expect(log.abandoned.isEmpty)
        }
    }

    /// Between the takeover and the adoption another task of the worker may have sent it and recorded that.
    @Test func whatWasRecordedBeforeTheAdoptionComesSettled() async throws {
        try await withRollback { db in
            let ids = try await db.emit(2)
            let worker = try await db.worker()
            let claims = try await seized(db, by: worker)
            var settlement = Settlement()
            settlement.deliver(ids[0], 1)
            try await db.settle(settlement, worker)
            let rescuer = Rescuer()
            try await RescueStore.load(claims, into: rescuer, on: db.connection)
            let settled = rescuer.log.rescues.map(\.settled)
            try #require(settled.count == 2)
            #expect(settled[0] == [DeliveryKey(event: ids[0], destination: 1)])
            #expect(settled[1].isEmpty)
        }
    }

    @Test func claimThatCannotBeLoadedIsAbandonedAndTheRestIsNotAdopted() async throws {
        try await withRollback { db in
            try await db.emit(2)
            let claims = try await seized(db, by: try await db.worker())
            try #require(claims.count == 2)
            let lost = try await db.connect()
            await lost.close()
            let rescuer = Rescuer()
            await #expect(throws: PostgresError.self) {
                try await RescueStore.load(claims, into: rescuer, on: lost)
            }
            let log = rescuer.log
            #expect(log.asked == [claims[0].id])
            #expect(log.abandoned == [claims[0].id])
            #expect(log.rescues.isEmpty)
        }
    }
}
