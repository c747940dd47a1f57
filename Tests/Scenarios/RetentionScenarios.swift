// Retention by workers that deliver at the same time: what is settled goes, what is unfinished arrives.

import OutboxStore
import OutboxWorker
import Postgres
import TestSupport
import Testing

extension Scenarios {
    @Suite struct RetentionScenarios {
        private let gone = "SELECT count(*) = 0 FROM postrider.webhook_event_log WHERE id = $1::text::uuid"

        /// The two events of the old week.
        private func age(_ outpost: Outpost) async throws -> [String] {
            _ = try await outpost.connection.script(OldWeeks.sql, name: "old weeks")
            return try await outpost.sql("SELECT id::text FROM postrider.webhook_event_log ORDER BY id").map {
                try $0.string(0)
            }
        }

        @Test func workersLetSettledEventsGoAndDeliverTheRest() async throws {
            let outpost = try await Outpost()
            let receiver = try Receiver()
            let target = try await outpost.endpoint(receiver.url())
            let old = try await age(outpost)
            try await outpost.sql(
                "INSERT INTO postrider.webhook_retries VALUES ($1::text::uuid, clock_timestamp() + interval '1 hour', \(target), 2)",
                [.text(old[0])])
            try await outpost.sql("UPDATE postrider.webhook_retention SET keep_events = '90 days'")
            try await outpost.withWorkers(2) {
                let fresh = try await outpost.emit("a.b", count: 50)
                try await eventually("the settled event to go", within: .seconds(90)) {
                    try await outpost.sql(gone, [.text(old[1])])[0].bool(0)
                }
                try await outpost.sql("UPDATE postrider.webhook_retries SET due_at = clock_timestamp()")
                try await outpost.sql("SELECT pg_notify('postrider_wake', '')")
                try await receiver.wait(for: 51)
                #expect(Set(receiver.received.map(\.id)) == Set(fresh + [old[0]]))
                try await outpost.settled()
            }
            // Now nothing stands for it any more; a week that was passed through is looked at again after a day.
            try await outpost.sql("UPDATE postrider.webhook_retention_progress SET finished_at = finished_at - interval '2 days'")
            let steps = try await MaintenanceStore.round(on: outpost.connection)
            #expect(steps.contains { $0.task == "empty" && $0.rows == 1 && $0.table.hasPrefix("webhook_event_log") })
            #expect(steps.contains { $0.task == "drop" })
            #expect(try await outpost.sql(gone, [.text(old[0])])[0].bool(0))
            #expect(try await outpost.count("postrider.webhook_event_log") == 50)
            #expect(try await MaintenanceStore.plan(on: outpost.connection).isEmpty)
        }

        /// A worker that is busy with today's events reads only today's along with its claims.
        @Test func eventsOfOtherWeeksArriveBesideThoseOfToday() async throws {
            let outpost = try await Outpost()
            let receiver = try Receiver()
            let target = try await outpost.endpoint(receiver.url())
            let old = try await age(outpost)
            let ahead = "SELECT postrider.event_id_at(now() + interval '20 days')::text"
            let future = try await outpost.sql(ahead)[0].string(0)
            try await outpost.withWorkers {
                let today = try await outpost.emit("a.b", count: 20)
                try await receiver.wait(for: 20)
                // In one commit: waiting events of all times, and a retry that is due.
                try await outpost.sql(
                    """
                    WITH queued AS (INSERT INTO postrider.webhook_queue (id, priority) VALUES ($1::text::uuid, 1)),
                    due AS (INSERT INTO postrider.webhook_retries VALUES ($2::text::uuid, clock_timestamp(), \(target), 2))
                    INSERT INTO postrider.webhook_events (id, event_type, data)
                    VALUES ($3::text::uuid, 'a.b', '{"x": 2}'), (postrider.next_event_id(), 'a.b', '{"x": 3}')
                    """, [.text(old[0]), .text(old[1]), .text(future)])
                try await outpost.sql("SELECT pg_notify('postrider_wake', 'retries')")
                try await receiver.wait(for: 24)
                try await outpost.settled()
                let others = Set(receiver.received.map(\.id)).subtracting(today)
                #expect(others.count == 4 && others.isSuperset(of: old + [future]))
                #expect(receiver.received.allSatisfy { $0.json["data"] != nil })
                #expect(try await outpost.count("postrider.webhook_claims") == 0)
            }
        }

        @Test func weekThatSomebodyReadsIsLeftToTheNextRound() async throws {
            let outpost = try await Outpost()
            let old = try await age(outpost)
            try await outpost.sql("UPDATE postrider.webhook_retention SET keep_events = '90 days'")
            let planned = try await MaintenanceStore.plan(on: outpost.connection)
            let week = try #require(planned.last?.table)
            #expect(planned.map(\.task) == ["empty", "empty"] && week.hasPrefix("webhook_event_log"))
            let reader = try await Connection.open(ConnectionSettings(url: outpost.url))
            _ = try await reader.script("BEGIN; LOCK TABLE postrider.\(week) IN ACCESS SHARE MODE", name: "read")
            // Nobody who writes waits for one who reads, nor for upkeep that waits for him.
            let producer = try await Outpost.Producer(outpost)
            async let emitted = producer.emit(20)
            let steps = try await MaintenanceStore.round(on: outpost.connection)
            #expect(steps.contains(MaintenanceStore.Step(task: "busy", table: week, rows: 0)))
            #expect(try await emitted == 20)
            #expect(!(try await outpost.sql(gone, [.text(old[0])])[0].bool(0)))
            _ = try await reader.script("COMMIT", name: "read")
            _ = try await MaintenanceStore.round(on: outpost.connection)
            #expect(try await outpost.sql(gone, [.text(old[0])])[0].bool(0))
            #expect(try await outpost.count("postrider.webhook_event_log") == 20)
        }

        @Test func upkeepOfTwoSessionsIsDoneByOne() async throws {
            let outpost = try await Outpost()
            _ = try await age(outpost)
            try await outpost.sql("UPDATE postrider.webhook_retention SET keep_events = '90 days'")
            let other = try await Connection.open(ConnectionSettings(url: outpost.url))
            _ = try await other.script("BEGIN; SELECT postrider.begin_upkeep()", name: "other")
            let idle = try await MaintenanceStore.round(on: outpost.connection)
            #expect(!idle.isEmpty && idle.allSatisfy { $0.task == "busy" })
            #expect(try await outpost.count("postrider.webhook_event_log") == 2)
            _ = try await other.script("COMMIT", name: "other")
            #expect(try await MaintenanceStore.round(on: outpost.connection).contains { $0.task == "empty" })
            #expect(try await outpost.count("postrider.webhook_event_log") == 0)
        }
    }
}

extension Outpost {
    /// An application with a connection of its own.
    struct Producer: Sendable {
        private let connection: Connection

        init(_ outpost: Outpost) async throws {
            connection = try await Connection.open(ConnectionSettings(url: outpost.url))
        }

        /// Emits events, each its own transaction; gives how many.
        func emit(_ count: Int) async throws -> Int {
            for _ in 0..<count {
                try await connection.query(Statement(name: "emit", sql: "SELECT postrider.emit('a.b', '{}')"))
            }
            return count
        }
    }
}
