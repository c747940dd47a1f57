// The gate for destination URLs, stricter than any URL parser: what passes here means the same to every library.

/// A URL that may be sent to: `http` or `https`, at most 2048 bytes, of printable ASCII, without user information,
/// fragment or percent signs in the host. Whether its address may be dialed is decided later, by the address guard.
public struct DestinationURL: Hashable, Sendable, CustomStringConvertible {
    /// The URL as it is sent, exactly as it was given.
    public let text: String
    /// The host in lower case, without the brackets of IPv6 literals.
    public var host: String {
        String(decoding: text.utf8.dropFirst(Int(hostOffset)).prefix(Int(hostLength)), as: UTF8.self).lowercased()
    }
    /// The port, also when it was not written.
    public let port: UInt16
    /// Whether it is `http`, which must be allowed by setting.
    public let isPlainHTTP: Bool

    private let hostOffset: UInt16
    private let hostLength: UInt16

    /// The longest URL, in bytes.
    public static let maximumLength = 2048

    /// Reads a URL.
    ///
    /// - Throws: `DestinationURLError`, which names the rule that is broken.
    public init(_ text: String) throws(DestinationURLError) {
        let bytes = Array(text.utf8)
        guard !bytes.isEmpty, bytes.count <= Self.maximumLength else { throw .length(bytes.count) }
        if let byte = bytes.first(where: { $0 <= 0x20 || $0 >= 0x7F }) { throw .byte(byte) }
        let lower = bytes.map(Self.lowercased)
        let isPlain = lower.starts(with: "http://".utf8)
        guard isPlain || lower.starts(with: "https://".utf8) else { throw .scheme }
        let rest = bytes[(isPlain ? 7 : 8)...]
        let authorityEnd = rest.firstIndex { "/?#\\".utf8.contains($0) } ?? rest.endIndex
        let (host, port) = try Self.authority(rest[..<authorityEnd])
        try Self.checkTarget(rest[authorityEnd...])
        self.text = text
        hostOffset = UInt16(host.startIndex)
        hostLength = UInt16(host.count)
        self.port = port ?? (isPlain ? 80 : 443)
        isPlainHTTP = isPlain
    }

    /// The URL as it was given. Paths and queries may carry a receiver's token: do not log it.
    public var description: String { text }

    // MARK: Parts

    private static func authority(_ text: ArraySlice<UInt8>) throws(DestinationURLError) -> (ArraySlice<UInt8>, UInt16?)
    {
        if text.contains(UInt8(ascii: "@")) { throw .userInformation }
        if text.contains(UInt8(ascii: "%")) { throw .percentInHost }
        if text.first == UInt8(ascii: "[") {
            guard let close = text.firstIndex(of: UInt8(ascii: "]")) else { throw .host("the bracket is not closed") }
            let literal = text[(text.startIndex + 1)..<close]
            guard HostName.isIPv6(literal) else { throw .host("not an IPv6 address between the brackets") }
            return (literal, try port(text[(close + 1)...]))
        }
        let colon = text.firstIndex(of: UInt8(ascii: ":")) ?? text.endIndex
        let host = text[..<colon]
        if let fault = HostName.fault(host.map(lowercased)) { throw .host(fault) }
        return (host, try port(text[colon...]))
    }

    private static func port(_ text: ArraySlice<UInt8>) throws(DestinationURLError) -> UInt16? {
        guard let first = text.first else { return nil }
        let digits = text.dropFirst()
        guard first == UInt8(ascii: ":"), (1...5).contains(digits.count), digits.first != UInt8(ascii: "0"),
            digits.allSatisfy({ (0x30...0x39).contains($0) }), let port = UInt16(string(Array(digits)))
        else { throw .port }
        return port
    }

    /// Checks path and query against RFC 3986 sections 3.3 and 3.4, square brackets in queries tolerated.
    private static func checkTarget(_ text: ArraySlice<UInt8>) throws(DestinationURLError) {
        var index = text.startIndex
        while index < text.endIndex {
            let byte = text[index]
            if byte == UInt8(ascii: "#") { throw .fragment }
            if "\"<>\\^`{|}".utf8.contains(byte) { throw .byte(byte) }
            if byte == UInt8(ascii: "%") {
                guard index + 2 < text.endIndex, Hex.value(of: text[index + 1]) != nil,
                    Hex.value(of: text[index + 2]) != nil
                else { throw .percent }
                index += 2
            }
            index += 1
        }
    }

    private static func lowercased(_ byte: UInt8) -> UInt8 {
        (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) ? byte | 0x20 : byte
    }

    private static func string(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
}

/// Why a URL was refused. Never contains the URL, which may carry a token.
public enum DestinationURLError: Error, Equatable, CustomStringConvertible {
    /// Empty, or longer than `DestinationURL.maximumLength`.
    case length(Int)
    /// Neither `http://` nor `https://`.
    case scheme
    /// A byte that must be percent-encoded: a space, a control character, anything but ASCII, or one of `"<>\^`{|}`.
    case byte(UInt8)
    /// `user@` or `user:password@`.
    case userInformation
    /// A percent sign in the host, which libraries decode differently.
    case percentInHost
    /// A host that is neither a name nor an address, and what is wrong with it.
    case host(String)
    /// Not a number from 1 to 65535 without leading zeros.
    case port
    /// A percent sign in path or query that two hexadecimal digits do not follow.
    case percent
    /// `#…`, which is never sent.
    case fragment

    /// The rule in one line.
    public var description: String {
        switch self {
        case .length(let count): "a URL has 1 to \(DestinationURL.maximumLength) bytes, this one \(count)"
        case .scheme: "a URL begins with https:// (or http://, where that is allowed)"
        case .byte(let byte): "byte 0x\(String(byte, radix: 16)) must be percent-encoded in a URL"
        case .userInformation: "user and password do not belong into a URL; use a header"
        case .percentInHost: "a percent sign is not allowed in a host"
        case .host(let fault): "host: \(fault)"
        case .port: "a port is a number from 1 to 65535 without leading zeros"
        case .percent: "a percent sign must be followed by two hexadecimal digits"
        case .fragment: "a fragment (#…) is never sent and must be removed"
        }
    }
}
