// The receiver and its children, over real sockets.

import FoundationEssentials
import Glibc
import Testing

@testable import bench

/// The receiver over real sockets: what it counts is what every figure rests on.
@Suite struct ReceiverTests {
    @Test func requestsInPiecesAndPipelinedAreEachAnsweredOnce() throws {
        let toolbox = try Toolbox(postrider: "")
        defer { toolbox.remove() }
        let receiver = try Receiver(toolbox, records: true)
        defer { receiver.end() }
        let client = try Client(port: receiver.ports[0])
        let request = { (id: String) in
            "POST / HTTP/1.1\r\nHost: x\r\nWebhook-Id: \(id)\r\nContent-Length: 5\r\n\r\nhello"
        }
        let bytes = Array((request("a") + request("b") + request("a")).utf8)
        // Cut within a name, at the empty line and within a body, then the rest in one piece.
        for range in [0..<20, 20..<60, 60..<63, 63..<66, 66..<bytes.count] { try client.send(Array(bytes[range])) }
        #expect(try client.answers(3) == 3)
        let figures = try receiver.figures()
        #expect(figures.requests == 3)
        #expect(figures.distinct == 2)
        #expect(figures.duplicates == 1)
        #expect(figures.connections == 1)
        #expect(try receiver.arrivals().count == 3)
    }

    @Test func theSameIdAtAnotherPortIsNoDuplicate() throws {
        let toolbox = try Toolbox(postrider: "")
        defer { toolbox.remove() }
        let receiver = try Receiver(toolbox, ports: 2)
        defer { receiver.end() }
        for port in receiver.ports {
            let client = try Client(port: port)
            try client.send(Array("POST / HTTP/1.1\r\nwebhook-id: a\r\nContent-Length: 0\r\n\r\n".utf8))
            #expect(try client.answers(1) == 1)
        }
        let figures = try receiver.figures()
        #expect(figures.distinct == 2)
        #expect(figures.duplicates == 0)
    }

    @Test func aBodyLargerThanTheBufferIsOneRequest() throws {
        let toolbox = try Toolbox(postrider: "")
        defer { toolbox.remove() }
        let receiver = try Receiver(toolbox)
        defer { receiver.end() }
        let client = try Client(port: receiver.ports[0])
        try client.send(Array("POST / HTTP/1.1\r\nwebhook-id: a\r\nContent-Length: 200000\r\n\r\n".utf8))
        try client.send([UInt8](repeating: 120, count: 200_000))
        #expect(try client.answers(1) == 1)
        #expect(try receiver.figures().requests == 1)
    }

    @Test func theCountIsSaidOnceItIsReached() throws {
        let toolbox = try Toolbox(postrider: "")
        defer { toolbox.remove() }
        let receiver = try Receiver(toolbox, count: 2)
        defer { receiver.end() }
        let client = try Client(port: receiver.ports[0])
        for id in ["a", "a", "b"] {
            try client.send(Array("POST / HTTP/1.1\r\nwebhook-id: \(id)\r\nContent-Length: 0\r\n\r\n".utf8))
        }
        #expect(try client.answers(3) == 3)
        var isReached = false
        for _ in 0..<100 where !isReached { isReached = try receiver.reachedCount() }
        #expect(isReached)
    }

    @Test(arguments: ["TLSv1_2", "TLSv1_3"])
    func handshakesOverTLSAreCountedAsFullOrResumed(version: String) throws {
        let toolbox = try Toolbox(postrider: "")
        defer { toolbox.remove() }
        let authority = try Authority(toolbox)
        let receiver = try Receiver(toolbox, authority: authority, closeAfter: 3)
        defer { receiver.end() }
        // Seven requests at three a connection; each of the connections but the first brings the session before.
        let client = try TLSClient(toolbox, receiver.ports[0], authority.file, [version, "7", "100"])
        #expect(try client.finish() == ["3 connections", "2 resumed"])
        let figures = try receiver.figures()
        #expect(figures.requests == 7 && figures.distinct == 7 && figures.connections == 3)
        #expect(figures.handshakes == 1 && figures.resumed == 2 && figures.handshakes_failed == 0)
        #expect(figures.most_requests == 3)
    }

    @Test func aBodyOfManyRecordsIsOneRequest() throws {
        let toolbox = try Toolbox(postrider: "")
        defer { toolbox.remove() }
        let authority = try Authority(toolbox)
        let receiver = try Receiver(toolbox, authority: authority)
        defer { receiver.end() }
        let client = try TLSClient(toolbox, receiver.ports[0], authority.file, ["TLSv1_3", "3", "200000"])
        #expect(try client.finish() == ["1 connections", "0 resumed"])
        #expect(try receiver.figures().requests == 3)
        #expect(try receiver.figures().bytes > 600_000)
    }

    @Test func whatIsNoHandshakeIsCountedAndClosed() throws {
        let toolbox = try Toolbox(postrider: "")
        defer { toolbox.remove() }
        let receiver = try Receiver(toolbox, authority: Authority(toolbox))
        defer { receiver.end() }
        let client = try Client(port: receiver.ports[0])
        try client.send(Array("POST / HTTP/1.1\r\nwebhook-id: a\r\nContent-Length: 0\r\n\r\n".utf8))
        #expect(try client.answers(1) == 0)
        let figures = try receiver.figures()
        #expect(figures.handshakes_failed == 1 && figures.requests == 0)
    }

    @Test func connectionsAreClosedInOrderAfterTheirLastRequest() throws {
        let toolbox = try Toolbox(postrider: "")
        defer { toolbox.remove() }
        let receiver = try Receiver(toolbox, closeAfter: 2)
        defer { receiver.end() }
        let client = try Client(port: receiver.ports[0])
        // The third comes in the same piece: it is neither answered nor counted, and takes no answer away.
        let requests = ["a", "b", "c"].map { "POST / HTTP/1.1\r\nwebhook-id: \($0)\r\nContent-Length: 0\r\n\r\n" }
        try client.send(Array(requests.joined().utf8))
        #expect(try client.answers(3) == 2)
        #expect(try receiver.figures().requests == 2)
    }

    @Test func aChildEndsWithItsOwner() throws {
        let toolbox = try Toolbox(postrider: "")
        defer { toolbox.remove() }
        let child = try toolbox.start("bench-receiver", [])
        _ = try child.line(within: 10)
        #expect(kill(child.pid, 0) == 0)
        child.end()
        #expect(kill(child.pid, 0) == -1)
        #expect(errno == ESRCH)
    }
}

/// A client over TLS in Python: so many requests of such a size, one at a time, with a new connection when one is closed.
private struct TLSClient {
    private let child: Child

    init(_ toolbox: Toolbox, _ port: Int, _ authority: String, _ arguments: [String]) throws {
        child = try toolbox.startProgram("python3", ["-c", Self.script, "\(port)", authority] + arguments)
    }

    /// What it says: how many connections it made, how many of them resumed a session.
    func finish() throws -> [String] {
        defer { child.end() }
        return try child.finish(within: 30)
    }

    private static let script = """
        import socket, ssl, sys
        port, authority, version, count, size = int(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5])
        context = ssl.create_default_context(cafile=authority)
        context.maximum_version = ssl.TLSVersion[version]
        session, stream, connections, resumed = None, None, 0, 0
        for number in range(count):
            if stream is None:
                plain = socket.create_connection(("127.0.0.1", port))
                secure = context.wrap_socket(plain, server_hostname="localhost", session=session)
                connections, resumed, stream = connections + 1, resumed + secure.session_reused, secure.makefile("rb")
            head = f"POST / HTTP/1.1\\r\\nwebhook-id: {number}\\r\\nContent-Length: {size}\\r\\n\\r\\n".encode()
            secure.sendall(head + b"x" * size)
            assert stream.readline() == b"HTTP/1.1 200 OK\\r\\n"
            closes = False
            while (line := stream.readline().strip()):
                closes = closes or line.lower() == b"connection: close"
            session = secure.session
            if closes:
                assert stream.read() == b""
                secure.unwrap().close()
                stream = None
        print(f"{connections} connections")
        print(f"{resumed} resumed")
        """
}

/// A client with a blocking socket.
private final class Client {
    private let socket: Int32

    init(port: Int) throws {
        socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let connected = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard connected == 0 else { throw BenchError("The receiver takes no connection.") }
        var on: Int32 = 1
        setsockopt(socket, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
    }

    deinit { close(socket) }

    func send(_ bytes: [UInt8]) throws {
        var done = 0
        while done < bytes.count {
            let count = bytes[done...].withUnsafeBytes { Glibc.send(socket, $0.baseAddress, $0.count, 0) }
            guard count > 0 else { throw BenchError("The receiver has closed the connection.") }
            done += count
        }
    }

    /// Reads until so many answers are there, or none comes for twenty seconds; gives how many came.
    func answers(_ wanted: Int) throws -> Int {
        var text = ""
        var poll = pollfd(fd: socket, events: Int16(POLLIN), revents: 0)
        while text.split(separator: "HTTP/1.1 200 OK").count < wanted || !text.hasSuffix("\r\n\r\n"),
            Glibc.poll(&poll, 1, 20_000) > 0
        {
            var buffer = [UInt8](repeating: 0, count: 4096)
            let count = recv(socket, &buffer, buffer.count, 0)
            guard count > 0 else { break }
            text += String(decoding: buffer[..<count], as: UTF8.self)
        }
        return text.split(separator: "HTTP/1.1 200 OK").count
    }
}
