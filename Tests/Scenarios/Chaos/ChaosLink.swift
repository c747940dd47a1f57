// Links between a worker and Postgres that hang without ending, and sessions that stop answering.

import Foundation
import Glibc
import Postgres
import Testing

extension Scenarios {
    @Suite(.serialized) struct ChaosLink {
        /// A relay between worker and Postgres stops passing bytes, and closes nothing.
        @Test(.timeLimit(.minutes(5))) func halfOpenLinkIsNoticedAndHeals() async throws {
            let stage = try await Stage()
            let relay = try Relay(to: stage.outpost.url)
            let replica = try Replica("hung", url: relay.url)
            try await run(
                stage, replica, "half-open database link (a relay stops passing bytes)", hang: { relay.hang() }, resume: { relay.resume() })
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
                // At least as long as a lease lasts, so that nothing heals by itself.
                try await MonotonicClock.pause(until: fault + 2_500_000_000)
                let place = stage.receiver.count
                resume()
                let back = MonotonicClock.now()
                let arrival = try await stage.receiver.arrival("deliveries to resume", from: place, within: .seconds(40)) { _ in true }
                healed.append(arrival.at > back ? arrival.at - back : 0)
                try await eventually("the worker to live") { try await stage.life(of: replica, hasLock: false) != nil }
                try await eventually("the backlog to be delivered", within: .seconds(40)) {
                    try await stage.outpost.count("postrider.webhook_queue") < 20
                }
            }
            try await load.stop()
            let (_, verdict, states) = try await stage.judge(load, faults: faults)
            let slowest = (noticed: noticed.max() ?? 0, healed: healed.max() ?? 0)
            bar.require(verdict.lost == 0 && verdict.unexpected == 0, "lost 0, unexpected 0")
            bar.require(faults.count == hangs, "\(hangs) hangs")
            bar.require(states.areClean, "every delivery in one state: \(states)")
            bar.requireInLongForm(slowest.noticed <= 5_000_000_000, "noticed ≤ 5 s")
            bar.requireInLongForm(slowest.healed <= 1_000_000_000, "healed ≤ 1 s")
            try bar.close(
                verdict, injections: faults.count,
                result: "noticed after \(text(slowest.noticed)), healed \(text(slowest.healed)) after it was back (slowest of \(hangs))")
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
