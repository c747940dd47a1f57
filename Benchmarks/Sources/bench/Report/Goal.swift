// What has to be reached, and whether it was: the last table of a report.

/// A bound for something that is measured.
struct Goal {
    /// Where the value comes from.
    enum Source {
        /// A figure as it is.
        case figure(Comparison.Place)
        /// One figure in percent of another.
        case share(Comparison.Place, of: Comparison.Place)
        /// Figures that add up.
        case sum([Comparison.Place])
        /// The greatest of some figures.
        case greatest([Comparison.Place])
    }

    /// On which side of it a value must be.
    enum Bound {
        case atLeast(Double)
        case atMost(Double)
    }

    let name: String
    let source: Source
    let bound: Bound
    let unit: String

    /// - Parameters:
    ///   - name: what is measured.
    ///   - source: where it stands.
    ///   - bound: what it must reach.
    ///   - unit: its unit.
    init(_ name: String, _ source: Source, _ bound: Bound, _ unit: String) {
        self.name = name
        self.source = source
        self.bound = bound
        self.unit = unit
    }

    /// Whether a value reaches it.
    func isReached(by value: Double) -> Bool {
        switch bound {
        case .atLeast(let least): value >= least
        case .atMost(let most): value <= most
        }
    }

    /// The bound for people: "≥ 20,000 /s".
    var boundText: String {
        switch bound {
        case .atLeast(let least): "≥ \(Table.number(least)) \(unit)"
        case .atMost(let most): "≤ \(Table.number(most)) \(unit)"
        }
    }
}

/// What became of a goal.
struct Verdict: Encodable {
    /// What is measured.
    let goal: String
    /// What it must reach, with the unit.
    let bound: String
    /// The median, or what is made of medians.
    let value: Double
    /// Unit of the value.
    let unit: String
    /// Whether it is reached.
    let isReached: Bool

    init(_ goal: Goal, _ value: Double) {
        self.goal = goal.name
        bound = goal.boundText
        self.value = value
        unit = goal.unit
        isReached = goal.isReached(by: value)
    }

    /// A row of a table in Markdown.
    var row: String {
        "| \(goal): \(bound) | \(Table.number(value)) \(unit) | \(isReached ? "yes" : "**no**") |"
    }
}
