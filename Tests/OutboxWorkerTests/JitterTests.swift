// The random part of waits: spread evenly, and another one for each worker.

import Testing

@testable import OutboxWorker

@Suite struct JitterTests {
    @Test func numbersAreSpreadEvenlyFromZeroUpToOne() {
        var jitter = Jitter(seed: 1)
        var tenths = [Int](repeating: 0, count: 10)
        for _ in 0..<10_000 {
            let number = jitter.next()
            #expect(number >= 0 && number < 1)
            tenths[Int(number * 10)] += 1
        }
        for count in tenths { #expect((850...1150).contains(count)) }
    }

    @Test func anotherSeedGivesOtherNumbers() {
        var (first, second) = (Jitter(seed: 1), Jitter(seed: 2))
        #expect(first.next() != second.next())
    }
}
