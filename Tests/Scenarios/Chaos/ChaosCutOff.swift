// A replica that is cut off from Postgres by dropped packets, and can still reach receivers: the worst kind of zombie.

import Foundation
import Postgres
import TestSupport
import Testing

extension Scenarios {
    @Suite(.serialized) struct ChaosCutOff {
        @Test(
            .enabled(if: Namespace.obstacle == nil, "\(Namespace.obstacle ?? "")"), .timeLimit(.minutes(5)))
        func cutOffReplicaIsReplacedAndChangesNothing() async throws {
            let links = try await Namespace.makeLinks()
            do { try await run(links) } catch {
                await Namespace.remove(links)
                throw error
            }
            await Namespace.remove(links)
        }

        private func run(_ links: [String]) async throws {
            let cuts = Form.pick(short: 1, long: 5)
            var bar = Bar(
                "worker cut off from Postgres (dropped packets in a namespace of the test's own)",
                goal: "taken over ≤ 3 s; no duplicate state")
            let stage = try await Stage(address: Namespace.receiverAddress) { _, _ in .status(200, afterMilliseconds: 300) }
            try await stage.outpost.connection.script(Witness.hands, name: "hands")
            let relay = try Relay(to: stage.outpost.url, on: Namespace.databaseAddress)
            let space = try await Namespace("cut-off", url: relay.url, links: links)
            let other = try stage.replica("other")
            try await stage.lives(of: [space.replica, other])
            let load = try await stage.load(LoadPlan(eventsPerSecond: Form.pick(short: 150, long: 300)))
            defer { load.cancel() }
            var replaced: [UInt64] = []
            var held = 0
            // It may just have had all its answers when it is cut off: then once more.
            while replaced.count < cuts || held == 0 && replaced.count < cuts + 10 {
                let life = try await stage.lives(of: [space.replica])[0]
                try await eventually("it to hold work") { try await stage.inFlight(of: life) > 0 }
                try await Witness.mark(zombie: life, name: space.replica.name, stage.outpost)
                let fault = MonotonicClock.now()
                try await space.cut()
                held += try await stage.inFlight(of: life)
                try await eventually("it to be replaced") {
                    try await stage.outpost.sql(
                        """
                        SELECT NOT EXISTS (SELECT FROM postrider.webhook_workers WHERE alive AND id = \(life))
                           AND NOT EXISTS (SELECT FROM postrider.webhook_claims WHERE worker_id = \(life))
                        """)[0].bool(0)
                }
                replaced.append(MonotonicClock.now() - fault)
                try await space.heal()
                try await eventually("it to begin another life", within: .seconds(30)) {
                    guard let next = try await stage.life(of: space.replica) else { return false }
                    return next > life
                }
            }
            try await load.stop()
            let findings = try await stage.judge(load)
            let changes = try await Witness.zombieChanges(stage.outpost)
            let slowest = replaced.max() ?? 0
            bar.requireTruth(of: findings)
            bar.require(held > 0, "it held work when it was cut off")
            bar.require(changes.isEmpty, "rows changed by the one cut off: 0, not \(changes.joined(separator: ", "))")
            bar.requireInLongForm(slowest <= 3_000_000_000, "taken over ≤ 3 s")
            try bar.close(
                findings, injections: replaced.count,
                result: "taken over after at most \(text(slowest)) (\(replaced.count) cuts, \(held) deliveries in its hands); "
                    + "rows it changed afterwards: " + (changes.isEmpty ? "0" : changes.joined(separator: ", ")))
        }
    }
}
