// The doorbell rings when nobody is awake to see the event anyway, and only then.

import OutboxStore
import Postgres
import Synchronization
import TestSupport
import Testing

@Suite struct DoorbellTests {
    /// Listens on a connection of its own.
    private struct Ears {
        private let db: TestDatabase
        private let connection: Connection
        private let stream: AsyncStream<Notification>

        init(_ db: TestDatabase) async throws {
            self.db = db
            connection = try await db.connect()
            try await connection.listen("postrider_wake")
            try await WorkerStore.hearBell(on: connection)
            stream = connection.notifications()
        }

        /// How often it rang so far: everything heard before a sign of our own.
        func rings() async throws -> Int { try await heard().count }

        /// What it said so far.
        func heard() async throws -> [String] {
            try await db.run("NOTIFY postrider_wake, 'so far'")
            return try await withDeadline(.seconds(20), "a sign of our own") { [stream] in
                var payloads: [String] = []
                for await heard in stream {
                    if heard.payload == "so far" { break }
                    payloads.append(heard.payload)
                }
                return payloads
            }
        }
    }

    @Test func ringsWhenNobodyHoldsTheBell() async throws {
        try await withDatabase { db in
            let ears = try await Ears(db)
            try await db.emit()
            #expect(try await ears.rings() == 1)
            try await db.emitAtOnce(100)
            #expect(try await ears.rings() == 1)
        }
    }

    @Test func isSilentWhileAnyoneHoldsTheBell() async throws {
        try await withDatabase { db in
            let ears = try await Ears(db)
            let (first, second) = (try await db.connect(), try await db.connect())
            #expect(try await WorkerStore.setBell(held: true, on: first))
            #expect(try await WorkerStore.setBell(held: true, on: second))
            try await db.emit()
            #expect(try await ears.rings() == 0)
            #expect(try await !WorkerStore.setBell(held: false, on: first))
            try await db.emit()
            #expect(try await ears.rings() == 0)
            _ = try await WorkerStore.setBell(held: false, on: second)
            try await db.emit()
            #expect(try await ears.rings() == 1)
        }
    }

    @Test func isSilentWhileNoWorkerListens() async throws {
        try await withDatabase { db in
            let stranger = try await db.connect()
            try await stranger.listen("postrider_wake")
            let heard = stranger.notifications()
            try await db.emit()
            try await db.run("NOTIFY postrider_wake, 'so far'")
            let first = try await withDeadline(.seconds(20), "a sign of our own") { await heard.first { _ in true } }
            #expect(first?.payload == "so far")
            let ears = try await Ears(db)
            try await db.emit()
            #expect(try await ears.rings() == 1)
            #expect(try await db.count("pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()") == 0)
        }
    }

    /// Postgres refuses to PREPARE a transaction that has notified.
    @Test func isSilentForASessionThatSaysSo() async throws {
        try await withDatabase { db in
            let ears = try await Ears(db)
            try await db.run("SET postrider.doorbell = off")
            try await db.emit()
            #expect(try await ears.rings() == 0)
            try await db.run("RESET postrider.doorbell")
            try await db.emit()
            #expect(try await ears.rings() == 1)
            #expect(try await db.count("postrider.webhook_queue") == 2)
        }
    }

    @Test func ringsOnceForATransaction() async throws {
        try await withDatabase { db in
            let ears = try await Ears(db)
            try await db.run(
                "BEGIN; SELECT postrider.emit('a', '{}'); SELECT postrider.emit('b', '{}'); SELECT postrider.emit('c', '{}'); COMMIT")
            #expect(try await ears.rings() == 1)
        }
    }

    @Test func isSilentForWhatIsRolledBackAndForNothing() async throws {
        try await withDatabase { db in
            let ears = try await Ears(db)
            try await db.run("BEGIN; SELECT postrider.emit('a', '{}'); ROLLBACK")
            try await db.run("INSERT INTO postrider.webhook_events (event_type, data) SELECT 'a', '{}' WHERE false")
            try await db.run(
                """
                CREATE TABLE t (id int PRIMARY KEY);
                SELECT postrider.attach('t', 't.changed', '{insert,update,delete}');
                UPDATE t SET id = 1;
                DELETE FROM t
                """)
            #expect(try await ears.rings() == 0)
        }
    }

    @Test func producerIsLeftWithoutTheLock() async throws {
        try await withDatabase { db in
            try await db.run("BEGIN; SELECT postrider.emit('a', '{}')")
            #expect(try await db.count("pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()") == 0)
            try await db.run("COMMIT")
        }
    }

    /// A producer rings with an exclusive lock for a moment; a worker that takes the bell just then must get it later.
    @Test func bellCanBeTakenWhileProducersRing() async throws {
        try await withDatabase { db in
            let worker = try await db.connect()
            let producer = try await db.connect()
            let isOver = Atomic(false)
            async let producing: Void = {
                while !isOver.load(ordering: .acquiring) { try await producer.run("SELECT postrider.emit('a', '{}')") }
            }()
            var holds = 0
            do {
                defer { isOver.store(true, ordering: .releasing) }
                // A try fails when the producer rings just then, for long when it is made to wait in the middle of it.
                try await eventually("the bell to be taken a hundred times") {
                    guard try await WorkerStore.setBell(held: true, on: worker) else { return false }
                    holds += 1
                    _ = try await WorkerStore.setBell(held: false, on: worker)
                    return holds == 100
                }
            }
            try await producing
            #expect(try await WorkerStore.setBell(held: true, on: worker))
        }
    }

    @Test func destinationThatIsActiveAgainWakesWorkers() async throws {
        try await withDatabase { db in
            let ears = try await Ears(db)
            try await db.endpoint(settings: "is_active = false")
            #expect(try await ears.rings() == 0)
            try await db.run("UPDATE postrider.webhook_endpoints SET is_active = true")
            #expect(try await ears.rings() == 1)
        }
    }

    /// Hands the bell on and gives whether the worker may let go, and who was told.
    private func relay(_ worker: Int64, _ db: TestDatabase, _ ears: Ears) async throws -> (Bool, [String]) {
        let results = try await db.connection.pipeline([WorkerStore.relayBell(worker: worker)])
        return (try WorkerStore.readRelay(results[0]), try await ears.heard())
    }

    @Test func bellGoesFromOneLivingWorkerToTheNext() async throws {
        try await withDatabase { db in
            let ears = try await Ears(db)
            let holder = try await db.connect()
            #expect(try await WorkerStore.setBell(held: true, on: holder))
            let alone = try await db.worker()
            try await db.run("UPDATE postrider.webhook_workers SET has_lock = true")
            #expect(try await relay(alone, db, ears) == (false, []))
            let (dead, deaf, last) = (try await db.worker(), try await db.worker(), try await db.worker())
            try await db.run("UPDATE postrider.webhook_workers SET has_lock = id <> \(deaf), alive = id <> \(dead)")
            #expect(try await relay(alone, db, ears) == (true, ["bell \(last)"]))
            #expect(try await relay(last, db, ears) == (true, ["bell \(alone)"]), "after the last the first")
        }
    }

    @Test func bellThatAnotherHoldsTooIsLetGo() async throws {
        try await withDatabase { db in
            let ears = try await Ears(db)
            let (one, other) = (try await db.worker(), try await db.worker())
            try await db.run("UPDATE postrider.webhook_workers SET has_lock = true")
            let (first, second) = (try await db.connect(), try await db.connect())
            #expect(try await WorkerStore.setBell(held: true, on: first))
            #expect(try await WorkerStore.setBell(held: true, on: second))
            #expect(try await relay(one, db, ears) == (true, []))
            _ = try await WorkerStore.setBell(held: false, on: second)
            #expect(try await relay(one, db, ears) == (true, ["bell \(other)"]))
        }
    }
}
