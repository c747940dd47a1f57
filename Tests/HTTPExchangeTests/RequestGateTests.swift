// What is here: URLs, header lines and methods that are refused before anything is sent, and those that are not.

import Testing

@testable import HTTPExchange

@Suite(.timeLimit(.minutes(10))) struct RequestGateTests {
    @Test(arguments: [
        ("https://example.com", "example.com", 443), ("HTTPS://Example.COM:8443/a?b#c", "example.com", 8443),
        ("http://127.0.0.1:1/", "127.0.0.1", 1), ("http://[2001:DB8::1]:65535/", "2001:db8::1", 65_535),
        ("http://0x7f.1/", "127.0.0.1", 80), ("https://xn--bcher-kva.example/%20", "xn--bcher-kva.example", 443),
        ("https://a_b.example/x@y:z", "a_b.example", 443), ("https://example.com?x", "example.com", 443),
    ])
    func urlIsSplitAsLibcurlSplitsIt(url: String, host: String, port: Int) throws {
        let parts = try URLGate.parts(of: url)
        #expect(parts.host == host)
        #expect(parts.port == port)
        #expect(parts.isSecure == url.lowercased().hasPrefix("https"))
    }

    @Test(arguments: [
        "", "example.com", "//example.com/", "ftp://example.com/", "file:///etc/passwd", "https:example.com",
        "https://", "https:///path", "https://:443/", "https://example.com:/", "https://example.com:0/",
        "https://example.com:65536/", "https://example.com:-1/", "https://example.com:+1/", "https://example.com:80a/",
        "https://user@example.com/", "https://user:pass@example.com/", "https://@example.com/", "https://a@b@c/",
        "https://exam%70le.com/", "https://[fe80::1%25eth0]/", "https://[fe80::1%eth0]/", "https://bücher.example/",
        "https://example.com/ä", "https://example.com/ x", "https://example.com/\r\nX: y", "https://example.com/\t",
        "https://example.com\\@evil/", "https://example.com/\u{0}", "https://exa mple.com/",
        "https://example.com,evil/",
        "https://[::1", "https://::1/", "https://[::1]x/", "https://1.2.3.4:1:2/", "https://ex*mple.com/",
        " https://a/",
        "https://[1.2.3.4]/", "javascript:alert(1)", "https://example.com/\u{7f}", "https://[]/",
    ])
    func otherURLIsRefused(url: String) {
        let failure = #expect(throws: Failure.self) { try URLGate.parts(of: url) }
        #expect(failure?.kind == .invalidRequest)
    }

    @Test func urlThatIsTooLongIsRefused() {
        let failure = #expect(throws: Failure.self) {
            try URLGate.parts(of: "https://example.com/" + String(repeating: "a", count: 9_000))
        }
        #expect(failure?.kind == .invalidRequest)
    }

    @Test func plainHTTPIsRefusedUnlessAllowed() async throws {
        let receiver = try Receiver.answering()
        var request = Request.post(receiver.url())
        request.allowsHTTP = false
        let refused = request
        try await withExchanger { exchanger in
            let exchange = await exchanger.perform(refused)
            #expect(exchange.failure == Failure(kind: .invalidRequest, message: "plain http is not allowed"))
            #expect(await exchanger.perform(.post(receiver.url())).response?.status == 200)
            #expect(await exchanger.perform(refused).failure?.kind == .invalidRequest)
        }
        #expect(receiver.requests.count == 1)
    }

    @Test(arguments: 0..<20)
    func everyByteOfAHeaderLineIsLookedAt(position: Int) {
        for byte in UInt8.min...UInt8.max {
            var line = Array("X: ".utf8) + [UInt8](repeating: UInt8(ascii: "a"), count: 20)
            line[3 + position] = byte
            let isAllowed = byte >= 0x20 && byte != 0x7f || byte == 9
            let isAccepted = line.withUnsafeBytes { (try? HeaderLine.check($0, number: 1)) != nil }
            #expect(isAccepted == isAllowed, "\(byte) at \(position)")
        }
    }

    @Test(arguments: [
        "X: a\r\nEvil: b", "X: a\nEvil: b", "X: a\rb", "X: \u{0}", "X: a\u{1}", "X: \u{7f}", "no colon", ": no name",
        "X : blank", " X: blank", "Ä: x", "", "X\u{0}: a", "X\r\n: a", "Content-Length: 5",
        "transfer-encoding: chunked",
        "Connection: close", "EXPECT: 100-continue", "te: trailers", "Upgrade: h2c", "Trailer: x", "Keep-Alive: 5",
    ])
    func headerLineIsRefusedAndNothingIsSent(line: String) async throws {
        let receiver = try Receiver.answering()
        let exchanges = try await withExchanger { exchanger in
            // The handle serves a good request afterwards.
            [
                await exchanger.perform(.post(receiver.url(), "{}", headers: ["A: b", line])),
                await exchanger.perform(.post(receiver.url(), "{}", headers: ["A: b"])),
            ]
        }
        #expect(exchanges[0].failure?.kind == .invalidRequest)
        #expect(exchanges[0].failure?.message.hasPrefix("header line 2 ") == true)
        #expect(exchanges[1].response?.status == 200)
        #expect(receiver.requests.map { $0.header("a") } == ["b"])
    }

    @Test(arguments: ["", "PO ST", "POST\r\nX: y", "PÖST", "POST\u{0}"])
    func methodIsRefusedAndNothingIsSent(method: String) async throws {
        let receiver = try Receiver.answering()
        var request = Request.post(receiver.url())
        request.method = method
        let refused = request
        try await withExchanger { exchanger in
            #expect(await exchanger.perform(refused).failure?.kind == .invalidRequest)
            #expect(await exchanger.perform(.post(receiver.url())).response?.status == 200)
        }
        #expect(receiver.requests.map { String($0.head.prefix(5)) } == ["POST "])
    }

    @Test func manyAndLongHeadersArrive() async throws {
        let receiver = try Receiver.answering()
        let headers = (0..<60).map { "x-\($0): " + String(repeating: "v", count: $0 * 20) }
        let exchange = try await withExchanger { await $0.perform(.post(receiver.url(), "{}", headers: headers)) }
        #expect(exchange.response?.status == 200)
        let lines = receiver.requests.first?.head.split(separator: "\r\n").filter { $0.hasPrefix("x-") }.map(
            String.init)
        #expect(lines == ["x-0:"] + headers.dropFirst())
    }
}
