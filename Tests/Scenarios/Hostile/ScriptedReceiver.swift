// Receivers that do what a script says, byte by byte: hundreds of them in one thread with one epoll, so that they cost
// the worker's machine little. Used by the hostile scenarios, for hostile receivers and for the good ones beside them.

import CLibPQ
import CLinux
import Glibc
import Synchronization
import TestSupport

/// What a receiver does with a connection, step by step, once it has read a request.
enum Step: Sendable {
    /// Writes all of it.
    case write([UInt8])
    /// Writes it again and again until the peer has had enough.
    case flood([UInt8])
    /// Writes it byte by byte, one each so many milliseconds, and begins anew.
    case trickle([UInt8], milliseconds: Int)
    /// Does nothing for a time.
    case wait(milliseconds: Int)
    /// Does nothing more until the peer closes.
    case hang
    /// Closes in order.
    case close
    /// Closes with a RST.
    case reset
    /// Waits for the next request on this connection.
    case again

    /// Writes a text whose lines end as HTTP's do.
    static func write(_ text: String) -> Step { .write(Array(text.utf8)) }
}

/// A number of receivers ("places"), each with a port of 127.0.0.1 of its own. Stopped by ``stop()`` or with the value.
final class ScriptedReceiver: Sendable {
    /// A request that came in.
    struct Arrival: Sendable {
        let place: Int
        /// `webhook-id`, empty when there is none.
        let id: String
        /// Monotonic nanoseconds, when all of it had arrived.
        let at: UInt64
    }

    typealias Script = @Sendable (_ place: Int, _ earlier: Int) -> [Step]

    /// The ports, by place.
    let ports: [UInt16]
    private let tally: ReceiverTally
    private let bell: Int32

    /// Starts receivers.
    ///
    /// - Parameters:
    ///   - places: how many.
    ///   - deaf: places that never read: their script begins when a connection comes.
    ///   - isModest: whether its thread gives way to all others, as if it ran on another machine.
    ///   - script: what to do with the next request of a place, and how many came there before.
    convenience init(places: Int, deaf: Set<Int> = [], isModest: Bool = false, script: @escaping Script) throws {
        try self.init(
            listeners: (0..<places).map { _ in try ListeningSocket(isBlocking: false).descriptor }, deaf: deaf, isModest: isModest, script: script)
    }

    /// Starts receivers on sockets that listen already; a place each.
    init(listeners: [Int32], deaf: Set<Int> = [], isModest: Bool = false, script: @escaping Script) throws {
        var pipe: [Int32] = [0, 0]
        guard pipe2(&pipe, O_CLOEXEC | O_NONBLOCK) == 0 else { throw Timeout(what: "a pipe: \(errno)") }
        bell = pipe[1]
        tally = ReceiverTally(places: listeners.count)
        ports = try listeners.map { try Sockets.port(of: $0) }
        let loop = HostileLoop(listeners: listeners, wake: pipe[0], deaf: deaf, tally: tally, script: script)
        try DetachedThread.start {
            if isModest { Sockets.giveWay() }
            loop.run()
        }
    }

    deinit {
        stop()
        close(bell)
    }

    /// A URL of a place.
    func url(_ place: Int, _ path: String = "/hook", scheme: String = "http") -> String {
        "\(scheme)://127.0.0.1:\(ports[place])\(path)"
    }

    /// Ends the thread and closes all that is open.
    func stop() {
        var byte: UInt8 = 1
        _ = Glibc.write(bell, &byte, 1)
    }

    /// Everything that has arrived, in order.
    var arrivals: [Arrival] { tally.state.withLock { $0.arrivals } }
    /// How many requests have arrived at a place.
    func count(_ place: Int) -> Int { tally.state.withLock { $0.counts[place] } }
    /// How many requests of a place were under way at once, at most, since the beginning.
    func peak(_ place: Int) -> Int { tally.state.withLock { $0.peaks[place] } }
    /// Connections accepted, at all places.
    var accepted: Int { tally.state.withLock { $0.accepted } }
    /// The addresses of this side of accepted connections, as text, in order: the ones that were dialled.
    var dialled: [String] { tally.state.withLock { $0.dialled } }
    /// Forgets the arrivals; counts and peaks stay.
    func forgetArrivals() { tally.state.withLock { $0.arrivals = [] } }
}

/// What the loop counts and tests read.
final class ReceiverTally: Sendable {
    struct State {
        var arrivals: [ScriptedReceiver.Arrival] = []
        var counts: [Int]
        var peaks: [Int]
        var accepted = 0
        var dialled: [String] = []
    }

    let state: Mutex<State>

    init(places: Int) {
        state = Mutex(
            State(counts: Array(repeating: 0, count: places), peaks: Array(repeating: 0, count: places)))
    }
}

/// Sockets of IPv4 loopback. All close on exec: a worker that inherits one keeps it open for its peer.
enum Sockets {
    /// Gives the calling thread the least weight there is (`setpriority(2)`: 0 is the thread on Linux).
    static func giveWay() { setpriority(numericCast(PRIO_PROCESS.rawValue), 0, 19) }

    /// The port of a bound socket of either family.
    static func port(of socket: Int32) throws -> UInt16 {
        guard let name = name(of: socket) else { throw Timeout(what: "the port's number: \(errno)") }
        // At the same place in both families.
        return UInt16(bigEndian: name.sin6_port)
    }

    /// The address of this side of a socket, IPv4 in its mapped form when the socket is of IPv6.
    static func address(of socket: Int32) -> String {
        guard var name = name(of: socket) else { return "?" }
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        guard Int32(name.sin6_family) == AF_INET6 else { return "127.0.0.1" }
        _ = inet_ntop(AF_INET6, &name.sin6_addr, &text, socklen_t(text.count))
        return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    private static func name(of socket: Int32) -> sockaddr_in6? {
        var bound = sockaddr_in6()
        var length = socklen_t(MemoryLayout<sockaddr_in6>.size)
        let code = withUnsafeMutablePointer(to: &bound) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(socket, $0, &length) }
        }
        return code == 0 ? bound : nil
    }

    /// A listening socket on every address of both families.
    static func listenEverywhere(port: UInt16) throws -> Int32 {
        let listener = socket(
            AF_INET6, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
        var address = sockaddr_in6()
        address.sin6_family = sa_family_t(AF_INET6)
        address.sin6_port = port.bigEndian
        let isReady = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, socklen_t(MemoryLayout<sockaddr_in6>.size)) == 0
            }
        }
        guard isReady, Glibc.listen(listener, 1024) == 0 else { throw Timeout(what: "port \(port): \(errno)") }
        return listener
    }
}

/// Threads that nobody joins.
enum DetachedThread {
    /// Starts one.
    static func start(_ body: @escaping @Sendable () -> Void) throws {
        final class Box { let body: @Sendable () -> Void; init(_ body: @escaping @Sendable () -> Void) { self.body = body } }
        var thread = pthread_t()
        let box = Unmanaged.passRetained(Box(body))
        let code = pthread_create(
            &thread, nil,
            { pointer in
                guard let pointer else { return nil }
                Unmanaged<Box>.fromOpaque(pointer).takeRetainedValue().body()
                return nil
            }, box.toOpaque())
        guard code == 0 else {
            box.release()
            throw Timeout(what: "a thread: \(code)")
        }
        pthread_detach(thread)
    }
}
