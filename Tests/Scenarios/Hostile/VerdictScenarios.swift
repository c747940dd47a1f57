// Every hostile behaviour leads to the verdict that docs/wire.md promises, in time and in bounded memory.

import Foundation
import Postgres
import TestSupport
import Testing

extension Scenarios {
    @Suite struct HostileVerdicts {
        /// The deadline of an exchange that is to miss it, in milliseconds.
        private static let timeout = 800
        /// And of all others, which a slow machine must not miss.
        private static let patience = 15_000

        @Test func everyBehaviourLeadsToItsVerdict() async throws {
            let outpost = try await Outpost()
            let stage = try HostileStage()
            let ids = try await stage.endpoints(
                outpost, events: { "hostile.n\($0)" }, settings: "timeout_ms = \(Self.timeout), \(Hostility.schedule)")
            let patient = stage.cast.indices.filter { stage.cast[$0].failure != "timeout" }.map { "\(ids[$0])" }
            try await outpost.sql(
                "UPDATE postrider.webhook_destinations SET timeout_ms = \(Self.patience) WHERE id IN (\(patient.joined(separator: ",")))")
            let good = try ScriptedReceiver(places: 1) { _, _ in
                [.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), .again]
            }
            try await outpost.endpoint(good.url(0), events: "good.one")
            let worker = try WorkerProcess(outpost, environment: stage.environment)
            try await outpost.emit("good.one", count: 200)
            try await eventually("the good events") { good.count(0) == 200 }
            let before = try worker.memory()
            for place in stage.cast.indices { try await emit(outpost, place, of: stage) }
            try await eventually("an end of every delivery", within: .seconds(60)) {
                try await outpost.sql(
                    """
                    SELECT NOT EXISTS (SELECT FROM postrider.webhook_claims) AND NOT EXISTS (SELECT FROM postrider.webhook_queue)
                       AND NOT EXISTS (SELECT FROM postrider.webhook_retries WHERE due_at <= clock_timestamp())
                       AND (SELECT count(DISTINCT destination_id) FROM postrider.webhook_attempts) = \(stage.cast.count + 1)
                       AND (SELECT count(*) FROM postrider.webhook_destinations WHERE NOT is_active)
                           = \(stage.cast.count { $0.ending.disables })
                    """)[0].bool(0)
            }
            let after = try worker.memory()
            #expect(!GzipBomb.bytes.isEmpty)
            let growth = after.peak - before.now
            if MemoryBar.counts { #expect(growth <= 64 << 20, "the worker grew by \(growth >> 20) MiB") }
            for (place, hostility) in stage.cast.enumerated() {
                try await check(outpost, hostility, ids[place])
            }
            let log = try String(contentsOf: worker.log, encoding: .utf8)
            for (place, hostility) in stage.cast.enumerated() where hostility.ending.disables {
                #expect(log.contains("destination.id=\(ids[place]) "), "the operator is told of: \(hostility.title)")
            }
            #expect(worker.stop() == 0)
        }

        /// A body that no socket buffer holds goes to the one who never reads; small ones to all others.
        private func emit(_ outpost: Outpost, _ place: Int, of stage: HostileStage) async throws {
            guard case .scripted(_, true) = stage.cast[place].place else {
                try await outpost.emit("hostile.n\(place)")
                return
            }
            try await outpost.sql(
                "SELECT postrider.emit($1, jsonb_build_object('x', repeat('x', 8000000)))",
                [.text("hostile.n\(place)")])
        }

        private func check(_ outpost: Outpost, _ hostility: Hostility, _ id: Int) async throws {
            let rows = try await outpost.sql(
                """
                SELECT failure, status_code::int, outcome::int, duration_us,
                       extract(epoch FROM nullif(next_retry_at, 'infinity') - attempted_at)::float8,
                       coalesce(next_retry_at = 'infinity', false), error_message
                FROM postrider.webhook_attempts WHERE destination_id = \(id) ORDER BY attempt_number
                """)
            let attempts = rows.count
            let title = Comment(rawValue: hostility.title)
            guard attempts == (hostility.ending == .instantRetry ? 2 : 1) else {
                Issue.record("\(hostility.title): \(attempts) attempts")
                return
            }
            let last = rows[attempts - 1]
            #expect(try last.stringOrNil(0) == hostility.failure, title)
            #expect(try (last.isNull(1) ? nil : last.int(1)) == hostility.status, title)
            let wait = try last.isNull(4) ? nil : last.double(4)
            let (outcome, isParked) = (try last.int(2), try last.bool(5))
            // The clock is read for the date of the next attempt first, and then for that of this one.
            switch hostility.ending {
            case .delivered, .deliveredAndDisabled: #expect(outcome == 0 && wait == nil, title)
            case .dead: #expect(outcome == 2 && wait == nil, title)
            case .parkedAndDisabled: #expect(outcome == 1 && isParked, title)
            case .retry: #expect(outcome == 1 && (59.5...90).contains(wait ?? 0), "\(hostility.title): \(wait ?? -1)")
            case .later(let range):
                let late = range.lowerBound - 0.5...range.upperBound
                #expect(outcome == 1 && late.contains(wait ?? 0), "\(hostility.title): \(wait ?? -1)")
            case .instantRetry:
                #expect(try outcome == 1 && rows[0].double(4) < 30 && (119.5...150).contains(wait ?? 0), title)
            }
            let deadline = hostility.failure == "timeout" ? Self.timeout : Self.patience
            #expect(try last.int(3) < (deadline + 5000) * 1000, title)
            let state = try await outpost.sql(
                "SELECT is_active, inactive_reason FROM postrider.webhook_destinations WHERE id = \(id)")[0]
            #expect(try state.bool(0) != hostility.ending.disables, title)
            #expect(try (state.stringOrNil(1) != nil) == hostility.ending.disables, title)
        }

        @Test func documentListsEveryBehaviour() throws {
            let root = URL(fileURLWithPath: #filePath).appendingPathComponent("../../../..").standardized
            let text = try String(contentsOf: root.appendingPathComponent("docs/wire.md"), encoding: .utf8)
            let section = text.components(separatedBy: "## What hostile receivers bring about\n")
            try #require(section.count == 2)
            let rows = section[1].components(separatedBy: "\n## ")[0].split(separator: "\n")
                .filter { $0.hasPrefix("| ") }.dropFirst().map(String.init)
            #expect(rows == Hostility.all().map(\.row))
        }
    }
}
