// Replicas that are restarted in order, one after the other, as a deployment does it.

import Foundation
import Testing

extension Scenarios {
    @Suite(.serialized) struct ChaosRestart {
        @Test(.timeLimit(.minutes(5))) func rollingRestartsLoseAndDuplicateNothing() async throws {
            let rounds = Form.pick(short: 2, long: 20)
            var bar = Bar(
                "rolling SIGTERM restart of all replicas under load, receivers answering", goal: "lost 0, duplicated 0")
            let stage = try await Stage { _, _ in .status(200, afterMilliseconds: 20) }
            var replicas = try (0..<3).map { try stage.replica("rolling-\($0)") }
            try await stage.lives(of: replicas)
            let load = try await stage.load(LoadPlan(eventsPerSecond: Form.pick(short: 300, long: 1_000)))
            defer { load.cancel() }
            let start = MonotonicClock.now()
            var injected = 0
            for round in 0..<rounds {
                for place in replicas.indices {
                    injected += try await replicas[place].stop() ? 1 : 0
                    replicas[place] = try stage.replica("rolling-\(place)-\(round)")
                    try await stage.lives(of: [replicas[place]])
                }
            }
            let end = MonotonicClock.now()
            try await load.stop()
            let findings = try await stage.judge(load)
            let gap = findings.ledger.longestGap(from: start, to: end)
            bar.requireTruth(of: findings)
            bar.require(findings.verdict.duplicated == 0, "duplicated 0")
            bar.require(injected == rounds * 3, "\(rounds * 3) restarts that ended in order")
            try bar.close(
                findings, injections: injected,
                result: "\(rounds) rounds over 3 replicas; longest gap of all deliveries \(text(gap))")
        }
    }
}
