// What the work cycle asks for: no more retries than the worker has room for.

import Testing

@testable import OutboxWorker

@Suite struct PlanTests {
    @Test func retriesSpendTheRoomOfTheWorker() {
        var plan = WorkCycle.Plan(room: 130)
        let left = plan.addRetries(of: [7, 3, 9, 1], having: [500, 20, 40, 40])
        #expect(plan.retries.map(\.id) == [7, 3, 9])
        #expect(plan.retries.map(\.most) == [100, 20, 10])
        #expect(left == [1])
        #expect(plan.room == 0)
    }

    @Test func destinationWithoutRoomIsLeftAndOthersAreNot() {
        var plan = WorkCycle.Plan(room: 1_000)
        let left = plan.addRetries(of: [1, 2, 3], having: [5, 0, 5])
        #expect(left == [2])
        #expect(plan.retries.map(\.id) == [1, 3])
        #expect(plan.room == 990)
    }

    @Test func whatIsAddedLaterGetsTheRestOfTheRoom() {
        var plan = WorkCycle.Plan(room: 15)
        let first = plan.addRetries(of: [1], having: [10])
        let second = plan.addRetries(of: [2, 3], having: [10, 10])
        #expect(first.isEmpty)
        #expect(second == [3])
        #expect(plan.retries.map(\.most) == [10, 5])
    }

    @Test func destinationThatLacksAPlaceInTheClaimIsNotLeft() {
        var plan = WorkCycle.Plan(room: 10_000)
        let ids = (1...300).map { Int32($0) }
        let left = plan.addRetries(of: ids, having: Array(repeating: 1, count: 300))
        #expect(left.isEmpty)
        #expect(plan.retries.count == WorkCycle.Plan.mostDestinations)
        #expect(plan.room == 10_000 - WorkCycle.Plan.mostDestinations)
    }

    @Test func workerWithoutRoomAsksForNone() {
        var plan = WorkCycle.Plan()
        let left = plan.addRetries(of: [1], having: [10])
        #expect(left == [1])
        #expect(plan.isEmpty)
    }
}
