// Goals and shares of work: what the last table says.

import Testing

@testable import bench

@Suite struct GoalTests {
    @Test(arguments: [
        (Goal.Bound.atLeast(70), 70.0, true), (.atLeast(70), 69.9, false), (.atMost(10), 10, true),
        (.atMost(10), 10.1, false),
    ])
    func boundIsPartOfWhatIsAllowed(bound: Goal.Bound, value: Double, isReached: Bool) {
        let goal = Goal("anything", .sum([]), bound, "%")
        #expect(goal.isReached(by: value) == isReached)
    }

    @Test func rowTellsGoalValueAndVerdict() {
        let place = Comparison.Place(scenario: "held", variant: "", figure: "rate")
        let missed = Verdict(Goal("drain", .figure(place), .atLeast(20_000), "/s"), 19_999)
        #expect(missed.row == "| drain: ≥ 20,000 /s | 19,999 /s | **no** |")
        let reached = Verdict(Goal("p99", .figure(place), .atMost(5), "ms"), 2.25)
        #expect(reached.row == "| p99: ≤ 5 ms | 2.25 ms | yes |")
    }

    @Test func workersThatDidNothingCountAsDeviation() {
        #expect(Scaling.deviation(of: [100, 100], workers: 2) == 0)
        #expect(Scaling.deviation(of: [110, 90], workers: 2) == 10)
        #expect(Scaling.deviation(of: [200], workers: 2) == 100)
        #expect(Scaling.deviation(of: [100, 100, 100, 100], workers: 8) == 100)
        #expect(Scaling.deviation(of: [], workers: 2) == 0)
    }

    @Test func everyGoalIsOfAMeasurementThatExists() {
        let places = Goal.all.flatMap { goal in
            switch goal.source {
            case .figure(let place): [place]
            case .share(let part, let whole): [part, whole]
            case .sum(let places), .greatest(let places): places
            }
        }
        #expect(!places.isEmpty && places.allSatisfy { Options.scenarios.contains($0.scenario) })
    }
}
