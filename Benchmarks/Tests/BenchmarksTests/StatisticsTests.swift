// Percentiles, medians, numbers: what the tables show.

import Testing

@testable import bench

@Suite struct StatisticsTests {
    @Test func percentileIsTheNearestRank() {
        let samples = (1...100).map(Double.init)
        #expect(Statistics.percentile(0.5, of: samples) == 50)
        #expect(Statistics.percentile(0.99, of: samples) == 99)
        #expect(Statistics.percentile(1, of: samples) == 100)
        #expect(Statistics.percentile(0.5, of: []) == 0)
    }

    @Test(arguments: zip([[3.0, 1, 2], [4, 1, 2, 3], [7], []], [2.0, 2.5, 7, 0]))
    func medianIsTheMiddle(samples: [Double], median: Double) {
        #expect(Statistics.median(samples) == median)
    }

    @Test(arguments: [
        (1_234_567.0, "1,234,567"), (999, "999"), (12.34, "12.3"), (1.5, "1.50"), (-0.25, "-0.25"), (0, "0"),
    ])
    func numbersAreShownWithThreeDigitsOrMore(value: Double, text: String) {
        #expect(Table.number(value) == text)
    }

    @Test func reportTakesTheMedianOfRuns() throws {
        var figure = Figure(Sample("commits", 10, "/s"))
        figure.add(30)
        figure.add(20)
        #expect(figure.median == 20)
        #expect(figure.least == 10)
        #expect(figure.greatest == 30)
    }
}
