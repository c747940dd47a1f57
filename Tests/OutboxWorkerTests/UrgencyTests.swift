// When the work cycle is woken by answers: once when there is room for a claim, once when there is enough to record.

import HTTPExchange
import Outbox
import Postgres
import Synchronization
import Testing

@testable import HTTPExchange
@testable import OutboxStore
@testable import OutboxWorker

@Suite struct UrgencyTests: DispatchFixture {
    private final class Log: Sendable {
        let requests = Mutex<[Request]>([])
        let wishes = Mutex<[Int64]>([])
    }

    private func dispatcher(
        _ log: Log, maxOutstanding: Int = 1_000, maxPayloadBytes: Int = 64 << 20
    ) throws -> Dispatcher {
        var settings = WorkerSettings(database: ConnectionSettings(url: "postgres://localhost/none"))
        settings.maxOutstanding = maxOutstanding
        settings.maxPayloadBytes = maxPayloadBytes
        let routing = Routing(
            version: 1, destinations: [try destination(1, concurrency: 512)], keptResponseBytes: [:], faults: [])
        // Open for an hour: a worker's own right to send is over in a second, which a test may take.
        let fence = Fence(registeredAt: WorkerClock.now() + 3_600_000_000)
        return Dispatcher(
            settings: settings, routing: RoutingTable(routing), fence: fence,
            send: { requests in log.requests.withLock { $0 += requests } }, transform: { $0 },
            settled: { within in log.wishes.withLock { $0.append(within) } })
    }

    /// Answers so many of the requests that were sent, one batch for each; what the work cycle was asked for each time.
    private func answer(_ count: Int, _ dispatcher: Dispatcher, _ log: Log) -> [Int64] {
        log.wishes.withLock { $0 = [] }
        for _ in 0..<count {
            let request = log.requests.withLock { $0.removeFirst() }
            let response = Response(status: 200, headers: [], body: [], discardedBytes: 0, isCut: false)
            dispatcher.completed([
                Exchange(
                    token: request.token, result: .response(response), partial: nil, timings: Timings(total: 900),
                    reusedConnection: true, remoteAddress: nil, httpVersion: .http1_1)
            ])
        }
        return log.wishes.withLock { $0 }
    }

    @Test func cycleIsWokenOnceForRoomAndOnceForEnoughToRecord() throws {
        let log = Log()
        let dispatcher = try dispatcher(log)
        dispatcher.accept(Claim(id: 1, work: (0..<1_000).map { work($0) }, rescues: 0))
        #expect(!dispatcher.gauge().hasRoom)
        let wishes = answer(300, dispatcher, log)
        let urgent = wishes.indices.filter { wishes[$0] == 0 }
        #expect(urgent == [WorkCycle.flushCount - 1, WorkCycle.smallestClaim - 1])
        #expect(dispatcher.gauge().hasRoom)
        // Little is in memory now, and outcomes wait for company as long as they do at low rates.
        #expect(wishes.last == WorkCycle.flushDelay)
    }

    @Test func workerThatIsBehindRecordsMoreAtOnce() throws {
        let log = Log()
        let dispatcher = try dispatcher(log, maxOutstanding: 4_000)
        dispatcher.accept(Claim(id: 1, work: (0..<4_000).map { work($0) }, rescues: 0))
        let wishes = answer(WorkCycle.backlogFlushCount, dispatcher, log)
        let urgent = wishes.indices.filter { wishes[$0] == 0 }
        #expect(urgent == [WorkCycle.smallestClaim - 1, WorkCycle.backlogFlushCount - 1])
        #expect(wishes.first == WorkCycle.backlogFlushDelay)
    }

    /// Each payload has two bytes.
    @Test func payloadsTakeRoomUntilTheyAreAnswered() throws {
        let log = Log()
        let dispatcher = try dispatcher(log, maxPayloadBytes: 4)
        dispatcher.accept(Claim(id: 1, work: [work(1)], rescues: 0))
        #expect(dispatcher.gauge().room == 999)
        dispatcher.accept(Claim(id: 2, work: [work(2)], rescues: 0))
        #expect(dispatcher.gauge().room == 0)
        _ = answer(1, dispatcher, log)
        #expect(dispatcher.gauge().room == 999)
        _ = answer(1, dispatcher, log)
        #expect(dispatcher.gauge().room == 1_000)
    }

    @Test func outcomesWaitLongerForCompanyWhenMuchIsInMemory() {
        #expect(WorkCycle.flushDelay(releasesOrder: false, outstanding: WorkCycle.backlog) == WorkCycle.backlogFlushDelay)
        #expect(WorkCycle.flushDelay(releasesOrder: false, outstanding: WorkCycle.backlog - 1) == WorkCycle.flushDelay)
        #expect(WorkCycle.flushDelay(releasesOrder: true, outstanding: WorkCycle.backlog) == WorkCycle.orderFlushDelay)
    }
}
