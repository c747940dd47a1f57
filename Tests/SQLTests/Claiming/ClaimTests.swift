// How waiting events are claimed: which, how many, by whom, and what the claim carries.

import Outbox
import OutboxStore
import Postgres
import TestSupport
import Testing

@Suite struct ClaimTests {
    @Test func claimSkipsRowsLockedByAnother() async throws {
        try await withDatabase { db in
            let ids = try await db.emit(6)
            let other = try await db.connect()
            let (first, second) = (try await db.worker("first"), try await db.worker("second"))
            try await other.run("BEGIN")
            let held = try await other.claim(first, 4)
            let claim = try await db.claim(second)
            #expect(held?.ids == Array(ids[..<4]))
            #expect(claim?.ids == Array(ids[4...]))
            try await other.run("ROLLBACK")
            // What the other let go can be claimed again, at once.
            #expect(try await db.claim(second)?.ids == Array(ids[..<4]))
        }
    }

    @Test func oldEventsAreClaimedBeforeYoungOnes() async throws {
        try await withRollback { db in
            let ids = try await db.emit(5)
            let worker = try await db.worker()
            #expect(try await db.claim(worker, 3)?.ids == Array(ids[..<3]))
            #expect(try await db.claim(worker, 3)?.ids == Array(ids[3...]))
            #expect(try await db.claim(worker, 3) == nil)
        }
    }

    @Test func prioritiesComeFirst() async throws {
        try await withRollback { db in
            let low = try await db.emit(2, priority: 2)
            let normal = try await db.emitAtOnce(3)
            let high = try await db.emit(2, priority: 0)
            let claim = try #require(try await db.claim(db.worker()))
            #expect(claim.ids == high + normal + low)
            #expect(claim.work.map(\.event.priority) == [0, 0, 1, 1, 1, 2, 2])
        }
    }

    /// 200 events of one statement stand in four rows: 64, 64, 64 and 8.
    @Test(arguments: [(1, 64), (64, 64), (65, 128), (128, 128), (129, 192), (193, 200), (1000, 200)])
    func claimStopsAtTheRowThatReachesTheWantedNumber(wanted: Int32, got: Int) async throws {
        try await withRollback { db in
            let ids = try await db.emitAtOnce(200)
            #expect(try await db.count("postrider.webhook_queue") == 4)
            let claim = try #require(try await db.claim(db.worker(), wanted))
            #expect(claim.ids == Array(ids[..<got]))
            #expect(
                try await db.line("SELECT coalesce(sum(1 + coalesce(cardinality(more), 0)), 0) FROM postrider.webhook_queue")
                    == "\(200 - got)")
        }
    }

    @Test func claimLooksAtNoMoreRowsThanAsked() async throws {
        try await withRollback { db in
            try await db.emitAtOnce(200)
            #expect(try await db.claim(db.worker(), 1000, rows: 2)?.work.count == 128)
        }
    }

    @Test func emptyClaimWritesNothing() async throws {
        try await withDatabase { db in
            let worker = try await db.worker()
            try await db.run("BEGIN")
            #expect(try await db.claim(worker) == nil)
            #expect(try await db.claimRetries(worker, [(id: 1, most: 10)]) == nil)
            #expect(try await db.line("SELECT pg_current_xact_id_if_assigned()") == "∅")
            try await db.run("COMMIT")
            #expect(try await db.count("postrider.webhook_claims") == 0)
        }
    }

    @Test func uncommittedAndRolledBackEventsAreNotClaimed() async throws {
        try await withDatabase { db in
            let worker = try await db.worker()
            let producer = try await db.connect()
            try await producer.run("BEGIN; SELECT postrider.emit('a.b', '{}')")
            #expect(try await db.claim(worker) == nil)
            try await producer.run("ROLLBACK")
            #expect(try await db.claim(worker) == nil)
            try await producer.run("BEGIN; SELECT postrider.emit('a.b', '{}'); COMMIT")
            #expect(try await db.claim(worker)?.work.count == 1)
        }
    }

    @Test func claimIsOneRowWithItsEvents() async throws {
        try await withRollback { db in
            let ids = try await db.emit(3)
            let worker = try await db.worker()
            let claim = try #require(try await db.claim(worker))
            #expect(claim.rescues == 0)
            let stored = try await db.lines(
                "SELECT id, worker_id, array_to_string(event_ids, ','), destination_ids FROM postrider.webhook_claims")
            #expect(stored == ["\(claim.id)|\(worker)|\(ids.map(\.description).joined(separator: ","))|∅"])
            #expect(try await db.count("postrider.webhook_queue") == 0)
        }
    }

    @Test func claimCarriesEveryFieldOfTheEvent() async throws {
        try await withRollback { db in
            try await db.run(
                """
                SELECT postrider.emit('lead.created', '{"name": "José", "n": 1.50}', 'org', 'user', 'record', 'key', 0);
                SELECT postrider.emit('lead.created', '[]')
                """)
            let claim = try #require(try await db.claim(db.worker()))
            let full = claim.work[0].event
            #expect(full.type == "lead.created" && full.priority == 0)
            #expect([full.organization, full.user, full.recordID, full.orderingKey] == ["org", "user", "record", "key"])
            #expect(String(decoding: full.data, as: UTF8.self) == #"{"n": 1.50, "name": "José"}"#)
            let micros = "SELECT (extract(epoch FROM created_at) * 1000000)::bigint FROM postrider.webhook_events"
            #expect(try await db.line("\(micros) WHERE id = '\(full.id)'") == "\(full.createdAtMicroseconds)")
            #expect(abs(full.id.createdAtMilliseconds - full.createdAtMicroseconds / 1000) < 20_000)
            let bare = claim.work[1].event
            #expect([bare.organization, bare.user, bare.recordID, bare.orderingKey] == [nil, nil, nil, nil])
            #expect(claim.work.allSatisfy { !$0.isHeavy && $0.target == nil })
        }
    }

    @Test func largePayloadIsLeftOutAndLoadedByItself() async throws {
        try await withRollback { db in
            // Digests, because what compresses well is small as stored: it comes along unless it is large nevertheless.
            try await db.run(
                """
                SELECT postrider.emit('a.large', jsonb_build_object('t',
                    (SELECT string_agg(sha256(n::text::bytea)::text, '') FROM generate_series(1, 1000) AS n)));
                SELECT postrider.emit('a.compressible', jsonb_build_object('t', repeat('x', 50000)));
                SELECT postrider.emit('a.repetitive', jsonb_build_object('t', repeat('x', 1000000)))
                """)
            #expect(try await db.count("postrider.webhook_event_log WHERE pg_column_size(data) <= 16384") == 2)
            let claim = try #require(try await db.claim(db.worker()))
            #expect(claim.work.map(\.isHeavy) == [true, false, true])
            #expect(claim.work[0].event.data.isEmpty)
            #expect(claim.work[1].event.data.count == 50_009)
            #expect(claim.work[2].event.data.isEmpty)
            let payload = try await ClaimStore.payload(of: claim.ids[0], on: db.connection)
            let text = try #require({ if case .data(let text) = payload { text } else { nil } }() as [UInt8]?)
            #expect(text.count == 67_009)
            #expect(try await ClaimStore.payload(of: EventID(high: 1, low: 1), on: db.connection) == .gone)
        }
    }

    /// Whether Postgres compressed it or not.
    @Test(arguments: [
        "repeat('x', 1000000)",
        "(SELECT string_agg(sha256(n::text::bytea)::text, '') FROM generate_series(1, 1000) AS n)",
    ])
    func payloadLargerThanTheMostIsNotRead(text: String) async throws {
        try await withRollback { db in
            try await db.run("SELECT postrider.emit('a.large', jsonb_build_object('t', \(text)))")
            let claim = try #require(try await db.claim(db.worker()))
            // As jsonb, not as text: with what its one member takes beside its characters.
            let size = try await db.line("SELECT pg_column_size(ARRAY[data]) FROM postrider.webhook_event_log")
            let bytes = try #require(Int32(size))
            // The array itself takes some of them.
            for (limit, isRead) in [(bytes, true), (bytes - 64, false)] {
                let payload = try await ClaimStore.payload(of: claim.ids[0], atMost: limit, on: db.connection)
                #expect((payload == .tooLarge) == !isRead)
            }
        }
    }

    @Test func eventWhoseRowWasErasedIsLeftOutOfItsClaim() async throws {
        try await withRollback { db in
            let ids = try await db.emit(3)
            try await db.run("DELETE FROM postrider.webhook_event_log WHERE id = '\(ids[1])'")
            #expect(try await db.claim(db.worker())?.ids == [ids[0], ids[2]])
        }
    }

    @Test func manyClaimersTakeEveryEventOnce() async throws {
        try await withDatabase { db in
            var all = try await db.emitAtOnce(500) + db.emitAtOnce(300, priority: 0)
            for _ in 0..<5 { all += try await db.emitAtOnce(40, priority: 2) }
            all += try await db.emit(100)
            let taken = try await withThrowingTaskGroup(of: [EventID].self) { group in
                for _ in 0..<8 {
                    let connection = try await db.connect()
                    let worker = try await db.worker()
                    group.addTask {
                        try await withDeadline(.seconds(60), "the queue to empty") {
                            try await Self.claimAll(on: connection, worker: worker)
                        }
                    }
                }
                return try await group.reduce(into: [EventID]()) { $0 += $1 }
            }
            #expect(taken.count == all.count)
            #expect(Set(taken) == Set(all))
            #expect(try await db.line("SELECT sum(cardinality(event_ids)) FROM postrider.webhook_claims") == "1100")
        }
    }

    /// Claims until the queue is empty for everybody.
    private static func claimAll(on connection: Connection, worker: Int64) async throws -> [EventID] {
        var ids: [EventID] = []
        while true {
            guard let claim = try await connection.claim(worker, 30) else {
                // Nothing for me may mean that others hold the rest for a moment.
                if try await connection.lines("SELECT count(*) FROM postrider.webhook_queue") == ["0"] { return ids }
                continue
            }
            ids += claim.ids
        }
    }

    /// A crash of Postgres takes back what a sequence gave last, and a worker may hold the claim that it was given for.
    @Test func idsOfClaimsAreOfNoSequence() async throws {
        try await withRollback { db in
            #expect(try await db.line("SELECT pg_get_serial_sequence('postrider.webhook_claims', 'id')") == "∅")
            let claim = "INSERT INTO postrider.webhook_claims (worker_id, event_ids) VALUES (1, '{}') RETURNING id"
            var ids: [Int64] = []
            for _ in 0..<100 { ids.append(try #require(Int64(try await db.line(claim)))) }
            #expect(ids == ids.sorted() && Set(ids).count == 100)
            // No clock that was set back gives the same ones.
            #expect(Set(ids.map { $0 & 4095 }).count > 50)
        }
    }

    /// Whoever writes events may give them any time. One that no worker could hold would end all that claim it.
    @Test(arguments: [
        ("infinity", Int64.max), ("294276-12-31Z", Int64.max), ("-infinity", Int64.min + 946_684_800_000_000), ("1970-01-01Z", Int64(0)),
    ])
    func eventsOfAnyTimeAreClaimed(time: String, microseconds: Int64) async throws {
        try await withRollback { db in
            try await db.run("INSERT INTO postrider.webhook_events (event_type, data, created_at) VALUES ('a.b', '{}', '\(time)')")
            let worker = try await db.worker()
            let claim = try #require(try await db.claim(worker))
            #expect(claim.work.map(\.event.createdAtMicroseconds) == [microseconds])
            // Nor those that take the claim over.
            try await db.expire(worker)
            let rescues = try await RescueStore.takeOver(
                worker: db.worker(), dead: SuspectedWorker(id: worker, epoch: 1), most: 9, on: db.connection)
            #expect(rescues.first?.claim.work.map(\.event.createdAtMicroseconds) == [microseconds])
        }
    }
}
