// What is here: a receiver of raw sockets, one thread per connection, that does what the test's closure says.
// Called by: the tests of exchanges over plain TCP.

import Glibc
import Synchronization

/// Listens on a loopback address, on a port of the kernel's choice, until it is stopped or released.
final class Receiver: Sendable {
    private struct State {
        var connections: [Int32: Bool] = [:]
        var accepted = 0
        var requests: [ReceivedRequest] = []
        var isStopped = false
    }

    /// Whether this machine, which may be a container, has the loopback address of IPv6.
    static let hasSix = (try? Receiver("::1") { _ in }) != nil

    let port: Int
    let address: String
    private let listener: Int32
    private let state: SharedState

    private final class SharedState: Sendable {
        let contents = Mutex(State())
    }

    /// Connections accepted so far.
    var accepted: Int { state.contents.withLock { $0.accepted } }

    /// Requests read completely so far, in the order of their ends.
    var requests: [ReceivedRequest] { state.contents.withLock { $0.requests } }

    /// `http://` URL of this receiver.
    func url(_ path: String = "/") -> String {
        address.contains(":") ? "http://[\(address)]:\(port)\(path)" : "http://\(address):\(port)\(path)"
    }

    /// Runs `serve` for each connection, on a thread of its own; the connection is closed when it returns.
    init(_ address: String = "127.0.0.1", serve: @escaping @Sendable (Connection) -> Void) throws {
        let isSix = address.contains(":")
        let listener = socket(isSix ? AF_INET6 : AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var one: Int32 = 1
        setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, 4)
        guard let port = Self.bindLoopback(listener, isSix: isSix), listen(listener, 1_024) == 0 else {
            close(listener)
            throw SupportError("cannot listen on \(address): \(errno)")
        }
        let state = SharedState()
        self.address = address
        self.port = port
        self.listener = listener
        self.state = state
        Self.startThread {
            while true {
                let accepted = accept(listener, nil, nil)
                guard accepted >= 0 else {
                    if errno == EINTR || errno == ECONNABORTED { continue }
                    if errno == EMFILE {
                        // A test took descriptors away, and gives them back.
                        usleep(1_000)
                        continue
                    }
                    return
                }
                let stopped = state.contents.withLock { state in
                    state.accepted += 1
                    state.connections[accepted] = true
                    return state.isStopped
                }
                if stopped { shutdown(accepted, Int32(SHUT_RDWR)) }
                Self.startThread {
                    let connection = Connection(accepted) { request in
                        state.contents.withLock { $0.requests.append(request) }
                    }
                    serve(connection)
                    state.contents.withLock { $0.connections[accepted] = nil }
                    close(accepted)
                }
            }
        }
    }

    /// Closes the listener and breaks all connections.
    func stop() {
        state.contents.withLock { state in
            guard !state.isStopped else { return }
            state.isStopped = true
            shutdown(listener, Int32(SHUT_RDWR))
            close(listener)
            for connection in state.connections.keys { shutdown(connection, Int32(SHUT_RDWR)) }
        }
    }

    deinit { stop() }

    /// Answers each request of each connection with the same text.
    static func answering(
        _ answer: String = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", on address: String = "127.0.0.1"
    ) throws -> Receiver {
        try Receiver(address) { connection in
            while connection.readRequest() != nil { connection.write(answer) }
        }
    }

    /// Whether somebody listens on this port of 127.0.0.1.
    static func accepts(port: Int) -> Bool {
        let probe = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(probe) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        return withUnsafeBytes(of: &address) { bytes in
            let pointer = bytes.baseAddress?.assumingMemoryBound(to: sockaddr.self)
            return connect(probe, pointer, socklen_t(bytes.count)) == 0
        }
    }

    private static func bindLoopback(_ listener: Int32, isSix: Bool) -> Int? {
        var four = sockaddr_in()
        four.sin_family = sa_family_t(AF_INET)
        four.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        var six = sockaddr_in6()
        six.sin6_family = sa_family_t(AF_INET6)
        six.sin6_addr = in6addr_loopback
        var storage = sockaddr_storage()
        let size = isSix ? MemoryLayout<sockaddr_in6>.size : MemoryLayout<sockaddr_in>.size
        return withUnsafeMutableBytes(of: &storage) { bytes in
            if isSix {
                bytes.storeBytes(of: six, as: sockaddr_in6.self)
            } else {
                bytes.storeBytes(of: four, as: sockaddr_in.self)
            }
            let pointer = bytes.baseAddress?.assumingMemoryBound(to: sockaddr.self)
            var length = socklen_t(size)
            guard bind(listener, pointer, length) == 0, getsockname(listener, pointer, &length) == 0 else { return nil }
            // The port lies at the same place in both families.
            return Int(UInt16(bigEndian: bytes.load(fromByteOffset: 2, as: UInt16.self)))
        }
    }

    private static func startThread(_ body: @escaping @Sendable () -> Void) {
        final class Box {
            let body: @Sendable () -> Void
            init(_ body: @escaping @Sendable () -> Void) { self.body = body }
        }
        var thread = pthread_t()
        let box = Unmanaged.passRetained(Box(body))
        pthread_create(
            &thread, nil,
            { argument in
                if let argument { Unmanaged<Box>.fromOpaque(argument).takeRetainedValue().body() }
                return nil
            }, box.toOpaque())
        pthread_detach(thread)
    }
}

/// A fault of the test's own tools.
struct SupportError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}
