// What is here: one accepted connection of a Receiver, read and written with blocking calls.
// Called by: the closures that say how a receiver behaves.

import Glibc

/// One HTTP/1.1 request as its bytes came.
struct ReceivedRequest: Sendable {
    /// Request line and header lines with their ends, without the blank line.
    var head: String
    var body: [UInt8]

    /// The value of the first header with this name, in any case.
    func header(_ name: String) -> String? {
        for line in head.split(separator: "\r\n").dropFirst() {
            let parts = line.split(separator: ":", maxSplits: 1)
            if parts[0].lowercased() == name.lowercased() {
                return parts.count > 1 ? String(parts[1].drop { $0 == " " }) : ""
            }
        }
        return nil
    }
}

/// A connection; used by the thread that serves it.
final class Connection {
    let socket: Int32
    private let received: (ReceivedRequest) -> Void
    private var buffer: [UInt8] = []

    init(_ socket: Int32, received: @escaping (ReceivedRequest) -> Void) {
        self.socket = socket
        self.received = received
    }

    /// The next request, or nil when the sender closes.
    func readRequest() -> ReceivedRequest? {
        guard let head = readHead() else { return nil }
        var request = ReceivedRequest(head: head, body: [])
        let length = Int(request.header("content-length") ?? "0") ?? 0
        while buffer.count < length { guard fill() else { return nil } }
        request.body = Array(buffer.prefix(length))
        buffer.removeFirst(length)
        received(request)
        return request
    }

    /// The head of the next request, whose body stays unread.
    func readHead() -> String? {
        let mark = Array("\r\n\r\n".utf8)
        var from = 0
        while true {
            while from + 4 <= buffer.count {
                if buffer[from] == 13, Array(buffer[from..<from + 4]) == mark {
                    let head = String(decoding: buffer[..<(from + 2)], as: UTF8.self)
                    buffer.removeFirst(from + 4)
                    return head
                }
                from += 1
            }
            guard fill() else { return nil }
        }
    }

    /// False when the sender has gone.
    @discardableResult
    func write(_ text: String) -> Bool { write(Array(text.utf8)) }

    /// False when the sender has gone.
    @discardableResult
    func write(_ bytes: [UInt8]) -> Bool {
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes { all in
                let rest = UnsafeRawBufferPointer(rebasing: all[sent...])
                return send(socket, rest.baseAddress, rest.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { return false }
            sent += count
        }
        return true
    }

    /// Closes with RST instead of FIN when the serving closure returns.
    func resetOnClose() {
        var option = linger(l_onoff: 1, l_linger: 0)
        setsockopt(socket, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
    }

    /// Reads and drops everything until the sender closes or the receiver is stopped.
    func waitForEnd() {
        while fill() { buffer.removeAll() }
    }

    private func fill() -> Bool {
        var piece = [UInt8](repeating: 0, count: 65_536)
        let count = recv(socket, &piece, piece.count, 0)
        guard count > 0 else { return false }
        buffer.append(contentsOf: piece[..<count])
        return true
    }
}

extension Connection {
    /// Sends FIN; reading goes on.
    func finishWriting() {
        shutdown(socket, Int32(SHUT_WR))
    }
}

extension Connection {
    /// Holds the connection for a moment: the receiver that trickles is slow by design.
    func pause(milliseconds: Int32) { Self.pause(milliseconds: milliseconds) }

    /// Holds the calling thread for a moment.
    static func pause(milliseconds: Int32) {
        var entry = pollfd(fd: -1, events: 0, revents: 0)
        poll(&entry, 1, milliseconds)
    }

    /// Returns when the sender's kernel has acknowledged all that was written, or does not for long.
    func waitUntilDelivered() {
        let end = ContinuousClock.now + .seconds(10)
        var left: Int32 = 0
        while ioctl(socket, UInt(TIOCOUTQ), &left) == 0, left > 0, ContinuousClock.now < end {}
    }
}
