// Which signals stop a command in order, and which at once.

import Testing

@testable import postrider

@Suite struct StopSignalTests {
    /// Echoes do not put the second signal off.
    @Test(arguments: [
        ([0, 0, 3, 499], [StopSignals.Meaning.first, .echo, .echo, .echo]), ([7, 506, 507], [.first, .echo, .second]),
        ([0, 600_000, 600_001], [.first, .second, .second]),
    ])
    func signalThatComesTwiceAtOnceCountsOnce(milliseconds: [Int], expected: [StopSignals.Meaning]) {
        var stops = StopSignals()
        let start = ContinuousClock.now
        let meanings = milliseconds.map { stops.meaning(at: start + .milliseconds($0)) }
        #expect(meanings == expected)
    }
}
