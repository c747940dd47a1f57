// What was measured: samples collected by scenario, variant and figure, in the order in which they first came.

/// The figures of one variant of a scenario.
struct Measurement: Encodable {
    /// The subcommand that measures it.
    let scenario: String
    /// Which of its variants, such as "2 workers".
    let variant: String
    /// The figures, in the order of the table.
    var figures: [Figure] = []
}

/// A ratio of two medians of the same runs.
struct Ratio: Encodable {
    /// What is divided by what.
    let name: String
    /// The quotient.
    let value: Double
}

/// Everything measured so far.
struct Report: Encodable {
    /// Where it was measured.
    let machine: Machine
    /// One for each variant.
    private(set) var measurements: [Measurement] = []
    /// See ``finish()``.
    private(set) var ratios: [Ratio] = []

    /// See ``finish()``.
    private(set) var verdicts: [Verdict] = []

    /// An empty report.
    init(_ machine: Machine) { self.machine = machine }

    /// Adds the figures of one run.
    mutating func add(_ scenario: String, _ variant: String, _ samples: [Sample]) {
        let index =
            measurements.firstIndex { $0.scenario == scenario && $0.variant == variant }
            ?? {
                measurements.append(Measurement(scenario: scenario, variant: variant))
                return measurements.count - 1
            }()
        for sample in samples {
            if let place = measurements[index].figures.firstIndex(where: { $0.name == sample.name }) {
                measurements[index].figures[place].add(sample.value)
            } else {
                measurements[index].figures.append(Figure(sample))
            }
        }
    }

    /// Works out the ratios and the verdicts. Called once, after the last run.
    mutating func finish() {
        for comparison in Comparison.all {
            guard let part = median(comparison.part), let whole = median(comparison.whole), whole > 0 else { continue }
            ratios.append(Ratio(name: comparison.name, value: part / whole))
        }
        verdicts = Goal.all.compactMap { goal in value(of: goal.source).map { Verdict(goal, $0) } }
    }

    /// What must be nothing and was not: events that were not delivered or not recorded, for people. Empty when all is well.
    var losses: [String] {
        measurements.flatMap { measurement in
            measurement.figures.filter { Report.mustBeNone.contains($0.name) && $0.greatest > 0 }.map {
                "\(measurement.scenario), \(measurement.variant): \(Table.number($0.greatest)) \($0.name)"
            }
        }
    }

    private static let mustBeNone = ["lost", "not recorded", "not delivered after 10 s"]

    private func value(of source: Goal.Source) -> Double? {
        switch source {
        case .figure(let place): return median(place)
        case .share(let part, let whole):
            guard let part = median(part), let whole = median(whole), whole > 0 else { return nil }
            return part / whole * 100
        case .sum(let places):
            let values = places.compactMap(median)
            return values.count == places.count ? values.reduce(0, +) : nil
        case .greatest(let places): return places.compactMap(median).max()
        }
    }

    private func median(_ place: Comparison.Place) -> Double? {
        let candidates = measurements.filter { $0.scenario == place.scenario && $0.variant.hasPrefix(place.variant) }
        return (candidates.first { $0.variant == place.variant } ?? candidates.first)?
            .figures.first { $0.name == place.figure }?.median
    }
}
