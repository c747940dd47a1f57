// What is here: exchangers that may reach loopback, and requests with short deadlines.
// Called by: all tests that exchange anything.

import HTTPExchange
import Synchronization

/// Collects what an exchanger hands back and lets a test wait for it.
final class Collected: Sendable {
    private struct State {
        var exchanges: [Exchange] = []
        var waiting: (count: Int, continuation: CheckedContinuation<Void, Never>)?
    }

    private let state = Mutex(State())

    var exchanges: [Exchange] { state.withLock { $0.exchanges } }

    func add(_ batch: [Exchange]) {
        let ready = state.withLock { state -> CheckedContinuation<Void, Never>? in
            state.exchanges += batch
            guard let waiting = state.waiting, state.exchanges.count >= waiting.count else { return nil }
            state.waiting = nil
            return waiting.continuation
        }
        ready?.resume()
    }

    /// Returns when that many exchanges have come, with all that have.
    func wait(for count: Int) async -> [Exchange] {
        await withCheckedContinuation { continuation in
            let isReady = state.withLock { state in
                if state.exchanges.count < count { state.waiting = (count, continuation) }
                return state.exchanges.count >= count
            }
            if isReady { continuation.resume() }
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
    do {
        let value = try await body(exchanger)
        await exchanger.shutdown()
        return value
    } catch {
        await exchanger.shutdown()
        throw error
    }
}

extension Request {
    /// A POST to loopback with a deadline that a healthy test never meets.
    static func post(_ url: String, _ body: String = "", headers: [String] = [], token: UInt64 = 1) -> Request {
        Request(
            token: token, url: url, headers: headers, body: Array(body.utf8), timeout: .seconds(20), allowsHTTP: true)
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
    _ settings: ExchangerSettings = .loopback, timeout: Duration = .seconds(20), body: String = "{}",
    with serve: @escaping @Sendable (Connection) -> Void
) async throws -> Exchange {
    let receiver = try Receiver(serve: serve)
    defer { receiver.stop() }
    return try await withExchanger(settings) { exchanger in
        await exchanger.perform(.post(receiver.url("/hook"), body).within(timeout))
    }
}

/// One exchange with a receiver that reads the request, writes this and then waits for us to close.
func exchange(answered answer: String, timeout: Duration = .seconds(20)) async throws -> Exchange {
    try await exchange(timeout: timeout) { connection in
        guard connection.readRequest() != nil else { return }
        connection.write(answer)
        connection.waitForEnd()
    }
}
