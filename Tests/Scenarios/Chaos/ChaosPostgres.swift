// A Postgres that crashes again and again under load.

import Foundation
import Postgres
import TestSupport
import Testing

extension Scenarios {
    @Suite(.serialized) struct ChaosPostgres {
        @Test(.timeLimit(.minutes(5))) func crashesOfPostgresLoseNothing() async throws {
            let bar = Bar(
                "Postgres killed (immediate) ten times in 60 s",
                goal: "lost 0, unexpected 0; deliveries resume ≤ 1 s after it accepts connections")
            try await crashPostgres(for: bar) { _, _ in .status(200, afterMilliseconds: 10) }
        }

        /// A crash may take what a worker committed asynchronously: no retry that it scheduled may go with it.
        @Test(.timeLimit(.minutes(5))) func crashesOfPostgresLoseNoRetry() async throws {
            let bar = Bar(
                "Postgres killed (immediate) ten times in 60 s while a receiver refuses every third event twice",
                goal: "lost 0, unexpected 0; deliveries resume ≤ 1 s after it accepts connections")
            try await crashPostgres(for: bar) { arrival, before in
                let isRefused = before < 2 && (arrival.mark ?? 0) % 3 == 0
                return .status(isRefused ? 400 : 200, afterMilliseconds: 10)
            }
        }

        private func crashPostgres(for bar: Bar, rule: @escaping ArrivalReceiver.Rule) async throws {
            var bar = bar
            let crashes = Form.pick(short: 2, long: 10)
            let interval: UInt64 = Form.pick(short: 3_000_000_000, long: 6_000_000_000)
            let cluster = try CrashableCluster()
            try cluster.start()
            try await accepts(cluster.url)
            let stage = try await Stage(Outpost(url: cluster.url), rule: rule)
            let replicas = try [stage.replica("crash-0"), stage.replica("crash-1")]
            try await stage.lives(of: replicas)
            let load = try await stage.load(LoadPlan(eventsPerSecond: Form.pick(short: 200, long: 1_000)))
            defer { load.cancel() }
            let start = MonotonicClock.now()
            var faults: [UInt64] = []
            var resumed: [UInt64] = []
            for crash in 0..<crashes {
                try await MonotonicClock.pause(until: start + UInt64(crash) * interval)
                let fault = MonotonicClock.now()
                guard try await cluster.crash() else { break }
                faults.append(fault)
                try cluster.start()
                let accepted = try await accepts(cluster.url)
                resumed.append(try await stage.resumption(of: load, after: accepted))
            }
            try await MonotonicClock.pause(until: start + UInt64(crashes) * interval)
            let seconds = Double(MonotonicClock.now() - start) / 1_000_000_000
            try await load.stop()
            let outpost = try await Outpost(url: cluster.url)
            let findings = try await stage.judge(load, faults: faults, asking: outpost)
            await outpost.connection.close()
            let slowest = resumed.max() ?? 0
            let median = resumed.isEmpty ? 0 : resumed.sorted()[resumed.count / 2]
            bar.requireTruth(of: findings)
            bar.require(faults.count == crashes, "\(crashes) crashes")
            bar.requireInLongForm(slowest <= 1_000_000_000, "deliveries resume ≤ 1 s")
            try bar.close(
                findings, injections: faults.count,
                result: "\(faults.count) crashes in \(Int(seconds)) s; from accepting connections to the first delivery of a newer "
                    + "event: median \(text(median)), slowest \(text(slowest))")
        }
    }
}
