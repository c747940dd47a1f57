// What is here: exchanges with a receiver that demands a client certificate.

import Foundation
import HTTPExchange
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(10))) struct ClientCertificateTests {
    private func body(_ exchange: Exchange) -> String {
        String(decoding: exchange.response?.body ?? Array("\(exchange.result)".utf8), as: UTF8.self)
    }

    private func route(_ name: String) throws -> Route {
        let client = try Certificates.shared.get().client(name)
        return Route(certificate: client.certificate, key: client.key)
    }

    private func request(_ host: TLSHost, _ route: Route?, token: UInt64 = 1) -> Request {
        var request = Request.post(host.url(), "{}", token: token)
        request.route = route
        return request
    }

    @Test(arguments: [true, false])
    func receiverSeesTheCertificateOfTheRequest(isTLS12: Bool) async throws {
        let host = try isTLS12 ? TLSHost(.mutual, .tls12) : TLSHost(.mutual)
        let (ana, bia) = (try route("ana"), try route("bia"))
        try await withExchanger(try TLSTests.trusting()) { exchanger in
            // To and fro over kept connections and resumed sessions, on few handles: nothing may stick to them.
            for _ in 0..<4 {
                #expect(body(await exchanger.perform(request(host, ana))) == "ana")
                #expect(body(await exchanger.perform(request(host, bia))) == "bia")
                #expect(await exchanger.perform(request(host, nil)).response == nil)
            }
            #expect(exchanger.counters.connectionsReused >= 6)
        }
    }

    @Test func manyAtOnceAreNotMixedUp() async throws {
        let host = try TLSHost(.mutual)
        let names = ["ana", "bia", "caio"]
        let routes = try names.map { try route($0) }
        let collected = Collected()
        try await withExchanger(try TLSTests.trusting(), completed: collected.add) { exchanger in
            exchanger.submit((0..<60).map { request(host, routes[$0 % 3], token: UInt64($0)) })
            for exchange in try await collected.wait(for: 60) {
                #expect(body(exchange) == names[Int(exchange.token) % 3])
            }
        }
    }

    @Test func authorityOfTheRouteCountsForItsRequestsAlone() async throws {
        let receiver = try TLSHost()
        let authority = try String(contentsOfFile: Certificates.shared.get().authority, encoding: .utf8)
        let route = Route(authority: authority)
        // The exchanger itself trusts the system's authorities only.
        try await withExchanger { exchanger in
            for _ in 0..<2 {
                var request = Request.post(receiver.url())
                #expect(await exchanger.perform(request).failure?.kind == .certificate)
                request.route = route
                #expect(await exchanger.perform(request).response?.status == 200)
            }
        }
    }

    /// Nor does it get a connection, or a session, that the right one has opened.
    @Test(arguments: [true, false])
    func keyOfAnotherCertificateUsesNoConnectionOfTheRightOne(isTLS12: Bool) async throws {
        let host = try isTLS12 ? TLSHost(.mutual, .tls12) : TLSHost(.mutual)
        let certificates = try Certificates.shared.get()
        let (one, other) = (try certificates.client("one"), try certificates.client("other"))
        let right = Route(certificate: one.certificate, key: one.key)
        let wrong = Route(certificate: one.certificate, key: other.key)
        try await withExchanger(try TLSTests.trusting()) { exchanger in
            for _ in 0..<2 {
                #expect(body(await exchanger.perform(request(host, right))) == "one")
                #expect(await exchanger.perform(request(host, wrong)).failure?.kind == .tls)
            }
            #expect(exchanger.counters.connectionsReused >= 1)
        }
    }

    @Test func keyOfAnotherCertificateIsTLS() async throws {
        let host = try TLSHost(.mutual)
        let certificates = try Certificates.shared.get()
        let (one, other) = (try certificates.client("one"), try certificates.client("other"))
        let wrong = Route(certificate: one.certificate, key: other.key)
        let garbage = Route(certificate: "-----BEGIN CERTIFICATE-----\nxx\n-----END CERTIFICATE-----", key: one.key)
        try await withExchanger(try TLSTests.trusting()) { exchanger in
            for route in [wrong, garbage] {
                #expect(await exchanger.perform(request(host, route)).failure?.kind == .tls)
            }
            let right = Route(certificate: one.certificate, key: one.key)
            #expect(body(await exchanger.perform(request(host, right))) == "one")
        }
    }
}
