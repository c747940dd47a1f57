// The dispatcher's decisions without threads, sockets or a clock.

import Outbox
import Testing

@testable import OutboxStore
@testable import OutboxWorker

@Suite struct DispatchStateTests: DispatchFixture {
    @Test func claimIsFinishedWithItsLastDelivery() throws {
        var state = state([try destination(1), try destination(2)])
        add(&state, claim: 5, [work(1)])
        let departures = state.depart(at: 0)
        #expect(departures.map(\.destination.id).sorted() == [1, 2])
        answer(&state, departures[0].token, status: 200)
        #expect(state.settlement.finishedClaims.isEmpty)
        answer(&state, departures[1].token, status: 500)
        #expect(state.settlement.finishedClaims == [5])
        #expect(state.outstanding == 0)
        #expect(state.takeRetryHints().map(\.milliseconds) == [1000])
    }

    @Test func deliveryWhoseSecretDoesNotOpenIsLeftToOthers() throws {
        let closed = try destination(1, isEnabled: false)
        let routing = Routing(
            version: 1, destinations: [closed], keptResponseBytes: [:], faults: [], locked: [closed.id])
        var state = DispatchState(maxInFlight: 100, routing: RoutingTable(routing))
        add(&state, claim: 5, [work(1)])
        #expect(state.depart(at: 0).isEmpty)
        #expect(state.settlement.count == 1)
        #expect(state.settlement.finishedClaims == [5])
        // It is due again for workers that can sign; this one does not come back to it.
        #expect(state.takeRetryHints().isEmpty)
        #expect(state.retryRoom(of: 1, at: 0) == 0)
    }

    @Test func eventThatNobodyWantsFinishesItsClaim() throws {
        var state = state([try destination(1, patterns: ["other"])])
        add(&state, claim: 5, [work(1)])
        #expect(state.settlement.finishedClaims == [5])
        #expect(state.depart(at: 0).isEmpty)
    }

    @Test func concurrencyOfADestinationIsKept() throws {
        var state = state([try destination(1, concurrency: 2)])
        add(&state, claim: 1, (0..<5).map { work($0) })
        let first = state.depart(at: 0)
        #expect(first.count == 2)
        #expect(state.depart(at: 0).isEmpty)
        answer(&state, first[0].token, status: 200)
        #expect(state.depart(at: 0).count == 1)
        #expect(state.inFlight == 2)
        #expect(state.waiting == 2)
    }

    /// What a receiver says of a batch counts, also when the destination gets no batches any more.
    @Test func refusedItemsCountWhenTheOptionIsGone() throws {
        let options = try DeliveryOptions(parsing: Array(#"{"batch": {"events": 2}}"#.utf8))
        var state = state([try destination(1, options: options)])
        add(&state, claim: 1, [work(1), work(2)])
        let batch = try #require(state.depart(at: 0).first)
        #expect(batch.more.count == 1)
        let plain = Routing(version: 2, destinations: [try destination(1)], keptResponseBytes: [:], faults: [])
        state.setRouting(RoutingTable(plain))
        let body = #"{"batchItemFailures": [{"itemIdentifier": "\#(batch.delivery.parcel.event.id)"}]}"#
        let ended = EndedExchange(duration: 5, status: 200, body: Array(body.utf8), message: "")
        state.settle(token: batch.token, .answered(Answer(status: 200)), ended, random: 0, now: 10)
        // One is tried again.
        #expect(state.takeRetryHints().count == 1)
        #expect(state.settlement.finishedClaims == [1])
    }

    /// One answer means the same for each event of a request: the next attempts of all are due at the same time.
    @Test func batchHoldsEventsOfTheSameAttempt() throws {
        let options = try DeliveryOptions(parsing: Array(#"{"batch": {"events": 16, "wait_ms": 0}}"#.utf8))
        var state = state([try destination(1, options: options)])
        let attempts: [Int16] = [2, 2, 3, 2]
        let works = attempts.enumerated().map { number, attempt in
            work(UInt64(number), target: Claim.Target(destination: 1, attempt: attempt))
        }
        add(&state, claim: 1, works)
        let requests = state.depart(at: 1).map { [$0.delivery.attempt] + $0.more.map(\.attempt) }
        #expect(requests == [[2, 2], [3], [2]])
    }

    @Test func destinationsTakeTurns() throws {
        var state = state(
            [try destination(1, concurrency: 50, patterns: ["a.b"]), try destination(2, concurrency: 50, patterns: ["c"])], maxInFlight: 4)
        add(&state, claim: 1, (0..<20).map { work($0) } + (20..<40).map { work($0, type: "c") })
        #expect(state.depart(at: 0).map(\.destination.id).sorted() == [1, 1, 2, 2])
    }

    @Test func inactiveDestinationsDeliveriesAreParked() throws {
        var state = state([try destination(1, isEnabled: false)])
        add(&state, claim: 3, [work(1)])
        #expect(state.settlement.count == 1)
        #expect(state.settlement.finishedClaims == [3])
        #expect(state.depart(at: 0).isEmpty)
    }

    @Test func retryOfADeletedDestinationIsDropped() throws {
        var state = state([try destination(1)])
        add(&state, claim: 3, [work(1, target: Claim.Target(destination: 99, attempt: 2))])
        #expect(state.settlement.finishedClaims == [3])
        #expect(state.settlement.count == 0)
    }

    @Test func settledDeliveriesOfARescueAreNotSentAgain() throws {
        var state = state([try destination(1), try destination(2)])
        let item = work(1)
        state.open(claim: 8, now: 0)
        state.add(item, to: 8, settled: [DeliveryKey(event: item.event.id, destination: 1)], now: 0)
        state.close(claim: 8)
        #expect(state.depart(at: 0).map(\.destination.id) == [2])
    }

    @Test func workBehindAStalledDestinationIsGivenBack() throws {
        var state = state([try destination(1, concurrency: 2), try destination(2, concurrency: 2)])
        add(&state, claim: 1, (0..<50).map { work($0) })
        #expect(state.depart(at: 0).count == 4)
        // Destination 2 answers, destination 1 hangs.
        for token in [UInt64(1), 3] { answer(&state, token, status: 200, now: 3_000_000) }
        state.relieve(at: 3_000_000)
        #expect(state.waiting < 96)
        #expect(state.settlement.count > 2)
        let hints = state.takeRetryHints()
        #expect(!hints.isEmpty && hints.allSatisfy { $0.milliseconds == 0 })
        #expect(state.retryRoom(of: 1, at: 3_000_000) == 0)
    }

    @Test func drainGivesBackEverythingThatHasNotStarted() throws {
        var state = state([try destination(1, concurrency: 2)])
        add(&state, claim: 1, (0..<5).map { work($0) })
        let departures = state.depart(at: 0)
        state.isDraining = true
        state.relieve(at: 1)
        #expect(state.waiting == 0)
        #expect(state.settlement.count == 3)
        #expect(state.payloadBytes == 4, "of the two in flight")
        #expect(state.settlement.finishedClaims.isEmpty)
        for departure in departures { answer(&state, departure.token, status: 200) }
        #expect(state.payloadBytes == 0)
        #expect(state.settlement.finishedClaims == [1])
        #expect(state.depart(at: 2).isEmpty)
    }

    @Test func takenSettlementsClaimsStayKnownUntilTheyAreRecorded() throws {
        var state = state([try destination(1)])
        add(&state, claim: 4, [work(1)])
        #expect(state.knownClaims == [4])
        answer(&state, state.depart(at: 0)[0].token, status: 200)
        _ = state.takeSettlement()
        #expect(state.knownClaims == [4])
        state.recorded()
        #expect(state.knownClaims.isEmpty)
    }

    @Test func olderRoutingDoesNotReplaceANewerOne() throws {
        var state = state([try destination(1)])
        state.setRouting(RoutingTable(Routing(version: 0, destinations: [], keptResponseBytes: [:], faults: [])))
        #expect(state.routing.version == 1)
    }
}

@Suite struct AnswerBodyTests {
    @Test func bodyIsCutAndMadeStorable() {
        #expect(AnswerBody.kept([], limit: 10) == nil)
        #expect(AnswerBody.kept(Array("abc".utf8), limit: 0) == nil)
        #expect(AnswerBody.kept(Array("abcdef".utf8), limit: 3) == Array("abc".utf8))
        #expect(AnswerBody.kept([0x61, 0, 0x62], limit: 10) == Array("a\u{FFFD}b".utf8))
        #expect(AnswerBody.kept([0xFF, 0x61], limit: 10) == Array("\u{FFFD}a".utf8))
        #expect(AnswerBody.kept(Array("é".utf8), limit: 1) == Array("\u{FFFD}".utf8))
    }
}

@Suite(.timeLimit(.minutes(5))) struct SignalTests {
    @Test func raisedSignalIsNotLost() async {
        let signal = Signal()
        signal.raise()
        // A lost signal would take the whole minute.
        let start = ContinuousClock.now
        await signal.wait(atMost: .seconds(60))
        #expect(ContinuousClock.now - start < .seconds(30))
    }

    @Test func waitsEndWhenTheirTimeIsUp() async {
        let signal = Signal()
        let start = ContinuousClock.now
        for _ in 0..<2000 { await signal.wait(atMost: .microseconds(50)) }
        // Each at its end and none before it; a microsecond may be lost in the rounding of each.
        #expect(ContinuousClock.now - start >= .microseconds(2000 * 49))
    }

    @Test func waiterIsWokenByAnotherTask() async {
        let signal = Signal()
        async let waited = {
            let start = ContinuousClock.now
            await signal.wait(atMost: .seconds(60))
            return ContinuousClock.now - start
        }()
        await Task.yield()
        signal.raise()
        #expect(await waited < .seconds(30))
    }
}
