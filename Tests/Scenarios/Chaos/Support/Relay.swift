// A TCP way to a Postgres that listens on a Unix socket, and a way to let it hang: bytes stop, nothing is closed.
// Afterwards they flow again, or the connections of before stay dead for good, as behind a firewall that forgot them.

import Foundation
import Glibc
import Synchronization
import TestSupport

/// Relays connections to the server of a URL until it goes away.
final class Relay: Sendable {
    private let listener: ListeningSocket
    private let address: String
    private let target: String
    private let database: String
    private let user: String
    private let gates = Gates()

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
        target = "\(folder)/.s.PGSQL.\(values["port"] ?? "5432")"
        listener = try ListeningSocket(on: address)
        let (listener, target, gates) = (listener.descriptor, target, gates)
        Thread.detachNewThread {
            while true {
                let client = accept(listener, nil, nil)
                guard client >= 0 else { break }
                let server = Self.connect(to: target)
                _ = fcntl(client, F_SETFD, FD_CLOEXEC)
                guard server >= 0 else {
                    close(client)
                    continue
                }
                let pair = Pair(client, server)
                let gate = gates.current
                Thread.detachNewThread { pair.pump(from: client, to: server, gate) }
                Thread.detachNewThread { pair.pump(from: server, to: client, gate) }
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

    /// Lets every byte wait, without closing anything. Connections can still be made, and wait too.
    func hang() { gates.hang() }

    /// Lets bytes flow again.
    ///
    /// - Parameter forgets: whether connections from before the hang stay as they are until the relay goes away: no byte, no
    ///   end. New ones work.
    func resume(forgets: Bool) { gates.resume(forgets: forgets) }

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

        func pump(from source: Int32, to sink: Int32, _ gate: Gate) {
            var buffer = [UInt8](repeating: 0, count: 65_536)
            while true {
                let count = recv(source, &buffer, buffer.count, 0)
                gate.pass()
                guard count > 0 else { break }
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

    /// The gate of connections that are made now, and the gates of those before.
    private final class Gates: Sendable {
        private let all = Mutex([Gate()])

        var current: Gate { all.withLock { $0[$0.count - 1] } }

        func hang() {
            all.withLock { all in
                all[all.count - 1].close()
                let next = Gate()
                next.close()
                all.append(next)
            }
        }

        func resume(forgets: Bool) { if forgets { current.open() } else { openAll() } }

        func openAll() { for gate in all.withLock({ $0 }) { gate.open() } }
    }

    /// What pumps wait at.
    private final class Gate: @unchecked Sendable {
        // NSCondition guards the flag.
        private let condition = NSCondition()
        private var isClosed = false

        func close() {
            condition.lock()
            isClosed = true
            condition.unlock()
        }

        func open() {
            condition.lock()
            isClosed = false
            condition.broadcast()
            condition.unlock()
        }

        func pass() {
            condition.lock()
            while isClosed { condition.wait() }
            condition.unlock()
        }
    }
}
