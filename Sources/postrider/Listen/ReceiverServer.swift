// A small HTTP server for receivers, on SwiftNIO. Run by `postrider listen` and, several of them, by `postrider demo`.

internal import Glibc
internal import NIOCore
internal import NIOPosix
internal import Synchronization

/// One listening socket whose requests all go to one function.
final class ReceiverServer: Sendable {
    /// Answers a request; called concurrently, once for each request.
    typealias Handler = @Sendable (ReceivedRequest) async -> ReceiverAnswer

    /// How long ``stop()`` leaves for answers that are on their way; 500 ms.
    private static let grace = Duration.milliseconds(500)

    /// One thread for the sockets of all servers: they only move bytes, requests are answered elsewhere.
    private static let loops: MultiThreadedEventLoopGroup = {
        NIOSingletons.groupLoopCountSuggestion = 1
        return .singleton
    }()

    private struct State {
        var isRunning = false
        var isStopping = false
        var connections: [ObjectIdentifier: any Channel] = [:]
    }

    private let host: String
    private let address: SocketAddress
    private let handler: Handler
    /// The port, once the socket listens.
    private let port: EventLoopPromise<Int>
    private let state = Mutex(State())
    private let stopping = AsyncStream<Void>.makeStream()
    private let ended = AsyncStream<Void>.makeStream()

    /// Makes a server; ``run()`` opens its socket.
    ///
    /// - Parameters:
    ///   - host: an IPv4 or IPv6 address, or `localhost`.
    ///   - port: 0 for one that the kernel chooses.
    ///   - handler: answers.
    /// - Throws: ``ReceiverError/address(_:)``.
    init(host: String, port: UInt16, handler: @escaping Handler) throws(ReceiverError) {
        self.host = host == "localhost" ? "127.0.0.1" : host
        self.handler = handler
        do { address = try SocketAddress(ipAddress: self.host, port: Int(port)) } catch { throw .address(host) }
        self.port = Self.loops.any().makePromise()
    }

    // A promise must not be forgotten, not even that of a server that never ran.
    deinit { port.fail(CancellationError()) }

    /// Serves until the task is cancelled or ``stop()`` is called; called once.
    ///
    /// - Throws: ``ReceiverError/socket(_:_:)`` when the socket cannot be opened, for example because the port is taken, or
    ///   takes no connections any more; nothing after ``stop()`` or cancellation.
    func run() async throws {
        defer {
            port.fail(CancellationError())
            ended.continuation.finish()
        }
        let isWanted = state.withLock { state in
            state.isRunning = !state.isStopping
            return state.isRunning
        }
        guard isWanted else { return }
        let listener = try await open()
        port.succeed(listener.channel.localAddress?.port ?? 0)
        let fault = await withTaskGroup(of: (any Error)?.self) { group in
            group.addTask { await self.accept(listener) }
            group.addTask {
                for await _ in self.stopping.stream {}
                self.endIdle(listener.channel)
                try? await Task.sleep(for: Self.grace)
                return nil
            }
            defer { group.cancelAll() }
            return await group.next() ?? nil
        }
        if let fault, !Task.isCancelled, !state.withLock(\.isStopping) {
            throw ReceiverError.socket(address.description, "\(fault)")
        }
    }

    /// Waits until the socket listens.
    ///
    /// - Returns: the URL of the server, without a path.
    /// - Throws: what ``run()`` throws; `CancellationError` when it ended before it listened.
    func url() async throws -> String {
        let name = host.contains(":") ? "[\(host)]" : host
        return "http://\(name):\(try await port.futureResult.get())"
    }

    /// Closes the socket and every connection: idle ones at once, the others after the answer that is on its way, but none
    /// later than half a second from now. Returns when all are closed.
    func stop() async {
        let isRunning = state.withLock { state in
            state.isStopping = true
            return state.isRunning
        }
        stopping.continuation.finish()
        if isRunning { for await _ in ended.stream {} }
    }

    private func open() async throws -> NIOAsyncChannel<ReceiverConnection.Parts, Never> {
        do {
            return try await ServerBootstrap(group: Self.loops)
                .serverChannelOption(.backlog, value: 1024)
                .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                // An answer is not to wait for the acknowledgement of the one before.
                .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
                // Who has sent its request and closes its side still gets the answer.
                .childChannelOption(.allowRemoteHalfClosure, value: true)
                .bind(to: address) { channel in
                    channel.eventLoop.makeCompletedFuture { try ReceiverConnection.parts(of: channel) }
                }
        } catch let error as IOError {
            let reason = String(cString: strerror(error.errnoCode))
            port.fail(ReceiverError.socket(address.description, reason))
            throw ReceiverError.socket(address.description, reason)
        }
    }

    /// Takes connections until the socket is closed, and serves them to their ends; what closed it, if it was a fault.
    private func accept(_ listener: NIOAsyncChannel<ReceiverConnection.Parts, Never>) async -> (any Error)? {
        do {
            return try await listener.executeThenClose { connections in
                await withDiscardingTaskGroup { group in
                    do {
                        for try await parts in connections { group.addTask { await self.serve(parts) } }
                        return nil
                    } catch {
                        // What was accepted before goes on.
                        return error
                    }
                }
            }
        } catch {
            return error
        }
    }

    private func serve(_ parts: ReceiverConnection.Parts) async {
        let channel = parts.channel
        let isWanted = state.withLock { state in
            if !state.isStopping { state.connections[ObjectIdentifier(channel)] = channel }
            return !state.isStopping
        }
        if isWanted {
            await ReceiverConnection(handler: handler).serve(parts)
        } else {
            channel.close(promise: nil)
        }
        state.withLock { _ = $0.connections.removeValue(forKey: ObjectIdentifier(channel)) }
    }

    /// Closes the socket, and makes every connection close as soon as it owes no answer.
    private func endIdle(_ listener: any Channel) {
        listener.close(promise: nil)
        for channel in state.withLock({ $0.connections.values }) {
            channel.pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent())
        }
    }
}

/// What goes wrong before a receiver listens.
enum ReceiverError: Error, CustomStringConvertible {
    /// Not an address of this machine's.
    case address(String)
    /// The socket of an address cannot be opened, or was closed, and why.
    case socket(String, String)

    var description: String {
        switch self {
        case .address(let host): "cannot listen on \(host.debugDescription): give an IPv4 or IPv6 address"
        case .socket(let address, let reason): "cannot listen on \(address): \(reason)"
        }
    }
}
