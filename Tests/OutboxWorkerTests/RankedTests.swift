// Whose turn it is among three priorities.

import Testing

@testable import OutboxWorker

@Suite struct RankedTests {
    @Test func eachRankIsFirstInFirstOut() {
        var line = Ranked<Int>()
        for number in 1...5 { line.append(number, rank: 1) }
        #expect((1...5).map { _ in line.popFirst() } == [1, 2, 3, 4, 5])
        #expect(line.isEmpty && line.popFirst() == nil)
    }

    @Test func highGoesFirstAndNoRankStarves() {
        var line = Ranked<Int>()
        for rank in 0...2 { for _ in 0..<160 { line.append(rank, rank: rank) } }
        let first = (0..<160).compactMap { _ in line.popFirst() }
        let counts = (0...2).map { rank in first.filter { $0 == rank }.count }
        #expect(counts == [110, 40, 10])
        #expect(line.count == 320)
    }

    @Test func theYoungestOfTheLowestRankGoesLast() {
        var line = Ranked<Int>()
        for (number, rank) in [(1, 0), (2, 2), (3, 2), (4, 1)] { line.append(number, rank: rank) }
        #expect((1...4).map { _ in line.popLast() } == [3, 2, 4, 1])
    }

    @Test func companionIsTakenOnlyFromTheHeadOfTheHighestRank() {
        var line = Ranked<Int>()
        for (number, rank) in [(3, 2), (2, 1), (1, 0)] { line.append(number, rank: rank) }
        let found: [Int?] = [2, 1, 3, 2, 3].map { wanted in line.popFirst(where: { $0 == wanted }) }
        #expect(found == [nil, 1, nil, 2, 3])
        #expect(line.isEmpty)
    }
}
