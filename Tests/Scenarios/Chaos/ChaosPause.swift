// Replicas that are paused for longer than their lease and go on as if nothing had happened.

import Foundation
import Glibc
import Postgres
import TestSupport
import Testing

extension Scenarios {
    @Suite(.serialized) struct ChaosPause {
        @Test(.timeLimit(.minutes(8))) func pausedReplicasChangeNothingAfterTheirDeath() async throws {
            let rounds = Form.pick(short: 1, long: 20)
            let zombies = Form.pick(short: 3, long: 5)
            var bar = Bar("SIGSTOP past the lease, then SIGCONT, 100 times", goal: "rows changed by the zombie: 0")
            // Slow answers, so that every replica holds work; refusals, so that there are retries to write.
            let stage = try await Stage(settings: "max_attempts = 1000, base_delay_ms = 100, max_delay_ms = 400") { arrival, before in
                .status(before == 0 && (arrival.mark ?? 0) % 3 == 0 ? 500 : 200, afterMilliseconds: 200)
            }
            try await stage.outpost.connection.script(Witness.hands, name: "hands")
            let paused = try (0..<zombies).map { try stage.replica("zombie-\($0)") }
            let survivor = try stage.replica("survivor")
            try await stage.lives(of: paused + [survivor])
            let load = try await stage.load(LoadPlan(eventsPerSecond: Form.pick(short: 150, long: 300)))
            defer { load.cancel() }
            var injected = 0
            for _ in 0..<rounds {
                let lives = try await stage.lives(of: paused)
                for (life, replica) in zip(lives, paused) {
                    try await Witness.mark(zombie: life, name: replica.name, stage.outpost)
                    // It may just have had all its answers: then it goes on, and is paused a moment later.
                    try await eventually("a replica to hold work while it is paused") {
                        replica.signal(SIGSTOP)
                        let isHolding = try await stage.inFlight(of: life) > 0
                        if !isHolding { replica.signal(SIGCONT) }
                        return isHolding
                    }
                }
                let names = lives.map(String.init).joined(separator: ",")
                try await eventually("the paused to be declared dead and their claims to be taken over") {
                    try await stage.outpost.sql(
                        """
                        SELECT NOT EXISTS (SELECT FROM postrider.webhook_workers WHERE alive AND id IN (\(names)))
                           AND NOT EXISTS (SELECT FROM postrider.webhook_claims WHERE worker_id IN (\(names)))
                        """)[0].bool(0)
                }
                for replica in paused { replica.signal(SIGCONT) }
                let next = try await stage.lives(of: paused)
                injected += zip(lives, next).count { $0 < $1 }
            }
            try await load.stop()
            let findings = try await stage.judge(load)
            let changes = try await Witness.zombieChanges(stage.outpost)
            let facts = try await Witness.zombieFacts(stage.outpost)
            bar.requireTruth(of: findings)
            bar.require(injected == rounds * zombies, "\(rounds * zombies) pauses that ended in another life")
            bar.require(changes.isEmpty, "rows changed by the zombie: 0, not \(changes.joined(separator: ", "))")
            let found = changes.isEmpty ? "0" : changes.joined(separator: ", ")
            try bar.close(
                findings, injections: injected,
                result: "rows changed by a zombie: \(found); attempts they recorded after their death, as facts: \(facts)")
        }
    }
}
