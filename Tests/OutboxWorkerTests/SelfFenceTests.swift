// The right to send: what a worker starts with it, and that it ends before the lease does.

import HTTPExchange
import Outbox
import Postgres
import Synchronization
import Testing

@testable import OutboxStore
@testable import OutboxWorker

@Suite struct SelfFenceTests: DispatchFixture {
    private final class Log: Sendable {
        let requests = Mutex(0)
    }

    private static let hour: Int64 = 3_600_000_000
    /// The lease of a heartbeat, `WorkerHeartbeat` in sql/queries/workers.sql.
    private static let lease: Int64 = 1_500_000

    @Test func rightToSendEndsBeforeTheLeaseAndIsCountedFromBeforeTheHeartbeat() {
        #expect(Fence.validity < Self.lease)
        #expect(Fence(registeredAt: WorkerClock.now() + Self.hour).isOpen)
        #expect(!Fence(registeredAt: WorkerClock.now() - Fence.validity).isOpen)
        let fence = Fence(registeredAt: WorkerClock.now() - Fence.validity)
        fence.confirm(heartbeatStartedAt: WorkerClock.now() + Self.hour)
        #expect(fence.isOpen)
        // The answer to a heartbeat that took too long gives no right.
        fence.confirm(heartbeatStartedAt: WorkerClock.now() - Fence.validity)
        #expect(!fence.isOpen)
        fence.confirm(heartbeatStartedAt: WorkerClock.now() + Self.hour)
        fence.close()
        #expect(!fence.isOpen)
    }

    @Test func noRequestStartsWithoutTheRight() throws {
        let fence = Fence(registeredAt: WorkerClock.now() + Self.hour)
        let log = Log()
        let routing = Routing(version: 1, destinations: [try destination(1)], keptResponseBytes: [:], faults: [])
        let dispatcher = Dispatcher(
            settings: WorkerSettings(database: ConnectionSettings(url: "postgres://localhost/none")),
            routing: RoutingTable(routing), fence: fence,
            send: { requests in log.requests.withLock { $0 += requests.count } }, transform: { $0 }, settled: { _ in })
        fence.confirm(heartbeatStartedAt: WorkerClock.now() - Fence.validity)
        dispatcher.accept(Claim(id: 1, work: [work(1)], rescues: 0))
        #expect(log.requests.withLock { $0 } == 0)
        #expect(dispatcher.gauge().outstanding == 1)
        fence.confirm(heartbeatStartedAt: WorkerClock.now() + Self.hour)
        dispatcher.depart()
        #expect(log.requests.withLock { $0 } == 1)
    }
}
