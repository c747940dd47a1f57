// Hostile and dead receivers harm nobody else: neither the latency of good ones nor the worker's memory.

import Foundation
import Postgres
import Synchronization
import TestSupport
import Testing

extension Scenarios {
    @Suite struct HostileIsolation {
        /// The long form holds the median of pairs against the bar; the short form shows that everything arrives. Many short
        /// pairs, because one stall of the machine makes a p99.
        private static let pairs = ChaosReport.isLong ? 11 : 1
        private static let events = ChaosReport.isLong ? 1500 : 300

        @Test func hostileReceiversBesideGoodOnes() async throws {
            let started = ContinuousClock.now
            let outpost = try await Outpost()
            // What is looked for is what they do to the worker, not what they do with the processor that all share here.
            let stage = try HostileStage(isModest: true)
            _ = try await stage.endpoints(
                outpost, events: { "hostile.n\($0)" },
                settings: "timeout_ms = 2000, base_delay_ms = 1000, max_attempts = 3")
            let good = try await GoodCompany(outpost)
            let worker = try WorkerProcess(outpost, environment: stage.environment)
            _ = try await good.measure(events: Self.events, aSecond: 300)
            let baseline = try worker.memory().now
            let emitter = try await Connection.open(ConnectionSettings(url: outpost.url))
            // Each gets an event a second, evenly spread: a burst to ninety receivers at one moment would cost the others
            // as much if all ninety were good.
            let storm = Statement(name: "storm", sql: "SELECT postrider.emit('hostile.n' || $1::int, '{}')")
            let turn = Atomic(0)
            let places = stage.cast.count
            var (alone, beside): ([GoodCompany.Result], [GoodCompany.Result]) = ([], [])
            for _ in 0..<Self.pairs {
                alone.append(try await good.measure(events: Self.events, aSecond: 300))
                beside.append(
                    try await withBackground(every: .microseconds(1_000_000 / places)) {
                        let number = turn.wrappingAdd(1, ordering: .relaxed).newValue
                        _ = try await emitter.query(storm, [.int4(Int32(number % places))])
                    } during: {
                        try await good.measure(events: Self.events, aSecond: 300)
                    })
                try await quiet(outpost)
            }
            let growth = try worker.memory().peak - baseline
            let injections = stage.receiver.arrivals.count
            let ratio = median(zip(beside, alone).map { $0.p99 / $1.p99 })
            let lost = (alone + beside).map(\.lost).reduce(0, +)
            let duplicated = (alone + beside).map(\.duplicated).reduce(0, +)
            #expect(injections > stage.cast.count / 2, "the receivers were hostile")
            #expect(lost == 0 && duplicated == 0)
            if MemoryBar.counts { #expect(growth <= 64 << 20, "the worker grew by \(growth >> 20) MiB") }
            if ChaosReport.isLong { #expect(ratio <= 1.2) }
            #expect(worker.stop() == 0)
            try ChaosReport.add(
                bar: "all \(stage.cast.count) hostile receivers at once beside 200 good ones",
                goal: "good ones' p99 ≤ 1.2 × alone (median of \(Self.pairs) paired runs); worker memory ≤ baseline + 64 MB",
                result: "p99 \(rounded(median(alone.map(\.p99)))) ms alone, \(rounded(median(beside.map(\.p99)))) ms beside, "
                    + "ratio \(rounded(ratio)); memory + \(growth >> 20) MiB",
                pass: ratio <= 1.2 && growth <= 64 << 20 && lost == 0, lost: lost, duplicated: duplicated,
                injections: injections, since: started)
        }

        /// Gives up what is left of the storm, which breakers put off for minutes, and waits until nothing is in flight.
        private func quiet(_ outpost: Outpost) async throws {
            try await eventually("the storm to end", within: .seconds(60)) {
                try await outpost.sql(
                    """
                    WITH given_up AS (DELETE FROM postrider.webhook_retries RETURNING 1)
                    SELECT NOT EXISTS (SELECT FROM postrider.webhook_claims) AND NOT EXISTS (SELECT FROM postrider.webhook_queue)
                       AND NOT EXISTS (SELECT FROM given_up)
                    """)[0].bool(0)
            }
        }

        @Test func deadEndpointComesBack() async throws {
            let started = ContinuousClock.now
            let (cap, backlog) = (8, ChaosReport.isLong ? 10_000 : 400)
            let outpost = try await Outpost()
            let isDead = IsDead()
            let sick = try ScriptedReceiver(places: 1) { _, _ in
                isDead.value.load(ordering: .acquiring)
                    ? [.hang] : [.wait(milliseconds: 5), .write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), .again]
            }
            let id = try await outpost.endpoint(
                sick.url(0), events: "sick.one",
                settings: "timeout_ms = 1000, base_delay_ms = 1000, max_delay_ms = 3000, max_attempts = 1000, max_concurrency = \(cap)"
            )
            let good = try await GoodCompany(outpost)
            let worker = try WorkerProcess(outpost)
            _ = try await good.measure(events: Self.events, aSecond: 300)
            var (alone, beside): ([GoodCompany.Result], [GoodCompany.Result]) = ([], [])
            var whileDead = 0
            var ids: [String] = []
            for _ in 0..<Self.pairs {
                alone.append(try await good.measure(events: Self.events, aSecond: 300))
                isDead.value.store(true, ordering: .releasing)
                let (before, delivered) = (sick.count(0), try await deliveries(of: id, outpost))
                try await outpost.sql(
                    "INSERT INTO postrider.webhook_events (event_type, data) SELECT 'sick.one', to_jsonb(i) FROM generate_series(1, \(backlog)) AS i"
                )
                try await eventually("all of them to be put by") {
                    try await outpost.count("postrider.webhook_retries WHERE destination_id = \(id)") >= backlog
                }
                beside.append(try await good.measure(events: Self.events, aSecond: 300))
                whileDead += sick.count(0) - before
                sick.forgetArrivals()
                isDead.value.store(false, ordering: .releasing)
                try await eventually("everything to be delivered", within: .seconds(120)) {
                    try await deliveries(of: id, outpost) >= delivered + backlog
                }
                ids += sick.arrivals.map(\.id)
            }
            #expect(whileDead >= Self.pairs, "it was asked while it was dead")
            let sent = backlog * Self.pairs
            let (peak, lost) = (sick.peak(0), try await sent - deliveries(of: id, outpost))
            let ratio = median(zip(beside, alone).map { $0.p99 / $1.p99 })
            #expect(peak <= cap)
            #expect(lost == 0)
            if ChaosReport.isLong { #expect(ratio <= 1.2) }
            #expect(worker.stop() == 0)
            try ChaosReport.add(
                bar: "endpoint dead for \(backlog) events, back again, \(Self.pairs) times",
                goal: "its cap never exceeded, others' p99 ≤ 1.2 ×, all delivered",
                result: "\(peak) requests at once of \(cap) allowed; p99 of 200 others \(rounded(median(alone.map(\.p99)))) ms alone, "
                    + "\(rounded(median(beside.map(\.p99)))) ms beside, ratio \(rounded(ratio)); \(whileDead) requests while dead",
                pass: peak <= cap && lost == 0 && ratio <= 1.2, lost: lost, duplicated: ids.count - Set(ids).count,
                recovered: sent - lost, injections: whileDead, since: started)
        }

        private final class IsDead: Sendable { let value = Atomic(true) }

        private func deliveries(of id: Int, _ outpost: Outpost) async throws -> Int {
            try await outpost.count("postrider.webhook_attempts WHERE destination_id = \(id) AND outcome = 0")
        }
    }
}
