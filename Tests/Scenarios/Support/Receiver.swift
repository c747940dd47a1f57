// A real HTTP receiver for scenarios: sockets and threads, no framework. It notes every request and answers as told.

import Foundation
import Glibc
import Synchronization
import TestSupport

/// A request as it arrived.
struct Received: Sendable {
    let path: String
    /// Names in lower case.
    let headers: [String: String]
    let body: [UInt8]
    /// Monotonic nanoseconds.
    let arrivedAt: UInt64

    /// `webhook-id`, empty when there is none.
    var id: String { headers["webhook-id"] ?? "" }
    var json: [String: Any] {
        (try? JSONSerialization.jsonObject(with: Data(body))) as? [String: Any] ?? [:]
    }
}

/// What a receiver answers.
struct Reply: Sendable {
    var status = 200
    var headers: [String] = []
    var body = ""
    /// The thread of the connection sleeps so long before it answers: the receiver is slow, not the test.
    var delayMilliseconds = 0
    /// Close the connection without an answer.
    var hangsUp = false

    static let ok = Reply()
    static func status(_ status: Int) -> Reply { Reply(status: status) }
}

/// A receiver on 127.0.0.1, which answers until ``stop()`` or the end of the process.
final class Receiver: Sendable {
    typealias Handler = @Sendable (Received, Int) -> Reply

    let port: UInt16
    private let listener: Int32
    private let handler: Handler
    private let requests = Mutex<[Received]>([])
    private let waiters = Mutex<[(count: Int, resume: @Sendable () -> Void)]>([])
    private let isStopped = Atomic(false)
    private let connections = Mutex<Set<Int32>>([])

    /// Starts a receiver.
    ///
    /// - Parameter handler: called for each request with how many came before it, on the connection's thread.
    init(handler: @escaping Handler = { _, _ in .ok }) throws {
        self.handler = handler
        let socket = try ListeningSocket()
        (listener, port) = (socket.descriptor, socket.port)
        Thread.detachNewThread { [self] in acceptForever() }
    }

    /// A URL of this receiver.
    func url(_ path: String = "/hook") -> String { "http://127.0.0.1:\(port)\(path)" }

    /// Everything that has arrived, in order of arrival.
    var received: [Received] { requests.withLock { $0 } }

    /// Waits until so many requests have arrived.
    ///
    /// - Throws: ``Timeout`` when they do not come in time.
    func wait(for count: Int, within limit: Duration = .seconds(20)) async throws {
        let (stream, entrance) = AsyncStream<Void>.makeStream()
        waiters.withLock {
            $0.append(
                (
                    count,
                    {
                        entrance.yield(); entrance.finish()
                    }
                ))
        }
        if requests.withLock({ $0.count }) >= count { return }
        try await withDeadline(limit, "\(count) requests, \(self.received.count) came") { for await _ in stream {} }
    }

    /// Stops listening and closes every connection.
    func stop() {
        guard !isStopped.exchange(true, ordering: .acquiringAndReleasing) else { return }
        shutdown(listener, Int32(SHUT_RDWR))
        close(listener)
        connections.withLock { for one in $0 { shutdown(one, Int32(SHUT_RDWR)) } }
    }

    private func acceptForever() {
        while true {
            let connection = accept(listener, nil, nil)
            guard connection >= 0 else { return }
            var yes: Int32 = 1
            setsockopt(connection, Int32(IPPROTO_TCP), TCP_NODELAY, &yes, socklen_t(MemoryLayout<Int32>.size))
            connections.withLock { _ = $0.insert(connection) }
            Thread.detachNewThread { [self] in
                serve(connection)
                connections.withLock { _ = $0.remove(connection) }
                close(connection)
            }
        }
    }

    private func serve(_ connection: Int32) {
        var reader = RequestReader(connection: connection)
        while let request = reader.next() {
            let place = requests.withLock { requests in
                requests.append(request)
                return requests.count
            }
            let due = waiters.withLock { waiters in
                defer { waiters.removeAll { $0.count <= place } }
                return waiters.filter { $0.count <= place }
            }
            for waiter in due { waiter.resume() }
            let reply = handler(request, place - 1)
            if reply.delayMilliseconds > 0 { usleep(UInt32(reply.delayMilliseconds) * 1000) }
            if reply.hangsUp || !send(reply, on: connection) { return }
        }
    }

    private func send(_ reply: Reply, on connection: Int32) -> Bool {
        let body = Array(reply.body.utf8)
        let lines = ["HTTP/1.1 \(reply.status) Answer"] + reply.headers + ["Content-Length: \(body.count)"]
        let bytes = Array((lines.joined(separator: "\r\n") + "\r\n\r\n").utf8) + body
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes {
                Glibc.send(connection, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { return false }
            sent += count
        }
        return true
    }
}

/// Reads requests off a connection.
private struct RequestReader {
    let connection: Int32
    private var buffer: [UInt8] = []

    init(connection: Int32) { self.connection = connection }

    /// The next request; nil when the connection has ended.
    mutating func next() -> Received? {
        while true {
            if let end = headEnd(), let request = parse(headEnd: end) { return request }
            var chunk = [UInt8](repeating: 0, count: 65_536)
            let count = recv(connection, &chunk, chunk.count, 0)
            guard count > 0 else { return nil }
            buffer.append(contentsOf: chunk[..<count])
        }
    }

    private func headEnd() -> Int? {
        let mark: [UInt8] = [13, 10, 13, 10]
        guard buffer.count >= 4 else { return nil }
        return buffer.indices.dropLast(3).first { buffer[$0] == 13 && Array(buffer[$0..<$0 + 4]) == mark }
    }

    private mutating func parse(headEnd: Int) -> Received? {
        let lines = String(decoding: buffer[..<headEnd], as: UTF8.self).components(separatedBy: "\r\n")
        var headers: [String: String] = [:]
        for line in lines.dropFirst() {
            guard let colon = line.firstIndex(of: ":") else { continue }
            headers[line[..<colon].lowercased()] = line[line.index(after: colon)...].trimmingCharacters(
                in: .whitespaces)
        }
        let length = Int(headers["content-length"] ?? "0") ?? 0
        let start = headEnd + 4
        guard buffer.count >= start + length else { return nil }
        let body = Array(buffer[start..<start + length])
        buffer.removeFirst(start + length)
        let path = lines[0].split(separator: " ").dropFirst().first.map(String.init) ?? ""
        return Received(path: path, headers: headers, body: body, arrivedAt: DispatchTime.now().uptimeNanoseconds)
    }
}
