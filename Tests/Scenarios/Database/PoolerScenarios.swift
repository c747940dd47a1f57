// A pooler that shares sessions stands before Postgres: with and without a direct way beside it.

import Foundation
import OutboxWorker
import Postgres
import TestSupport
import Testing

extension Scenarios {
    @Suite struct PoolerScenarios {
        private static let isInstalled = Pooler.isInstalled

        /// Everything that was sent is recorded once, and nothing is left in sessions that others use.
        private func check(_ outpost: Outpost, _ pooler: Pooler, _ receiver: Receiver, events: Int) async throws {
            #expect(try await outpost.count("postrider.webhook_events WHERE status = 'completed'") == events)
            #expect(try await outpost.count("postrider.webhook_attempts") == receiver.received.count)
            let client = try await Connection.open(ConnectionSettings(url: pooler.url("visitor")))
            for _ in 0..<4 {
                for setting in ["synchronous_commit", "enable_seqscan"] {
                    let rows = try await client.query(Statement(name: "show", sql: "SHOW \(setting)", prepare: false))
                    #expect(try rows[0].string(0) == "on", "\(setting) of a shared session")
                }
                let left = try await client.query(
                    Statement(name: "prepared", sql: "SELECT count(*) FROM pg_prepared_statements", prepare: false))
                #expect(try left[0].int(0) == 0)
            }
            await client.close()
        }

        @Test(.enabled(if: isInstalled, "needs pgbouncer"))
        func workGoesThroughThePoolerAndControlBesideIt() async throws {
            let outpost = try await Outpost()
            let pooler = try await Pooler(outpost)
            defer { pooler.stop() }
            let receiver = try Receiver { _, place in place % 3 == 0 ? .status(500) : .ok }
            try await outpost.endpoint(
                receiver.url(), settings: "max_attempts = 100, base_delay_ms = 20, max_delay_ms = 50, jitter = 0")
            try await outpost.withWorkers(2) {
                $0.database = ConnectionSettings(url: pooler.url("pooled"))
                $0.directDatabase = ConnectionSettings(url: outpost.url)
            } _: {
                try await eventually("both to hold their locks") {
                    try await outpost.count("postrider.webhook_workers WHERE has_lock") == 2
                }
                // A producer behind the pooler rings too.
                let producer = try await Connection.open(ConnectionSettings(url: pooler.url("producer")))
                for _ in 0..<20 {
                    try await producer.query(Statement(name: "emit", sql: "SELECT postrider.emit('p.p', '{}')", prepare: false))
                }
                await producer.close()
                try await outpost.insert(500)
                try await receiver.wait(for: 520)
                #expect(
                    try await outpost.count("pg_stat_activity WHERE datname = current_database() AND application_name = 'pooled'") > 0,
                    "the pooler was in use")
                try await outpost.settled()
                try await check(outpost, pooler, receiver, events: 520)
            }
        }

        @Test(.enabled(if: isInstalled, "needs pgbouncer"))
        func withoutADirectWayThereArePollingAndLeases() async throws {
            let outpost = try await Outpost()
            let pooler = try await Pooler(outpost)
            defer { pooler.stop() }
            let receiver = try Receiver { _, _ in Reply(delayMilliseconds: 300) }
            try await outpost.endpoint(receiver.url())
            let victim = try WorkerProcess(outpost, environment: ["DATABASE_URL": pooler.url("victim")])
            let survivor = try WorkerProcess(outpost, environment: ["DATABASE_URL": pooler.url("survivor")])
            try await eventually("two workers") { try await outpost.count("postrider.webhook_workers WHERE alive") == 2 }
            #expect(try await outpost.count("postrider.webhook_workers WHERE has_lock") == 0, "no lock in a shared session")
            #expect(try await outpost.count(Self.workerLocks) == 0)
            // As many as it takes: of a single lot the other one may have taken all before this one looks.
            try await eventually("work in the victim's hands") {
                try await outpost.insert(50)
                return try await outpost.claims(of: victim) > 0
            }
            kill(victim.id, SIGSTOP)
            let held = try await outpost.claims(of: victim)
            #expect(victim.killAndWait(), "the fault was injected")
            #expect(held > 0, "the victim died with work in its hands")
            try await outpost.settled()
            #expect(try await Set(receiver.received.map(\.id)).count == outpost.count("postrider.webhook_events"))
            let log = try String(contentsOf: survivor.log, encoding: .utf8)
            #expect(log.contains("polling and leases only"), "it says so")
            #expect(survivor.stop() == 0)
        }

        /// A worker whose way to Postgres is a relay that a test may lead to the pooler, with a direct way beside it or without.
        /// Gives the receiver of its endpoint when the worker has stopped.
        private func withWorkerBehindARelay(
            isDirectBeside: Bool = false, answering handler: @escaping Receiver.Handler = { _, _ in .ok },
            _ body: (Outpost, Pooler, Relay, Receiver) async throws -> Void
        ) async throws -> Receiver {
            let outpost = try await Outpost()
            let pooler = try await Pooler(outpost)
            defer { pooler.stop() }
            let relay = try Relay(to: outpost.url)
            let receiver = try Receiver(handler: handler)
            try await outpost.endpoint(receiver.url())
            try await outpost.withWorkers {
                $0.database = ConnectionSettings(url: relay.url)
                if isDirectBeside { $0.directDatabase = ConnectionSettings(url: outpost.url) }
            } _: {
                try await body(outpost, pooler, relay, receiver)
            }
            return receiver
        }

        /// After a failover the same name may lead to a pooler. A worker that went on as before would take locks in sessions that
        /// others use, and one that never asked again would poll for ever.
        @Test(.enabled(if: isInstalled, "needs pgbouncer"))
        func workerFindsOutWhetherAPoolerStandsBetweenWheneverItConnects() async throws {
            let receiver = try await withWorkerBehindARelay { outpost, pooler, relay, receiver in
                for (turn, hears) in [true, false, true].enumerated() {
                    if turn > 0 { try relay.lead(to: hears ? outpost.url : pooler.url("led")) }
                    try await eventually("one life that \(hears ? "hears" : "is deaf") in turn \(turn)") {
                        let lives = try await outpost.sql("SELECT has_lock FROM postrider.webhook_workers WHERE alive")
                        return try lives.count == 1 && lives[0].bool(0) == hears
                    }
                    try await outpost.emit("a.b")
                    try await receiver.wait(for: turn + 1)
                    try await outpost.settled()
                }
            }
            #expect(receiver.received.count == 3)
        }

        /// Control goes on beside it. Settings of a session would hold for producers: their commits would not reach the disk.
        @Test(.enabled(if: isInstalled, "needs pgbouncer"))
        func workThatComesToGoThroughAPoolerLeavesNothingInItsSessions() async throws {
            let receiver = try await withWorkerBehindARelay(isDirectBeside: true) { outpost, pooler, relay, receiver in
                try await outpost.emit("a.b")
                try await receiver.wait(for: 1)
                try await outpost.settled()
                try relay.lead(to: pooler.url("led"))
                try await outpost.emit("a.b")
                try await eventually("a new life") { try await outpost.count("postrider.webhook_workers") == 2 }
                try await receiver.wait(for: 2)
                try await outpost.settled()
                // The life before said farewell before this one began: nothing of it had to wait for its lease.
                let mourned = """
                    postrider.webhook_workers AS w JOIN postrider.webhook_workers AS next ON next.id > w.id
                    WHERE w.alive OR w.lease_until > next.started_at
                    """
                #expect(try await outpost.count(mourned) == 0)
                let locks = """
                    pg_locks AS l JOIN pg_stat_activity AS s ON s.pid = l.pid
                    WHERE l.locktype = 'advisory' AND s.datname = current_database() AND s.application_name = 'led'
                    """
                #expect(try await outpost.count(locks) == 0)
                let client = try await Connection.open(ConnectionSettings(url: pooler.url("visitor")))
                let rows = try await client.query(
                    Statement(name: "show", sql: "SHOW synchronous_commit", prepare: false))
                #expect(try rows[0].string(0) == "on")
                await client.close()
            }
            #expect(Set(receiver.received.map(\.id)).count == 2)
        }

        /// Its sessions are gone and their locks with them: others would take over, and send again what is in flight.
        @Test(.enabled(if: isInstalled, "needs pgbouncer"))
        func lifeThatAnotherWayEndsBeatsByTheNewWayUntilItHasLanded() async throws {
            let turnstile = DispatchSemaphore(value: 0)
            let held: Receiver.Handler = { _, _ in
                turnstile.wait()
                turnstile.signal()
                return .ok
            }
            _ = try await withWorkerBehindARelay(isDirectBeside: true, answering: held) { outpost, pooler, relay, receiver in
                defer { turnstile.signal() }
                try await outpost.connection.script(
                    """
                    CREATE TABLE public.beats (worker bigint, process integer);
                    CREATE FUNCTION public.note_beat() RETURNS trigger LANGUAGE plpgsql AS $$
                    BEGIN
                        INSERT INTO public.beats VALUES (NEW.id, pg_backend_pid());
                        RETURN NULL;
                    END $$;
                    CREATE TRIGGER note_beat AFTER UPDATE OF heartbeat_at ON postrider.webhook_workers
                        FOR EACH ROW EXECUTE FUNCTION public.note_beat()
                    """, name: "note heartbeats")
                // Control beats in one session; the other one is that of the landing.
                let landed = "(SELECT worker FROM public.beats GROUP BY worker HAVING count(DISTINCT process) > 1) AS landed"
                try await outpost.emit("a.b")
                try await receiver.wait(for: 1)
                // A landing lasts for half a second at most, in which a slow machine may not come to it: the next one does.
                for life in 2...6 {
                    if try await outpost.count(landed) > 0 { break }
                    try relay.lead(to: life % 2 == 0 ? pooler.url("led") : outpost.url)
                    try await outpost.emit("a.b")
                    try await eventually("life \(life)") { try await outpost.count("postrider.webhook_workers") >= life }
                }
                #expect(try await outpost.count(landed) > 0)
            }
        }

        /// The bell, hearing it, and being alive: locks of this database.
        private static let workerLocks = """
            pg_locks WHERE locktype = 'advisory' AND classid IN (7741, 7742)
                AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
            """

        /// Told to, a worker does without what a direct connection would allow.
        @Test func deafWorkerListensToNobody() async throws {
            let outpost = try await Outpost()
            let receiver = try Receiver()
            try await outpost.endpoint(receiver.url())
            try await outpost.withWorkers {
                $0.isDeaf = true
            } _: {
                for turn in 1...20 {
                    try await outpost.emit("a.b")
                    try await receiver.wait(for: turn)
                }
                #expect(try await outpost.count(Self.workerLocks) == 0, "nothing that a worker who hears holds")
                #expect(try await outpost.count("postrider.webhook_workers WHERE has_lock") == 0)
                try await outpost.settled()
            }
            #expect(receiver.received.count == 20)
        }
    }
}
