// What is here: one IP address of either family as a value, from text, from a sockaddr and back to text.
// Called by: Network, AddressGuard, the name lookups and the dial-time check.

public import Glibc

/// An IPv4 or IPv6 address, without port and without zone.
public enum IPAddress: Sendable, Hashable {
    /// An IPv4 address as a number in host byte order: 127.0.0.1 is `0x7f00_0001`.
    case v4(UInt32)

    /// An IPv6 address as two numbers in host byte order, the first 64 bits and the last 64 bits.
    case v6(high: UInt64, low: UInt64)

    /// An address from its standard text: dotted decimal with four parts, or RFC 4291 § 2.2 without brackets or zone.
    ///
    /// Returns nil for anything else, also for the short, octal and hexadecimal forms that `inet_aton` accepts.
    /// Source: `inet_pton(3)`.
    public init?(_ text: String) {
        // C would read up to the NUL and take the rest for nothing.
        guard !text.utf8.contains(0) else { return nil }
        var four = in_addr()
        if inet_pton(AF_INET, text, &four) == 1 {
            self = .v4(UInt32(bigEndian: four.s_addr))
            return
        }
        var six = in6_addr()
        guard inet_pton(AF_INET6, text, &six) == 1 else { return nil }
        self.init(six)
    }

    /// The address in a socket address, or nil when its family is neither `AF_INET` nor `AF_INET6`.
    ///
    /// The pointer must lead to as many bytes as its family asks for.
    public init?(_ address: UnsafePointer<sockaddr>) {
        let raw = UnsafeRawPointer(address)
        switch Int32(address.pointee.sa_family) {
        case AF_INET:
            self = .v4(UInt32(bigEndian: raw.loadUnaligned(as: sockaddr_in.self).sin_addr.s_addr))
        case AF_INET6:
            self.init(raw.loadUnaligned(as: sockaddr_in6.self).sin6_addr)
        default:
            return nil
        }
    }

    private init(_ address: in6_addr) {
        self = withUnsafeBytes(of: address) { bytes in
            .v6(
                high: UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 0, as: UInt64.self)),
                low: UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self)))
        }
    }

    /// How many bits an address of this family has: 32 or 128.
    public var bitWidth: Int {
        switch self {
        case .v4: 32
        case .v6: 128
        }
    }

    /// The address with all bits behind the first `prefix` set to zero; the whole address for a prefix of `bitWidth`.
    func masked(to prefix: Int) -> IPAddress {
        switch self {
        case .v4(let bits):
            return .v4(bits & (prefix == 0 ? 0 : ~UInt32(0) << UInt32(32 - prefix)))
        case .v6(let high, let low):
            if prefix <= 64 {
                return .v6(high: high & (prefix == 0 ? 0 : ~UInt64(0) << UInt64(64 - prefix)), low: 0)
            }
            return .v6(high: high, low: low & (~UInt64(0) << UInt64(128 - prefix)))
        }
    }
}

extension IPAddress: CustomStringConvertible {
    /// The address as text: dotted decimal, or the shortest IPv6 form of `inet_ntop(3)`.
    public var description: String {
        var buffer = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        switch self {
        case .v4(let bits):
            var address = in_addr(s_addr: bits.bigEndian)
            _ = inet_ntop(AF_INET, &address, &buffer, socklen_t(buffer.count))
        case .v6(let high, let low):
            var words = (high.bigEndian, low.bigEndian)
            _ = inet_ntop(AF_INET6, &words, &buffer, socklen_t(buffer.count))
        }
        return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
