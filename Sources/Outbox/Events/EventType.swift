// What an event may be called. Called when events are emitted by command and when patterns are checked.

/// The rules of event types: 1 to 128 of the characters `A-Z a-z 0-9 _ . -`, dotted, no empty segment.
public enum EventType {
    /// The longest type, in characters.
    public static let maximumLength = 128

    /// Checks a type.
    ///
    /// - Throws: `EventTypeError`, which says what is wrong.
    public static func validate(_ type: String) throws(EventTypeError) {
        try validate(type, of: type)
    }

    /// Checks a type that is part of `whole`, which is what errors show.
    static func validate(_ type: String, of whole: String) throws(EventTypeError) {
        if type.isEmpty { throw .empty }
        if whole.utf8.count > maximumLength { throw .tooLong(length: whole.utf8.count) }
        for scalar in type.unicodeScalars where !isAllowed(scalar) { throw .character(scalar, in: whole) }
        if type.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false).contains(where: \.isEmpty) {
            throw .emptySegment(in: whole)
        }
    }

    private static func isAllowed(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar {
        case "A"..."Z", "a"..."z", "0"..."9", "_", ".", "-": true
        default: false
        }
    }
}

/// Why an event type or a pattern was refused.
public enum EventTypeError: Error, Equatable, CustomStringConvertible {
    /// There is no character at all.
    case empty
    /// More than `EventType.maximumLength` characters.
    case tooLong(length: Int)
    /// A character outside the allowed set.
    case character(Unicode.Scalar, in: String)
    /// Two dots in a row, or a dot at either end.
    case emptySegment(in: String)
    /// A star elsewhere than alone or as the last segment.
    case misplacedStar(in: String)

    /// The reason and the rule, in one line without control characters.
    public var description: String {
        switch self {
        case .empty: "event type is empty"
        case .tooLong(let length): "event type has \(length) characters, at most \(EventType.maximumLength) are allowed"
        case .character(let scalar, let whole):
            "event type \(whole.debugDescription) contains U+\(String(scalar.value, radix: 16, uppercase: true)); "
                + "only letters, digits, '_', '-' and '.' are allowed"
        case .emptySegment(let whole): "event type \(whole.debugDescription) has an empty segment"
        case .misplacedStar(let whole):
            "pattern \(whole.debugDescription): '*' stands alone or as the last segment, as in 'message.*'"
        }
    }
}
