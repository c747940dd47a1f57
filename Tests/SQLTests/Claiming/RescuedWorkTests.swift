// What of a rescued claim is still to be done: never what is recorded already, always what is not.

import Outbox
import OutboxStore
import Postgres
import Testing

@Suite struct RescuedWorkTests {
    /// Lets a worker die and gives its only claim to another.
    private func rescue(_ db: TestDatabase, _ dead: Int64) async throws -> Rescue {
        try await db.expire(dead)
        let rescuer = try await db.worker("rescuer")
        let suspect = SuspectedWorker(id: dead, epoch: 1)
        let rescues = try await RescueStore.takeOver(worker: rescuer, dead: suspect, most: 9, on: db.connection)
        return try #require(rescues.first)
    }

    @Test func fanOutComesWithTheDeliveriesThatAreSettled() async throws {
        try await withRollback { db in
            let ids = try await db.emit(4)
            let worker = try await db.worker()
            let claim = try #require(try await db.claim(worker))
            var settlement = Settlement()
            settlement.deliver(ids[0], 1)
            settlement.fail(ids[1], 1, next: .retry(afterMilliseconds: 1000), claim: claim.id)
            settlement.fail(ids[1], 2, next: .dead, claim: claim.id)
            settlement.snooze(event: ids[2], target: .init(destination: 3, attempt: 1), next: .park, claim: claim.id)
            try await db.settle(settlement, worker)
            let rescue = try await rescue(db, worker)
            // Which destinations are subscribed is for the router to say, so every event comes along.
            #expect(rescue.claim.ids == ids)
            #expect(
                rescue.settled == [
                    DeliveryKey(event: ids[0], destination: 1), DeliveryKey(event: ids[1], destination: 1),
                    DeliveryKey(event: ids[1], destination: 2), DeliveryKey(event: ids[2], destination: 3),
                ])
        }
    }

    /// What a dead worker had put back, and another one has taken since, is that one's.
    @Test func retriesThatOthersHoldAreSettled() async throws {
        try await withRollback { db in
            let ids = try await db.emit(2)
            let (worker, other) = (try await db.worker(), try await db.worker("other"))
            let claim = try #require(try await db.claim(worker))
            var settlement = Settlement()
            for id in ids {
                let target = Claim.Target(destination: 1, attempt: 1)
                settlement.snooze(event: id, target: target, next: .retry(afterMilliseconds: 0), claim: claim.id)
            }
            try await db.settle(settlement, worker)
            let retries = try #require(try await db.claimRetries(other, [(id: 1, most: 1)]))
            let rescue = try await rescue(db, worker)
            #expect(rescue.claim.ids == ids)
            #expect(rescue.settled == Set(ids.map { DeliveryKey(event: $0, destination: 1) }))
            // Nor does its own claim hide them when the other one dies.
            try await db.expire(other)
            let suspect = SuspectedWorker(id: other, epoch: 1)
            let rescues = try await RescueStore.takeOver(worker: db.worker("third"), dead: suspect, most: 9, on: db.connection)
            #expect(rescues.map(\.claim.ids) == [retries.ids])
        }
    }

    @Test func factOfALostClaimSettlesNothing() async throws {
        try await withRollback { db in
            let ids = try await db.emit(1)
            let worker = try await db.worker()
            let claim = try #require(try await db.claim(worker))
            var settlement = Settlement()
            settlement.fail(ids[0], 1, next: .dead, claim: claim.id + 1)
            try await db.settle(settlement, worker)
            #expect(try await db.lines("SELECT outcome FROM postrider.webhook_attempts") == ["3"])
            #expect(try await rescue(db, worker).settled.isEmpty)
        }
    }

    @Test func retriesComeWithoutTheTargetsThatAreSettled() async throws {
        try await withRollback { db in
            let ids = try await db.emit(3)
            let worker = try await db.worker()
            let first = try #require(try await db.claim(worker))
            // All of them failed once; the first also at a second destination.
            var failures = Settlement()
            for id in ids { failures.fail(id, 1, next: .retry(afterMilliseconds: 0), claim: first.id) }
            failures.fail(ids[0], 2, next: .retry(afterMilliseconds: 0), claim: first.id)
            failures.finish(claim: first.id)
            try await db.settle(failures, worker)
            let claim = try #require(try await db.claimRetries(worker, [(id: 1, most: 9), (id: 2, most: 9)]))
            #expect(claim.work.count == 4)
            // One is delivered, one is dead, one of the event with two destinations fails again.
            var outcomes = Settlement()
            outcomes.deliver(ids[1], 1, number: 2)
            outcomes.fail(ids[2], 1, number: 2, next: .dead, claim: claim.id)
            outcomes.fail(ids[0], 2, number: 2, next: .retry(afterMilliseconds: 60_000), claim: claim.id)
            try await db.settle(outcomes, worker)
            let rescue = try await rescue(db, worker)
            #expect(rescue.claim.ids == [ids[0]])
            #expect(rescue.claim.work[0].target == .init(destination: 1, attempt: 2))
            #expect(rescue.settled.isEmpty)
        }
    }

    @Test func replayOfADeadWorkerStaysOne() async throws {
        try await withRollback { db in
            let ids = try await db.emit(3)
            let worker = try await db.worker()
            try await db.run("DELETE FROM postrider.webhook_queue")
            for (place, id) in ids.enumerated() {
                try await db.run(
                    """
                    INSERT INTO postrider.webhook_retries (event_id, due_at, destination_id, attempt_number, is_replay)
                    VALUES ('\(id)', now() - interval '\(9 - place) seconds', 1, 1, \(place != 1))
                    """)
            }
            let claim = try #require(try await db.claimRetries(worker, [(id: 1, most: 9)]))
            #expect(claim.work.map(\.target?.isReplay) == [true, false, true])
            // Its claim is cut down to what takes long before it dies.
            var settlement = Settlement()
            settlement.deliver(ids[0], 1)
            for work in claim.work.suffix(2) {
                settlement.keep(event: work.event.id, target: try #require(work.target), claim: claim.id)
            }
            try await db.settle(settlement, worker)
            let rescue = try await rescue(db, worker)
            let marks = Dictionary(uniqueKeysWithValues: rescue.claim.work.map { ($0.event.id, $0.target?.isReplay) })
            #expect(marks == [ids[1]: false, ids[2]: true])
        }
    }

    @Test func bothRetriesOfOneEventComeWhenNeitherIsSettled() async throws {
        try await withRollback { db in
            let id = try await db.emit()[0]
            let worker = try await db.worker()
            let first = try #require(try await db.claim(worker))
            var failures = Settlement()
            for destination: Int32 in [4, 5] {
                failures.fail(id, destination, next: .retry(afterMilliseconds: 0), claim: first.id)
            }
            failures.finish(claim: first.id)
            try await db.settle(failures, worker)
            _ = try #require(try await db.claimRetries(worker, [(id: 4, most: 9), (id: 5, most: 9)]))
            let rescue = try await rescue(db, worker)
            #expect(rescue.claim.ids == [id, id])
            #expect(Set(rescue.claim.work.compactMap { $0.target?.destination }) == [4, 5])
            #expect(rescue.claim.work.allSatisfy { $0.target?.attempt == 2 })
        }
    }

    @Test func fullySettledClaimComesEmptySoThatItCanBeFinished() async throws {
        try await withRollback { db in
            let id = try await db.emit()[0]
            let worker = try await db.worker()
            let first = try #require(try await db.claim(worker))
            var failure = Settlement()
            failure.fail(id, 1, next: .retry(afterMilliseconds: 0), claim: first.id)
            failure.finish(claim: first.id)
            try await db.settle(failure, worker)
            let claim = try #require(try await db.claimRetries(worker, [(id: 1, most: 9)]))
            var success = Settlement()
            success.deliver(id, 1, number: 2)
            try await db.settle(success, worker)
            let rescue = try await rescue(db, worker)
            #expect(rescue.claim.id == claim.id)
            #expect(rescue.claim.work.isEmpty)
        }
    }

    /// A claim of a thousand events on a server that needs longer for all of them than it is given for one answer.
    @Test func largeClaimOnASlowServerIsReadToItsEnd() async throws {
        try await withRollback { db in
            let ids = try await db.emitAtOnce(1_000)
            let worker = try await db.worker()
            let claim = try #require(try await db.claim(worker, 1_000))
            #expect(claim.ids == ids)
            try await db.expire(worker)
            let rescuer = try await db.worker("rescuer")
            try await db.run(
                """
                -- Once for each statement that reads events, however many.
                CREATE FUNCTION public.slowly() RETURNS boolean LANGUAGE plpgsql AS $$
                BEGIN
                    IF current_setting('slow.at', true) IS DISTINCT FROM statement_timestamp()::text THEN
                        PERFORM set_config('slow.at', statement_timestamp()::text, true), pg_sleep(1.5);
                    END IF;
                    RETURN true;
                END $$;
                CREATE POLICY slow ON postrider.webhook_event_log AS RESTRICTIVE USING (public.slowly());
                SET LOCAL ROLE postrider_worker
                """)
            let suspect = SuspectedWorker(id: worker, epoch: 1)
            let seized = try await RescueStore.seize(worker: rescuer, dead: suspect, most: 9, on: db.connection)
            let (holder, timeout) = (Rescuer(), Duration.seconds(5))
            let lasted = try await ContinuousClock().measure {
                try await RescueStore.load(seized, into: holder, on: db.connection, timeout: timeout)
            }
            #expect(lasted > timeout)
            #expect(holder.log.rescues.map(\.claim.ids) == [ids])
        }
    }

    /// Events at both ends of each portion, and retries of which some are recorded.
    @Test func retriesOfALargeClaimComeWithoutWhatIsSettled() async throws {
        try await withRollback { db in
            let ids = try await db.emitAtOnce(600)
            let worker = try await db.worker()
            let first = try #require(try await db.claim(worker, 600))
            var failures = Settlement()
            for id in ids { failures.fail(id, 1, next: .retry(afterMilliseconds: 0), claim: first.id) }
            failures.finish(claim: first.id)
            try await db.settle(failures, worker)
            let claim = try #require(try await db.claimRetries(worker, [(id: 1, most: 600)]))
            #expect(claim.work.count == 600)
            let done = [0, 255, 256, 511, 512, 599]
            var outcomes = Settlement()
            for index in done { outcomes.deliver(ids[index], 1, number: 2) }
            try await db.settle(outcomes, worker)
            let rescue = try await rescue(db, worker)
            #expect(rescue.claim.ids == ids.indices.filter { !done.contains($0) }.map { ids[$0] })
        }
    }

    @Test func heavyAndErasedEventsAreToldApart() async throws {
        try await withRollback { db in
            let ids = try await db.emit(2)
            let heavy = try await db.line(
                """
                SELECT postrider.emit('a.large', jsonb_build_object('t',
                    (SELECT string_agg(sha256(n::text::bytea)::text, '') FROM generate_series(1, 1000) AS n)))
                """)
            let worker = try await db.worker()
            _ = try #require(try await db.claim(worker))
            try await db.run("DELETE FROM postrider.webhook_event_log WHERE id = '\(ids[0])'")
            let work = try await rescue(db, worker).claim.work
            #expect(work.map(\.event.id.description) == [ids[1].description, heavy])
            #expect(work.map(\.isHeavy) == [false, true])
        }
    }
}
