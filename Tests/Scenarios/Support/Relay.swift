// A TCP way to a Postgres that listens on a Unix socket, and two ways to spoil it. It hangs: bytes stop, nothing is closed;
// afterwards they flow again, or the connections of before stay dead for good, as behind a firewall that forgot them. Or it
// loses answers: what the client sends arrives, what the server says does not, and then the connection ends.

import Foundation
import Glibc
import Synchronization
import TestSupport

/// Relays connections to the server of a URL until it goes away.
final class Relay: Sendable {
    private let listener: ListeningSocket
    private let address: String
    private let way: Way
    private let database: String
    private let user: String
    private let gates = RelayGates()
    private let losses = Losses()
    private let accepted = Counter()

    /// Starts a relay on an address of this machine.
    ///
    /// - Parameter url: a URL with `host=` (a folder) and `user=` in its query, as TestCluster gives.
    init(to url: String, on address: String = "127.0.0.1") throws {
        let parts = URLComponents(string: url.replacingOccurrences(of: ":///", with: "://localhost/"))
        var values: [String: String] = [:]
        for item in parts?.queryItems ?? [] { values[item.name] = item.value }
        guard let folder = values["host"], let user = values["user"] else { throw Timeout(what: "a Unix socket in \(url)") }
        self.address = address
        self.user = user
        database = String(parts?.path.dropFirst() ?? "")
        way = Way("\(folder)/.s.PGSQL.\(values["port"] ?? "5432")")
        listener = try ListeningSocket(on: address)
        let (listener, way, gates, losses, accepted) = (listener.descriptor, way, gates, losses, accepted)
        Thread.detachNewThread {
            while true {
                let client = accept(listener, nil, nil)
                guard client >= 0 else { break }
                accepted.count.add(1, ordering: .relaxed)
                // Before the way: what still goes the old one is at the old gate.
                let gate = gates.current
                let server = Self.connect(to: way.path.withLock { $0 })
                _ = fcntl(client, F_SETFD, FD_CLOEXEC)
                guard server >= 0 else {
                    close(client)
                    continue
                }
                let pair = Pair(client, server)
                Thread.detachNewThread { pair.pump(from: client, to: server, gate, nil) }
                Thread.detachNewThread { pair.pump(from: server, to: client, gate, losses) }
            }
            close(listener)
        }
    }

    deinit {
        gates.openAll()
        shutdown(listener.descriptor, Int32(SHUT_RDWR))
    }

    /// The server's URL by way of the relay.
    var url: String { "postgresql://\(user)@\(address):\(listener.port)/\(database)?sslmode=disable" }

    /// How many connections have been made to it, those included that the server refused.
    var connections: Int { accepted.count.load(ordering: .relaxed) }

    /// Lets every byte wait, without closing anything. Connections can still be made, and wait too.
    func hang() { gates.hang() }

    /// Lets bytes flow again.
    ///
    /// - Parameter forgets: whether connections from before the hang stay as they are until the relay goes away: no byte, no
    ///   end. New ones work.
    func resume(forgets: Bool) { gates.resume(forgets: forgets) }

    /// From now on new connections lead to the same database by another socket; those of before stay as they are, and no byte
    /// passes.
    ///
    /// - Parameter url: a URL with `host=` (a folder) in its query.
    func lead(to url: String) throws {
        let address = try SocketAddress(url: url)
        way.path.withLock { $0 = "\(address.folder)/.s.PGSQL.\(address.port)" }
        hang()
        resume(forgets: true)
    }

    /// From now on answers are lost; each connection ends at its first one.
    func loseAnswers(_ isOn: Bool) { losses.isOn.store(isOn, ordering: .relaxed) }

    /// How many answers have been lost: messages "ready for query" that ended transactions.
    var answersLost: Int { losses.count.load(ordering: .relaxed) }

    private static func connect(to path: String) -> Int32 {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8.prefix($0.count - 1)) }
        let size = socklen_t(MemoryLayout<sockaddr_un>.size)
        let status = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { Glibc.connect(descriptor, $0, size) }
        }
        if status == 0 { return descriptor }
        close(descriptor)
        return -1
    }

    /// Two sockets that end together; the second pump to end closes them.
    private final class Pair: Sendable {
        private let first: Int32
        private let second: Int32

        init(_ first: Int32, _ second: Int32) {
            self.first = first
            self.second = second
        }

        deinit {
            Glibc.close(first)
            Glibc.close(second)
        }

        /// - Parameter losses: whether what passes is lost; nil where nothing ever is.
        func pump(from source: Int32, to sink: Int32, _ gate: RelayGates.Gate, _ losses: Losses?) {
            var buffer = [UInt8](repeating: 0, count: 65_536)
            while true {
                let count = recv(source, &buffer, buffer.count, 0)
                gate.pass()
                guard count > 0 else { break }
                if let losses, losses.isOn.load(ordering: .relaxed) {
                    if losses.note(buffer[..<count]) { break }
                    continue
                }
                var sent = 0
                while sent < count {
                    let more = buffer[sent..<count].withUnsafeBytes { send(sink, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
                    guard more > 0 else { break }
                    sent += more
                }
                guard sent == count else { break }
            }
            shutdown(first, Int32(SHUT_RDWR))
            shutdown(second, Int32(SHUT_RDWR))
        }
    }

    /// Where new connections lead.
    private final class Way: Sendable {
        let path: Mutex<String>

        init(_ path: String) { self.path = Mutex(path) }
    }

    private final class Counter: Sendable {
        let count = Atomic(0)
    }

    /// Whether answers are lost, and how many have been.
    private final class Losses: Sendable {
        let isOn = Atomic(false)
        let count = Atomic(0)

        /// Counts an answer when these bytes are the end of one.
        func note(_ bytes: ArraySlice<UInt8>) -> Bool {
            // 'Z', length 5, 'I': the transaction is over, and nobody will know.
            guard bytes.suffix(6).elementsEqual([0x5A, 0, 0, 0, 5, 0x49]) else { return false }
            count.add(1, ordering: .relaxed)
            return true
        }
    }
}
