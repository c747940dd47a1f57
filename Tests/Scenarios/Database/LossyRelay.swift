// A way to Postgres that loses answers: what the client sends arrives, what the server says does not, and then it ends.

import Foundation
import Glibc
import Synchronization
import Testing

/// A relay from a TCP port on 127.0.0.1 to the server's Unix socket. Stopped by ``stop()``.
final class LossyRelay: Sendable {
    let port: UInt16
    private let listener: Int32
    private let socketPath: String
    private let database: String
    private let isLosing = Atomic(false)
    private let isStopped = Atomic(false)
    private let pairs = Mutex<[Int: (client: Int32, server: Int32)]>([:])
    private let lost = Atomic(0)

    /// Starts a relay to the server of a URL as tests have them: a folder of the socket, a database.
    init(to url: String) throws {
        let parts = try #require(URLComponents(string: url), "a URL")
        let folder = try #require(parts.queryItems?.first { $0.name == "host" }?.value, "a socket's folder")
        let port = parts.queryItems?.first { $0.name == "port" }?.value ?? "5432"
        let user = parts.queryItems?.first { $0.name == "user" }?.value ?? "postgres"
        socketPath = "\(folder)/.s.PGSQL.\(port)"
        database = "\(parts.path)?user=\(user)"
        (listener, self.port) = try Receiver.listen()
        Thread.detachNewThread { [self] in acceptForever() }
    }

    /// The way through the relay.
    var url: String { "postgresql://127.0.0.1:\(port)\(database)&sslmode=disable&gssencmode=disable" }

    /// How many answers have been lost: messages "ready for query" that ended transactions.
    var answersLost: Int { lost.load(ordering: .relaxed) }

    /// From now on answers are lost; each connection ends at its first one.
    func loseAnswers(_ isOn: Bool) { isLosing.store(isOn, ordering: .relaxed) }

    func stop() {
        isStopped.store(true, ordering: .relaxed)
        shutdown(listener, Int32(SHUT_RDWR))
        pairs.withLock { pairs in
            for pair in pairs.values {
                shutdown(pair.client, Int32(SHUT_RDWR))
                shutdown(pair.server, Int32(SHUT_RDWR))
            }
        }
    }

    private func acceptForever() {
        var place = 0
        while !isStopped.load(ordering: .relaxed) {
            let client = accept(listener, nil, nil)
            guard client >= 0 else { break }
            guard let server = connectToServer() else {
                close(client)
                continue
            }
            place += 1
            let key = place
            pairs.withLock { $0[key] = (client, server) }
            let ends = Atomic(0)
            let box = Ends(ends: ends)
            Thread.detachNewThread { [self] in pump(from: client, to: server, isAnswers: false, key, box) }
            Thread.detachNewThread { [self] in pump(from: server, to: client, isAnswers: true, key, box) }
        }
        close(listener)
    }

    /// Counts the directions of a pair that have ended.
    private final class Ends: Sendable {
        let ends: Atomic<Int>
        init(ends: consuming Atomic<Int>) { self.ends = ends }
    }

    private func pump(from source: Int32, to target: Int32, isAnswers: Bool, _ key: Int, _ box: Ends) {
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = read(source, &buffer, buffer.count)
            guard count > 0 else { break }
            if isAnswers, isLosing.load(ordering: .relaxed) {
                // 'Z', length 5, 'I': the transaction is over, and nobody will know.
                if Array(buffer[..<count].suffix(6)) == [0x5A, 0, 0, 0, 5, 0x49] {
                    lost.add(1, ordering: .relaxed)
                    break
                }
                continue
            }
            var sent = 0
            while sent < count {
                let written = buffer[sent..<count].withUnsafeBytes { write(target, $0.baseAddress, $0.count) }
                guard written > 0 else { break }
                sent += written
            }
            if sent < count { break }
        }
        shutdown(source, Int32(SHUT_RDWR))
        shutdown(target, Int32(SHUT_RDWR))
        guard box.ends.add(1, ordering: .acquiringAndReleasing).newValue == 2 else { return }
        pairs.withLock { $0[key] = nil }
        close(source)
        close(target)
    }

    private func connectToServer() -> Int32? {
        let server = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { path in
            for (index, byte) in socketPath.utf8.enumerated() where index < path.count - 1 { path[index] = byte }
        }
        let isConnected = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(server, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0
            }
        }
        guard isConnected else {
            close(server)
            return nil
        }
        return server
    }
}
