// What is here: connections that are used again, those that cannot be, and limits on their number.

import HTTPExchange
import Synchronization
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(10))) struct KeepAliveTests {
    @Test func connectionIsUsedAgainAndCounted() async throws {
        let receiver = try Receiver.answering()
        try await withExchanger { exchanger in
            var reused: [Bool] = []
            for _ in 0..<20 { reused.append(await exchanger.perform(.post(receiver.url())).reusedConnection) }
            #expect(reused == [false] + Array(repeating: true, count: 19))
            let counters = exchanger.counters
            #expect(counters.connectionsOpened == 1)
            #expect(counters.connectionsReused == 19)
            #expect(counters.started == 20 && counters.finished == 20 && counters.inFlight == 0)
        }
        #expect(receiver.accepted == 1)
    }

    @Test func connectionThatTheReceiverClosedIsReplaced() async throws {
        let receiver = try Receiver { connection in
            guard connection.readRequest() != nil else { return }
            connection.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        }
        try await withExchanger { exchanger in
            for _ in 0..<50 {
                let exchange = await exchanger.perform(.post(receiver.url()))
                #expect(exchange.response?.status == 200, "\(exchange)")
            }
        }
    }

    @Test func keptConnectionThatBreaksIsReplacedAnyNumberOfTimes() async throws {
        let receiver = try Receiver { connection in
            // One answer per connection. The next request finds it open, and meets its end without an answer.
            guard connection.readRequest() != nil else { return }
            connection.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            _ = connection.readHead()
            connection.resetOnClose()
        }
        try await withExchanger { exchanger in
            for _ in 0..<30 {
                let exchange = await exchanger.perform(.post(receiver.url(), "{}"))
                #expect(exchange.response?.status == 200, "\(exchange)")
            }
        }
        #expect(receiver.accepted == 30)
    }

    @Test func idleConnectionIsClosedWhenTheReceiverClosesItsSide() async throws {
        let ended = AsyncStream<Void>.makeStream()
        let receiver = try Receiver { connection in
            guard connection.readRequest() != nil else { return }
            connection.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            // Half-closed: only our closing ends the wait.
            connection.finishWriting()
            connection.waitForEnd()
            ended.continuation.finish()
        }
        try await withExchanger { exchanger in
            _ = await exchanger.perform(.post(receiver.url()))
            try await withDeadline(.seconds(30), "our closing") { for await _ in ended.stream {} }
        }
        #expect(receiver.accepted == 1)
    }

    @Test func totalLimitOfConnectionsHoldsAndTheRestWaits() async throws {
        let receiver = try Receiver.answering()
        let collected = Collected()
        var settings = ExchangerSettings.loopback
        settings.maxConnections = 4
        try await withExchanger(settings, completed: collected.add) { exchanger in
            exchanger.submit((0..<200).map { .post(receiver.url(), token: $0) })
            let exchanges = try await collected.wait(for: 200)
            #expect(exchanges.allSatisfy { $0.response?.status == 200 })
            #expect(Set(exchanges.map(\.token)) == Set(0..<200))
            #expect(exchanger.counters.connectionsOpened <= 4)
        }
        #expect(receiver.accepted <= 4)
    }

    @Test func limitPerHostHolds() async throws {
        let receivers = [try Receiver.answering(), try Receiver.answering()]
        let collected = Collected()
        var settings = ExchangerSettings.loopback
        settings.maxConnectionsPerHost = 2
        try await withExchanger(settings, completed: collected.add) { exchanger in
            exchanger.submit((0..<100).map { .post(receivers[Int($0) % 2].url(), token: $0) })
            let exchanges = try await collected.wait(for: 100)
            #expect(exchanges.allSatisfy { $0.response?.status == 200 })
        }
        #expect(receivers.allSatisfy { $0.accepted <= 2 })
    }

    @Test func thousandConcurrentRequestsComeBackOnce() async throws {
        let receiver = try Receiver { connection in
            while let request = connection.readRequest() {
                let id = request.header("webhook-id") ?? ""
                connection.write("HTTP/1.1 200 OK\r\nContent-Length: \(id.utf8.count)\r\n\r\n\(id)")
            }
        }
        let collected = Collected()
        try await withExchanger(completed: collected.add) { exchanger in
            for start in stride(from: 0, to: 1_000, by: 100) {
                exchanger.submit(
                    (start..<start + 100).map {
                        .post(receiver.url(), "{}", headers: ["webhook-id: \($0)"], token: UInt64($0))
                    })
            }
            let exchanges = try await collected.wait(for: 1_000)
            #expect(exchanges.count == 1_000)
            // Each answer reached the request it belongs to.
            #expect(exchanges.allSatisfy { $0.response?.body == Array("\($0.token)".utf8) })
        }
        #expect(Set(receiver.requests.map { $0.header("webhook-id") }).count == 1_000)
        #expect(receiver.accepted <= 512)
    }

    @Test func bodyBehindA204IsNotTakenForTheNextAnswer() async throws {
        let receiver = try Receiver { connection in
            while connection.readRequest() != nil {
                connection.write(
                    "HTTP/1.1 204 No Content\r\nContent-Length: 60\r\n\r\n"
                        + "HTTP/1.1 299 Smuggled\r\nContent-Length: 5\r\n\r\nwrong\r\n\r\n\r\n")
            }
        }
        let exchanges = try await withExchanger { exchanger in
            var exchanges: [Exchange] = []
            for _ in 0..<3 { exchanges.append(await exchanger.perform(.post(receiver.url()))) }
            return exchanges
        }
        #expect(exchanges.map { $0.response?.status } == [204, 204, 204])
        #expect(exchanges.allSatisfy { $0.response?.body.isEmpty == true })
    }

    @Test func bytesBehindAnAnswerAreNotTakenForTheNext() async throws {
        let receiver = try Receiver { connection in
            while connection.readRequest() != nil {
                connection.write(
                    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
                        + "HTTP/1.1 299 Smuggled\r\nContent-Length: 5\r\n\r\nwrong")
            }
        }
        let exchanges = try await withExchanger { exchanger in
            var exchanges: [Exchange] = []
            for _ in 0..<3 { exchanges.append(await exchanger.perform(.post(receiver.url()))) }
            return exchanges
        }
        #expect(exchanges.map { $0.response?.status } == [200, 200, 200])
        #expect(exchanges.map { $0.response?.body } == Array(repeating: Array("ok".utf8), count: 3))
    }
}
