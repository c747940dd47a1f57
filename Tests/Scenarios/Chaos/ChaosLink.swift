// Links between a worker and Postgres that hang without ending, and sessions that stop answering.

import Foundation
import Glibc
import Postgres
import TestSupport
import Testing

extension Scenarios {
    @Suite(.serialized) struct ChaosLink {
        /// A relay between worker and Postgres stops passing bytes, closes nothing, and goes on.
        @Test(.timeLimit(.minutes(5))) func hungLinkIsNoticedAndHeals() async throws {
            let stage = try await Stage()
            let relay = try Relay(to: stage.outpost.url)
            let replica = try Replica("hung", url: relay.url)
            try await run(
                stage, replica, "hung database link (a relay stops passing bytes, and goes on)", hang: { relay.hang() },
                resume: { relay.resume(forgets: false) })
        }

        /// The same, but the connections of before never pass a byte again, and never end: only new ones work.
        @Test(.timeLimit(.minutes(5))) func halfOpenLinkIsNoticedAndHeals() async throws {
            let stage = try await Stage()
            let relay = try Relay(to: stage.outpost.url)
            let replica = try Replica("half-open", url: relay.url)
            try await run(
                stage, replica, "half-open database link (a relay stops passing bytes; old connections stay dead, new ones work)",
                hang: { relay.hang() }, resume: { relay.resume(forgets: true) })
        }

        /// Every session of the worker is stopped: the server accepts connections, but these never answer.
        @Test(.timeLimit(.minutes(5))) func stoppedSessionsAreNoticedAndHeal() async throws {
            let stage = try await Stage()
            let replica = try stage.replica("stopped")
            let sessions = Sessions()
            try await run(
                stage, replica, "hung database sessions (SIGSTOP of the worker's backends)",
                hang: {
                    let rows = try await stage.outpost.sql("SELECT pid FROM pg_stat_activity WHERE application_name = 'stopped'")
                    for row in rows { try sessions.stop(Int32(row.int(0))) }
                }, resume: { sessions.resume() })
            sessions.resume()
        }

        private func run(
            _ stage: Stage, _ replica: Replica, _ name: String, hang: () async throws -> Void, resume: () -> Void
        ) async throws {
            let hangs = Form.pick(short: 1, long: 3)
            var bar = Bar(name, goal: "noticed ≤ 5 s, healed ≤ 1 s after it is back")
            try await stage.lives(of: [replica])
            let load = try await stage.load(LoadPlan(eventsPerSecond: Form.pick(short: 100, long: 300)))
            defer { load.cancel() }
            var faults: [UInt64] = []
            var noticed: [UInt64] = []
            var healed: [UInt64] = []
            for _ in 0..<hangs {
                let said = replica.text.utf8.count
                let fault = MonotonicClock.now()
                try await hang()
                faults.append(fault)
                // The worker must say so in its log; in good times it writes nothing there.
                try await eventually("the worker to notice", within: .seconds(40)) {
                    replica.text.utf8.dropFirst(said).contains(UInt8(ascii: "\n"))
                }
                noticed.append(MonotonicClock.now() - fault)
                // Longer than a lease lasts; in the long form longer than noticing may take.
                try await MonotonicClock.pause(until: fault + Form.pick(short: 2_500_000_000, long: 6_000_000_000))
                resume()
                healed.append(try await stage.resumption(of: load, after: MonotonicClock.now()))
                try await eventually("the worker to live") { try await stage.life(of: replica, hasLock: false) != nil }
                try await eventually("the backlog to be delivered", within: .seconds(40)) {
                    try await stage.outpost.count("postrider.webhook_queue") < 20
                }
            }
            try await load.stop()
            let findings = try await stage.judge(load, faults: faults)
            let slowest = (noticed: noticed.max() ?? 0, healed: healed.max() ?? 0)
            bar.requireTruth(of: findings)
            bar.require(faults.count == hangs, "\(hangs) hangs")
            bar.requireInLongForm(slowest.noticed <= 5_000_000_000, "noticed ≤ 5 s")
            bar.requireInLongForm(slowest.healed <= 1_000_000_000, "healed ≤ 1 s")
            try bar.close(
                findings, injections: faults.count,
                result: "noticed after \(text(slowest.noticed)), healed \(text(slowest.healed)) after it was back: the first "
                    + "event committed since has arrived (slowest of \(hangs))")
        }

        /// Server processes that are stopped, and always go on in the end.
        private final class Sessions {
            private var stopped: [Int32] = []

            func stop(_ process: Int32) throws {
                guard kill(process, SIGSTOP) == 0 else { throw Timeout(what: "the right to stop session \(process)") }
                stopped.append(process)
            }

            func resume() {
                for process in stopped { kill(process, SIGCONT) }
                stopped = []
            }

            deinit { resume() }
        }
    }
}
