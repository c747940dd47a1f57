// The thread behind scripted receivers: one epoll, connections as small state machines, timers by looking.

import CLinux
import Glibc
import Synchronization

/// The loop. Made by one thread, then used by its own alone.
final class HostileLoop: @unchecked Sendable {
    private struct Peer {
        let place: Int
        var input: [UInt8] = []
        /// The steps that are left, the next one first; empty while a request is read.
        var steps: ArraySlice<Step> = []
        /// How much of the step's bytes has been written.
        var sent = 0
        var dueAt: UInt64?
        var interest: UInt32 = 0
        var isActing = false
    }

    private let epoll = clinux_poll_make(CLINUX_POLL_CLOEXEC)
    private let wake: Int32
    private let deaf: Set<Int>
    private let tally: ReceiverTally
    private let script: ScriptedReceiver.Script
    private var listeners: [Int32: Int] = [:]
    private var peers: [Int32: Peer] = [:]
    private var timed: Set<Int32> = []
    private var acting: [Int]
    private var buffer = [UInt8](repeating: 0, count: 65_536)

    init(
        listeners: [Int32], wake: Int32, deaf: Set<Int>, tally: ReceiverTally,
        script: @escaping ScriptedReceiver.Script
    ) {
        self.wake = wake
        self.deaf = deaf
        self.tally = tally
        self.script = script
        acting = Array(repeating: 0, count: listeners.count)
        for (place, listener) in listeners.enumerated() { self.listeners[listener] = place }
    }

    /// Runs until something is written to `wake`.
    func run() {
        for socket in [wake] + listeners.keys { control(CLINUX_POLL_ADD, socket, CLINUX_READABLE) }
        var events = [clinux_event](repeating: clinux_event(), count: 256)
        while true {
            let count = clinux_poll_wait(epoll, &events, 256, sleep())
            for event in events.prefix(Int(max(0, count))) {
                if event.descriptor == wake { return end() }
                if let place = listeners[event.descriptor] {
                    accept(event.descriptor, place)
                } else {
                    serve(event.descriptor, event.events)
                }
            }
            let now = MonotonicClock.now()
            for socket in timed where peers[socket]?.dueAt.map({ $0 <= now }) == true {
                timed.remove(socket)
                peers[socket]?.dueAt = nil
                act(socket)
            }
        }
    }

    private func sleep() -> Int32 {
        guard let next = timed.compactMap({ peers[$0]?.dueAt }).min() else { return -1 }
        let now = MonotonicClock.now()
        return next <= now ? 0 : Int32((next - now + 999_999) / 1_000_000)
    }

    private func end() {
        for socket in Array(peers.keys) + listeners.keys + [epoll, wake] { close(socket) }
    }

    private func accept(_ listener: Int32, _ place: Int) {
        while true {
            let socket = clinux_accept(listener, nil, nil, Int32(SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue))
            guard socket >= 0 else { return }
            var yes: Int32 = 1
            setsockopt(socket, Int32(IPPROTO_TCP), TCP_NODELAY, &yes, socklen_t(MemoryLayout<Int32>.size))
            let dialled = Sockets.address(of: socket)
            tally.state.withLock { state in
                state.accepted += 1
                state.dialled.append(dialled)
            }
            let isDeaf = deaf.contains(place)
            peers[socket] = Peer(place: place, interest: isDeaf ? CLINUX_PEER_CLOSED : CLINUX_READABLE)
            control(CLINUX_POLL_ADD, socket, peers[socket]?.interest ?? 0)
            if isDeaf { begin(socket, id: "") }
        }
    }

    private func serve(_ socket: Int32, _ events: UInt32) {
        guard peers[socket] != nil else { return }
        if events & (CLINUX_ERROR | CLINUX_HANGUP | CLINUX_PEER_CLOSED) != 0 { return drop(socket) }
        if events & CLINUX_READABLE != 0 {
            while true {
                let count = recv(socket, &buffer, buffer.count, 0)
                if count == 0 || count < 0 && errno != EAGAIN { return drop(socket) }
                guard count > 0 else { break }
                peers[socket]?.input.append(contentsOf: buffer[..<count])
                if count < buffer.count { break }
            }
            readRequest(socket)
        }
        if events & CLINUX_WRITABLE != 0 { act(socket) }
    }

    /// Begins to act when the whole of a request is there.
    private func readRequest(_ socket: Int32) {
        guard let peer = peers[socket], !peer.isActing else { return }
        guard let request = RequestHead(peer.input), peer.input.count >= request.length else { return }
        peers[socket]?.input.removeFirst(request.length)
        begin(socket, id: request.id)
    }

    private func begin(_ socket: Int32, id: String) {
        guard let place = peers[socket]?.place else { return }
        peers[socket]?.isActing = true
        acting[place] += 1
        forgetTheDead(place)
        let (at, concurrent) = (MonotonicClock.now(), acting[place])
        let earlier = tally.state.withLock { state in
            state.arrivals.append(ScriptedReceiver.Arrival(place: place, id: id, at: at))
            state.counts[place] += 1
            state.peaks[place] = max(state.peaks[place], concurrent)
            return state.counts[place] - 1
        }
        peers[socket]?.steps = script(place, earlier)[...]
        peers[socket]?.sent = 0
        act(socket)
    }

    /// Takes connections out of the count whose peer has closed already, when the count is about to become a peak: the
    /// close came before the new request, but epoll may tell of it afterwards.
    private func forgetTheDead(_ place: Int) {
        guard acting[place] > 1, acting[place] > tally.state.withLock({ $0.peaks[place] }) else { return }
        for (socket, peer) in peers where peer.place == place && peer.isActing {
            var byte: UInt8 = 0
            if recv(socket, &byte, 1, Int32(MSG_PEEK | MSG_DONTWAIT)) == 0 { drop(socket) }
        }
    }

    private func rest(_ socket: Int32) {
        guard let place = peers[socket]?.place, peers[socket]?.isActing == true else { return }
        peers[socket]?.isActing = false
        acting[place] -= 1
    }

    private func drop(_ socket: Int32) {
        rest(socket)
        peers[socket] = nil
        timed.remove(socket)
        close(socket)
    }

    /// Goes through the steps as far as they go now.
    private func act(_ socket: Int32) {
        while let peer = peers[socket], peer.isActing, peer.dueAt == nil {
            guard let step = peer.steps.first else { return drop(socket) }
            switch step {
            case .write(let bytes):
                guard write(socket, bytes) else { return }
                next(socket)
            case .flood(let bytes):
                guard write(socket, bytes) else { return }
                peers[socket]?.sent = 0
            case .trickle(let bytes, let milliseconds):
                guard write(socket, [bytes[peer.sent % bytes.count]], from: 0) else { return }
                peers[socket]?.sent += 1
                pause(socket, milliseconds)
            case .wait(let milliseconds):
                next(socket)
                pause(socket, milliseconds)
            case .hang:
                return want(CLINUX_READABLE | CLINUX_PEER_CLOSED, socket)
            case .close:
                return drop(socket)
            case .reset:
                var linger = linger(l_onoff: 1, l_linger: 0)
                setsockopt(socket, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout.size(ofValue: linger)))
                return drop(socket)
            case .again:
                rest(socket)
                peers[socket]?.steps = []
                return readRequest(socket)
            }
        }
    }

    private func next(_ socket: Int32) {
        peers[socket]?.steps.removeFirst()
        peers[socket]?.sent = 0
    }

    private func pause(_ socket: Int32, _ milliseconds: Int) {
        peers[socket]?.dueAt = MonotonicClock.now() + UInt64(milliseconds) * 1_000_000
        timed.insert(socket)
    }

    /// Writes on from where the step stands; false when the rest must wait, or the connection is gone.
    private func write(_ socket: Int32, _ bytes: [UInt8], from start: Int? = nil) -> Bool {
        var sent = start ?? peers[socket]?.sent ?? 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes { send(socket, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            if count < 0, errno == EAGAIN {
                peers[socket]?.sent = sent
                want(CLINUX_WRITABLE | CLINUX_PEER_CLOSED, socket)
                return false
            }
            guard count > 0 else {
                drop(socket)
                return false
            }
            sent += count
        }
        if start == nil { peers[socket]?.sent = sent }
        want(CLINUX_READABLE, socket)
        return true
    }

    private func want(_ interest: UInt32, _ socket: Int32) {
        guard let peer = peers[socket], peer.interest != interest, !deaf.contains(peer.place) else { return }
        peers[socket]?.interest = interest
        control(CLINUX_POLL_CHANGE, socket, interest)
    }

    private func control(_ operation: Int32, _ socket: Int32, _ interest: UInt32) {
        var event = clinux_event()
        event.descriptor = socket
        event.events = interest
        clinux_poll_control(epoll, operation, socket, &event)
    }
}

/// What a receiver needs of a request. The client writes `Content-Length` and `webhook-id` in just this case.
private struct RequestHead {
    /// Head and body, in bytes.
    let length: Int
    let id: String

    /// Nil while the head is not complete.
    init?(_ bytes: [UInt8]) {
        guard let end = Self.find("\r\n\r\n", in: bytes) else { return nil }
        let head = Array(bytes[..<end])
        length = end + 4 + (Int(Self.value("\r\nContent-Length: ", in: head)) ?? 0)
        id = Self.value("\r\nwebhook-id: ", in: head)
    }

    private static func value(_ name: StaticString, in head: [UInt8]) -> String {
        guard let start = find(name, in: head) else { return "" }
        return String(decoding: head[(start + name.utf8CodeUnitCount)...].prefix { $0 != 13 }, as: UTF8.self)
    }

    private static func find(_ text: StaticString, in bytes: [UInt8]) -> Int? {
        bytes.withUnsafeBytes { space -> Int? in
            guard let base = space.baseAddress,
                let found = clinux_find(base, space.count, text.utf8Start, text.utf8CodeUnitCount)
            else { return nil }
            return UnsafeRawPointer(found) - base
        }
    }
}
