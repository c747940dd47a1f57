// The Retry-After header (RFC 9110 section 10.2.3), as receivers really write it. Called for failed answers.

/// Reading of `Retry-After`.
public enum RetryAfter {
    /// The longest time that is told apart from longer ones: a year.
    private static let longest: Int64 = 366 * 86_400

    /// Reads whole or fractional seconds, or a date in one of the three forms of HTTP.
    ///
    /// - Parameters:
    ///   - value: The header's value.
    ///   - nowUnixSeconds: Now, against which a date is measured.
    /// - Returns: The time to wait: zero for a date in the past, at most 366 days, nil for anything unreadable.
    public static func parse(_ value: String, nowUnixSeconds: Int64) -> Duration? {
        let text = trimmed(value)
        guard let first = text.first, text.count <= 64 else { return nil }
        if (0x30...0x39).contains(first) { return seconds(text) }
        guard let date = HTTPDate.unixSeconds(text, nowUnixSeconds: nowUnixSeconds) else { return nil }
        let (wait, overflow) = date.subtractingReportingOverflow(nowUnixSeconds)
        return .seconds(overflow ? longest : min(max(0, wait), longest))
    }

    private static func trimmed(_ value: String) -> ArraySlice<UInt8> {
        var text = Array(value.utf8)[...]
        while text.first == 0x20 || text.first == 0x09 { text.removeFirst() }
        while text.last == 0x20 || text.last == 0x09 { text.removeLast() }
        return text
    }

    /// Reads `120` or `1.5`; a fraction is rounded up to milliseconds, so that nobody is asked too early.
    private static func seconds(_ text: ArraySlice<UInt8>) -> Duration? {
        let parts = text.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count <= 2, parts.allSatisfy({ !$0.isEmpty && $0.allSatisfy { (0x30...0x39).contains($0) } })
        else { return nil }
        let whole = parts[0].reduce(Int64(0)) { min($0 * 10 + Int64($1 - 0x30), longest) }
        guard parts.count == 2, whole < longest else { return .seconds(whole) }
        var milliseconds: Int64 = 0
        for place in 0..<3 {
            let digit = place < parts[1].count ? parts[1][parts[1].startIndex + place] - 0x30 : 0
            milliseconds = milliseconds * 10 + Int64(digit)
        }
        if parts[1].dropFirst(3).contains(where: { $0 != 0x30 }) { milliseconds += 1 }
        return .milliseconds(whole * 1000 + milliseconds)
    }
}
