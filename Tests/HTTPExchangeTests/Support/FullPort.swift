// What is here: a port where connections do not come about and are not refused, as of a host that is down.
// Called by: the tests of proxies.

import Glibc

/// Listens on 127.0.0.1 and accepts nothing: its queue is full, and the kernel passes over further SYNs.
final class FullPort {
    let port: Int
    private var sockets: [Int32] = []

    init() throws {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        sockets = [listener]
        let isListening = withUnsafeMutableBytes(of: &address) { bytes in
            let pointer = bytes.baseAddress?.assumingMemoryBound(to: sockaddr.self)
            return bind(listener, pointer, length) == 0 && getsockname(listener, pointer, &length) == 0
        }
        port = Int(UInt16(bigEndian: address.sin_port))
        guard isListening, listen(listener, 0) == 0 else {
            stop()
            throw SupportError("cannot listen")
        }
        while sockets.count < 16, connects(to: address) {}
        guard sockets.count < 16 else {
            stop()
            throw SupportError("the queue of the listener does not fill")
        }
    }

    /// Closes the listener and what filled its queue.
    func stop() {
        for socket in sockets { close(socket) }
        sockets = []
    }

    /// Whether a further connection comes about soon, as on loopback it does at once; it is kept, also when it does not.
    private func connects(to address: sockaddr_in) -> Bool {
        let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        let probe = socket(AF_INET, type, 0)
        sockets.append(probe)
        withUnsafeBytes(of: address) { bytes in
            _ = connect(
                probe, bytes.baseAddress?.assumingMemoryBound(to: sockaddr.self),
                socklen_t(MemoryLayout<sockaddr_in>.size))
        }
        var entry = pollfd(fd: probe, events: Int16(POLLOUT), revents: 0)
        return poll(&entry, 1, 500) == 1
    }
}
