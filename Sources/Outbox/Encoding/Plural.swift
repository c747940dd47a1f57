// Counts in sentences for people. Used wherever a message tells how many there are.

/// Puts numbers before words.
public enum Plural {
    /// A count and what is counted: `1 event`, `2 events`, `0 retries`.
    ///
    /// - Parameters:
    ///   - count: how many.
    ///   - one: the words behind 1.
    ///   - many: the words behind every other number; `one` with an s unless given.
    public static func text(_ count: Int, _ one: String, _ many: String? = nil) -> String {
        "\(count) " + (count == 1 ? one : many ?? one + "s")
    }
}
