// The URL gate and custom headers: what passes, and what must never pass.

import Testing

@testable import Outbox

@Suite struct DestinationURLTests {
    static let accepted: [(String, String, UInt16)] = [
        ("https://example.org", "example.org", 443), ("http://example.org/", "example.org", 80),
        ("HTTPS://Example.ORG/Path", "example.org", 443), ("https://example.org:8443/a?b=c&d=e", "example.org", 8443),
        ("http://localhost:1/x", "localhost", 1), ("http://127.0.0.1:65535", "127.0.0.1", 65535),
        ("https://[2001:db8::1]:8443/h", "2001:db8::1", 8443), ("http://[::1]", "::1", 80),
        ("http://[::]/", "::", 80), ("http://[::ffff:1.2.3.4]/", "::ffff:1.2.3.4", 80),
        ("https://[1:2:3:4:5:6:7:8]", "1:2:3:4:5:6:7:8", 443), ("https://[1:2:3:4:5:6:7::]", "1:2:3:4:5:6:7::", 443),
        ("https://xn--bcher-kva.example/ü".replacing("ü", with: "%C3%BC"), "xn--bcher-kva.example", 443),
        ("http://my_service.internal:8080/webhook/user-registration", "my_service.internal", 8080),
        ("https://example.org?x=1", "example.org", 443),
        ("https://1.example.org/a;b,c=$1!*'()~+:@", "1.example.org", 443),
        ("https://example.org/a?b[]=1", "example.org", 443), ("https://a.b-c.d9/", "a.b-c.d9", 443),
        ("https://0x.org/", "0x.org", 443), ("https://example.org/../..//", "example.org", 443),
    ]

    @Test(arguments: accepted)
    func soundURLsPassUnchanged(_ text: String, _ host: String, _ port: UInt16) throws {
        let url = try DestinationURL(text)
        #expect(url.text == text)
        #expect(url.host == host)
        #expect(url.port == port)
        #expect(url.isPlainHTTP == text.lowercased().hasPrefix("http:"))
    }

    static let hostile: [String] = [
        "", " ", "example.org", "//example.org", "/path", "ftp://example.org", "file:///etc/passwd", "gopher://x/",
        "javascript:alert(1)", "https:/example.org", "https:example.org", "https//example.org", "http://", "https:///x",
        "https://?x", "https://:80/", "https:// example.org", " https://example.org", "https://example.org ",
        "https://example.org/a b", "https://example.org/\r\nHost: evil", "https://example.org\n",
        "https://exa\tmple.org",
        "https://example.org/\0", "https://example.org/\u{7F}", "https://user@example.org",
        "https://user:pw@example.org/",
        "https://example.org@evil.example/", "https://@example.org", "https://example.org%40evil.example/",
        "https://exa%6dple.org", "https://example.org%00.evil.example", "https://127.0.0.1%2f@x",
        "https://[::1%25eth0]/",
        "https://[fe80::1%eth0]/", "https://[::1", "https://::1/", "https://[::1]x/", "https://[]/", "https://[:]/",
        "https://[:::]/", "https://[1::2::3]/", "https://[1:2:3:4:5:6:7:8:9]/", "https://[1:2:3:4:5:6:7:8::]/",
        "https://[12345::]/", "https://[g::]/", "https://[1.2.3.4]/", "https://[::1.2.3]/", "https://[::1.2.3.256]/",
        "https://[::1.2.3.4:5]/", "https://[1:2]/", "https://[::1]:/", "https://example.org:/",
        "https://example.org:0/",
        "https://example.org:65536/", "https://example.org:080/", "https://example.org:+80/", "https://example.org:-1/",
        "https://example.org:80a/", "https://example.org:999999/", "https://example.org:80:80/",
        "https://example..org/",
        "https://.example.org/", "https://example.org./", "https://-example.org/", "https://example-.org/",
        "https://bücher.example/", "https://ｅxample.org/", "https://example。org/", "https://exam\u{200B}ple.org/",
        "https://127.1/", "https://2130706433/", "https://0x7f000001/", "https://0x7f.0.0.1/", "https://0177.0.0.1/",
        "https://127.0.0.01/", "https://127.0.0.256/", "https://127.0.0/", "https://1.2.3.4.5/", "https://999.1/",
        "https://127.0.0.0x1/", "https://0x/", "https://example.org\\@evil.example/", "https://example.org\\evil",
        "https:\\\\example.org/", "https://example.org/<a>", "https://example.org/\"", "https://example.org/{a}",
        "https://example.org/a|b", "https://example.org/a^b", "https://example.org/`", "https://example.org/%",
        "https://example.org/%4", "https://example.org/%zz", "https://example.org/#fragment", "https://example.org#f",
        "https://exa$mple.org/", "https://exa,mple.org/", "https://exa;mple.org/", "https://*.example.org/",
        "https://" + String(repeating: "a", count: 64) + ".org/",
        "https://" + String(repeating: "a.", count: 127) + "org/",
        "https://example.org/" + String(repeating: "a", count: 2048),
    ]

    @Test(arguments: hostile)
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
