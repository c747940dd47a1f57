// What is here: how long an answer about a name counts, with instants given by the test. The names end in .invalid, so
// the lookups that begin aside find nothing, and their answers stay in a mailbox that nobody empties.

import CLibCurl
import Testing

@testable import HTTPExchange

@Suite struct HostTableTests {
    private let counters = RunningCounters()
    private let second: Int64 = 1_000_000_000

    private func table(dnsCache: Duration = .seconds(60)) throws -> HostTable {
        var settings = ExchangerSettings.loopback
        settings.dnsCache = dnsCache
        return HostTable(settings: settings, counters: counters, mailbox: try Mailbox())
    }

    private func answer(_ texts: String..., key: String = "name.invalid:443") -> LookupAnswer {
        LookupAnswer(key: key, result: .success(texts.compactMap { IPAddress($0) }))
    }

    private func name(_ readiness: Readiness) -> String {
        switch readiness {
        case .ready: "ready"
        case .waits: "waits"
        case .failed(let failure): failure.kind.rawValue
        }
    }

    @Test func answerCountsWhileFreshThenServesOnceMoreWhileItIsLookedUpAgain() throws {
        var table = try table()
        let host = try table.target(for: "https://name.invalid/").host
        #expect(name(table.readiness(of: host, now: 0)) == "waits")
        #expect(name(table.readiness(of: host, now: 1)) == "waits")
        #expect(counters.reading.lookups == 1)
        _ = table.take(answer("127.0.0.1"), now: second)
        #expect(name(table.readiness(of: host, now: 60 * second)) == "ready")
        #expect(counters.reading.lookups == 1)
        #expect(name(table.readiness(of: host, now: 61 * second)) == "ready")
        #expect(name(table.readiness(of: host, now: 120 * second)) == "ready")
        #expect(counters.reading.lookups == 2)
        #expect(name(table.readiness(of: host, now: 121 * second)) == "waits")
        #expect(counters.reading.lookups == 2)
    }

    @Test func forbiddenAnswerEndsTheUseOfEarlierOnes() throws {
        var table = try table()
        let host = try table.target(for: "https://name.invalid/").host
        _ = table.readiness(of: host, now: 0)
        _ = table.take(answer("127.0.0.1"), now: 1)
        _ = table.readiness(of: host, now: 70 * second)
        _ = table.take(answer("127.0.0.1", "192.168.0.1"), now: 71 * second)
        #expect(name(table.readiness(of: host, now: 71 * second + 1)) == "refused_address")
        // Asked again a second later.
        #expect(name(table.readiness(of: host, now: 72 * second)) == "waits")
    }

    @Test func failedLookupLeavesEarlierAddressesInUseForAWhile() throws {
        var table = try table()
        let host = try table.target(for: "https://name.invalid/").host
        let failed = LookupAnswer(key: "name.invalid:443", result: .failure(LookupError(message: "no answer")))
        _ = table.readiness(of: host, now: 0)
        _ = table.take(failed, now: 1)
        #expect(name(table.readiness(of: host, now: 2)) == "dns")
        _ = table.readiness(of: host, now: 2 * second)
        _ = table.take(answer("127.0.0.1"), now: 3 * second)
        _ = table.readiness(of: host, now: 64 * second)
        _ = table.take(failed, now: 65 * second)
        #expect(name(table.readiness(of: host, now: 65 * second + 1)) == "ready")
        _ = table.readiness(of: host, now: 124 * second)
        _ = table.take(failed, now: 125 * second)
        #expect(name(table.readiness(of: host, now: 125 * second + 1)) == "dns")
    }

    @Test func literalIsJudgedAndNeverLookedUp() throws {
        var table = try table(dnsCache: .zero)
        let permitted = try table.target(for: "https://127.0.0.1/").host
        let refused = try table.target(for: "https://10.0.0.1/").host
        for now in [Int64(0), 0, 1, 100 * second] {
            #expect(name(table.readiness(of: permitted, now: now)) == "ready")
            #expect(name(table.readiness(of: refused, now: now)) == "refused_address")
        }
        #expect(counters.reading.lookups == 0)
    }

    @Test func schemeAndCaseShareAHostAndPortsDoNot() throws {
        var table = try table()
        let host = try table.target(for: "https://name.invalid:8080/a").host
        #expect(try table.target(for: "http://NAME.invalid:8080/b").host === host)
        #expect(try table.target(for: "https://name.invalid/a").host !== host)
    }

    @Test func addressesOfATransferThatIsTakenBackAreBroughtAgain() throws {
        let loop = try Loop(settings: .loopback, mailbox: try Mailbox(), counters: counters) { _ in }
        let target = try loop.hosts.target(for: "http://name.invalid/")
        _ = loop.hosts.take(answer("127.0.0.1", key: "name.invalid:80"), now: 1)
        let job = Job(request: .post("http://name.invalid/"), reply: nil)
        loop.launch(Waiting(job: job, target: target, startedAt: 1, deadline: .max), now: 2)
        #expect(target.host.isPinned)
        // Before libcurl has seen them.
        loop.cancelEverything()
        #expect(!target.host.isPinned)
    }

    /// One that hangs in its handshake would hold up all that are reached the same way.
    @Test func receiversBehindAProxyDoNotWaitForOneAnother() throws {
        let loop = try Loop(settings: .loopback, mailbox: try Mailbox(), counters: counters) { _ in }
        let proxy = Route.Proxy(kind: .http, host: "proxy.invalid", port: 3128)
        let behind = try loop.hosts.target(for: "https://name.invalid/", through: proxy).host
        let straight = try loop.hosts.target(for: "https://name.invalid/").host
        #expect(!loop.mustHold(straight, isSecure: true))
        behind.admit()
        straight.admit()
        #expect(!loop.mustHold(behind, isSecure: true))
        #expect(loop.mustHold(straight, isSecure: true) && !loop.mustHold(straight, isSecure: false))
        straight.isSettled = true
        #expect(!loop.mustHold(straight, isSecure: true))
    }

    /// A receiver of the same name and port is judged by itself, and takes no address of the proxy along when it goes.
    @Test func addressesOfAProxyAreBroughtWithEachRequest() throws {
        var table = try table()
        let proxy = Route.Proxy(kind: .http, host: "name.invalid", port: 443)
        let behind = try table.target(for: "https://other.invalid/", through: proxy).host
        let receiver = try table.target(for: "https://name.invalid/").host
        #expect(behind !== receiver)
        // Its addresses are not judged, those of the receiver are.
        _ = table.take(answer("10.0.0.1", key: "proxy name.invalid:443"), now: 1)
        _ = table.take(answer("10.0.0.1"), now: 1)
        #expect(name(table.readiness(of: behind, now: 2)) == "ready")
        #expect(name(table.readiness(of: receiver, now: 2)) == "refused_address")
        for _ in 0..<2 {
            let pins = table.pins(for: behind)
            let list = try #require(pins)
            #expect(String(cString: list.pointee.data) == "name.invalid:443:10.0.0.1")
            curl_slist_free_all(list)
        }
        #expect(!behind.isPinned)
    }

    @Test func hostsThatAreDroppedAreTakenOutOfLibcurlToo() throws {
        var table = try table()
        let first = try table.target(for: "https://first.invalid/").host
        _ = table.take(answer("127.0.0.1", key: "first.invalid:443"), now: 1)
        let pins = table.pins(for: first)
        curl_slist_free_all(pins)
        let busy = try table.target(for: "https://busy.invalid/").host
        _ = table.take(answer("127.0.0.1", key: "busy.invalid:443"), now: 1)
        busy.admit()
        for index in 0..<8_192 { _ = try table.target(for: "https://h\(index).invalid/") }
        #expect(try table.target(for: "https://busy.invalid/").host === busy)
        #expect(try table.target(for: "https://first.invalid/").host !== first)
        // Whoever still has it brings its addresses again.
        #expect(!first.isPinned)
        let later = table.pins(for: busy)
        let list = try #require(later)
        #expect(String(cString: list.pointee.data) == "-first.invalid:443")
        let next = try #require(list.pointee.next)
        #expect(String(cString: next.pointee.data) == "busy.invalid:443:127.0.0.1")
        #expect(next.pointee.next == nil)
        curl_slist_free_all(list)
    }
}
