// The event loop of ArrivalReceiver. C functions look for the ends of heads: in a debug build they are ten times as
// fast as loops over bytes.

import CLibPQ
import Glibc

/// Accepts, reads, notes and answers, on one thread.
final class ReceiverLoop {
    /// A connection with what came and is not parsed yet.
    private final class Peer {
        let descriptor: Int32
        var buffer = UnsafeMutablePointer<CChar>.allocate(capacity: Peer.capacity + 1)
        var used = 0
        /// More than any request of the proof.
        static let capacity = 65_536

        init(_ descriptor: Int32) { self.descriptor = descriptor }

        deinit {
            buffer.deallocate()
            close(descriptor)
        }
    }

    private let listener: Int32
    private let waker: Int32
    private let poller = epoll_create1(Int32(EPOLL_CLOEXEC))
    private let rule: ArrivalReceiver.Rule
    private let note: (Ledger.Arrival) -> Void
    private var peers: [Int32: Peer] = [:]
    private var seen: [Int64: Int] = [:]
    /// Answers that are due later, the earliest first. Weak: a connection that has ended needs no answer.
    private var later: [(due: UInt64, peer: () -> Peer?, status: Int)] = []

    init(listener: Int32, waker: Int32, rule: @escaping ArrivalReceiver.Rule, note: @escaping (Ledger.Arrival) -> Void) {
        self.listener = listener
        self.waker = waker
        self.rule = rule
        self.note = note
        watch(listener)
        watch(waker)
    }

    deinit {
        close(listener)
        close(waker)
        close(poller)
    }

    func run() {
        var events = [epoll_event](repeating: epoll_event(), count: 128)
        while true {
            let count = epoll_wait(poller, &events, Int32(events.count), timeout())
            for index in 0..<Int(max(0, count)) {
                let descriptor = events[index].data.fd
                if descriptor == waker { return }
                if descriptor == listener { accept() } else if let peer = peers[descriptor] { read(peer) }
            }
            answerWhatIsDue()
        }
    }

    private func watch(_ descriptor: Int32) {
        var event = epoll_event(events: EPOLLIN.rawValue, data: epoll_data(fd: descriptor))
        epoll_ctl(poller, EPOLL_CTL_ADD, descriptor, &event)
    }

    private func accept() {
        let descriptor = Glibc.accept(listener, nil, nil)
        guard descriptor >= 0 else { return }
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        var yes: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &yes, socklen_t(MemoryLayout<Int32>.size))
        peers[descriptor] = Peer(descriptor)
        watch(descriptor)
    }

    private func read(_ peer: Peer) {
        let count = recv(peer.descriptor, peer.buffer + peer.used, Peer.capacity - peer.used, Int32(MSG_DONTWAIT))
        if count < 0, errno == EAGAIN || errno == EINTR { return }
        guard count > 0 else { return forget(peer) }
        peer.used += count
        peer.buffer[peer.used] = 0
        while let request = takeRequest(peer) { receive(request, peer) }
    }

    /// Closing the descriptor takes it out of the poller too.
    private func forget(_ peer: Peer) { peers[peer.descriptor] = nil }

    private func receive(_ request: Ledger.Arrival, _ peer: Peer) {
        var arrival = request
        let before = arrival.mark.map { seen[$0, default: 0] } ?? 0
        if let mark = arrival.mark { seen[mark] = before + 1 }
        let answer = rule(arrival, before)
        arrival.isAccepted = answer.isAccepted
        note(arrival)
        guard case .status(let status, let delay) = answer else { return }
        if delay == 0 { return send(status, to: peer) }
        let due = arrival.at + UInt64(delay) * 1_000_000
        let place = later.lastIndex { $0.due <= due }.map { $0 + 1 } ?? 0
        later.insert((due, { [weak peer] in peer }, status), at: place)
    }

    private func send(_ status: Int, to peer: Peer) {
        let text = "HTTP/1.1 \(status) Answer\r\nContent-Length: 0\r\n\r\n"
        // So little never fills a socket's buffer; a peer that is gone is told by the next read.
        _ = Glibc.send(peer.descriptor, text, text.utf8.count, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT))
    }

    private func timeout() -> Int32 {
        guard let due = later.first?.due else { return -1 }
        let now = MonotonicClock.now()
        return due <= now ? 0 : Int32((due - now) / 1_000_000 + 1)
    }

    private func answerWhatIsDue() {
        guard !later.isEmpty else { return }
        let now = MonotonicClock.now()
        let due = later.prefix { $0.due <= now }
        later.removeFirst(due.count)
        for answer in due { answer.peer().map { send(answer.status, to: $0) } }
    }

    // MARK: Reading requests

    /// Takes the next whole request off a connection.
    private func takeRequest(_ peer: Peer) -> Ledger.Arrival? {
        guard peer.used > 0, let end = strstr(peer.buffer, "\r\n\r\n") else { return nil }
        let head = peer.buffer
        let headLength = end - head
        end.pointee = 0
        let length = Int(field("\r\ncontent-length:", in: head)) ?? 0
        let whole = headLength + 4 + length
        guard peer.used >= whole else {
            end.pointee = 13
            return nil
        }
        let path = String(cString: head).split(separator: " ", maxSplits: 2).dropFirst().first ?? ""
        let arrival = Ledger.Arrival(
            mark: mark(in: end + 4, length), id: field("\r\nwebhook-id:", in: head), path: String(path), at: MonotonicClock.now(),
            isAccepted: false)
        memmove(peer.buffer, peer.buffer + whole, peer.used - whole + 1)
        peer.used -= whole
        return arrival
    }

    /// The value of a header; empty when it is missing.
    private func field(_ name: String, in head: UnsafeMutablePointer<CChar>) -> String {
        guard let found = Self.search(head, name) else { return "" }
        let start = found + name.utf8.count
        let length = strcspn(start, "\r")
        let value = UnsafeRawBufferPointer(start: start, count: length)
        return String(decoding: value, as: UTF8.self).trimmingPrefix(" ").description
    }

    /// The number behind `"ledger":` in a body.
    private func mark(in body: UnsafeMutablePointer<CChar>, _ length: Int) -> Int64? {
        let rest = body[length]
        body[length] = 0
        defer { body[length] = rest }
        guard let found = strstr(body, "\"ledger\":") else { return nil }
        let mark = strtoll(found + 9, nil, 10)
        return mark > 0 ? Int64(mark) : nil
    }

    private typealias Search = @convention(c) (UnsafePointer<CChar>, UnsafePointer<CChar>) -> UnsafeMutablePointer<CChar>?

    /// `strcasestr(3)`, which Swift's Glibc module does not carry.
    private static let search = dlsym(nil, "strcasestr").map { unsafeBitCast($0, to: Search.self) }!
}
