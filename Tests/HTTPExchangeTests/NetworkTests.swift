// What is here: networks from text, accepted and refused.

import HTTPExchange
import Testing

@Suite struct NetworkTests {
    @Test(arguments: [
        ("10.0.0.0/8", "10.0.0.0/8"), ("0.0.0.0/0", "0.0.0.0/0"), ("192.168.1.7", "192.168.1.7/32"),
        ("192.168.1.7/32", "192.168.1.7/32"), ("::1", "::1/128"), ("::/0", "::/0"), ("fd00::/8", "fd00::/8"),
        ("2001:DB8::/65", "2001:db8::/65"), ("2001:db8:0:0:8000::/65", "2001:db8:0:0:8000::/65"),
    ])
    func textIsRead(text: String, canonical: String) throws {
        #expect(try Network(cidr: text).description == canonical)
    }

    @Test(arguments: [
        "", "/8", "10/8", "10.0.0/8", "010.0.0.0/8", "0x7f.0.0.1", "2130706433", "256.0.0.0/8", "localhost",
        "10.0.0.0/8 ", " 10.0.0.0/8", "fe80::1%eth0", "[::1]/128", "10.0.0.0\u{0}",
    ])
    func otherAddressIsRefused(text: String) {
        let error = #expect(throws: NetworkError.self) { try Network(cidr: text) }
        #expect(error?.text == text)
        #expect([.notAnAddress, .badPrefix(highest: 32)].contains(error?.fault))
    }

    @Test(arguments: [
        ("10.0.0.0/", 32), ("10.0.0.0/33", 32), ("10.0.0.0/-1", 32), ("10.0.0.0/+8", 32), ("10.0.0.0/08", 32),
        ("10.0.0.0/8/8", 32), ("10.0.0.0/8a", 32), ("10.0.0.0/255.0.0.0", 32), ("::/129", 128), ("::/9999", 128),
    ])
    func otherPrefixIsRefused(text: String, highest: Int) {
        let error = #expect(throws: NetworkError.self) { try Network(cidr: text) }
        #expect(error?.fault == .badPrefix(highest: highest))
    }

    @Test(arguments: [
        ("10.1.0.0/8", "10.0.0.0/8"), ("127.0.0.1/8", "127.0.0.0/8"), ("::1/127", "::/127"), ("1.2.3.4/0", "0.0.0.0/0"),
        ("2001:db8::1/64", "2001:db8::/64"),
    ])
    func bitsBehindThePrefixAreNamed(text: String, meant: String) {
        let error = #expect(throws: NetworkError.self) { try Network(cidr: text) }
        #expect(error?.fault == .hostBits(meant: meant))
        #expect(error?.description == "\"\(text)\" has bits set behind its prefix: write \(meant)")
    }

    @Test func listIsSplitAtCommas() throws {
        #expect(try Network.list("").isEmpty)
        #expect(try Network.list("  ").isEmpty)
        #expect(try Network.list("10.0.0.0/8,::1").map(\.description) == ["10.0.0.0/8", "::1/128"])
        #expect(try Network.list(" 10.0.0.0/8 , ::1 ").map(\.description) == ["10.0.0.0/8", "::1/128"])
        for text in ["10.0.0.0/8,", ",", "10.0.0.0/8,,::1", "10.0.0.0/8;::1", "10.0.0.0/8 ::1"] {
            #expect(throws: NetworkError.self, "\(text)") { try Network.list(text) }
        }
    }

    @Test func networkContainsItsOwnFamilyOnly() throws {
        let all = try Network(cidr: "0.0.0.0/0")
        #expect(all.contains(try #require(IPAddress("255.255.255.255"))))
        #expect(!all.contains(try #require(IPAddress("::"))))
        let half = try Network(cidr: "2001:db8:0:0:8000::/65")
        #expect(half.contains(try #require(IPAddress("2001:db8::ffff:0:0:1"))))
        #expect(!half.contains(try #require(IPAddress("2001:db8::7fff:0:0:1"))))
    }
}
