// What is here: exchanges through a proxy: the proxy is dialed and looks names up, the receiver's answer is its own.

import HTTPExchange
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(10))) struct ProxyTests {
    private func route(_ proxy: ForwardProxy, _ kind: Route.Proxy.Kind, password: String? = nil) -> Route {
        Route(
            proxy: Route.Proxy(
                kind: kind, host: "127.0.0.1", port: proxy.port, username: password.map { _ in "user" },
                password: password))
    }

    private func request(_ url: String, _ route: Route, headers: [String] = []) -> Request {
        var request = Request.post(url, "{}", headers: headers)
        request.route = route
        return request
    }

    /// Nothing but public addresses may be dialed, so that only the proxy can reach the receiver.
    @Test(arguments: [Route.Proxy.Kind.http, .socks5h])
    func proxyIsDialedAndLooksTheNameUp(kind: Route.Proxy.Kind) async throws {
        let proxy = try ForwardProxy(password: "secret")
        let receiver = try Receiver { connection in
            while connection.readRequest() != nil { connection.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok") }
        }
        defer { receiver.stop() }
        let url = "http://hooks.behind.example:\(receiver.port)/a/b"
        try await withExchanger(ExchangerSettings()) { exchanger in
            let exchange = await exchanger.perform(request(url, route(proxy, kind, password: "secret")))
            #expect(exchange.response?.status == 200, "\(exchange.result)")
            let place = "hooks.behind.example:\(receiver.port)"
            #expect(proxy.nextRequest() == (kind == .http ? "POST http://\(place)/a/b" : "SOCKS \(place)"))
            // The straight way stays closed.
            let straight = await exchanger.perform(.post("http://127.0.0.1:\(receiver.port)/"))
            #expect(straight.failure?.kind == .refusedAddress)
        }
        #expect(receiver.accepted == 1)
    }

    @Test func secureReceiverIsReachedThroughATunnel() async throws {
        let proxy = try ForwardProxy()
        let receiver = try TLSHost()
        try await withExchanger(try TLSTests.trusting()) { exchanger in
            let request = request(receiver.url(), route(proxy, .http), headers: ["Authorization: Bearer x"])
            let exchange = await exchanger.perform(request)
            #expect(exchange.response?.status == 200, "\(exchange.result)")
            #expect(exchange.response?.body == Array("TLSv1.3 new".utf8))
            // Without what is meant for the receiver.
            #expect(proxy.nextRequest() == "CONNECT localhost:\(receiver.port())")
            // The same connection carries the next, and the straight one is another.
            #expect(await exchanger.perform(request).reusedConnection)
            let straight = await exchanger.perform(.post(receiver.url()))
            #expect(straight.response?.status == 200 && !straight.reusedConnection)
        }
    }

    @Test func faultsOfTheProxyAreItsOwn() async throws {
        let proxy = try ForwardProxy(password: "secret")
        let closed = Route(proxy: Route.Proxy(kind: .http, host: "127.0.0.1", port: 1))
        let unnamed = Route(proxy: Route.Proxy(kind: .http, host: "proxy.invalid", port: 3128))
        let url = "https://hooks.behind.example:1/"
        let refused = "https://refused.behind.example:1/"
        try await withExchanger { exchanger in
            for (route, url, kind) in [
                (closed, url, FailureKind.proxy), (unnamed, url, .proxy),
                (route(proxy, .http), url, .proxy), (route(proxy, .http, password: "wrong"), url, .proxy),
                (route(proxy, .socks5h, password: "wrong"), url, .proxy),
                // The proxy is well, and says that the receiver is not.
                (route(proxy, .http, password: "secret"), refused, .connect),
                (route(proxy, .socks5h, password: "secret"), refused, .connect),
            ] {
                let exchange = await exchanger.perform(request(url, route))
                #expect(exchange.failure?.kind == kind, "\(url): \(exchange.result)")
            }
        }
    }

    private func exchange(_ kind: Route.Proxy.Kind, port: Int, url: String, within limit: Duration) async throws -> Exchange {
        var request = request(url, Route(proxy: Route.Proxy(kind: kind, host: "127.0.0.1", port: port)))
        request.connectTimeout = limit
        let limited = request
        return try await withExchanger { await $0.perform(limited) }
    }

    /// It hangs up when it is asked for a tunnel: the receiver was never asked.
    @Test func proxyThatHangsUpIsNoFaultOfTheReceiver() async throws {
        let proxy = try Receiver { _ = $0.readRequest() }
        defer { proxy.stop() }
        let exchange = try await exchange(.http, port: proxy.port, url: "https://hooks.behind.example/", within: .seconds(30))
        #expect(exchange.failure?.kind == .proxy, "\(exchange.result)")
    }

    /// It may wait for the receiver.
    @Test(arguments: [Route.Proxy.Kind.http, .socks5h])
    func proxyThatIsSilentMayHaveAskedTheReceiver(kind: Route.Proxy.Kind) async throws {
        let proxy = try Receiver { $0.waitForEnd() }
        defer { proxy.stop() }
        let exchange = try await exchange(kind, port: proxy.port, url: "https://hooks.behind.example/", within: .seconds(4))
        #expect(exchange.failure?.kind == .timeout, "\(exchange.result)")
    }

    /// Nobody answers its SYN. Of a receiver's host that is a timeout.
    @Test(arguments: [
        (Route.Proxy.Kind.http, "https://hooks.behind.example/"),
        (Route.Proxy.Kind.http, "http://hooks.behind.example/"),
        (Route.Proxy.Kind.socks5h, "https://hooks.behind.example/"),
    ])
    func proxyWhoseHostIsDownIsNoFaultOfTheReceiver(kind: Route.Proxy.Kind, url: String) async throws {
        let host = try FullPort()
        defer { host.stop() }
        let through = try await exchange(kind, port: host.port, url: url, within: .seconds(2))
        #expect(through.failure?.kind == .proxy, "\(through.result)")
        #expect(through.failure?.message.contains("connecting") == true)
        var straight = Request.post("http://127.0.0.1:\(host.port)/")
        straight.connectTimeout = .seconds(2)
        let limited = straight
        let direct = try await withExchanger { await $0.perform(limited) }
        #expect(direct.failure?.kind == .timeout, "\(direct.result)")
    }

    @Test(arguments: [
        "http://10.0.0.1/", "http://127.0.0.1:8080/", "http://[::1]/", "http://169.254.169.254/latest", "http://localhost/",
        "http://a.localhost/", "http://2130706433/",
    ])
    func addressThatMayNotBeDialedIsNotAskedForEither(url: String) async throws {
        let proxy = try ForwardProxy()
        try await withExchanger(ExchangerSettings()) { exchanger in
            let exchange = await exchanger.perform(request(url, route(proxy, .http)))
            #expect(exchange.failure?.kind == .refusedAddress, "\(exchange.result)")
            #expect(exchanger.counters.connectionsOpened == 0)
        }
    }

    @Test func nextRequestOfTheHandleGoesStraight() async throws {
        let proxy = try ForwardProxy()
        let receiver = try Receiver { connection in
            // The proxy joins connections, and tells of the first request of each.
            guard connection.readRequest() != nil else { return }
            connection.write("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")
        }
        defer { receiver.stop() }
        try await withExchanger { exchanger in
            let through = await exchanger.perform(
                request("http://one.behind.example:\(receiver.port)/", route(proxy, .http, password: nil)))
            #expect(through.response?.status == 200)
            #expect(proxy.nextRequest() == "POST http://one.behind.example:\(receiver.port)/")
            let straight = await exchanger.perform(.post(receiver.url()))
            #expect(straight.response?.status == 200)
            let again = await exchanger.perform(
                request("http://two.behind.example:\(receiver.port)/", route(proxy, .http, password: nil)))
            #expect(again.response?.status == 200)
            // Nothing was asked in between.
            #expect(proxy.nextRequest() == "POST http://two.behind.example:\(receiver.port)/")
        }
    }
}
