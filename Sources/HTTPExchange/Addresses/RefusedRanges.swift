// What is here: the table of IP ranges a webhook must never reach, and the judgement of addresses that carry others.
// Called by: AddressGuard. Union of the IANA special-purpose registries and the lists of Hook0, Svix and smokescreen.

/// The ranges that are refused whatever the machine.
enum RefusedRanges {
    /// Refused IPv4 ranges: first address, and how many leading bits count.
    static let v4: [(base: UInt32, prefix: UInt32)] = [
        (0x0000_0000, 8),  // 0.0.0.0/8, this network
        (0x0a00_0000, 8),  // 10.0.0.0/8, private
        (0x6440_0000, 10),  // 100.64.0.0/10, carrier-grade NAT
        (0x7f00_0000, 8),  // 127.0.0.0/8, loopback
        (0xa9fe_0000, 16),  // 169.254.0.0/16, link local, cloud metadata
        (0xac10_0000, 12),  // 172.16.0.0/12, private
        (0xc000_0000, 24),  // 192.0.0.0/24, protocol assignments
        (0xc000_0200, 24),  // 192.0.2.0/24, documentation
        (0xc058_6300, 24),  // 192.88.99.0/24, 6to4 relays
        (0xc0a8_0000, 16),  // 192.168.0.0/16, private
        (0xc612_0000, 15),  // 198.18.0.0/15, benchmarks
        (0xc633_6400, 24),  // 198.51.100.0/24, documentation
        (0xcb00_7100, 24),  // 203.0.113.0/24, documentation
        (0xe000_0000, 4),  // 224.0.0.0/4, multicast
        (0xf000_0000, 4),  // 240.0.0.0/4, reserved and broadcast
    ]

    /// Refused IPv6 ranges inside 2000::/3, the only space judged at all: first 64 bits, and how many of them count.
    static let v6: [(high: UInt64, prefix: UInt64)] = [
        (0x2001_0000_0000_0000, 23),  // 2001::/23, protocol assignments, with Teredo 2001::/32
        (0x2001_0db8_0000_0000, 32),  // 2001:db8::/32, documentation
        (0x2002_0000_0000_0000, 16),  // 2002::/16, 6to4: carries an IPv4 address
        (0x3fff_0000_0000_0000, 20),  // 3fff::/20, documentation
    ]

    /// Whether the address lies in a refused range, its embedded IPv4 address judged for 64:ff9b::/96.
    static func contain(_ address: IPAddress) -> Bool {
        switch address {
        case .v4(let bits):
            return v4.contains { bits >> (32 - $0.prefix) == $0.base >> (32 - $0.prefix) }
        case .v6(let high, _):
            if let inner = address.translated { return contain(inner) }
            // Everything that is not global unicast: ::/8 with mapped and compatible forms, fc00::/7, fe80::/10, ff00::/8.
            guard high >> 61 == 1 else { return true }
            return v6.contains { high >> (64 - $0.prefix) == $0.high >> (64 - $0.prefix) }
        }
    }
}

extension IPAddress {
    /// The IPv4 address inside a NAT64 address of 64:ff9b::/96 (RFC 6052); nil for all others.
    var translated: IPAddress? {
        guard case .v6(0x0064_ff9b_0000_0000, let low) = self, low >> 32 == 0 else { return nil }
        return .v4(UInt32(truncatingIfNeeded: low))
    }

    /// The IPv4 address that the kernel dials for ::ffff:0:0/96 (RFC 4291 § 2.5.5.2); nil for all others.
    var mapped: IPAddress? {
        guard case .v6(0, let low) = self, low >> 32 == 0xffff else { return nil }
        return .v4(UInt32(truncatingIfNeeded: low))
    }
}
