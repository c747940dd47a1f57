// Parts that need no server: UUIDs, timers, job order, prepared names.

import Testing

@testable import Postgres

@Suite struct UUIDTests {
    @Test func canonicalTextIsReadInEitherCaseAndWrittenInLowerCase() throws {
        let id = try #require(UUIDBytes("0190A1B2-c3d4-7E5F-8a9b-0c1D2e3F4a5B"))
        #expect(id.high == 0x0190_a1b2_c3d4_7e5f)
        #expect(id.low == 0x8a9b_0c1d_2e3f_4a5b)
        #expect(id.description == "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b")
    }

    @Test(arguments: [
        "", "0190a1b2c3d47e5f8a9b0c1d2e3f4a5b", "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5",
        "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5g",
        "{190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b}", "0190a1b2-c3d4-7e5f-8a9b00c1d2e3f4a5b",
        "٠190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b",
    ])
    func otherTextIsRefused(text: String) {
        #expect(UUIDBytes(text) == nil)
    }

    @Test func orderIsByByte() {
        #expect(UUIDBytes(high: 1, low: .max) < UUIDBytes(high: 2, low: 0))
        #expect(UUIDBytes(high: 1, low: 1) < UUIDBytes(high: 1, low: 1 << 63))
    }
}

@Suite struct TimerHeapTests {
    @Test func timersComeOutInOrderAndOnlyWhenDue() {
        var heap = TimerHeap()
        for number in (0..<200).shuffled() {
            heap.insert(TimerHeap.Timer(deadline: MonotonicTime(nanoseconds: UInt64(number)), action: {}))
        }
        #expect(heap.earliest.nanoseconds == 0)
        var order: [UInt64] = []
        while let timer = heap.popDue(at: MonotonicTime(nanoseconds: 99)) { order.append(timer.deadline.nanoseconds) }
        #expect(order == Array(0..<100))
        #expect(heap.earliest.nanoseconds == 100)
        #expect(TimerHeap().earliest == .never)
    }

    @Test func hugeAndNegativeDurationsAreNoTrap() {
        #expect(MonotonicTime.after(nil) == .never)
        #expect(MonotonicTime.after(.seconds(Int64.max)) == .never)
        #expect(MonotonicTime.after(.seconds(-1)) <= MonotonicTime.now())
        #expect(MonotonicTime.never.pollTimeout == -1)
        #expect(MonotonicTime.after(.seconds(50)).pollTimeout > 0)
    }
}

@Suite struct JobQueueTests {
    private func job(_ name: String) -> Job { Job(.script(""), name: name, deadline: .never) }

    @Test func jobsLeaveInOrderAlsoAfterARemoval() {
        var queue = JobQueue()
        let jobs = (0..<600).map { job("\($0)") }
        for each in jobs { queue.append(each) }
        let first = queue.popFirst()
        queue.remove(jobs[300])
        queue.remove(jobs[0])
        var names: [String] = []
        while let next = queue.popFirst() { names.append(next.name) }
        #expect(first?.name == "0")
        #expect(names == (1..<600).filter { $0 != 300 }.map(String.init))
        #expect(queue.all.isEmpty)
    }
}

@Suite struct PreparedStatementsTests {
    @Test func nullFitsAnyVariantButOtherTypesDoNot() throws {
        var prepared = PreparedStatements()
        let statement = Statement(name: "A name with blanks", sql: "SELECT $1")
        let first = try #require(prepared.name(statement, types: [20]) { _ in false })
        let null = try #require(prepared.name(statement, types: [0]) { _ in true })
        let other = try #require(prepared.name(statement, types: [23]) { _ in false })
        #expect(first.isNew && !null.isNew && other.isNew)
        #expect(null.name == first.name && other.name != first.name)
        #expect(first.name.utf8.count < 64)
    }

    @Test func forgottenStatementGetsAnotherName() throws {
        var prepared = PreparedStatements()
        let statement = Statement(name: "S", sql: "SELECT 1")
        let first = try #require(prepared.name(statement, types: []) { _ in false })
        prepared.forget(first.name)
        let second = try #require(prepared.name(statement, types: []) { _ in false })
        #expect(second.isNew && second.name != first.name)
    }

    @Test func beyondTheLimitStatementsGoUnnamed() {
        var prepared = PreparedStatements()
        for number in 0..<PreparedStatements.limit {
            #expect(
                prepared.name(Statement(name: "S", sql: "SELECT \(number)"), types: []) { _ in false }?.isNew == true)
        }
        #expect(prepared.name(Statement(name: "S", sql: "SELECT 'more'"), types: []) { _ in false } == nil)
    }
}
