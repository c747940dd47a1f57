// The URL gate and custom headers: what passes, and what must never pass.

import TestSupport
import Testing

@testable import Outbox

@Suite struct DestinationURLTests {
    @Test(arguments: URLCases.sound)
    func soundURLsPassUnchanged(_ text: String, _ host: String, _ port: UInt16) throws {
        let url = try DestinationURL(text)
        #expect(url.text == text)
        #expect(url.host == host)
        #expect(url.port == port)
        #expect(url.isPlainHTTP == text.lowercased().hasPrefix("http:"))
    }

    @Test(arguments: URLCases.hostile)
    func hostileURLsAreRefusedWithAReason(_ text: String) {
        do {
            let url = try DestinationURL(text)
            Issue.record("accepted with host \(url.host)")
        } catch {
            let reason = error.description
            #expect(!reason.isEmpty)
            #expect(reason.unicodeScalars.allSatisfy { (0x20..<0x7F).contains($0.value) || $0 == "…" })
        }
    }

    @Test func theRuleIsNamed() {
        #expect(throws: DestinationURLError.scheme) { try DestinationURL("ftp://x") }
        #expect(throws: DestinationURLError.userInformation) { try DestinationURL("https://a:b@c") }
        #expect(throws: DestinationURLError.percentInHost) { try DestinationURL("https://a%2eb") }
        #expect(throws: DestinationURLError.port) { try DestinationURL("https://a:0") }
        #expect(throws: DestinationURLError.fragment) { try DestinationURL("https://a/#b") }
        #expect(throws: DestinationURLError.byte(0x0D)) { try DestinationURL("https://a/\r\n") }
        #expect(throws: DestinationURLError.percent) { try DestinationURL("https://a/%1") }
        #expect(throws: DestinationURLError.length(0)) { try DestinationURL("") }
    }

    static let hostileHeaders: [(String, String, HeaderFieldError)] = [
        ("", "v", .emptyName), ("A B", "v", .nameByte(0x20)), ("A:", "v", .nameByte(0x3A)),
        ("A\r\nB", "v", .nameByte(0x0D)),
        ("Ä", "v", .nameByte(0xC3)), ("A\0", "v", .nameByte(0)), ("A", "v\r\nX-Evil: 1", .valueByte(0x0D)),
        ("A", "v\n", .valueByte(0x0A)), ("A", "a\0b", .valueByte(0)), ("A", "a\u{7F}b", .valueByte(0x7F)),
        ("A", " v", .surroundingSpace), ("A", "v\t", .surroundingSpace), ("Host", "v", .reserved("Host")),
        ("content-LENGTH", "1", .reserved("content-LENGTH")),
        ("Transfer-Encoding", "chunked", .reserved("Transfer-Encoding")),
        ("Connection", "close", .reserved("Connection")),
        ("Proxy-Authorization", "x", .reserved("Proxy-Authorization")),
        ("Expect", "100-continue", .reserved("Expect")),
        (String(repeating: "a", count: 129), "v", .tooLong(limit: 128)),
        ("A", String(repeating: "a", count: 8193), .tooLong(limit: 8192)),
    ]

    @Test(arguments: hostileHeaders)
    func hostileHeadersAreRefused(_ name: String, _ value: String, _ error: HeaderFieldError) {
        #expect(throws: error) { try HeaderField(name: name, value: value) }
    }

    @Test func soundHeadersAreAccepted() throws {
        for (name, value) in [("X-A", "b c\td"), ("Authorization", "Basic YTpi"), ("x!#$%&'*+-.^_`|~", "ü"), ("E", "")] {
            #expect(try HeaderField(name: name, value: value).value == value)
        }
    }

    @Test func aHeaderOfTheProfileCannotBeRepeated() throws {
        let own = try HeaderField(name: "X-SIGNATURE", value: "forged")
        #expect(throws: DestinationError.headerOfProfile("X-SIGNATURE", profile: "crm")) {
            try Fixture.destination("crm", headers: [own])
        }
        #expect(try Fixture.destination("fenix", headers: [own]).headers == [own])
        #expect(throws: DestinationError.repeatedHeader("X-SIGNATURE")) {
            try Fixture.destination("fenix", headers: [HeaderField(name: "x-signature", value: "1"), own])
        }
    }
}
