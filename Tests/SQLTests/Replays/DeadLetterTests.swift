// What a dead letter is marked with, and what archiving one means for counts and for retention.

import Outbox
import OutboxStore
import Postgres
import TestSupport
import Testing

@Suite struct DeadLetterTests {
    /// Lets an event die at a destination as a worker does, with this number of attempts.
    private func die(_ event: EventID, _ number: Int16, _ destination: Int32, _ worker: Int64, _ db: TestDatabase) async throws {
        try await db.run(
            """
            DELETE FROM postrider.webhook_queue; DELETE FROM postrider.webhook_retries;
            INSERT INTO postrider.webhook_claims (worker_id, event_ids, destination_ids, attempt_numbers, are_replays)
            VALUES (\(worker), '{\(event)}', '{\(destination)}', '{\(number)}', '{f}')
            """)
        let claim = Int64(try await db.line("SELECT max(id) FROM postrider.webhook_claims")) ?? 0
        var settlement = Settlement()
        settlement.fail(event, destination, number: number, next: .dead, claim: claim)
        settlement.finish(claim: claim)
        try await db.settle(settlement, worker)
    }

    @Test(arguments: [
        (0, "", true), (1, "", false), (2, "", false), (1, #"options = '{"critical": true}'"#, true), (1, #"options = '{"critical": false}'"#, false),
    ])
    func highPriorityAndTheOptionMakeItCritical(priority: Int, settings: String, isCritical: Bool) async throws {
        try await withRollback { db in
            let endpoint = try await db.endpoint(settings: settings)
            let event = try await db.emit(1, priority: priority)[0]
            try await die(event, 1, endpoint, try await db.worker(), db)
            #expect(
                try await db.line("SELECT is_critical, replays, archived_at FROM postrider.webhook_dead_letters") == "\(isCritical ? "t" : "f")|0|∅")
            #expect(
                try await db.line("SELECT dead_letters, critical_dead_letters FROM postrider.webhook_queue_status") == "1|\(isCritical ? 1 : 0)")
        }
    }

    /// Nobody can send them any more, and as they were they would keep their events for ever.
    @Test func deletingTheEndpointArchivesAllButCriticalOnes() async throws {
        try await withRollback { db in
            let (endpoint, other) = (try await db.endpoint("gone"), try await db.endpoint("other"))
            let worker = try await db.worker()
            let events = try await db.emit(3)
            let critical = try await db.emit(1, priority: 0)[0]
            for event in [events[0], critical] { try await die(event, 1, endpoint, worker, db) }
            try await die(events[1], 1, other, worker, db)
            try await db.run("DELETE FROM postrider.webhook_endpoints WHERE name = 'gone'")
            // It was in flight meanwhile.
            try await die(events[2], 1, endpoint, worker, db)
            let open = try await db.lines(
                "SELECT event_id FROM postrider.webhook_dead_letters WHERE archived_at IS NULL ORDER BY event_id")
            #expect(open == [events[1], critical].map { "\($0)" })
            #expect(try await db.count("postrider.webhook_dead_letters") == 4)
        }
    }

    /// Neither of the two sees what the other has not committed.
    @Test func whatDiesWhileItsEndpointIsBeingDeletedIsArchivedBySweeping() async throws {
        try await withDatabase { db in
            let endpoint = try await db.endpoint()
            let worker = try await db.worker()
            let event = try await db.emit()[0]
            let critical = try await db.emit(1, priority: 0)[0]
            let administrator = try await db.connect()
            try await administrator.run("BEGIN; DELETE FROM postrider.webhook_endpoints")
            for id in [event, critical] { try await die(id, 1, endpoint, worker, db) }
            try await administrator.run("COMMIT")
            let open = "postrider.webhook_dead_letters WHERE archived_at IS NULL"
            #expect(try await db.count(open) == 2, "the fault was injected")
            try await db.run("SELECT postrider.sweep_retries()")
            #expect(try await db.lines("SELECT event_id FROM \(open)") == ["\(critical)"])
        }
    }

    @Test(arguments: [false, true]) func whatDiedAgainFiveTimesIsArchivedUnlessItIsCritical(isCritical: Bool) async throws {
        try await withRollback { db in
            let endpoint = try await db.endpoint()
            let event = try await db.emit(1, priority: isCritical ? 0 : 1)[0]
            let worker = try await db.worker()
            try await die(event, 6, endpoint, worker, db)
            for replay: Int16 in 1...5 {
                #expect(try await db.line("SELECT replays, archived_at FROM postrider.webhook_dead_letters") == "\(replay - 1)|∅")
                let id = try await db.replay(#""what": "dead_letters""#)
                #expect(try await db.drive(id) == 1)
                #expect(try await db.line("SELECT attempt_number FROM postrider.webhook_retries") == "\(6 + replay)")
                #expect(try await db.count("postrider.webhook_dead_letters") == 0)
                try await die(event, 6 + replay, endpoint, worker, db)
            }
            let archived = isCritical ? "f" : "t"
            #expect(try await db.line("SELECT replays, attempts, archived_at IS NOT NULL FROM postrider.webhook_dead_letters") == "5|11|\(archived)")
            // Archived ones are neither counted nor sent in bulk, and can be sent one by one.
            #expect(try await db.line("SELECT dead_letters FROM postrider.webhook_queue_status") == (isCritical ? "1" : "0"))
            #expect(try await db.line("SELECT dead_letters FROM postrider.webhook_destination_status") == (isCritical ? "1" : "0"))
            if !isCritical { #expect(try await db.drive(try await db.replay(#""what": "dead_letters""#)) == 0) }
            let delivery = try await db.line("SELECT postrider.delivery_id('\(event)', \(endpoint))")
            #expect(try await db.drive(try await db.replay(#""what": "deliveries", "delivery": "\#(delivery)""#)) == 1)
            #expect(try await db.count("postrider.webhook_dead_letters") == 0)
        }
    }

    /// A head that was skipped before its first attempt has none, and attempts are pruned before what is archived.
    @Test(arguments: ["event", "delivery"]) func namedOnesAreSentWithoutAnyAttempt(criterion: String) async throws {
        try await withRollback { db in
            let endpoint = try await db.endpoint()
            let other = try await db.endpoint("other")
            let worker = try await db.worker()
            let isEvent = criterion == "event"
            for (attempts, archived) in [(0, "NULL"), (5, "now()")] {
                let event = try await db.emit(1)[0]
                try await die(event, 3, other, worker, db)
                try await db.run(
                    """
                    INSERT INTO postrider.webhook_dead_letters (event_id, destination_id, attempts, failure, archived_at)
                    VALUES ('\(event)', \(endpoint), \(attempts), 'skipped', \(archived))
                    """)
                let id = isEvent ? "\(event)" : try await db.line("SELECT postrider.delivery_id('\(event)', \(endpoint))")
                let replay = try await db.replay("\"what\": \"deliveries\", \"\(criterion)\": \"\(id)\"")
                // One by one: its place is kept within the event.
                #expect(try await db.drive(replay, most: 1) == (isEvent ? 2 : 1))
                let sent = ["\(endpoint)|\(attempts + 1)"] + (isEvent ? ["\(other)|4"] : [])
                #expect(try await db.lines("SELECT destination_id, attempt_number FROM postrider.webhook_retries ORDER BY 1") == sent)
                #expect(try await db.count("postrider.webhook_dead_letters WHERE destination_id = \(endpoint)") == 0)
            }
        }
    }

    @Test func onlyCriticalOnesCanBeChosen() async throws {
        try await withRollback { db in
            let endpoint = try await db.endpoint()
            let worker = try await db.worker()
            for priority in [1, 0] {
                let event = try await db.emit(1, priority: priority, data: "{\"n\": \(priority)}")[0]
                try await die(event, 1, endpoint, worker, db)
            }
            #expect(try await db.drive(try await db.replay(#""what": "dead_letters", "critical": true"#)) == 1)
            #expect(try await db.scheduledNumbers() == "0")
        }
    }

    @Test(arguments: [
        (#""endpoint": "one""#, false, "1|1"), (#""endpoint": "one", "critical": true"#, false, "2|0"), (#""failure": "dns""#, false, "0|0"),
        (#""older_s": 3600"#, false, "0|0"), (#""type": "a.*""#, true, "1|1"), (#""id": "$""#, false, "1|0"),
    ]) func archiveTakesWhatIsNamedAndLeavesCriticalOnes(filter: String, isDry: Bool, counts: String) async throws {
        try await withRollback { db in
            let endpoint = try await db.endpoint("one")
            let worker = try await db.worker()
            var critical = ""
            for priority in [1, 0] {
                let event = try await db.emit(1, priority: priority)[0]
                try await die(event, 1, endpoint, worker, db)
                critical = try await db.line("SELECT postrider.delivery_id('\(event)', \(endpoint))")
            }
            let document = "{\(filter.replacing("$", with: critical)), \"dry_run\": \(isDry)}"
            let answer = String(decoding: try await AdminStore.run(.deadLetterArchive, Array(document.utf8), on: db.connection)[0], as: UTF8.self)
            let parts = counts.split(separator: "|")
            #expect(answer == "{\"count\": \(parts[0]), \"critical_left\": \(parts[1])}")
            let archived = try await db.count("postrider.webhook_dead_letters WHERE archived_at IS NOT NULL")
            #expect("\(archived)" == (isDry ? "0" : parts[0]))
        }
    }

    /// Somebody decided, so it is no reason any more to keep the event; the letter goes with it.
    @Test(arguments: ["empty_partition", "thin_partition"]) func archivedOneGoesWithItsEvent(call: String) async throws {
        try await withDatabase { db in
            try await db.run(OldWeeks.sql)
            try await db.run(
                """
                UPDATE postrider.webhook_retention SET keep_events = '30 days';
                INSERT INTO postrider.webhook_dead_letters (event_id, destination_id, attempts)
                SELECT id, 1, 1 FROM postrider.webhook_event_log
                """)
            let week = try await db.line("SELECT tableoid::regclass FROM postrider.webhook_event_log").replacing("postrider.", with: "")
            try await db.run("SELECT postrider.\(call)('\(week)')")
            #expect(try await db.count("postrider.webhook_event_log") == 2)
            try await db.run("UPDATE postrider.webhook_dead_letters SET archived_at = now(); DELETE FROM postrider.webhook_retention_progress")
            try await db.run("SELECT postrider.\(call)('\(week)')")
            #expect(try await db.count("postrider.webhook_event_log") == 0)
            #expect(try await db.count("postrider.webhook_dead_letters") == 0)
        }
    }
}
