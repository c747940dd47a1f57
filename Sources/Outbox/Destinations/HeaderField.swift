// A header line of a destination, checked when it is made, so that nothing can be injected when it is sent.

/// A custom header: a name and a value that are safe to send.
public struct HeaderField: Hashable, Sendable, CustomStringConvertible, CustomReflectable {
    /// The name, a token of RFC 9110 section 5.6.2, in the case it was given.
    public let name: String
    /// The value: visible ASCII, space, tab and bytes above 0x7F; may be a credential, and is therefore never printed.
    public let value: String

    /// Makes a header of an operator's name and value.
    ///
    /// - Throws: `HeaderFieldError`; also for names that belong to HTTP itself, such as `Host`.
    public init(name: String, value: String) throws(HeaderFieldError) {
        try Self.validateName(name)
        try Self.validateOwner(name)
        try Self.validateValue(value)
        self.name = name
        self.value = value
    }

    /// The name; the value is not shown.
    public var description: String { "\(name): (redacted)" }

    /// A mirror of the name alone.
    public var customMirror: Mirror { Mirror(self, children: ["name": name]) }

    /// The names that only the HTTP client may set, lower case. `proxy-` as a prefix is refused too.
    public static let reserved: Set<String> = [
        "connection", "content-encoding", "content-length", "expect", "host", "http2-settings", "keep-alive", "te",
        "trailer", "transfer-encoding", "upgrade",
    ]

    /// Checks a name: 1 to 128 characters of a token.
    ///
    /// - Throws: `HeaderFieldError`.
    public static func validateName(_ name: String) throws(HeaderFieldError) {
        if name.isEmpty { throw .emptyName }
        if name.utf8.count > 128 { throw .tooLong(limit: 128) }
        for byte in name.utf8 where !isToken(byte) { throw .nameByte(byte) }
    }

    /// Checks that a name does not belong to HTTP itself.
    ///
    /// - Throws: `HeaderFieldError.reserved`.
    static func validateOwner(_ name: String) throws(HeaderFieldError) {
        let lower = name.lowercased()
        if reserved.contains(lower) || lower.hasPrefix("proxy-") { throw .reserved(name) }
    }

    /// Checks a value: at most 8192 bytes, no control character but tab, no space at either end.
    ///
    /// - Throws: `HeaderFieldError`.
    public static func validateValue(_ value: String) throws(HeaderFieldError) {
        if value.utf8.count > 8192 { throw .tooLong(limit: 8192) }
        for byte in value.utf8 where !isValueByte(byte) { throw .valueByte(byte) }
        if isSpace(value.utf8.first) || isSpace(value.utf8.last) { throw .surroundingSpace }
    }

    /// Tells whether a byte may stand in a value (RFC 9110 section 5.5).
    static func isValueByte(_ byte: UInt8) -> Bool { byte >= 0x20 && byte != 0x7F || byte == 0x09 }

    /// Whether all of these may stand in a value: eight at a time, and one by one only where one of them may not.
    static func areValueBytes(_ bytes: [UInt8]) -> Bool {
        bytes.withUnsafeBytes { bytes in
            var index = 0
            while index + 8 <= bytes.count {
                guard hasNoControl(bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self)) else { break }
                index += 8
            }
            return bytes[index...].allSatisfy(isValueByte)
        }
    }

    /// Whether none of eight bytes is below 0x20 or 0x7F; the borrow of a subtraction shows in the highest bit of a byte.
    private static func hasNoControl(_ word: UInt64) -> Bool {
        let (ones, highest) = (0x0101_0101_0101_0101 as UInt64, 0x8080_8080_8080_8080 as UInt64)
        let deleted = word ^ (ones &* 0x7F)
        return ((word &- ones &* 0x20) & ~word | (deleted &- ones) & ~deleted) & highest == 0
    }

    private static func isSpace(_ byte: UInt8?) -> Bool { byte == 0x20 || byte == 0x09 }

    private static func isToken(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
        }
    }
}

/// Why a header was refused. Never contains the value.
public enum HeaderFieldError: Error, Equatable, CustomStringConvertible {
    /// There is no name.
    case emptyName
    /// A byte that is not part of a token.
    case nameByte(UInt8)
    /// A control character, such as a line break.
    case valueByte(UInt8)
    /// Space or tab at the start or the end, which receivers strip.
    case surroundingSpace
    /// Longer than this many bytes.
    case tooLong(limit: Int)
    /// A name that HTTP itself uses.
    case reserved(String)

    /// The reason in one line.
    public var description: String {
        switch self {
        case .emptyName: "a header needs a name"
        case .nameByte(let byte): "byte \(byte) is not allowed in a header name"
        case .valueByte(let byte): "byte \(byte) is not allowed in a header value"
        case .surroundingSpace: "a header value may not begin or end with a space"
        case .tooLong(let limit): "a header name has at most 128 bytes and a value 8192; this one exceeds \(limit)"
        case .reserved(let name): "header \(name.debugDescription) is set by HTTP itself"
        }
    }
}
