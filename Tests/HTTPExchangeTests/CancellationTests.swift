// What is here: requests that are taken back, and an exchanger that is shut down in the middle of its work.

import HTTPExchange
import Synchronization
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(10))) struct CancellationTests {
    /// A receiver that never answers, and a stream with one element for each request it has read.
    private func silentReceiver() throws -> (Receiver, AsyncStream<Void>) {
        let read = AsyncStream<Void>.makeStream()
        let receiver = try Receiver { connection in
            guard connection.readRequest() != nil else { return }
            read.continuation.yield()
            connection.waitForEnd()
        }
        return (receiver, read.stream)
    }

    private func wait(_ count: Int, _ stream: AsyncStream<Void>) async throws {
        try await withDeadline(.seconds(30), "\(count) requests to be read") {
            var iterator = stream.makeAsyncIterator()
            for _ in 0..<count { await iterator.next() }
        }
    }

    @Test func cancelAllEndsEverything() async throws {
        let (receiver, read) = try silentReceiver()
        let collected = Collected()
        try await withExchanger(completed: collected.add) { exchanger in
            exchanger.submit((0..<10).map { .post(receiver.url(), token: $0) })
            async let performed = exchanger.perform(.post(receiver.url()))
            try await wait(11, read)
            exchanger.cancelAll()
            #expect(await performed.failure?.kind == .cancelled)
            let exchanges = try await collected.wait(for: 10)
            #expect(exchanges.allSatisfy { $0.failure?.kind == .cancelled })
            #expect(exchanger.counters.inFlight == 0)
        }
    }

    private final class Holder: Sendable {
        let exchanger = Mutex<Exchanger?>(nil)
    }

    @Test func cancelAllSparesWhatIsHandedInBehindIt() async throws {
        let (silent, _) = try silentReceiver()
        let receiver = try Receiver.answering()
        let collected = Collected()
        let holder = Holder()
        let completed = { @Sendable (exchanges: [Exchange]) in
            collected.add(exchanges)
            guard exchanges.contains(where: { $0.token == 0 }) else { return }
            // On the loop's own thread, so that it finds all three at once.
            holder.exchanger.withLock { exchanger in
                exchanger?.submit([.post(silent.url(), token: 1)])
                exchanger?.cancelAll()
                exchanger?.submit([.post(receiver.url(), token: 2)])
            }
        }
        try await withExchanger(completed: completed) { exchanger in
            holder.exchanger.withLock { $0 = exchanger }
            exchanger.submit([.post(receiver.url(), token: 0)])
            let exchanges = try await collected.wait(for: 3)
            holder.exchanger.withLock { $0 = nil }
            #expect(exchanges.first(where: { $0.token == 1 })?.failure?.kind == .cancelled)
            #expect(exchanges.first(where: { $0.token == 2 })?.response?.status == 200)
            #expect(exchanger.counters.started == 3 && exchanger.counters.finished == 3)
        }
        #expect(silent.accepted == 0 && receiver.accepted > 0)
    }

    @Test func cancelledTaskEndsItsRequestOnly() async throws {
        let (receiver, read) = try silentReceiver()
        let collected = Collected()
        try await withExchanger(completed: collected.add) { exchanger in
            exchanger.submit((0..<4).map { .post(receiver.url(), token: $0) })
            let task = Task { await exchanger.perform(.post(receiver.url())) }
            try await wait(5, read)
            task.cancel()
            #expect(await task.value.failure?.kind == .cancelled)
            #expect(exchanger.counters.inFlight == 4)
            #expect(collected.exchanges.isEmpty)
        }
    }

    @Test func taskCancelledBeforehandStillReturns() async throws {
        let (receiver, _) = try silentReceiver()
        try await withExchanger { exchanger in
            let task = Task {
                withUnsafeCurrentTask { $0?.cancel() }
                return await exchanger.perform(.post(receiver.url()))
            }
            #expect(await task.value.failure?.kind == .cancelled)
        }
    }

    @Test func shutdownHandsBackWhatIsInFlight() async throws {
        let (receiver, read) = try silentReceiver()
        let collected = Collected()
        let exchanger = try Exchanger(settings: .loopback, completed: collected.add)
        exchanger.submit((0..<100).map { .post(receiver.url(), token: $0) })
        exchanger.submit([.post("http://nothing.invalid/", token: 100)])
        try await wait(100, read)
        await exchanger.shutdown()
        #expect(collected.exchanges.count == 101)
        #expect(Set(collected.exchanges.map(\.token)) == Set(0...100))
        #expect(collected.exchanges.count { $0.failure?.kind == .cancelled } >= 100)
        let counters = exchanger.counters
        #expect(counters.inFlight == 0 && counters.connectionsOpen == 0)
        #expect(counters.started == 101 && counters.finished == 101)
    }

    @Test func requestsAfterShutdownComeBackCancelled() async throws {
        let collected = Collected()
        let exchanger = try Exchanger(settings: .loopback, completed: collected.add)
        await exchanger.shutdown()
        await exchanger.shutdown()
        exchanger.submit([.post("http://127.0.0.1:1/", token: 5)])
        #expect(collected.exchanges.map(\.token) == [5])
        #expect(collected.exchanges.first?.failure?.kind == .cancelled)
        #expect(await exchanger.perform(.post("http://127.0.0.1:1/")).failure?.kind == .cancelled)
    }

    @Test func shutdownRacingWithSubmissionsLosesNone() async throws {
        let receiver = try Receiver.answering()
        for _ in 0..<20 {
            let collected = Collected()
            let exchanger = try Exchanger(settings: .loopback, completed: collected.add)
            await withTaskGroup(of: Void.self) { group in
                for task in 0..<4 {
                    group.addTask {
                        for index in 0..<25 {
                            exchanger.submit([.post(receiver.url(), token: UInt64(task * 25 + index))])
                        }
                    }
                }
                group.addTask { await exchanger.shutdown() }
            }
            #expect(try await collected.wait(for: 100).count == 100)
            #expect(Set(collected.exchanges.map(\.token)).count == 100)
        }
    }

    @Test func exchangerLeftBehindHandsItsRequestsBack() async throws {
        let (receiver, read) = try silentReceiver()
        let collected = Collected()
        var exchanger: Exchanger? = try Exchanger(settings: .loopback, completed: collected.add)
        exchanger?.submit([.post(receiver.url(), token: 3)])
        try await wait(1, read)
        exchanger = nil
        #expect(try await collected.wait(for: 1).first?.failure?.kind == .cancelled)
    }
}
