// Replays with the whole product: the command, a worker, a receiver. What is interrupted goes on and arrives once.

import Foundation
import Glibc
import TestSupport
import Testing

extension Scenarios {
    @Suite struct ReplayScenarios {
        /// The built program with words of its command line.
        private func command(_ outpost: Outpost, _ words: [String]) throws -> ChildProcess {
            let products = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
            var environment = ProcessInfo.processInfo.environment
            environment["DATABASE_URL"] = outpost.url
            return try ChildProcess([products.appendingPathComponent("postrider").path] + words, environment: environment)
        }

        /// Ends the driver of a backfill in the middle of it, by a signal, and goes on with another command.
        @Test(arguments: [(SIGINT, ChildProcess.End.exited(130)), (SIGTERM, .exited(143)), (SIGKILL, .killed(9))])
        func backfillThatIsInterruptedGoesOnAndArrivesOnce(signal: Int32, end: ChildProcess.End) async throws {
            let outpost = try await Outpost()
            let receiver = try Receiver()
            let rate = 200.0
            // Six seconds: a machine that stops for some before the signal does not see the end.
            let count = 1200
            // From before the endpoint exists; of other types it wants none.
            try await outpost.withWorkers {
                let missed = try await outpost.emit("a.b", count: count)
                try await outpost.emit("c.d", count: 5)
                try await outpost.settled()
                try await outpost.endpoint(receiver.url(), events: "a.*")
                let endpoint = try await outpost.text("SELECT id::text FROM postrider.webhook_endpoints")
                let live = try await outpost.emit("a.b")

                let begin = DispatchTime.now().uptimeNanoseconds
                let driver = try command(outpost, ["replay", "--backfill", "--endpoint", endpoint, "--rate", "200/s", "--yes"])
                try await receiver.wait(for: 40)
                driver.signal(signal)
                #expect(try await driver.waitForEnd(within: .seconds(30)) == end)
                let state = try await outpost.text("SELECT state FROM postrider.webhook_replays")
                #expect(state == (signal == SIGKILL ? "running" : "paused"))
                #expect(try await outpost.count("postrider.webhook_replays WHERE scheduled BETWEEN 39 AND \(count - 1)") == 1)

                let second = try command(outpost, ["replay", "resume", "1"])
                #expect(try await second.waitForEnd(within: .seconds(60)) == .exited(0))
                try await receiver.wait(for: count + 1)
                try await outpost.settled()
                #expect(try await outpost.text("SELECT state || ' ' || scheduled FROM postrider.webhook_replays") == "done \(count)")
                // Everything once, and what was committed meanwhile.
                #expect(receiver.received.map(\.id).sorted() == (missed + live).sorted())
                // Nothing arrives before it is due, however fast the machine: the rate since the beginning is never exceeded.
                let replayed = receiver.received.filter { !live.contains($0.id) }
                for (place, request) in replayed.enumerated() {
                    #expect(Double(request.arrivedAt - begin) / 1e9 >= Double(place) / rate - 0.002, "\(place)")
                }
                #expect(try await outpost.count("postrider.webhook_deliveries WHERE status = 'success'") == count + 1)
            }
        }

        @Test func deadLettersAreSentAgainWhenTheReceiverIsMended() async throws {
            let outpost = try await Outpost()
            let receiver = try Receiver { _, place in place < 8 ? .status(500) : .ok }
            try await outpost.endpoint(receiver.url(), settings: "max_attempts = 1")
            try await outpost.withWorkers {
                let ids = try await outpost.emit("a.b", count: 8)
                try await outpost.settled()
                #expect(try await outpost.count("postrider.webhook_dead_letters") == 8)
                let replay = try command(outpost, ["dead-letters", "replay", "--failure", "server_error", "--rate", "1000/s", "--yes"])
                #expect(try await replay.waitForEnd(within: .seconds(20)) == .exited(0))
                try await receiver.wait(for: 16)
                try await outpost.settled()
                #expect(receiver.received.map(\.id).sorted() == (ids + ids).sorted())
                #expect(try await outpost.count("postrider.webhook_dead_letters") == 0)
                #expect(try await outpost.count("postrider.webhook_events WHERE status = 'completed'") == 8)
                #expect(try await outpost.count("postrider.webhook_attempts WHERE attempt_number = 2 AND outcome = 0") == 8)
            }
        }
    }
}
