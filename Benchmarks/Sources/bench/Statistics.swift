// Percentiles and medians. Reports and scenarios use them.

/// Statistics of samples.
enum Statistics {
    /// The sample at a fraction (0.99) of the sorted samples, nearest rank; 0 when there is none.
    ///
    /// - Parameter sorted: samples in ascending order.
    static func percentile(_ fraction: Double, of sorted: [Double]) -> Double {
        guard !sorted.isEmpty else { return 0 }
        let rank = Int((fraction * Double(sorted.count)).rounded(.up)) - 1
        return sorted[max(0, min(sorted.count - 1, rank))]
    }

    /// The middle sample, or the mean of the middle two; 0 when there is none.
    static func median(_ samples: [Double]) -> Double {
        guard !samples.isEmpty else { return 0 }
        let sorted = samples.sorted()
        let middle = sorted.count / 2
        return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
    }
}
