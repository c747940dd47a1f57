// Replicas that die at the places where a crash is most telling. Failpoints exist in debug builds only.

import Foundation
import Glibc
import TestSupport
import Testing

extension Scenarios {
    @Suite(.serialized) struct ChaosFailpoint {
        private static let points = ["after-claim", "before-send", "after-send", "before-record", "after-record"]

        /// One replica for each failpoint, started again after its death, beside one without.
        @Test(.timeLimit(.minutes(8))) func deathsAtFailpointsLoseNothing() async throws {
            let deaths = Form.pick(short: 1, long: 10)
            var bar = Bar(
                "deaths after claim, before send, after send, before record, after record", goal: "lost 0, unexpected 0")
            let stage = try await Stage { _, _ in .status(200, afterMilliseconds: 5) }
            let survivor = try stage.replica("survivor")
            try await stage.lives(of: [survivor])
            let load = try await stage.load(LoadPlan(eventsPerSecond: Form.pick(short: 150, long: 300)))
            defer { load.cancel() }
            let counts = try await withThrowingTaskGroup(of: (String, Int).self) { group in
                for point in Self.points {
                    group.addTask { (point, try await die(deaths, at: point, stage)) }
                }
                var counts: [String: Int] = [:]
                for try await (point, count) in group { counts[point] = count }
                return counts
            }
            try await load.stop()
            let findings = try await stage.judge(load)
            let injected = counts.values.reduce(0, +)
            bar.requireTruth(of: findings)
            bar.require(counts.values.allSatisfy { $0 == deaths } && counts.count == 5, "\(deaths) deaths at each point: \(counts)")
            try bar.close(findings, injections: injected, result: "\(deaths) deaths at each of 5 points")
        }

        /// Starts replicas that die at a point, one after the other; gives how many did.
        private func die(_ deaths: Int, at point: String, _ stage: Stage) async throws -> Int {
            var count = 0
            for death in 0..<deaths {
                let hit = [1, 3, 10, 25][death % 4]
                let replica = try Replica(
                    "\(point)-\(death)", url: stage.outpost.url, program: Replica.debugProgram,
                    environment: ["POSTRIDER_FAILPOINTS": "\(point)=kill:\(hit)"])
                let end = try await replica.process.waitForEnd(within: .seconds(60))
                if end == .killed(SIGKILL), replica.text.contains("failpoint \(point): kill") { count += 1 }
            }
            return count
        }
    }
}
