// What is here: exchangers that may reach loopback, and requests with short deadlines.
// Called by: all tests that exchange anything.

import HTTPExchange
import Synchronization
import TestSupport

/// Collects what an exchanger hands back and lets a test wait for it.
final class Collected: Sendable {
    private let collected = Mutex<[Exchange]>([])
    /// An element when something came since the last look.
    private let news = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))

    var exchanges: [Exchange] { collected.withLock { $0 } }

    func add(_ batch: [Exchange]) {
        collected.withLock { $0 += batch }
        news.continuation.yield()
    }

    /// Returns when that many exchanges have come, with all that have.
    ///
    /// - Throws: `Timeout` when they do not come in time.
    func wait(for count: Int) async throws -> [Exchange] {
        try await withDeadline(.seconds(30), "\(count) exchanges, \(self.exchanges.count) came") { [self] in
            if exchanges.count >= count { return }
            for await _ in news.stream where exchanges.count >= count { return }
        }
        return exchanges
    }
}

extension ExchangerSettings {
    /// Defaults, with loopback allowed.
    static var loopback: ExchangerSettings {
        let networks = try? Network.list("127.0.0.0/8,::1/128")
        return ExchangerSettings(addressGuard: AddressGuard(allowing: networks ?? []))
    }
}

/// Runs `body` with an exchanger and shuts it down.
func withExchanger<Value>(
    _ settings: ExchangerSettings = .loopback, completed: @escaping @Sendable ([Exchange]) -> Void = { _ in },
    _ body: (Exchanger) async throws -> Value
) async throws -> Value {
    let exchanger = try Exchanger(settings: settings, completed: completed)
    let result: Result<Value, any Error>
    do { result = .success(try await body(exchanger)) } catch { result = .failure(error) }
    try await withDeadline(.seconds(30), "the shutdown") { await exchanger.shutdown() }
    return try result.get()
}

extension Request {
    /// A POST to loopback with a deadline that a healthy test never meets.
    static func post(_ url: String, _ body: String = "", headers: [String] = [], token: UInt64 = 1) -> Request {
        Request(
            token: token, url: url, headers: headers, body: Array(body.utf8), timeout: .seconds(120), connectTimeout: .seconds(30),
            allowsHTTP: true)
    }

    /// The same with another deadline.
    func within(_ timeout: Duration) -> Request {
        var request = self
        request.timeout = timeout
        return request
    }
}

/// One exchange with a receiver that serves every connection the same way.
func exchange(
    _ settings: ExchangerSettings = .loopback, timeout: Duration = .seconds(120), body: String = "{}",
    with serve: @escaping @Sendable (Connection) -> Void
) async throws -> Exchange {
    let receiver = try Receiver(serve: serve)
    defer { receiver.stop() }
    return try await withExchanger(settings) { exchanger in
        await exchanger.perform(.post(receiver.url("/hook"), body).within(timeout))
    }
}

/// One exchange with a receiver that reads the request, writes this and then waits for us to close.
func exchange(answered answer: String, timeout: Duration = .seconds(120)) async throws -> Exchange {
    try await exchange(timeout: timeout) { connection in
        guard connection.readRequest() != nil else { return }
        connection.write(answer)
        connection.waitForEnd()
    }
}
