// Numbers for people: one place after the point.

extension Double {
    /// The number with one place after the point: `0.3`, `12.0`.
    var tenths: String { "\((self * 10).rounded() / 10)" }
}
