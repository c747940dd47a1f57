// Which answers end a delivery at once. A setting of the destination, read by the verdict.

/// A set of HTTP statuses after which a delivery is not repeated, written as `4xx`, `400-417`, `404` and, to take
/// statuses out again, `!429`; separated by commas.
///
/// 413 and 415 are final without being named, because the same payload can only fail again; `!413` and `!415` change
/// that. 410 has a meaning of its own (`Verdict`) and is not affected.
public struct FinalStatuses: Hashable, Sendable, CustomStringConvertible {
    /// One bit for every status from 400 to 599.
    private var bits = SIMD4<UInt64>()
    /// The text it was read from; empty for the default.
    public let description: String

    /// Nothing but 413 and 415 is final: the default.
    public static let none = FinalStatuses(description: "")

    private init(description: String) {
        self.description = description
        set(413...413, true)
        set(415...415, true)
    }

    /// Reads the written form; an empty text is the default.
    ///
    /// - Throws: `FinalStatusesError` with the part that cannot be read.
    public init(_ text: String) throws(FinalStatusesError) {
        self.init(description: text)
        var excluded: [ClosedRange<Int>] = []
        for part in text.split(separator: ",") {
            let trimmed = part.filter { $0 != " " }
            let isExcluded = trimmed.hasPrefix("!")
            guard let range = Self.range(isExcluded ? trimmed.dropFirst() : trimmed[...]) else {
                throw FinalStatusesError(part: String(part))
            }
            if isExcluded { excluded.append(range) } else { set(range, true) }
        }
        for range in excluded { set(range, false) }
    }

    /// Tells whether a status is final.
    public func contains(_ status: Int) -> Bool {
        guard (400...599).contains(status) else { return false }
        let bit = status - 400
        return bits[bit / 64] & (1 << UInt64(bit % 64)) != 0
    }

    private mutating func set(_ range: ClosedRange<Int>, _ isFinal: Bool) {
        for status in range {
            let bit = status - 400
            let mask: UInt64 = 1 << UInt64(bit % 64)
            if isFinal { bits[bit / 64] |= mask } else { bits[bit / 64] &= ~mask }
        }
    }

    private static func range(_ text: Substring) -> ClosedRange<Int>? {
        switch text {
        case "4xx": return 400...499
        case "5xx": return 500...599
        default:
            let ends = text.split(separator: "-", omittingEmptySubsequences: false).map { part in
                part.utf8.count == 3 ? Int(part) : nil
            }
            guard ends.count <= 2, let first = ends.first ?? nil, let last = ends.last ?? nil,
                400 <= first, first <= last, last <= 599
            else { return nil }
            return first...last
        }
    }
}

/// A part of a list of statuses that cannot be read.
public struct FinalStatusesError: Error, Equatable, CustomStringConvertible {
    /// The part, as written.
    public let part: String

    /// The reason and the rule in one line.
    public var description: String {
        "\(part.debugDescription) is not a status from 400 to 599, a range of them, '4xx' or '5xx'"
    }
}
