// What was measured: samples collected by scenario, variant and figure, in the order in which they first came.

/// One figure of one run.
struct Sample {
    /// What it is, such as "events".
    let name: String
    /// Its unit, such as "/s".
    let unit: String
    /// Its value in that unit.
    let value: Double

    /// - Parameters:
    ///   - name: what it is.
    ///   - value: its value.
    ///   - unit: the unit of the value; empty for a count.
    init(_ name: String, _ value: Double, _ unit: String = "") {
        self.name = name
        self.unit = unit
        self.value = value
    }
}

/// One figure of all runs.
struct Figure: Encodable {
    /// What it is.
    let name: String
    /// Its unit; empty for a count.
    let unit: String
    /// One value for each run, in order.
    var values: [Double]
    /// Their median.
    var median: Double
    /// The least of them.
    var least: Double
    /// The greatest of them.
    var greatest: Double

    init(_ sample: Sample) {
        (name, unit, values) = (sample.name, sample.unit, [sample.value])
        (median, least, greatest) = (sample.value, sample.value, sample.value)
    }

    mutating func add(_ value: Double) {
        values.append(value)
        median = Statistics.median(values)
        least = min(least, value)
        greatest = max(greatest, value)
    }
}

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

/// Two figures whose ratio means something: both are measured in the same run.
struct Comparison {
    /// A figure of the report.
    struct Place {
        /// Scenario.
        let scenario: String
        /// Beginning of the variant's name.
        let variant: String
        /// Name of the figure.
        let figure: String
    }

    let name: String
    let part: Place
    let whole: Place

    static let all =
        [
            Comparison(
                name: "drain: after much history / new database",
                part: Place(scenario: "backlog", variant: BacklogVariant.history.rawValue, figure: "deliveries"),
                whole: Place(scenario: "backlog", variant: BacklogVariant.bare.rawValue, figure: "deliveries")),
            Comparison(
                name: "drain: a transaction held open / none",
                part: Place(scenario: "backlog", variant: BacklogVariant.pinned.rawValue, figure: "deliveries"),
                whole: Place(scenario: "backlog", variant: BacklogVariant.bare.rawValue, figure: "deliveries")),
            Comparison(
                name: "drain: Postrider / bare C program, as many processes",
                part: Place(scenario: "drain", variant: Drain.variant, figure: "deliveries"),
                whole: Place(scenario: "drain", variant: Ceiling.variant, figure: "deliveries")),
            Comparison(
                name: "drain: over TLS / plain http",
                part: Place(scenario: "drain", variant: Drain.secure, figure: "deliveries"),
                whole: Place(scenario: "drain", variant: Drain.variant, figure: "deliveries")),
            Comparison(
                name: "drain: TLS / plain http, connections kept",
                part: Place(scenario: "tls", variant: TLSVariant.tls.rawValue, figure: "deliveries"),
                whole: Place(scenario: "tls", variant: TLSVariant.plain.rawValue, figure: "deliveries")),
            Comparison(
                name: "drain: TLS / plain http, closed after 100 requests",
                part: Place(scenario: "tls", variant: TLSVariant.tlsClosed.rawValue, figure: "deliveries"),
                whole: Place(scenario: "tls", variant: TLSVariant.plainClosed.rawValue, figure: "deliveries")),
            Comparison(
                name: "drain: HTTP/2 / HTTP/1.1, behind a proxy",
                part: Place(scenario: "http2", variant: HTTP2Variant.http2.rawValue, figure: "deliveries"),
                whole: Place(scenario: "http2", variant: HTTP2Variant.http1.rawValue, figure: "deliveries")),
            Comparison(
                name: "commit rate: workers running, with doorbell / without",
                part: Place(scenario: "producers", variant: DoorbellPair.ringing, figure: "commits"),
                whole: Place(scenario: "producers", variant: DoorbellPair.silent, figure: "commits")),
            Comparison(
                name: "commit rate: attached, workers running / attached, doorbell silent",
                part: Place(scenario: "producers", variant: ProducerVariant.workers.rawValue, figure: "commits"),
                whole: Place(scenario: "producers", variant: ProducerVariant.silent.rawValue, figure: "commits")),
            Comparison(
                name: "commit rate: attached, doorbell silent / no trigger",
                part: Place(scenario: "producers", variant: ProducerVariant.silent.rawValue, figure: "commits"),
                whole: Place(scenario: "producers", variant: ProducerVariant.plain.rawValue, figure: "commits")),
            Comparison(
                name: "commit rate: attached, workers running / no trigger",
                part: Place(scenario: "producers", variant: ProducerVariant.workers.rawValue, figure: "commits"),
                whole: Place(scenario: "producers", variant: ProducerVariant.plain.rawValue, figure: "commits")),
            Comparison(
                name: "commit rate: attached, every commit rings / no trigger",
                part: Place(scenario: "producers", variant: ProducerVariant.ringing.rawValue, figure: "commits"),
                whole: Place(scenario: "producers", variant: ProducerVariant.plain.rawValue, figure: "commits")),
            Comparison(
                name: "commit rate: with a producer's role / as a superuser",
                part: Place(scenario: "producers", variant: RolePair.role, figure: "commits"),
                whole: Place(scenario: "producers", variant: RolePair.superuser, figure: "commits")),
            Comparison(
                name: "p99: during a replay / alone",
                part: Place(scenario: "replay", variant: "200 events/s, during", figure: "commit to request p99"),
                whole: Place(scenario: "replay", variant: "200 events/s, alone", figure: "commit to request p99")),
        ]
        + Scaling.counts.flatMap { count in
            let workers = Place(scenario: "scaling", variant: Scaling.variant("drain", count), figure: "deliveries")
            let two = Place(scenario: "scaling", variant: Scaling.variant("drain", 2), figure: "deliveries")
            let bare = Place(scenario: "scaling", variant: Scaling.bare + "\(count) ", figure: "deliveries")
            let name = Scaling.variant("drain", count)
            return [
                Comparison(name: "\(name) / 2 workers", part: workers, whole: two),
                Comparison(name: "\(name) / bare C program, as many processes", part: workers, whole: bare),
            ]
        }
        + OptionVariant.allCases.dropFirst().map { variant in
            Comparison(
                name: "drain: \(variant.rawValue) / no options",
                part: Place(scenario: "options", variant: variant.rawValue, figure: "deliveries"),
                whole: Place(scenario: "options", variant: OptionVariant.none.rawValue, figure: "deliveries"))
        }
}
