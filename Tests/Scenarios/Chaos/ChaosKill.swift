// Replicas that are killed again and again under load, and one that is killed when nothing else happens.

import Foundation
import Postgres
import TestSupport
import Testing

extension Scenarios {
    @Suite(.serialized) struct ChaosKill {
        /// Three replicas under load; one after the other is killed and started again.
        @Test(.timeLimit(.minutes(5))) func killedReplicasLoseNothing() async throws {
            let kills = Form.pick(short: 3, long: 30)
            let rate = Form.pick(short: 300, long: 2_000)
            var bar = Bar(
                "30 kill -9 in 60 s over 3 replicas under load (≥ 2,000 events/s)",
                goal: "lost 0, unexpected 0; duplicates ≤ in flight at each kill; longest gap of all deliveries ≤ 1 s")
            let slot: UInt64 = Form.pick(short: 1_000_000_000, long: 2_000_000_000)
            // An answer takes 15 ms, so that every kill finds something in flight.
            let stage = try await Stage { _, _ in .status(200, afterMilliseconds: 15) }
            var replicas = try (0..<3).map { try stage.replica("replica-\($0)") }
            var lives = try await stage.lives(of: replicas)
            // A little more than the bar asks for, so that the pace of whole turns does not fall below it.
            let load = try await stage.load(LoadPlan(eventsPerSecond: rate + rate / 20))
            defer { load.cancel() }
            let start = MonotonicClock.now()
            var injected = 0
            var inFlight = 0
            for kill in 0..<kills {
                try await MonotonicClock.pause(until: start + UInt64(kill) * slot + UInt64.random(in: 0..<slot / 2))
                let place = kill % 3
                lives[place] = try await stage.lives(of: [replicas[place]])[0]
                // Counted while it stands still: the others may take over before anybody could count after the kill.
                replicas[place].signal(SIGSTOP)
                inFlight += try await stage.inFlight(of: lives[place])
                injected += try await replicas[place].kill() ? 1 : 0
                try await stage.sessionsEnd(of: replicas[place].name)
                replicas[place] = try stage.replica("replica-\(place)-\(kill)")
            }
            try await MonotonicClock.pause(until: start + UInt64(kills) * slot)
            let end = MonotonicClock.now()
            try await load.stop()
            let findings = try await stage.judge(load)
            let (ledger, duplicated) = (findings.ledger, findings.verdict.duplicated)
            let seconds = Double(end - start) / 1_000_000_000
            let perSecond = Int(Double(ledger.entries.count { $0.fate == .acknowledged && start <= $0.at && $0.at <= end }) / seconds)
            let gap = ledger.longestGap(from: start, to: end)
            bar.requireTruth(of: findings)
            bar.require(injected == kills, "\(kills) kills")
            bar.requireInLongForm(inFlight >= kills, "something in flight at the kills")
            bar.require(duplicated <= inFlight, "duplicates ≤ in flight at the kills")
            bar.requireInLongForm(gap <= 1_000_000_000, "longest gap ≤ 1 s")
            bar.requireInLongForm(perSecond >= rate, "\(rate) events/s")
            bar.requireInLongForm(seconds <= 61, "in 60 s")
            try bar.close(
                findings, injections: injected,
                result: "\(injected) kills in \(Int(seconds)) s at \(perSecond) events/s; \(duplicated) duplicates, at most "
                    + "\(inFlight) in flight at the kills; longest gap \(text(gap))")
        }

        /// All replicas at once: nobody is left to take over, and those that are started next must find what they held.
        @Test(.timeLimit(.minutes(5))) func allReplicasKilledAtOnceLoseNothing() async throws {
            let rounds = Form.pick(short: 1, long: 5)
            var bar = Bar("kill -9 of all 3 replicas at once under load, then a start", goal: "lost 0, unexpected 0")
            let stage = try await Stage { _, _ in .status(200, afterMilliseconds: 15) }
            var replicas = try (0..<3).map { try stage.replica("all-\($0)") }
            try await stage.lives(of: replicas)
            let load = try await stage.load(LoadPlan(eventsPerSecond: Form.pick(short: 200, long: 1_000)))
            defer { load.cancel() }
            var injected = 0
            var (slowest, inFlight): (UInt64, Int) = (0, 0)
            var round = 0
            // The replicas have answers all at once and may hold nothing just then: such a round proves little.
            while round < rounds || inFlight == 0 && round < rounds + 20 {
                let lives = try await stage.lives(of: replicas)
                for replica in replicas { injected += try await replica.kill() ? 1 : 0 }
                for replica in replicas { try await stage.sessionsEnd(of: replica.name) }
                for life in lives { inFlight += try await stage.inFlight(of: life) }
                let startedAt = MonotonicClock.now()
                replicas = try (0..<3).map { try stage.replica("all-\($0)-\(round)") }
                let names = lives.map(String.init).joined(separator: ",")
                try await eventually("the dead to be replaced") {
                    try await stage.outpost.count("postrider.webhook_claims WHERE worker_id IN (\(names))") == 0
                }
                slowest = max(slowest, MonotonicClock.now() - startedAt)
                round += 1
            }
            try await load.stop()
            let findings = try await stage.judge(load)
            bar.requireTruth(of: findings)
            bar.require(injected == round * 3, "\(round * 3) kills")
            bar.require(inFlight > 0, "something in flight at the kills")
            bar.require(findings.verdict.duplicated <= inFlight, "duplicates ≤ in flight at the kills")
            try bar.close(
                findings, injections: injected,
                result: "\(findings.verdict.duplicated) duplicates, at most \(inFlight) in flight; from start to all claims taken over "
                    + "at most \(text(slowest))")
        }

        /// Two replicas and one event: the replica that has it in flight is killed, the other delivers it.
        @Test(.timeLimit(.minutes(5))) func eventInTheHandsOfTheDeadIsDeliveredByAnother() async throws {
            let kills = Form.pick(short: 3, long: 20)
            var bar = Bar(
                "one kill -9, otherwise idle", goal: "its work is delivered by another in ≤ 1 s, median ≤ 500 ms")
            // The first request of an event is never answered: it is in flight until its sender dies.
            let stage = try await Stage { _, before in before == 0 ? .never : .status(200) }
            var replicas = try [stage.replica("idle-0"), stage.replica("idle-1")]
            var injected = 0
            var times: [UInt64] = []
            let load = Load(url: stage.outpost.url, plan: LoadPlan(producers: 0))
            for kill in 0..<kills {
                let lives = try await stage.lives(of: replicas)
                let place = stage.receiver.count
                let mark = Int64(kill + 1)
                try await stage.outpost.emit("chaos.tick", data: "{\"ledger\": \(mark)}")
                load.write(mark)
                _ = try await stage.receiver.arrival("the event at the receiver", from: place) { $0.mark == mark }
                let holder = try await stage.outpost.sql("SELECT worker_id FROM postrider.webhook_claims")[0].int(0)
                let victim = try #require(lives.firstIndex(of: holder))
                let killedAt = MonotonicClock.now()
                injected += try await replicas[victim].kill() ? 1 : 0
                let again = try await stage.receiver.arrival("the event again", from: place + 1) { $0.mark == mark }
                times.append(again.at - killedAt)
                replicas[victim] = try stage.replica("idle-\(kill + 2)")
                try await stage.outpost.settled()
            }
            let findings = try await stage.judge(load)
            let slowest = times.max() ?? 0
            let median = times.sorted()[times.count / 2]
            bar.require(findings.verdict == Ledger.Verdict(recovered: kills), "nothing lost, unexpected or duplicated, all recovered")
            bar.require(injected == kills, "\(kills) kills")
            bar.require(findings.states.areClean, "every delivery in one state (\(findings.states))")
            bar.requireInLongForm(slowest <= 1_000_000_000, "delivered by another in ≤ 1 s")
            bar.requireInLongForm(median <= 500_000_000, "median ≤ 500 ms")
            try bar.close(
                findings, injections: injected,
                result: "kill to arrival from the other worker: median \(text(median)), slowest \(text(slowest)) of \(kills)")
        }
    }
}
