// Replicas that are restarted in order, one after the other, as a deployment does it.

import Foundation
import Testing

extension Scenarios {
    @Suite(.serialized) struct ChaosRestart {
        @Test(.timeLimit(.minutes(5))) func rollingRestartsLoseAndDuplicateNothing() async throws {
            let rounds = Form.pick(short: 1, long: 10)
            var bar = Bar(
                "rolling SIGTERM restart of all replicas under load, receivers answering", goal: "lost 0, duplicated 0")
            let stage = try await Stage { _, _ in .status(200, afterMilliseconds: 20) }
            var replicas = try (0..<3).map { try stage.replica("rolling-\($0)") }
            try await stage.lives(of: replicas)
            let load = try await stage.load(LoadPlan(eventsPerSecond: Form.pick(short: 300, long: 1_000)))
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
            let (ledger, verdict, states) = try await stage.judge(load)
            let gap = ledger.longestGap(from: start, to: end)
            bar.require(verdict.lost == 0 && verdict.unexpected == 0 && verdict.duplicated == 0, "lost 0, unexpected 0, duplicated 0")
            bar.require(injected == rounds * 3, "\(rounds * 3) restarts that ended in order")
            bar.require(states.areClean, "every delivery in one state: \(states)")
            try bar.close(
                verdict, injections: injected,
                result: "\(rounds) rounds over 3 replicas, \(ledger.acknowledged) events; longest gap \(text(gap))")
        }
    }
}
