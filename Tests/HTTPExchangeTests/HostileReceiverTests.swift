// What is here: receivers that break off, hang, trickle, lie and flood. Each ends in its class within its deadline.

import Foundation
import HTTPExchange
import TestSupport
import Testing

/// The time that an exchange with a receiver that hangs may take. It must be long enough to get as far as the test means
/// beside all the others, which a sanitizer slows down.
private let seconds = ProcessInfo.processInfo.environment["POSTRIDER_SANITIZER"] == nil ? 5 : 15

@Suite(.timeLimit(.minutes(10))) struct HostileReceiverTests {
    @Test func refusedConnectionIsConnect() async throws {
        // A port that nobody else can get meanwhile.
        let socket = try LoopbackSocket(isListening: false)
        let exchange = try await withExchanger { await $0.perform(.post("http://127.0.0.1:\(socket.port)/")) }
        #expect(exchange.failure?.kind == .connect)
        #expect(exchange.partial == nil && exchange.httpVersion == nil && !exchange.reusedConnection)
        withExtendedLifetime(socket) {}
    }

    @Test func unknownNameIsDNS() async throws {
        try await withExchanger { exchanger in
            let exchange = await exchanger.perform(.post("http://nothing.invalid/"))
            #expect(exchange.failure?.kind == .dns)
            #expect(exchange.remoteAddress == nil)
            #expect(exchanger.counters.connectionsOpened == 0)
        }
    }

    @Test func closeWithoutAnswerIsReset() async throws {
        let exchange = try await exchange { _ = $0.readRequest() }
        #expect(exchange.failure?.kind == .reset)
        #expect(exchange.partial == nil)
    }

    @Test func resetInTheMiddleOfTheBodyIsReset() async throws {
        let exchange = try await exchange { connection in
            _ = connection.readRequest()
            connection.write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
            // Only once the sender has read the half: an RST may drop what is still in its receive buffer.
            connection.waitUntilDelivered()
            connection.resetOnClose()
        }
        #expect(exchange.failure?.kind == .reset || exchange.failure?.kind == .protocolError)
        #expect(exchange.partial?.status == 200)
    }

    @Test func answerShorterThanItsLengthIsProtocol() async throws {
        let exchange = try await exchange { connection in
            _ = connection.readRequest()
            connection.write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        }
        #expect(exchange.failure?.kind == .protocolError)
        #expect(exchange.partial?.status == 200)
        #expect(exchange.partial?.body == Array("half".utf8))
    }

    @Test(arguments: [
        "", "HTTP/1.1 200 OK\r\nContent-Type: text", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
        "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhal",
    ])
    func hangingIsTimeout(begin: String) async throws {
        let exchange = try await exchange(answered: begin, timeout: .seconds(seconds))
        #expect(exchange.failure?.kind == .timeout)
        #expect((seconds * 1_000_000 - 1000..<seconds * 10_000_000).contains(exchange.timings.total))
        #expect((exchange.partial != nil) == begin.contains("200"))
    }

    @Test func trickleIsTimeout() async throws {
        let exchange = try await exchange(timeout: .seconds(seconds)) { connection in
            _ = connection.readRequest()
            connection.write("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
            while connection.write("x") { connection.pause(milliseconds: 5) }
        }
        #expect(exchange.failure?.kind == .timeout)
        #expect(exchange.failure?.message == "the time ran out while the answer was read")
        #expect((seconds * 1_000_000 - 1000..<seconds * 10_000_000).contains(exchange.timings.total))
    }

    @Test func handshakeThatNobodyAcceptsIsTimeout() async throws {
        // The receiver of a TLS handshake that never answers: connected, but no further.
        let receiver = try Receiver { $0.waitForEnd() }
        var request = Request.post("https://127.0.0.1:\(receiver.port)/")
        request.connectTimeout = .milliseconds(150)
        let hanging = request
        let exchange = try await withExchanger { await $0.perform(hanging) }
        #expect(exchange.failure?.kind == .timeout)
        #expect(exchange.failure?.message == "the time ran out in the TCP or TLS handshake")
    }

    @Test(arguments: [
        "\r\n", "Content-Length: 1000000000\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n40000000\r\n",
    ])
    func endlessBodyIsCutAndItsStatusCounts(framing: String) async throws {
        let receiver = try Receiver { connection in
            _ = connection.readRequest()
            connection.write("HTTP/1.1 200 OK\r\n" + framing)
            let piece = [UInt8](repeating: 0x61, count: 65_536)
            while connection.write(piece) {}
        }
        let exchanges = try await withExchanger { exchanger in
            [await exchanger.perform(.post(receiver.url())), await exchanger.perform(.post(receiver.url()))]
        }
        for exchange in exchanges {
            #expect(exchange.response?.status == 200)
            #expect(exchange.response?.isCut == true)
            #expect(exchange.response?.body.count == 65_536)
            let read = 65_536 + (exchange.response?.discardedBytes ?? 0)
            #expect(read > 256 << 10 && read < 512 << 10)
        }
        #expect(receiver.accepted == 2, "the rest of a body is no answer to the next request")
    }

    @Test func longBodyIsReadToItsEndAndCounted() async throws {
        let receiver = try Receiver { connection in
            while connection.readRequest() != nil {
                connection.write("HTTP/1.1 200 OK\r\nContent-Length: 262144\r\n\r\n")
                connection.write([UInt8](repeating: 0x62, count: 262_144))
            }
        }
        let exchanges = try await withExchanger { exchanger in
            var small = Request.post(receiver.url())
            small.responseLimit = 10
            return [await exchanger.perform(.post(receiver.url())), await exchanger.perform(small)]
        }
        #expect(exchanges.map { $0.response?.body.count } == [65_536, 10])
        #expect(exchanges.map { $0.response?.discardedBytes } == [262_144 - 65_536, 262_134])
        #expect(exchanges.map { $0.response?.isCut } == [false, false])
        #expect(receiver.accepted == 1)
    }

    @Test func hugeHeadersAreTooLarge() async throws {
        let many = String(repeating: "X-Many: \(String(repeating: "a", count: 990))\r\n", count: 80)
        let exchange = try await exchange(answered: "HTTP/1.1 200 OK\r\n\(many)Content-Length: 0\r\n\r\n")
        #expect(exchange.failure?.kind == .tooLarge)
    }

    @Test(arguments: [70_000, 200_000])
    func hugeHeaderLineIsTooLarge(size: Int) async throws {
        let exchange = try await exchange(
            answered: "HTTP/1.1 200 OK\r\nX-One: \(String(repeating: "a", count: size))\r\nContent-Length: 0\r\n\r\n")
        #expect(exchange.failure?.kind == .tooLarge)
    }

    @Test func endlessInformationalAnswersAreTooLarge() async throws {
        let exchange = try await exchange { connection in
            _ = connection.readRequest()
            while connection.write("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n") {}
        }
        #expect(exchange.failure?.kind == .tooLarge)
        #expect(exchange.partial == nil)
    }

    @Test func hugeTrailersAreTooLarge() async throws {
        let many = String(repeating: "X-Many: \(String(repeating: "a", count: 990))\r\n", count: 80)
        let exchange = try await exchange(
            answered: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\(many)\r\n")
        #expect(exchange.failure?.kind == .tooLarge)
    }

    /// Whoever sits before the receiver may have let them through unread.
    @Test func trailersMeanNothing() async throws {
        let exchange = try await exchange(
            answered: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nRetry-After: 9\r\n\r\n")
        #expect(exchange.response?.body == Array("ok".utf8))
        #expect(exchange.response?.retryAfter == nil)
        #expect(exchange.response?.headers.isEmpty == true)
    }

    @Test func informationalAnswersAreSkippedWithTheirHeaders() async throws {
        let exchange = try await exchange(
            answered: "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nRetry-After: 9\r\n\r\n"
                + "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        #expect(exchange.response?.status == 200)
        #expect(exchange.response?.retryAfter == nil)
        #expect(exchange.response?.body == Array("ok".utf8))
    }

    @Test func switchingProtocolsIsProtocol() async throws {
        let exchange = try await exchange(
            answered: "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
        #expect(exchange.failure?.kind == .protocolError)
    }

    @Test(arguments: [300, 301, 302, 303, 307, 308])
    func redirectIsAnAnswerAndNotFollowed(status: Int) async throws {
        let receiver = try Receiver { connection in
            while connection.readRequest() != nil {
                connection.write("HTTP/1.1 \(status) Moved\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n")
            }
        }
        let exchange = try await withExchanger { await $0.perform(.post(receiver.url())) }
        #expect(exchange.response?.status == status)
        #expect(receiver.requests.count == 1)
    }

    @Test func cookiesAreNotKept() async throws {
        let receiver = try Receiver.answering("HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n")
        try await withExchanger { exchanger in
            for _ in 0..<2 { _ = await exchanger.perform(.post(receiver.url())) }
        }
        #expect(receiver.requests.map { $0.header("cookie") } == [nil, nil])
    }

    @Test(arguments: [
        "hello\r\n\r\n", "SSH-2.0-OpenSSH_9.2\r\n", "HTTP/9.9 200 OK\r\n\r\n", "HTTP/1.1 xyz OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: abc\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "\u{0}\u{1}\u{2}\u{3}\r\n\r\n",
    ])
    func garbageIsProtocol(answer: String) async throws {
        let exchange = try await exchange { connection in
            _ = connection.readRequest()
            connection.write(answer)
        }
        #expect(exchange.failure?.kind == .protocolError, "\(exchange.result)")
    }

    @Test func compressedBodyStaysAsItCame() async throws {
        // gzip of "hello", with a header that announces it.
        let packed: [UInt8] = [
            0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0xcb, 0x48, 0xcd, 0xc9, 0xc9, 7, 0, 0x86, 0xa6, 0x10, 0x36, 5, 0, 0, 0,
        ]
        let exchange = try await exchange { connection in
            let request = connection.readRequest()
            guard request?.header("accept-encoding") == nil else { return }
            connection.write("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: \(packed.count)\r\n\r\n")
            connection.write(packed)
            connection.waitForEnd()
        }
        #expect(exchange.response?.body == packed)
    }

    @Test func bodyUpToTheEndOfTheConnectionIsComplete() async throws {
        let exchange = try await exchange { connection in
            _ = connection.readRequest()
            connection.write("HTTP/1.0 200 OK\r\n\r\nall of it")
        }
        #expect(exchange.response?.body == Array("all of it".utf8))
        #expect(exchange.httpVersion == .http1_0)
    }

    @Test func answerBeforeTheBodyWasReadCounts() async throws {
        let exchange = try await exchange(body: String(repeating: "x", count: 5_000_000)) { connection in
            _ = connection.readHead()
            connection.write("HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
            connection.waitForEnd()
        }
        #expect(exchange.response?.status == 413)
    }

    @Test func messagesAreBoundedAndSayNothingOfTheURL() async throws {
        let receiver = try Receiver.answering("nonsense with http://secret.example/?token=1\r\n\r\n")
        let urls = [
            receiver.url("/secret-path?token=hidden"), "http://user:hidden@127.0.0.1/", "gopher://127.0.0.1/hidden",
            "http://hidden.invalid/secret-path?hidden",
        ]
        try await withExchanger { exchanger in
            for url in urls {
                let failure = await exchanger.perform(.post(url)).failure
                let message = try #require(failure?.message)
                #expect(!message.isEmpty && message.utf8.count <= 200)
                #expect(!message.contains("secret") && !message.contains("hidden"), "\(message)")
            }
        }
    }
}
