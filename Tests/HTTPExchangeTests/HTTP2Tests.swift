// What is here: HTTP/2 over TLS, served by nghttpd. Skipped, and said so, where that program is not installed.

import HTTPExchange
import Testing

@Suite(.enabled(if: HTTP2Receiver.program != nil, "nghttpd (Debian: nghttp2-server) is not installed"), .timeLimit(.minutes(10)))
struct HTTP2Tests {
    @Test func exchangesShareOneConnection() async throws {
        let receiver = try HTTP2Receiver()
        let collected = Collected()
        try await withExchanger(try TLSTests.offeringHTTP2(), completed: collected.add) { exchanger in
            exchanger.submit(
                (0..<60).map {
                    .post(receiver.url("/echo"), "body \($0)", headers: ["content-type: application/json"], token: $0)
                })
            let exchanges = try await collected.wait(for: 60)
            #expect(exchanges.allSatisfy { $0.httpVersion == .http2 })
            #expect(exchanges.allSatisfy { $0.response?.body == Array("body \($0.token)".utf8) })
            #expect(exchanger.counters.connectionsOpened == 1)
            #expect(exchanger.counters.tlsHandshakes == 1)
            #expect(exchanges.count { $0.reusedConnection } == 59)
        }
    }

    @Test(arguments: [0, 32_768, 32_769, 200_000, 3_000_000])
    func bodyOfAnySizeArrives(size: Int) async throws {
        let receiver = try HTTP2Receiver()
        var request = Request.post(receiver.url("/echo"))
        request.body = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        request.responseLimit = size
        let sent = request
        let exchange = try await withExchanger(try TLSTests.offeringHTTP2()) { await $0.perform(sent) }
        #expect(exchange.response?.status == 200, "\(exchange.result)")
        #expect(exchange.response?.body == sent.body)
    }

    @Test func cancelledStreamLeavesTheOthers() async throws {
        let receiver = try HTTP2Receiver()
        let collected = Collected()
        try await withExchanger(try TLSTests.offeringHTTP2(), completed: collected.add) { exchanger in
            _ = await exchanger.perform(.post(receiver.url("/echo")))
            var request = Request.post(receiver.url("/echo"))
            request.body = [UInt8](repeating: 1, count: 5_000_000)
            let large = request
            let cancelled = Task { await exchanger.perform(large) }
            exchanger.submit((0..<10).map { .post(receiver.url("/echo"), "{}", token: $0) })
            cancelled.cancel()
            let exchanges = try await collected.wait(for: 10)
            #expect(exchanges.allSatisfy { $0.response?.status == 200 })
            #expect(await cancelled.value.failure?.kind == .cancelled)
        }
    }

    @Test func settingTurnsItOff() async throws {
        let receiver = try HTTP2Receiver()
        var settings = try TLSTests.offeringHTTP2()
        settings.http2 = false
        let exchange = try await withExchanger(settings) { await $0.perform(.post(receiver.url("/echo"), "{}")) }
        // nghttpd speaks nothing else, so the connection ends without an HTTP/2 answer.
        #expect(exchange.httpVersion != .http2)
        #expect(exchange.failure != nil)
    }

    /// nghttpd closes a connection with more than 1,000 resets, so that a libcurl that resets each stream shows.
    @Test func whatIsOfferedByDefaultEndsItsStreams() async throws {
        let receiver = try HTTP2Receiver()
        let collected = Collected()
        try await withExchanger(try TLSTests.trusting(), completed: collected.add) { exchanger in
            guard ExchangerSettings.http2OfLibrary else {
                let exchange = await exchanger.perform(.post(receiver.url("/echo"), "{}"))
                return #expect(exchange.httpVersion != .http2, "this libcurl would reset each stream")
            }
            for wave in 1...50 {
                exchanger.submit((0..<50).map { .post(receiver.url("/echo"), "{}", token: $0) })
                let exchanges = try await collected.wait(for: wave * 50)
                #expect(exchanges.allSatisfy { $0.response?.status == 200 })
            }
            #expect(exchanger.counters.connectionsOpened == 1)
        }
    }
}
