// What is here: exchanges over TLS with certificates good and bad, and sessions that are resumed.

import TestSupport
import Testing

@testable import HTTPExchange

@Suite(.timeLimit(.minutes(10))) struct TLSTests {
    /// Loopback allowed, and the tests' authority trusted.
    static func trusting() throws -> ExchangerSettings {
        var settings = ExchangerSettings.loopback
        settings.caFile = try Certificates.shared.get().authority
        return settings
    }

    /// The same, and HTTP/2 is offered: then it must be found out how many connections a host needs.
    static func offeringHTTP2() throws -> ExchangerSettings {
        var settings = try trusting()
        settings.http2 = true
        return settings
    }

    private func body(_ exchange: Exchange) -> String {
        String(decoding: exchange.response?.body ?? Array("\(exchange.result)".utf8), as: UTF8.self)
    }

    /// With the others every answer is followed by a reset, of which receivers take so many and then close the connection.
    @Test func onlyLibrariesThatEndStreamsOfferHTTP2() {
        let versions: [(UInt32, Bool)] = [(0, false), (0x07_5801, false), (0x08_0e00, false), (0x08_0e01, true), (0x09_0000, true)]
        for (version, isSound) in versions {
            #expect(ExchangerSettings.endsStreams(libcurl: version) == isSound, "\(version)")
        }
        #expect(ExchangerSettings().http2 == ExchangerSettings.http2OfLibrary)
    }

    @Test func trustedCertificateIsAccepted() async throws {
        let receiver = try TLSHost()
        try await withExchanger(try Self.trusting()) { exchanger in
            let first = await exchanger.perform(.post(receiver.url(), "{}"))
            #expect(body(first) == "TLSv1.3 new")
            #expect(first.timings.tls > 0 && first.timings.connect > 0)
            #expect(first.timings.firstByte >= first.timings.connect + first.timings.tls)
            let second = await exchanger.perform(.post(receiver.url(), "{}"))
            #expect(second.reusedConnection && second.timings.tls == 0 && second.timings.connect == 0)
            let byAddress = await exchanger.perform(.post(receiver.url(host: "127.0.0.1")))
            #expect(byAddress.response?.status == 200)
            #expect(exchanger.counters.tlsHandshakes == 2)
        }
    }

    @Test(arguments: [Certificates.Kind.wrongName, .expired, .selfSigned])
    func badCertificateIsRefused(kind: Certificates.Kind) async throws {
        let receiver = try TLSHost()
        try await withExchanger(try Self.trusting()) { exchanger in
            for host in ["localhost", "127.0.0.1"] {
                let exchange = await exchanger.perform(.post(receiver.url(kind, host: host)))
                #expect(exchange.failure?.kind == .certificate, "\(exchange.result)")
            }
            #expect(exchanger.counters.tlsHandshakes == 0)
        }
    }

    @Test func authorityThatIsNotTrustedIsRefused() async throws {
        let receiver = try TLSHost()
        let exchange = try await withExchanger { await $0.perform(.post(receiver.url())) }
        #expect(exchange.failure?.kind == .certificate)
    }

    @Test func missingFileOfAuthoritiesIsTLS() async throws {
        let receiver = try TLSHost()
        var settings = ExchangerSettings.loopback
        settings.caFile = "/nonexistent/authorities.pem"
        let exchange = try await withExchanger(settings) { await $0.perform(.post(receiver.url())) }
        #expect(exchange.failure?.kind == .tls)
    }

    @Test func plainAnswerToAHandshakeIsTLS() async throws {
        let receiver = try Receiver { connection in
            connection.write("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
            connection.waitForEnd()
        }
        let exchange = try await withExchanger { await $0.perform(.post("https://127.0.0.1:\(receiver.port)/")) }
        #expect(exchange.failure?.kind == .tls)
    }

    @Test func versionsBefore12AreRefused() async throws {
        let receiver = try TLSHost(.tls11)
        let exchange = try await withExchanger(try Self.trusting()) { await $0.perform(.post(receiver.url())) }
        #expect(exchange.failure?.kind == .tls)
    }

    @Test(arguments: ["TLSv1.2", "TLSv1.3"])
    func newConnectionResumesTheSession(version: String) async throws {
        let receiver = try version == "TLSv1.2" ? TLSHost(.close, .tls12) : TLSHost(.close)
        try await withExchanger(try Self.trusting()) { exchanger in
            var bodies: [String] = []
            for _ in 0..<4 { bodies.append(body(await exchanger.perform(.post(receiver.url(), "{}")))) }
            #expect(bodies == ["\(version) new"] + Array(repeating: "\(version) resumed", count: 3))
            #expect(exchanger.counters.tlsHandshakes == 4)
            #expect(exchanger.counters.tlsSessionsReused == 3)
        }
    }

    @Test func ticketsCarrySessionsOfTLS12() async throws {
        let receiver = try TicketReceiver()
        try await withExchanger(try Self.trusting()) { exchanger in
            for _ in 0..<4 {
                var request = Request.post(receiver.url())
                request.method = "GET"
                let exchange = await exchanger.perform(request)
                #expect(exchange.response?.status == 200, "\(exchange.result)")
            }
            #expect(exchanger.counters.tlsHandshakes == 4)
            #expect(exchanger.counters.tlsSessionsReused == 3)
        }
    }

    @Test func burstToAnHTTP1ReceiverOpensConnectionsSideBySide() async throws {
        let receiver = try TLSHost()
        let collected = Collected()
        try await withExchanger(try Self.offeringHTTP2(), completed: collected.add) { exchanger in
            exchanger.submit((0..<40).map { .post(receiver.url(), "{}", token: $0) })
            let exchanges = try await collected.wait(for: 40)
            #expect(exchanges.allSatisfy { $0.response?.status == 200 })
            #expect(exchanger.counters.connectionsOpened > 1)
        }
    }

    @Test func hostThatHangsInItsHandshakeHoldsOnlyItsOwnRequests() async throws {
        let hanging = try Receiver { $0.waitForEnd() }
        let good = try TLSHost()
        let collected = Collected()
        try await withExchanger(try Self.offeringHTTP2(), completed: collected.add) { exchanger in
            var stuck = Request.post("https://127.0.0.1:\(hanging.port)/", token: 1_000)
            stuck.timeout = .seconds(120)
            stuck.connectTimeout = .seconds(120)
            exchanger.submit(Array(repeating: stuck, count: 20))
            exchanger.submit((0..<40).map { .post(good.url(), token: $0) })
            let exchanges = try await collected.wait(for: 40)
            #expect(exchanges.allSatisfy { $0.token < 40 && $0.response?.status == 200 })
            #expect(hanging.accepted == 1)
        }
        #expect(collected.exchanges.count == 60)
    }
}
