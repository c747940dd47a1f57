// What is here: an address that answers no further handshake of TCP, as a host that is down or behind a firewall. Called by:
// tests of connections that do not come about.

import Glibc
import TestSupport

/// A listener that accepts nothing, and whose backlog is full.
final class FullBacklog {
    private let socket: LoopbackSocket
    private var fillers: [Int32] = []

    init() throws {
        socket = try LoopbackSocket(isListening: true)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = socket.port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        for _ in 0..<64 {
            let type = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
            let filler = Glibc.socket(AF_INET, type, 0)
            guard filler >= 0 else { throw SupportError("no socket: \(errno)") }
            fillers.append(filler)
            _ = withUnsafePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    connect(filler, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
                }
            }
        }
    }

    deinit { for filler in fillers { close(filler) } }

    var port: Int { Int(socket.port) }
}
