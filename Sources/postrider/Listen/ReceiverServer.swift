// A small HTTP server for receivers, on FlyingFox. Run by `postrider listen` and, several of them, by `postrider demo`.

internal import FlyingFox
internal import FlyingSocks
internal import Foundation
internal import Glibc

/// A request as it arrived.
struct ReceivedRequest: Sendable {
    let method: String
    /// Path and query, as sent.
    let target: String
    /// Names as sent, ordered by name; of a name that came twice the last value.
    let headers: [(name: String, value: String)]
    let body: [UInt8]
    /// When the body was complete.
    let arrivedAt: ContinuousClock.Instant

    /// The value of a header, whatever its case; nil when it was not sent.
    func header(_ name: String) -> String? {
        let lower = name.lowercased()
        return headers.first { $0.name.lowercased() == lower }?.value
    }
}

/// What a receiver answers.
struct ReceiverAnswer: Sendable {
    var status = 200
    var headers: [(name: String, value: String)] = []
    var body = ""
    /// How long the answer is held back.
    var delay = Duration.zero
}

/// One listening socket whose requests all go to one function.
final class ReceiverServer: Sendable {
    /// Answers a request; called concurrently, once for each request.
    typealias Handler = @Sendable (ReceivedRequest) async -> ReceiverAnswer

    private let server: HTTPServer
    private let host: String

    /// Makes a server; ``run()`` opens its socket.
    ///
    /// - Parameters:
    ///   - host: an IPv4 or IPv6 address, or `localhost`.
    ///   - port: 0 for one that the kernel chooses.
    ///   - handler: answers; has ten minutes for it.
    /// - Throws: ``ReceiverError/address(_:)``.
    init(host: String, port: UInt16, handler: @escaping Handler) throws {
        self.host = host == "localhost" ? "127.0.0.1" : host
        let config = try Self.configuration(host: self.host, port: port)
        server = HTTPServer(config: config, handler: ClosureHTTPHandler { try await Self.respond(to: $0, handler) })
    }

    /// Serves until the task is cancelled or ``stop()`` is called.
    ///
    /// - Throws: what FlyingFox throws when the socket cannot be opened, for example because the port is taken; nothing
    ///   after ``stop()`` or cancellation.
    func run() async throws {
        do {
            try await server.run()
        } catch is CancellationError {
        } catch SocketError.disconnected {
        }
    }

    /// Waits until the socket listens.
    ///
    /// - Returns: the URL of the server, without a path.
    /// - Throws: when it does not within five seconds.
    func url() async throws -> String {
        try await server.waitUntilListening(timeout: 5)
        let name = host.contains(":") ? "[\(host)]" : host
        switch await server.listeningAddress {
        case .ip4(_, let port), .ip6(_, let port): return "http://\(name):\(port)"
        case .unix, nil: throw ReceiverError.address(host)
        }
    }

    /// Closes the socket and every connection.
    func stop() async { await server.stop(timeout: 0) }

    private static func configuration(host: String, port: UInt16) throws -> HTTPServer.Configuration {
        let pool = PromptPool(pool: HTTPServer.defaultPool())
        do {
            if host.contains(":") {
                let address = try sockaddr_in6.inet6(ip6: host, port: port)
                return HTTPServer.Configuration(address: address, timeout: 600, pool: pool, logger: .disabled)
            }
            let address = try sockaddr_in.inet(ip4: host, port: port)
            return HTTPServer.Configuration(address: address, timeout: 600, pool: pool, logger: .disabled)
        } catch {
            throw ReceiverError.address(host)
        }
    }

    private static func respond(to request: HTTPRequest, _ handler: Handler) async throws -> HTTPResponse {
        let body = Array(try await request.bodyData)
        let headers = request.headers.map { (name: $0.key.rawValue, value: $0.value) }.sorted { $0.name < $1.name }
        let answer = await handler(
            ReceivedRequest(
                method: request.method.rawValue, target: request.target.rawValue, headers: headers, body: body,
                arrivedAt: .now))
        if answer.delay > .zero { try await Task.sleep(for: answer.delay) }
        var fields: HTTPHeaders = [:]
        for header in answer.headers { fields.addValue(header.value, for: HTTPHeader(header.name)) }
        return HTTPResponse(
            statusCode: HTTPStatusCode(answer.status, phrase: "Answer"), headers: fields, body: Data(answer.body.utf8))
    }
}

/// What goes wrong before a receiver listens.
enum ReceiverError: Error, CustomStringConvertible {
    /// Not an address of this machine's.
    case address(String)

    var description: String {
        switch self {
        case .address(let host): "cannot listen on \(host.debugDescription): give an IPv4 or IPv6 address"
        }
    }
}

/// A pool that switches Nagle's algorithm off.
///
/// FlyingFox sends the head of an answer and its body in two writes. With Nagle's algorithm the second one waits for
/// the sender's delayed acknowledgement of the first, 40 ms. Accepted sockets inherit the option from the listening one
/// (tcp(7)), which is the first that waits here.
private final class PromptPool<Pool: AsyncSocketPool>: AsyncSocketPool {
    private let pool: Pool

    init(pool: Pool) { self.pool = pool }

    func prepare() async throws { try await pool.prepare() }

    func run() async throws { try await pool.run() }

    func suspendSocket(_ socket: Socket, untilReadyFor events: Socket.Events) async throws {
        var yes: Int32 = 1
        // Repeated for every wait, because nothing tells the listening socket from the others; it costs 0.2 µs.
        setsockopt(
            socket.file.rawValue, Int32(IPPROTO_TCP), TCP_NODELAY, &yes, socklen_t(MemoryLayout<Int32>.size))
        try await pool.suspendSocket(socket, untilReadyFor: events)
    }
}
