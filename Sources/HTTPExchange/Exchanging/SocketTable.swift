// What is here: libcurl's sockets in an epoll of our own, opened under the address guard and counted.
// Called by: Loop, and by libcurl through the callbacks at the end of the file.

import CLibCurl
import Glibc

/// The sockets of one libcurl multi handle. The loop's thread only.
final class SocketTable {
    /// What libcurl wants to hear about a socket, and what epoll tells; `CURL_POLL_IN` is 1, `CURL_POLL_OUT` 2.
    private struct Entry {
        var wanted: UInt8 = 0
        var registered: UInt8 = 0
    }

    private static let readable = UInt8(CURL_POLL_IN)
    private static let writable = UInt8(CURL_POLL_OUT)

    private let addressGuard: AddressGuard
    let counters: RunningCounters
    private let epoll: Int32
    private let wakeDescriptor: Int32
    private var entries = [Entry](repeating: Entry(), count: 256)
    private var events = [epoll_event](repeating: epoll_event(), count: 256)

    /// - Throws: `ExchangerError` when the kernel gives no epoll.
    init(addressGuard: AddressGuard, counters: RunningCounters, waking: Int32) throws(ExchangerError) {
        self.addressGuard = addressGuard
        self.counters = counters
        wakeDescriptor = waking
        epoll = epoll_create1(Int32(EPOLL_CLOEXEC))
        guard epoll >= 0 else { throw ExchangerError(operation: "epoll_create1", code: errno) }
        guard control(EPOLL_CTL_ADD, waking, Self.readable) else {
            let code = errno
            Glibc.close(epoll)
            throw ExchangerError(operation: "epoll_ctl", code: code)
        }
    }

    deinit { Glibc.close(epoll) }

    /// Waits up to `milliseconds` (-1: without limit) and hands on each socket with what is ready, as `CURL_CSELECT_…`.
    func wait(_ milliseconds: Int32, ready: (_ socket: Int32, _ mask: Int32) -> Void) {
        let count = epoll_wait(epoll, &events, Int32(events.count), milliseconds)
        // A failure can only be EINTR: the caller comes back after looking at the clock.
        guard count > 0 else { return }
        for index in 0..<Int(count) {
            let event = events[index]
            let socket = event.data.fd
            guard socket != wakeDescriptor else {
                var ignored: UInt64 = 0
                _ = read(wakeDescriptor, &ignored, MemoryLayout<UInt64>.size)
                continue
            }
            guard entries[Int(socket)].wanted != 0 else {
                settleIdle(socket)
                continue
            }
            var mask: Int32 = 0
            if event.events & (EPOLLIN.rawValue | EPOLLHUP.rawValue | EPOLLRDHUP.rawValue) != 0 {
                mask |= CURL_CSELECT_IN
            }
            if event.events & EPOLLOUT.rawValue != 0 { mask |= CURL_CSELECT_OUT }
            if event.events & EPOLLERR.rawValue != 0 { mask |= CURL_CSELECT_ERR }
            ready(socket, mask)
        }
    }

    /// Takes note of what libcurl wants to hear about a socket.
    ///
    /// A connection that becomes idle stays registered for reading: the next request wants the same again, and two
    /// system calls per request are saved.
    fileprivate func want(_ what: Int32, of socket: Int32) {
        let wanted = what == CURL_POLL_REMOVE ? 0 : UInt8(what & 3)
        grow(to: Int(socket))
        let registered = entries[Int(socket)].registered
        entries[Int(socket)].wanted = wanted
        let isEnough = wanted == registered || (wanted == 0 && registered & Self.writable == 0)
        guard !isEnough else { return }
        let interest = wanted == 0 ? Self.readable : wanted
        if control(registered == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, socket, interest) {
            entries[Int(socket)].registered = interest
        }
    }

    /// A connection that nobody uses has something to read: most likely its end.
    private func settleIdle(_ socket: Int32) {
        // Level-triggered: it would wake the loop for ever. libcurl looks for itself before it uses the connection again.
        _ = control(EPOLL_CTL_DEL, socket, 0)
        entries[Int(socket)].registered = 0
        var byte: UInt8 = 0
        // libcurl closes an idle connection only when it comes across it; without this the receiver would wait for us.
        if recv(socket, &byte, 1, Int32(MSG_PEEK | MSG_DONTWAIT)) == 0 {
            shutdown(socket, Int32(SHUT_RDWR))
        }
    }

    /// Opens a socket for the address unless it is refused; `CURL_SOCKET_BAD` then, and when the kernel has none.
    ///
    /// The pointer itself is needed: an IPv6 address reaches beyond the struct that C declares.
    fileprivate func open(_ address: UnsafePointer<curl_sockaddr>, for transfer: Transfer) -> Int32 {
        let offset = MemoryLayout<curl_sockaddr>.offset(of: \.addr) ?? 0
        let judged = (UnsafeRawPointer(address) + offset).assumingMemoryBound(to: sockaddr.self)
        // With a proxy nothing else is dialed than that; who allowed it is responsible for its address.
        guard transfer.target?.isProxied == true || addressGuard.permits(judged) else {
            transfer.wasRefused = true
            counters.refusedAtDial.increment()
            return CURL_SOCKET_BAD
        }
        let type = address.pointee.socktype | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        let socket = Glibc.socket(address.pointee.family, type, address.pointee.protocol)
        guard socket >= 0 else {
            // Others, such as EAFNOSUPPORT, say that there is no way to such an address.
            transfer.lacksSocket = Shortage.isMeant(by: errno)
            return CURL_SOCKET_BAD
        }
        grow(to: Int(socket))
        entries[Int(socket)] = Entry()
        transfer.isDialing = true
        transfer.lacksSocket = false
        counters.connectionsOpened.increment()
        counters.connectionsOpen.increment()
        return socket
    }

    /// Closes a socket that `open` opened; the kernel takes it out of the epoll.
    fileprivate func close(_ socket: Int32) -> Int32 {
        entries[Int(socket)] = Entry()
        counters.connectionsOpen.increment(by: -1)
        return Glibc.close(socket)
    }

    private func grow(to socket: Int) {
        while socket >= entries.count { entries.append(contentsOf: repeatElement(Entry(), count: entries.count)) }
    }

    private func control(_ operation: Int32, _ socket: Int32, _ interest: UInt8) -> Bool {
        var event = epoll_event()
        event.data.fd = socket
        if interest & Self.readable != 0 { event.events |= EPOLLIN.rawValue | EPOLLRDHUP.rawValue }
        if interest & Self.writable != 0 { event.events |= EPOLLOUT.rawValue }
        return epoll_ctl(epoll, operation, socket, &event) == 0
    }
}

/// The functions that libcurl calls about sockets. Their context is a `SocketTable`, or the `Transfer` for the opening.
enum SocketCallbacks {
    /// `CURLMOPT_SOCKETFUNCTION`. While TCP connects, libcurl wants to hear of `CURL_POLL_OUT` alone.
    static let interest: clibcurl_socket_function = { easy, socket, what, context, _ in
        guard let context else { return 0 }
        if what & CURL_POLL_IN != 0 {
            // Nil for a handle of libcurl's own.
            var transfer: UnsafeMutableRawPointer?
            clibcurl_easy_get_pointer(easy, CURLINFO_PRIVATE, &transfer)
            if let transfer { Unmanaged<Transfer>.fromOpaque(transfer).takeUnretainedValue().isDialing = false }
        }
        Unmanaged<SocketTable>.fromOpaque(context).takeUnretainedValue().want(what, of: socket)
        return 0
    }

    /// `CURLOPT_OPENSOCKETFUNCTION`: the very address that is dialed next, judged.
    static let open: clibcurl_open_function = { context, _, address in
        guard let context, let address else { return CURL_SOCKET_BAD }
        let transfer = Unmanaged<Transfer>.fromOpaque(context).takeUnretainedValue()
        return transfer.sockets.open(address, for: transfer)
    }

    /// `CURLOPT_CLOSESOCKETFUNCTION`; libcurl keeps its context with the connection, not with the transfer.
    static let close: clibcurl_close_function = { context, socket in
        guard let context else { return Glibc.close(socket) }
        return Unmanaged<SocketTable>.fromOpaque(context).takeUnretainedValue().close(socket)
    }
}
