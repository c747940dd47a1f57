// What is here: requests to addresses that may not be dialed. The proof is a receiver that sees no connection.

import CLibCurl
import Glibc
import Testing

@testable import HTTPExchange

@Suite(.timeLimit(.minutes(10))) struct GuardedDialTests {
    /// All the ways to write 127.0.0.1 that libcurl or the resolver understands, and names for it.
    @Test(arguments: [
        "127.0.0.1", "127.1", "127.0.1", "0x7f.1", "0x7f000001", "2130706433", "017700000001", "0177.0.0.1",
        "127.0.0.1.",
        "localhost", "LOCALHOST", "localhost.", "[::1]", "[::ffff:127.0.0.1]", "[::127.0.0.1]", "[0:0:0:0:0:0:0:1]",
        "[64:ff9b::7f00:1]", "0.0.0.0", "0", "[::]",
    ])
    func loopbackIsRefusedWithoutAConnection(host: String) async throws {
        let addresses = Receiver.hasSix ? ["127.0.0.1", "::1"] : ["127.0.0.1"]
        let receivers = try addresses.map { try Receiver.answering(on: $0) }
        try await withExchanger(ExchangerSettings()) { exchanger in
            for receiver in receivers {
                for scheme in ["http", "https"] {
                    let exchange = await exchanger.perform(.post("\(scheme)://\(host):\(receiver.port)/"))
                    // A name that the resolver does not know is as good as refused.
                    let isRefused = exchange.failure?.kind == .refusedAddress
                    #expect(isRefused || (exchange.failure?.kind == .dns && host.hasSuffix(".")), "\(exchange.result)")
                    #expect(exchange.remoteAddress == nil)
                }
            }
            #expect(exchanger.counters.connectionsOpened == 0)
        }
        #expect(receivers.map(\.accepted).max() == 0)
    }

    @Test(arguments: ["127.1", "0x7f.1", "2130706433", "localhost", "[::ffff:127.0.0.1]"])
    func sameFormsConnectWhenAllowed(host: String) async throws {
        let receiver = try Receiver.answering()
        let exchange = try await withExchanger { await $0.perform(.post("http://\(host):\(receiver.port)/")) }
        #expect(exchange.response?.status == 200, "\(exchange.result)")
        #expect(receiver.accepted == 1)
    }

    @Test func oneForbiddenAnswerAmongManyRefusesTheName() throws {
        var table = HostTable(settings: .loopback, counters: RunningCounters(), mailbox: try Mailbox())
        let host = try table.target(for: "https://rebind.example/").host
        let answers = ["127.0.0.1", "10.0.0.1"].compactMap { IPAddress($0) }
        _ = table.take(LookupAnswer(key: "rebind.example:443", result: .success(answers)), now: 1)
        guard case .failed(let failure) = table.readiness(of: host, now: 2) else {
            Issue.record("the host is not refused")
            return
        }
        #expect(failure.kind == .refusedAddress)
        #expect(host.addresses.isEmpty)
    }

    @Test func libcurlMayUseTheJudgedAddressesOnly() throws {
        var table = HostTable(settings: .loopback, counters: RunningCounters(), mailbox: try Mailbox())
        let target = try table.target(for: "https://good.example:8443/x")
        let answers = ["127.0.0.2", "::1"].compactMap { IPAddress($0) }
        _ = table.take(LookupAnswer(key: "good.example:8443", result: .success(answers)), now: 1)
        let first = table.pins(for: target.host)
        let list = try #require(first)
        #expect(String(cString: list.pointee.data) == "good.example:8443:127.0.0.2,[::1]")
        #expect(list.pointee.next == nil)
        // Known now; and again after another answer.
        let second = table.pins(for: target.host)
        #expect(second == nil)
        _ = table.take(LookupAnswer(key: "good.example:8443", result: .success([answers[0]])), now: 2)
        let third = table.pins(for: target.host)
        let again = try #require(third)
        #expect(String(cString: again.pointee.data) == "good.example:8443:127.0.0.2")
        curl_slist_free_all(list)
        curl_slist_free_all(again)
    }

    @Test func dialJudgesTheVeryAddressOnceMore() throws {
        let counters = RunningCounters()
        let mailbox = try Mailbox()
        let sockets = try SocketTable(
            addressGuard: AddressGuard(allowing: try Network.list("127.0.0.1")), counters: counters,
            waking: mailbox.wakeDescriptor)
        let transfer = try #require(
            Transfer(Transfer.Configuration(ExchangerSettings()), sockets: sockets, settled: SettledHosts()))
        let context = Unmanaged.passUnretained(transfer).toOpaque()
        // curl_sockaddr declares 16 bytes of address and has more behind them, so memory is laid out by hand.
        func open(_ text: String) throws -> Int32 {
            let memory = UnsafeMutableRawPointer.allocate(byteCount: 256, alignment: 16)
            defer { memory.deallocate() }
            memory.initializeMemory(as: UInt8.self, repeating: 0, count: 256)
            let address = memory.assumingMemoryBound(to: curl_sockaddr.self)
            let place = memory + MemoryLayout<curl_sockaddr>.offset(of: \.addr)!
            let isSix = text.contains(":")
            address.pointee.family = isSix ? AF_INET6 : AF_INET
            address.pointee.socktype = Int32(SOCK_STREAM.rawValue)
            place.storeBytes(of: sa_family_t(address.pointee.family), as: sa_family_t.self)
            #expect(inet_pton(address.pointee.family, text, place + (isSix ? 8 : 4)) == 1)
            return SocketCallbacks.open(context, CURLSOCKTYPE_IPCXN, address)
        }
        for text in ["127.0.0.2", "10.0.0.1", "::1", "fe80::1", "::ffff:10.0.0.1"] {
            transfer.wasRefused = false
            #expect(try open(text) == CURL_SOCKET_BAD)
            #expect(transfer.wasRefused)
        }
        #expect(counters.reading.refusedAtDial == 5)
        #expect(counters.reading.connectionsOpened == 0)
        transfer.wasRefused = false
        let socket = try open("127.0.0.1")
        #expect(socket >= 0 && !transfer.wasRefused)
        #expect(SocketCallbacks.close(Unmanaged.passUnretained(sockets).toOpaque(), socket) == 0)
        withExtendedLifetime(transfer) {}
    }

    @Test func libcurlNeverLooksNamesUpItself() throws {
        let counters = RunningCounters()
        let mailbox = try Mailbox()
        let sockets = try SocketTable(
            addressGuard: AddressGuard(), counters: counters, waking: mailbox.wakeDescriptor)
        let transfer = try #require(
            Transfer(Transfer.Configuration(ExchangerSettings()), sockets: sockets, settled: SettledHosts()))
        var table = HostTable(settings: .loopback, counters: counters, mailbox: try Mailbox())
        let context = Unmanaged.passUnretained(transfer).toOpaque()
        for (url, refuses) in [("http://localhost/", true), ("http://127.0.0.1/", false), ("http://[::1]/", false)] {
            let job = Job(request: .post(url), reply: nil)
            let entry = Waiting(job: job, target: try table.target(for: url), startedAt: 0, deadline: 0)
            try transfer.prepare(entry, now: 0) { nil }
            #expect((TransferCallbacks.resolve(nil, nil, context) != 0) == refuses)
            // Without a pinned address the name fails in libcurl: no connection is opened.
            if refuses { #expect(curl_easy_perform(transfer.easy) != CURLE_OK) }
            transfer.clear()
        }
        #expect(counters.reading.connectionsOpened == 0)
    }

    @Test func proxyOfTheEnvironmentIsNotUsed() async {
        // In a process of its own: the environment belongs to all tests.
        await #expect(processExitsWith: .success) {
            let proxy = try Receiver.answering()
            let receiver = try Receiver.answering()
            for name in ["http_proxy", "https_proxy", "all_proxy", "ALL_PROXY"] { setenv(name, proxy.url(), 1) }
            let exchange = try await withExchanger { await $0.perform(.post(receiver.url())) }
            #expect(exchange.response?.status == 200)
            #expect(proxy.accepted == 0 && receiver.accepted == 1)
        }
    }
}
