// Workers that are told to stop, as an operator or a supervisor does it, while receivers do not answer.

import Foundation
import Glibc
import Postgres
import Synchronization
import TestSupport
import Testing

extension Scenarios {
    @Suite struct StopScenarios {
        /// Eight events, as many as go to a destination that nothing is known of, in the hands of a worker whose receiver is
        /// silent until it is told otherwise.
        private func busyWorker(
            _ environment: [String: String]
        ) async throws -> (worker: WorkerProcess, outpost: Outpost, receiver: Receiver, answers: Latch) {
            let outpost = try await Outpost()
            let answers = Latch()
            let receiver = try Receiver { _, _ in
                answers.isOpen ? .ok : Reply(delayMilliseconds: 30_000, hangsUp: true)
            }
            try await outpost.endpoint(receiver.url(), settings: "base_delay_ms = 10, jitter = 0")
            let worker = try WorkerProcess(outpost, environment: environment)
            try await outpost.emit("a.b", count: 8)
            try await receiver.wait(for: 8)
            return (worker, outpost, receiver, answers)
        }

        /// All arrive by another worker.
        private func deliverTheRest(_ outpost: Outpost, _ answers: Latch) async throws {
            answers.open()
            let next = try WorkerProcess(outpost)
            try await outpost.settled()
            #expect(try await outpost.count("postrider.webhook_attempts WHERE outcome = 0") == 8)
            #expect(next.stop() == 0)
        }

        private func hasSaid(_ words: String, _ worker: WorkerProcess) throws -> Bool {
            try String(contentsOf: worker.log, encoding: .utf8).contains(words)
        }

        @Test(arguments: [Int32(SIGINT), Int32(SIGTERM)]) func graceEndsAndTheRestIsGivenBack(signal: Int32) async throws {
            let (worker, outpost, receiver, answers) = try await busyWorker(["POSTRIDER_SHUTDOWN_GRACE": "1s"])
            worker.signal(signal)
            try await eventually("the worker to end") { !worker.isRunning }
            #expect(worker.status == 0)
            #expect(try hasSaid("worker stopped", worker))
            #expect(receiver.received.count == 8, "nothing was begun after the signal")
            #expect(try await outpost.count("postrider.webhook_claims") == 0)
            #expect(try await outpost.count("postrider.webhook_workers WHERE alive") == 0)
            #expect(try await outpost.count("postrider.webhook_dead_letters") == 0)
            try await deliverTheRest(outpost, answers)
        }

        @Test(arguments: [(Int32(SIGINT), Int32(130)), (Int32(SIGTERM), Int32(143))])
        func secondSignalEndsItAtOnce(signal: Int32, status: Int32) async throws {
            let (worker, outpost, _, answers) = try await busyWorker(["POSTRIDER_SHUTDOWN_GRACE": "10m"])
            worker.signal(signal)
            try await eventually("the first signal to be heard") { try hasSaid("worker stopping", worker) }
            #expect(worker.isRunning, "it waits for answers")
            // The first that comes half a second later ends it.
            try await eventually("the worker to end") {
                if worker.isRunning { worker.signal(signal) }
                return !worker.isRunning
            }
            #expect(worker.status == status)
            #expect(try !hasSaid("worker stopped", worker))
            try await deliverTheRest(outpost, answers)
        }

        /// What is misspelled has its default.
        @Test func namesThatAreNoSettingsStandInTheLog() async throws {
            let outpost = try await Outpost()
            let worker = try WorkerProcess(outpost, environment: ["POSTRIDER_SHUTDOWN_GRASE": "marker"])
            try await eventually("the worker to start") { try hasSaid("worker started", worker) }
            #expect(try hasSaid("POSTRIDER_SHUTDOWN_GRASE (POSTRIDER_SHUTDOWN_GRACE?)", worker))
            #expect(try !hasSaid("marker", worker))
            #expect(worker.stop() == 0)
        }

        /// Sessions end and the server is there: what the worker holds is given back, and nobody has to rescue it.
        @Test func lostSessionsAreNoServerThatIsAway() async throws {
            let (worker, outpost, _, answers) = try await busyWorker(["POSTRIDER_SHUTDOWN_GRACE": "0s"])
            let ended = try await outpost.sql(
                """
                SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
                """)
            #expect(ended.count >= 2, "the fault is injected")
            worker.signal(SIGTERM)
            try await eventually("the worker to end") { !worker.isRunning }
            #expect(worker.status == 0)
            #expect(try await outpost.count("postrider.webhook_claims") == 0)
            #expect(try await outpost.count("postrider.webhook_retries") == 8)
            try await deliverTheRest(outpost, answers)
        }

        /// A server, a worker and a receiver that has got one request; the server goes away then, before the receiver answers
        /// or after the answer is recorded.
        private func orphan(
            beforeAnswer isWaiting: Bool
        ) async throws -> (cluster: CrashableCluster, worker: WorkerProcess, receiver: Receiver, answers: Latch) {
            let cluster = try CrashableCluster()
            try cluster.start()
            _ = try await accepts(cluster.url)
            let outpost = try await Outpost(empty: cluster.url)
            let answers = Latch()
            if !isWaiting { answers.open() }
            let receiver = try Receiver { _, _ in
                // The thread of the connection.
                while !answers.isOpen { usleep(1_000) }
                return .ok
            }
            try await outpost.endpoint(receiver.url())
            let worker = try WorkerProcess(outpost)
            try await outpost.emit("a.b")
            try await receiver.wait(for: 1)
            if !isWaiting { try await outpost.settled() }
            // Claims commit asynchronously: this one is to survive.
            try await outpost.sql("CHECKPOINT")
            await outpost.connection.close()
            #expect(try await cluster.crash())
            try await eventually("the worker to notice") { try hasSaid("no connection to Postgres", worker) }
            return (cluster, worker, receiver, answers)
        }

        @Test func withNothingToRecordItEndsWithoutItsServer() async throws {
            let (cluster, worker, receiver, _) = try await orphan(beforeAnswer: false)
            #expect(worker.stop() == 0)
            #expect(try hasSaid("no farewell", worker))
            #expect(receiver.received.count == 1)
            try cluster.start()
            _ = try await accepts(cluster.url)
            let outpost = try await Outpost(migrated: cluster.url)
            #expect(try await outpost.count("postrider.webhook_attempts WHERE outcome = 0") == 1)
            await outpost.connection.close()
        }

        @Test func whatWasAnsweredIsRecordedBeforeItEnds() async throws {
            let (cluster, worker, receiver, answers) = try await orphan(beforeAnswer: true)
            worker.signal(SIGTERM)
            try await eventually("the signal to be heard") { try hasSaid("worker stopping", worker) }
            answers.open()
            try cluster.start()
            _ = try await accepts(cluster.url)
            try await eventually("the worker to end") { !worker.isRunning }
            #expect(worker.status == 0)
            let outpost = try await Outpost(migrated: cluster.url)
            #expect(try await outpost.count("postrider.webhook_attempts WHERE outcome = 0") == 1)
            #expect(try await outpost.count("postrider.webhook_events WHERE status = 'completed'") == 1)
            #expect(receiver.received.count == 1)
            await outpost.connection.close()
        }
    }
}

/// Something that is opened once.
private final class Latch: Sendable {
    private let state = Atomic(false)

    var isOpen: Bool { state.load(ordering: .acquiring) }

    func open() { state.store(true, ordering: .releasing) }
}
