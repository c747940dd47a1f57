// Events that kill their workers: cut out of their claims, taken one at a time, given up after five deaths.

import Outbox
import OutboxStore
import Postgres
import Testing

@Suite struct PoisonTests {
    /// One more worker takes what it can and dies with all of it.
    private func die(_ db: TestDatabase) async throws -> [Claim] {
        let worker = try await db.worker()
        let taken = try await RescueStore.sweep(worker: worker, most: 50, on: db.connection)
        try await WorkerStore.farewell(worker: worker, on: db.connection)
        return taken.map(\.claim)
    }

    @Test func claimIsCutIntoSmallerPiecesWithEveryDeath() async throws {
        try await withRollback { db in
            try await db.emitAtOnce(100)
            let first = try await db.worker()
            #expect(try await db.claim(first, 100)?.work.count == 100)
            try await WorkerStore.farewell(worker: first, on: db.connection)
            // Two may have been bad luck.
            #expect(try await die(db).map(\.rescues) == [1])
            #expect(try await die(db).map(\.rescues) == [2])
            let pieces = try await die(db)
            #expect(pieces.map(\.work.count) == [32])
            #expect(pieces.map(\.rescues) == [3])
            #expect(try await db.count("postrider.webhook_claims") == 4)
            // The other pieces first: they have killed fewer.
            var taken: [Int] = []
            for _ in 0..<3 { taken += try await die(db).map(\.work.count) }
            #expect(taken.sorted() == [4, 32, 32])
            let single = try await die(db)
            #expect(single.map(\.work.count) == [1])
            #expect(single.map(\.rescues) == [4])
            #expect(try await db.line("SELECT sum(cardinality(event_ids)) FROM postrider.webhook_claims") == "100")
        }
    }

    @Test func suspectsAreTakenOneAtATime() async throws {
        try await withRollback { db in
            let ids = try await db.emit(3)
            let list = ids.map { "'\($0)'" }.joined(separator: ",")
            try await db.run(
                """
                INSERT INTO postrider.webhook_claims (worker_id, event_ids, destination_ids, attempt_numbers, are_replays, rescues)
                VALUES (0, ARRAY[\(list)]::uuid[], '{1,2,3}', '{4,5,6}', '{f,t,f}', 3)
                """)
            let worker = try await db.worker()
            let first = try await RescueStore.sweep(worker: worker, most: 50, on: db.connection)
            #expect(first.map(\.claim.work.count) == [1])
            #expect(first[0].claim.work[0].target == Claim.Target(destination: 1, attempt: 4))
            #expect(try await RescueStore.sweep(worker: worker, most: 50, on: db.connection).isEmpty)
            _ = try await db.connection.pipeline([ClaimStore.finish(worker: worker, claims: first.map(\.claim.id))])
            let second = try await RescueStore.sweep(worker: worker, most: 50, on: db.connection)
            #expect(second[0].claim.work[0].target == Claim.Target(destination: 2, attempt: 5, isReplay: true))
            #expect(second[0].claim.rescues == 4)
        }
    }

    @Test func claimIsCutDownToWhatIsLeftOfIt() async throws {
        try await withRollback { db in
            let ids = try await db.emit(5)
            let id = try await db.endpoint()
            let (worker, rescuer) = (try await db.worker(), try await db.worker())
            let claim = try #require(try await db.claim(worker))
            var settlement = Settlement()
            for event in ids.prefix(3) { settlement.deliver(event, id) }
            for event in ids.suffix(2) {
                settlement.keep(event: event, target: Claim.Target(destination: id, attempt: 1), claim: claim.id)
            }
            try await db.settle(settlement, worker)
            #expect(try await db.line("SELECT cardinality(event_ids), destination_ids FROM postrider.webhook_claims") == "2|{\(id),\(id)}")
            try await db.expire(worker)
            let rescues = try await RescueStore.takeOver(
                worker: rescuer, dead: SuspectedWorker(id: worker, epoch: 1), most: 9, on: db.connection)
            #expect(rescues[0].claim.ids == Array(ids.suffix(2)))
            #expect(rescues[0].claim.work.map(\.target) == Array(repeating: Claim.Target(destination: id, attempt: 1), count: 2))
            // The dead worker cuts nothing any more.
            var late = Settlement()
            late.keep(event: ids[0], target: Claim.Target(destination: id, attempt: 1), claim: claim.id)
            try await db.settle(late, worker)
            #expect(try await db.line("SELECT cardinality(event_ids) FROM postrider.webhook_claims") == "2")
        }
    }

    /// As it is while the server is away for longer: what a claim was cut down to before is cut down again.
    @Test func claimThatIsCutDownTwiceHoldsADeliveryOnce() async throws {
        try await withRollback { db in
            let ids = try await db.emit(3)
            let id = try await db.endpoint()
            let (worker, rescuer) = (try await db.worker(), try await db.worker())
            let claim = try #require(try await db.claim(worker))
            var settlement = Settlement()
            settlement.deliver(ids[0], id)
            for event in [ids[1], ids[2], ids[2]] {
                settlement.keep(event: event, target: Claim.Target(destination: id, attempt: 1), claim: claim.id)
            }
            try await db.settle(settlement, worker)
            #expect(
                try await db.line("SELECT event_ids, destination_ids, attempt_numbers, are_replays FROM postrider.webhook_claims")
                    == "{\(ids[1]),\(ids[2])}|{\(id),\(id)}|{1,1}|{f,f}")
            try await db.expire(worker)
            let rescues = try await RescueStore.takeOver(
                worker: rescuer, dead: SuspectedWorker(id: worker, epoch: 1), most: 9, on: db.connection)
            #expect(rescues[0].claim.ids == Array(ids.suffix(2)))
        }
    }
}
