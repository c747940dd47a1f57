// The values of one figure over all runs. Made by Report of samples, shown by Table and JSONReport.

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
