// What workers tell each other about destinations that fail, and what follows in SQL.

import Outbox
import OutboxStore
import Postgres
import Testing

@Suite struct BreakerTests {
    private func report(
        _ db: TestDatabase, _ destination: Int32, opens: Bool = true, pause: Duration = .zero, failingFor: Duration = .seconds(1)
    ) async throws -> [Int32] {
        let report = BreakerReport(
            destination: destination, url: Self.url, opens: opens, pause: pause, failingFor: failingFor, failure: "timeout")
        return try await BreakerStore.report([report], on: db.connection).disabled
    }

    /// The URL of the endpoints that tests make.
    private static let url = "https://example.com/hook"

    /// Reports of open breakers, of which it is told which rows somebody holds.
    private func held(_ db: TestDatabase, _ destinations: [Int32]) async throws -> Set<Int32> {
        let reports = destinations.map {
            BreakerReport(destination: $0, url: Self.url, opens: true, pause: .zero, failingFor: .seconds(1), failure: "timeout")
        }
        return try await BreakerStore.report(reports, on: db.connection).held
    }

    private func parked(_ db: TestDatabase, _ destination: Int32, due: String = "'infinity'", count: Int = 1) async throws {
        for event in try await db.emit(count) {
            try await db.run(
                """
                INSERT INTO postrider.webhook_retries (event_id, due_at, destination_id, attempt_number)
                VALUES ('\(event)', \(due), \(destination), 1)
                """)
        }
    }

    @Test func waitDoublesWithEveryTripUpToAMinute() async throws {
        try await withRollback { db in
            for (trips, seconds) in [(1, 1.0), (2, 2), (3, 4), (6, 32), (7, 60), (50, 60), (2_000_000_000, 60)] {
                let wait = try await db.query(
                    "SELECT extract(epoch FROM postrider.breaker_wait($1))::float8", [.int4(Int32(trips))])[0].double(0)
                #expect(wait >= seconds * 0.899 && wait <= seconds * 1.101, "\(trips)")
            }
        }
    }

    @Test func workersThatSeeItFailAtOnceOpenItOnce() async throws {
        try await withRollback { db in
            let id = try await db.endpoint()
            for _ in 0..<3 {
                #expect(try await report(db, id).isEmpty)
                // However long the next one takes.
                try await db.run("UPDATE postrider.webhook_breakers SET open_until = clock_timestamp() + interval '1 hour'")
            }
            #expect(try await db.line("SELECT trips, failure FROM postrider.webhook_breakers") == "1|timeout")
            #expect(try await db.line("SELECT breaker FROM postrider.webhook_destination_status") == "open")
            try await db.run("UPDATE postrider.webhook_breakers SET open_until = clock_timestamp()")
            #expect(try await db.line("SELECT breaker FROM postrider.webhook_destination_status") == "half-open")
            _ = try await report(db, id)
            #expect(try await db.line("SELECT trips FROM postrider.webhook_breakers") == "2")
        }
    }

    /// A worker that came later has seen less of it.
    @Test func failsSinceTheEarliestThatAnyWorkerSaw() async throws {
        try await withRollback { db in
            let id = try await db.endpoint()
            let age = "SELECT round(extract(epoch FROM clock_timestamp() - failing_since) / 3600) FROM postrider.webhook_breakers"
            for (seconds, hours) in [(7_200, "2"), (1, "2"), (36_000, "10")] {
                _ = try await report(db, id, failingFor: .seconds(seconds))
                #expect(try await db.line(age) == hours)
            }
        }
    }

    @Test func reportsDoNotMakeWorkersLoadDestinations() async throws {
        try await withRollback { db in
            let id = try await db.endpoint()
            let version = "SELECT version FROM postrider.webhook_routing"
            let before = try await db.line(version)
            _ = try await report(db, id)
            #expect(try await db.line(version) == before)
            // Making it inactive does.
            #expect(try await report(db, id, failingFor: .seconds(500_000)) == [id])
            #expect(try await db.line(version) != before)
        }
    }

    /// What was in flight when an endpoint was deleted may fail after that: nobody would ever remove the row.
    @Test func deletedDestinationGetsNoRow() async throws {
        try await withRollback { db in
            let id = try await db.endpoint()
            try await db.run("DELETE FROM postrider.webhook_endpoints WHERE destination_id = \(id)")
            #expect(try await held(db, [id]) == [])
            #expect(try await db.count("postrider.webhook_breakers") == 0)
        }
    }

    @Test func oneWorkerGetsTheProbe() async throws {
        try await withRollback { db in
            let id = try await db.endpoint()
            let (first, second) = (try await db.worker(), try await db.worker())
            _ = try await report(db, id)
            try await db.run("UPDATE postrider.webhook_breakers SET open_until = clock_timestamp() + interval '1 hour'")
            try await parked(db, id, due: "clock_timestamp()")
            #expect(try await BreakerStore.look(worker: first, on: db.connection).map(\.mayProbe) == [false])
            try await db.run("UPDATE postrider.webhook_breakers SET open_until = clock_timestamp()")
            let row = try await BreakerStore.look(worker: first, on: db.connection)
            #expect(row == [BreakerRow(destination: id, pause: .zero, isOpen: true, mayProbe: true)])
            #expect(try await BreakerStore.look(worker: second, on: db.connection).map(\.mayProbe) == [false])
            // It is told once, and then that it still may.
            let later = try await BreakerStore.look(worker: first, on: db.connection)
            #expect(later == [BreakerRow(destination: id, pause: .zero, isOpen: true, mayProbe: false, holdsProbe: true)])
            #expect(try await BreakerStore.look(worker: second, on: db.connection).map(\.holdsProbe) == [false])
            // The first dies with its probe.
            try await WorkerStore.farewell(worker: first, on: db.connection)
            #expect(try await BreakerStore.look(worker: second, on: db.connection).map(\.mayProbe) == [true])
            try await BreakerStore.close([id], on: db.connection)
            #expect(try await BreakerStore.look(worker: second, on: db.connection).isEmpty)
            #expect(try await db.line("SELECT breaker FROM postrider.webhook_destination_status") == "closed")
        }
    }

    /// No pause is longer than a day.
    @Test func pauseOfAClockThatHasGoneBackIsOver() async throws {
        try await withRollback { db in
            let id = try await db.endpoint()
            let worker = try await db.worker()
            let ahead = "UPDATE postrider.webhook_breakers SET probe_until = NULL, open_until = clock_timestamp() + interval '30 days'"
            _ = try await report(db, id)
            try await db.run(ahead)
            try await parked(db, id, due: "clock_timestamp()")
            let row = try #require(try await BreakerStore.look(worker: worker, on: db.connection).first)
            #expect(row.pause == .zero && row.isOpen && row.mayProbe)
            try await db.run(ahead)
            _ = try await report(db, id)
            let shown = "SELECT trips, open_until < clock_timestamp() + interval '5 minutes' FROM postrider.webhook_breakers"
            #expect(try await db.line(shown) == "2|t")
        }
    }

    @Test func nothingIsProbedWithoutAnythingToSend() async throws {
        try await withRollback { db in
            let id = try await db.endpoint()
            let worker = try await db.worker()
            _ = try await report(db, id)
            try await db.run("UPDATE postrider.webhook_breakers SET open_until = clock_timestamp()")
            try await parked(db, id, due: "clock_timestamp() + interval '1 hour'")
            #expect(try await BreakerStore.look(worker: worker, on: db.connection).map(\.mayProbe) == [false])
        }
    }

    @Test func pauseIsKeptWithoutATrip() async throws {
        try await withRollback { db in
            let id = try await db.endpoint()
            let worker = try await db.worker()
            _ = try await report(db, id, opens: false, pause: .seconds(3600))
            let row = try #require(try await BreakerStore.look(worker: worker, on: db.connection).first)
            #expect(!row.isOpen)
            #expect(row.pause > .seconds(3000) && row.pause <= .seconds(3600))
        }
    }

    /// Neither fifty that get nothing, nor a worker that cannot send, keep a probe from those who can.
    @Test func probesGoToActiveDestinationsAndWorkersThatCanSend() async throws {
        try await withRollback { db in
            let (first, second) = (try await db.worker(), try await db.worker())
            try await db.run(
                """
                INSERT INTO postrider.webhook_destinations (kind, name, url, event_types, is_active)
                SELECT 'endpoint', 'e' || n, 'https://example.com/' || n, '{*}', n = 51 FROM generate_series(1, 51) AS n;
                INSERT INTO postrider.webhook_breakers (destination_id, trips, open_until)
                SELECT id, 1, clock_timestamp() FROM postrider.webhook_destinations
                """)
            let event = try await db.emit(1)[0]
            try await db.run(
                """
                INSERT INTO postrider.webhook_retries (event_id, due_at, destination_id, attempt_number)
                SELECT '\(event)', clock_timestamp(), id, 1 FROM postrider.webhook_destinations
                """)
            let last = Int32(try await db.count("postrider.webhook_destinations")) - 1
            let id = try #require(Int32(try await db.line("SELECT max(id) FROM postrider.webhook_destinations")))
            #expect(last == 50)
            func probes(_ worker: Int64, except shut: Set<Int32>?) async throws -> [Int32] {
                try await BreakerStore.look(worker: worker, except: shut, on: db.connection).filter(\.mayProbe).map(\.destination)
            }
            #expect(try await probes(first, except: [id]) == [])
            #expect(try await probes(first, except: nil) == [])
            #expect(try await probes(second, except: [id - 1]) == [id])
        }
    }

    @Test func newAddressForgetsTheBreakerOfTheOldOne() async throws {
        try await withRollback { db in
            let id = try await db.endpoint()
            _ = try await report(db, id, pause: .seconds(3600))
            try await db.run("UPDATE postrider.webhook_endpoints SET name = 'other'")
            #expect(try await db.count("postrider.webhook_breakers") == 1)
            try await db.run("UPDATE postrider.webhook_endpoints SET url = 'https://new.example.com/'")
            #expect(try await db.count("postrider.webhook_breakers") == 0)
        }
    }

    @Test func failureOfAnotherURLIsNotToldOf() async throws {
        try await withRollback { db in
            let id = try await db.endpoint()
            try await db.run("UPDATE postrider.webhook_endpoints SET url = 'https://new.example.com/'")
            #expect(try await held(db, [id]) == [])
            #expect(try await db.count("postrider.webhook_breakers") == 0)
        }
    }

    /// Whoever changes a destination and is not done yet keeps no news of the others back.
    @Test func rowThatSomebodyHoldsIsNotWaitedFor() async throws {
        try await withDatabase { db in
            let (changed, broken) = (try await db.endpoint("changed"), try await db.endpoint("broken"))
            let free = try await db.endpoint("free")
            #expect(try await held(db, [broken]) == [])
            let admin = try await db.connect()
            try await db.run("SET lock_timeout = '5s'")
            for sql in [
                "UPDATE postrider.webhook_destinations SET name = name || '!' WHERE id <> \(free)",
                "UPDATE postrider.webhook_destinations SET url = url || '/new' WHERE id <> \(free)",
                "SELECT FROM postrider.webhook_destinations WHERE id <> \(free) FOR UPDATE",
            ] {
                try await admin.run("BEGIN; \(sql)")
                #expect(try await held(db, [broken, free, changed]) == [broken, changed], "\(sql)")
                let failing = Set(try await db.lines("SELECT destination_id FROM postrider.webhook_breakers"))
                #expect(failing == ["\(broken)", "\(free)"], "\(sql)")
                try await admin.run("ROLLBACK")
                try await db.run("DELETE FROM postrider.webhook_breakers WHERE destination_id <> \(broken)")
            }
            try await admin.run("BEGIN; SELECT FROM postrider.webhook_breakers FOR UPDATE")
            #expect(try await held(db, [broken, free]) == [broken])
            #expect(try await BreakerStore.close([broken, free], on: db.connection) == [broken])
            #expect(try await db.lines("SELECT destination_id FROM postrider.webhook_breakers") == ["\(broken)"])
            try await admin.run("ROLLBACK")
            #expect(try await held(db, [broken, changed]) == [])
            #expect(try await BreakerStore.close([broken, changed], on: db.connection) == [])
            #expect(try await db.count("postrider.webhook_breakers") == 0)
        }
    }

    /// The version of all destinations is held by whoever changes one.
    @Test func destinationIsDisabledWhenNobodyChangesAnother() async throws {
        try await withDatabase { db in
            let (failing, other) = (try await db.endpoint("failing"), try await db.endpoint("other"))
            let admin = try await db.connect()
            try await db.run("SET lock_timeout = '5s'")
            try await admin.run("BEGIN; UPDATE postrider.webhook_destinations SET name = 'changed' WHERE id = \(other)")
            #expect(try await report(db, failing, failingFor: .seconds(500_000)) == [])
            #expect(try await db.count("postrider.webhook_breakers") == 1)
            try await admin.run("COMMIT")
            #expect(try await report(db, failing) == [failing])
        }
    }

    @Test func pauseAskedForBesideAProbeLeavesItToItsWorker() async throws {
        try await withRollback { db in
            let id = try await db.endpoint()
            let (first, second) = (try await db.worker(), try await db.worker())
            _ = try await report(db, id)
            try await parked(db, id, due: "clock_timestamp()")
            let expire = "UPDATE postrider.webhook_breakers SET open_until = clock_timestamp()"
            try await db.run(expire)
            #expect(try await BreakerStore.look(worker: first, on: db.connection).map(\.mayProbe) == [true])
            _ = try await report(db, id, opens: false, pause: .milliseconds(1))
            try await db.run(expire)
            #expect(try await BreakerStore.look(worker: second, on: db.connection).map(\.mayProbe) == [false])
            // The probe failed.
            _ = try await report(db, id)
            #expect(try await BreakerStore.look(worker: first, on: db.connection).map(\.holdsProbe) == [false])
            try await db.run(expire)
            #expect(try await BreakerStore.look(worker: second, on: db.connection).map(\.mayProbe) == [true])
        }
    }

    @Test func destinationIsDisabledAfterItsTimeOfFailure() async throws {
        try await withRollback { db in
            let patient = try await db.endpoint("patient", settings: "disable_after_s = 0")
            let ordinary = try await db.endpoint("ordinary")
            let hasty = try await db.endpoint("hasty", settings: "disable_after_s = 60")
            for id in [patient, ordinary, hasty] {
                let disabled = try await report(db, id, opens: false, failingFor: .seconds(61))
                #expect(disabled == (id == hasty ? [hasty] : []))
            }
            let rows = try await db.lines(
                "SELECT name, is_active, inactive_reason LIKE 'nothing but failure since 20%' FROM postrider.webhook_endpoints ORDER BY name")
            #expect(rows == ["hasty|f|t", "ordinary|t|∅", "patient|t|∅"])
            // It has failed for longer than five days at the next report, although this worker has seen only a second.
            try await db.run("UPDATE postrider.webhook_breakers SET failing_since = now() - interval '6 days'")
            #expect(try await report(db, ordinary) == [ordinary])
            #expect(try await report(db, patient).isEmpty)
        }
    }

    @Test func whatWasParkedComesBackInTheOrderOfItsEvents() async throws {
        try await withRollback { db in
            let id = try await db.endpoint()
            let worker = try await db.worker()
            try await db.run("UPDATE postrider.webhook_endpoints SET is_active = false")
            try await parked(db, id, count: 20)
            _ = try await report(db, id)
            // The physical order is another one.
            try await db.run(
                """
                CREATE TEMP TABLE shuffled ON COMMIT DROP AS SELECT * FROM postrider.webhook_retries;
                DELETE FROM postrider.webhook_retries;
                INSERT INTO postrider.webhook_retries SELECT * FROM shuffled ORDER BY md5(event_id::text);
                UPDATE postrider.webhook_endpoints SET is_active = true
                """)
            #expect(try await db.count("postrider.webhook_breakers") == 0)
            var order: [EventID] = []
            while order.count <= 20, let claim = try await db.claimRetries(worker, [(id, 3)]) { order += claim.ids }
            #expect(order.count == 20)
            #expect(order == order.sorted())
        }
    }

    @Test func reportOfADeletedDestinationIsNoError() async throws {
        try await withRollback { db in
            let disabled = try await report(db, 4711)
            #expect(disabled.isEmpty)
            #expect(try await db.count("postrider.webhook_breakers") == 0)
        }
    }
}
