// What is here: what a plain exchange sends and brings back, byte by byte.

import HTTPExchange
import Testing

@Suite(.timeLimit(.minutes(10))) struct PlainExchangeTests {
    @Test func requestHasExactlyTheGivenHeadersInTheirOrder() async throws {
        let receiver = try Receiver.answering()
        let headers = ["webhook-id: msg_1", "Content-Type: application/json", "X-Empty:", "x-name:  ä b ", "X-Urn: a:b:"]
        let exchange = try await withExchanger { exchanger in
            await exchanger.perform(.post(receiver.url("/a/../b?x=%20y"), #"{"a":1}"#, headers: headers))
        }
        #expect(exchange.response?.status == 200)
        let request = try #require(receiver.requests.first)
        #expect(
            request.head == """
                POST /a/../b?x=%20y HTTP/1.1\r
                Host: 127.0.0.1:\(receiver.port)\r
                webhook-id: msg_1\r
                Content-Type: application/json\r
                X-Empty:\r
                x-name:  ä b\r
                X-Urn: a:b:\r
                Content-Length: 7\r

                """)
        #expect(request.body == Array(#"{"a":1}"#.utf8))
    }

    @Test func libcurlAddsNothingOfItsOwn() async throws {
        let receiver = try Receiver.answering()
        try await withExchanger { exchanger in
            _ = await exchanger.perform(.post(receiver.url("/")))
            _ = await exchanger.perform(.post(receiver.url("/"), String(repeating: "x", count: 2 << 20)))
        }
        let heads = receiver.requests.map { $0.head.split(separator: "\r\n").dropFirst().map(String.init) }
        #expect(
            heads == [
                ["Host: 127.0.0.1:\(receiver.port)", "Content-Length: 0"],
                ["Host: 127.0.0.1:\(receiver.port)", "Content-Length: 2097152"],
            ])
    }

    @Test func userAgentAndAcceptAreSentWhenGiven() async throws {
        let receiver = try Receiver.answering()
        var settings = ExchangerSettings.loopback
        settings.userAgent = "Postrider/1"
        try await withExchanger(settings) { exchanger in
            _ = await exchanger.perform(.post(receiver.url(), headers: ["accept: */*"]))
            _ = await exchanger.perform(.post(receiver.url(), headers: ["User-Agent: other"]))
        }
        let requests = receiver.requests
        #expect(requests.map { $0.header("user-agent") } == ["Postrider/1", "other"])
        #expect(requests.map { $0.header("accept") } == ["*/*", nil])
    }

    @Test(arguments: [0, 1, 300, 32_768, 32_769, 65_535, 65_536, 1_048_577, 10_000_000])
    func bodyArrivesWhole(size: Int) async throws {
        let receiver = try Receiver.answering()
        let body = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
        let statuses = try await withExchanger { exchanger in
            var statuses: [Int?] = []
            for _ in 0..<2 {
                var request = Request.post(receiver.url())
                request.body = body
                statuses.append(await exchanger.perform(request).response?.status)
            }
            return statuses
        }
        #expect(statuses == [200, 200])
        #expect(receiver.requests.map(\.body) == [body, body])
        #expect(receiver.accepted == 1)
    }

    @Test func largeBodyIsSentAgainWhenAKeptConnectionHasDied() async throws {
        let receiver = try Receiver { connection in
            // One answer per connection; the next request is read, and the connection breaks instead of answering.
            guard connection.readRequest() != nil else { return }
            connection.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            guard connection.readRequest() != nil else { return }
            connection.resetOnClose()
        }
        var request = Request.post(receiver.url())
        request.body = [UInt8](repeating: 7, count: 100_000)
        let large = request
        let exchanges = try await withExchanger { exchanger in
            [await exchanger.perform(large), await exchanger.perform(large)]
        }
        #expect(exchanges.map { $0.response?.status } == [200, 200])
        #expect(receiver.requests.map(\.body.count) == [100_000, 100_000, 100_000])
    }

    @Test(arguments: ["GET", "HEAD", "PUT", "PATCH", "DELETE", "POST", "x-own"])
    func methodIsSentAsGiven(method: String) async throws {
        let receiver = try Receiver { connection in
            while let request = connection.readRequest() {
                let length = request.head.hasPrefix("HEAD") ? 5 : 0
                connection.write("HTTP/1.1 200 OK\r\nContent-Length: \(length)\r\n\r\n")
            }
        }
        let exchanges = try await withExchanger { exchanger in
            var exchanges: [Exchange] = []
            // The handle is used for another method before and after.
            for method in ["POST", method, "POST", "GET", method] {
                var request = Request.post(receiver.url())
                request.method = method
                exchanges.append(await exchanger.perform(request))
            }
            return exchanges
        }
        #expect(exchanges.allSatisfy { $0.response?.status == 200 })
        let sent = receiver.requests.map { String($0.head.prefix { $0 != " " }) }
        #expect(sent == ["POST", method, "POST", "GET", method])
        #expect(receiver.accepted == 1)
    }

    @Test func exchangeTellsStatusHeadersBodyAndTimings() async throws {
        let exchange = try await exchange(
            answered: "HTTP/1.1 503 Busy\r\nRETRY-AFTER:  120 \r\nContent-Type: text/plain\r\nX-Other: 1\r\n"
                + "Webhook-Delivery: disable\r\nContent-Length: 4\r\n\r\nlate")
        let response = try #require(exchange.response)
        #expect(response.status == 503)
        #expect(response.retryAfter == "120")
        #expect(response.header("webhook-delivery") == "disable")
        #expect(response.headers.map(\.name) == ["retry-after", "content-type", "webhook-delivery"])
        #expect(response.body == Array("late".utf8))
        #expect(response.discardedBytes == 0)
        #expect(exchange.token == 1)
        #expect(exchange.httpVersion == .http1_1)
        #expect(exchange.remoteAddress == "127.0.0.1")
        #expect(!exchange.reusedConnection)
        #expect(exchange.partial == nil)
        let timings = exchange.timings
        #expect(timings.connect > 0 && timings.tls == 0)
        #expect(timings.firstByte >= timings.connect && timings.total >= timings.firstByte)
        #expect(timings.total < 20_000_000)
    }

    @Test(.enabled(if: Receiver.hasSix, "there is no ::1 here")) func ipv6LiteralIsReached() async throws {
        let receiver = try Receiver.answering(on: "::1")
        let exchange = try await withExchanger { await $0.perform(.post(receiver.url("/six"))) }
        #expect(exchange.response?.status == 200)
        #expect(exchange.remoteAddress == "::1")
        #expect(receiver.requests.first?.header("host") == "[::1]:\(receiver.port)")
    }

    @Test func nameIsLookedUpOnceAndItsAddressesKept() async throws {
        let receiver = try Receiver { connection in
            guard connection.readRequest() != nil else { return }
            connection.write("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
        }
        try await withExchanger { exchanger in
            for _ in 0..<3 {
                let exchange = await exchanger.perform(.post("http://LocalHost:\(receiver.port)/"))
                #expect(exchange.response?.status == 200)
            }
            #expect(exchanger.counters.lookups == 1)
        }
        #expect(receiver.accepted == 3)
    }
}
