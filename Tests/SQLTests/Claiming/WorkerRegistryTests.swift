// The registry of workers: who lives, who seems dead, who is forgotten.

import OutboxStore
import Postgres
import TestSupport
import Testing

@Suite struct WorkerRegistryTests {
    private func heartbeat(_ worker: Int64, _ connection: Connection) async throws -> WorkerStore.Pulse {
        try await WorkerStore.heartbeat(worker: worker, within: .seconds(10), on: connection)
    }

    @Test func idsOfWorkersAreNeverUsedAgain() async throws {
        try await withRollback { db in
            let first = try await db.worker()
            try await db.run("DELETE FROM postrider.webhook_workers")
            #expect(try await db.worker() > first)
        }
    }

    @Test func heartbeatRenewsTheLeaseAndTellsTheRoutingsVersion() async throws {
        try await withRollback { db in
            let worker = try await db.worker()
            try await db.run("UPDATE postrider.webhook_workers SET lease_until = clock_timestamp()")
            let before = try await heartbeat(worker, db.connection)
            #expect(before.isAlive && before.suspects.isEmpty)
            let lease = try await db.line(
                """
                SELECT lease_until - heartbeat_at >= '1500 ms' AND lease_until <= clock_timestamp() + interval '1500 ms'
                FROM postrider.webhook_workers
                """)
            #expect(lease == "t")
            try await db.endpoint()
            #expect(try await heartbeat(worker, db.connection).routingVersion > before.routingVersion)
        }
    }

    @Test func heartbeatAndFarewellTellWhatTheWorkerCounted() async throws {
        try await withRollback { db in
            let (worker, other) = (try await db.worker(), try await db.worker())
            let shown = { (id: Int64) in
                try await db.line(
                    """
                    SELECT requests, connections_opened, connections_reused, tls_handshakes, tls_resumed
                    FROM postrider.webhook_workers WHERE id = \(id)
                    """)
            }
            #expect(try await shown(worker) == "0|0|0|0|0")
            var counts = WorkerCounts()
            (counts.requests, counts.connectionsOpened, counts.connectionsReused) = (5_000_000_000, 4, 3)
            (counts.tlsHandshakes, counts.tlsResumed) = (2, 1)
            _ = try await WorkerStore.heartbeat(worker: worker, counts: counts, within: .seconds(10), on: db.connection)
            #expect(try await shown(worker) == "5000000000|4|3|2|1")
            counts.tlsResumed = 2
            try await WorkerStore.farewell(worker: worker, counts: counts, on: db.connection)
            #expect(try await shown(worker) == "5000000000|4|3|2|2")
            #expect(try await shown(other) == "0|0|0|0|0")
            // What comes late from a worker that was declared dead is not believed.
            counts.requests = 1
            _ = try await WorkerStore.heartbeat(worker: worker, counts: counts, within: .seconds(10), on: db.connection)
            #expect(try await shown(worker) == "5000000000|4|3|2|2")
        }
    }

    @Test func heartbeatOfADeadWorkerSaysSoAndDoesNotRaiseIt() async throws {
        try await withRollback { db in
            let (worker, rescuer) = (try await db.worker(), try await db.worker())
            try await db.expire(worker)
            let suspect = SuspectedWorker(id: worker, epoch: 1)
            _ = try await RescueStore.takeOver(worker: rescuer, dead: suspect, most: 1, on: db.connection)
            let pulse = try await heartbeat(worker, db.connection)
            #expect(!pulse.isAlive && pulse.routingVersion == 0)
            #expect(try await !heartbeat(123_456, db.connection).isAlive)
            #expect(try await db.line("SELECT alive FROM postrider.webhook_workers WHERE id = \(worker)") == "f")
        }
    }

    @Test func workerWhoseLeaseRanOutIsSuspected() async throws {
        try await withRollback { db in
            let (late, watcher) = (try await db.worker(), try await db.worker())
            #expect(try await heartbeat(watcher, db.connection).suspects.isEmpty)
            try await db.expire(late)
            #expect(try await heartbeat(watcher, db.connection).suspects == [SuspectedWorker(id: late, epoch: 1)])
            try await db.prolong(watcher)
            // Nobody suspects himself, or one that is known to be dead.
            #expect(try await heartbeat(late, db.connection).suspects.isEmpty)
            try await WorkerStore.farewell(worker: late, on: db.connection)
            #expect(try await heartbeat(watcher, db.connection).suspects.isEmpty)
        }
    }

    /// A process that dies loses its session, and with it the lock, long before its lease runs out.
    @Test func lostLockTellsOfACrashBeforeTheLeaseRunsOut() async throws {
        try await withDatabase { db in
            let control = try await db.connect()
            let (worker, watcher) = (try await db.worker(on: control), try await db.worker())
            #expect(try await WorkerStore.lock(worker: worker, on: control))
            let silent =
                "UPDATE postrider.webhook_workers SET heartbeat_at = clock_timestamp() - interval '700 milliseconds', "
                + "lease_until = clock_timestamp() + interval '1 hour' WHERE id = \(worker)"
            try await db.run(silent)
            #expect(try await heartbeat(watcher, db.connection).suspects.isEmpty)
            let suspect = SuspectedWorker(id: worker, epoch: 1)
            try await db.emit()
            _ = try await db.claim(worker)
            let rescue = { try await RescueStore.takeOver(worker: watcher, dead: suspect, most: 9, on: db.connection) }
            #expect(try await rescue().isEmpty)
            await control.close()
            try await waitForEnd(of: control, db)
            #expect(try await heartbeat(watcher, db.connection).suspects == [suspect])
            #expect(try await rescue().count == 1)
        }
    }

    /// The loss of one of its connections is no death.
    @Test func lockIsHeldByBothConnectionsOfAWorker() async throws {
        try await withDatabase { db in
            let (control, work) = (try await db.connect(), try await db.connect())
            let (worker, watcher) = (try await db.worker(), try await db.worker())
            #expect(try await WorkerStore.lock(worker: worker, on: control))
            #expect(try await WorkerStore.lock(worker: worker, on: work))
            try await db.run(
                "UPDATE postrider.webhook_workers SET heartbeat_at = clock_timestamp() - interval '700 milliseconds' WHERE id = \(worker)")
            await control.close()
            try await waitForEnd(of: control, db)
            #expect(try await heartbeat(watcher, db.connection).suspects.isEmpty)
            await work.close()
            try await waitForEnd(of: work, db)
            #expect(try await heartbeat(watcher, db.connection).suspects.map(\.id) == [worker])
        }
    }

    @Test func workersThatDiedAWeekAgoAreForgottenUnlessTheyHoldClaims() async throws {
        try await withRollback { db in
            try await db.emit()
            let (holding, gone, recent, alive) = (
                try await db.worker(), try await db.worker(), try await db.worker(), try await db.worker()
            )
            _ = try await db.claim(holding)
            for worker in [holding, gone, recent] { try await WorkerStore.farewell(worker: worker, on: db.connection) }
            try await db.run(
                """
                UPDATE postrider.webhook_workers SET heartbeat_at = clock_timestamp() - interval '8 days'
                WHERE id IN (\(holding), \(gone), \(alive))
                """)
            try await WorkerStore.prune(on: db.connection)
            #expect(
                try await db.lines("SELECT id FROM postrider.webhook_workers ORDER BY id")
                    == [holding, recent, alive].map(String.init))
        }
    }

    @Test func upTimeOfTheServerIsTold() async throws {
        try await withDatabase { db in
            try await eventually("the server to be up for some seconds") {
                try await WorkerStore.serverHasBeenUp(on: db.connection)
            }
            #expect(try await db.line("SELECT clock_timestamp() - pg_postmaster_start_time() > interval '5 seconds'") == "t")
        }
    }

    /// The server notices a closed connection a moment after the client closed it.
    private func waitForEnd(of connection: Connection, _ db: TestDatabase) async throws {
        try await eventually("the connection to end") {
            try await db.count("pg_stat_activity WHERE pid = \(connection.processID)") == 0
        }
    }
}
