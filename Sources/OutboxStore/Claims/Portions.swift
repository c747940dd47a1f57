// A list in pieces. Used where a claim's events are read.

extension Array {
    /// The elements in order, in pieces of at most so many; no piece is empty.
    func portions(of most: Int) -> [[Element]] {
        stride(from: 0, to: count, by: most).map { Array(self[$0..<Swift.min($0 + most, count)]) }
    }
}
