// One value as a scenario measured it. Made by scenarios, collected by Report.

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
