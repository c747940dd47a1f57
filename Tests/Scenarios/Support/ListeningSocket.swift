// Where receivers and relays of scenarios listen.

import Glibc
import TestSupport

/// A listening TCP socket on a port that the kernel chose. Closes on exec: a worker that inherits one keeps it open for its
/// peer.
struct ListeningSocket {
    let descriptor: Int32
    let port: UInt16

    init(on text: String = "127.0.0.1", isBlocking: Bool = true) throws {
        let flags = SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | (isBlocking ? 0 : SOCK_NONBLOCK.rawValue)
        let listener = socket(AF_INET, Int32(flags), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        inet_pton(AF_INET, text, &address.sin_addr)
        let isListening = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                bind(listener, pointer, size) == 0 && listen(listener, 1024) == 0 && getsockname(listener, pointer, &size) == 0
            }
        }
        guard isListening else { throw Timeout(what: "a socket on \(text): errno \(errno)") }
        descriptor = listener
        port = UInt16(bigEndian: address.sin_port)
    }
}
