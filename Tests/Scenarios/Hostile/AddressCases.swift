// Addresses that must never be dialled, in every form in which an address can be given to a worker.

/// Where a request must not go, and where it may.
enum AddressCases {
    /// First and last address of each refused IPv4 range, and one between.
    static let refusedIPv4: [String] = [
        "0.0.0.0", "0.1.2.3", "0.255.255.255", "10.0.0.0", "10.1.2.3", "10.255.255.255", "100.64.0.0", "100.100.100.200",
        "100.127.255.255", "127.0.0.0", "127.0.0.1", "127.255.255.255", "169.254.0.0", "169.254.169.254",
        "169.254.255.255", "172.16.0.0", "172.20.1.1", "172.31.255.255", "192.0.0.0", "192.0.0.170", "192.0.0.255",
        "192.0.2.0", "192.0.2.7", "192.0.2.255", "192.88.99.0", "192.88.99.1", "192.88.99.255", "192.168.0.0",
        "192.168.1.1", "192.168.255.255", "198.18.0.0", "198.18.7.7", "198.19.255.255", "198.51.100.0", "198.51.100.9",
        "198.51.100.255", "203.0.113.0", "203.0.113.5", "203.0.113.255", "224.0.0.0", "224.0.0.1", "239.255.255.255",
        "240.0.0.0", "245.1.2.3", "255.255.255.254", "255.255.255.255",
    ]

    /// The same of IPv6.
    static let refusedIPv6: [String] = [
        "::", "::1", "::2", "::7f00:1", "::808:808", "::ffff:0:0", "0:1::", "64:ff9b:1::1", "64:ff9b:0:0:1::1", "100::1",
        "100:0:0:1::", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2001::", "2001:0:4136:e378:8000:63bf:3fff:fdd2",
        "2001:1::1", "2001:20::1", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db8::", "2001:db8::7",
        "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "2002::", "2002:808:808::1", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        "3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", "4000::", "5f00::1", "8000::1", "fc00::", "fc00::1",
        "fd00:ec2::254", "fd12:3456::1", "fe80::", "fe80::1", "febf::1", "fec0::1", "ff02::1",
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    ]

    /// An IPv4 address inside IPv6: mapped, compatible, by NAT64, by 6to4, by ISATAP's and Teredo's prefixes.
    static func embedded(_ address: String) -> [String] {
        let parts = address.split(separator: ".").compactMap { UInt16($0) }
        let (high, low) = (hex(parts[0] << 8 | parts[1]), hex(parts[2] << 8 | parts[3]))
        return [
            "::ffff:\(address)", "::\(address)", "64:ff9b::\(address)", "64:ff9b:1::\(address)", "2002:\(high):\(low)::1",
            "2001:0:\(high):\(low)::", "fe80::5efe:\(address)",
        ]
    }

    private static func hex(_ number: UInt16) -> String { String(number, radix: 16) }

    /// The last address before and the first one behind each refused range, and a few that people know.
    static let allowed: [String] = [
        "1.0.0.0", "1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255",
        "128.0.0.0", "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "191.255.255.255", "192.0.1.0",
        "192.0.3.0", "192.88.98.255", "192.88.100.0", "192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0",
        "198.51.99.255", "198.51.101.0", "203.0.112.255", "203.0.114.0", "223.255.255.255", "2000::", "2001:200::",
        "2001:db7:ffff::", "2001:db9::", "2003::", "3ffe:ffff::1", "3fff:1000::", "2606:4700::1111", "2a00:1450::1",
        "64:ff9b::8.8.8.8",
    ]

    /// Every refused address and form, for URLs and for name servers.
    static let refused: [String] = refusedIPv4 + refusedIPv6 + refusedIPv4.flatMap(embedded)

    /// An address as the host of a URL.
    static func host(_ address: String) -> String { address.contains(":") ? "[\(address)]" : address }
}
