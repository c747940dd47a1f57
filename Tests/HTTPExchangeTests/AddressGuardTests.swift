// What is here: the judgement of addresses, table against table. Nothing is dialed.

import Glibc
import HTTPExchange
import Testing

@Suite struct AddressGuardTests {
    private let guardian = AddressGuard()

    private func permits(_ text: String, _ guardian: AddressGuard = AddressGuard()) throws -> Bool {
        guardian.permits(try #require(IPAddress(text), "\(text)"))
    }

    /// First and last address of each refused range, and the addresses just outside, nil where those are refused, too.
    @Test(
        arguments: [
            ("0.0.0.0", "0.255.255.255", nil, "1.0.0.0"),
            ("10.0.0.0", "10.255.255.255", "9.255.255.255", "11.0.0.0"),
            ("100.64.0.0", "100.127.255.255", "100.63.255.255", "100.128.0.0"),
            ("127.0.0.0", "127.255.255.255", "126.255.255.255", "128.0.0.0"),
            ("169.254.0.0", "169.254.255.255", "169.253.255.255", "169.255.0.0"),
            ("172.16.0.0", "172.31.255.255", "172.15.255.255", "172.32.0.0"),
            ("192.0.0.0", "192.0.0.255", "191.255.255.255", "192.0.1.0"),
            ("192.0.2.0", "192.0.2.255", "192.0.1.255", "192.0.3.0"),
            ("192.88.99.0", "192.88.99.255", "192.88.98.255", "192.88.100.0"),
            ("192.168.0.0", "192.168.255.255", "192.167.255.255", "192.169.0.0"),
            ("198.18.0.0", "198.19.255.255", "198.17.255.255", "198.20.0.0"),
            ("198.51.100.0", "198.51.100.255", "198.51.99.255", "198.51.101.0"),
            ("203.0.113.0", "203.0.113.255", "203.0.112.255", "203.0.114.0"),
            ("224.0.0.0", "239.255.255.255", "223.255.255.255", nil),
            ("240.0.0.0", "255.255.255.255", nil, nil),
            ("::", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", nil, "2000::"),
            (
                "2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", "2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
                "2001:200::"
            ),
            ("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db7:ffff::", "2001:db9::"),
            ("2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2001:ffff:ffff::", "2003::"),
            ("3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", "3ffe:ffff:ffff::", "3fff:1000::"),
            ("4000::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", nil),
        ] as [(String, String, String?, String?)])
    func rangeIsRefusedAndItsNeighboursAreNot(first: String, last: String, before: String?, after: String?) throws {
        #expect(try !permits(first))
        #expect(try !permits(last))
        if let before { #expect(try permits(before), "\(before)") }
        if let after { #expect(try permits(after), "\(after)") }
    }

    @Test(arguments: [
        "::1", "::", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::8.8.8.8", "::127.0.0.1", "64:ff9b:1::1", "100::1",
        "fc00::1",
        "fd00:ec2::254", "fe80::1", "febf::1", "fec0::1", "ff02::1", "5f00::1", "2001::1", "2001:0:4136:e378::1",
        "2002:7f00:1::", "2002:808:808::", "64:ff9b::127.0.0.1", "64:ff9b::10.1.2.3", "64:ff9b::169.254.169.254",
        "64:ff9b:0:0:1::1", "169.254.169.254", "100.100.100.200", "255.255.255.255",
    ])
    func specialFormIsRefused(text: String) throws {
        #expect(try !permits(text))
    }

    @Test(arguments: ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "2a00:1450::1", "64:ff9b::8.8.8.8"])
    func publicAddressIsPermitted(text: String) throws {
        #expect(try permits(text))
    }

    @Test func allowedNetworksArePermittedAndNoOthers() throws {
        let guardian = AddressGuard(allowing: try Network.list("127.0.0.0/8, fd12::/16"))
        for text in ["127.0.0.1", "127.255.255.255", "fd12::1", "::ffff:127.0.0.1", "64:ff9b::127.0.0.1", "8.8.8.8"] {
            #expect(try permits(text, guardian), "\(text)")
        }
        for text in ["10.0.0.1", "::1", "fd13::1", "::ffff:10.0.0.1", "::127.0.0.1", "2002:7f00:1::"] {
            #expect(try !permits(text, guardian), "\(text)")
        }
    }

    @Test func addressesOfThisMachineAreRefused() throws {
        var list: UnsafeMutablePointer<ifaddrs>?
        #expect(getifaddrs(&list) == 0)
        defer { freeifaddrs(list) }
        var seen = 0
        var entry = list
        while let interface = entry?.pointee {
            if let address = interface.ifa_addr, IPAddress(address) != nil {
                seen += 1
                #expect(!guardian.permits(address))
            }
            entry = interface.ifa_next
        }
        #expect(seen > 0)
    }

    @Test func socketAddressOfAnotherFamilyIsRefused() {
        var address = sockaddr()
        address.sa_family = sa_family_t(AF_UNIX)
        #expect(!guardian.permits(&address))
    }

    @Test func socketAddressesAreReadInNetworkByteOrder() throws {
        var four = sockaddr_in()
        four.sin_family = sa_family_t(AF_INET)
        inet_pton(AF_INET, "8.8.4.4", &four.sin_addr)
        var six = sockaddr_in6()
        six.sin6_family = sa_family_t(AF_INET6)
        inet_pton(AF_INET6, "2001:db8::7", &six.sin6_addr)
        let texts = [
            withUnsafeBytes(of: &four) { IPAddress($0.baseAddress!.assumingMemoryBound(to: sockaddr.self)) },
            withUnsafeBytes(of: &six) { IPAddress($0.baseAddress!.assumingMemoryBound(to: sockaddr.self)) },
        ].map { $0?.description }
        #expect(texts == ["8.8.4.4", "2001:db8::7"])
    }
}
